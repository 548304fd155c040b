"""Augmentations that mix each image, and its label, with another image of its mini-batch: mixup and CutMix."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.data.augment.base import Augmentation
from resnet_lab.data.augment.erase import rectangles


class Mixup(Augmentation):
    """Average each image with another one, and their labels, by a weight from Beta(alpha, alpha) for each image."""

    mixes = True

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw a key whose order gives the other image, float64, and the weight of the image itself, float32."""
        return torch.from_numpy(rng.random(count)), torch.from_numpy(drawn_weights(rng, count, self.settings)).float()

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        key_B, weight_B = drawn
        other_B = key_B.argsort()
        weight_B111 = weight_B.reshape(-1, *[1] * (images_BCHW.ndim - 1)).to(images_BCHW.dtype)
        mixed_BCHW = torch.lerp(images_BCHW[other_B], images_BCHW, weight_B111)
        return mixed_BCHW, mixed_labels(labels, other_B, weight_B, self.data.num_classes)


class Cutmix(Augmentation):
    """Replace a rectangle of each image by that of another one, and average their labels by area.

    The rectangle is cut off where it sticks out of the image. Before that, it has the image's aspect ratio, and its
    share of the area is 1 − λ, with λ from Beta(alpha, alpha).
    """

    mixes = True

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw a key whose order gives the other image, the rectangle as for cutout, and the weight of the image."""
        _, height, width = self.data.image_shape
        size_21 = np.array([[height], [width]])
        key = rng.random(count)
        half_2B = (np.sqrt(1 - drawn_weights(rng, count, self.settings)) * size_21).astype(int) // 2
        centre_2B = rng.integers(0, size_21, (2, count))
        low_2B, high_2B = (np.clip(ends, 0, size_21) for ends in (centre_2B - half_2B, centre_2B + half_2B))
        weight = 1 - (high_2B - low_2B).prod(axis=0) / (height * width)
        (top, left), (bottom, right) = low_2B, high_2B
        rectangle = map(torch.from_numpy, (top, bottom, left, right))
        return torch.from_numpy(key), *rectangle, torch.from_numpy(weight).float()

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        key_B, *rectangle, weight_B = drawn
        other_B = key_B.argsort()
        mixed_BCHW = torch.where(rectangles(images_BCHW, *rectangle), images_BCHW[other_B], images_BCHW)
        return mixed_BCHW, mixed_labels(labels, other_B, weight_B, self.data.num_classes)


def drawn_weights(rng: np.random.Generator, count: int, settings: Any) -> np.ndarray:
    """Draw weights from Beta(alpha, alpha), or 1 for the images that are not mixed, with probability 1 − p."""
    is_mixed = rng.random(count) < settings.p
    return np.where(is_mixed, rng.beta(settings.alpha, settings.alpha, count), 1.0)


def mixed_labels(labels: Tensor, other_B: Tensor, weight_B: Tensor, num_classes: int | None) -> Tensor:
    """Return probabilities (B, K), float32: those of each image times its weight, plus those of the other image.

    Labels are classes (B,), or attributes or probabilities (B, K).
    """
    assert num_classes is not None
    probabilities_BK = (F.one_hot(labels, num_classes) if labels.ndim == 1 else labels).float()
    return torch.lerp(probabilities_BK[other_B], probabilities_BK, weight_B[:, None])
