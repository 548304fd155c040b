"""Under a budget every job costs as much as the reference, and is the run that a user would type."""

from typing import Any

import pytest
from support.command import Command
from support.composing import composer, config
from support.composing import config as load_config
from support.lab import TINY, Lab
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import UNITS, UnitInfo
from resnet_lab.model.spec import ConvSpec
from resnet_lab.model.units import ResidualUnit
from resnet_lab.rundir.identity import identity
from resnet_lab.sweep.budget import matched
from resnet_lab.tasks.cost import measure

REDUCTIONS = ("none", "half", "quarter", "eighth", "sixteenth")
SMALL = ("data=fake", "data.image_size=8", "units=n1")


def under(budget: str, jobs: list[list[str]], *changes: str) -> list[list[str]]:
    return matched(composer(), jobs, budget, [*changes])


def gap(job: list[str], budget: str, reference: int) -> float:
    """The relative difference from the reference, as the whole network is measured."""
    return getattr(measure(config(*job)), budget) / reference - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "budget"),
    [([], "macs"), (["+experiment=cifar10_56"], "macs"), ([*SMALL], "params"), ([*SMALL], "activations")],
)
def test_every_reduction_costs_the_same(base: list[str], budget: str):
    jobs = [[*base, f"bottleneck={name}"] for name in REDUCTIONS]
    found = under(budget, jobs)
    assert found == under(budget, jobs)
    reference = getattr(measure(config(*jobs[0])), budget)
    assert config(*found[0]) == config(*jobs[0], "model.filters=[64,128,256]")
    for job in found:
        assert abs(gap(job, budget, reference)) < 0.02
        first, *others = config(*job).model.stack_filters
        assert all(abs(width / (first << s + 1) - 1) < 0.2 for s, width in enumerate(others))  # it still doubles


AXES = {
    "units": [["units=n1"], ["model.units=[1,2,4]"]],
    "types of units": [["unit=basic", "bottleneck=none"], ["unit=bottleneck", "bottleneck=half"]],
    "shortcuts": [[f"shortcut={name}"] for name in ("projection", "exclusive_gating")],
    "zero padding": [["unit=basic", "bottleneck=none", f"shortcut={name}"] for name in ("projection", "zero_pad")],
    "stacks": [["stacks=two"], ["stacks=four"]],
    "max-pooling": [["downsample=stride"], ["downsample=max_pool"]],
    "heads": [["head=linear"], ["head=mlp", "bridges=stack"]],
    "narrow at first": [["filters=w16", "bottleneck=none"], ["filters=w16", "bottleneck=half"]],
    "not doubling": [["model.filters=[24,24,60]", f"bottleneck={name}"] for name in ("quarter", "half")],
}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", AXES.values(), ids=AXES)
def test_every_axis_can_be_matched(jobs: list[list[str]]):
    jobs = [[*{item.partition("=")[0]: item for item in (*SMALL, *job)}.values()] for job in jobs]
    reference = measure(config(*jobs[0])).macs
    assert all(abs(gap(job, "macs", reference)) < 0.02 for job in under("macs", jobs))


def test_the_reference_can_be_another_network():
    jobs = [[*SMALL, f"bottleneck={name}"] for name in ("none", "quarter")]
    reference = measure(config(*SMALL, "bottleneck=quarter", "model.units=2")).macs
    for job in under("macs", jobs, "bottleneck=quarter", "model.units=2"):
        assert abs(gap(job, "macs", reference)) < 0.02
    with pytest.raises(ConfigError, match=r"budget=macs, the job to compare with: .*not divisible by"):
        under("macs", jobs, "bottleneck=r5")


def test_the_filters_asked_for_need_not_be_valid():
    [_, job] = under("macs", [[*SMALL, f"model.reduction={n}"] for n in (4, 5)])
    assert all(width % 5 == 0 for width in config(*job).model.stack_filters)


def test_a_job_with_another_mistake_is_left_to_the_plan():
    jobs = [[*SMALL, "bottleneck=half", f"unit={name}"] for name in ("bottleneck", "basic")]
    assert under("macs", jobs)[1] == jobs[1]
    jobs = [[*SMALL, "bottleneck=none"], *([*SMALL, "bottleneck=half", f"optim.lr={rate}"] for rate in (-1, 0.1))]
    assert under("macs", jobs)[2][-1].startswith("model.filters=[")  # of the same network as the wrong one
    jobs = [[*SMALL], [*SMALL, "model.num_stacks=0"], [*SMALL, "model.reduction=[4,x]"], [*SMALL, "model.reduction=0"]]
    assert under("macs", jobs)[1:] == jobs[1:]


