"""What an augmentation is, and which ones a configuration asks for."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.config.schema import Config
from resnet_lab.data.images import Normalisation


class Augmentation(ABC):
    """A random change to training images and, if needed, to their labels; `settings` is its entry in `config.augment`.

    Random numbers are drawn once per epoch for all images. An epoch's batches therefore do not depend on how many are
    computed per call, or on whether the run was resumed.
    """

    mixes = False  # whether it mixes images: `apply` then gets one mini-batch at a time, otherwise several in a row

    def __init__(self, settings: Any, data: DataConfig, normalise: Normalisation) -> None:
        self.settings, self.data, self.normalise = settings, data, normalise

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw all random numbers for `count` images: tensors (count, …) on the host."""

    @abstractmethod
    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Apply what was drawn to normalised images and their labels, all on one device.

        Labels are those of the data set, (B,) for classes; the result may be probabilities (B, data.num_classes).
        """


def active_augmentations(config: Config, normalise: Normalisation) -> list[Augmentation]:
    """Return the augmentations that change anything, in order of application, for images normalised like that."""
    active = {name: settings for name, settings in config.augment.items() if settings.active}
    return [AUGMENTATIONS.load(name)(settings, config.data, normalise) for name, settings in active.items()]


def augmented(
    augmentation: Augmentation, images_BCHW: Tensor, labels: Tensor, drawn: list[Tensor], batch_size: int
) -> tuple[Tensor, Tensor]:
    """Apply an augmentation to consecutive mini-batches: to all at once, or one by one if it mixes images."""
    if not augmentation.mixes:
        return augmentation.apply(images_BCHW, labels, *drawn)
    parts = zip(*(tensor.split(batch_size) for tensor in (images_BCHW, labels, *drawn)), strict=True)
    images, targets = zip(*(augmentation.apply(*part) for part in parts), strict=True)
    return torch.cat(images), torch.cat(targets)
