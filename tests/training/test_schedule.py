"""Schedules are functions of the step, equal to those of the papers, of torch and of Keras."""

from typing import Any

import pytest
import torch
from support.composing import config as load_config
from torch import nn
from torch.optim import lr_scheduler

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Optimizer, Schedule, Threshold, Warmup
from resnet_lab.config.optim import OptimConfig
from resnet_lab.config.schedule import ScheduleConfig
from resnet_lab.training.schedule import factor, learning_rate, plateau, rates

ITERATIONS = 64_000  # of the papers
EXACT = {"rel": 1e-12, "abs": 1e-16}


def optim(kind: Schedule = Schedule.step, **settings: Any) -> OptimConfig:
    """A recipe with a schedule of the learning rate; settings of the recipe are those that it has."""
    own = {name: settings.pop(name) for name in [*settings] if name in ScheduleConfig.__dataclass_fields__}
    return OptimConfig(schedule=ScheduleConfig(kind=kind, **own), **settings)


def all_rates(config: OptimConfig, total: int) -> list[float]:
    return [learning_rate(config, step, total) for step in range(total)]


def torch_optimizer(lr: float, kind: Any = torch.optim.SGD, **settings: Any) -> torch.optim.Optimizer:
    return kind([nn.Parameter(torch.ones(1))], lr=lr, **settings)


def of_torch(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> list[dict[str, Any]]:
    """The settings of the optimiser at each step."""
    found = []
    for _ in range(steps):
        found.append({**optimizer.param_groups[0]})
        optimizer.step()
        scheduler.step()
    return found


def test_recipe_of_the_papers():
    paper = [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (63_999, 0.001)]
    for step, lr in paper:
        assert learning_rate(OptimConfig(), step, ITERATIONS) == pytest.approx(lr)


def book(epoch: int) -> float:
    """`lr_schedule` of the book's code, which Keras calls with the epoch from 0."""
    lr = 1e-3
    if epoch > 180:
        lr *= 0.5e-3
    elif epoch > 160:
        lr *= 1e-3
    elif epoch > 120:
        lr *= 1e-2
    elif epoch > 80:
        lr *= 1e-1
    return lr


@pytest.mark.parametrize("batches", [1, 7, 1407, 1563])
def test_recipe_of_the_book(batches: int):
    config = load_config("+experiment=cifar10_20_atienza").optim
    assert (config.weight_decay, config.decayed.name, config.eps) == (2e-4, "kernels", 1e-7)
    for epoch in range(200):
        for step in (epoch * batches, (epoch + 1) * batches - 1):
            assert learning_rate(config, step, 200 * batches) == pytest.approx(book(epoch)), epoch


@pytest.mark.parametrize("kind", [Schedule.step, Schedule.linear])
def test_milestones_are_shares_of_the_run_or_iterations_in_any_order(kind: Schedule):
    shares, iterations = optim(kind), optim(kind, milestones=[48_000, 32_000], factors=[0.01, 0.1])
    for step in (0, 7, 31_999, 32_000, 47_999, 48_000, 63_999):
        assert learning_rate(shares, step, ITERATIONS) == learning_rate(iterations, step, ITERATIONS)
    assert learning_rate(shares, 50, 100) == pytest.approx(0.01)
    assert learning_rate(iterations, 50, 100) == pytest.approx(0.1, rel=1e-2)
    both = optim(kind, milestones=[400, 0.5], factors=[0.7, 0.1])
    assert learning_rate(both, 500, 1000) == pytest.approx(0.01)
    assert learning_rate(optim(kind, milestones=[0.7], factors=[0.5]), 7, 10) == 0.05  # 0.7 * 10 > 7


def test_linear_goes_straight_through_its_points():
    config = optim(Schedule.linear, lr=1.0, milestones=[0, 0.25, 0.5, 1], factors=[0.2, 1, 1, 0])
    expected = [0.2 + 0.8 * s / 25 for s in range(25)] + [1.0] * 25 + [1 - s / 50 for s in range(50)]
    assert all_rates(config, 100) == pytest.approx(expected)
    assert learning_rate(config, 100, 100) == 0
    from_one = optim(Schedule.linear, lr=1.0, milestones=[4], factors=[0.2])
    assert all_rates(from_one, 6) == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0.2])
    of_torchs = torch_optimizer(1.0)
    scheduler = lr_scheduler.LinearLR(of_torchs, start_factor=1.0, end_factor=0.2, total_iters=4)
    assert [group["lr"] for group in of_torch(of_torchs, scheduler, 6)] == pytest.approx(all_rates(from_one, 6))


