"""Sweeps that are disturbed: jobs that fail, processes that are killed, and two sweeps at once."""

import multiprocessing
import os
import random
import signal
import subprocess
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest
import torch
from support.lab import Lab, same_weights, without_times
from support.sweeps import Sweep, ends, group_members, parent, runs, states

from resnet_lab.callbacks.message import Progress
from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.sweep.worker import tell

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "1"))  # random moments at which a whole sweep is killed; more of them find more
SIX = ("seed=0,1,2", "units=n2,n3", "trainer.max_epochs=3", "data.num_images=400")
ENDLESS = ("trainer.max_epochs=100000",)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the six runs, each of which ran alone and was not disturbed."""
    lab = Lab(tmp_path_factory.mktemp("straight"))
    for seed, units in product((0, 1, 2), (2, 3)):
        lab.run("name=swept", f"seed={seed}", f"model.units={units}", *SIX[2:])
    return lab.output_dir


def assert_same(outputs: Path, straight: Path) -> None:
    """Every job ended as the run that is alone: same numbers, same weights, nothing left over."""
    assert runs(outputs) == runs(straight)
    for path in runs(straight):
        run, undisturbed = RunDirectory(outputs / path), RunDirectory(straight / path)
        assert without_times(run.result()) == without_times(undisturbed.result() | {"sweeper": "grid"})
        weights, expected = (torch.load(directory.last, weights_only=True) for directory in (run, undisturbed))
        assert same_weights(weights, expected)
        assert len(list(run.path.glob("events.*"))) == 1
    assert not list(outputs.rglob(".*.tmp"))


def is_job(path: Path, lr: float, reduction: list[int]) -> bool:
    config = RunDirectory(path).stored_config()
    return (config.optim.lr, config.model.reduction) == (lr, reduction)


@pytest.mark.long
def test_twelve_jobs_of_which_some_fail(tmp_path: Path):
    jobs = ("optim.lr=0.1,0.05,1e30", "model.reduction=[1],[2],[4],[3]", "trainer.max_epochs=2")
    sweep = Sweep(tmp_path, *jobs, "data.num_images=4000")
    sweep.read_until("optim.lr=0.1 model.reduction=[1]: training for")
    [victim] = [path for path in runs(tmp_path) if is_job(tmp_path / path, lr=0.1, reduction=[1])]
    os.kill(RunDirectory(tmp_path / victim).status()["pid"], signal.SIGKILL)
    status, said = sweep.end()
    assert status == 1
    assert "Traceback" not in said
    failed = said.partition("7 of 12 jobs failed:\n")[2].splitlines()
    assert len(failed) == 5  # 3 impossible for one reason, 3 diverged (the fourth of them impossible too), 1 killed
    [impossible] = [line for line in failed if "model.filters 16 is not divisible by model.reduction 3" in line]
    assert impossible.count("model.reduction=[3]") == 3
    assert sum("has diverged: train/loss is" in line for line in failed) == 3
    assert sum("killed by SIGKILL" in line and victim in line for line in failed) == 1
    assert sorted(states(tmp_path).values()) == ["diverged"] * 3 + ["done"] * 5 + ["failed"]
    assert "killed by SIGKILL" in RunDirectory(tmp_path / victim).status()["why"]
    assert "killed by SIGKILL" in RunDirectory(tmp_path / victim).log_file.read_text()

    finished = {path: RunDirectory(tmp_path / path).status() for path in runs(tmp_path)}
    status, said = Sweep(tmp_path, *jobs, "data.num_images=4000").end()
    assert status == 1
    assert "6 of 12 jobs failed:" in said
    again = {path: RunDirectory(tmp_path / path).status() for path in runs(tmp_path)}
    assert [path for path in again if again[path] != finished[path]] == [victim]  # nothing else was touched
    assert again[victim]["state"] == "done"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment(tmp_path: Path, straight: Path, seed: int):
    """All of its processes at once, as when the machine goes down; then the same command again."""
    moment = random.Random(seed)
    sweep = Sweep(tmp_path, *SIX)
    for _ in range(moment.randint(0, 6)):
        sweep.read_until("training for")
    with suppress(subprocess.TimeoutExpired):
        sweep.wait(timeout=moment.random())
    sweep.signal_group(signal.SIGKILL)
    sweep.end()
    done = {path for path, state in states(tmp_path).items() if state == "done"}
    before = {path: RunDirectory(tmp_path / path).status() for path in done}
    assert Sweep(tmp_path, *SIX).end()[0] == 0
    assert {path: RunDirectory(tmp_path / path).status() for path in done} == before  # none of them ran again
    assert_same(tmp_path / "outputs", straight)


def test_ctrl_c_and_the_same_command_again(tmp_path: Path, straight: Path):
    sweep = Sweep(tmp_path, *SIX)
    sweep.read_until("training for")
    sweep.signal_group(signal.SIGINT)
    status, said = sweep.end()
    assert status == 128 + signal.SIGINT
    assert "run the same command again to continue them" in said
    for process in group_members(sweep.pid):
        assert ends(process)
    assert "running" not in states(tmp_path).values()
    assert Sweep(tmp_path, *SIX).end()[0] == 0
    assert_same(tmp_path / "outputs", straight)


@pytest.mark.long
def test_the_same_sweep_twice_at_once(tmp_path: Path, straight: Path):
    sweeps = [Sweep(tmp_path, *SIX) for _ in range(2)]
    ended = [sweep.end() for sweep in sweeps]
    assert [status for status, _ in ended] == [0, 0], ended
    assert_same(tmp_path / "outputs", straight)
    logs = [RunDirectory(tmp_path / path).log_file.read_text() for path in runs(tmp_path)]
    assert all(log.count("epoch 3/3: ") == 1 for log in logs)


def test_jobs_end_with_their_sweep(tmp_path: Path):
    sweep = Sweep(tmp_path, "seed=0", *ENDLESS)
    sweep.read_until("training for")
    [path] = runs(tmp_path)
    job = RunDirectory(tmp_path / path).status()["pid"]
    sweep.kill()
    assert ends(job)
    assert states(tmp_path) == {path: "interrupted"}


def test_a_job_that_speaks_to_a_sweep_that_is_gone():
    """It may reach the end of an epoch before it notices; it is interrupted then, and has not failed."""
    hears, connection = multiprocessing.Pipe(duplex=False)
    progress = Progress(
        "outputs/name/seed-0", 1, 2, CLASSIFICATION, val_score=50.0, images_per_second=1.0, seconds_left=1.0
    )
    tell(connection, progress)
    assert hears.recv() == progress
    hears.close()
    tell(connection, progress)


@pytest.mark.long
def test_a_time_limit_and_a_job_that_does_not_answer(tmp_path: Path):
    sweep = Sweep(tmp_path, "seed=0,1", "hydra.launcher.time_limit=0.25", "hydra.launcher.jobs=2", *ENDLESS)
    sweep.read_until("training for")
    stopped = runs(tmp_path)[0]
    os.kill(RunDirectory(tmp_path / stopped).status()["pid"], signal.SIGSTOP)  # as one that waits for a disk
    status, said = sweep.end()
    assert status == 1
    assert (
        said.count("took longer than hydra.launcher.time_limit=0.25 minutes") == 4
    )  # as each job fails, and in the end
    assert set(states(tmp_path).values()) == {"failed"}


@pytest.mark.long
def test_the_process_that_forks_the_jobs_is_killed(tmp_path: Path):
    """As when memory runs out; its jobs end with it, and are recorded like any others that are lost."""
    sweep = Sweep(tmp_path, "seed=0,1", "hydra.launcher.jobs=2", *ENDLESS)
    for _ in range(2):
        sweep.read_until("training for")
    statuses = [RunDirectory(tmp_path / path).status() for path in runs(tmp_path)]
    parents = {parent(status["pid"]) for status in statuses}
    assert len(parents) == 1
    os.kill(parents.pop(), signal.SIGKILL)
    for status in statuses:
        os.kill(status["pid"], signal.SIGKILL)
    status, said = sweep.end()
    assert status == 1
    assert "2 of 2 jobs failed:" in said
    assert "is not a valid" not in said
