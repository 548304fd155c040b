"""The temperature minimises the NLL of the validation part, and is used for the weights that it was fitted for."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from least import OWN, Shell, train
from support.lab import Lab
from support.pictures import noise

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.fingerprint import look_again
from resnet_lab.use.calibration import calibrated, fit_temperature
from resnet_lab.use.trained import Trained


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean negative logarithm of the labels' probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]))


def least(logits: np.ndarray, labels: np.ndarray) -> float:
    """The best of 2,001 temperatures, 0.2 % apart."""
    temperatures = np.geomspace(0.2, 10, 2_001)
    return float(temperatures[np.argmin([nll(logits / one, labels) for one in temperatures])])


def test_the_temperature_is_the_one_of_an_exhaustive_search():
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(200, 4))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(4, p=row) for row in shares])
    for factor in (3.0, 0.5):  # too confident, too modest
        found = fit_temperature(torch.from_numpy(factor * honest).float(), torch.from_numpy(labels))
        assert found == pytest.approx(least(factor * honest, labels), rel=2e-3)
        assert found == pytest.approx(factor, rel=0.3)  # labels were drawn with temperature 1 before the factor


@pytest.mark.parametrize("labels", [[0, 1], [1, 0]], ids=["all right", "all wrong"])
def test_labels_that_determine_no_temperature(labels: list[int]):
    with pytest.raises(ConfigError, match=r"no temperature from 0\.01 to 100 minimises the NLL of the 2 validation"):
        fit_temperature(10 * torch.eye(2), torch.tensor(labels))


@pytest.fixture
def own_run(pets_run: Path, tmp_path: Path) -> Path:
    """A copy of the run on the pets, to change."""
    return Path(shutil.copytree(pets_run, tmp_path / "run"))


def test_calibrate_and_predict(shell: Shell, pets: Path, own_run: Path):
    status, out, err = shell("predict", own_run, "--calibrate")
    assert (status, out) == (0, "")
    stored = json.loads((own_run / "calibration.json").read_text())["last"]
    config, _ = load_run(own_run)
    data, trained = ImageData(config), Trained.load(own_run)
    rows = data.validation_rows
    logits = trained.outputs(np.stack([data.source.train.pixels[row] for row in rows])).numpy().astype(np.float64)
    labels = data.source.train.labels[rows]
    temperature = stored["temperature"]
    assert nll(logits / temperature, labels) <= nll(logits / least(logits, labels), labels) + 1e-9
    assert stored["images"] == len(rows) == 6
    assert stored["nll"] == pytest.approx({"before": nll(logits, labels), "after": nll(logits / temperature, labels)})
    assert err.startswith(f"temperature {temperature:.4g}, fitted on 6 validation images: ECE ")

    image = pets / "test" / "cat" / "wide.png"
    _, out, err = shell("predict", own_run, image, "--json", "--top=2")
    assert err == f"calibrated with temperature {temperature:.4g} ({own_run / 'calibration.json'})\n"
    expected = (trained.outputs(trained.read(image)[None]) / temperature).softmax(dim=1).max().item()
    assert json.loads(out)[0]["probability"] == pytest.approx(expected, abs=1e-6)


def test_ece_of_known_probabilities(shell: Shell, own_run: Path):
    """15 bins of equal width, each with the gap of its mean confidence and accuracy, weighted by its images."""
    shell("predict", own_run, "--calibrate")
    stored = json.loads((own_run / "calibration.json").read_text())["last"]
    data, trained = ImageData(load_run(own_run)[0]), Trained.load(own_run)
    rows = data.validation_rows
    confidence, predicted = trained.probabilities(np.array(data.source.train.pixels[rows])).max(dim=1)
    right = predicted.numpy() == data.source.train.labels[rows]
    bins = np.ceil(confidence.numpy() * 15)
    gaps = [abs(right[bins == one].sum() - confidence.numpy()[bins == one].sum()) for one in np.unique(bins)]
    assert stored["ece"]["before"] == pytest.approx(sum(gaps) / len(rows), abs=1e-6)


def test_a_file_of_other_weights_is_not_used(own_run: Path, pets_run: Path, tmp_path: Path, shell: Shell):
    assert shell("predict", own_run, "--calibrate", "--out", tmp_path / "out")[0] == 0
    assert not (own_run / "calibration.json").exists()
    trained = Trained.load(own_run)
    assert calibrated(trained, own_run, "last")[0].temperature == 1
    assert calibrated(trained, own_run, "last", tmp_path / "out")[0].temperature != 1
    made, line = calibrated(trained, own_run, "best", tmp_path / "out")
    assert made.temperature == 1
    assert "has no temperature for checkpoint best" in line
    with torch.no_grad():
        next(trained.net.parameters()).add_(1)
    made, line = calibrated(trained, own_run, "last", tmp_path / "out")
    assert made.temperature == 1
    assert "was fitted to other weights and is not used" in line


@pytest.mark.parametrize("text", ["{", '{"last": {"temperature": 0}}', '{"last": {"temperature": "1"}}'])
def test_a_damaged_file_is_one_message(own_run: Path, text: str):
    (own_run / "calibration.json").write_text(text)
    with pytest.raises(ConfigError, match=r"run: calibration\.json.*\. Repeat --calibrate, or remove the file$"):
        calibrated(Trained.load(own_run), own_run, "last")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_that_is_read_only(shell: Shell, own_run: Path):
    own_run.chmod(0o555)
    status, _, err = shell("predict", own_run, "--calibrate")
    own_run.chmod(0o755)
    assert (status, err.count("\n")) == (1, 1)
    assert "Permission denied. Choose another folder with --out DIR" in err


def test_images_that_are_gone_or_changed_or_not_held_out(shell: Shell, lab: Lab, tmp_path: Path):
    root = noise(tmp_path / "pets", {"train/cat": 4, "train/dog": 4, "test/cat": 1})
    path = train(lab, *OWN, f"data.root={root}", "data.validation=0")
    message = "has no validation part: train with data.validation=0.1, for example\n"
    assert shell("predict", path, "--calibrate")[2].endswith(message)
    (root / "train" / "cat" / "0.png").write_bytes((root / "train" / "dog" / "1.png").read_bytes())
    look_again()
    status, _, err = shell("predict", path, "--calibrate")
    assert (status, err.count("\n")) == (1, 1)
    assert "have changed since the run: train/cat: still 4 images" in err
    root.rename(tmp_path / "elsewhere")
    look_again()
    status, _, err = shell("predict", path, "--calibrate")
    assert (status, err) == (1, f"data.root={root}: there is no such folder\n")
