"""This project as users run it: the code behind the command line, with everything that it records."""

import tempfile
from typing import Any

from pytorch_lightning import Callback
from torch import Tensor

from benchmarks.implementations import Observer, Stopwatch, Trained
from benchmarks.task import Task
from resnet_lab import job
from resnet_lab.config.compose import load_config
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.load import load_checkpoint
from resnet_lab.training.run import run


def train(task: Task, observer: Observer, *more: Callback) -> Trained:
    """Run in a temporary folder; the speed of each epoch is from the run's own record."""
    looking = [] if isinstance(observer, Stopwatch) else [EveryStep(observer)]
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(*task.overrides, f"output_dir={folder}")
        result = run(config, [*job.callbacks(config), *looking, *more])
        checkpoint = load_checkpoint(run_directory(config).last)
    [optimizer] = checkpoint["optimizer_states"]
    return Trained(
        weights={name.removeprefix("net."): tensor for name, tensor in checkpoint["state_dict"].items()},
        momentum=[optimizer["state"][number]["momentum_buffer"] for number in optimizer["param_groups"][0]["params"]],
        lr=optimizer["param_groups"][0]["lr"],
        steps=checkpoint["global_step"],
        seconds=[task.steps * task.batch_size / record["images_per_second"] for record in result["history"]],
    )


class EveryStep(Callback):
    """Reports every mini-batch to an observer, even if one call trains on several or replays a graph."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Wrap the step, once."""
        if trainer.current_epoch:
            return
        take_step, totals = pl_module.take_step, pl_module.totals

        def observed(images_BCHW: Tensor, labels_B: Tensor) -> None:
            before = totals.loss.clone()
            take_step(images_BCHW, labels_B)
            self.observer.step(images_BCHW, labels_B, (totals.loss - before) / len(labels_B))

        pl_module.take_step = observed
