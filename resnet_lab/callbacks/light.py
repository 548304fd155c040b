"""Light diagnostics in TensorBoard during training: gradients, branch shares, histograms and filters."""

import math
import time
from typing import Any

import numpy as np
from pytorch_lightning import Trainer
from tensorboard.compat.proto.summary_pb2 import Summary

from resnet_lab.callbacks.observer import Observer, prepared, writer_of
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.inspect.filters import filter_pictures, filters_figure, weight_histograms
from resnet_lab.inspect.flow import FlowProbe
from resnet_lab.text import literal_text
from resnet_lab.training.lightning import tag

FIRST_STEPS = (0, 1, 10, 100)
# At ends of epochs, two measurements are at least that many training steps apart, and SECONDS. A measurement takes
# about a third of the time of an eager training step; replayed ones are many times faster.
FLOW_STEPS, WEIGHT_STEPS = 20, 100
SECONDS = 2.0
NUM_IMAGES = 32  # at most


class LightDiagnostics(Observer):
    """Measured at the first steps and after epochs, on an eighth of a mini-batch of training images, not augmented.

    | tag | |
    |---|---|
    | `network gradient/<part>` | norm of the gradient with respect to the weights of stem, unit or head |
    | `network share/<unit>` | size of the residual branch, ‖F(x)‖ / ‖x‖ |
    | `weights/<stack>` | histogram |
    | `pictures/first-layer filters` | images |
    """

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        data: ImageData = trainer.datamodule  # type: ignore[attr-defined]
        num_images = max(2, min(NUM_IMAGES, data.config.optim.batch_size // 8))  # BatchNorm needs more than one
        self.images, self.labels = prepared(data, drawn(data.train_rows, num_images), pl_module)
        self.probe = FlowProbe(pl_module.net, pl_module.task, whole=False)
        self.measured_at = -1  # step
        self.flow_due, self.weights_due = Spacing(FLOW_STEPS, data.num_batches), Spacing(WEIGHT_STEPS, data.num_batches)
        self.first_steps = [step for step in FIRST_STEPS if step > trainer.global_step]
        if trainer.global_step == 0:
            self._flow(trainer)
            self._weights(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Measure after each of FIRST_STEPS; only once if one call by Lightning passes several of them."""
        if self.first_steps and trainer.global_step >= self.first_steps[0]:
            self.first_steps = [step for step in self.first_steps if step > trainer.global_step]
            self._flow(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch + 1
        is_last = epoch == trainer.max_epochs
        if self.flow_due(epoch) or is_last:
            self._flow(trainer)
        if self.weights_due(epoch) or is_last:
            self._weights(trainer, pl_module)

    def _flow(self, trainer: Trainer) -> None:
        if self.measured_at == trainer.global_step:
            return
        self.measured_at = trainer.global_step
        found = self.probe(self.images, self.labels)
        values = {f"gradient/{name}": value for name, value in zip(found.names, found.gradient, strict=True)}
        values |= {f"share/{name}": v for name, v in zip(found.names, found.share, strict=True) if not math.isnan(v)}
        summary = Summary(value=[Summary.Value(tag=tag(name), simple_value=value) for name, value in values.items()])
        writer_of(trainer).file_writer.add_summary(summary, trainer.global_step)

    def _weights(self, trainer: Trainer, pl_module: Any) -> None:
        writer = writer_of(trainer)
        for name, histogram in weight_histograms(pl_module.net).items():
            if not np.isfinite(histogram.edges).all():  # the run diverges, and reports it itself
                continue
            low, *limits = histogram.edges.tolist()
            counts = histogram.counts.tolist()
            sums = (low, limits[-1], sum(counts), histogram.total, histogram.square)
            writer.add_histogram_raw(f"weights/{name}", *sums, limits, counts, trainer.global_step)
        name = "pictures/first-layer filters"
        if pl_module.config.data.dims == 1:
            with literal_text():
                writer.add_figure(name, filters_figure(pl_module.net, "first-layer filters"), trainer.global_step)
        else:
            writer.add_images(name, filter_pictures(pl_module.net), trainer.global_step)


class Spacing:
    """Decides after which epochs to measure: at most every `steps` training steps, and every SECONDS."""

    def __init__(self, steps: int, num_batches: int) -> None:
        self.epochs, self.measured = math.ceil(steps / num_batches), -math.inf

    def __call__(self, epoch: int) -> bool:
        now = time.monotonic()
        is_due = epoch % self.epochs == 0 and now - self.measured >= SECONDS
        if is_due:
            self.measured = now
        return is_due
