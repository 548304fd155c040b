"""Optimisers compute what torch's do, with numbers that may change at every step."""

from itertools import product
from typing import Any

import pytest
import torch
from support.composing import config as load_config
from support.graphs import CountingCapture, assert_same
from support.lab import TINY
from torch import Tensor, nn

from resnet_lab.config.enums import Decayed, Optimizer, Schedule
from resnet_lab.config.optim import OptimConfig
from resnet_lab.config.schedule import ScheduleConfig
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import task_of
from resnet_lab.training import module
from resnet_lab.training.average import Average
from resnet_lab.training.optimizer import STATES, Changing, build_optimizer, set_rates
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.schedule import Rates, rates
from resnet_lab.training.step import Totals

TORCHS = {Optimizer.sgd: torch.optim.SGD, Optimizer.adam: torch.optim.Adam, Optimizer.adamw: torch.optim.AdamW}
LINEAR = ScheduleConfig(kind=Schedule.linear, milestones=[0, 1], factors=[1, 0.1])


@pytest.fixture(scope="module")
def net() -> ResNetV2:
    return ResNetV2(load_config("stacks=two", "model.units=[1]", "head=mlp").model)


@pytest.mark.parametrize(("name", "decayed"), product(Optimizer, Decayed))
def test_every_parameter_once_and_torchs_fused_kernels_where_they_can_do_it(
    net: ResNetV2, name: Optimizer, decayed: Decayed
):
    optimizer = build_optimizer(OptimConfig(name=name, decayed=decayed), net)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in net.parameters())
    assert type(optimizer) is TORCHS.get(name, Changing)
    assert name is Optimizer.sgdw or all(group["fused"] for group in optimizer.param_groups)


def test_a_new_optimizer_does_not_train_as_another(net: ResNetV2):
    optim = OptimConfig()
    optim.name = "new"
    with pytest.raises(AssertionError, match="new"):
        build_optimizer(optim, net)


@pytest.mark.parametrize(("name", "decayed"), product(Optimizer, Decayed))
def test_decay_applies_to_what_it_says(net: ResNetV2, name: Optimizer, decayed: Decayed):
    decay = {
        id(parameter): group["weight_decay"]
        for group in build_optimizer(OptimConfig(name=name, weight_decay=0.5, decayed=decayed), net).param_groups
        for parameter in group["params"]
    }
    kinds = set()
    for layer in net.modules():
        for kind, parameter in layer.named_parameters(recurse=False):
            decays = {
                Decayed.all: True,
                Decayed.weights: not (isinstance(layer, nn.BatchNorm2d) or kind == "bias"),
                Decayed.kernels: isinstance(layer, nn.Conv2d) and kind == "weight",
            }
            assert decay[id(parameter)] == (0.5 if decays[decayed] else 0), (layer, kind)
            kinds.add((type(layer).__name__, kind))
    assert {("Conv2d", "weight"), ("BatchNorm2d", "weight"), ("Linear", "weight"), ("Linear", "bias")} <= kinds


def test_optimizers_get_their_settings(net: ResNetV2):
    sgd = build_optimizer(OptimConfig(lr=0.3, momentum=0.8, nesterov=True), net).param_groups[0]
    assert (sgd["lr"], sgd["momentum"], sgd["nesterov"]) == (0.3, 0.8, True)
    assert not build_optimizer(OptimConfig(), net).param_groups[0]["nesterov"]
    for name in (Optimizer.adam, Optimizer.adamw):
        adam = build_optimizer(OptimConfig(name=name, betas=[0.8, 0.9], eps=1e-7), net).param_groups[0]
        assert (adam["betas"], adam["eps"]) == ((0.8, 0.9), 1e-7)


# --- numbers that change at every step


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()


