"""Checks before a run creates anything: of its settings, its directory and its images."""

import math
import os

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Schedule
from resnet_lab.config.model_enums import Norm
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.complexity import Complexity
from resnet_lab.rundir.directory import RunDirectory, refuse_unwritable
from resnet_lab.rundir.images import DataFacts
from resnet_lab.rundir.states import State
from resnet_lab.tasks.cost import measure
from resnet_lab.tasks.pretrained import Pretrained
from resnet_lab.training.memory import refuse_too_large


def check(config: Config, directory: RunDirectory, images: DataFacts | None) -> Complexity:
    """Check the settings and the run's directory; return the cost of the network. Reads no images, and creates nothing.

    `images` are the facts of the user's own images, None for other data sets.

    Raises ConfigError when a setting is wrong, when the directory holds another run, or when the images have changed;
    RunFailed when the run has already diverged.
    """
    cost = measure(config)
    refuse_too_large(config, cost)
    if not os.path.isfile(directory.result_file):  # a finished run may be in a read-only folder
        refuse_unwritable(directory.path)
    directory.refuse_irregular_files()
    if images:  # before the settings, which can depend on the images: the number of classes, the layout
        directory.refuse_changed_images(images, config.data.on_change)
    directory.refuse_other_run(config)
    status = directory.status()
    if status.get("state") == State.diverged:
        raise RunFailed(f"{directory.path} has diverged: {status.get('why')}. Remove this directory to try again")
    return cost


def check_images(config: Config, directory: RunDirectory, cost: Complexity, data: ImageData) -> None:
    """Raise ConfigError if the images do not suit the settings, or have changed since the run began."""
    refuse_too_large(config, cost, min(data.config.optim.part_size, data.num_images))
    _refuse_single_image_batch(data.config, data)
    Pretrained.of(config, data.source.classes)
    if not len(data.validation_rows):
        _refuse_needs_of_validation(config)
    directory.refuse_changed_images(data.source.facts, config.data.on_change)


def _refuse_needs_of_validation(config: Config) -> None:
    """Refuse settings that need a validation score, since the validation part has turned out to be empty."""
    val_score = f"val_{TASKS.info(config.task).score}"
    schedule = config.optim.schedule
    watched = schedule.watch if schedule.kind is Schedule.plateau else ""
    for name, score, needs in (
        ("objective", val_score, val_score in config.objective),
        ("trainer.patience", val_score, config.trainer.patience),
        ("optim.schedule.watch", watched, watched.startswith("val/")),
    ):
        if needs:
            raise ConfigError(f"{name}: {score} needs validation images: increase data.validation, or add images")


def _refuse_single_image_batch(config: Config, data: ImageData) -> None:
    """Refuse a mini-batch of one image with one pixel in the last feature map: BatchNorm cannot normalise one value."""
    _, *size = config.data.image_shape
    batch, part = config.optim.batch_size, config.optim.part_size
    alone = part == 1 or any(count % part == 1 for count in (min(batch, data.num_images), data.num_images % batch))
    parts = f" with optim.accumulate={config.optim.accumulate}" if part < batch else ""
    if alone and config.model.norm is Norm.batch and max(size) <= math.prod(config.model.strides):
        raise ConfigError(
            f"optim.batch_size={batch}{parts} gives a mini-batch with a single image (of "
            f"{data.num_images}), and the last feature map has a single pixel: BatchNorm needs more than one value; "
            "use another batch size"
        )
