"""The network as a tree, with the size and cost of each part."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from rich.table import Table
from torch import nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import claimed_depth
from resnet_lab.config.schema import Config
from resnet_lab.model.complexity import Complexity, LayerCost, complexity
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import task_of

# Most jobs of a sweep differ only in their seeds.
_measured: dict[str, Complexity] = {}
_totals: dict[str, dict[str, int]] = {}


def measure(config: Config) -> Complexity:
    """Return the complexity of the configured network, built on the `meta` device, where it takes no memory.

    Raises ConfigError when torch cannot build the network, or its depth is not the one in the experiment's name.
    """
    key = _key(config)
    if key not in _measured:
        with _refused():
            _measured[key] = _complexity(config)
    cost = _measured[key]
    claimed = claimed_depth(config)
    if claimed not in (None, cost.depth):
        raise ConfigError(f"experiment {config.name} claims {claimed} layers, but its network has {cost.depth}")
    return cost


def _complexity(config: Config) -> Complexity:
    """Return the complexity; of an autoencoder, the receptive field is that of the encoder."""
    whole = complexity(on_meta(config), config.data.image_shape)
    return replace(whole, receptive_field=_encoder(config).receptive_field) if config.model.decodes else whole


def _encoder(config: Config) -> Complexity:
    with torch.device("meta"):
        return complexity(ResNetV2(config.model).eval(), config.data.image_shape)


def parts(config: Config, cost: Complexity) -> dict[str, dict[str, int]]:
    """Return depth, params, MACs and activations of encoder and decoder, which add up to the whole; {} for others."""
    if not config.model.decodes:
        return {}
    net, depth = on_meta(config), _encoder(config).depth
    found = {}
    for part, own_depth in (("encoder", depth), ("decoder", cost.depth - depth)):
        layers = [layer for layer in cost.layers if layer.name.startswith("decoder.") == (part == "decoder")]
        own = [p for name, p in net.named_parameters() if name.startswith("decoder.") == (part == "decoder")]
        found[part] = {
            "depth": own_depth,
            "params": sum(p.numel() for p in own),
            "macs": sum(layer.macs for layer in layers),
            "activations": sum(math.prod(layer.out_shape) for layer in layers),
        }
    return found


def totals(config: Config) -> dict[str, int]:
    """Return MACs, params and activations for one image as `measure` does, in a time that seldom grows with the depth.

    If all units of a stack but the first are alike, the network is traced with at most two in each stack, and the
    second counts for the others. Raises ConfigError when torch cannot build the network.
    """
    key = _key(config)
    if key not in _totals:
        with _refused():
            _totals[key] = _count(config)
    return _totals[key]


def _count(config: Config) -> dict[str, int]:
    model = config.model
    if model.widening or model.bridges.dense:  # no two units are alike
        whole = _complexity(config)
        return {"macs": whole.macs, "params": whole.params, "activations": whole.activations}
    units = model.stack_units
    mirrored = model.mirrored.stack_units if model.decodes else []
    shorter = replace(
        model,
        units=[min(number, 2) for number in units],
        decoder=replace(model.decoder, units=[min(number, 2) for number in mirrored] or None),
    )
    net = on_meta(replace(config, model=shorter))

    def times(name: str) -> int:
        second = re.match(r"(decoder\.)?stacks\.(\d+)\.units\.1\.", name)
        return (mirrored if second[1] else units)[int(second[2])] - 1 if second else 1

    layers = complexity(net, config.data.image_shape).layers
    return {
        "macs": sum(layer.macs * times(layer.name) for layer in layers),
        "params": sum(p.numel() * times(name) for name, p in net.named_parameters()),
        "activations": sum(math.prod(layer.out_shape) * times(layer.name) for layer in layers),
    }


def _key(config: Config) -> str:
    return f"{config.task} {config.model} {config.data.image_shape}"


@contextmanager
def _refused() -> Iterator[None]:
    """Raise ConfigError for numbers that torch rejects."""
    try:
        yield
    except ConfigError:
        raise
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"the network cannot be built: {str(error).splitlines()[0]}") from error


def tree(config: Config, cost: Complexity) -> Table:
    """Return a table of stem, stacks, units, layers and head: kernel, stride, map size, filters, params, MACs."""
    channels, *sides = config.data.image_shape
    size = "x".join(map(str, sides))
    what, unit = (
        (f"images of {size} pixels", "pixels") if len(sides) == 2 else (f"series of length {size}", "positions")
    )
    table = Table(title=f"{config.name}, for {what} and {channels} channels")
    table.add_column("part", no_wrap=True)
    for column in ("kernel", "stride", "map size", "filters", "params", "MACs"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in _rows(on_meta(config), cost.layers, path="", level=0):
        table.add_row(*row)
    table.add_section()
    table.add_row("total", "", "", "", "", f"{cost.params:,}", f"{cost.macs:,}")
    table.caption = "\n".join(
        [
            f"depth {cost.depth} · trainable params {cost.trainable_params:,} · FLOPs {cost.flops:,}",
            f"activations {cost.activations:,} · receptive field {cost.receptive_field} {unit}",
            *(
                f"{part}: depth {own['depth']} · params {own['params']:,} · MACs {own['macs']:,}"
                for part, own in parts(config, cost).items()
            ),
            *cost.warnings(),
        ]
    )
    return table


def on_meta(config: Config) -> ResNetV2:
    """Build the network for evaluation on the `meta` device."""
    with torch.device("meta"):
        return task_of(config).network().eval()


def _rows(module: nn.Module, layers: Sequence[LayerCost], path: str, level: int) -> Iterator[tuple[str, ...]]:
    """Yield a row for each part of `module` that has weights; if it has several layers, rows for its parts follow."""
    for name, child in module.named_children():
        child_path = f"{path}.{name}".lstrip(".")
        inside = [layer for layer in layers if f"{layer.name}.".startswith(f"{child_path}.")]
        if isinstance(child, nn.ModuleList):
            yield from _rows(child, inside, child_path, level)
        elif inside:
            label = ".".join(child_path.split(".")[-2:]) if name.isdigit() else name  # units.3 of stacks.0.units.3
            *others, last = inside
            alone = not others and last.kernel is not None
            maps, *size = last.out_shape
            yield (
                "  " * level + label,
                f"{last.kernel}x{last.kernel}" if alone else "",
                str(last.stride) if alone else "",
                "x".join(map(str, size)),
                str(maps),
                f"{sum(p.numel() for p in child.parameters()):,}",
                f"{sum(layer.macs for layer in inside):,}",
            )
            if others:
                yield from _rows(child, inside, child_path, level + 1)
