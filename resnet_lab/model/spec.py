"""Specifications of all stacks and units, derived once from a `ModelConfig`."""

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_lab.config.enums import Downsample, ProjectionInput, StrideOn
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.registry import SHORTCUTS, UNITS


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
    stride_on: StrideOn
    first_of_network: bool  # its input is the stem's output, which is already activated
    activated_shortcut: bool  # its shortcut starts after its first activation, if the unit begins with it

    def strides(self, convs: Sequence[ConvSpec]) -> list[int]:
        """Return the stride of each convolution of the unit; exactly one has the unit's stride.

        That is the first one marked as `strided`, else the first one that `stride_on` asks for, else the first one.
        """
        marked = [index for index, conv in enumerate(convs) if conv.strided]
        spatial = [index for index, conv in enumerate(convs) if conv.kernel > 1]
        asked = {StrideOn.first: [0], StrideOn.spatial: spatial}[self.stride_on]
        first = [*marked, *asked, 0][0]
        return [self.stride if index == first else 1 for index in range(len(convs))]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSpec:
    """Units with the same filters and map size. Either the pooling or the first unit applies the stack's stride."""

    in_maps: int
    maps: int
    stride: int
    pool: int  # size of the max-pooling before the units; 1: none
    bridged: bool  # whether a shortcut spans the whole stack
    units: tuple[UnitSpec, ...]


def stack_specs(model: ModelConfig) -> tuple[StackSpec, ...]:
    """Return all stacks in order; each one but the first halves the map size."""
    unit, shortcut = UNITS.info(model.unit), SHORTCUTS.info(model.shortcut)
    shares = {ProjectionInput.activated: True, ProjectionInput.raw: False}[model.lineage.projection_input]
    activated = shares and model.activation.preactivates
    specs: list[StackSpec] = []
    drop_rates = iter(model.stochastic_depth.rates(sum(model.stack_units)))
    for index, (widths, reduction) in enumerate(zip(model.unit_filters, model.stack_reductions, strict=True)):
        in_maps = specs[-1].maps if specs else model.stem.filters
        stride = 2 if index > 0 else 1
        pool, unit_stride = {Downsample.stride: (1, stride), Downsample.max_pool: (stride, 1)}[model.downsample]
        units = tuple(
            UnitSpec(
                in_maps=before,
                maps=maps,
                bottleneck_maps=model.bottleneck_maps(maps, reduction),
                cardinality=model.cardinality,
                drop_rate=next(drop_rates),
                stride=unit_stride if first else 1,
                stride_on=model.lineage.stride_on if unit.stride_can_move else StrideOn.first,
                first_of_network=first and index == 0,
                # In a stack's first unit, as in fb.resnet.torch; if its kind takes the activated input, in every unit.
                activated_shortcut=activated and (first or shortcut.takes_activated),
            )
            for first, before, maps in zip([True] + [False] * len(widths), [in_maps, *widths], widths, strict=False)
        )
        specs.append(
            StackSpec(
                in_maps=in_maps, maps=widths[-1], stride=stride, pool=pool, bridged=model.stack_shortcut, units=units
            )
        )
    return tuple(specs)
