"""Augmentations that cover a part of an image: cutout and random erasing."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.enums import Filling
from resnet_lab.data.augment.base import Augmentation
from resnet_lab.data.augment.geometry import TRIES, first_that_fits

_MASK = 2**32 - 1


class Cutout(Augmentation):
    """Zero a square. Its centre is any pixel, so it may stick out of the image."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the first row, the last row + 1, the first column and the last column + 1 of the square: int64."""
        _, height, width = self.data.image_shape
        centre_2B = rng.integers(0, [[height], [width]], (2, count))
        top, left = centre_2B - self.settings.length // 2
        return tuple(map(torch.from_numpy, (top, top + self.settings.length, left, left + self.settings.length)))

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        return images_BCHW.masked_fill(rectangles(images_BCHW, *drawn), 0), labels


class Erasing(Augmentation):
    """Fill a rectangle of random area and aspect ratio, which lies inside the image, with probability p."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the rectangle, as for cutout, empty for an image that stays, and a key for what fills it: int64."""
        _, height, width = self.data.image_shape
        (smallest, largest), (flattest, tallest) = self.settings.area, np.log(self.settings.ratio)
        area = height * width * rng.uniform(smallest, largest, (TRIES, count))
        ratio = np.exp(rng.uniform(flattest, tallest, (TRIES, count)))
        *sizes, fits = first_that_fits(area, ratio, height - 1, width - 1)
        is_erased = (rng.random(count) < self.settings.p) & fits
        rows, columns = (np.where(is_erased, size, 0) for size in sizes)
        top, left = rng.integers(0, [height - rows + 1, width - columns + 1])
        key = rng.integers(0, 2**32, count)
        return tuple(map(torch.from_numpy, (top, top + rows, left, left + columns, key)))

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        *rectangle, key_B = drawn
        mask_B1HW = rectangles(images_BCHW, *rectangle)
        if self.settings.value is Filling.zero:
            return images_BCHW.masked_fill(mask_B1HW, 0), labels
        shape = images_BCHW.shape[1:] if self.settings.value is Filling.noise else (images_BCHW.shape[1], 1, 1)
        filling = normal_numbers(key_B, *shape).to(images_BCHW.dtype)
        return torch.where(mask_B1HW, filling, images_BCHW), labels


def rectangles(images_BCHW: Tensor, top_B: Tensor, bottom_B: Tensor, left_B: Tensor, right_B: Tensor) -> Tensor:
    """Return which pixels are within top ≤ row < bottom and left ≤ column < right: bool (B, 1, H, W)."""
    height, width = images_BCHW.shape[2:]
    row_H, column_W = (torch.arange(size, device=images_BCHW.device) for size in (height, width))
    row_BH = (row_H >= top_B[:, None]) & (row_H < bottom_B[:, None])
    column_BW = (column_W >= left_B[:, None]) & (column_W < right_B[:, None])
    return (row_BH[:, :, None] & column_BW[:, None, :])[:, None]


def normal_numbers(key_B: Tensor, *shape: int) -> Tensor:
    """Return numbers (B, *shape) from N(0, 1) that follow from the keys, 0 … 2³² − 1, on any device.

    Noise for all images of an epoch would not fit into memory. Keys and positions are hashed instead, twice, so that
    neighbouring keys share nothing.
    """
    position = torch.arange(int(np.prod(shape)), device=key_B.device)
    bits = _hashed(_hashed(key_B)[:, None] ^ _hashed(position + 1))
    return torch.special.ndtri((bits + 0.5) / 2**32).reshape(-1, *shape)


def _hashed(bits: Tensor) -> Tensor:
    """Hash 32-bit numbers, stored as int64: Wellons' lowbias32, which maps no two numbers to the same one."""
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) & _MASK
    bits = ((bits ^ (bits >> 15)) * 0x846CA68B) & _MASK
    return bits ^ (bits >> 16)
