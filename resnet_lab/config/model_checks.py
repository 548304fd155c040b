"""Checks of an architecture's settings against each other."""

import math
from itertools import chain, pairwise
from typing import Any

from resnet_lab.config.checks import require, require_within
from resnet_lab.config.enums import Attention, AttentionPlace, Norm
from resnet_lab.config.registry import SHORTCUTS, UNITS


def check(model: Any) -> None:
    """Raise ConfigError if settings of a `ModelConfig` do not fit each other."""
    _check_unit(model)
    _check_branch(model)
    _check_norm(model)


def check_widening(model: Any) -> None:
    """Raise ConfigError if `widening` and the other widths do not fit each other."""
    require_within(model, "model", widening=(0, 65536))
    if not model.widening:
        return
    for name in ("filters", "reduction"):
        value = getattr(model, name)
        require(len(value) == 1, f"model.widening counts from one number of model.{name}, got {value}")
    require(
        model.filters[0] % model.reduction[0] == 0,
        f"model.filters {model.filters[0]} is not divisible by model.reduction {model.reduction[0]}",
    )
    require(not model.decodes, f"model.widening={model.widening} cannot be mirrored in a decoder: add widening=none")


def _check_unit(model: Any) -> None:
    unit, shortcut = UNITS.info(model.unit), SHORTCUTS.info(model.shortcut)
    require(
        unit.bottleneck or set(model.reduction) == {1},
        f"unit={model.unit} has no bottleneck: add bottleneck=none (model.reduction is {model.reduction})",
    )
    require(
        unit.bridged or not shortcut.crosses,
        f"unit={model.unit} has no shortcuts: add shortcut=none (model.shortcut is {model.shortcut})",
    )
    if shortcut.crosses and not model.projects and not model.drops_maps:
        stacks = [model.stem.filters, *model.stack_filters]
        require(
            all(a <= b for a, b in pairwise([model.stem.filters, *chain(*model.unit_filters)])),
            f"zero_pad can only add maps, but the filters of stem and stacks, {stacks}, decrease somewhere: "
            "use projection for shortcut or resize",
        )


def _check_branch(model: Any) -> None:
    require_within(model, "model", cardinality=(1, 65536), base_width=(1, 65536), learned_scale=(-(10**6), 10**6))
    has_bottleneck, crosses = UNITS.info(model.unit).bottleneck, SHORTCUTS.info(model.shortcut).crosses
    require(
        has_bottleneck or (model.cardinality, model.base_width) == (1, 64),
        f"model.cardinality and model.base_width need units with a bottleneck, unit={model.unit} has none: "
        "add cardinality=c1_64",
    )
    require(
        0 not in model.bottlenecks,
        f"model.base_width {model.base_width} leaves less than one bottleneck map for each group: take at least "
        f"{math.ceil(64 / min(ws[0] // r for ws, r in zip(model.unit_filters, model.stack_reductions, strict=True)))}",
    )
    attends_shortcut = model.attention.kind is not Attention.none and model.attention.place is AttentionPlace.identity
    for needs, name in (
        (model.stochastic_depth.rate > 0, "model.stochastic_depth.rate"),
        (model.learned_scale is not None, "model.learned_scale"),
        (attends_shortcut, "model.attention.place=identity"),
    ):
        require(crosses or not needs, f"{name} needs shortcuts, got shortcut={model.shortcut}: leave it out")


def _check_norm(model: Any) -> None:
    require_within(model, "model", norm_groups=(1, 65536))
    bottlenecks = model.bottlenecks if UNITS.info(model.unit).bottleneck else []
    widths = sorted({model.stem.filters, *chain(*model.unit_filters), *bottlenecks})
    require(
        model.norm is not Norm.group or all(width % model.norm_groups == 0 for width in widths),
        f"norm=group: model.norm_groups {model.norm_groups} must divide the maps of every layer, {widths}: "
        f"take {math.gcd(*widths)} or a divisor of it",
    )
    require(
        not model.weight_standardisation or (model.stem.kernel**2 * model.in_channels > 1 and 1 not in bottlenecks),
        "model.weight_standardisation: a 1x1 convolution of a single map has only one weight: give it more maps, "
        "or leave it out",
    )
