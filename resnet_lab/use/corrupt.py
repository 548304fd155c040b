"""Corrupted copies of images at five strengths, in the spirit of Hendrycks & Dietterich 2019 (arXiv:1903.12261).

The strengths are our own, since theirs are for images of two sizes only: results cannot be compared with theirs.
"""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from resnet_lab.config.enums import Corruption
from resnet_lab.data.corrupt import changed
from resnet_lab.data.images import colours

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

SEED = 0
STRENGTHS = {
    "gaussian": (0.02, 0.05, 0.1, 0.15, 0.2),  # standard deviation of the noise, of values in 0…1
    "mask": (0.05, 0.1, 0.2, 0.3, 0.4),  # share of the pixels that become black
    "blur": (0.07, 0.11, 0.16, 0.22, 0.28),  # the Gaussian's standard deviation / square root of the shorter side
    "contrast": (0.75, 0.5, 0.35, 0.25, 0.15),  # multiplies the difference of a pixel from the mean of its channel
    "jpeg": (70, 40, 25, 15, 8),  # Pillow's quality
}


def corruption(name: str, level: int) -> Callable[[Pixels], Pixels]:
    """Return a function that corrupts a batch (B, C, H, W), except its alpha channel; `level` is 1 to 5.

    One stream of random numbers runs through all batches, so noise does not depend on the batch size.
    """
    strength = STRENGTHS[name][level - 1]
    rng = np.random.default_rng([SEED, level])

    def corrupted(pixels_BCHW: Pixels) -> Pixels:
        out = pixels_BCHW.copy()
        own = out[:, : colours(pixels_BCHW.shape[1])]
        match name:
            case "blur":
                own[:] = _rounded(_blurred(own / 255, strength))
            case "contrast":
                own[:] = _rounded(_flattened(own / 255, strength))
            case "jpeg":
                own[:] = np.stack([_compressed(image, int(strength)) for image in own])
            case _:
                own[:] = _rounded(changed(torch.from_numpy(own / 255), Corruption[name], strength, rng).numpy())
        return out

    return corrupted


def _rounded(images: Floats) -> Pixels:
    return np.round(255 * images.clip(0, 1)).astype(np.uint8)


def _blurred(images: Floats, strength: float) -> Floats:
    # 0.4 to 1.6 pixels in images of 32, 1 to 4 in images of 224; the paper's code has 0.4 to 1, and 1 to 6.
    sigma = strength * min(images.shape[2:]) ** 0.5
    return gaussian_filter(images, (0, 0, sigma, sigma), mode="nearest")


def _flattened(images: Floats, factor: float) -> Floats:
    mean = images.mean(axis=(2, 3), keepdims=True)
    return mean + factor * (images - mean)


def _compressed(image: Pixels, quality: int) -> Pixels:
    """Store an image of 1 or 3 channels as JPEG, and read it."""
    stored = io.BytesIO()
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    picture.save(stored, "JPEG", quality=quality)
    return np.atleast_3d(np.asarray(Image.open(stored))).transpose(2, 0, 1)
