"""Augmentations: random changes to training images or series, on whole batches and the device that holds them."""

from resnet_lab.data.augment.auto import RandAugment, TrivialAugment
from resnet_lab.data.augment.base import Augmentation, active_augmentations, augmented
from resnet_lab.data.augment.colour import Jitter, Lighting
from resnet_lab.data.augment.erase import Cutout, Erasing
from resnet_lab.data.augment.geometry import Crop, Flip, PartOfImage, ResizedCrop, ScaleCrop, Shift
from resnet_lab.data.augment.mix import Cutmix, Mixup
from resnet_lab.data.augment.series import Gaussian, Scale, Slice, Warp

__all__ = [
    "Augmentation",
    "Crop",
    "Cutmix",
    "Cutout",
    "Erasing",
    "Flip",
    "Gaussian",
    "Jitter",
    "Lighting",
    "Mixup",
    "PartOfImage",
    "RandAugment",
    "ResizedCrop",
    "Scale",
    "ScaleCrop",
    "Shift",
    "Slice",
    "TrivialAugment",
    "Warp",
    "active_augmentations",
    "augmented",
]
