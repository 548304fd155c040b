"""A tiny laboratory: runs of a fraction of a second, and what they left behind."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from resnet_lab.config.schema import Config
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.pretrained import identified
from resnet_lab.training.run import Result, run
from support.composing import config

# A network of 14 layers on 48 random images, 3 mini-batches an epoch, and 16 images held out.
TINY = (
    "stacks=two",
    "units=n2",
    "filters=w16",
    "data=fake",
    "data.image_size=8",
    "data.num_images=64",
    "data.num_classes=3",
    "data.validation=16",
    "optim.batch_size=16",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "deterministic=true",
)

# What differs between two runs of the same configuration.
TIMES = ("seconds", "wall_seconds", "wall", "images_per_second", "peak_memory", "reserved_memory")


class Lab:
    """Runs of the tiny network, changed by overrides, below an output folder."""

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = output_dir
        self.composed: dict[tuple[str, ...], Config] = {}  # which takes a tenth of a tiny run

    def overrides(self, *changes: str) -> list[str]:
        return [*TINY, f"output_dir={self.output_dir}", *changes]

    def config(self, *changes: str) -> Config:
        """A configuration of its own for each call, since runs may change theirs."""
        overrides = tuple(self.overrides(*changes))
        if found := self.composed.get(overrides):
            return deepcopy(found)
        made = config(*overrides)
        if not made.data.own_images:  # whose classes may change with the files
            self.composed[overrides] = deepcopy(made)
        return made

    def directory(self, *changes: str) -> RunDirectory:
        return run_directory(identified(self.config(*changes))[0])

    def run(self, *changes: str, callbacks: Sequence[Callback] = ()) -> Result:
        return run(self.config(*changes), callbacks)

    def checkpoint(self, *changes: str) -> dict[str, Any]:
        """The last checkpoint of a run."""
        return torch.load(self.directory(*changes).last, weights_only=True)


class FailsAt(Callback):
    """Raises as an epoch (from 0) begins."""

    def __init__(self, epoch: int, error: BaseException | None = None) -> None:
        self.epoch, self.error = epoch, error or RuntimeError("out of luck")

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise self.error


def same_weights(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two checkpoints hold bit-identical networks."""
    weights, others = one["state_dict"], other["state_dict"]
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def without_times(result: Any) -> Any:
    """A result, or a part of it, without the numbers that no repetition can give again."""
    if isinstance(result, dict):
        return {name: without_times(value) for name, value in result.items() if name not in TIMES}
    return [without_times(value) for value in result] if isinstance(result, list) else result


def events(path: Path) -> EventAccumulator:
    """Everything that the event files of a run directory hold."""
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    return accumulator.Reload()


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every scalar, as written."""
    read = events(path)
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
