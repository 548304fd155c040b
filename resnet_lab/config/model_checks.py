"""Checks of an architecture's settings against each other."""

import math
from itertools import chain, pairwise
from typing import Any

from resnet_lab.config.checks import require, require_bounded, require_probability, require_within
from resnet_lab.config.model_enums import Attention, AttentionPlace, Norm, Upsample
from resnet_lab.config.registry import SHORTCUTS, UNITS
from resnet_lab.config.widths import stack_widths

MAX_STACKS = 5
MOST_CHANNELS = {1: 65536, 2: 4}


def check(model: Any) -> None:
    """Raise ConfigError if settings of a `ModelConfig` do not fit each other."""
    _check_ranges(model)
    _check_widths(model)
    _check_unit(model)
    _check_kernels(model)
    _check_branch(model)
    _check_shortcut(model)
    _check_norm(model)


def _check_ranges(model: Any) -> None:
    require_bounded(model, "model.")
    require(model.dims in (1, 2), f"data.dims must be 1 for series or 2 for images, got {model.dims}")
    most = MOST_CHANNELS[model.dims]
    require(1 <= model.in_channels <= most, f"data.channels must be 1 to {most}, got {model.in_channels}")
    require_within(model, "data", num_classes=(0, 10**6))
    stacks = model.num_stacks
    require(1 <= stacks <= MAX_STACKS, f"model.num_stacks must be 1 to {MAX_STACKS}, got {stacks}")
    for name in ("units", "filters", "reduction"):
        counts = getattr(model, name)
        lengths = f"one entry or one for each of the {stacks} stacks, got {len(counts)}: {counts}"
        require(len(counts) in (1, stacks), f"model.{name} must have {lengths}")
        whole = all(type(count) is int and count >= 1 for count in counts)
        require(whole, f"model.{name} must be positive whole numbers, got {counts}")
    require_within(model, "model", units=(1, 1000), filters=(1, 65536), reduction=(1, 65536))


def _check_widths(model: Any) -> None:
    require(
        not (model.decodes and model.dims == 1 and model.decoder.upsample is Upsample.pixel_shuffle),
        "upsample=pixel_shuffle rearranges maps as squares of pixels, which series have not: choose another one",
    )
    require(
        not (model.stem.leaves_out and model.decodes),
        "model.stem.filters=0 cannot be mirrored in a decoder: choose a stem, such as stem=cifar",
    )
    require_within(model, "model", widening=(0, 65536))
    require(0 < model.compression <= 1, f"model.compression must be in (0, 1], got {model.compression}")
    require(
        not (model.bridges.dense and model.decodes),
        f"bridges={model.bridges.name} cannot be mirrored in a decoder: add bridges=unit",
    )
    if model.widening:
        _check_widening(model)
    for filters, reduction in zip(model.stack_filters, model.stack_reductions, strict=True):
        require(filters % reduction == 0, f"model.filters {filters} is not divisible by model.reduction {reduction}")


def _check_widening(model: Any) -> None:
    require(
        not model.bridges.sums,
        f"bridges={model.bridges.name} sums outputs of the same width: add widening=none "
        f"(model.widening is {model.widening})",
    )
    for name in ("filters", "reduction"):
        value = getattr(model, name)
        require(len(value) == 1, f"model.widening counts from one number of model.{name}, got {value}")
    require(
        model.filters[0] % model.reduction[0] == 0,
        f"model.filters {model.filters[0]} is not divisible by model.reduction {model.reduction[0]}",
    )
    require(not model.decodes, f"model.widening={model.widening} cannot be mirrored in a decoder: add widening=none")


def _check_unit(model: Any) -> None:
    unit = UNITS.info(model.unit)
    SHORTCUTS.info(model.shortcut)  # refuses a name that is not known, read or not
    require(
        unit.bottleneck or set(model.reduction) == {1},
        f"unit={model.unit} has no bottleneck: add bottleneck=none (model.reduction is {model.reduction})",
    )
    require(
        unit.bridged or not model.crosses,
        f"unit={model.unit} has no shortcuts: add shortcut=none (model.shortcut is {model.shortcut})",
    )
    pads = model.crosses and not model.projects and not model.drops_maps
    for before, after in pairwise([model.stem_maps, *chain(*model.unit_filters)] if pads else []):
        require(
            before <= after,
            f"zero_pad can only add maps, but the filters decrease from {before} to {after}: "
            "use projection for shortcut or resize",
        )


