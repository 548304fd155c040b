"""Temperature scaling: one number that makes probabilities match frequencies (Guo et al. 2017, arXiv:1706.04599)."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.data.datamodule import ImageData
from resnet_lab.inspect.mistakes import Mistakes
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import write_json
from resnet_lab.rundir.json_schemas import read_calibration
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.text import printable
from resnet_lab.use.trained import Trained

FILE = "calibration.json"
LEAST, MOST = 0.01, 100.0  # temperature


def own_images(run_dir: Path, trained: Trained) -> ImageData:
    """Return the images of a run. Raises ConfigError if they are gone, or have changed since the run."""
    data = ImageData(trained.config)
    if changes := RunDirectory(run_dir).changed_images(data.source.facts):
        raise ConfigError(f"the images of {printable(str(run_dir))} have changed since the run: {changes}")
    return data


def calibrate(run_dir: Path, checkpoint: str, trained: Trained, folder: Path) -> dict[str, Any]:
    """Fit a temperature on the images that training held out, and store it in the folder's calibration.json.

    Return what is stored for the checkpoint. Raises ConfigError if the images are gone or changed, none were held out,
    they determine no temperature, or the folder is not writable.
    """
    data = own_images(run_dir, trained)
    rows = data.validation_rows
    where = printable(str(run_dir))
    require(len(rows) > 0, f"--calibrate: {where} has no validation part: train with data.validation=0.1, for example")
    labels_N = torch.from_numpy(data.source.train.labels[rows])
    logits_NK = trained.outputs_of(data.source.train.pixels[rows])
    temperature = fit_temperature(logits_NK, labels_N)
    before, after = (_measured(logits_NK / divisor, labels_N) for divisor in (1.0, temperature))
    made = {
        "temperature": temperature,
        "weights": trained.digest(),
        "images": len(rows),
        **{name: {"before": before[name], "after": after[name]} for name in ("nll", "ece")},
    }
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, {**(_stored(file) if file.exists() else {}), checkpoint: made})
    except OSError as error:
        where = printable(str(file))
        raise ConfigError(f"cannot write {where}: {error.strerror}. Choose another folder with --out DIR") from error
    return made


def fit_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Return the temperature that minimises the mean NLL of the labels. Raises ConfigError if there is none."""
    logits_NK = logits_NK.double()

    def nll(log_temperature: float) -> float:
        return F.cross_entropy(logits_NK / math.exp(log_temperature), labels_N).item()

    # The NLL is convex in 1/T, so it has one minimum in T; with log T, the search is symmetric in T and 1/T.
    bounds = math.log(LEAST), math.log(MOST)
    found = math.exp(minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-7}).x)
    share = (logits_NK.argmax(dim=1) == labels_N).double().mean().item()
    if share == 1 or not 1.01 * LEAST < found < MOST / 1.01:  # if all are right, T = 0 would be best
        raise ConfigError(
            f"--calibrate: no temperature from {LEAST:g} to {MOST:g} minimises the NLL of the {len(labels_N)} "
            f"validation images, of which {100 * share:.0f} % are classified correctly: hold out more (data.validation)"
        )
    return found


def calibrated(trained: Trained, run_dir: Path, checkpoint: str, out: Path | None = None) -> tuple[Trained, str]:
    """Return the network with the stored temperature of its checkpoint, if there is one, and a line for the user.

    Raises ConfigError if the file is damaged, or missing from the folder `out` that the user gave.
    """
    file = (out or run_dir) / FILE
    shown = printable(str(file))
    if not file.exists() and not out:
        return trained, ""
    stored = _stored(file).get(checkpoint)
    if stored is None:
        return trained, f"{shown} has no temperature for checkpoint {checkpoint}: probabilities are not calibrated"
    if stored["weights"] != trained.digest():
        return trained, f"the temperature in {shown} was fitted to other weights and is not used: repeat --calibrate"
    temperature = stored["temperature"]
    return replace(trained, temperature=temperature), f"calibrated with temperature {temperature:.4g} ({shown})"


def _stored(file: Path) -> dict[str, Any]:
    try:
        stored = read_calibration(file)
        if any(not LEAST <= entry["temperature"] <= MOST for entry in stored.values()):
            raise Unreadable(f"{file.name} has a temperature below {LEAST:g} or above {MOST:g}")
    except Unreadable as error:
        raise ConfigError(f"{printable(str(file.parent))}: {error}. Repeat --calibrate, or remove the file") from error
    return stored


def _measured(logits_NK: Tensor, labels_N: Tensor) -> dict[str, float]:
    nll = F.cross_entropy(logits_NK.double(), labels_N).item()
    return {"nll": nll, "ece": Mistakes.of(logits_NK.softmax(dim=1), labels_N).calibration_error}
