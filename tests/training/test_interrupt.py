"""Real processes that are killed, interrupted or run out of disk, and what the same command makes of it afterwards."""

import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from pytorch_lightning import Callback
from support.forked import DEADLINE, Forked
from support.lab import Lab, same_weights, scalars, without_times

from resnet_lab.callbacks.dashboard import Dashboard
from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import Interrupted, raise_on_signals
from resnet_lab.training.result import SCHEMA_VERSION

pytestmark = pytest.mark.slow

EPOCHS = 3
LONG = (f"trainer.max_epochs={EPOCHS}", "data.num_images=1600", "diagnostics=off")  # an epoch of 100 mini-batches
REPOSITORY = Path(__file__).parents[2]


def start(lab: Lab) -> Forked:
    """The command, as a process of its own."""
    return Forked(lab.output_dir.parent, *lab.overrides(*LONG))


def wait_for(path: Path, process: Forked) -> None:
    deadline = time.monotonic() + DEADLINE
    while not path.exists():
        assert not process.has_ended, process.end()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A laboratory whose run was never disturbed."""
    lab = Lab(tmp_path_factory.mktemp("straight"))
    lab.run(*LONG, callbacks=[Dashboard(lab.config(*LONG))])
    return lab


def assert_same(lab: Lab, straight: Lab) -> None:
    """The run ended as if nothing had happened: weights, numbers, and one event file with every epoch once."""
    directory, undisturbed = lab.directory(*LONG), straight.directory(*LONG)
    assert same_weights(lab.checkpoint(*LONG), straight.checkpoint(*LONG))
    best, expected = (torch.load(d.best, weights_only=True) for d in (directory, undisturbed))
    assert same_weights(best, expected)
    assert without_times(directory.result()) == without_times(undisturbed.result())
    assert directory.result()["schema_version"] == SCHEMA_VERSION
    assert len(list(directory.path.glob("events.*"))) == 1
    assert not list(directory.path.rglob(".*.tmp"))
    written, as_expected = scalars(directory.path), scalars(undisturbed.path)
    assert written.keys() == as_expected.keys()
    for tag, values in written.items():
        if tag.startswith("speed/"):
            assert [step for step, _ in values] == [step for step, _ in as_expected[tag]]
        else:
            assert values == as_expected[tag], tag


def same_command_again(lab: Lab) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "resnet_lab", *lab.overrides(*LONG)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},  # sums depend on how they are divided
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "continue after epoch" in ended.stderr
    assert ended.stdout.startswith("fake seed 0: validation error ")


@pytest.mark.parametrize(
    ("signum", "exit_status", "state"),
    [
        (signal.SIGKILL, -9, "running"),
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "interrupted", marks=pytest.mark.long),
    ],
)
def test_a_signal_in_mid_training(lab: Lab, straight: Lab, signum: signal.Signals, exit_status: int, state: str):
    directory = lab.directory(*LONG)
    process = start(lab)
    wait_for(directory.last, process)
    process.kill(signum)
    status, stdout, stderr = process.end()
    assert status == exit_status
    assert stdout == ""
    assert directory.status()["state"] == state
    assert not directory.result_file.exists()
    assert 1 <= len(lab.checkpoint(*LONG)["history"]) < EPOCHS
    assert "Traceback" not in stderr
    if state == "interrupted":
        assert directory.status()["why"] == signum.name
        assert stderr.endswith("\ninterrupted; run the same command again to continue after the last full epoch\n")
        lab.run(*LONG)
    else:
        same_command_again(lab)
    assert_same(lab, straight)


def test_a_second_signal_does_not_disturb_the_way_out(handlers: None):
    """Not even when somebody has given it its handler back meanwhile, as Lightning does."""
    raise_on_signals()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGINT"):
        os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGTERM, handler)
    for signum in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), signum)


class Interrupting:
    """A file at whose second write a signal arrives."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.writes = 0

    def write(self, data: bytes) -> int:
        self.writes += 1
        if self.writes == 2:
            raise Interrupted(signal.SIGTERM)
        return self.file.write(data)


class InterruptedInSaving(Callback):
    """Ends as `torch.save` does when a write of its was interrupted: with an error of the file's size."""

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        with open(os.devnull, "wb") as file:
            torch.save(torch.zeros(1000), Interrupting(file))


def test_a_signal_while_a_checkpoint_is_written(lab: Lab, straight: Lab):
    with pytest.raises(RuntimeError, match="unexpected pos"):
        InterruptedInSaving().on_save_checkpoint(None, None, {})
    with pytest.raises(Interrupted, match="SIGTERM"):
        lab.run(*LONG, callbacks=[InterruptedInSaving()])
    assert lab.directory(*LONG).status()["state"] == "interrupted"
    assert lab.directory(*LONG).status()["why"] == "SIGTERM"
    lab.run(*LONG, callbacks=[Dashboard(lab.config(*LONG))])
    assert_same(lab, straight)


class InterruptedAt(Dashboard):
    """A dashboard that is interrupted as the second epoch begins."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            raise Interrupted(signal.SIGINT)


def test_a_full_disk(lab: Lab, straight: Lab):
    directory = lab.directory(*LONG)
    with pytest.raises(Interrupted):
        lab.run(*LONG, callbacks=[InterruptedAt(lab.config(*LONG))])
    good = directory.last.read_bytes()
    room = len(good) - 1
    others = [file for file in directory.path.iterdir() if file.is_file()]
    assert max(file.stat().st_size for file in others) < room / 2  # so that the checkpoint is what does not fit

    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room))
    status, stdout, stderr = Forked(lab.output_dir.parent, *lab.overrides(*LONG), before=full).end()
    assert status == 1
    assert stdout == ""
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1].endswith(
        "free some disk space and run the same command again: it continues after the last full epoch"
    )
    assert "File too large" in stderr.splitlines()[-1]
    assert directory.status()["state"] == "failed"
    assert "Traceback" in directory.log_file.read_text()
    assert directory.last.read_bytes() == good
    assert len(lab.checkpoint(*LONG)["history"]) == 1
    assert not list(directory.checkpoints.glob(".*"))
    lab.run(*LONG)
    assert_same(lab, straight)


def test_a_second_process_is_refused_while_the_first_trains(lab: Lab):
    directory = lab.directory(*LONG)
    process = start(lab)
    wait_for(directory.last, process)
    os.kill(process.pid, signal.SIGSTOP)  # in mid-training, for as long as it takes
    try:
        with pytest.raises(ConfigError, match=f"is locked by process {process.pid} on"):
            lab.run(*LONG)
        assert directory.status()["state"] == "running"
    finally:
        process.kill()
        process.end()
