"""One augmentation at a time."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.groups import options
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.data.augment import Augmentation, active_augmentations
from resnet_lab.data.images import Normalisation
from support.composing import config as load_config

NORMALISE = Normalisation((0.5, 0.4, 0.3), (0.25, 0.5, 1.0))
OPTIONS = [option for option in options("augment") if option in AUGMENTATIONS]
CHOICES, OF_SERIES = ([one for one in OPTIONS if AUGMENTATIONS.info(one).dims in (None, dims)] for dims in (2, 1))
SERIES = ("data=fake", "data.dims=1", "data.image_size=32", "data.channels=3", "data.num_classes=10")


def only(choice: str, *overrides: str, normalise: Normalisation = NORMALISE) -> Augmentation:
    """The augmentation of this option of the group, for images unless told, without the crop and flip of the data."""
    config = load_config("data=cifar10", *overrides, f"augment=[none,{choice}]")
    [augmentation] = active_augmentations(config, normalise)
    return augmentation


def applied(
    augmentation: Augmentation, images_BCHW: Tensor, labels_B: Tensor | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The images and labels after it, all classes 0 unless given."""
    labels_B = torch.zeros(len(images_BCHW), dtype=torch.int64) if labels_B is None else labels_B
    return augmentation.apply(images_BCHW, labels_B, *augmentation.draw(np.random.default_rng(seed), len(images_BCHW)))


def curves(count: int, seed: int = 0) -> Tensor:
    """Random series (count, 3, 32)."""
    return torch.randn(count, 3, 32, generator=torch.Generator().manual_seed(seed))


def pictures(count: int, channels: int = 3, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth random pixels, uint8."""
    coarse = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    return (smooth.clamp(0, 1) * 255).round().to(torch.uint8)
