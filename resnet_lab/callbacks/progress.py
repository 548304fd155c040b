"""A progress bar over all epochs of a run, with errors and speed."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_lab.data.loader import Batch
from resnet_lab.training.log import console

REFRESH_SECONDS = 0.5  # between two looks at the running error, each of which waits for the device


class ProgressBar(Callback):
    """Epochs done, running train error, last validation error and images/s. Silent when not on a terminal."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin where the run continues."""
        self.bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.bar.start()
        epochs = trainer.max_epochs
        self.task = self.bar.add_task("", total=epochs, completed=trainer.current_epoch, figures="")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the clock."""
        self.images, self.start = 0, time.perf_counter()
        self.refreshed = self.start
        validated = pl_module.history[-1]["val/error"] if pl_module.history else None
        self.val_error = "" if validated is None else f" · val {validated:.2f} %"

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Advance by a call's share of the epoch."""
        self.images += len(batch[1])
        self.bar.advance(self.task, 1 / trainer.num_training_batches)
        now = time.perf_counter()
        if now - self.refreshed > REFRESH_SECONDS and not self.bar.disable:
            self.refreshed = now
            _, error = pl_module.totals.means()
            speed = self.images / (now - self.start)
            self.bar.update(self.task, figures=f"train {error:.2f} %{self.val_error} · {speed:,.0f} images/s")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        if hasattr(self, "bar"):
            self.bar.stop()
