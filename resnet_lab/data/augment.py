"""Augmentations: random changes to training images, computed on whole batches on the device that holds them."""

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
    """A random change to training images and, if needed, to their labels; `settings` is its entry in `config.augment`.

    Random numbers are drawn once per epoch for all images. An epoch's batches therefore do not depend on how many are
    computed per call, or on whether the run was resumed.
    """

    mixes = False  # whether it mixes images: `apply` then gets one mini-batch at a time, otherwise several in a row

    def __init__(self, settings: Any, data: DataConfig) -> None:
        self.settings, self.data = settings, data

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw all random numbers for `count` images: tensors (count, …) on the host."""

    @abstractmethod
    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Apply what was drawn to normalised images and their labels, all on one device.

        Labels are those of the data set, (B,) for classes; the result may be probabilities (B, data.num_classes).
        """


class Crop(Augmentation):
    """Pad with zeros, then crop to the original size: all (2·pad + 1)² offsets are equally likely.

    Images are normalised first, as in fb.resnet.torch, so zero is the mean colour.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the top and left offset of each crop in the padded image: int64, 0 … 2·pad."""
        corners = rng.integers(0, 2 * self.settings.pad + 1, size=(2, count))
        return tuple(torch.from_numpy(corners))

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Select each crop from a strided view of all crops. The result is channels-last."""
        batch, _, height, width = images_BCHW.shape
        pad = self.settings.pad
        padded_BHWC = F.pad(images_BCHW.permute(0, 2, 3, 1), [0, 0, pad, pad, pad, pad])
        crops = padded_BHWC.unfold(1, height, 1).unfold(2, width, 1)  # (B, top, left, C, H, W)
        image_B = torch.arange(batch, device=images_BCHW.device)
        cut_BHWC = crops.permute(0, 1, 2, 4, 5, 3)[image_B, *drawn]
        return cut_BHWC.permute(0, 3, 1, 2), labels


class Flip(Augmentation):
    """Mirror each image left to right with probability p."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw whether to mirror each image: bool."""
        return (torch.from_numpy(rng.random(count) < self.settings.p),)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Reverse the columns of the images for which a flip was drawn. The result is channels-last."""
        [flip_B] = drawn
        images_BHWC = images_BCHW.permute(0, 2, 3, 1)
        column_W = torch.arange(images_BCHW.shape[3], device=images_BCHW.device)
        column_BW = torch.where(flip_B[:, None], column_W.flip(0), column_W)
        flipped_BHWC = images_BHWC.gather(2, column_BW[:, None, :, None].expand_as(images_BHWC))
        return flipped_BHWC.permute(0, 3, 1, 2), labels


def active_augmentations(config: Config) -> list[Augmentation]:
    """Return the augmentations that change anything, in order of application."""
    return [
        AUGMENTATIONS.load(name)(settings, config.data) for name, settings in config.augment.items() if settings.active
    ]


def augmented(
    augmentation: Augmentation, images_BCHW: Tensor, labels: Tensor, drawn: list[Tensor], batch_size: int
) -> tuple[Tensor, Tensor]:
    """Apply an augmentation to consecutive mini-batches: to all at once, or one by one if it mixes images."""
    if not augmentation.mixes:
        return augmentation.apply(images_BCHW, labels, *drawn)
    parts = zip(*(tensor.split(batch_size) for tensor in (images_BCHW, labels, *drawn)), strict=True)
    images, targets = zip(*(augmentation.apply(*part) for part in parts), strict=True)
    return torch.cat(images), torch.cat(targets)
