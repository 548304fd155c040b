"""Residual units with full pre-activation (arXiv:1603.05027, figure 4e)."""

from __future__ import annotations

from torch import Tensor, nn

from resnet_lab import config
from resnet_lab.model.layers import BatchNormReLU, ResidualLayer, convolution
from resnet_lab.model.shortcuts import build_shortcut

KERNELS = {config.Unit.bottleneck: (1, 3, 1), config.Unit.basic: (3, 3)}


class ResidualUnit(nn.Module):
    """x + F(x): residual layers F and the shortcut that bridges them.

    Where the shape changes, at the start of a stack, the shortcut takes the activated input, otherwise the raw one.
    """

    def __init__(self, layers: list[ResidualLayer], shortcut: nn.Module, bridges_activated: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.shortcut = shortcut
        self.bridges_activated = bridges_activated

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, filters, ⌈H/stride⌉, ⌈W/stride⌉)."""
        first: ResidualLayer = self.layers[0]  # type: ignore[assignment]  # what the list is made of
        activated_BCHW = first.activation(x_BCHW)
        residual_BCHW = first.conv(activated_BCHW)
        for layer in self.layers[1:]:
            residual_BCHW = layer(residual_BCHW)
        out: Tensor = self.shortcut(activated_BCHW if self.bridges_activated else x_BCHW, residual_BCHW)
        return out


def build_unit(
    model: config.ModelConfig, in_maps: int, filters: int, reduction: int, stride: int, first_of: str | None
) -> ResidualUnit:
    """The unit from `in_maps` to `filters` maps, with the stride on its first layer.

    `first_of` is "network" or "stack" for a first unit, else None. The network's first unit has no activation of its
    own, since the stem has just activated; the first of a stack activates before it splits (fb.resnet.torch).
    """
    kernels = KERNELS[model.unit]
    widths = [in_maps, *[filters // reduction] * (len(kernels) - 1), filters]
    layers = [
        ResidualLayer(
            nn.Identity() if first_of == "network" and depth == 0 else BatchNormReLU(widths[depth]),
            convolution(widths[depth], widths[depth + 1], kernel, stride if depth == 0 else 1),
        )
        for depth, kernel in enumerate(kernels)
    ]
    shortcut = build_shortcut(model.shortcut, in_maps, filters, stride)
    return ResidualUnit(layers, shortcut, bridges_activated=first_of is not None)
