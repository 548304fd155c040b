"""Augmentations: random changes of training images as arithmetic on whole batches, on whatever device they are."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.config.schema import Config


class Augmentation(ABC):
    """A random change of training images, and of their labels if need be; `settings` is its part of `config.augment`.

    An epoch draws once for all of its images, so that its batches are the same however many of them are made at once,
    and also where a run continues.
    """

    mixes = False  # whether it mixes images: then it is given one mini-batch at a time, else several in a row

    def __init__(self, settings: Any, data: DataConfig) -> None:
        self.settings, self.data = settings, data

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """All that is random about `count` images: tensors (count, …), on the host."""

    @abstractmethod
    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images and their labels as changed by what was drawn for them, all on one device.

        Labels are those of the data set, (B,) for classes, and may become probabilities (B, data.num_classes).
        """


class Crop(Augmentation):
    """Zero padding, then a crop of the image's own size: all (2·pad + 1)² corners are equally likely.

    Images are normalised before, as in fb.resnet.torch, so that a zero is the mean colour.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Top and left of each crop in the padded image: int64, 0 … 2·pad."""
        corners = rng.integers(0, 2 * self.settings.pad + 1, size=(2, count))
        return tuple(torch.from_numpy(corners))

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """One of all crops that an image has, which are a view of it. Channels-last."""
        batch, _, height, width = images_BCHW.shape
        pad = self.settings.pad
        padded_BHWC = F.pad(images_BCHW.permute(0, 2, 3, 1), [0, 0, pad, pad, pad, pad])
        crops = padded_BHWC.unfold(1, height, 1).unfold(2, width, 1)  # (B, top, left, C, H, W)
        image_B = torch.arange(batch, device=images_BCHW.device)
        cut_BHWC = crops.permute(0, 1, 2, 4, 5, 3)[image_B, *drawn]
        return cut_BHWC.permute(0, 3, 1, 2), labels


class Flip(Augmentation):
    """Mirrored left and right with probability p."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Whether each is mirrored: bool."""
        return (torch.from_numpy(rng.random(count) < self.settings.p),)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Columns from right to left where drawn. Channels-last."""
        [flip_B] = drawn
        images_BHWC = images_BCHW.permute(0, 2, 3, 1)
        column_W = torch.arange(images_BCHW.shape[3], device=images_BCHW.device)
        column_BW = torch.where(flip_B[:, None], column_W.flip(0), column_W)
        flipped_BHWC = images_BHWC.gather(2, column_BW[:, None, :, None].expand_as(images_BHWC))
        return flipped_BHWC.permute(0, 3, 1, 2), labels


def active_augmentations(config: Config) -> list[Augmentation]:
    """Those that change anything, in the order in which they are applied."""
    return [
        AUGMENTATIONS.load(name)(settings, config.data) for name, settings in config.augment.items() if settings.active
    ]


def augmented(
    augmentation: Augmentation, images_BCHW: Tensor, labels: Tensor, drawn: list[Tensor], batch_size: int
) -> tuple[Tensor, Tensor]:
    """Apply to mini-batches in a row: to all at once, or to one after the other where images are mixed."""
    if not augmentation.mixes:
        return augmentation.apply(images_BCHW, labels, *drawn)
    parts = zip(*(tensor.split(batch_size) for tensor in (images_BCHW, labels, *drawn)), strict=True)
    images, targets = zip(*(augmentation.apply(*part) for part in parts), strict=True)
    return torch.cat(images), torch.cat(targets)
