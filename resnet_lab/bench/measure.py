"""The speed of one configuration: as trained by the lab, and of the bare training steps."""

import dataclasses
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import nn

from resnet_lab.bench import roofs
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import memory_format
from resnet_lab.interrupts import Interrupted, RunFailed
from resnet_lab.kernels.native import Watch
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.cost import measure
from resnet_lab.training.advice import advice
from resnet_lab.training.average import Average
from resnet_lab.training.graphs import WARM_UP, GraphCapture, Step
from resnet_lab.training.module import training_step
from resnet_lab.training.optimizer import build_optimizer
from resnet_lab.training.run import run
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.step import Totals

EPOCHS = 4  # measured, after a warm-up epoch
LARGEST_EPOCH = 2**30  # bytes of images
FEWEST_STEPS = 3  # per epoch


@dataclass(frozen=True, slots=True)
class Speed:
    """The measured speed of a configuration; times in milliseconds per mini-batch."""

    images_per_second: float  # of the median epoch, without validation and checkpoints
    step_ms: float  # as trained, with loader, augmentation and Lightning
    bare_ms: float  # forward, backward and update, with images already on the device
    native_share: float  # of the bare step, that own kernels take
    steps: int  # per epoch
    seconds: float  # of all measured epochs, and of the time between them
    images: int  # trained on in that time
    peak_memory: int  # bytes

    @property
    def host_share(self) -> float:
        """The share of the time outside the bare step."""
        return max(0.0, 1 - self.bare_ms / self.step_ms)


class Stopwatch(Callback):
    """Calls `begin` after the warm-up epoch, waits for it, and measures the time from there to the end."""

    def __init__(self, begin: Callable[[], object]) -> None:
        self.begin = begin

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            self.begin()
            self.start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.seconds = time.perf_counter() - self.start


def speed(config: Config, seconds: float) -> Speed:
    """Train on random images of the configured shape for about that many seconds, after a warm-up."""
    bare = bare_seconds(config)
    batch_size = config.optim.batch_size
    most = LARGEST_EPOCH // (batch_size * math.prod(config.data.image_shape))
    steps = max(FEWEST_STEPS, min(most, round(seconds / (EPOCHS * bare))))
    measured, result = trained(config, steps)
    images_per_second = statistics.median(record["images_per_second"] for record in result["history"][1:])
    return Speed(
        images_per_second=images_per_second,
        step_ms=1000 * batch_size / images_per_second,
        bare_ms=1000 * bare,
        native_share=native_share(config),
        steps=steps,
        peak_memory=result["peak_memory"],
        **measured,
    )


def trained(
    config: Config, steps: int, begin: Callable[[], object] = lambda: None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a warm-up epoch, call `begin`, train EPOCHS of `steps`; return their seconds and images, and the result."""
    stopwatch = Stopwatch(begin)
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = run(on_random_images(config, steps, folder), [stopwatch])
        except Interrupted as interrupted:
            interrupted.message = "interrupted"  # without advice to resume: nothing is kept
            raise
    return {"seconds": stopwatch.seconds, "images": EPOCHS * steps * config.optim.batch_size}, result


def on_random_images(config: Config, steps: int, folder: str) -> Config:
    """Return the same training for a few epochs of full mini-batches of random images, with output in `folder`."""
    data = dataclasses.replace(
        config.data,
        name="fake",
        num_images=steps * config.optim.batch_size,
        num_classes=config.model.num_classes or 1,
        table=dataclasses.replace(config.data.table, labels=config.data.labels),
        crop=None,
        num_train=None,
        validation=0,
        mean=None,
        std=None,
    )
    trainer = dataclasses.replace(config.trainer, max_epochs=1 + EPOCHS, max_batches=None)
    return dataclasses.replace(config, data=data, trainer=trainer, output_dir=folder, objective=[], dry_run=False)


@contextmanager
def bare_step(config: Config) -> Iterator[tuple[Callable[[], None], Totals]]:
    """Yield a step on images already on the device, and what it adds its loss to. Raises as `ready` does."""
    with ready(config) as training:
        device, dtype = training.totals.loss.device, next(training.net.parameters()).dtype
        images = torch.randn(config.optim.batch_size, *config.data.image_shape, device=device, dtype=dtype)
        images = images.contiguous(memory_format=memory_format(config))
        labels = torch.from_numpy(ImageData(on_random_images(config, 1, "")).source.train.labels).to(device)
        yield lambda: training.step(images, labels), training.totals


@dataclass(frozen=True, slots=True)
class Ready:
    """A network on its device, the step that trains it, and what the step adds its loss to."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    step: Step
    totals: Totals


@contextmanager
def ready(config: Config) -> Iterator[Ready]:
    """Set the machine and a network up for training steps, without Lightning.

    Raises RunFailed, with advice, when memory runs out or the step cannot be recorded as a CUDA graph.
    """
    runtime = Runtime.resolve(config, measure(config).macs)
    device = torch.device("cuda" if runtime.accelerator == "gpu" else "cpu")
    task = task_of(config)
    net: Any = task.network().to(device, torch.float64 if runtime.precision == "64-true" else torch.float32)
    net = net.to(memory_format=memory_format(config))
    optimizer = build_optimizer(config.optim, net)
    recorder = GraphCapture() if runtime.graphs else None
    totals = Totals(task, device)
    average = Average.of(net, config.optim)
    average = average.to(device) if average else None
    step = training_step(net, optimizer, config.optim, totals, runtime, recorder, None, average)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=runtime.precision == "bf16-mixed")
    try:
        with runtime.set_up(), autocast:
            yield Ready(net, optimizer, step, totals)
    except Exception as error:
        if what_helps := advice(error):
            raise RunFailed(f"{type(error).__name__}: {error}; {what_helps}") from error
        raise


def native_share(config: Config) -> float:
    """Return the share of a step's time that own kernels take; 0 if it uses torch's."""
    if not Runtime.resolve(config, measure(config).macs).kernels:
        return 0.0
    with bare_step(config) as (step, totals):
        seconds_per_step(step, WARM_UP + 1, totals.loss.device)
        before = Watch.seconds
        elapsed = FEWEST_STEPS * seconds_per_step(step, FEWEST_STEPS, totals.loss.device)
        return (Watch.seconds - before) / elapsed


def bare_seconds(config: Config, rounds: int = 5) -> float:
    """Return the seconds per step on images already on the device: the median of rounds of about half a second."""
    with bare_step(config) as (step, totals):
        device = totals.loss.device
        seconds_per_step(step, WARM_UP + 1, device)
        steps = max(1, round(0.5 / seconds_per_step(step, 1, device)))
        return statistics.median(seconds_per_step(step, steps, device) for _ in range(rounds))


def seconds_per_step(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """Take that many steps, and wait for the device before and after them."""
    roofs.wait(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    roofs.wait(device)
    return (time.perf_counter() - start) / steps
