"""Sweeps on a real Ray cluster of this machine, with two worker processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sweeps import Sweep, runs, states

from resnet_lab.rundir.directory import RunDirectory

RAY = ("hydra/launcher=ray_cluster",)
RAY_COMMAND = Path(sys.executable).with_name("ray")


@pytest.fixture(autouse=True)
def contained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray reports nothing, and leaves its token in the test's folder."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_sweep_on_a_cluster_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever other there is or was; two at once, two of four jobs diverge, and none is begun again."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    jobs = (*RAY, "+hydra.launcher.ray.init.num_cpus=2", "units=n2,n3", "optim.lr=0.01,1e30")
    status, said = Sweep(tmp_path, *jobs).end()
    assert status == 1
    assert "2 of 4 jobs failed" in said
    assert "Traceback" not in said
    assert sorted(states(tmp_path).values()) == ["diverged", "diverged", "done", "done"]
    processes = {RunDirectory(tmp_path / path).status()["pid"] for path in runs(tmp_path)}
    assert len(processes) == 4  # each job had its own
    status, said = Sweep(tmp_path, *jobs).end()
    assert "2 done, 2 diverged" in said or "2 diverged, 2 done" in said


def test_a_job_that_is_lost_for_good_does_not_end_the_others(tmp_path: Path):
    """Both run when one is killed; the other is longer, and ends well."""
    long = ("seed=0,1", "trainer.max_epochs=40", "data.num_images=2000")
    jobs = (*RAY, "+hydra.launcher.ray.init.num_cpus=2", *long)
    sweep = Sweep(tmp_path, *jobs, "hydra.launcher.ray.remote.max_retries=0")
    while sweep.poll() is None:
        if len(begun := [path for path in runs(tmp_path) if RunDirectory(tmp_path / path).last.exists()]) == 2:
            os.kill(RunDirectory(tmp_path / begun[0]).status()["pid"], 9)
            break
    status, said = sweep.end()
    assert status == 1
    assert "1 of 2 jobs failed" in said
    assert "seed=0: lost by Ray, WorkerCrashedError" in said
    assert "Traceback" not in said
    assert [states(tmp_path)[path] for path in begun] == ["running", "done"]
    assert Sweep(tmp_path, *jobs).end()[0] == 0
    assert set(states(tmp_path).values()) == {"done"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster that was there before, begun in another folder."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    port = 20000 + os.getpid() % 10000
    start = [RAY_COMMAND, "start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false", "--block"]
    head = subprocess.Popen(start, cwd=elsewhere, stdout=subprocess.PIPE, text=True)
    assert head.stdout
    for line in head.stdout:
        if "Ray runtime started" in line:
            break
    yield f"127.0.0.1:{port}"
    head.terminate()
    head.communicate(timeout=60)


def test_a_sweep_on_a_cluster_that_is_there(tmp_path: Path, cluster: str):
    """A job whose process is killed is begun again by Ray, and goes on."""
    sweep = Sweep(
        tmp_path,
        *RAY,
        f"hydra.launcher.ray.init.address={cluster}",
        "seed=0,1",
        "trainer.max_epochs=40",
        "data.num_images=2000",
    )
    while sweep.poll() is None:
        begun = [RunDirectory(tmp_path / path) for path in runs(tmp_path)]
        if victims := [run for run in begun if run.last.exists()]:
            os.kill(victims[0].status()["pid"], 9)
            break
    status, said = sweep.end()
    assert status == 0, said
    assert list(states(tmp_path).values()) == ["done", "done"]
    assert "continue after epoch" in victims[0].log_file.read_text()
