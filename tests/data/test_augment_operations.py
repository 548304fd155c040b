"""Shifts, colours and the operations of TrivialAugment and RandAugment equal those of SciPy, Pillow and kornia."""

from collections.abc import Callable

import kornia
import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats
from support.augmenting import NORMALISE, applied, only, pictures
from torch import Tensor

from resnet_lab.data.augment.auto import IS_SIGNED, NAMES
from resnet_lab.data.augment.operations import OPERATIONS, operated


def test_shifts_are_those_of_keras() -> None:
    """Keras' ImageDataGenerator calls SciPy like this."""
    shift, images = only("shift"), pictures(8)[:, :, :, :20].double()
    x_B, y_B = shift.draw(np.random.default_rng(0), 8)
    assert x_B.frac().abs().min() > 0
    shifted, _ = shift.apply(images, torch.zeros(8), x_B, y_B)
    for image, x, y, result in zip(images, x_B, y_B, shifted, strict=True):
        for channel, expected in zip(image, result, strict=True):
            known = ndimage.affine_transform(channel, np.eye(2), (y.item(), x.item()), order=1, mode="nearest")
            assert np.abs(known - expected.numpy()).max() < 1e-3  # of 255


def test_shifts_are_uniform_shares_of_width_and_height() -> None:
    shift = only("shift", "augment.shift.x=0.07", "data.image_size=[20,40]")
    for pixels_B, most in zip(shift.draw(np.random.default_rng(0), 5000), (0.07 * 40, 0.1 * 20), strict=True):
        assert stats.kstest(pixels_B, stats.uniform(-most, 2 * most).cdf).pvalue > 1e-3


def test_reflected_crops_are_those_of_numpy() -> None:
    crop, images = only("crop,reflect"), torch.randn(20, 3, 6, 7)
    tops, lefts = crop.draw(np.random.default_rng(0), 20)
    cropped, _ = crop.apply(images, torch.zeros(20), tops, lefts)
    for image, top, left, result in zip(images, tops, lefts, cropped, strict=True):
        padded = np.pad(image, [(0, 0), (4, 4), (4, 4)], mode="reflect")
        assert np.array_equal(padded[:, top : top + 6, left : left + 7], result)


# --- operations, one by one


def transformed(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


KNOWN: dict[tuple[str, float], Callable[[Image.Image], Image.Image]] = {
    ("identity", 0): lambda image: image,
    ("shear_x", 0.3): transformed(1, 0.3, 0, 0, 1, 0),
    ("shear_x", -0.99): transformed(1, -0.99, 0, 0, 1, 0),
    ("shear_y", 0.21): transformed(1, 0, 0, 0.21, 1, 0),
    ("translate_x", 5): transformed(1, 0, -5, 0, 1, 0),
    ("translate_y", -32): transformed(1, 0, 0, 0, 1, 32),
    ("rotate", 33): lambda image: image.rotate(33, Image.Resampling.NEAREST),
    ("rotate", -135): lambda image: image.rotate(-135, Image.Resampling.NEAREST),
    ("brightness", -0.6): lambda image: ImageEnhance.Brightness(image).enhance(0.4),
    ("brightness", 0.99): lambda image: ImageEnhance.Brightness(image).enhance(1.99),
    ("saturation", 0.7): lambda image: ImageEnhance.Color(image).enhance(1.7),
    ("contrast", -0.5): lambda image: ImageEnhance.Contrast(image).enhance(0.5),
    ("sharpness", 0.9): lambda image: ImageEnhance.Sharpness(image).enhance(1.9),
    ("sharpness", -0.9): lambda image: ImageEnhance.Sharpness(image).enhance(0.1),
    ("posterize", 3): lambda image: ImageOps.posterize(image, 3),
    ("posterize", 8): lambda image: image,
    ("solarize", 110.5): lambda image: ImageOps.solarize(image, 111),
    ("solarize", 255): lambda image: ImageOps.solarize(image, 255),
    ("autocontrast", 0): ImageOps.autocontrast,
    ("equalize", 0): ImageOps.equalize,
}


def changed(name: str, value: float, pixels: Tensor) -> Tensor:
    """An operation on uint8 images, as numbers 0…255, between images of other operations."""
    shares = pixels.double() / 255
    numbers, values = torch.full((len(pixels),), NAMES.index(name)), torch.full((len(pixels),), float(value))
    numbers[::2] = NAMES.index("identity")
    result = 255 * operated(shares, numbers, values)
    assert torch.allclose(result[::2], 255 * shares[::2])
    return result[1::2]


@pytest.mark.parametrize(("name", "value"), KNOWN)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_operation_is_that_of_pillow(name: str, value: float, channels: int) -> None:
    pixels = pictures(6, channels)
    pixels[5] = 77  # which cannot be stretched or equalised
    rounding = {"saturation": 2, "contrast": 2, "sharpness": 2, "brightness": 1, "autocontrast": 1}.get(name, 1e-6)
    for image, result in zip(pixels[1::2], changed(name, value, pixels), strict=True):
        shown = Image.fromarray(image[0].numpy() if channels == 1 else image.permute(1, 2, 0).numpy())
        known = torch.from_numpy(np.array(KNOWN[name, value](shown))).view(32, 32, channels).permute(2, 0, 1)
        differing = (known - result).abs() > rounding
        # Pillow adds up fractions of pixels in whole numbers, and so picks the other of two pixels that are as near.
        assert differing.double().mean() <= (0.03 if name in ("rotate", "shear_x", "shear_y") else 0)


BY_KORNIA: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sharpness": lambda pixels, value: kornia.enhance.sharpness(pixels, 1 + value),
    "equalize": lambda pixels, _: kornia.enhance.equalize(pixels),
    "brightness": lambda pixels, value: kornia.enhance.adjust_brightness_accumulative(pixels, 1 + value),
    "rotate": lambda pixels, value: kornia.geometry.rotate(pixels, value, mode="nearest"),
    "translate_x": lambda pixels, value: kornia.geometry.translate(
        pixels, torch.stack([value, 0 * value], dim=1), mode="nearest"
    ),
}


