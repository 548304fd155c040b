"""What all processes of a run train with: Lightning's trainer, and the module with the network."""

from collections.abc import Sequence
from typing import Any

from pytorch_lightning import Callback, Trainer, seed_everything

from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_stored
from resnet_lab.kernels.choice import KINDS
from resnet_lab.tasks.pretrained import Pretrained
from resnet_lab.training.clock import Clock
from resnet_lab.training.lightning import EventLogger, LoadedImages, make_trainer
from resnet_lab.training.module import TaskModule
from resnet_lab.training.predictions import num_kept
from resnet_lab.training.runtime import Runtime


def prepare(
    config: Config,
    runtime: Runtime,
    data: LoadedImages,
    logger: EventLogger | None = None,
    callbacks: Sequence[Callback] = (),
    clock: Clock | None = None,
    continued_from: dict[str, Any] | None = None,
) -> tuple[Trainer, TaskModule]:
    """Return the trainer and the module of a run, with the initial weights, which are the same in all processes."""
    validates = len(data.validation_rows) > 0
    trainer = make_trainer(config, runtime, logger, callbacks, validates, data.ranks)
    seed_everything(config.seed, verbose=False)
    pretrained = Pretrained.of(config, data.source.classes)
    facts = {
        "config": to_stored(config),
        "mean": list(data.normalise.mean),
        "std": list(data.normalise.std),
        "images": data.record(),
        "precision": runtime.precision,
        "device": runtime.name,
        "devices": runtime.devices,
        "kernels": KINDS[runtime.kernels],
        "continued_from": continued_from,
        "pretrained": pretrained.record() if pretrained else None,
    }
    weights, kept = data.class_weights(), num_kept(config, data)
    measured, batches = data.measured(), data.num_batches
    module = TaskModule(measured, runtime, batches, facts, weights, clock, pretrained, kept, data.ranks)
    # Lightning converts to float64 only after it has restored a checkpoint, which would be rounded to float32.
    return trainer, module.double() if runtime.storage == "64-true" else module