def steps(
    net: nn.Module, optimizer: torch.optim.Optimizer, prepare: Any, first: int = 0, last: int = 5
) -> list[Tensor]:
    """The parameters after steps on random images, each prepared by a function of its number."""
    for number in range(first, last):
        generator = torch.Generator().manual_seed(number)
        loss = net(torch.randn(4, 1, 4, 4, generator=generator, dtype=torch.float64)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        prepare(number)
        optimizer.step()
    return [parameter.detach() for parameter in net.parameters()]


CHANGES = {
    "decay": {"decay_schedule": LINEAR},
    "cycle": {"schedule": ScheduleConfig(kind=Schedule.one_cycle)},
    "both": {"decay_schedule": LINEAR, "schedule": ScheduleConfig(kind=Schedule.one_cycle)},
}


@pytest.mark.parametrize(("name", "change"), product(Optimizer, CHANGES))
@pytest.mark.parametrize("nesterov", [False, True])
def test_every_step_is_that_of_torch_with_its_numbers(name: Optimizer, change: str, nesterov: bool):
    nesterov = nesterov and name not in (Optimizer.adam, Optimizer.adamw)
    settings: dict[str, Any] = {"name": name, "lr": 0.02, "weight_decay": 0.5, "nesterov": nesterov}
    optim = OptimConfig(**settings, **CHANGES[change], decayed=Decayed.weights)
    own_net, net = small(), small()
    own = build_optimizer(optim, own_net)
    assert isinstance(own, Changing)
    groups = [{"params": [p for p in net.parameters() if (p.ndim > 1) is decays]} for decays in (True, False)]
    how = {"nesterov": nesterov, "momentum": 0.9} if not optim.is_adam else {}
    expected = TORCHS.get(name, torch.optim.SGD)(groups, lr=0.02, **how)

    def prepare(number: int) -> None:
        now = rates(optim, number, 5)
        for group, decay in zip(expected.param_groups, (now.decay, 0), strict=True):
            group |= {"lr": now.lr, "weight_decay": 0 if name is Optimizer.sgdw else decay}
            group |= {"betas": (now.momentum, 0.999)} if optim.is_adam else {"momentum": now.momentum}
        if name is Optimizer.sgdw:
            for parameter in expected.param_groups[0]["params"]:
                parameter.data.mul_(1 - now.lr * now.decay)

    found = steps(own_net, own, lambda number: own.set_rates(rates(optim, number, 5)))
    torch.testing.assert_close(found, steps(net, expected, prepare), rtol=1e-12, atol=1e-14)
    assert {frozenset(state) for state in own.state.values()} == {frozenset(STATES[name])}


@pytest.mark.parametrize("name", Optimizer)
def test_changing_optimizers_resume_exactly(name: Optimizer):
    optim = OptimConfig(name=name, lr=0.01, weight_decay=0.1, **CHANGES["both"])
    straight, first, second = small(), small(), small()

    def take(net: nn.Module, optimizer: torch.optim.Optimizer, begin: int, end: int) -> list[Tensor]:
        return steps(net, optimizer, lambda number: set_rates(optimizer, rates(optim, number, 6)), begin, end)

    expected = take(straight, build_optimizer(optim, straight), 0, 6)
    optimizer = build_optimizer(optim, first)
    take(first, optimizer, 0, 3)
    second.load_state_dict(first.state_dict())
    again = build_optimizer(optim, second)
    again.load_state_dict(optimizer.state_dict())
    assert_same(take(second, again, 3, 6), expected)


# --- in a CUDA graph

RECIPES = [
    "optim=sgd optim.schedule=one_cycle optim.nesterov=true optim.ema=0.5",
    "optim=sgdw optim.decay_schedule=cosine",
    "optim=adam optim.schedule=one_cycle optim.ema=0.9",
    "optim=adamw optim.decay_schedule=linear optim.weight_decay=0.5 optim.decayed=kernels",
]


def trained(recipe: str, capture: CountingCapture | None) -> Any:
    """Everything that a few training steps leave behind."""
    config = load_config(*TINY, "units=n1", "optim.batch_size=10", *recipe.split())
    torch.manual_seed(0)
    task = task_of(config)
    net, totals = task.network(), Totals(task, torch.device("cpu"))
    optimizer, average = build_optimizer(config.optim, net), Average.of(net, config.optim)
    runtime = Runtime.resolve(config, 1)
    step = module.training_step(net, optimizer, config.optim, totals, runtime, capture, average=average)
    for number in range(4):
        set_rates(optimizer, rates(config.optim, number, 4))
        step(torch.randn(10, *config.data.image_shape), torch.arange(10) % 3)
    averages = average.state_dict() if average else {}
    return net.state_dict(), optimizer.state_dict()["state"], totals.means(), averages


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_steps_follow_the_schedules(recipe: str):
    assert_same(trained(recipe, CountingCapture()), trained(recipe, None))


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("forgotten", ["lr", "momentum", "decay"])
def test_a_number_that_a_graph_would_keep_is_noticed(monkeypatch: pytest.MonkeyPatch, forgotten: str):
    def replaced(self: Changing, now: Rates) -> None:
        set_all(self, now)
        setattr(self, forgotten, torch.tensor(getattr(now, forgotten)))  # another tensor than the recorded one

    recipe = "optim=sgdw optim.schedule=one_cycle optim.decay_schedule=linear optim.weight_decay=0.5"
    expected = trained(recipe, None)
    set_all = Changing.set_rates
    monkeypatch.setattr(Changing, "set_rates", replaced)
    with pytest.raises(AssertionError):
        assert_same(trained(recipe, CountingCapture()), expected)
