"""The LightningModule: a ResNet V2 that steps its optimiser itself, several mini-batches a call if asked to."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule

from resnet_lab.config import Config, OptimConfig
from resnet_lab.data.loader import Batch, memory_format
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.training.log import log
from resnet_lab.training.machine import Machine
from resnet_lab.training.replay import Recorder, Replayed, Step
from resnet_lab.training.schedule import build_optimizer, learning_rate, make_recordable, set_learning_rate
from resnet_lab.training.step import EvaluationStep, Totals, TrainingStep

History = list[dict[str, float | None]]


def best_epoch(history: History) -> dict[str, float | None] | None:
    """The record of the first epoch with the lowest validation error; None without validation."""
    validated = [record for record in history if record["val/error"] is not None]
    return min(validated, key=lambda record: record["val/error"] or 0.0, default=None)


class Diverged(Exception):
    """The loss is no longer a number."""


def training_step(
    net: ResNetV2,
    optimizer: torch.optim.Optimizer,
    optim: OptimConfig,
    totals: Totals,
    machine: Machine,
    recorder: Recorder | None,
) -> Step:
    """A training step as the machine computes it: compiled or not, and with a recorder replayed."""
    forward: Any = torch.compile(net, dynamic=False) if machine.compiles else net
    step = TrainingStep(net, forward, optimizer, optim, totals)
    if recorder is None:
        return step
    make_recordable(optimizer, totals.loss.device)
    return Replayed(step, recorder)


class ImageClassifier(LightningModule):
    """Trains `net` by the recipe of `config.optim`; `history` has one entry of plain numbers per finished epoch.

    `machine` says how a step is computed: eager or replayed, compiled or not, in which memory format. Logged once an
    epoch, at the optimiser step that ends it: `train/loss`, `train/error`, `val/loss`, `val/error` (errors in percent),
    `lr`, `images_per_second`; after training `test/error` and `test/loss`.
    """

    def __init__(self, config: Config, machine: Machine, num_batches: int, hyper_parameters: dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config, self.machine = config, machine
        self.total_steps = num_batches * config.trainer.max_epochs
        self.net = ResNetV2(config.model).to(memory_format=memory_format(config))  # type: ignore[call-overload]
        self.history: History = []
        self.test_means: tuple[float, float] | None = None
        self.hyper_parameters = hyper_parameters  # plain Python: a checkpoint is loaded by torch's safe loading

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser; its learning rate is set before every step."""
        return build_optimizer(self.config.optim, self.net)

    def on_train_start(self) -> None:
        """Prepare the steps, now that network, optimiser and checkpoint are on the device."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        self.optimizer, self.totals, self.evaluated = optimizer, Totals(self.device), Totals(self.device)
        recorder = Recorder() if self.machine.graphs else None
        self.take_step = training_step(self.net, optimizer, self.config.optim, self.totals, self.machine, recorder)
        evaluation = EvaluationStep(self.net, self.evaluated)
        self.evaluate: Step = Replayed(evaluation, recorder) if recorder else evaluation

    def on_train_end(self) -> None:
        """Free the graphs' memory: the test looks at other weights, perhaps in another place."""
        del self.take_step, self.evaluate

    def on_train_epoch_start(self) -> None:
        """Whatever the network draws (dropout) follows from (seed, epoch), as the batches do."""
        state = np.random.SeedSequence([self.config.seed, self.current_epoch, 1]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))
        self.totals.reset()
        self.epoch_start = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One optimiser step for every mini-batch in the call."""
        images, labels = batch
        size = self.config.optim.batch_size
        for images_BCHW, labels_B in zip(images.split(size), labels.split(size), strict=True):
            self.lr = learning_rate(self.config.optim, self.global_step, self.total_steps)
            set_learning_rate(self.optimizer, self.lr)
            self.take_step(images_BCHW, labels_B)
            # Lightning counts the steps of its own wrapper of the optimiser, which a replayed step does not pass.
            taken = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
            taken.increment_ready()
            taken.increment_completed()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """The end of an epoch's training is the one moment to wait for the device."""
        if self.trainer.is_last_batch:
            loss, error = self.totals.means()
            seconds = time.perf_counter() - self.epoch_start
            self.epoch_record: dict[str, float | None] = {
                "epoch": self.current_epoch + 1,
                "step": self.global_step,
                "train/loss": loss,
                "train/error": error,
                "val/loss": None,
                "val/error": None,
                "lr": self.lr,
                "images_per_second": self.totals.count.item() / seconds,
            }

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self.evaluated.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count loss and errors."""
        self.evaluate(*batch)

    def on_validation_epoch_end(self) -> None:
        """Keep the means for the epoch's record."""
        loss, error = self.evaluated.means()
        self.epoch_record |= {"val/loss": loss, "val/error": error}

    def on_train_epoch_end(self) -> None:
        """Record and log the epoch. Raises Diverged when a loss is not finite."""
        record = self.epoch_record
        for name in ("train/loss", "val/loss"):
            value = record[name]
            if value is not None and not math.isfinite(value):
                raise Diverged(f"{name} is {value} in epoch {record['epoch']}")
        record["seconds"] = time.perf_counter() - self.epoch_start
        self.history.append(record)
        assert self.logger is not None
        scalars = {name: value for name, value in record.items() if value is not None and name not in ("epoch", "step")}
        self.logger.log_metrics(scalars, step=self.global_step)
        log.debug("epoch %d: %s", record["epoch"], _line(scalars))

    def on_test_epoch_start(self) -> None:
        """Begin to count."""
        self.evaluated = Totals(self.device)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """As in validation; once, so that nothing is recorded."""
        EvaluationStep(self.net, self.evaluated)(*batch)

    def on_test_epoch_end(self) -> None:
        """Keep the means."""
        self.test_means = self.evaluated.means()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history, and what `load_run` needs; learning rates as plain numbers, wherever they were kept."""
        for state in checkpoint["optimizer_states"]:
            for group in state["param_groups"]:
                group["lr"] = float(group["lr"])
        checkpoint["history"] = self.history
        checkpoint["resnet_lab"] = self.hyper_parameters

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the history."""
        self.history = checkpoint["history"]


def _line(scalars: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.5g}" for name, value in scalars.items())
