"""Whose signals they are: of the program that trains, not of Lightning."""

from __future__ import annotations

import signal
from typing import Any

from pytorch_lightning import Callback


class OwnSignals(Callback):
    """Gives SIGTERM back to whoever had it before the trainer was made.

    Lightning would end at SIGTERM, even where it only announces that SLURM takes the node back, and the job is to wait
    until it is queued again.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Lightning has set its own just before."""
        if signal.getsignal(signal.SIGTERM) is not self.handler and self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)
