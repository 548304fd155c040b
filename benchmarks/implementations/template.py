"""A LightningModule, as in ashleve/lightning-hydra-template: automatic optimisation, torchmetrics, progress bar."""

import os
import tempfile
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from benchmarks.implementations import Observer, Trained
from benchmarks.implementations.loading import loader
from benchmarks.task import Task

MOST_WORKERS = 8


class Classifier(LightningModule):
    """A classifier with metrics over the epoch, shown in the bar; the learning rate changes per step."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.net = task.network()
        self.criterion = nn.CrossEntropyLoss()
        self.train_loss = MeanMetric()
        self.train_acc = MulticlassAccuracy(task.config.model.num_classes, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        logits: Tensor = self.net(images)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss: Tensor = self.criterion(logits, labels)
        self.train_loss(loss)
        self.train_acc(logits.argmax(dim=1), labels)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = self.task.sgd(self)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.task.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Tell(Callback):
    """Reports every step to an observer."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.observer.epoch_begins()
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        self.observer.step(images, labels, outputs["loss"])
        if trainer.is_last_batch:
            self.observer.epoch_ends()


def train(task: Task, observer: Observer) -> Trained:
    torch.backends.cudnn.benchmark = True
    tell = Tell(observer)
    module = Classifier(task)
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="gpu" if task.device.type == "cuda" else "cpu",
            devices=1,
            max_epochs=task.epochs,
            logger=TensorBoardLogger(folder),
            callbacks=[RichProgressBar(), tell],
            default_root_dir=folder,
        )
        trainer.fit(module, loader(task, workers, pin_memory=task.device.type == "cuda"))
    return Trained.of(module.net, trainer.optimizers[0], tell.lr, trainer.global_step)
