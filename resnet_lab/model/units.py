"""Residual units: residual layers, and the shortcut that bridges them."""

from __future__ import annotations

from torch import Tensor, nn

from resnet_lab import choices
from resnet_lab.choices import ProjectionInput, Shortcut, StrideOn
from resnet_lab.config import ModelConfig
from resnet_lab.model.layers import Layers, ResidualLayer
from resnet_lab.model.shortcuts import SHORTCUTS, Bridge

KERNELS = {choices.Unit.bottleneck: (1, 3, 1), choices.Unit.basic: (3, 3), choices.Unit.conv: (3,)}


class ResidualUnit(nn.Module):
    """x + F(x): residual layers F, the shortcut that bridges them, and what follows the sum.

    The shortcut takes the input as it is, or behind the first layer's activation.
    """

    def __init__(
        self, layers: list[ResidualLayer], shortcut: nn.Module, addition: nn.Module, bridges_activated: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.shortcut = shortcut
        self.addition = addition
        self.bridges_activated = bridges_activated

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, filters, ⌈H/stride⌉, ⌈W/stride⌉)."""
        first: ResidualLayer = self.layers[0]  # type: ignore[assignment]  # what the list is made of
        activated_BCHW = first.before(x_BCHW)
        residual_BCHW = first.from_activated(activated_BCHW)
        for layer in self.layers[1:]:
            residual_BCHW = layer(residual_BCHW)
        sum_BCHW = self.shortcut(activated_BCHW if self.bridges_activated else x_BCHW, residual_BCHW)
        out: Tensor = self.addition(sum_BCHW)
        return out


def build_unit(
    model: ModelConfig, in_maps: int, filters: int, reduction: int, stride: int, first_of: str | None
) -> ResidualUnit:
    """The unit from `in_maps` to `filters` maps, `stride` times smaller.

    `first_of` is "network" or "stack" for a first unit, else None. The network's first unit has no activation before
    its first convolution, since the stem has just activated. The first of a stack activates before it splits, as in
    fb.resnet.torch, and so does a unit that projects; elsewhere the shortcut carries the raw input.
    """
    layers = Layers(model)
    placement = layers.placement
    kernels = KERNELS[model.unit]
    widths = [in_maps, *[filters // reduction] * (len(kernels) - 1), filters]
    strided = kernels.index(3) if model.lineage.stride_on is StrideOn.spatial else 0
    residual_layers = []
    for index, kernel in enumerate(kernels):
        before, maps = widths[index : index + 2]
        is_last = index == len(kernels) - 1
        activated = first_of == "network" and index == 0
        residual_layers.append(
            ResidualLayer(
                layers.activation(() if activated else placement.before, before),
                layers.convolution(before, maps, kernel, stride if index == strided else 1),
                layers.activation(placement.last if is_last else placement.after, maps),
            )
        )
    bridges_activated = model.lineage.projection_input is ProjectionInput.activated and (
        first_of is not None or model.shortcut is Shortcut.conv
    )
    shortcut = SHORTCUTS[model.shortcut](Bridge(in_maps, filters, stride, model, layers))
    return ResidualUnit(residual_layers, shortcut, layers.activation(placement.addition, filters), bridges_activated)
