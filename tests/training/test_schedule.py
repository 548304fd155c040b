import math

import pytest
import torch
from torch import nn

from resnet_lab.config.compose import load_config
from resnet_lab.config.enums import Optimizer, Schedule
from resnet_lab.config.schema import OptimConfig
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.training.schedule import build_optimizer, learning_rate

ITERATIONS = 64_000  # of the papers


def test_recipe_of_the_papers():
    paper = [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (63_999, 0.001)]
    for step, lr in paper:
        assert learning_rate(OptimConfig(), step, ITERATIONS) == pytest.approx(lr)


def test_milestones_are_shares_of_the_run_or_iterations():
    shares, iterations = OptimConfig(), OptimConfig(milestones=[32_000, 48_000])
    for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999):
        assert learning_rate(shares, step, ITERATIONS) == learning_rate(iterations, step, ITERATIONS)
    assert learning_rate(shares, 50, 100) == pytest.approx(0.01)
    assert learning_rate(iterations, 50, 100) == pytest.approx(0.1)


def test_milestones_in_any_order():
    ordered, swapped = OptimConfig(), OptimConfig(milestones=[0.75, 0.5], lr_factors=[0.01, 0.1])
    assert all(learning_rate(ordered, s, 100) == learning_rate(swapped, s, 100) for s in range(100))


@pytest.mark.parametrize("schedule", Schedule)
def test_warmup_is_constant_and_then_over(schedule: Schedule):
    optim = OptimConfig(schedule=schedule, warmup_iterations=400, warmup_lr=0.01)
    assert {learning_rate(optim, step, ITERATIONS) for step in range(400)} == {0.01}
    assert learning_rate(optim, 400, ITERATIONS) == pytest.approx(0.1)


def test_no_two_schedules_are_one_and_a_new_one_has_no_rate():
    rates = [[learning_rate(OptimConfig(schedule=schedule), step, 100) for step in range(100)] for schedule in Schedule]
    assert all(rates.count(one) == 1 for one in rates)
    optim = OptimConfig()
    optim.schedule = "new"
    with pytest.raises(AssertionError, match="new"):
        learning_rate(optim, 0, 100)


def test_constant():
    optim = OptimConfig(schedule=Schedule.constant, lr=0.3)
    assert {learning_rate(optim, step, 100) for step in range(100)} == {0.3}


@pytest.mark.parametrize("warmup", [0, 20])
def test_cosine(warmup: int):
    optim = OptimConfig(schedule=Schedule.cosine, lr=0.2, warmup_iterations=warmup)
    total, middle = 120, (120 + warmup) // 2
    lrs = [learning_rate(optim, step, total) for step in range(warmup, total + 1)]
    assert lrs[0] == pytest.approx(0.2)
    assert lrs[-1] == pytest.approx(0)
    assert lrs == sorted(lrs, reverse=True)
    assert learning_rate(optim, middle, total) == pytest.approx(0.1)
    for early, late in zip(lrs, reversed(lrs), strict=True):  # symmetric about half of lr, half-way
        assert early + late == pytest.approx(0.2)
    for step, lr in enumerate(lrs):  # cos² of the half angle
        assert lr == pytest.approx(0.2 * math.cos(math.pi * step / (2 * (total - warmup))) ** 2)


@pytest.fixture(scope="module")
def net() -> ResNetV2:
    return ResNetV2(load_config("stacks=two", "model.units=[1]", "head=mlp").model)


@pytest.mark.parametrize("decay_all", [True, False])
@pytest.mark.parametrize("name", Optimizer)
def test_every_parameter_once_with_fused_kernels(net: ResNetV2, name: Optimizer, decay_all: bool):
    optimizer = build_optimizer(OptimConfig(name=name, decay_all=decay_all), net)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in net.parameters())
    assert all(group["fused"] for group in optimizer.param_groups)
    kinds = {Optimizer.sgd: torch.optim.SGD, Optimizer.adam: torch.optim.Adam, Optimizer.adamw: torch.optim.AdamW}
    assert type(optimizer) is kinds[name]


def test_a_new_optimizer_does_not_train_as_another(net: ResNetV2):
    optim = OptimConfig()
    optim.name = "new"
    with pytest.raises(AssertionError, match="new"):
        build_optimizer(optim, net)


@pytest.mark.parametrize("name", Optimizer)
def test_decay_spares_exactly_batchnorm_and_biases(net: ResNetV2, name: Optimizer):
    decay = {
        id(parameter): group["weight_decay"]
        for group in build_optimizer(OptimConfig(name=name, weight_decay=0.5, decay_all=False), net).param_groups
        for parameter in group["params"]
    }
    kinds = set()
    for module in net.modules():
        for kind, parameter in module.named_parameters(recurse=False):
            spared = isinstance(module, nn.BatchNorm2d) or kind == "bias"
            assert decay[id(parameter)] == (0 if spared else 0.5), (module, kind)
            kinds.add((type(module).__name__, kind))
    assert {("Conv2d", "weight"), ("BatchNorm", "weight"), ("Linear", "weight"), ("Linear", "bias")} <= kinds
    everything = build_optimizer(OptimConfig(name=name, weight_decay=0.5), net).param_groups
    assert {group["weight_decay"] for group in everything} == {0.5}


def test_optimizers_get_their_settings(net: ResNetV2):
    sgd = build_optimizer(OptimConfig(lr=0.3, momentum=0.8, nesterov=True), net).param_groups[0]
    assert (sgd["lr"], sgd["momentum"], sgd["nesterov"]) == (0.3, 0.8, True)
    assert not build_optimizer(OptimConfig(), net).param_groups[0]["nesterov"]
    adam = build_optimizer(OptimConfig(name=Optimizer.adam, betas=[0.8, 0.9]), net).param_groups[0]
    assert adam["betas"] == (0.8, 0.9)
