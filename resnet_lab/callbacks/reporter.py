"""Progress reports from a job to its sweep."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback, Trainer

from resnet_lab.callbacks.message import Progress
from resnet_lab.interrupts import Pruned

Ask = Callable[[list[float]], str]  # validation scores after each epoch so far -> why to stop; empty: go on


class Reporter(Callback):
    """Pass a `Progress` to `send` at the start of each epoch and at the end of training.

    Before each epoch but the first, `ask` whether to go on, and raise Pruned if not.
    """

    def __init__(self, send: Callable[[Progress], None], ask: Ask | None = None) -> None:
        self.send, self.ask = send, ask

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The epoch before is in the history, and its checkpoint has been taken."""
        self.on_train_end(trainer, pl_module)
        scores = [record[f"val/{pl_module.score}"] for record in pl_module.history]
        if self.ask and scores and None not in scores and (why := self.ask(scores)):
            raise Pruned(why)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        history: list[dict[str, Any]] = pl_module.history
        scoring = pl_module.task.info.scoring
        record = history[-1] if history else {}
        max_epochs = trainer.max_epochs or 0
        seconds = record.get("seconds")
        left = None if seconds is None else seconds * (max_epochs - len(history))
        numbers = (record.get(f"val/{scoring.score}"), record.get("images_per_second"), left)
        things = pl_module.config.data.things
        self.send(Progress(trainer.default_root_dir, len(history), max_epochs, scoring, *numbers, things))
