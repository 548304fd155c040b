"""Checkpoints: copied to memory after every epoch, and written to disk by a thread while training continues."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import copy_atomically, write_atomically
from resnet_lab.rundir.states import State
from resnet_lab.training.history import best_epoch
from resnet_lab.training.lightning import take_snapshot

Snapshot = dict[str, Any]  # what Lightning stores in a checkpoint, on the host

SECONDS = 10.0  # the least time between two writes; a killed process loses no more than that and the current epoch


class Checkpoints(Checkpoint):
    """Keep `last.ckpt` and, if epochs record `trainer.best_by`, `best.ckpt` of the first one in which it is lowest.

    Each file is written whole or not at all. `best.ckpt` is written first, so that it is never older than the best
    epoch in the history of `last.ckpt`. The history alone determines the best epoch: Lightning's ModelCheckpoint keeps
    its own state, which it drops when the run directory was moved; the next epoch then counts as the best.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.last: Snapshot | None = None  # not yet written
        self.best: Snapshot | None = None
        self.writing: Future[None] | None = None
        self.began = -math.inf

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning calls this after the module's own hook, which adds the epoch to the history."""
        with pl_module.clock.during("checkpoints"):
            self.last = host_copy(take_snapshot(trainer))
            if best_epoch(pl_module.history, pl_module.config.best_by) is pl_module.history[-1]:
                self.best = self.last
            is_idle = self.writing is None or self.writing.done()
            if is_idle and time.monotonic() - self.began >= SECONDS:
                self._begin()

    def finish(self) -> None:
        """Write what has not been written, and wait for it. Raises OSError when the disk is full."""
        if self.last:
            self._begin()
        if self.writing:
            self.writing.result()

    def _begin(self) -> None:
        if self.writing:
            self.writing.result()  # raises its error, if it failed
        assert self.last is not None
        # A thread for each write: while one lives that has copied tensors, OpenMP counts more threads than cores and
        # lets those of a training step sleep where they would spin, which costs 9 % of the speed of cifar10_20.
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self.writing = thread.submit(self._write, self.last, self.best)
        thread.shutdown(wait=False)
        self.last, self.best, self.began = None, None, time.monotonic()

    def _write(self, last: Snapshot, best: Snapshot | None) -> None:
        if best is not None:
            save(best, self.directory.best)
        if best is last:
            copy_atomically(self.directory.best, self.directory.last)
        else:
            save(last, self.directory.last)
        self.directory.set_status(State.running, epochs=len(last["history"]))


def save(snapshot: Snapshot, path: Path) -> None:
    """Write a checkpoint in which each tensor has a storage of its own, unlike in `host_copy`.

    On a full disk, raise OSError and keep the old file.
    """
    checkpoint = apply_to_collection(snapshot, Tensor, torch.clone)
    write_atomically(path, lambda file: torch.save(checkpoint, file))


def host_copy(checkpoint: Snapshot) -> Snapshot:
    """Return a copy of a checkpoint on the host, which training does not change.

    One transfer moves all tensors of a device and dtype: a GPU takes almost as long for one as for all.
    """
    tensors: list[Tensor] = []
    apply_to_collection(checkpoint, Tensor, tensors.append)
    copies = dict(_host_copies(tensors))
    return apply_to_collection(checkpoint, Tensor, lambda tensor: copies[id(tensor)])


def _host_copies(tensors: list[Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Yield the id and the copy of each tensor; the copies from one device and of one dtype share a storage."""
    groups: dict[tuple[torch.device, torch.dtype], list[tuple[int, Tensor]]] = defaultdict(list)
    for tensor in tensors:
        is_dense = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
        groups[tensor.device, tensor.dtype].append((id(tensor), tensor if is_dense else tensor.contiguous()))
    for group in groups.values():
        flat = torch.cat([tensor.as_strided((tensor.numel(),), (1,)) for _, tensor in group])
        if flat.is_cuda:
            flat = torch.empty_like(flat, device="cpu", pin_memory=True).copy_(flat)
        offset = 0
        for key, tensor in group:
            yield key, flat.as_strided(tensor.shape, tensor.stride(), offset)
            offset += tensor.numel()
