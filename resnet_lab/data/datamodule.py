"""A data set, read and split into training, validation and test part."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import torch

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import ClassWeights, Labels
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.series import Scale
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import balanced_weights, epoch_size, positive_weights
from resnet_lab.data.sources import Source, read
from resnet_lab.data.split import Indices, are_classes, holdout
from resnet_lab.text import first_few


class ImageData:
    """Read and split the images on construction; `training.lightning.LoadedImages` hands them to a trainer.

    Raises ConfigError when files are missing or damaged, or the data does not fit the settings or the task.
    """

    def __init__(self, config: Config, steps_per_call: int = 1) -> None:
        self.config, self.steps_per_call = config, steps_per_call
        try:
            self.source = read(config.data)
        except MemoryError as error:
            raise ConfigError(f"the images do not fit into memory: use a smaller data.image_size ({error})") from error
        for part in (self.source.train, self.source.test):
            TASKS.info(config.task).check_labels(part.labels, config.data)
        self.train_rows, self.validation_rows, self.test_rows = split(self.source, config.data)
        size = config.optim.batch_of(len(self.train_rows))
        self.config = config = replace(config, optim=replace(config.optim, batch_size=size))
        few = f"data.root={config.data.folder}: a test part needs a class with two images or more"
        require(len(self.test_rows) > 0, few)
        self.notes = [*self.source.notes, *self._notes_on_parts()]
        self.normalise = self._normalisation(config.data)
        self.label_scale = self._label_scale(config.data)
        self.num_batches, self.num_images = epoch_size(config, len(self.train_rows))

    def _notes_on_parts(self) -> Iterator[str]:
        """Yield a note for each part that has fewer images than asked for, or lacks classes or attributes.

        An autoencoder does not learn from labels, so theirs do not matter.
        """
        wanted = self.config.data.validation
        if not len(self.validation_rows) and wanted > 0:
            yield "there is no validation part: too few training images to hold one out"
        elif len(self.validation_rows) < wanted and not self.config.data.has_val_folder:
            yield f"only {len(self.validation_rows)} images are held out, since each class keeps one to train on"
        labels = self.source.train.labels
        parts = {"training": labels[self.train_rows], "validation": labels[self.validation_rows]}
        for part, own in {**parts, "test": self.source.test.labels[self.test_rows]}.items():
            if len(own) and not TASKS.info(self.config.task).decodes:
                yield from self._notes_on_labels(part, own)

    def _notes_on_labels(self, part: str, labels: npt.NDArray[Any]) -> Iterator[str]:
        """Yield a note on classes without images in a part, and on attributes that never or always occur in it."""
        names, found = self.source.classes, list[tuple[Indices, str, str, str]]()
        if are_classes(labels):
            missing = np.setdiff1d(np.arange(len(names)), labels)
            things = self.config.data.things
            found = [(missing, "classes", f"has no {things}", f"have no {things}")]
        elif self.config.data.labels is Labels.attributes:
            never, always = (np.flatnonzero((labels == value).all(axis=0)) for value in (0, 1))
            found = [(never, "attributes", "never occurs", "never occur")]
            found += [(always, "attributes", "always occurs", "always occur")]
        for rows, what, one, many in found:
            if len(rows):
                verb, named = one if len(rows) == 1 else many, first_few([names[row] for row in rows])
                yield f"{len(rows)} of {len(names)} {what} {verb} in the {part} part: {named}"

    def record(self) -> dict[str, Any]:
        """Return what a run stores of its images: fingerprint, classes, numbers, what was changed or left out."""
        parts = {"train": self.train_rows, "validation": self.validation_rows, "test": self.test_rows}
        return {
            "fingerprint": self.source.facts.fingerprint,
            "classes": list(self.source.classes),
            "images": {part: len(rows) for part, rows in parts.items()},
            "range": list(self.source.range) if self.source.range else None,
            "damaged": self.source.damaged,
            "notes": self.notes,
        } | ({"label_scale": self.label_scale} if self.label_scale else {})

    def measured(self) -> Config:
        """Return the settings with the mean and std that normalise the images, and that of labels that are numbers."""
        mean, std = list(self.normalise.mean), list(self.normalise.std)
        measured = replace(self.config.data, mean=mean, std=std, label_scale=self.label_scale)
        return replace(self.config, data=measured)

    def _normalisation(self, data: DataConfig) -> Normalisation:
        if data.mean is not None and data.std is not None:
            return Normalisation(tuple(data.mean), tuple(data.std))
        if data.dims == 1 and data.series.scale is not Scale.training:
            return Normalisation((0.0,) * data.channels, (1.0,) * data.channels)
        measured = Normalisation.measure(self.source.train.pixels, self.train_rows, self.source.train.sums)
        return Normalisation(tuple(data.mean or measured.mean), tuple(data.std or measured.std))

    def _label_scale(self, data: DataConfig) -> list[float] | None:
        """Return mean and standard deviation of labels that are numbers; 1 if they are all the same."""
        if data.labels is not Labels.number or data.label_scale:
            return data.label_scale
        numbers = self.source.train.labels[self.train_rows].astype(np.float64)
        return [float(numbers.mean()), float(numbers.std()) or 1.0]

    def class_weights(self) -> torch.Tensor | None:
        """Return weights in the training loss (K,); None if all are 1.

        They are those of the classes, or of the positive images of each attribute.
        """
        labels = self.source.train.labels[self.train_rows]
        match self.config.optim.class_weights:
            case ClassWeights.none:
                return None
            case ClassWeights.balanced if self.config.data.labels is Labels.attributes:
                return torch.from_numpy(positive_weights(labels)).float()
            case ClassWeights.balanced:
                weights = np.zeros(len(self.source.classes))
                measured = balanced_weights(labels)
                weights[: len(measured)] = measured
                return torch.from_numpy(weights).float()
            case _:
                assert_never(self.config.optim.class_weights)


def split(source: Source, data: DataConfig) -> tuple[Indices, Indices, Indices]:
    """Return the rows of the training, validation and test part. Raises ConfigError when there are too few images."""
    rows = source.rows
    train = rows.get("train", np.arange(len(source.train)))
    if "val" in rows:
        validation = rows["val"]
    else:
        share = data.validation
        count = round(share * len(train)) if share < 1 else int(share)
        train, validation = (train[own] for own in holdout(source.train.labels[train], count, data.split_seed))
    if data.num_train is not None:
        if data.num_train > len(train):
            raise ConfigError(f"data.num_train={data.num_train}, but there are only {len(train)} images to train on")
        chosen, _ = holdout(source.train.labels[train], len(train) - data.num_train, data.split_seed)
        train = train[chosen]
        if len(train) > data.num_train:
            raise ConfigError(
                f"data.num_train={data.num_train} is less than one image for each of {len(train)} classes"
            )
    return train, validation, rows.get("test", np.arange(len(source.test)))