@pytest.mark.parametrize("kind", [Schedule.step, Schedule.linear])
def test_without_points_nothing_changes(kind: Schedule):
    assert {*all_rates(optim(kind, milestones=[], factors=[]), 9)} == {0.1}
    assert {*all_rates(optim(Schedule.constant, lr=0.3), 100)} == {0.3}


@pytest.mark.parametrize("kind", [kind for kind in Schedule if kind is not Schedule.one_cycle])
def test_warmup_is_constant_or_linear_and_then_over(kind: Schedule):
    constant, linear = (optim(kind, warmup_iterations=400, warmup=warmup) for warmup in Warmup)
    assert {learning_rate(constant, step, ITERATIONS) for step in range(400)} == {0.01}
    rising = [learning_rate(linear, step, ITERATIONS) for step in range(400)]
    assert rising == pytest.approx([0.01 + 0.09 * step / 400 for step in range(400)])
    for config in (constant, linear):
        assert learning_rate(config, 400, ITERATIONS) == pytest.approx(0.1, rel=0.02)


def test_no_two_schedules_are_one_and_a_new_one_has_no_rate():
    found = [all_rates(optim(kind), 100) for kind in Schedule if kind is not Schedule.plateau]
    assert all(found.count(one) == 1 for one in found)
    config = ScheduleConfig()
    config.kind = "new"
    with pytest.raises(AssertionError, match="new"):
        factor(config, 0, 100)


@pytest.mark.parametrize("warmup", [0, 20])
@pytest.mark.parametrize("floor", [0.0, 0.25])
def test_cosine(warmup: int, floor: float):
    config = optim(Schedule.cosine, lr=0.2, warmup_iterations=warmup, floor=floor)
    steps = 120 - warmup
    own = [learning_rate(config, step, 120) for step in range(warmup, 120)]
    optimizer = torch_optimizer(0.2)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.2 * floor)
    assert own == pytest.approx([group["lr"] for group in of_torch(optimizer, scheduler, steps)], rel=1e-9)
    assert learning_rate(config, 120, 120) == pytest.approx(0.2 * floor)


@pytest.mark.parametrize(("total", "rise"), [(100, 0.3), (37, 0.25), (9, 0.7), (3, 0.3), (1, 0.0)])
@pytest.mark.parametrize("name", [Optimizer.sgd, Optimizer.adamw])
def test_one_cycle_is_torchs(total: int, rise: float, name: Optimizer):
    config = optim(Schedule.one_cycle, lr=0.4, rise=rise, name=name)
    settings: dict[str, Any] = {"betas": (0.9, 0.999)} if config.is_adam else {"momentum": 0.9}
    optimizer = torch_optimizer(0.4, torch.optim.AdamW if config.is_adam else torch.optim.SGD, **settings)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=0.4, total_steps=total, pct_start=rise)
    found = []
    for step in range(total):
        group = optimizer.param_groups[0]
        found.append((group["lr"], group["betas"][0] if config.is_adam else group["momentum"]))
        optimizer.step()
        if step < total - 1:
            scheduler.step()
    own = [rates(config, step, total) for step in range(total)]
    assert [one.lr for one in own] == pytest.approx([lr for lr, _ in found], **EXACT)
    assert [one.momentum for one in own] == pytest.approx([momentum for _, momentum in found], **EXACT)


