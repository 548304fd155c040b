"""A sweep from the command line that nothing disturbs."""

from pathlib import Path

import pytest
from support.command import Command
from support.lab import TINY
from support.sweeps import Sweep, runs

pytestmark = pytest.mark.slow


def test_jobs_live_where_single_runs_live(command: Command, tmp_path: Path):
    words = ("+sweep=stack_shortcut", "seed=0,1", "trainer.max_epochs=1", "hydra.launcher.mps=true")
    status, said = Sweep(tmp_path, *words).end()
    assert status == 0
    assert said.startswith("4 jobs: 4 to do\n")
    assert "hydra.launcher.mps: not started, since no two jobs share a GPU\n" in said
    assert "to compare: resnet-lab report outputs/swept\n" in said
    assert len(runs(tmp_path)) == 4
    assert {Path(path).name for path in runs(tmp_path)} == {"seed-0", "seed-1"}
    words = ("-m", *TINY, "name=swept", "+sweep=stack_shortcut", "trainer.max_epochs=1")
    assert command(*words, "seed=0,1,2", "dry_run=true").status == 0
    assert len(runs(tmp_path)) == 4
    again = command(*words, "seed=0,1")
    assert (again.status, again.stderr.splitlines()[0]) == (0, "4 jobs: 4 done")
