"""A run on two devices, which here are two processes with gloo, equals the same run on one."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import psutil
import pytest
import torch
from pytorch_lightning import Callback, seed_everything
from support.forked import Forked
from support.lab import FailsAt, Lab
from support.sweeps import DEADLINE, ends
from torch import Tensor, nn
from torch.func import functional_call

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import TrainLoader
from resnet_lab.data.stores import store_of
from resnet_lab.interrupts import RunFailed
from resnet_lab.tasks.base import task_of

pytestmark = pytest.mark.slow

ONE, TWO = "trainer.devices=1", "trainer.devices=2"
# 51 training images: the last mini-batch has 3, of which one process has 2. Parts of 8, averaged weights.
CHANGES = (
    *(
        "data.num_images=68",
        "data.validation=17",
        "trainer.precision=64-true",
        "augment=standard",
        "trainer.steps_per_call=2",
    ),
    *("optim.accumulate=2", "optim.clip_norm=1", "optim.ema=0.9", "model.stochastic_depth.rate=0"),
)
LOSSES = ("train/loss", "val/loss", "val/ema_loss", "val/error")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A laboratory whose run was on one device, and never disturbed."""
    lab = Lab(tmp_path_factory.mktemp("straight"))
    lab.run(*CHANGES)
    return lab


def assert_close(lab: Lab, straight: Lab) -> None:
    """The two runs have the same weights, states of the optimiser and losses, but for rounding in float64."""
    own, other = (each.checkpoint(*CHANGES) for each in (lab, straight))
    for name in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(own[name], other[name], rtol=0, atol=1e-10)
    for record, expected in zip(own["history"], other["history"], strict=True):
        assert [record[name] for name in LOSSES] == pytest.approx([expected[name] for name in LOSSES], abs=1e-10)
    results = [each.directory(*CHANGES).result() for each in (lab, straight)]
    assert results[0]["last"] == pytest.approx(results[1]["last"], abs=1e-10)


def followers(of: int | None = None) -> list[psutil.Process]:
    """The other processes of a run."""
    children = psutil.Process(of).children()
    return [child for child in children if "resnet_lab.training.follower" in child.cmdline()]


# --- the same numbers


def test_two_equal_one(lab: Lab, straight: Lab, said: pytest.LogCaptureFixture):
    result = lab.run(*CHANGES, TWO)
    assert "2 processes, BatchNorm over the images of all" in said.text
    assert_close(lab, straight)
    assert result["devices"] == 2
    assert not followers()


@pytest.mark.parametrize(("before", "after"), [(ONE, TWO), (TWO, ONE)])
def test_a_run_continues_with_another_number_of_devices(lab: Lab, straight: Lab, before: str, after: str):
    with pytest.raises(RunFailed, match="out of luck"):
        lab.run(*CHANGES, before, callbacks=[FailsAt(1)])
    lab.run(*CHANGES, after)
    assert_close(lab, straight)


APART = (
    *(
        "data.num_images=68",
        "data.validation=17",
        "trainer.precision=64-true",
        "optim.schedule=constant",
        "optim.lr=0.05",
    ),
    *("augment=none", "trainer.sync_batch_norm=false"),
)


def test_batch_norm_of_each_device_equals_a_simulation(lab: Lab):
    lab.run(*APART, TWO)
    weights = {name.removeprefix("net."): tensor for name, tensor in lab.checkpoint(*APART, TWO)["state_dict"].items()}
    for name, expected in simulated(lab).items():
        torch.testing.assert_close(weights[name], expected, rtol=0, atol=1e-10)


def simulated(lab: Lab) -> dict[str, Tensor]:
    """Both halves of each mini-batch in turn, by torch's BatchNorm and SGD; the statistics are those of the first."""
    config = lab.config(*APART)
    data = ImageData(config)
    store = store_of(data.source.train, config.data, torch.device("cpu"))
    loader = TrainLoader(store, data.train_rows, data.normalise, data.config, steps_per_call=1)
    seed_everything(config.seed, verbose=False)
    net = task_of(config).network().double().train()
    parameters, buffers = dict(net.named_parameters()), [deepcopy(dict(net.named_buffers())) for _ in range(2)]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for epoch in range(config.trainer.max_epochs):
        loader.set_epoch(epoch)
        for images, labels in loader:
            optimizer.zero_grad()
            for first, own in enumerate(buffers):
                outputs = functional_call(net, (parameters, own), (images[first::2].double(),))
                loss = nn.functional.cross_entropy(outputs, labels[first::2], reduction="sum")
                (loss / len(labels)).backward()
            optimizer.step()
    return {name: tensor.detach() for name, tensor in parameters.items()} | buffers[0]


