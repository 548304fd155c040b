"""Shortcuts around a unit. A shortcut takes the unit's input x and its residual F(x), and returns their combination.

To add one to resnet_lab itself, write a class here and an entry in `config.registry.SHORTCUTS`; for your own, see
docs/extending.md.
"""

from dataclasses import dataclass
from typing import Any, assert_never

from torch import Tensor, nn

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Downsample, Resize
from resnet_lab.config.registry import SHORTCUTS
from resnet_lab.model.layers import Layers
from resnet_lab.model.modules import Blur, Gate
from resnet_lab.model.spec import UnitSpec


@dataclass(frozen=True, slots=True)
class ShortcutSpec:
    """The shapes that a shortcut connects, its settings, and the layer factory."""

    in_maps: int
    maps: int
    stride: int
    kernel: int  # of a projection
    averages: bool  # whether a stride averages positions instead of skipping them
    blurs: bool  # whether a stride skips positions of blurred maps
    settings: dict[str, Any]  # of `model`: only those that `ShortcutInfo.reads` names
    layers: Layers

    @property
    def same_shape(self) -> bool:
        """Whether input and output have the same number of maps and the same map size."""
        return self.in_maps == self.maps and self.stride == 1

    def projection(self) -> nn.Module:
        """Build a convolution, 1x1 by default; in ResNet V1 (`activation=original`), BatchNorm follows."""
        before = self.smaller()
        conv = self.layers.convolution(self.in_maps, self.maps, self.kernel, 1 if before else self.stride)
        after = self.layers.activation(self.layers.placement.projection, self.maps)
        return nn.Sequential(*before, conv, *after) if before or self.layers.placement.projection else conv

    def smaller(self) -> list[nn.Module]:
        """Build what reduces the map size by the stride, if that is more than to skip positions."""
        if self.stride == 1 or not (self.averages or self.blurs):
            return []
        if self.averages:
            return [self.layers.averaging(self.stride)]
        return [Blur(self.stride)]

    def identity(self, resize: Resize) -> nn.Module:
        """Build the identity if the shape stays the same, otherwise the path that `resize` selects."""
        if self.same_shape:
            return nn.Identity()
        match resize:
            case Resize.projection:
                return self.projection()
            case Resize.zero_pad:
                before = self.smaller()
                padding = self.layers.resample(self.in_maps, self.maps, 1 if before else self.stride)
                return nn.Sequential(*before, padding) if before else padding
            case _:
                assert_never(resize)

    def gate(self) -> Gate:
        """Build a gate for the output, computed from the unit's input."""
        return self.layers.gate(self.in_maps, self.maps, self.stride, self.settings["gate_bias"])


def build_shortcut(spec: UnitSpec, model: ModelConfig, layers: Layers) -> nn.Module:
    """Build the shortcut of a unit that `model.shortcut` selects, or none if `model.bridges` leaves it out."""
    if not model.crosses:
        return Plain()
    settings = {name: getattr(model, name) for name in SHORTCUTS.info(model.shortcut).reads}
    span = ShortcutSpec(
        spec.in_maps,
        spec.maps,
        spec.stride,
        model.projection_kernel,
        averages=model.shortcut_pool,
        blurs=spec.downsample is Downsample.blur,
        settings=settings,
        layers=layers,
    )
    return SHORTCUTS.load(model.shortcut)(span)


class Sum(nn.Module):
    """S(x) + F(x), where S is the identity if the shape stays the same, and otherwise follows `model.resize`."""

    def __init__(self, spec: ShortcutSpec) -> None:
        super().__init__()
        self.path = self.span(spec)

    def span(self, spec: ShortcutSpec) -> nn.Module:
        """Build S: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return spec.identity(spec.settings["resize"])

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        return self.path(x_BCHW) + residual_BCHW


class Projection(Sum):
    """x + F(x), with W x instead of x where the shape changes (option B of arXiv:1512.03385)."""

    def span(self, spec: ShortcutSpec) -> nn.Module:
        return spec.identity(Resize.projection)


class NormedProjection(Sum):
    """N(S(x)) + F(x), with a norm N on every shortcut, and S as in `Projection` (arXiv:1611.06455)."""

    def span(self, spec: ShortcutSpec) -> nn.Module:
        norm = spec.layers.activation(("norm",), spec.maps)
        if spec.same_shape:
            return norm
        path = spec.projection()
        return path if spec.layers.placement.projection else nn.Sequential(path, norm)


class ZeroPadded(Sum):
    """x + F(x), with x subsampled and padded with zero maps where the shape changes (option A)."""

    def span(self, spec: ShortcutSpec) -> nn.Module:
        return spec.identity(Resize.zero_pad)


class Convolution(Sum):
    """W x + F(x) in every unit (option C; arXiv:1603.05027, section 3.3)."""

    def span(self, spec: ShortcutSpec) -> nn.Module:
        return spec.projection()


class ConstantScaling(Sum):
    """a x + b F(x) with constants a and b (arXiv:1603.05027, section 3.1)."""

    def __init__(self, spec: ShortcutSpec) -> None:
        super().__init__(spec)
        self.shortcut_scale = spec.settings["shortcut_scale"]
        self.residual_scale = spec.settings["residual_scale"]

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        return self.shortcut_scale * self.path(x_BCHW) + self.residual_scale * residual_BCHW


class ExclusiveGating(Sum):
    """(1 - g(x)) x + g(x) F(x), as in highway networks (arXiv:1603.05027, section 3.2)."""

    def __init__(self, spec: ShortcutSpec) -> None:
        super().__init__(spec)
        self.gate = spec.gate()

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        gate_BCHW = self.gate(x_BCHW)
        return (1 - gate_BCHW) * self.path(x_BCHW) + gate_BCHW * residual_BCHW


class ShortcutGating(ExclusiveGating):
    """(1 - g(x)) x + F(x): the residual is not gated (arXiv:1603.05027, section 3.2)."""

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        return (1 - self.gate(x_BCHW)) * self.path(x_BCHW) + residual_BCHW


class Dropout(Sum):
    """dropout(x) + F(x) (arXiv:1603.05027, section 3.4)."""

    def __init__(self, spec: ShortcutSpec) -> None:
        super().__init__(spec)
        self.dropout = nn.Dropout(spec.settings["shortcut_dropout"])

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        return self.dropout(self.path(x_BCHW)) + residual_BCHW


class Plain(nn.Module):
    """F(x) alone: a plain network (arXiv:1512.03385, section 3.3)."""

    def __init__(self, spec: ShortcutSpec | None = None) -> None:
        super().__init__()

    def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        return residual_BCHW
