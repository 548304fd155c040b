"""Augmentations of series: parts that are stretched, other amplitudes, and noise."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.data.augment.base import Augmentation
from resnet_lab.data.augment.erase import normal_numbers
from resnet_lab.data.augment.geometry import centres, sampled


class Slice(Augmentation):
    """Stretch a share of each series to its length (window slicing, Le Guennec et al. 2016)."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw where each part begins, in positions: float32."""
        _, length = self.data.image_shape
        return (torch.from_numpy(rng.uniform(0, length * (1 - self.settings.share), count)).float(),)

    def apply(self, series_BCL: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        [start_B] = drawn
        return resampled(series_BCL, start_B[:, None] + self.settings.share * moments(series_BCL)), labels


class Warp(Augmentation):
    """Make a part of each series longer or shorter, with probability p (window warping, Le Guennec et al. 2016).

    What results is resampled to the former length, so all other parts get shorter or longer.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw where each part begins, in positions, and the factor of its length: float32, 1 for series that stay."""
        _, length = self.data.image_shape
        start = rng.uniform(0, length * (1 - self.settings.share), count)
        factor = np.where(rng.random(count) < self.settings.p, rng.choice(self.settings.factors, count), 1.0)
        return torch.from_numpy(start).float(), torch.from_numpy(factor).float()

    def apply(self, series_BCL: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Sample each series at the moments to which those of the warped one correspond."""
        start_B1, factor_B1 = (drawn_B[:, None] for drawn_B in drawn)
        length = series_BCL.shape[2]
        part = self.settings.share * length
        added_B1 = part * (factor_B1 - 1)
        x_BL = moments(series_BCL) * (1 + added_B1 / length)  # in the warped series
        within_BL = start_B1 + (x_BL - start_B1) / factor_B1
        ahead_BL = torch.where(x_BL < start_B1 + part * factor_B1, within_BL, x_BL - added_B1)
        return resampled(series_BCL, torch.where(x_BL < start_B1, x_BL, ahead_BL)), labels


class Scale(Augmentation):
    """Multiply each channel of each series by a number from N(1, std²) (scaling, Um et al. 2017)."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the factors (count, C): float32."""
        channels, _ = self.data.image_shape
        return (torch.from_numpy(rng.normal(1, self.settings.std, (count, channels))).float(),)

    def apply(self, series_BCL: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        [factor_BC] = drawn
        return series_BCL * factor_BC[:, :, None].to(series_BCL.dtype), labels


class Gaussian(Augmentation):
    """Add a number from N(0, std²) to each value (jittering, Um et al. 2017)."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw a key for the noise of each series: int64."""
        return (torch.from_numpy(rng.integers(0, 2**32, count)),)

    def apply(self, series_BCL: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        [key_B] = drawn
        noise_BCL = normal_numbers(key_B, *series_BCL.shape[1:]).to(series_BCL.dtype)
        return series_BCL + self.settings.std * noise_BCL, labels


def moments(series_BCL: Tensor) -> Tensor:
    """Return the coordinates (L,) of the positions, from a half on."""
    _, column_L = centres(series_BCL[:, :, None])
    return column_L


def resampled(series_BCL: Tensor, x_BL: Tensor) -> Tensor:
    """Return series whose values are those at these coordinates, linear between positions: images of one row."""
    rows_BC1L = series_BCL[:, :, None]
    row_11, _ = centres(rows_BC1L)
    return sampled(rows_BC1L, x_BL[:, None], row_11, "bilinear", "border")[:, :, 0]