def _check_kernels(model: Any) -> None:
    own, kernels = UNITS.info(model.unit).kernels, model.kernels
    if kernels is None:
        return
    require(bool(own), f"model.kernels cannot replace those of unit={model.unit}: leave it out")
    require(
        len(kernels) in (1, len(own)) and all(type(kernel) is int for kernel in kernels),
        f"model.kernels must have one whole number for all convolutions of unit={model.unit} that are larger than 1, "
        f"or one for each of its {len(own)} convolutions, as in {[*own]}; got {kernels}",
    )
    require_within(model, "model", kernels=(1, 255))


def _check_branch(model: Any) -> None:
    require_within(model, "model", cardinality=(1, 65536), base_width=(1, 65536), learned_scale=(-(10**6), 10**6))
    unit = UNITS.info(model.unit)
    require(
        unit.bottleneck or (model.cardinality, model.base_width) == (1, 64),
        f"model.cardinality and model.base_width need units with a bottleneck, unit={model.unit} has none: "
        "add cardinality=c1_64",
    )
    require(
        unit.grouped or model.cardinality == 1,
        f"model.cardinality groups a convolution between bottleneck maps, unit={model.unit} has none: "
        "add cardinality=c1_64, or c1_128 or c1_256 for wider ones",
    )
    require(
        0 not in model.bottlenecks,
        f"model.base_width {model.base_width} leaves less than one bottleneck map for each group: take at least "
        f"{math.ceil(64 / min(ws[0] // r for ws, r in zip(model.unit_filters, model.stack_reductions, strict=True)))}",
    )
    require(
        all(widths.entry for widths in stack_widths(model)),
        f"model.compression {model.compression} leaves no map between stacks: take more",
    )
    attends_shortcut = model.attention.kind is not Attention.none and model.attention.place is AttentionPlace.identity
    bridged = model.crosses or model.bridges.dense
    reach = f"shortcut={model.shortcut}" if model.bridges.around_units else f"bridges={model.bridges.name}"
    for needs, given, name, usual in (
        (model.stochastic_depth.rate > 0, bridged, "model.stochastic_depth.rate", "0"),
        (model.learned_scale is not None, bridged, "model.learned_scale", "null"),
        (attends_shortcut, model.crosses, "model.attention.place=identity", "standard"),
    ):
        require(given or not needs, f"{name} needs shortcuts, got {reach}: set it to {usual}")


def _check_shortcut(model: Any) -> None:
    kernel = model.projection_kernel
    require_within(model, "model", projection_kernel=(1, 255))
    require(kernel % 2 == 1, f"model.projection_kernel must be odd, for symmetric padding, got {kernel}")
    scale = (-(10**6), 10**6)
    require_within(model, "model", shortcut_scale=scale, residual_scale=scale, gate_bias=scale)
    require_probability(model, "model", "shortcut_dropout")
    require_probability(model, "model", "unit_dropout")


def _check_norm(model: Any) -> None:
    require_within(model, "model", norm_groups=(1, 65536))
    bottlenecks = model.bottlenecks if UNITS.info(model.unit).bottleneck else []
    stacks = stack_widths(model)
    given = [stack.given for stack in stacks] if model.transitions else []  # which the transitions normalise
    inside = chain(*(stack.inputs for stack in stacks), *(stack.outputs for stack in stacks))
    widths = sorted({model.stem_maps, *given, *inside, stacks[-1].out, *bottlenecks})
    most = math.gcd(*widths)
    require(
        model.norm is not Norm.group or all(width % model.norm_groups == 0 for width in widths),
        f"norm=group: model.norm_groups {model.norm_groups} must divide the maps of every layer, {widths}: "
        f"take model.norm_groups={most}" + (" or a divisor of it" if most > 1 else ""),
    )