def test_what_each_device_normalises_is_part_of_what_a_run_is(lab: Lab):
    """On one device there is no difference; on several, their number counts."""
    alone = lab.directory("trainer.sync_batch_norm=false").path
    assert alone == lab.directory().path == lab.directory(TWO).path
    apart = {lab.directory("trainer.sync_batch_norm=false", f"trainer.devices={count}").path for count in (2, 4)}
    assert len({alone, *apart}) == 3


# --- ends that nobody planned


class Kills(Callback):
    """Kills the other process as an epoch (from 0) begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            [other] = followers()
            other.kill()


def test_a_killed_process_ends_the_run(lab: Lab, straight: Lab):
    with pytest.raises(RunFailed, match=r"DeviceLost: the process of device 1: killed by SIGKILL.*run the same com"):
        lab.run(*CHANGES, TWO, callbacks=[Kills(1)])
    assert lab.directory(*CHANGES).status()["state"] == "failed"
    lab.run(*CHANGES, TWO)
    assert_close(lab, straight)


def test_a_process_that_does_not_start_is_no_damaged_checkpoint(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(RunFailed, match="out of luck"):
        lab.run(*CHANGES, callbacks=[FailsAt(1)])
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RunFailed, match=r"DeviceLost: the process of device 1: exited with status 1.*run the same com"):
        lab.run(*CHANGES, TWO)


@pytest.fixture
def begun(lab: Lab) -> Iterator[tuple[Forked, psutil.Process]]:
    """A run on two devices as a command, in the middle of its epochs, and its other process."""
    process = Forked(lab.output_dir.parent, *lab.overrides(*CHANGES, TWO, "trainer.max_epochs=1000"))
    while not (last := lab.directory(*CHANGES, "trainer.max_epochs=1000").last).exists():
        assert not process.has_ended, process.end()
    [other] = followers(process.pid)
    yield process, other
    assert last.exists()
    assert ends(other.pid)


def test_the_others_end_with_the_first(begun: tuple[Forked, psutil.Process]):
    process, _ = begun
    process.kill()
    process.end()


def test_ctrl_c(begun: tuple[Forked, psutil.Process]):
    """The terminal sends it to all processes."""
    process, other = begun
    for pid in (other.pid, process.pid):
        os.kill(pid, signal.SIGINT)
    status, _, said = process.end()
    assert (status, said.splitlines()[-1]) == (
        128 + signal.SIGINT,
        "interrupted; run the same command again to continue after the last full epoch",
    )


# --- processes that others have started


@pytest.mark.long
def test_torchrun(lab: Lab, straight: Lab):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "resnet_lab"]
    for _ in range(2):  # the second time, there is nothing to do
        command = [*torchrun, *lab.overrides(*CHANGES, TWO)]
        done = subprocess.run(command, cwd=lab.output_dir.parent, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("fake seed 0:") == 1  # the first process alone speaks
    assert_close(lab, straight)


@pytest.mark.long
def test_tasks_of_slurm(lab: Lab, straight: Lab):
    command = [sys.executable, "-m", "resnet_lab", *lab.overrides(*CHANGES, TWO)]
    started = []
    for task in ("1", "0"):
        names = {"STEP_NUM_TASKS": "2", "PROCID": task, "LOCALID": task, "STEP_NODELIST": "127.0.0.1", "JOB_ID": "77"}
        environment = os.environ | {f"SLURM_{name}": value for name, value in names.items()}
        started.append(subprocess.Popen(command, cwd=lab.output_dir.parent, env=environment))
    assert [process.wait(DEADLINE) for process in started] == [0, 0]
    assert_close(lab, straight)


# --- refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ("optim.batch_size=15",),
            r"^optim\.batch_size=15: 15 images at a time cannot be shared evenly by trainer\.dev",
        ),
        (("optim.accumulate=8", "trainer.devices=3"), r"accumulate=8: 2 images .* use a multiple of 24, such as 24$"),
        (("data.num_images=65",), r"^optim\.batch_size=16 leaves 1 image \(of 49\) in a mini-batch, fewer than train"),
        (("optim.class_weights=balanced",), r"^trainer\.devices=2 needs optim\.class_weights=none: a weighted loss"),
        (("trainer.compile=inductor",), r"^trainer\.devices=2 needs trainer\.compile=off"),
        (("trainer.devices=0",), r"^trainer\.devices must be at least 1, got 0$"),
    ],
)
def test_refusals(lab: Lab, changes: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        lab.run(TWO, *changes)
    assert not lab.output_dir.exists()


def test_another_number_of_processes_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match=r"devices=2, but torchrun has started 4 processes.*: set trainer\.devices=4"):
        lab.run(TWO)
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    with pytest.raises(ConfigError, match=r"devices=2, but srun has started 3 processes.*: set trainer\.devices=3"):
        lab.run(TWO)


def test_more_gpus_than_there_are_are_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"^trainer\.devices=2, but this process may use 1 GPU$"):
        lab.run("trainer=auto", "trainer.max_epochs=2", TWO)
