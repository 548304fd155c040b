"""Sweeps by submitit: its local executor, and SLURM's own with a stand-in for the cluster."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from standin import JOB, Slurm
from support.lab import same_weights, without_times
from support.sweeps import Sweep, runs, states

from resnet_lab.rundir.directory import RunDirectory

SLURM = ("hydra/launcher=slurm", "hydra.launcher.gpus_per_node=0")
LOCAL = (*SLURM, "hydra.launcher.cluster=local")
LONG = ("trainer.max_epochs=8", "data.num_images=2000")


def epochs_of_a_run_begun(sweep: Sweep, folder: Path) -> RunDirectory:
    """The run of the sweep's only job, when it has written its first checkpoint."""
    while sweep.poll() is None:
        for path in runs(folder):
            if (run := RunDirectory(folder / path)).last.exists():
                return run
    pytest.fail(sweep.end()[1])


def assert_same(run: RunDirectory, other: RunDirectory) -> None:
    """Same numbers, same weights."""
    assert without_times(run.result()) == without_times(other.result())
    assert same_weights(*(torch.load(each.last, weights_only=True) for each in (run, other)))


def test_a_sweep_by_the_local_executor(tmp_path: Path):
    """What is done is not begun again; what diverges is reported and keeps nothing from running."""
    jobs = (*LOCAL, "units=n2,n3", "optim.lr=0.01")
    status, said = Sweep(tmp_path, *jobs).end()
    assert status == 0, said
    assert list(states(tmp_path).values()) == ["done", "done"]
    status, said = Sweep(tmp_path, *jobs[:-1], "optim.lr=0.01,1e30").end()
    assert status == 1
    assert "4 jobs: 2 done, 2 to do" in said
    assert "2 of 4 jobs failed" in said
    assert "Traceback" not in said
    status, said = Sweep(tmp_path, *jobs).end()
    assert (status, "2 jobs: 2 done" in said) == (0, True)


def test_a_preempted_job_goes_on(tmp_path: Path):
    """By the local executor: the job hears the signal, is begun again, and ends as if nothing had happened."""
    sweep = Sweep(tmp_path, *LOCAL, *LONG, "seed=0")
    run = epochs_of_a_run_begun(sweep, tmp_path)
    os.kill(run.status()["pid"], signal.SIGUSR2)
    status, said = sweep.end()
    assert status == 0, said
    assert "continue after epoch" in run.log_file.read_text()
    (undisturbed := tmp_path / "undisturbed").mkdir()
    assert Sweep(undisturbed, *LONG, "seed=0").end()[0] == 0
    assert_same(run, RunDirectory(undisturbed / runs(undisturbed)[0]))


def test_a_killed_job_is_reported_and_the_others_go_on(tmp_path: Path):
    sweep = Sweep(tmp_path, *LOCAL, "seed=0,1", "trainer.max_epochs=1,8", "data.num_images=2000")
    run = epochs_of_a_run_begun(sweep, tmp_path)
    os.kill(run.status()["pid"], signal.SIGKILL)
    status, said = sweep.end()
    assert status == 1
    assert "1 of 4 jobs failed" in said
    assert "ended without a result" in said
    assert sorted(states(tmp_path).values()) == ["done", "done", "done", "running"]


def test_what_slurm_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The script, which the stand-in also runs, with SLURM's variables around it."""
    slurm = Slurm(tmp_path / "slurm", monkeypatch)
    asked = (
        "timeout_min=90",
        "gpus_per_node=2",
        "cpus_per_task=8",
        "mem_gb=32",
        "partition=long",
        "array_parallelism=1",
    )
    more = ("+hydra.launcher.additional_parameters.mail-type=END", "hydra.launcher.setup=[module load cuda]")
    status, said = Sweep(
        tmp_path, "hydra/launcher=slurm", *(f"hydra.launcher.{setting}" for setting in asked), *more, "units=n2,n3"
    ).end()
    assert status == 0, said
    wanted = {
        "time": "90",
        "gpus-per-node": "2",
        "cpus-per-task": "8",
        "mem": "32GB",
        "partition": "long",
        "array": "0-1%1",
        "signal": "USR2@120",
        "open-mode": "append",
        "job-name": "resnet_lab",
        "mail-type": "END",
    }
    assert wanted.items() <= slurm.options.items()
    assert "#SBATCH --requeue\n" in slurm.script
    assert "\nmodule load cuda\n" in slurm.script
    folder = tmp_path / "outputs" / ".submitit"
    *_, command = filter(None, slurm.script.splitlines())
    assert command.startswith("srun --unbuffered --output ")
    assert command.endswith(f"{sys.executable} -u -m submitit.core._submit {folder}/%j")
    assert list(states(tmp_path).values()) == ["done", "done"]


@pytest.mark.parametrize("seeds", ["seed=0", "seed=0,1"])
def test_slurm_takes_a_node_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: str):
    """A job alone, and one of an array: SIGTERM does not end it, the signal queues it again, and it goes on."""
    slurm = Slurm(tmp_path / "slurm", monkeypatch)
    sweep = Sweep(tmp_path, *SLURM, *LONG, seeds)
    run = epochs_of_a_run_begun(sweep, tmp_path)
    slurm.announce(process := run.status()["pid"])
    before = run.last.stat().st_mtime_ns
    while run.last.stat().st_mtime_ns == before:
        assert sweep.poll() is None
    slurm.preempt(process)
    status, said = sweep.end()
    assert status == 0, said
    [job] = slurm.requeued
    assert job.startswith(str(JOB))
    assert "continue after epoch" in run.log_file.read_text()
    assert set(states(tmp_path).values()) == {"done"}


def test_bad_use_is_one_message(tmp_path: Path):
    for setting, message in {
        "hydra.launcher.cluster=slurm": 'Could not detect "srun"',
        "hydra.launcher.cluster=pbs": "named pbs",
    }.items():
        status, said = Sweep(tmp_path, *SLURM, setting, "seed=0,1").end()
        assert status == 1
        assert len(said.splitlines()) == 1
        assert said.startswith("hydra/launcher=slurm: ")
        assert message in said
