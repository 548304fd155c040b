"""Checks before a run creates anything: of its settings, its directory and its images."""

import math
import os

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Schedule
from resnet_lab.config.model_enums import Norm
from resnet_lab.config.optim import OptimConfig
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
from resnet_lab.text import plural
from resnet_lab.training.memory import refuse_too_large


def check(config: Config, directory: RunDirectory, images: DataFacts | None) -> Complexity:
    """Check the settings and the run's directory; return the cost of the network. Reads no images, and creates nothing.

    `images` are the facts of the user's own images, None for other data sets.

    Raises ConfigError when a setting is wrong, when the directory holds another run, or when the images have changed;
    RunFailed when the run has already diverged.
    """
    cost = measure(config)
    refuse_too_large(config, cost)
    if config.optim.batch_share is None:  # otherwise, the images determine the batch size
        _refuse_unequal_shares(config.optim, config.trainer.devices)
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
    devices = config.trainer.devices
    refuse_too_large(config, cost, min(data.config.optim.part_size, data.num_images) // devices)
    _refuse_unequal_shares(data.config.optim, devices)
    _refuse_too_few_images(data.config, data)
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


def _part_sizes(optim: OptimConfig, num_images: int) -> set[int]:
    """Return how many images there are at a time: in a part of a mini-batch, in its last part, and in an epoch's."""
    batch, part = optim.batch_size, optim.part_size
    lasts = (min(batch, num_images) % part, num_images % batch % part)
    return {min(part, num_images), *lasts} - {0}


def _in_parts(optim: OptimConfig) -> str:
    parts = f" with optim.accumulate={optim.accumulate}" if optim.part_size < optim.batch_size else ""
    return f"optim.batch_size={optim.batch_size}{parts}"


def _refuse_unequal_shares(optim: OptimConfig, devices: int) -> None:
    """Refuse mini-batches, or parts of them, that would not all begin on the same device."""
    if optim.batch_size % devices == 0 and optim.part_size % devices == 0:
        return
    step = devices * optim.accumulate
    raise ConfigError(
        f"{_in_parts(optim)}: {plural(optim.part_size, 'image')} at a time cannot be shared evenly by "
        f"trainer.devices={devices}; use a multiple of {step}, such as {step * max(1, optim.batch_size // step)}"
    )


def _refuse_too_few_images(config: Config, data: ImageData) -> None:
    """Refuse a mini-batch with no image for one of the devices."""
    devices, least = config.trainer.devices, min(_part_sizes(config.optim, data.num_images))
    if least < devices:
        raise ConfigError(
            f"{_in_parts(config.optim)} leaves {plural(least, 'image')} (of {data.num_images}) in a mini-batch, fewer "
            f"than trainer.devices={devices}; use another batch size"
        )


def _refuse_single_image_batch(config: Config, data: ImageData) -> None:
    """Refuse a mini-batch of one image with one pixel in the last feature map: BatchNorm cannot normalise one value."""
    _, *size = config.data.image_shape
    apart = 1 if config.trainer.synchronises else config.trainer.devices
    alone = any(count // apart == 1 for count in _part_sizes(config.optim, data.num_images))
    if alone and config.model.norm is Norm.batch and max(size) <= math.prod(config.model.strides):
        each = f" on each of trainer.devices={apart}" if apart > 1 else ""
        raise ConfigError(
            f"{_in_parts(config.optim)} gives a mini-batch with a single image{each} (of "
            f"{data.num_images}), and the last feature map has a single pixel: BatchNorm needs more than one value; "
            "use another batch size"
        )
