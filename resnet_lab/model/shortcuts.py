"""What bridges a unit. A shortcut takes the unit's input and its residual, and returns their sum."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab import config
from resnet_lab.model.layers import convolution


class Identity(nn.Module):
    """x + F(x), where neither width nor map size changes."""

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The sum; both tensors have the same shape."""
        return x_BCHW + residual_BCHW


class Projection(nn.Module):
    """W x + F(x) with a 1x1 convolution W of the unit's stride (option B of arXiv:1512.03385)."""

    def __init__(self, in_maps: int, maps: int, stride: int) -> None:
        super().__init__()
        self.conv = convolution(in_maps, maps, kernel=1, stride=stride)

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The sum, in the shape of the residual."""
        out: Tensor = self.conv(x_BCHW) + residual_BCHW
        return out


class ZeroPad(nn.Module):
    """Every stride-th pixel of x, with zeros for the maps that it lacks, + F(x) (option A of arXiv:1512.03385)."""

    def __init__(self, in_maps: int, maps: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_maps = maps - in_maps

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The sum, in the shape of the residual."""
        sampled_BCHW = F.avg_pool2d(x_BCHW, kernel_size=1, stride=self.stride)
        return F.pad(sampled_BCHW, (0, 0, 0, 0, 0, self.new_maps)) + residual_BCHW


RESIZING = {config.Shortcut.projection: Projection, config.Shortcut.zero_pad: ZeroPad}


def build_shortcut(kind: config.Shortcut, in_maps: int, maps: int, stride: int) -> nn.Module:
    """The shortcut from `in_maps` maps to `maps` maps that are `stride` times smaller."""
    if in_maps == maps and stride == 1:
        return Identity()
    return RESIZING[kind](in_maps, maps, stride)
