"""A progress bar for all epochs of a run, with scores and speed."""

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_lab.callbacks.observer import Observer
from resnet_lab.data.loader import Batch
from resnet_lab.training.log import console

REFRESH_SECONDS = 0.5  # between updates of the running score, each of which waits for the device


class ProgressBar(Observer):
    """Epochs done, running training score, last validation score and images/s. Silent without a terminal."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
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
        self.task = self.bar.add_task("", total=trainer.max_epochs, completed=trainer.current_epoch, figures="")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.images, self.start = 0, time.perf_counter()
        self.refreshed = self.start
        self.text = pl_module.task.info.text
        validated = pl_module.history[-1][f"val/{pl_module.score}"] if pl_module.history else None
        self.validated = "" if validated is None else f" · val {self.text(validated)}"

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.images += len(batch[1])
        self.bar.advance(self.task, 1 / trainer.num_training_batches)
        now = time.perf_counter()
        if now - self.refreshed > REFRESH_SECONDS and not self.bar.disable:
            self.refreshed = now
            _, score = pl_module.totals.means()
            speed = self.images / (now - self.start)
            figures = f"train {self.text(score)}{self.validated} · {speed:,.0f} images/s"
            self.bar.update(self.task, figures=figures)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.stop()
