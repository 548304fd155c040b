"""What a job tells the sweep that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytorch_lightning import Callback, Trainer


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, after an epoch or before its first."""

    directory: str
    epoch: int
    max_epochs: int
    val_error: float | None  # percent
    images_per_second: float | None
    seconds_left: float | None  # at the speed of the last epoch


class Reporter(Callback):
    """Hands a `Progress` to `send` as training begins and when an epoch is in the history."""

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self.send = send

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The epoch before, which is complete now."""
        self._report(trainer, pl_module.history)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The last epoch."""
        self._report(trainer, pl_module.history)

    def _report(self, trainer: Trainer, history: list[dict[str, Any]]) -> None:
        record = history[-1] if history else {}
        max_epochs = trainer.max_epochs or 0
        seconds = record.get("seconds")
        left = None if seconds is None else seconds * (max_epochs - len(history))
        numbers = (record.get("val/error"), record.get("images_per_second"), left)
        self.send(Progress(trainer.default_root_dir, len(history), max_epochs, *numbers))
