"""The lab with a flaw that the benchmark must detect: an unnecessary forward pass for every mini-batch."""

from typing import Any

from pytorch_lightning import Callback
from torch import Tensor

from benchmarks.implementations import Observer, Trained, lab
from benchmarks.task import Task


def train(task: Task, observer: Observer) -> Trained:
    return lab.train(task, observer, OneForwardTooMany())


class OneForwardTooMany(Callback):
    """Wastes a third of a step's work."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Wrap the step, once."""
        if trainer.current_epoch:
            return
        take_step, net = pl_module.take_step, pl_module.net

        def slowed(images_BCHW: Tensor, labels_B: Tensor) -> None:
            net(images_BCHW)
            take_step(images_BCHW, labels_B)

        pl_module.take_step = slowed
