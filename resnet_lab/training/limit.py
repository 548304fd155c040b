"""The time limit of a run."""

import time
from typing import Any

from pytorch_lightning import Callback, Trainer

from resnet_lab.interrupts import TimeUp


class TimeLimit(Callback):
    """Raise TimeUp `minutes` after this object was created, or before an epoch that would not end in time.

    An epoch is expected to take as long as the one before. Within an epoch, the run stops after a call of the training
    step.
    """

    def __init__(self, minutes: float) -> None:
        self.minutes, self.end = minutes, time.monotonic() + 60 * minutes

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.epochs_before = len(pl_module.history)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The previous epoch is in the history by now, and its checkpoint has been taken."""
        if len(pl_module.history) > self.epochs_before:
            self._stop_if_over(pl_module, pl_module.history[-1]["seconds"])

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if not trainer.is_last_batch:
            self._stop_if_over(pl_module, 0.0)

    def _stop_if_over(self, module: Any, needed: float) -> None:
        if time.monotonic() + needed < self.end:
            return
        again = "run the same command again to continue after the last full epoch"
        if len(module.history) == self.epochs_before:
            again = "no epoch has ended in this time: increase trainer.max_time to continue"
        raise TimeUp(f"stopped after trainer.max_time={self.minutes:g} minutes; {again}")
