"""Write a trained network to one file, which is checked on images before it gets its name."""

import platform
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.data import known
from resnet_lab.data.files import local
from resnet_lab.data.sources import read
from resnet_lab.rundir.directory import RunDirectory, refuse_unwritable
from resnet_lab.rundir.files import write_atomically
from resnet_lab.rundir.identity import identity
from resnet_lab.tasks.shared import portable, read_shared, shared_file
from resnet_lab.text import printable
from resnet_lab.use.formats import FORMATS, Facts, Function
from resnet_lab.use.trained import Trained
from resnet_lab.version import __version__

CHECKED = 32  # images
TOLERANCE = 1e-4  # of a probability; of other outputs relative to the largest, if that is above 1


def export(run: Path, to: str, out: Path | None = None, checkpoint: str = "last") -> str:
    """Write a network in a format, and return a line that says what was written and how it was checked.

    Raises ConfigError when the run cannot be read, the network cannot be exported, or the file's outputs differ, and
    OSError when the file cannot be written.
    """
    out = out or _default_path(run, to)
    refuse_unwritable(out.parent, "--out")
    if out.is_dir():
        raise ConfigError(f"--out must be a file, but {out} is a folder")
    trained = Trained.load(run, checkpoint)
    trained.net.cpu()
    content = FORMATS[to].content(trained, facts_of(run, trained, checkpoint))
    pixels, kind = _images(trained.config.data)
    differences = []

    def write(file: IO[bytes]) -> None:
        file.write(content)
        file.flush()
        differences.append(difference(FORMATS[to].load(Path(file.name)), trained, pixels))

    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, write)
    what = trained.final_name
    size = f"{len(content) / 1e6:.1f} MB"
    return f"written: {out} ({size}); {what} for {len(pixels)} {kind} differ by at most {differences[0]:.1g}"


def _default_path(run: Path, to: str) -> Path:
    file = shared_file(run)
    return file.with_suffix(f".{to}") if file else run / f"network.{to}"


def facts_of(run: Path, trained: Trained, checkpoint: str) -> Facts:
    """Return what the file says about the network, its images and the run."""
    if file := shared_file(run):
        shared = read_shared(file)
        origin = {"run": shared.run, "identity": shared.identity, "checkpoint": shared.checkpoint}
    else:
        name = printable("/".join(run.resolve().parts[-3:]))  # name, settings and seed
        origin = {"run": name, "identity": identity(RunDirectory(run).stored_config()), "checkpoint": checkpoint}
    described = trained.decoding.described()
    return origin | {
        "classes": list(trained.classes),
        **{name: described[name] for name in ("image_shape", "crop", "fit", "background")},
        "range": trained.decoding.range,
        "versions": {
            "resnet-lab": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "config": portable(trained.config),
    }


def _images(data: DataConfig) -> tuple[npt.NDArray[np.uint8], str]:
    """Return images (B, C, H, W) and their kind: test images of the run, or random ones; downloads nothing."""
    files = known.FILES.get(data.name, ())
    try:
        if all(local(data.folder, file, known.SYSTEM.get(data.name, ()))[0] for file in files):
            pixels = read(data).test.pixels[:CHECKED]
            return np.resize(pixels, (CHECKED, *data.image_shape)), "test images"  # fewer are repeated
    except (ConfigError, OSError):
        pass  # the images are not on this machine any more
    return np.random.default_rng(0).integers(0, 256, (CHECKED, *data.image_shape), dtype=np.uint8), "random images"


def difference(function: Function, trained: Trained, pixels: npt.NDArray[np.uint8]) -> float:
    """Return the largest difference between a function's outputs and the network's, in the unit of TOLERANCE.

    Raises ConfigError if it is above TOLERANCE.
    """
    expected = trained.final(pixels).numpy()
    outputs = np.concatenate([function(pixels[:1]), function(pixels[1:])])  # one image, and several
    largest = float(np.abs(outputs - expected).max() / max(1.0, np.abs(expected).max()))
    if not largest <= TOLERANCE:  # also refuses NaN
        raise ConfigError(f"the exported network differs from the trained one by {largest:.2g}: nothing is written")
    return largest
