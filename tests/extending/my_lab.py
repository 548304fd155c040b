"""A user's own module: one of everything that can be added."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import (
    AUGMENTATIONS,
    DATASETS,
    SHORTCUTS,
    TASKS,
    UNITS,
    AugmentationInfo,
    DatasetInfo,
    ShortcutInfo,
    UnitInfo,
)
from resnet_lab.config.tasks import TaskInfo
from resnet_lab.data.augment import Augmentation
from resnet_lab.data.sources import Images, Source
from resnet_lab.model.shortcuts import Sum
from resnet_lab.model.spec import ConvSpec
from resnet_lab.model.units import ResidualUnit
from resnet_lab.tasks.base import Task


@UNITS.register("five", UnitInfo(help="5x5"))
class Five(ResidualUnit):
    """One convolution of 5x5."""

    convs = (ConvSpec(5),)


@SHORTCUTS.register("halved", ShortcutInfo(help="(S + F) / 2", reads=frozenset({"resize"})))
class Halved(Sum):
    """(x + F(x)) / 2."""

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        return (self.path(x_BCHW) + residual_BCHW) / 2


@DATASETS.register("stripes", DatasetInfo(help="stripes, down or across", channels=1, classes=2, image_size=8))
def stripes(config: DataConfig) -> Source:
    """60 images to train on, 20 to test."""

    def images(count: int) -> Images:
        down = np.zeros((1, 8, 8), np.uint8)
        down[:, :, ::2] = 200
        labels = np.arange(count) % 2
        return Images(np.stack([down if label else down.transpose(0, 2, 1) for label in labels]), labels)

    return Source(images(60), images(20), ("across", "down"))


@dataclass(slots=True, kw_only=True)
class NoiseSettings:
    """`augment.noise.strength`."""

    strength: float = 0.0  # standard deviation; 0: none

    @property
    def active(self) -> bool:
        return self.strength > 0


@AUGMENTATIONS.register("noise", AugmentationInfo(help="normal noise", settings=NoiseSettings))
class Noise(Augmentation):
    """Adds a number to every image."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        return (torch.from_numpy(rng.normal(0, self.settings.strength, count)),)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        return images_BCHW + drawn[0].to(images_BCHW.dtype)[:, None, None, None], labels


class ShareInfo(TaskInfo):
    """One number for each image."""

    def num_outputs(self, data: DataConfig) -> int:
        return 1


@TASKS.register("share", ShareInfo(help="the label as a number", score="distance", figures=("flow", "filters")))
class Share(Task):
    """Outputs (B, 1) are compared with labels (B,)."""

    def loss(self, outputs: Tensor, targets: Any, smoothing: float = 0.0) -> Tensor:
        return F.mse_loss(outputs[:, 0], targets.to(outputs.dtype))

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[:, 0] - targets).abs().sum()
