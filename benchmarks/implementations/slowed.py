"""The lab with a mistake in it, which the benchmark has to find: every mini-batch is computed once more than needed."""

from typing import Any

from pytorch_lightning import Callback
from torch import Tensor

from benchmarks.implementations import Observer, Trained, lab
from benchmarks.task import Task


def train(task: Task, observer: Observer) -> Trained:
    return lab.train(task, observer, OneForwardTooMany())


class OneForwardTooMany(Callback):
    """A third of a step's work for nothing."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Stand before the step, once."""
        if trainer.current_epoch:
            return
        take_step, net = pl_module.take_step, pl_module.net

        def slowed(images_BCHW: Tensor, labels_B: Tensor) -> None:
            net(images_BCHW)
            take_step(images_BCHW, labels_B)

        pl_module.take_step = slowed
