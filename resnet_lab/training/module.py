"""The LightningModule: manual optimisation, with one or several mini-batches per call."""

import math
import time
from typing import Any, Self

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import nn

from resnet_lab.config.optim import OptimConfig
from resnet_lab.config.schema import Config
from resnet_lab.data.loader import Batch, memory_format
from resnet_lab.kernels.install import install, remove
from resnet_lab.model.modules import synchronise
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.pretrained import Pretrained, freeze, lr_factors
from resnet_lab.text import plural
from resnet_lab.training.average import Average
from resnet_lab.training.clock import Clock
from resnet_lab.training.graphs import GraphCapture, GraphedStep, Step
from resnet_lab.training.history import History, out_of_patience
from resnet_lab.training.lightning import count_step
from resnet_lab.training.log import epoch_line, log
from resnet_lab.training.optimizer import build_optimizer, make_recordable, set_rates
from resnet_lab.training.predictions import DetailedTotals
from resnet_lab.training.ranks import ALONE, Ranks
from resnet_lab.training.recompute import recompute
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.schedule import Rates, rates
from resnet_lab.training.step import EvaluationStep, Totals, TrainingStep


class Diverged(Exception):
    """The loss is no longer finite."""


def training_step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    optim: OptimConfig,
    totals: Totals,
    runtime: Runtime,
    recorder: GraphCapture | None,
    class_weights: torch.Tensor | None = None,
    average: Average | None = None,
    ranks: Ranks = ALONE,
) -> Step:
    """Build the training step for `runtime`: compiled or not, and replayed if there is a recorder."""
    recompute(net, runtime.recomputes)
    if runtime.kernels:
        install(net)
    compiled: Any = torch.compile(net, dynamic=False) if runtime.compiles else None
    step = TrainingStep(net, optimizer, optim, totals, class_weights, compiled, average, ranks)
    if recorder is None:
        return step
    make_recordable(optimizer, totals.loss.device)
    return GraphedStep(step, recorder)


