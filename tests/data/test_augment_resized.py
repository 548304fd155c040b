"""Crops of random size: what is drawn, and the pixels that result."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from support.augmenting import only, pictures

LOG = np.log([3 / 4, 4 / 3])


@pytest.mark.parametrize("size", [32, 20])
def test_pixels_are_those_of_pillow(size: int) -> None:
    crop, images = only("resized_crop", f"data.image_size=[32,{size}]"), pictures(40)[..., :size].double()
    drawn = crop.draw(np.random.default_rng(0), 40)
    cropped, _ = crop.apply(images, torch.zeros(40), *drawn)
    for image, top, left, height, width, result in zip(images, *(own.tolist() for own in drawn), cropped, strict=True):
        for channel, found in zip(image.float().numpy(), result, strict=True):
            part = Image.fromarray(channel).crop((left, top, left + width, top + height))
            known = part.resize((size, 32), Image.Resampling.BILINEAR)
            assert np.abs(np.asarray(known) - found.numpy()).max() < 1e-3  # of 255


def drawn(*overrides: str, count: int = 20_000) -> tuple[np.ndarray, ...]:
    """Top, left, height and width, in an image so large that whole pixels do not show."""
    crop = only("resized_crop", "data.image_size=10000", *overrides)
    return tuple(own.numpy() for own in crop.draw(np.random.default_rng(0), count))


def test_area_and_ratio_are_drawn_as_in_torchvision() -> None:
    top, left, height, width = drawn("augment.resized_crop.area=[0.08,0.7]")  # each of these fits
    area, ratio = height * width / 1e8, np.log(height / width)
    assert stats.kstest(area, stats.uniform(0.08, 0.62).cdf).pvalue > 1e-3
    assert stats.kstest(ratio, stats.uniform(LOG[0], LOG[1] - LOG[0]).cdf).pvalue > 1e-3
    for first, size in ((top, height), (left, width)):
        assert stats.kstest(first / (10000 - size), stats.uniform().cdf).pvalue > 1e-3
        assert (first + size <= 10000).all()
    assert abs(stats.spearmanr(area, ratio).statistic) < 0.03


def test_what_does_not_fit_is_drawn_again() -> None:
    _, _, height, width = drawn()
    area = height * width / 1e8
    assert 0.9 < area.max() <= 1  # of a whole image, squares alone fit
    for least, most in ((0.08, 0.3), (0.3, 0.5)):  # below 0.75, all fit, so they are as frequent as each other
        within = area[(area > least) & (area < most)]
        assert stats.kstest(within, stats.uniform(least, most - least).cdf).pvalue > 1e-3


def test_ratios_of_fb_resnet_torch() -> None:
    """Uniform from 3/4 to 4/3, or that of its reciprocal: the mean is that of both."""
    _, _, height, width = drawn("augment.resized_crop.area=[0.08,0.7]", "augment.resized_crop.spread=uniform")
    ratio, uniform = height / width, stats.uniform(3 / 4, 4 / 3 - 3 / 4)

    def cdf(value: np.ndarray) -> np.ndarray:
        return (uniform.cdf(value) + uniform.sf(1 / value)) / 2

    assert stats.kstest(ratio, cdf).pvalue > 1e-3
    assert stats.kstest(ratio, uniform.cdf).pvalue < 1e-6


def test_images_that_are_not_cropped_stay() -> None:
    crop, images = only("resized_crop", "augment.resized_crop.p=0.5"), pictures(400).double()
    *corner, height, width = crop.draw(np.random.default_rng(0), 400)
    stays = (height == 32) & (width == 32)
    assert stats.binomtest(int(stays.sum()), 400, 0.5).pvalue > 1e-3
    assert not any(own[stays].any() for own in corner)
    cropped, _ = crop.apply(images, torch.zeros(400), *corner, height, width)
    torch.testing.assert_close(cropped[stays], images[stays])


def test_without_a_part_that_fits_it_is_the_whole_image() -> None:
    crop = only("resized_crop", "augment.resized_crop.area=[0.9,1]", "augment.resized_crop.ratio=[9,10]")
    top, left, height, width = crop.draw(np.random.default_rng(0), 50)
    assert not top.any()
    assert not left.any()
    assert (height == 32).all()
    assert (width == 32).all()