@pytest.mark.parametrize("name", BY_KORNIA)
def test_an_operation_with_a_value_for_each_image_is_that_of_kornia(name: str) -> None:
    pixels = pictures(5).float() / 255
    values = torch.tensor([-0.7, -0.2, 0.1, 0.4, 0.9]) * (20 if name in ("rotate", "translate_x") else 1)
    values = values.round() if name == "translate_x" else values
    result = operated(pixels, torch.full((5,), NAMES.index(name)), values)
    known = BY_KORNIA[name](pixels, values)
    assert ((result - known).abs() > 1e-5).float().mean() < 0.01


def test_all_images_of_all_operations_at_once_are_those_one_by_one() -> None:
    pixels, numbers = pictures(len(NAMES)).float() / 255, torch.arange(len(NAMES))
    values = torch.full((len(NAMES),), 0.5)
    together = operated(pixels, numbers, values)
    for number, operation in enumerate(OPERATIONS.values()):
        own = slice(number, number + 1)
        assert torch.equal(together[own], operation(pixels[own], values[own]))


# --- what is drawn


def test_trivial_augment_draws_each_operation_strength_and_sign_equally_often() -> None:
    numbers, values = (tensor[:, 0].numpy() for tensor in only("trivial").draw(np.random.default_rng(0), 50_000))
    assert stats.chisquare(np.bincount(numbers, minlength=14)).pvalue > 1e-3
    for name, least, most in (
        ("rotate", -135, 135), ("shear_x", -0.99, 0.99), ("translate_y", -32, 32), ("contrast", -0.99, 0.99),
        ("posterize", 2, 8), ("solarize", 0, 255),
    ):  # fmt: skip
        own = values[numbers == NAMES.index(name)]
        assert (own.min(), own.max()) == pytest.approx((least, most))
        found, counts = np.unique(own.round(4), return_counts=True)
        if IS_SIGNED[NAMES.index(name)]:
            assert len(found) == 61
            assert abs((own > 0).mean() - 30 / 62) < 0.05
            counts[30] /= 2  # 0 has both signs
            assert stats.chisquare(counts / counts.sum() * len(own)).pvalue > 1e-3
        else:
            assert len(found) == {"posterize": 7, "solarize": 31}[name]


def test_trivial_augment_leaves_as_many_images_as_asked() -> None:
    images = NORMALISE(pictures(400))
    changed, _ = applied(only("trivial", "augment.trivial.p=0.25"), images)
    assert 0.15 < ((changed - images).abs().amax(dim=(1, 2, 3)) > 1e-3).double().mean() < 0.3


def test_rand_augment_draws_n_operations_of_one_strength() -> None:
    rand = only("rand", "augment.rand.n=3", "augment.rand.magnitude=15", "data.image_size=[20,40]")
    numbers, values = (tensor.numpy() for tensor in rand.draw(np.random.default_rng(0), 5000))
    assert numbers.shape == values.shape == (5000, 3)
    pairs = np.bincount(numbers[:, 0] * 14 + numbers[:, 2], minlength=14**2)
    assert stats.chisquare(pairs).pvalue > 1e-3
    found = {
        name: {*np.abs(values[numbers == number]).astype(float).round(4).tolist()} for number, name in enumerate(NAMES)
    }
    of_torchvision = {
        "identity": 0, "autocontrast": 0, "equalize": 0, "shear_x": 0.15, "shear_y": 0.15,
        "translate_x": int(150 / 331 * 40 / 2), "translate_y": int(150 / 331 * 20 / 2), "rotate": 15,
        "brightness": 0.45, "saturation": 0.45, "contrast": 0.45, "sharpness": 0.45, "posterize": 6, "solarize": 127.5,
    }  # fmt: skip
    assert found == {name: {value} for name, value in of_torchvision.items()}


# --- colour jitter


def test_jitter_is_each_change_in_the_order_that_was_drawn() -> None:
    jitter, pixels = only("jitter"), pictures(12).float() / 255
    orders, factors = jitter.draw(np.random.default_rng(0), 12)
    assert len({tuple(order) for order in orders.tolist()}) > 3
    result, _ = jitter.apply(NORMALISE.of_shares(pixels), torch.zeros(12), orders, factors)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    for image, order, own, got in zip(pixels, orders, factors, NORMALISE.shares(result), strict=True):
        for kind in order:
            grey = (weights * image).sum(dim=0)
            base = (torch.zeros(()), grey.mean(), grey)[kind]
            image = (base + own[kind] * (image - base)).clamp(0, 1)
        assert torch.allclose(image, got, atol=1e-5)


def test_jitter_draws_uniform_factors_and_orders() -> None:
    orders, factors = only("jitter", "augment.jitter.saturation=0.1").draw(np.random.default_rng(0), 6000)
    for own, most in zip(factors.unbind(dim=1), (0.4, 0.4, 0.1), strict=True):
        assert stats.kstest(own, stats.uniform(1 - most, 2 * most).cdf).pvalue > 1e-3
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_saturation_of_a_grey_image_stays() -> None:
    off = ("augment.jitter.brightness=0", "augment.jitter.contrast=0", "data=mnist")
    images = torch.rand(8, 1, 28, 28)
    changed, _ = applied(only("jitter", *off, normalise=type(NORMALISE)((0.5,), (0.5,))), images - 0.5)
    assert torch.allclose(changed, images - 0.5, atol=1e-6)
