"""What torch has once for series (B, C, L) and once for images (B, C, H, W).

In the docstrings of networks, (H, W) stands for (L,) in one dimension, and n×n for n.
"""

from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
TRANSPOSED: dict[int, type[nn.ConvTranspose1d | nn.ConvTranspose2d]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}
MAX_POOLS: dict[int, type[nn.MaxPool1d | nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
AVERAGES: dict[int, type[nn.AvgPool1d | nn.AvgPool2d]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
INTERPOLATIONS = {1: "linear", 2: "bilinear"}


def mean_over_positions(x_BCHW: Tensor) -> Tensor:
    """Average each map: (B, C, H, W) → (B, C)."""
    return x_BCHW.mean(dim=tuple(range(2, x_BCHW.ndim)))


def average(x_BCHW: Tensor, window: int, stride: int) -> Tensor:
    """Average windows of positions; a window of 1 takes out every stride-th position."""
    return F.avg_pool1d(x_BCHW, window, stride) if x_BCHW.ndim == 3 else F.avg_pool2d(x_BCHW, window, stride)


def padded(x_BCHW: Tensor, before: int, after: int, mode: str = "constant") -> Tensor:
    """Pad maps along each side."""
    return F.pad(x_BCHW, (before, after) * (x_BCHW.ndim - 2), mode)


def with_zero_maps(x_BCHW: Tensor, maps: int) -> Tensor:
    """Append zero maps, or drop the last ones if the number is negative."""
    return F.pad(x_BCHW, (0, 0) * (x_BCHW.ndim - 2) + (0, maps))
