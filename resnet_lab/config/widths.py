"""The numbers of maps in every part of a network, derived from a `ModelConfig`."""

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from resnet_lab.config.model_enums import Bridges
from resnet_lab.config.registry import UNITS


@dataclass(frozen=True, slots=True)
class StackWidths:
    """Numbers of maps of one stack."""

    given: int  # that it receives from the stem or from the stack before
    sources: int  # of these, the last ones, which are the outputs that all its units are given; with sums only
    entry: int  # that its transition, if there is one, makes of them
    inputs: tuple[int, ...]  # that each of its units is given
    outputs: tuple[int, ...]  # of each of its units
    out: int  # that it returns


def per_stack(filters: list[int], num_stacks: int, growth: int = 2) -> list[int]:
    """Return the filters of each stack; a single number grows from stack to stack."""
    return [*filters] if len(filters) > 1 else [filters[0] * growth**s for s in range(num_stacks)]


def unit_filters(model: Any) -> list[list[int]]:
    """Return the filters of the units of each stack.

    With `widening` a, unit j of N has r ⌊f / r + a j / N + 1/2⌋ filters, where f is `filters` and r `reduction`.
    """
    units = model.stack_units
    if not model.widening:
        filters = per_stack(model.filters, model.num_stacks, model.bridges.growth)
        return [[width] * count for width, count in zip(filters, units, strict=True)]
    first, reduction, steps = model.filters[0], model.reduction[0], sum(units)
    ends = [*accumulate(units, initial=0)]
    every = [reduction * math.floor(first / reduction + model.widening * (j + 1) / steps + 0.5) for j in range(steps)]
    return [every[begin:end] for begin, end in pairwise(ends)]


def stack_widths(model: Any) -> list[StackWidths]:
    """Return the numbers of maps of all stacks, from the first to the last."""
    found: list[StackWidths] = []
    for outputs in model.unit_filters:
        given = found[-1].out if found else model.stem_maps
        last = len(found) == model.num_stacks - 1
        kept = round(model.compression * given, 9)  # such as 29 for 0.29 · 100, which floats make a little less
        entry = math.floor(kept) if found and model.transitions else given
        inputs, sources, out = [given, *outputs[:-1]], given, outputs[-1]
        if model.bridges.concatenates:
            *inputs, out = accumulate([entry, *outputs])
        elif model.bridges is Bridges.net_sum:
            if found:
                inputs[0] = found[-1].outputs[-1]
                sources = given - inputs[0]
            out = outputs[-1] if last else outputs[-1] + sources + sum(outputs)
        found.append(StackWidths(given, sources, entry, tuple(inputs), tuple(outputs), out))
    return found


def narrowest_of_last(model: Any) -> int:
    """Return the smallest number of maps that a layer of the last stack returns."""
    outputs = stack_widths(model)[-1].outputs
    inner = model.bottlenecks[-len(outputs) :] if UNITS.info(model.unit).bottleneck else []
    return min([*outputs, *inner])
