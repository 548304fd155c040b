"""Sweeps from the command line that end quickly, one way or the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import TINY
from sweeps import Sweep, runs

from resnet_lab.compose import load_config
from resnet_lab.model.summary import measure


def test_jobs_live_where_single_runs_live(tmp_path: Path):
    status, said = Sweep(tmp_path, "+sweep=stack_shortcut", "seed=0,1", "trainer.max_epochs=1").end()
    assert status == 0
    assert said.startswith("4 jobs: 4 to do\n")
    assert "to compare: python -m resnet_lab.report outputs/swept\n" in said
    assert len(runs(tmp_path)) == 4
    assert {Path(path).name for path in runs(tmp_path)} == {"seed-0", "seed-1"}
    again = Sweep(tmp_path, "+sweep=stack_shortcut", "seed=0,1,2", "trainer.max_epochs=1", "dry_run=true")
    assert again.end()[0] == 0
    assert len(runs(tmp_path)) == 4
    status, said = Sweep(tmp_path, "+sweep=stack_shortcut", "seed=0,1", "trainer.max_epochs=1").end()
    assert (status, said.splitlines()[0]) == (0, "4 jobs: 4 done")


def test_a_dry_run_lists_and_makes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    status, _ = Sweep(tmp_path, "units=n2,n3", "model.reduction=[4],[5]", "dry_run=true").end()
    assert status == 0
    lines = capfd.readouterr().out.splitlines()
    cost = measure(load_config(*TINY, "units=n3", "model.reduction=[4]"))
    assert lines[0].split() == ["job", "depth", "params", "MACs", "state"]
    [row] = [line for line in lines if line.startswith("units=n3 model.reduction=[4]")]
    assert row.split()[2:] == [f"{cost.depth}", f"{cost.params:,}", f"{cost.macs:,}", "to", "do"]
    assert sum("impossible: model.filters 16 is not divisible by model.reduction 5" in line for line in lines) == 2
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("units=n2,nope", "there is no units=nope; units can be: "),
        ("hydra.launcher.jobs=0", "hydra.launcher.jobs must be a whole number above 0, got 0"),
        ("hydra.launcher.jobs_per_gpu=0.5", "hydra.launcher.jobs_per_gpu must be a whole number above 0, got 0.5"),
        ("hydra.launcher.time_limit=-1", "hydra.launcher.time_limit must be minutes above 0, got -1"),
    ],
)
def test_a_mistake_is_told_before_anything_begins(tmp_path: Path, override: str, message: str):
    status, said = Sweep(tmp_path, "seed=0,1", override).end()
    assert status == 1
    assert said.count("\n") == 1
    assert said.startswith(message)
    assert not (tmp_path / "outputs").exists()
