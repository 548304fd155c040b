"""Intervals and tests against numbers by hand, and what corruptions do to images."""

import math

import numpy as np
import pytest
import torch

from resnet_lab.evaluate import CORRUPTIONS
from resnet_lab.use.corrupt import STRENGTHS, corruption
from resnet_lab.use.scores import contrasts, error_interval, scores_of


@pytest.mark.parametrize(("wrong", "count"), [(0, 10), (3, 10), (71, 1000), (10, 10)])
def test_the_interval_is_wilsons(wrong: int, count: int):
    """The shares p for which |p − wrong/count| is at most z standard errors of p."""
    z = 1.959963984540054
    share = wrong / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    assert error_interval(wrong, count) == pytest.approx((100 * (middle - half), 100 * (middle + half)), abs=1e-9)


def scored(name: str, predicted: np.ndarray, labels: np.ndarray) -> object:
    probabilities = torch.full((len(labels), 2), 0.2, dtype=torch.float64)
    probabilities[torch.arange(len(labels)), torch.from_numpy(predicted)] = 0.8
    return scores_of(probabilities, labels, {}, run=name, images="", classes=("a", "b"), temperature=1.0)


def test_pairs_are_corrected_by_holm():
    labels = np.zeros(40, dtype=np.int64)
    good, medium, bad = (np.array([0] * right + [1] * (40 - right)) for right in (40, 33, 20))
    found = contrasts([scored(name, own, labels) for name, own in (("g", good), ("m", medium), ("b", bad))])
    p = {"".join(one.runs): one.p for one in found}
    assert p == pytest.approx({"gm": 2 / 2**7, "gb": 2 / 2**20, "mb": 2 / 2**13})
    corrected = {"".join(one.runs): one.corrected for one in found}
    assert corrected == pytest.approx({"gb": 3 * p["gb"], "mb": 2 * p["mb"], "gm": p["gm"]})
    assert found[0].words() == (
        "g is better than m (only the first is right on 7 images, only the second on 0; p = 0.016, McNemar)"
    )


def test_scores_by_hand():
    found = scored("x", np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    assert found.error == 25
    assert found.class_errors == {"a": 0, "b": pytest.approx(100 / 3)}
    assert found.mistakes.confusion.tolist() == [[1, 0], [1, 2]]
    assert found.nll == pytest.approx(-(3 * math.log(0.8) + math.log(0.2)) / 4)
    assert found.mistakes.calibration_error == pytest.approx(0.8 - 0.75)


def test_the_command_line_offers_what_there_is():
    assert tuple(STRENGTHS) == CORRUPTIONS


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_corruptions_grow_and_repeat_and_leave_alpha(kind: str, channels: int):
    pixels = np.random.default_rng(0).integers(60, 190, (3, 4, 24, 32), dtype=np.uint8)[:, :channels]
    before, colours = pixels.copy(), 1 if channels < 3 else 3
    changes = []
    for level in range(1, 6):
        made = corruption(kind, level)(pixels)
        parts = corruption(kind, level)
        assert np.array_equal(np.concatenate([parts(pixels[:1]), parts(pixels[1:])]), made)
        assert np.array_equal(made[:, colours:], pixels[:, colours:])
        changes.append(np.abs(made.astype(float) - pixels).mean())
    assert np.array_equal(pixels, before)
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_strengths_are_what_they_are_called():
    grey = np.full((1, 1, 64, 64), 128, np.uint8)
    for level, strength in enumerate(STRENGTHS["gaussian"], start=1):
        assert corruption("gaussian", level)(grey).std() / 255 == pytest.approx(strength, rel=0.05)
    pixels = np.zeros((1, 1, 2, 2), np.uint8)
    pixels[..., 0] = 200
    for level, factor in enumerate(STRENGTHS["contrast"], start=1):
        values = corruption("contrast", level)(pixels)[0, 0, 0].astype(int)
        assert values[0] - values[1] == pytest.approx(200 * factor, abs=1)
    dot = np.zeros((1, 1, 101, 101), np.uint8)
    dot[..., 48:53, 48:53] = 255
    blurred = corruption("blur", 5)(dot)[0, 0].astype(float)
    rows = np.arange(101) - 50
    variance = (blurred.sum(axis=1) * rows**2).sum() / blurred.sum()
    assert math.sqrt(variance - 2) == pytest.approx(STRENGTHS["blur"][4] * 101**0.5, rel=0.05)  # 2 is that of the dot