@pytest.fixture
def own_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UNITS, "_entries", dict(UNITS._entries))

    @UNITS.register("grouped", UnitInfo(help="1x1, 3x3 in groups, 1x1", bottleneck=True))
    class Grouped(ResidualUnit):
        convs = (ConvSpec(1, bottleneck=True), ConvSpec(3, bottleneck=True, groups=4), ConvSpec(1))

    @UNITS.register("squeezing", UnitInfo(help="3x3, 3x3, and a layer whose width is rounded"))
    class Squeezing(ResidualUnit):
        convs = (ConvSpec(3), ConvSpec(3))

        def __init__(self, spec: Any, model: Any, layers: Any) -> None:
            super().__init__(spec, model, layers)
            width = max(8, spec.maps // 16)
            self.squeeze = nn.Sequential(nn.Conv2d(spec.maps, width, 1), nn.Conv2d(width, spec.maps, 1))

        def forward(self, x_BCHW: Tensor) -> Tensor:
            return self.squeeze(super().forward(x_BCHW))


@pytest.mark.parametrize("unit", [["unit=grouped", "bottleneck=half"], ["unit=squeezing", "bottleneck=none"]])
def test_units_of_your_own(own_units: None, unit: list[str]):
    jobs = [[*SMALL, "unit=basic", "bottleneck=none", "filters=w32"], [*SMALL, "filters=w32", *unit]]
    reference = measure(config(*jobs[0])).macs
    [_, job] = under("macs", jobs)
    assert abs(gap(job, "macs", reference)) < 0.02


def test_what_no_filters_reach_is_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("resnet_lab.sweep.budget.show_on_terminal", lambda: None)
    jobs = [[*SMALL, "filters=w16", f"bottleneck={name}"] for name in ("sixteenth", "r64")]
    [_, job] = under("macs", jobs)
    reference = measure(config(*jobs[0])).macs
    assert gap(job, "macs", reference) > 0.02
    assert config(*job).model.stack_filters == [64, 64, 64]
    cost = measure(config(*job)).macs
    assert f"  bottleneck=r64: {job[-1]}, {cost:,}, {100 * (cost / reference - 1):+.2f} %; " in caplog.text


def test_a_job_is_the_run_that_a_user_would_type(command: Command, lab: Lab):
    jobs = [lab.overrides(f"bottleneck={name}") for name in ("none", "half")]
    [_, job] = under("macs", jobs)
    typed = [*(item for item in TINY if item != "filters=w16"), "model.reduction=2", job[-1].replace(",", ", ")]
    lab_typed = load_config(*typed, f"output_dir={lab.output_dir}")
    assert identity(load_config(*job)) == identity(lab_typed)
    lab.run("bottleneck=half", job[-1])
    words = (
        "-m",
        *lab.overrides("bottleneck=none,half", "data.split_seed=0,1", "hydra.sweeper.budget=macs", "dry_run=true"),
    )
    ended = command(*words)
    assert ended.stdout == command(*words).stdout
    states = [line.split()[-1] for line in ended.stdout.splitlines()]
    assert states == ["state", "do", "do", "done", "do"]
    assert f"  bottleneck=half: {job[-1]}, " in ended.stderr
    assert ended.stderr.count("  bottleneck=") == 2  # once for both splits


MISTAKES = {
    "hydra.sweeper.budget=flops": "hydra.sweeper.budget can be macs, params, activations or null, got flops",
    "hydra.sweeper.budget_of=x": "hydra.sweeper.budget_of names the reference of a budget: add ",
    "hydra.sweeper.budget=macs filters=w8,w16": "hydra.sweeper.budget=macs chooses model.filters for each job: ",
    "hydra.sweeper.budget=macs model.filters=8,16": "hydra.sweeper.budget=macs chooses model.filters for each job: ",
    'hydra.sweeper.budget=macs hydra.sweeper.budget_of="units=n1,n2"': "hydra.sweeper.budget_of must be ",
    'hydra.sweeper.budget=macs hydra.sweeper.budget_of="units=nope"': "there is no units=nope; units can be: ",
    "hydra/sweeper=population hydra.sweeper.budget=macs": "there is no setting hydra.sweeper.budget here; ",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_message(command: Command, words: str):
    ended = command("-m", *TINY, "bottleneck=none,half", *words.split())
    assert ended.status == 1
    assert ended.stderr.startswith(MISTAKES[words])
    assert len(ended.stderr.splitlines()) == 1
