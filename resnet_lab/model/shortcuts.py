"""What bridges a unit. A shortcut takes the unit's input x and its residual F(x), and returns how they are joined.

A new one is a class here, an entry of `choices.Shortcut` and a file in `conf/shortcut/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab import choices
from resnet_lab.choices import Activation, Resize
from resnet_lab.config import ModelConfig
from resnet_lab.model.layers import Gate, Layers


@dataclass(frozen=True, slots=True)
class Bridge:
    """What a shortcut has to span, and with what."""

    in_maps: int
    maps: int
    stride: int
    model: ModelConfig
    layers: Layers

    @property
    def same_shape(self) -> bool:
        """Whether input and output have the same width and map size."""
        return self.in_maps == self.maps and self.stride == 1

    def projection(self) -> nn.Module:
        """A 1x1 convolution; in V1 with a BatchNorm after it."""
        conv = self.layers.convolution(self.in_maps, self.maps, kernel=1, stride=self.stride)
        if self.model.activation is not Activation.original:
            return conv
        return nn.Sequential(conv, *self.layers.activation(("norm",), self.maps))

    def identity(self, resize: Resize) -> nn.Module:
        """The identity where the shape stays, otherwise what `resize` says."""
        if self.same_shape:
            return nn.Identity()
        if resize is Resize.projection:
            return self.projection()
        return ZeroPad(self.in_maps, self.maps, self.stride)

    def gate(self) -> Gate:
        """A gate over the output, opened by the unit's input."""
        return Gate(self.in_maps, self.maps, self.stride, self.model.gate_bias)


class ZeroPad(nn.Module):
    """Every stride-th pixel, and zeros for the maps that are missing."""

    def __init__(self, in_maps: int, maps: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_maps = maps - in_maps

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        sampled_BCHW = F.avg_pool2d(x_BCHW, kernel_size=1, stride=self.stride)
        return F.pad(sampled_BCHW, (0, 0, 0, 0, 0, self.new_maps))


SHORTCUTS: dict[choices.Shortcut, type[nn.Module]] = {}


def shortcut(kind: choices.Shortcut) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register a class, made from a `Bridge`, whose forward takes x and F(x), both (B, C, H, W)."""

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        SHORTCUTS[kind] = cls
        return cls

    return register


class Sum(nn.Module):
    """S(x) + F(x), with the identity for S where the shape stays, and elsewhere what `model.resize` says."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.path = self.span(bridge)

    def span(self, bridge: Bridge) -> nn.Module:
        """S: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return bridge.identity(bridge.model.resize)

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The sum, in the shape of the residual."""
        out: Tensor = self.path(x_BCHW) + residual_BCHW
        return out


@shortcut(choices.Shortcut.projection)
class Projection(Sum):
    """x + F(x), with W x for x where the shape changes (option B of arXiv:1512.03385)."""

    def span(self, bridge: Bridge) -> nn.Module:
        """The identity, or a projection."""
        return bridge.identity(Resize.projection)


@shortcut(choices.Shortcut.zero_pad)
class ZeroPadded(Sum):
    """x + F(x), with x subsampled and padded with zero maps where the shape changes (option A)."""

    def span(self, bridge: Bridge) -> nn.Module:
        """The identity, or subsampling and zero maps."""
        return bridge.identity(Resize.zero_pad)


@shortcut(choices.Shortcut.conv)
class Convolution(Sum):
    """W x + F(x) on every unit (option C; arXiv:1603.05027, section 3.3)."""

    def span(self, bridge: Bridge) -> nn.Module:
        """A projection."""
        return bridge.projection()


@shortcut(choices.Shortcut.constant_scaling)
class ConstantScaling(Sum):
    """a x + b F(x) with constants a and b (arXiv:1603.05027, section 3.1)."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.shortcut_scale = bridge.model.shortcut_scale
        self.residual_scale = bridge.model.residual_scale

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The scaled sum, in the shape of the residual."""
        out: Tensor = self.shortcut_scale * self.path(x_BCHW) + self.residual_scale * residual_BCHW
        return out


@shortcut(choices.Shortcut.exclusive_gating)
class ExclusiveGating(Sum):
    """(1 - g(x)) x + g(x) F(x), as in highway networks (arXiv:1603.05027, section 3.2)."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.gate = bridge.gate()

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The gated sum, in the shape of the residual."""
        gate_BCHW = self.gate(x_BCHW)
        out: Tensor = (1 - gate_BCHW) * self.path(x_BCHW) + gate_BCHW * residual_BCHW
        return out


@shortcut(choices.Shortcut.shortcut_gating)
class ShortcutGating(ExclusiveGating):
    """(1 - g(x)) x + F(x): the residual is not gated (arXiv:1603.05027, section 3.2)."""

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The gated sum, in the shape of the residual."""
        out: Tensor = (1 - self.gate(x_BCHW)) * self.path(x_BCHW) + residual_BCHW
        return out


@shortcut(choices.Shortcut.dropout)
class Dropout(Sum):
    """dropout(x) + F(x) (arXiv:1603.05027, section 3.4)."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.dropout = nn.Dropout(bridge.model.shortcut_dropout)

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The sum, in the shape of the residual."""
        out: Tensor = self.dropout(self.path(x_BCHW)) + residual_BCHW
        return out


@shortcut(choices.Shortcut.none)
class Plain(nn.Module):
    """F(x) alone: a plain network (arXiv:1512.03385, section 3.3)."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        """The residual."""
        return residual_BCHW
