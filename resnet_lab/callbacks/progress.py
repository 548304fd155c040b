"""What a command shows while it trains and tests: a bar on a terminal, a line for each epoch elsewhere."""

import sys
import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_lab.callbacks.observer import Observer
from resnet_lab.config.enums import EpochLog
from resnet_lab.data.loader import Batch
from resnet_lab.training.log import console, epoch_line

REFRESH_SECONDS = 0.5  # between updates of the running score, each of which waits for the device


class ProgressBar(Observer):
    """On a terminal, a bar with the epochs done, the running training score, the last validation score and images/s.

    Then a bar for each test. Without a terminal, or with `trainer.log=epochs`, one line for each epoch.
    """

    def __init__(self, wanted: EpochLog = EpochLog.auto) -> None:
        self.has_bar = console.is_terminal and wanted is not EpochLog.off
        self.has_lines = wanted is EpochLog.epochs or (wanted is EpochLog.auto and not console.is_terminal)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin("epoch", trainer.max_epochs, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.refreshed = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.bar.advance(self.task, 1 / trainer.num_training_batches)
        now = time.perf_counter()
        if now - self.refreshed > REFRESH_SECONDS and self.has_bar:
            self.refreshed = now
            _, score = pl_module.totals.means()
            self._show_figures(pl_module, score, pl_module.num_images / (now - pl_module.epoch_start))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The module has added the epoch to its history."""
        record = pl_module.history[-1]
        self._show_figures(pl_module, record[f"train/{pl_module.score}"], record["images_per_second"])
        if self.has_lines:  # above the bar, if there is one
            things = pl_module.config.data.things
            print(epoch_line(record, trainer.max_epochs or 0, pl_module.task.info, things), file=sys.stderr, flush=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.stop()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin("test", sum(map(int, trainer.num_test_batches)))

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.bar.advance(self.task)

    on_test_end = on_train_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.stop()

    def _begin(self, what: str, total: int | None, completed: int = 0) -> None:
        self.bar = Progress(
            TextColumn(what),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not self.has_bar,
        )
        self.bar.start()
        self.task = self.bar.add_task("", total=total, completed=completed, figures="")

    def _show_figures(self, module: Any, score: float, speed: float) -> None:
        """Show a training score, the last validation score if there is one, and the speed."""
        name, text = module.score, module.task.info.text
        validated = module.history[-1][f"val/{name}"] if module.history else None
        val = "" if validated is None else f" · val {name} {text(validated)}"
        self.bar.update(
            self.task, figures=f"train {name} {text(score)}{val} · {speed:,.0f} {module.config.data.things}/s"
        )
