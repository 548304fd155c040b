"""The numbers of every stack and unit, made once from a `ModelConfig`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from resnet_lab.config.enums import Downsample, ProjectionInput, StrideOn
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.registry import SHORTCUTS, UNITS


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """A convolution of a kind of unit. The last one of a unit must write its filters, not the bottleneck's maps."""

    kernel: int
    bottleneck: bool = False  # writes the bottleneck's maps instead of the unit's filters
    groups: int = 1
    dilation: int = 1
    strided: bool = False  # has the unit's stride, wherever `stride_on` would put it


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """A unit from `in_maps` to `maps` maps, `stride` times smaller, and where it stands."""

    in_maps: int
    maps: int
    bottleneck_maps: int
    stride: int
    stride_on: StrideOn
    first_of_stack: bool
    first_of_network: bool  # the stem has just activated what it is given
    activated_shortcut: bool  # its shortcut starts behind its first activation, where it has one before its first layer

    def maps_after(self, conv: ConvSpec) -> int:
        return self.bottleneck_maps if conv.bottleneck else self.maps

    def strides(self, convs: Sequence[ConvSpec]) -> list[int]:
        """The stride of each convolution of the unit: one of them has the unit's."""
        match self.stride_on:
            case StrideOn.first:
                candidates = [True] * len(convs)
            case StrideOn.spatial:
                candidates = [conv.kernel > 1 for conv in convs]
            case _:
                assert_never(self.stride_on)
        marked = [conv.strided for conv in convs]
        first = [*(marked if any(marked) else candidates), True].index(True) % len(convs)
        return [self.stride if index == first else 1 for index in range(len(convs))]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSpec:
    """Units with the same filters and map size. The stack's stride is that of its pooling or that of its first unit."""

    in_maps: int
    maps: int
    stride: int
    pool: int  # of the max-pooling before the units; 1: none
    bridged: bool  # whether a shortcut spans the whole stack
    units: tuple[UnitSpec, ...]


def stack_specs(model: ModelConfig) -> tuple[StackSpec, ...]:
    """All stacks in order; every one but the first halves the map size."""
    specs: list[StackSpec] = []
    shapes = zip(model.stack_units, model.stack_filters, model.stack_reductions, strict=True)
    for index, (num_units, maps, reduction) in enumerate(shapes):
        in_maps = specs[-1].maps if specs else model.stem.filters
        stride = 2 if index > 0 else 1
        match model.downsample:
            case Downsample.stride:
                pool, unit_stride = 1, stride
            case Downsample.max_pool:
                pool, unit_stride = stride, 1
            case _:
                assert_never(model.downsample)
        units = tuple(
            UnitSpec(
                in_maps=in_maps if first else maps,
                maps=maps,
                bottleneck_maps=maps // reduction,
                stride=unit_stride if first else 1,
                stride_on=model.lineage.stride_on if UNITS.info(model.unit).stride_can_move else StrideOn.first,
                first_of_stack=first,
                first_of_network=first and index == 0,
                activated_shortcut=_activated_shortcut(model, first),
            )
            for first in (unit == 0 for unit in range(num_units))
        )
        specs.append(
            StackSpec(in_maps=in_maps, maps=maps, stride=stride, pool=pool, bridged=model.stack_shortcut, units=units)
        )
    return tuple(specs)


def _activated_shortcut(model: ModelConfig, first_of_stack: bool) -> bool:
    """The first unit of a stack activates before it splits, as in fb.resnet.torch, and so does one that projects."""
    match model.lineage.projection_input:
        case ProjectionInput.activated:
            return first_of_stack or SHORTCUTS.info(model.shortcut).takes_activated
        case ProjectionInput.raw:
            return False
        case _:
            assert_never(model.lineage.projection_input)
