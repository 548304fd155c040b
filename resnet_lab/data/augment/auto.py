"""TrivialAugment and RandAugment: operations drawn at random, with the strengths that they have in torchvision."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.augment import STRENGTHS
from resnet_lab.data.augment.base import Augmentation
from resnet_lab.data.augment.operations import BITS, LEVELS, OPERATIONS, operated

NAMES = [*OPERATIONS]
IS_SIGNED = np.array([name not in ("identity", "posterize", "solarize", "autocontrast", "equalize") for name in NAMES])


class Operations(Augmentation):
    """Apply the operations that were drawn for each image, one after the other."""

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        pixels_BCHW = self.normalise.shares(images_BCHW)
        for number_B, value_B in zip(*(tensor.unbind(dim=1) for tensor in drawn), strict=True):
            pixels_BCHW = operated(pixels_BCHW, number_B, value_B)
        return self.normalise.of_shares(pixels_BCHW), labels


class TrivialAugment(Operations):
    """One operation with probability p; operation and strength are uniform."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the number of the operation, int64, and its value, float32, of shape (count, 1)."""
        number = rng.integers(0, len(OPERATIONS), (count, 1))
        strength = rng.integers(0, STRENGTHS, (count, 1))
        wide = strengths(shear=0.99, right=32, down=32, degrees=135, factor=0.99, lost_bits=6)
        value = wide[number, strength] * signs(rng, number)
        number[rng.random(count) >= self.settings.p] = NAMES.index("identity")
        return torch.from_numpy(number), torch.from_numpy(value).float()


class RandAugment(Operations):
    """`n` operations, each uniform, of the strength `magnitude`."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the numbers of the operations, int64, and their values, float32, of shape (count, n)."""
        _, height, width = self.data.image_shape
        number = rng.integers(0, len(OPERATIONS), (count, self.settings.n))
        most = {"right": 150 / 331 * width, "down": 150 / 331 * height}
        table = strengths(shear=0.3, degrees=30, factor=0.9, lost_bits=4, **most)
        value = table[number, self.settings.magnitude] * signs(rng, number)
        return torch.from_numpy(number), torch.from_numpy(value).float()


def signs(rng: np.random.Generator, number: np.ndarray) -> np.ndarray:
    """Draw 1 or −1 for each operation, and always 1 for those without a sign."""
    return np.where((rng.random(number.shape) < 0.5) & IS_SIGNED[number], -1, 1)


def strengths(*, shear: float, right: float, down: float, degrees: float, factor: float, lost_bits: int) -> np.ndarray:
    """Return the value of each operation for each strength, given those of the greatest: (operations, STRENGTHS)."""
    share = np.linspace(0, 1, STRENGTHS)
    of = {
        "shear_x": shear * share,
        "shear_y": shear * share,
        "translate_x": np.trunc(right * share),
        "translate_y": np.trunc(down * share),
        "rotate": degrees * share,
        "posterize": BITS - np.rint(lost_bits * share),
        "solarize": (LEVELS - 1) * (1 - share),
    }
    of |= dict.fromkeys(("brightness", "contrast", "saturation", "sharpness"), factor * share)
    return np.stack([of.get(name, np.zeros(STRENGTHS)) for name in NAMES])
