"""Images kept on the training device as one `uint8` tensor, and their normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

CHUNK = 512  # images at a time, since squares take more memory than pixels
WHITE = 255
ROUNDING = 1e-12  # of the greatest value: what differs by less is constant but for rounding


class PixelArray(Protocol):
    """Images (N, C, H, W) or series (N, C, L): a numpy array, or something that makes one of the rows asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: Any, /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of each image, exact, so that their order does not matter."""

    totals: npt.NDArray[np.int64]  # (N, C): of pixels, 0 to 255
    squares: npt.NDArray[np.int64]  # (N, C): of squared pixels
    counts: npt.NDArray[np.int64]  # (N,): of the pixels that were summed

    @classmethod
    def of(cls, pixels_NCHW: npt.NDArray[np.uint8]) -> Self:
        """Sum over height and width."""
        flat_NCP = pixels_NCHW.reshape(*pixels_NCHW.shape[:2], -1)
        squares_NCP = np.square(flat_NCP, dtype=np.uint32)
        counts = np.full(len(flat_NCP), flat_NCP.shape[2])
        return cls(flat_NCP.sum(axis=2, dtype=np.int64), squares_NCP.sum(axis=2, dtype=np.int64), counts)

    def take(self, rows: np.ndarray) -> Self:
        """Return the sums of some images."""
        return type(self)(self.totals[rows], self.squares[rows], self.counts[rows])


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and standard deviation of each channel, for pixels in 0…1 or the values of series."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def measure(cls, pixels_NCHW: PixelArray, rows: np.ndarray, sums: Sums | None = None) -> Self:
        """Measure over all pixels, or known values, of the images or series `rows`. A constant channel gets std 1.

        Images need not be read if their `sums` are known.
        """
        if pixels_NCHW.ndim == 3:
            mean_C, std_C = (found.ravel().tolist() for found in mean_and_std(pixels_NCHW[rows], (0, 2)))
            return cls(tuple(mean_C), tuple(std_C))
        parts = np.split(rows, range(CHUNK, len(rows), CHUNK))
        by_part = [Sums.of(pixels_NCHW[part]) for part in parts] if sums is None else [sums.take(rows)]
        total = sum(part.totals.sum(axis=0) for part in by_part)
        square = sum(part.squares.sum(axis=0) for part in by_part)
        count = sum(int(part.counts.sum()) for part in by_part)
        mean = total / (WHITE * count)
        variance = square / (WHITE**2 * count) - mean**2
        std = np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 0)), 1.0)
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def __call__(self, pixels_BCHW: Tensor) -> Tensor:
        """Convert uint8 pixels, or values of series, to float32, with mean 0 and std 1 over the measured images.

        Unknown values of series (NaN) become 0.
        """
        return normalised(pixels_BCHW, *self._for(pixels_BCHW))

    def of_shares(self, shares_BCHW: Tensor) -> Tensor:
        """Normalise pixels that are in 0…1 already."""
        mean_C11, std_C11 = self._for(shares_BCHW)
        return (shares_BCHW - mean_C11) / std_C11

    def to_shares(self, images_BCHW: Tensor) -> Tensor:
        """Map normalised images back to pixels, whose values are in 0…1 for real images."""
        mean_C11, std_C11 = self._for(images_BCHW)
        return images_BCHW * std_C11 + mean_C11

    def shares(self, images_BCHW: Tensor) -> Tensor:
        """Map normalised images back to pixels in 0…1, channels-first, in which arithmetic on colours is faster."""
        return self.to_shares(images_BCHW.contiguous()).clamp_(0, 1)

    def _for(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (
            _channels(tuple(values), images_BCHW.device, images_BCHW.ndim - 2) for values in (self.mean, self.std)
        )
        return mean, std


def mean_and_std(series: np.ndarray, over: int | tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the known values (those that are not NaN) over some axes, which stay.

    They are 0 and 1 where nothing is known; constants have a standard deviation of 1.
    """
    known = np.ma.masked_invalid(np.asarray(series, np.float64))
    mean, std, greatest = (
        np.asarray(found.filled(0.0))
        for found in (
            known.mean(over, keepdims=True),
            known.std(over, keepdims=True),
            abs(known).max(over, keepdims=True),
        )
    )
    return mean, np.where(std > ROUNDING * greatest, std, 1.0)


def as_shares(pixels_BCHW: Tensor) -> Tensor:
    """Convert uint8 pixels to 0…1, in float32; the values of series stay."""
    return pixels_BCHW.float() / WHITE if pixels_BCHW.dtype == torch.uint8 else pixels_BCHW.float()


def normalised(pixels_BCHW: Tensor, mean_C11: Tensor, std_C11: Tensor) -> Tensor:
    """Convert uint8 pixels, or values of series, as `Normalisation` does."""
    images_BCHW = (as_shares(pixels_BCHW) - mean_C11) / std_C11
    return images_BCHW if images_BCHW.ndim == 4 else torch.where(images_BCHW.isnan(), 0.0, images_BCHW)


@cache
def _channels(values: tuple[float, ...], device: torch.device, dims: int) -> Tensor:
    """Return `per_channel` once for each device: a GPU waits for each copy from the host."""
    return per_channel(values, dims, device)


def per_channel(values: Sequence[float], dims: int, device: torch.device | None = None) -> Tensor:
    """Return a number for each channel as a tensor, (C, 1, 1) or for series (C, 1)."""
    return torch.tensor(values, device=device).reshape(-1, *[1] * dims)


def colours(channels: int) -> int:
    """Return how many channels of an image are not its alpha channel."""
    return 1 if channels < 3 else 3
