"""The range of normalised pixels, which optimised images must not leave."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from resnet_lab.data.images import Normalisation, colours, per_channel


@dataclass(frozen=True, slots=True)
class PixelRange:
    """The normalised values of black (low) and white (high) in each channel: (C, 1, 1). Of series, the extremes."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, normalise: Normalisation, device: torch.device | None = None) -> Self:
        """Compute the range for a normalisation; on the CPU by default."""
        mean, std = (per_channel(values, 2, device) for values in (normalise.mean, normalise.std))
        return cls((0 - mean) / std, (1 - mean) / std)

    @classmethod
    def over(cls, series_BCL: Tensor) -> Self:
        """Return the least and the greatest value of each channel, (C, 1)."""
        low_C1, high_C1 = series_BCL.amin(dim=(0, 2))[:, None], series_BCL.amax(dim=(0, 2))[:, None]
        return cls(low_C1, torch.maximum(high_C1, low_C1 + 1e-6))

    def clamp(self, images_BCHW: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(images_BCHW, self.low), self.high)

    def inward(self, images_BCHW: Tensor, steps_BCHW: Tensor) -> Tensor:
        """Return the steps with those set to 0 that would push a pixel out of the range."""
        outward = ((images_BCHW <= self.low) & (steps_BCHW < 0)) | ((images_BCHW >= self.high) & (steps_BCHW > 0))
        return steps_BCHW.masked_fill(outward, 0)

    def pixels(self, images_BCHW: Tensor) -> Tensor:
        """Map normalised images back to 0…1."""
        return ((images_BCHW - self.low) / (self.high - self.low)).clamp(0, 1)

    def pictures(self, images_BCHW: Tensor) -> Tensor:
        """Convert normalised images to grey (1 channel) or RGB (3) in 0…1, without an alpha channel."""
        return self.pixels(images_BCHW)[:, : colours(images_BCHW.shape[1])]
