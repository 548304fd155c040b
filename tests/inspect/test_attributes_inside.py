"""What is shown of attributes, against formulas in NumPy, and the parts of the page."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from support.lab import Lab

from resnet_lab.command import exit_status
from resnet_lab.inspect.__main__ import main as inspect
from resnet_lab.inspect.attributes import AttributeMistakes, correlations

RNG = np.random.default_rng(0)
PROBABILITIES = expit(2 * RNG.normal(size=(60, 3))).astype(np.float32)
IS_ON = (RNG.random((60, 3)) < [0.3, 0.6, 1.0]).astype(np.uint8)


def test_errors_and_confident_mistakes():
    found = AttributeMistakes.of(torch.from_numpy(PROBABILITIES), torch.from_numpy(IS_ON))
    wrong = (PROBABILITIES > 0.5) != IS_ON
    assert found.errors.tolist() == pytest.approx((100 * wrong.mean(axis=0)).tolist())
    for k in range(3):
        mistakes = found.most_confident(k)
        assert sorted(mistakes) == np.flatnonzero(wrong[:, k]).tolist()
        confidence = np.maximum(PROBABILITIES[mistakes, k], 1 - PROBABILITIES[mistakes, k])
        assert (np.diff(confidence) <= 0).all()


def test_calibration_is_that_of_all_decisions():
    found = AttributeMistakes.of(torch.from_numpy(PROBABILITIES), torch.from_numpy(IS_ON)).each
    confidence = np.maximum(PROBABILITIES, 1 - PROBABILITIES).ravel()
    right = ((PROBABILITIES > 0.5) == IS_ON).ravel()
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [abs(confidence[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in {*bins}]
    assert found.calibration_error == pytest.approx(sum(gaps), abs=1e-5)
    assert found.confusion.sum() == 180


def test_correlations_are_those_of_numpy():
    found = correlations(IS_ON.astype(float))
    assert found[:2, :2] == pytest.approx(np.corrcoef(IS_ON[:, :2].T))
    assert np.isnan(found[2]).all()  # all images have it


def test_a_page_on_attributes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lab = Lab(tmp_path)
    small = ("data.num_classes=6", "data.num_train=64", "data.channels=1", "trainer.max_epochs=1")
    bits = ("data=digit_bits", "task=attributes", *small)
    lab.run(*bits)
    path = lab.directory(*bits).path
    assert exit_status(inspect, [str(path), "saliency", "mistakes", "flow", "--class", "prime"]) == 0
    made = {file.stem for file in (path / "figures").iterdir()}
    assert {"saliency-0", "saliency-1", "saliency-2", "attributes", "correlation", "confident-mistakes"} <= made
    assert "confusion" not in made
    capsys.readouterr()
    assert exit_status(inspect, [str(path), "flow", "--class", "7"]) == 1
    assert "--class: unknown class 7; known classes: eights, fours" in capsys.readouterr().err