class TaskModule(LightningModule):
    """Train the network of a task as `config.optim` describes; `history` has plain numbers for each finished epoch.

    `runtime` determines how a step is computed: eager or replayed, compiled or not. Logged once per epoch, at its last
    optimiser step: `train/loss`, `train/<score>`, `val/loss`, `val/<score>`, `lr`, `images_per_second`, `seconds`;
    after training: `test/<score>` and `test/loss`. If weights are averaged, also `val/ema_loss` and so on; `momentum`
    and `weight_decay` if they follow a schedule.
    """

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        num_batches: int,
        hyper_parameters: dict[str, Any],
        class_weights: torch.Tensor | None = None,
        clock: Clock | None = None,
        pretrained: Pretrained | None = None,
        num_kept: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.ranks = ranks
        self.automatic_optimization = False
        self.config, self.runtime, self.task = config, runtime, task_of(config)
        self.score = self.task.info.score
        self.total_steps = num_batches * config.trainer.max_epochs
        self.net = self.task.network().to(memory_format=memory_format(config))  # type: ignore[call-overload]
        if pretrained:
            pretrained.apply(self.net)
            freeze(self.net, config.pretrained.freeze)
        self.average = Average.of(self.net, config.optim)
        self.history: History = []
        self.clock = clock or Clock()
        self.has_started = False  # whether everything is restored
        self.has_compiled = not runtime.compiles
        self.class_weights = class_weights  # in training
        self.num_kept = num_kept  # see `training.predictions`
        self.hyper_parameters = hyper_parameters  # plain Python, as torch's safe loading of checkpoints requires

    def configure_optimizers(self) -> torch.optim.Optimizer:
        new = (self.hyper_parameters.get("pretrained") or {}).get("new", [])
        return build_optimizer(self.config.optim, self.net, lr_factors(self.net, self.config.pretrained, new))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts but the frozen ones, which stay in eval mode."""
        super().train(mode)
        for part in self.config.pretrained.freeze:
            self.net.get_submodule(part).eval()
        return self

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network and its average, if there is one, by what the names of their numbers begin with."""
        return {"": self.net} | ({"ema_": self.average.net} if self.average else {})

    def on_train_start(self) -> None:
        """Build the steps, now that network, optimiser and checkpoint are on the device."""
        self.train()
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        self.optimizer, self.rates = optimizer, Rates(math.nan, math.nan, math.nan)  # a resumed run sets them, too
        self.totals = Totals(self.task, self.device)
        recorder = GraphCapture() if self.runtime.graphs else None
        weights = None if self.class_weights is None else self.class_weights.to(self.device)
        synchronise(self.net, self.config.trainer.sync_batch_norm and self.ranks.size > 1)
        self.take_step = training_step(
            self.net,
            optimizer,
            self.config.optim,
            self.totals,
            self.runtime,
            recorder,
            weights,
            self.average,
            self.ranks,
        )
        self.has_started = True
        self.evaluated = {name: Totals(self.task, self.device) for name in self.networks}
        evaluations = [EvaluationStep(net, self.evaluated[name]) for name, net in self.networks.items()]
        self.evaluate: list[Step] = [GraphedStep(one, recorder) if recorder else one for one in evaluations]

    def on_train_end(self) -> None:
        """Free the graphs and their memory.

        The test does not replay them: its weights may be at other addresses than the recorded ones. Nor does it need
        gradients.
        """
        del self.take_step, self.evaluate
        remove(self.net)
        self.optimizer.zero_grad()

    def on_train_epoch_start(self) -> None:
        """Seed the network's random numbers (dropout) with (seed, epoch), like the batches; other ranks draw others."""
        own = [] if self.ranks.is_first else [self.ranks.rank]
        state = np.random.SeedSequence([self.config.seed, self.current_epoch, 1, *own]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))
        self.totals.reset()
        self.num_images, self.epoch_start = 0, time.perf_counter()
        self.clock.switch("steps" if self.has_compiled else "compile")

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        loader: Any = self.trainer.train_dataloader
        self.num_images = min(self.num_images + self.ranks.size * len(labels), loader.num_images)
        size = self.ranks.most(self.config.optim.batch_size)
        for images_BCHW, labels_B in zip(images.split(size), labels.split(size), strict=True):
            now = rates(self.config.optim, self.global_step, self.total_steps, self.history)
            if now != self.rates:  # a GPU launches a kernel for each change
                self.rates = now
                set_rates(self.optimizer, now)
            self.take_step(images_BCHW, labels_B)
            count_step(self.trainer)
            if not self.has_compiled:
                self.has_compiled = True
                self.clock.switch("steps")

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Wait for the device only once, at the end of an epoch's training."""
        if self.trainer.is_last_batch:
            loss, score = self.totals.means(self.ranks)
            seconds = time.perf_counter() - self.epoch_start
            self.clock.switch("other")
            self.epoch_record: dict[str, float | None] = {
                "epoch": self.current_epoch + 1,
                "step": self.global_step,
                "train/loss": loss,
                f"train/{self.score}": score,
                **{f"val/{name}{what}": None for name in self.networks for what in ("loss", self.score)},
                "lr": self.rates.lr,
                "images_per_second": self.num_images / seconds,
            }
            optim = self.config.optim
            self.epoch_record |= {"momentum": self.rates.momentum} if optim.cycles_momentum else {}
            self.epoch_record |= {"weight_decay": self.rates.decay} if optim.decay_changes else {}

    def on_validation_epoch_start(self) -> None:
        self.clock.switch("validation")
        for totals in self.evaluated.values():
            totals.reset()
        for net in self.networks.values():  # each rank may have BatchNorm's statistics of its own images
            self.ranks.take_from_first([*net.buffers()])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        _, labels = batch
        if len(labels):  # there may be fewer images than ranks
            for evaluate in self.evaluate:
                evaluate(*batch)

    def on_validation_epoch_end(self) -> None:
        for name, totals in self.evaluated.items():
            loss, score = totals.means(self.ranks)
            self.epoch_record |= {f"val/{name}loss": loss, f"val/{name}{self.score}": score}
        self.clock.switch("other")

    def on_train_epoch_end(self) -> None:
        """Record and log the epoch. Raises Diverged when a loss is not finite."""
        record = self.epoch_record
        for name in ("train/loss", "val/loss", "val/ema_loss"):
            value = record.get(name)
            if value is not None and not math.isfinite(value):
                raise Diverged(f"{name} is {value} in epoch {record['epoch']}")
        record["seconds"] = time.perf_counter() - self.epoch_start
        self.history.append(record)
        scalars = {name: value for name, value in record.items() if value is not None and name not in ("epoch", "step")}
        if self.logger:  # other ranks have none
            self.logger.log_metrics(scalars, step=self.global_step)
        log.debug(epoch_line(record, self.config.trainer.max_epochs, self.task.info, self.config.data.things))
        self._stop_without_patience()

    def _stop_without_patience(self) -> None:
        """The learning rate still follows max_epochs. The history alone decides, so a run that continues stops, too."""
        trainer = self.config.trainer
        if out_of_patience(self.history, self.score, trainer.patience):
            self.trainer.should_stop = True
            text = "no lower validation %s in %s (trainer.patience): training ends after epoch %d of %d"
            log.info(text, self.score, plural(trainer.patience or 0, "epoch"), len(self.history), trainer.max_epochs)

    def on_test_epoch_start(self) -> None:
        parts = self.trainer.num_test_batches
        self.tested = [DetailedTotals(self.task, self.device, self.num_kept) for _ in parts]
        self.tested_average = Totals(self.task, self.device)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Run eagerly: a test takes place once, so recording it would not pay off."""
        EvaluationStep(self.net, self.tested[dataloader_idx])(*batch)
        if self.average and dataloader_idx == 0:  # the test part
            EvaluationStep(self.average.net, self.tested_average)(*batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history, and the configuration, mean and std that `load_run` needs.

        Learning rates are stored as plain numbers instead of tensors.
        """
        for state in checkpoint["optimizer_states"]:
            for group in state["param_groups"]:
                group["lr"] = self.rates.lr * group.get("lr_factor", 1.0)
        checkpoint["history"] = self.history
        checkpoint["wall"] = self.clock.read()
        checkpoint["resnet_lab"] = self.hyper_parameters

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]
        self.clock.add(checkpoint.get("wall") or {})  # version 0.1 stored none
        self._stop_without_patience()  # if the run was interrupted in its test
