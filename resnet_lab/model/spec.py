"""Specifications of all stacks and units, derived once from a `ModelConfig`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Downsample, ProjectionInput, StrideOn
from resnet_lab.config.registry import SHORTCUTS, UNITS
from resnet_lab.config.widths import StackWidths, stack_widths


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """One convolution of a type of unit.

    A unit's last convolution must output the unit's filters, not the bottleneck's maps.
    """

    kernel: int
    bottleneck: bool = False  # outputs the bottleneck's maps instead of the unit's filters
    groups: int = 1
    dilation: int = 1
    strided: bool = False  # has the unit's stride, regardless of `stride_on`


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """A unit from `in_maps` to `maps` maps, its `stride`, and its position."""

    in_maps: int
    maps: int
    bottleneck_maps: int
    cardinality: int  # groups of the bottleneck's convolutions that are not 1x1
    drop_rate: float  # of its branch, by stochastic depth
    stride: int
    kernels: tuple[int, ...] | None  # None: those of its type
    stride_on: StrideOn
    downsample: Downsample
    input_activated: bool  # its input ends in a ReLU already: no BatchNorm and ReLU before the first convolution
    activated_shortcut: bool  # its shortcut starts after its first activation, if the unit begins with it

    def convs(self, usual: Sequence[ConvSpec]) -> Sequence[ConvSpec]:
        """Return the convolutions of its type, with the kernels of this network."""
        if self.kernels is None:
            return usual
        return [replace(conv, kernel=kernel) for conv, kernel in zip(usual, self.kernels, strict=True)]

    def strides(self, convs: Sequence[ConvSpec]) -> list[int]:
        """Return the stride of, or after, each convolution of the unit; exactly one has the unit's stride.

        That is the first one marked as `strided`, else the first one that `stride_on` asks for, else the first one.
        """
        marked = [index for index, conv in enumerate(convs) if conv.strided]
        spatial = [index for index, conv in enumerate(convs) if conv.kernel > 1]
        asked = {StrideOn.first: [0], StrideOn.spatial: spatial}[self.stride_on]
        first = [*marked, *asked, 0][0]
        return [self.stride if index == first else 1 for index in range(len(convs))]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSpec:
    """Units with the same map size. Either what stands before them or the first unit applies the stack's stride."""

    index: int
    widths: StackWidths
    stride: int
    pool: int  # size of the pooling before the units; 1: none
    units: tuple[UnitSpec, ...]


def stack_specs(model: ModelConfig) -> tuple[StackSpec, ...]:
    """Return all stacks in order; each one but the first halves the map size."""
    specs: list[StackSpec] = []
    drop_rates = iter(model.stochastic_depth.rates(sum(model.stack_units)))
    for index, (widths, reduction) in enumerate(zip(stack_widths(model), model.stack_reductions, strict=True)):
        stride = 1 if index == 0 or model.keeps_size else 2
        # Positions are pooled before the stack; otherwise, its first unit has a stride.
        pools = model.bridges.concatenates or model.downsample is Downsample.max_pool
        units = tuple(
            unit_spec(
                model,
                maps=(before, maps),
                reduction=reduction,
                stride=stride if unit == 0 and not pools else 1,
                position=(index, unit),
                drop_rate=next(drop_rates),
            )
            for unit, (before, maps) in enumerate(zip(widths.inputs, widths.outputs, strict=True))
        )
        specs.append(StackSpec(index=index, widths=widths, stride=stride, pool=stride if pools else 1, units=units))
    return tuple(specs)


def unit_spec(
    model: ModelConfig,
    maps: tuple[int, int],
    reduction: int,
    stride: int,
    position: tuple[int, int],
    drop_rate: float,
) -> UnitSpec:
    """Return the specification of a unit; `maps` are those of input and output, `position` is (stack, unit)."""
    unit, shortcut = UNITS.info(model.unit), SHORTCUTS.info(model.shortcut)
    begins_network, begins_stack = position == (0, 0), position[1] == 0
    shares = {ProjectionInput.activated: True, ProjectionInput.raw: False}[model.lineage.projection_input]
    # An identity around the network's first unit takes the stem's output as it is, activated or not.
    begins = begins_stack and not (begins_network and maps[0] == maps[1])
    return UnitSpec(
        in_maps=maps[0],
        maps=maps[1],
        bottleneck_maps=model.bottleneck_maps(maps[1], reduction),
        cardinality=model.cardinality,
        drop_rate=drop_rate,
        stride=stride,
        kernels=None if model.unit_kernels is None else tuple(model.unit_kernels),
        stride_on=model.lineage.stride_on if unit.stride_can_move else StrideOn.first,
        downsample=model.downsample,
        # All later units are given the stem's output too where outputs are concatenated: each activates it itself.
        input_activated=begins_network
        and model.stem.activation
        and not model.stem.leaves_out
        and not model.bridges.concatenates,
        # In a stack's first unit, as in fb.resnet.torch; if its kind takes the activated input, in every unit.
        activated_shortcut=shares and model.activation.preactivates and (begins or shortcut.takes_activated),
    )
