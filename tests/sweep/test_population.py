"""A population is drawn from what is given, within limits, and the same again."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.command import Command
from support.composing import composer, config
from support.lab import TINY
from support.sweeps import runs

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.hydra_private import combinations, parsed
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import identity
from resnet_lab.sweep import population as module
from resnet_lab.sweep.axes import split
from resnet_lab.sweep.population import Limits, population
from resnet_lab.tasks.cost import measure

SPACE = (*TINY, "model.units=1,2,3", "model.filters=range(8,40,2)", "model.reduction=1,2,4")


def draw(n: int, *overrides: str, seed: int = 0, limits: Limits | None = None) -> list[list[str]]:
    hydra_context = composer().hydra_context
    axes, others = split(parsed(hydra_context, overrides or SPACE))
    assert others == [item for item in overrides or SPACE if item.split("=")[0] not in {axis.name for axis in axes}]
    [fixed, *_] = combinations(hydra_context, others)
    return population(composer(), fixed, axes, n, seed, limits or {})


def values(name: str, texts: Sequence[float], *overrides: str) -> list[str]:
    """What an axis makes of random numbers."""
    axes, _ = split(parsed(composer().hydra_context, overrides))
    [axis] = [axis for axis in axes if axis.name == name]
    return [axis.value(text) for text in texts]


def test_it_is_the_same_again():
    """Also on another machine, and tomorrow."""
    found = draw(6)
    assert found[:3] == [
        ["model.filters=16", "model.reduction=2", "model.units=2"],
        ["model.filters=32", "model.reduction=1", "model.units=2"],
        ["model.filters=16", "model.reduction=4", "model.units=2"],
    ]
    assert draw(9)[:6] == found
    assert draw(6, *SPACE[::-1]) == found  # the order does not matter
    assert draw(6, *SPACE, "seed=0,1") == found
    assert draw(6, seed=1) != found


def test_all_differ_and_are_valid_and_within_the_limits():
    limits = {"macs": (5e4, 4e5), "params": (0.0, 2e4), "activations": (1e3, 1e4)}
    found = [config(*TINY, *job) for job in draw(6, limits=limits)]
    assert len({identity(drawn) for drawn in found}) == 6
    for drawn in found:
        cost = measure(drawn).totals()
        assert all(least <= cost[name] <= most for name, (least, most) in limits.items())
    assert len({drawn.model.reduction[0] for drawn in found}) == 3


def test_settings_that_nothing_reads_make_no_other_architecture(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "DRAWS", 5)
    with pytest.raises(ConfigError, match=r"n=2 is too many: 1 architecture in .* or set hydra\.sweeper\.n=1$"):
        draw(2, *TINY, "model.gate_bias=interval(-3,3)")


def test_what_cannot_be_is_drawn_again():
    found = draw(3, *TINY, "unit=bottleneck,basic", "bottleneck=none,r3", "model.units=1,2")
    assert not any("bottleneck=r3" in job for job in found)


def test_intervals():
    ends = (0.0, 0.5, 1 - 2**-53)
    assert values("optim.lr", ends, "optim.lr=interval(0.0123456,0.5)") == ["0.01235", "0.2562", "0.5"]
    assert values("optim.lr", ends, "optim.lr=tag(log,interval(0.001,0.1))") == ["0.001", "0.01", "0.1"]
    assert values("model.units", ends, "model.units=interval(1,5)") == ["1", "3", "5"]
    assert values("trainer.patience", ends, "trainer.patience=tag(log,interval(1,100))") == ["1", "7", "100"]
    drawn = values("model.units", [number / 1000 for number in range(1000)], "model.units=interval(1.5,4.2)")
    assert [drawn.count(units) for units in ("2", "3", "4")] == [334, 333, 333]


def test_lists():
    numbers = [number / 6 + 0.01 for number in range(6)]
    assert values("units", numbers, "units=n2,n3,n5") == ["n2", "n2", "n3", "n3", "n5", "n5"]
    assert values("model.filters", numbers[::2], "model.filters=[16,32],[32,16],8") == ["[16,32]", "[32,16]", "8"]
    assert values("optim.lr", numbers[::2], "optim.lr=shuffle(0.1,0.2,0.3)") == ["0.1", "0.2", "0.3"]
    assert values("model.units", numbers[::2], "model.units=range(3,9,2)") == ["3", "5", "7"]
    assert values("units", numbers[::2], "units=glob(r18)", "seed=0,1", "model.reduction=2") == ["r18"] * 3


def test_the_draws_are_uniform():
    rates = [float(value) for value in values("optim.lr", [n / 99 for n in range(99)], "optim.lr=interval(1,3)")]
    assert statistics.median(rates) == pytest.approx(2, abs=0.02)


def test_limits_that_admit_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "DRAWS", 40)
    with pytest.raises(ConfigError) as refused:
        draw(5, *TINY, "model.filters=range(8,12,2)", "model.reduction=1,3", limits={"macs": (1, 2), "params": (0, 9)})
    costs = [measure(config(*TINY, f"model.filters={width}", "model.reduction=1")) for width in (8, 10)]
    macs, params = ([getattr(cost, name) for cost in costs] for name in ("macs", "params"))
    said = str(refused.value)
    assert said.startswith("hydra.sweeper.n=5 is too many: 0 architectures in 40 draws; 2 outside hydra.sweeper.")
    assert f"hydra.sweeper.limits.macs=[1,2] (drawn: {macs[0]:,} to {macs[1]:,}) and " in said
    assert f"hydra.sweeper.limits.params=[0,9] (drawn: {params[0]:,} to {params[1]:,}); " in said
    assert "2 refused, the last because model.filters " in said
    assert said.endswith("; 36 repeated. Draw from more values, widen the limits")


MISTAKES = {
    "seed=0,1": "hydra/sweeper=population needs something to draw",
    "units=n2,nope": "there is no units=nope; units can be: ",
    "model.unitz=interval(1,2)": "there is no setting model.unitz; similar names: ",
    "unit=interval(1,2)": "unit is not a number: list what to draw from, as in unit=a,b,c",
    "data.root=interval(1,2)": "data.root is not a number",
    "optim.lr=interval(3,1)": "optim.lr=interval(3,1): there is nothing between the bounds",
    "model.units=interval(1.1,1.9)": "model.units=interval(1.1,1.9): there is nothing between the bounds",
    "model.units=range(3,3)": "model.units=range(3,3): there is nothing to draw from",
    "optim.lr=tag(log,interval(0,1))": "optim.lr=tag(log,interval(0,1)): a logarithmic range must begin above 0",
    "units=n1,n2 seed=interval(0,3)": "interval(a,b) is for what hydra/sweeper=population or search draws",
    "units=n1,n2 optim.lr=much": "optim.lr must be a number, got much",
    "units=n1,n2 hydra.sweeper.n=0": "hydra.sweeper.n must be a whole number of at least 1, got 0",
    "units=n1,n2 hydra.sweeper.seed=-1": "hydra.sweeper.seed must be a whole number of at least 0, got -1",
    "units=n1,n2 hydra.sweeper.limits.macs=5": "hydra.sweeper.limits.macs must be [least,most], as in [20e6,40e6], ",
    "units=n1,n2 hydra.sweeper.limits.params=[5,1]": "hydra.sweeper.limits.params must be [least,most], as in ",
    "units=n1,n2 hydra.sweeper.limits.flops=[1,2]": "there is no setting hydra.sweeper.limits.flops",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_message(command: Command, words: str):
    ended = command("-m", *TINY[2:], "hydra/sweeper=population", *words.split())
    assert ended.status == 1
    assert ended.stderr.startswith(MISTAKES[words])
    assert len(ended.stderr.splitlines()) == 1


def test_settings_of_a_population_are_not_those_of_a_grid(command: Command):
    ended = command("-m", *TINY, "seed=0,1", "hydra.sweeper.n=4")
    assert ended.stderr == "there is no setting hydra.sweeper.n here; it belongs to hydra/sweeper=population\n"


def test_every_seed_runs_every_architecture(command: Command, tmp_path: Path):
    given = ("-m", *SPACE, "hydra/sweeper=population", "hydra.sweeper.n=3", "hydra.sweeper.seed=1", "seed=0,1")
    ended = command(*given, "hydra.sweeper.limits.macs=[1e4,1e6]", "dry_run=true")
    assert ended.status == 0
    rows = ended.stdout.splitlines()[1:]
    drawn = [" ".join(job) for job in draw(3, seed=1, limits={"macs": (1e4, 1e6)})]
    assert [row.split("  ")[0] for row in rows] == [f"seed={seed} {job}" for job in drawn for seed in (0, 1)]
    assert ended.stderr.startswith("population: 3 architectures in ")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_it_is_trained_and_continued(command: Command, tmp_path: Path):
    words = ("-m", *SPACE, "hydra/sweeper=population", "trainer.max_epochs=1")
    ended = command(*words, "hydra.sweeper.n=1")
    assert (ended.status, ended.stderr.splitlines()[1]) == (0, "1 job: 1 to do")
    before = runs(tmp_path)
    ended = command(*words, "hydra.sweeper.n=2")
    assert (ended.status, ended.stderr.splitlines()[1]) == (0, "2 jobs: 1 done, 1 to do")
    assert set(before) < set(runs(tmp_path))
    assert {RunDirectory(tmp_path / path).result()["sweeper"] for path in runs(tmp_path)} == {"population"}
