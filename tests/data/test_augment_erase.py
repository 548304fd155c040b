"""Cutout and random erasing cover what the papers say."""

import numpy as np
import pytest
import torch
from scipy import stats
from support.augmenting import applied, only
from torch import Tensor

from resnet_lab.data.augment.erase import normal_numbers


def covered(*names: str, count: int = 4000, seed: int = 0) -> Tensor:
    """Which pixels of images of ones an augmentation changed, (B, H, W)."""
    result, _ = applied(only(*names), torch.ones(count, 3, 32, 32), seed=seed)
    return (result != 1).any(dim=1)


def boxes(covered_BHW: Tensor) -> np.ndarray:
    """Top, height, left and width of what is covered, of the images in which something is; it must be a rectangle."""
    rows, columns = covered_BHW.any(dim=2), covered_BHW.any(dim=1)
    height, width = rows.sum(dim=1), columns.sum(dim=1)
    assert torch.equal(covered_BHW.sum(dim=(1, 2)), height * width)
    found = torch.stack([rows.int().argmax(dim=1), height, columns.int().argmax(dim=1), width])
    return found[:, height > 0].numpy()


@pytest.mark.parametrize("length", [16, 7])
def test_cutout_is_a_square_around_any_pixel_cut_off_at_the_border(length: int) -> None:
    cutout = only("cutout", f"augment.cutout.length={length}")
    top_B, bottom_B, left_B, right_B = cutout.draw(np.random.default_rng(0), 5000)
    for low_B, high_B in ((top_B, bottom_B), (left_B, right_B)):
        assert torch.equal(high_B - low_B, torch.full((5000,), length))
        assert stats.chisquare((low_B + length // 2).bincount(minlength=32)).pvalue > 1e-3
    assert abs(np.corrcoef(top_B, left_B)[0, 1]) < 0.05
    images = torch.randn(50, 3, 32, 32)
    result, _ = cutout.apply(images, torch.zeros(50), *(own[:50] for own in (top_B, bottom_B, left_B, right_B)))
    for image, top, left, got in zip(images, top_B, left_B, result, strict=False):
        expected = image.clone()  # as in the code of the paper
        y_1, y_2, x_1, x_2 = (np.clip(n, 0, 32) for n in (top, top + length, left, left + length))
        expected[:, y_1:y_2, x_1:x_2] = 0
        assert torch.equal(got, expected)


def test_erasing_draws_areas_and_ratios_uniformly_inside_the_image() -> None:
    covered_BHW = covered("erasing", "augment.erasing.area=[0.1,0.2]", "augment.erasing.ratio=[0.5,2]")
    top, height, left, width = boxes(covered_BHW)
    assert stats.binomtest(len(top), 4000, 0.5).pvalue > 1e-3
    area, ratio = height * width / 32**2, height / width
    assert stats.kstest(area, stats.uniform(0.1, 0.1).cdf).statistic < 0.06  # sizes are whole numbers
    assert stats.kstest(np.log(ratio), stats.uniform(np.log(0.5), np.log(4)).cdf).statistic < 0.06
    for low, size in ((top, height), (left, width)):
        assert stats.kstest((low + 0.5) / (33 - size), "uniform").statistic < 0.05


def test_erasing_tries_again_until_a_rectangle_fits_and_otherwise_leaves_the_image() -> None:
    tall = ("augment.erasing.p=1", "augment.erasing.area=[0.3,0.3]")
    none = covered("erasing", *tall, "augment.erasing.ratio=[30,30]", count=50)
    assert not none.any()
    _, height, _, width = boxes(covered("erasing", *tall, "augment.erasing.ratio=[0.25,4]", count=2000))
    assert len(height) == 2000  # about half of the first tries do not fit
    assert max(height.max(), width.max()) < 32


@pytest.mark.parametrize("value", ["colour", "noise"])
def test_erasing_fills_with_normal_numbers_of_each_image(value: str) -> None:
    images = torch.full((300, 3, 32, 32), 100.0)
    erasing = only("erasing", "augment.erasing.p=1", f"augment.erasing.value={value}")
    result, _ = applied(erasing, images)
    firsts = torch.stack([image[:, image[0] != 100][:, 0] for image in result])
    assert stats.kstest(firsts.flatten(), "norm").pvalue > 1e-3
    assert len(firsts[:, 0].unique()) == 300
    inside = [image[:, image[0] != 100].std(dim=1) for image in result if (image[0] != 100).sum() > 50]
    low, high = (0.7, 1.3) if value == "noise" else (0, 1e-6)
    assert all(low <= spread.min() <= spread.max() <= high for spread in inside)


def test_normal_numbers_follow_from_keys_and_are_independent() -> None:
    keys = torch.tensor([0, 1, 2, 2**32 - 1, 12345])
    numbers = normal_numbers(keys, 20_000)
    assert torch.equal(normal_numbers(keys[3:4], 20_000), numbers[3:4])
    assert all(stats.kstest(own, "norm").pvalue > 1e-3 for own in numbers)
    assert (np.corrcoef(numbers) - np.eye(5)).max() < 0.03
    assert np.abs(np.corrcoef(numbers[:, 1:].flatten(), numbers[:, :-1].flatten())[0, 1]) < 0.02
    assert stats.kstest(normal_numbers(torch.arange(20_000), 1).flatten(), "norm").pvalue > 1e-3
