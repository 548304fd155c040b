"""Augmentations: random changes to training images, computed on whole batches on the device that holds them."""

from resnet_lab.data.augment.auto import RandAugment, TrivialAugment
from resnet_lab.data.augment.base import Augmentation, active_augmentations, augmented
from resnet_lab.data.augment.colour import Jitter
from resnet_lab.data.augment.erase import Cutout, Erasing
from resnet_lab.data.augment.geometry import Crop, Flip, Shift
from resnet_lab.data.augment.mix import Cutmix, Mixup

__all__ = [
    "Augmentation",
    "Crop",
    "Cutmix",
    "Cutout",
    "Erasing",
    "Flip",
    "Jitter",
    "Mixup",
    "RandAugment",
    "Shift",
    "TrivialAugment",
    "active_augmentations",
    "augmented",
]