def test_momentum_need_not_cycle():
    config = optim(Schedule.one_cycle, momentum=0.8, cycle_momentum=[])
    assert {rates(config, step, 20).momentum for step in range(20)} == {0.8}
    assert rates(optim(name=Optimizer.adam, betas=[0.7, 0.9]), 3, 20).momentum == 0.7


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("floor", [0.0, 0.05])
@pytest.mark.parametrize("mode", Threshold)
def test_plateau_is_torchs_after_every_epoch(patience: int, floor: float, mode: Threshold):
    least: dict[str, Any] = {"threshold": 0.01, "threshold_mode": mode}
    config = optim(Schedule.plateau, lr=0.4, patience=patience, factor=0.3, floor=floor, **least)
    generator = torch.Generator().manual_seed(patience)
    values = (torch.rand(60, generator=generator) + 1 / torch.arange(1, 61)).tolist()
    values[5] = values[4] * (1 - 5e-3)  # not low enough to count
    optimizer = torch_optimizer(0.4)
    least["threshold_mode"] = mode.name
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.3, patience=patience, min_lr=0.4 * floor, eps=0, **least
    )
    seen = set()
    for epoch, value in enumerate(values):
        history = [{"val/loss": earlier} for earlier in values[:epoch]]  # all that a resumed run knows
        assert learning_rate(config, 7 * epoch, 420, history) == pytest.approx(optimizer.param_groups[0]["lr"], **EXACT)
        seen.add(optimizer.param_groups[0]["lr"])
        scheduler.step(value)
    assert len(seen) > 2
    assert plateau([], config.schedule) == 1


@pytest.mark.parametrize("kind", [kind for kind in Schedule if kind is not Schedule.plateau])
def test_decay_follows_a_schedule_of_its_own(kind: Schedule):
    follows = ScheduleConfig(kind=kind)
    config = OptimConfig(weight_decay=0.5, decay_schedule=follows, warmup_iterations=50)
    decays = [rates(config, step, 100).decay for step in range(100)]
    assert decays == [0.5 * factor(follows, step, 100) for step in range(100)]
    assert OptimConfig().weight_decay == rates(OptimConfig(), 99, 100).decay


def test_a_schedule_with_a_wrong_setting_is_refused_by_name():
    wrong = {
        "optim.decay_schedule=plateau": r"optim\.decay_schedule cannot be plateau",
        "optim.decay_schedule.milestones=[0.5]": r"decay_schedule\.milestones and optim\.decay_schedule\.factors",
        "optim.schedule.rise=1": r"optim\.schedule\.rise must be in \[0, 1\), got 1",
        "optim.schedule.floor=1.5": r"optim\.schedule\.floor must be at most 1",
        "optim.cycle_momentum=[0.9,0.8]": r"optim\.cycle_momentum must be two ascending numbers",
        "optim.schedule=plateau optim.schedule.watch=val/accuracy": r"watch can be train/loss, .*; got val/accuracy",
        "optim.schedule=plateau data.validation=0": r"watch=val/loss needs a validation part",
        "optim.schedule=one_cycle optim.warmup_iterations=3": r"set optim\.warmup_iterations to 0",
        "optim.schedule=fast": r"optim\.schedule\.kind must be one of step, linear, cosine",
    }
    for overrides, message in wrong.items():
        with pytest.raises(ConfigError, match=message):
            load_config(*overrides.split())


def test_former_spellings_still_work():
    former = (
        "optim.schedule=cosine",
        "optim.milestones=[3,0.5]",
        "optim.lr_factors=[0.5,0.1]",
        "optim.decay_all=false",
    )
    now = (
        "optim.schedule.kind=cosine",
        "optim.schedule.milestones=[3,0.5]",
        "optim.schedule.factors=[0.5,0.1]",
        "optim.decayed=weights",
    )
    assert load_config(*former) == load_config(*now)
    assert load_config("optim.decay_schedule=linear").optim.decay_schedule.kind is Schedule.linear
