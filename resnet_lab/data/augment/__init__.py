"""Augmentations: random changes to training images, computed on whole batches on the device that holds them."""

from resnet_lab.data.augment.base import Augmentation, active_augmentations, augmented
from resnet_lab.data.augment.geometry import Crop, Flip

__all__ = ["Augmentation", "Crop", "Flip", "active_augmentations", "augmented"]
