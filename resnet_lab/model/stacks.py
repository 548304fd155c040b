"""Stacks of units, and how far shortcuts reach in them: around units and stacks, or from units to all later ones."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Bridges
from resnet_lab.config.registry import UNITS
from resnet_lab.model.dimensions import average
from resnet_lab.model.layers import Layers
from resnet_lab.model.modules import ResidualLayer
from resnet_lab.model.spec import StackSpec


class Stack(nn.Module):
    """Units with the same filters and map size; `bridge`, if set, is a shortcut around all of them."""

    def __init__(self, spec: StackSpec, model: ModelConfig, layers: Layers) -> None:
        super().__init__()
        unit = UNITS.load(model.unit)
        self.entry = self.entrance(spec, model, layers)
        self.units = nn.ModuleList(unit(unit_spec, model, layers) for unit_spec in spec.units)
        self.bridge: nn.Module | None = None
        if model.bridges is Bridges.stack:
            self.bridge = layers.convolution(spec.widths.given, spec.widths.out, kernel=1, stride=spec.stride)

    def entrance(self, spec: StackSpec, model: ModelConfig, layers: Layers) -> nn.Module:
        """Build what stands before the units."""
        return layers.pool(spec.pool) if spec.pool > 1 else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, given, H, W) → (B, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        out_BCHW = self.entry(x_BCHW)
        for unit in self.units:
            out_BCHW = unit(out_BCHW)
        return self.bridged(x_BCHW, out_BCHW)

    def steps(self, x_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Compute the same as `forward`, and yield the outputs of the units, as `.units.0`, and of the stack, as ""."""
        out_BCHW = self.entry(x_BCHW)
        for u, unit in enumerate(self.units):
            out_BCHW = unit(out_BCHW)
            yield f".units.{u}", out_BCHW
        yield "", self.bridged(x_BCHW, out_BCHW)

    def bridged(self, x_BCHW: Tensor, out_BCHW: Tensor) -> Tensor:
        """Return the output of the last unit plus the bridged input of the stack, if there is a bridge."""
        return out_BCHW if self.bridge is None else out_BCHW + self.bridge(x_BCHW)


class DenseStack(Stack):
    """Units each of which is given all earlier outputs."""

    def outputs(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return the outputs of all units, and of the stack."""
        raise NotImplementedError

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.outputs(x_BCHW)[-1]

    def steps(self, x_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        *outs, last_BCHW = self.outputs(x_BCHW)
        yield from ((f".units.{u}", out_BCHW) for u, out_BCHW in enumerate(outs))
        yield "", last_BCHW


class ConcatenatingStack(DenseStack):
    """Each unit is given the stack's input and all earlier outputs, one after the other (arXiv:1608.06993).

    Between stacks, positions are averaged; where outputs reach no further than their stack, after a 1x1 convolution.
    """

    def entrance(self, spec: StackSpec, model: ModelConfig, layers: Layers) -> nn.Module:
        transition, widths, placement = nn.Sequential(), spec.widths, layers.placement
        if model.transitions and spec.index > 0:
            transition.append(
                ResidualLayer(
                    layers.activation(placement.pre, widths.given),
                    layers.convolution(widths.given, widths.entry, kernel=1),
                    layers.activation(placement.post, widths.entry),
                )
            )
        return transition.append(layers.averaging(spec.pool)) if spec.pool > 1 else transition

    def outputs(self, x_BCHW: Tensor) -> list[Tensor]:
        maps = [self.entry(x_BCHW)]
        for unit in self.units:
            maps.append(unit(torch.cat(maps, dim=1)))
        return [*maps[1:], torch.cat(maps, dim=1)]


class SummingStack(DenseStack):
    """Each unit is given the sum of the stack's input and all earlier outputs, which is also what the stack returns.

    What has another shape passes through a 1x1 convolution, which each receiver has for itself. With `net_sum`, all
    outputs of the network so far come after the sum between stacks, one after the other.
    """

    def __init__(self, spec: StackSpec, model: ModelConfig, layers: Layers) -> None:
        super().__init__(spec, model, layers)
        widths, maps = spec.widths, spec.widths.outputs[-1]
        self.stride, self.in_maps, self.sources = spec.units[0].stride, widths.inputs[0], widths.sources
        self.returns_all = widths.out > maps
        self.keeps_shape = spec.index == 0 and widths.given == maps
        receivers = 0 if self.keeps_shape else len(spec.units)  # all units but the first, and what follows
        self.projections = nn.ModuleList(layers.convolution(self.sources, maps, kernel=1) for _ in range(receivers))

    def outputs(self, x_BCHW: Tensor) -> list[Tensor]:
        x_BCHW = self.entry(x_BCHW)
        sources_BCHW = average(x_BCHW[:, -self.sources :], 1, self.stride)  # every stride-th position
        given_BCHW, total_BCHW, outs = x_BCHW[:, : self.in_maps], x_BCHW if self.keeps_shape else None, []
        for u, unit in enumerate(self.units):
            outs.append(unit(given_BCHW))
            total_BCHW = outs[-1] if total_BCHW is None else total_BCHW + outs[-1]
            given_BCHW = total_BCHW + self.projections[u](sources_BCHW) if self.projections else total_BCHW
        return [*outs, torch.cat([given_BCHW, sources_BCHW, *outs], dim=1) if self.returns_all else given_BCHW]


def build_stack(spec: StackSpec, model: ModelConfig, layers: Layers) -> Stack:
    """Build the stack that `model.bridges` selects."""
    if model.bridges.concatenates:
        return ConcatenatingStack(spec, model, layers)
    return (SummingStack if model.bridges.sums else Stack)(spec, model, layers)


def steps_through(stacks: nn.ModuleList, x_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Compute all stacks, and yield the outputs of units and stacks as `stacks.0.units.3`, `stacks.0`, …"""
    stack: Stack
    for s, stack in enumerate(stacks):  # type: ignore[assignment]  # the list holds stacks
        for name, out_BCHW in stack.steps(x_BCHW):
            yield f"stacks.{s}{name}", out_BCHW
        x_BCHW = out_BCHW
