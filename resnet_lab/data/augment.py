"""Augmentation as arithmetic on whole batches, on whatever device they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class Crops(NamedTuple):
    """How each of B images is changed: where its crop starts in the padded image, and whether it is mirrored."""

    top_B: Tensor  # int64, 0 … 2·pad
    left_B: Tensor  # int64, 0 … 2·pad
    flip_B: Tensor  # bool

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, pad: int, flip: bool) -> Crops:
        """For `count` images: all (2·pad + 1)² offsets equally likely, mirrored with probability 1/2."""
        top, left = rng.integers(0, 2 * pad + 1, size=(2, count))
        flipped = rng.random(count) < (0.5 if flip else 0)
        return cls(*(torch.from_numpy(drawn) for drawn in (top, left, flipped)))

    def to(self, device: torch.device) -> Crops:
        """The same on a device."""
        return Crops(*(drawn.to(device) for drawn in self))

    def part(self, start: int, stop: int) -> Crops:
        """Those of the images start … stop - 1."""
        return Crops(*(drawn[start:stop] for drawn in self))


def crop_and_flip(images_BCHW: Tensor, crops: Crops, pad: int) -> Tensor:
    """Pad with zeros, cut out the image's own size at the drawn offset, mirror left and right where drawn.

    Images are normalised before, as in fb.resnet.torch, so that a zero is the mean colour. Channels-last.
    """
    batch, _, height, width = images_BCHW.shape
    device = images_BCHW.device
    padded_BHWC = F.pad(images_BCHW, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    column_W = torch.arange(width, device=device)
    columns_BW = crops.left_B[:, None] + torch.where(crops.flip_B[:, None], width - 1 - column_W, column_W)
    rows_BH = crops.top_B[:, None] + torch.arange(height, device=device)
    image_B = torch.arange(batch, device=device)
    cut_BHWC = padded_BHWC[image_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]
    return cut_BHWC.permute(0, 3, 1, 2)
