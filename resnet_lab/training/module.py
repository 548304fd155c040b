"""The LightningModule: a ResNet V2 that steps its optimiser itself, several mini-batches a call if asked to."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config import Config
from resnet_lab.data.loader import Batch
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.training.log import log
from resnet_lab.training.schedule import build_optimizer, learning_rate

History = list[dict[str, float | None]]


def best_epoch(history: History) -> dict[str, float | None] | None:
    """The record of the first epoch with the lowest validation error; None without validation."""
    validated = [record for record in history if record["val/error"] is not None]
    return min(validated, key=lambda record: record["val/error"] or 0.0, default=None)


class Diverged(Exception):
    """The loss is no longer a number."""


class Totals:
    """Loss and errors summed on the device, so that nothing waits for it until an epoch ends."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), device=device)
        self.wrong = torch.zeros((), device=device)
        self.count = 0

    def add(self, loss: Tensor, logits_BK: Tensor, labels_B: Tensor) -> None:
        """Add a mini-batch with its mean loss."""
        self.loss += loss.detach() * len(labels_B)
        self.wrong += (logits_BK.detach().argmax(dim=1) != labels_B).sum()
        self.count += len(labels_B)

    def means(self) -> tuple[float, float]:
        """The mean loss and the error in percent so far; waits for the device."""
        loss, wrong = torch.stack([self.loss, self.wrong]).tolist()
        return loss / self.count, 100 * wrong / self.count


class ImageClassifier(LightningModule):
    """Trains `net` by the recipe of `config.optim`; `history` has one entry of plain numbers per finished epoch.

    Logged once an epoch, at the optimiser step that ends it: `train/loss`, `train/error`, `val/loss`, `val/error`
    (errors in percent), `lr`, `images_per_second`; after training `test/error` and `test/loss`.
    """

    def __init__(self, config: Config, num_batches: int, hyper_parameters: dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.total_steps = num_batches * config.trainer.max_epochs
        self.net = ResNetV2(config.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.history: History = []
        self.test_means: tuple[float, float] | None = None
        self.hyper_parameters = hyper_parameters  # plain Python: a checkpoint is loaded by torch's safe loading

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser; its learning rate is set before every step."""
        return build_optimizer(self.config.optim, self.net)

    def on_train_epoch_start(self) -> None:
        """Whatever the network draws (dropout) follows from (seed, epoch), as the batches do."""
        state = np.random.SeedSequence([self.config.seed, self.current_epoch, 1]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))
        self.totals = Totals(self.device)
        self.epoch_start = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One optimiser step for every mini-batch in the call."""
        images, labels = batch
        size = self.config.optim.batch_size
        for images_BCHW, labels_B in zip(images.split(size), labels.split(size), strict=True):
            self._step(images_BCHW, labels_B)

    def _step(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        optim = self.config.optim
        optimizer: Any = self.optimizers()
        self.lr = learning_rate(optim, self.global_step, self.total_steps)
        for group in optimizer.param_groups:
            group["lr"] = self.lr
        logits_BK = self.net(images_BCHW)
        loss = F.cross_entropy(logits_BK, labels_B, label_smoothing=optim.label_smoothing)
        optimizer.zero_grad()
        self.manual_backward(loss)
        if optim.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), optim.clip_norm)
        optimizer.step()
        self.totals.add(loss, logits_BK, labels_B)

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
                "images_per_second": self.totals.count / seconds,
            }

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self.evaluated = Totals(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count loss and errors; label smoothing belongs to training alone."""
        images_BCHW, labels_B = batch
        logits_BK = self.net(images_BCHW)
        self.evaluated.add(F.cross_entropy(logits_BK, labels_B), logits_BK, labels_B)

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
        """As in validation."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Keep the means."""
        self.test_means = self.evaluated.means()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history, and what `load_run` needs."""
        checkpoint["history"] = self.history
        checkpoint["resnet_lab"] = self.hyper_parameters

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the history."""
        self.history = checkpoint["history"]


def _line(scalars: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.5g}" for name, value in scalars.items())
