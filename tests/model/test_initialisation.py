"""Initialisation is what the lineage says, and keeps the signal alive at any depth."""

import math

import pytest
import torch
from support.composing import config as load_config
from torch import nn

from resnet_lab import ResNetV2


@pytest.mark.parametrize(("lineage", "mode"), [("he", "out"), ("torch", "out"), ("atienza", "in")])
@pytest.mark.parametrize("unit", [[], ["unit=basic", "bottleneck=none"]])
def test_convolutions_are_normal_with_the_lineage_s_deviation(lineage: str, mode: str, unit: list[str]) -> None:
    torch.manual_seed(0)
    net = ResNetV2(load_config("data=fake", "filters=w256", f"lineage={lineage}", *unit).model)
    for name, conv in net.named_modules():
        if isinstance(conv, nn.Conv2d) and conv.weight.numel() > 10_000:
            fan = conv.kernel_size[0] ** 2 * (conv.out_channels if mode == "out" else conv.in_channels)
            weights = conv.weight / math.sqrt(2 / fan)
            tolerance = 5 / math.sqrt(weights.numel())
            assert abs(weights.mean().item()) < tolerance, name
            assert abs(weights.std().item() - 1) < tolerance, name
            assert abs((weights**4).mean().item() - 3) < 20 * tolerance, name  # a normal's kurtosis
        if isinstance(conv, nn.Conv2d):
            assert (conv.bias is not None) == (lineage == "atienza")
            assert conv.bias is None or not conv.bias.any()


def test_gates_begin_at_their_bias() -> None:
    net = ResNetV2(load_config("data=fake", "shortcut=exclusive_gating", "model.gate_bias=-3").model)
    for stack in net.stacks:
        for unit in stack.units:
            assert (unit.shortcut.gate.conv.bias == -3).all()


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["cifar10_1001", "cifar10_164", "cifar10_basic_110"])
def test_a_full_preactivation_network_neither_fades_nor_explodes(experiment: str) -> None:
    """Each unit adds about the same variance, so that the signal grows with the number of units, not exponentially.

    BatchNorm divides by what has been added up, so that gradients grow backwards like a power of that number.
    """
    torch.manual_seed(0)
    config = load_config(f"+experiment={experiment}")
    net = ResNetV2(config.model).train()
    intermediates = net.intermediates(torch.randn(4, 3, 32, 32))
    ends = [
        (intermediates[f"stacks.{s}.units.0"], intermediates[f"stacks.{s}"]) for s in range(config.model.num_stacks)
    ]
    for first, last in ends:
        first.retain_grad()
        last.retain_grad()
    nn.functional.cross_entropy(intermediates["logits"], torch.arange(4)).backward()
    assert 0.01 < intermediates["logits"].std().item() < 10
    for (first, last), units in zip(ends, config.model.stack_units, strict=True):
        assert 1 < (last.var() / first.var()).item() < 2 * units
        assert 1 < (first.grad.norm() / last.grad.norm()).item() < units**1.5


def test_the_plain_network_of_that_depth_does_explode() -> None:
    torch.manual_seed(0)
    net = ResNetV2(load_config("+experiment=cifar10_basic_110", "shortcut=none").model).train()
    intermediates = net.intermediates(torch.randn(4, 3, 32, 32))
    first, last = intermediates["stacks.0.units.0"], intermediates["stacks.0"]
    first.retain_grad()
    last.retain_grad()
    nn.functional.cross_entropy(intermediates["logits"], torch.arange(4)).backward()
    assert (first.grad.norm() / last.grad.norm()).item() > 18**1.5
