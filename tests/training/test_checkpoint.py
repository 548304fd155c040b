"""Checkpoints: exact copies in memory, written whole by a thread, of which none is lost or too new."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from support.lab import FailsAt, Lab
from torch import nn

from resnet_lab.interrupts import RunFailed
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.training import checkpoint
from resnet_lab.training.checkpoint import Checkpoints, host_copy


def states() -> dict[str, Any]:
    """A checkpoint of tensors of several dtypes and layouts, some of which overlap or are used twice."""
    weights = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last).weight.detach()
    return {
        "state_dict": {"weight": weights, "again": weights, "counter": torch.tensor(7), "empty": torch.empty(0, 3)},
        "optimizer_states": [{"state": {0: {"momentum": torch.randn_like(weights), "step": torch.tensor(3.0)}}}],
        "expanded": torch.arange(3.0).expand(4, 3),
        "strided": torch.arange(24.0).reshape(4, 6)[:, ::2],
        "double": torch.randn(5, dtype=torch.float64),
        "history": [{"epoch": 1, "train/loss": 0.5}],
    }


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict | list):
        return [leaf for part in (tree.values() if isinstance(tree, dict) else tree) for leaf in leaves(part)]
    return [tree]


def test_a_copy_has_the_same_values_and_layouts_and_stays_as_it_is():
    original = states()
    copy, expected = host_copy(original), [x.clone() if isinstance(x, torch.Tensor) else x for x in leaves(original)]
    for tensor in leaves(original):
        if isinstance(tensor, torch.Tensor) and not tensor.is_floating_point():
            tensor.zero_()
    original["state_dict"]["weight"].fill_(-1)
    original["history"].append({"epoch": 2})
    for one, other in zip(leaves(copy), expected, strict=True):
        if isinstance(one, torch.Tensor):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert torch.equal(one, other)
            assert one.stride() == other.stride()
        else:
            assert one == other


class Written(Callback):
    """After every epoch, waits for the thread, and keeps the epochs of both files on disk."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, int]] = []

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        keeper = next(each for each in trainer.callbacks if isinstance(each, Checkpoints))
        if keeper.writing:
            keeper.writing.result()
        directory = keeper.directory
        if directory.last.exists():
            self.epochs.append((epochs_in(directory.last), epochs_in(directory.best)))


class LooksForThreads(Callback):
    """At the start of an epoch, waits until a write has ended, and keeps the threads that are left of it."""

    def __init__(self) -> None:
        self.left: list[threading.Thread] = []
        self.writes = 0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        keeper = next(each for each in trainer.callbacks if isinstance(each, Checkpoints))
        if keeper.writing:
            self.writes += 1
            keeper.writing.result()
            threads = [thread for thread in threading.enumerate() if thread.name.startswith("checkpoints")]
            for thread in threads:
                thread.join(timeout=10)
            self.left += [thread for thread in threads if thread.is_alive()]


def test_no_thread_outlives_its_write(lab: Lab):
    """OpenMP would count its team, and slow the training down."""
    looks = LooksForThreads()
    lab.run(callbacks=[looks])
    assert looks.writes > 0
    assert looks.left == []


def epochs_in(path: Path) -> int:
    return len(torch.load(path, weights_only=True)["history"])


LONG = ("trainer.max_epochs=5",)


@pytest.mark.parametrize(("seconds", "last"), [(0.0, [1, 2, 3, 4]), (1e9, [1, 1, 1, 1])])
def test_disk_is_written_at_most_every_so_many_seconds(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, seconds: float, last: list[int]
):
    """The first epoch is always written, and so is the last; the best is that of the whole history."""
    monkeypatch.setattr(checkpoint, "SECONDS", seconds)
    written = Written()
    result = lab.run(*LONG, callbacks=[written])
    directory = lab.directory(*LONG)
    assert [epochs for epochs, _ in written.epochs] == last
    assert all(best <= last for last, best in written.epochs)
    assert (epochs_in(directory.last), epochs_in(directory.best)) == (5, result["best"]["epoch"])


def test_a_run_that_fails_keeps_its_last_full_epoch(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 1e9)
    with pytest.raises(RunFailed, match="out of luck"):
        lab.run(*LONG, callbacks=[FailsAt(3)])
    assert len(lab.checkpoint(*LONG)["history"]) == 3
    assert lab.directory(*LONG).status()["epochs"] == 3


def begun(tmp_path: Path, last: dict[str, Any], best: dict[str, Any] | None = None) -> Checkpoints:
    directory = RunDirectory(tmp_path)
    directory.checkpoints.mkdir(exist_ok=True)
    keeper = Checkpoints(directory)
    keeper.last, keeper.best = last, best
    return keeper


class NotToBeStored:
    """Fails when most of a checkpoint is written."""

    def __reduce__(self) -> str:
        raise OSError("no space left")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    begun(tmp_path, states()).finish()
    before = {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    keeper = begun(tmp_path, states() | {"more": NotToBeStored()})
    with pytest.raises(OSError, match="no space left"):
        keeper.finish()
    assert {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_best_is_written_before_last(tmp_path: Path):
    """Whatever ends the process in between: the best epoch of last.ckpt's history is on disk."""
    keeper = begun(tmp_path, states() | {"more": NotToBeStored()}, best=states())
    with pytest.raises(OSError, match="no space left"):
        keeper.finish()
    assert [file.name for file in keeper.directory.checkpoints.iterdir()] == ["best.ckpt"]


def test_training_does_not_wait_for_the_disk(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """While the disk is stuck, all epochs are trained; then it gets the first and the newest."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    stuck, save, saved = threading.Event(), checkpoint.save, []

    def slow(snapshot: dict[str, Any], path: Path) -> None:
        assert stuck.wait(60)
        saved.append((path.name, len(snapshot["history"])))
        save(snapshot, path)

    class Release(Callback):
        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            stuck.set()

    monkeypatch.setattr(checkpoint, "save", slow)
    result = lab.run(*LONG, "data.validation=0", callbacks=[Release()])
    assert result["epochs"] == 5
    assert saved == [("last.ckpt", 1), ("last.ckpt", 5)]
