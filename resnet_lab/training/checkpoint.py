"""Checkpoints once an epoch, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint

from resnet_lab.training.module import best_epoch
from resnet_lab.training.record import RunDirectory, copy_whole, write_whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's own goes through the system's temporary folder, and is not atomic when that is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside, sync, rename. Raises OSError when the disk is full; the checkpoint before it stays."""
        write_whole(Path(path), lambda file: torch.save(checkpoint, file))


class Checkpoints(Checkpoint):
    """`last.ckpt` after every epoch and, where there is a validation part, `best.ckpt` of the first lowest error.

    Which epoch is best follows from the history alone. Lightning's ModelCheckpoint keeps a state of its own, which it
    drops when the run directory was moved; the next epoch then counts as the best.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning calls this after the module's own, which adds the epoch to the history."""
        last, best = self.directory.last, self.directory.best
        if best_epoch(pl_module.history) is pl_module.history[-1]:
            trainer.save_checkpoint(best, weights_only=False)
            copy_whole(best, last)
        else:
            trainer.save_checkpoint(last, weights_only=False)
