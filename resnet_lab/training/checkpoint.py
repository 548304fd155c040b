"""Checkpoints once an epoch, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from resnet_lab.training.record import RunDirectory, write_whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's own goes through the system's temporary folder, and is not atomic when that is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside, sync, rename. Raises OSError when the disk is full; the checkpoint before it stays."""
        write_whole(Path(path), lambda file: torch.save(checkpoint, file))


def checkpoints(directory: RunDirectory, validated: bool) -> list[Callback]:
    """`last.ckpt` after every epoch and, where there is a validation part, `best.ckpt` of the first lowest error."""

    def checkpoint(**settings: Any) -> ModelCheckpoint:
        return ModelCheckpoint(
            directory.checkpoints, save_on_train_epoch_end=True, enable_version_counter=False, **settings
        )

    best = checkpoint(filename=directory.best.stem, monitor="val/error", mode="min")
    last = checkpoint(filename=directory.last.stem)
    return [best, last] if validated else [last]
