"""The labelled images that networks are evaluated on: a run's own test part, or other images with the same classes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.compose import is_option, load_config, shape_overrides
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Labels
from resnet_lab.config.registry import DATASETS, TASKS
from resnet_lab.config.schema import Config
from resnet_lab.data.images import PixelArray
from resnet_lab.data.sources import Source, read
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.images import DataFacts
from resnet_lab.text import first_few, plural, printable
from resnet_lab.use.calibration import own_images
from resnet_lab.use.trained import Trained

# Settings that say how files become inputs of the network: always those of its training.
PREPARED = (
    "dims",
    "channels",
    "image_size",
    "crop",
    "fit",
    "resize_to",
    "background",
    "range",
    "mean",
    "std",
    "label_scale",
)
SERIES_PREPARED = ("series.scale", "series.unequal", "series.missing")


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images of a data set, with the network's own labels for them."""

    pixels: PixelArray  # (N, C, H, W), all images of the source
    rows: npt.NDArray[np.int64]  # (M,): the images to evaluate
    labels: npt.NDArray[Any]  # (M, …)
    what: str  # for messages, as in "the test part of mnist"
    fingerprint: str  # of the data set

    def same_as(self, other: "LabelledImages") -> bool:
        """Return whether the images are the same, in the same order; the size of their pixels may differ."""
        return self.fingerprint == other.fingerprint and np.array_equal(self.rows, other.rows)


def refuse_other_settings(overrides: Sequence[str]) -> None:
    """Raise ConfigError for an override of anything but the choice of images."""
    for override in overrides:
        name = override.partition("=")[0]
        if name != "data" and not name.startswith("data."):
            raise ConfigError(f"{override}: only data=… and data.…=… can be set here, since the network is trained")
        if name.removeprefix("data.") in (*PREPARED, *SERIES_PREPARED):
            things = "series" if "series" in name else "images"
            raise ConfigError(f"{override}: {things} are prepared as in the run's training, so {name} cannot be set")


def images_to_test(run_dir: Path, trained: Trained, overrides: Sequence[str]) -> LabelledImages:
    """Return the run's test part or, with overrides of `data`, the test part that they select.

    All images of a folder without parts are used, but only the run's test part if they are the run's own images. Raises
    ConfigError if images are missing, have changed since the run, or have classes that the network does not know.
    """
    if overrides:
        data = data_config(trained.config, overrides)
        source = read(data)
        if source.facts.fingerprint != trained.config.data.fingerprint:
            other = _of_other(source, data, trained)
            if data.is_flat and _has_own_images(run_dir, trained.config.data, data, source.facts):
                other = replace(other, what=f"{other.what}, which include images that the run was trained on")
            return other
        moved = replace(trained.config.data, root=data.root)
        trained = replace(trained, config=replace(trained.config, data=moved))
    own = own_images(run_dir, trained)  # split as in the run, also if overrides name the same images
    rows, test = own.test_rows, own.source.test
    what = f"the test part of {_name(own.config.data)}"
    return LabelledImages(test.pixels, rows, test.labels[rows], what, own.source.facts.fingerprint)


def _has_own_images(run_dir: Path, own: DataConfig, given: DataConfig, now: DataFacts) -> bool:
    """Return whether a folder is the run's own after a change: by its place, or since a class is as it was."""
    recorded = RunDirectory(run_dir).recorded_images()
    trained_on = [classes for part, classes in recorded.parts.items() if part != "test"] if recorded else []
    before = {digests for classes in trained_on for digests in classes.values()}
    is_same_place = own.own_images and own.folder.resolve() == given.folder.resolve()
    return is_same_place or any(digests in before for part in now.parts.values() for digests in part.values())


def data_config(config: Config, overrides: Sequence[str]) -> DataConfig:
    """Return the settings that the overrides select; those that prepare images are always the run's.

    Without `data=…`, all other settings are the run's, too. Raises ConfigError for a wrong override.
    """
    stored = config.data
    given = {name: value for name, _, value in (override.partition("=") for override in overrides)}
    name = given.get("data", stored.name)
    chosen = [f"data={name}"] if "data" not in given and is_option("data", name) else []
    # The network's number of outputs, so that a folder may have fewer classes.
    count = [f"data.num_classes={stored.num_classes}"] if name in DATASETS and DATASETS.info(name).own_images else []
    # Series would tell their shape, but those of the run may not be there.
    shape = shape_overrides(stored) if stored.reads_series else ()
    composed = load_config(f"task={config.task}", *chosen, *count, *shape, *overrides).data
    changes: dict[str, Any] = {name: getattr(stored, name) for name in PREPARED}
    if composed.own_images:
        changes |= {"num_classes": None, "fingerprint": None}
    require(
        composed.own_images or "data" in given or "data.root" not in given,
        f"data.root={composed.root}: {config.name} was trained on data={stored.name}, which is no folder of your own: "
        "for other images, add data=image_folder",
    )
    if "data" in given:
        return replace(composed, **changes)
    for section in ("table", "series"):
        ours, theirs = getattr(stored, section), getattr(composed, section)
        names = [item.name for item in fields(ours) if f"data.{section}.{item.name}" in given]
        changes[section] = replace(ours, **{name: getattr(theirs, name) for name in names})
    # The layout is recognised again unless it is given, since the run's can be that of another folder.
    own = {name.removeprefix("data.") for name in given if name.count(".") == 1} | {"layout"}
    return replace(stored, **{name: getattr(composed, name) for name in own}, **changes)


def _of_other(source: Source, data: DataConfig, trained: Trained) -> LabelledImages:
    if source.range and not trained.config.data.range:
        what = "has images with more than 8 bits per value, unlike the training images: convert them"
        raise ConfigError(f"{_name(data)} {what}")
    labels = source.test.labels
    TASKS.info(trained.config.task).check_labels(labels, replace(data, num_classes=len(source.classes)))
    if data.is_flat:
        rows, what = np.sort(np.concatenate([*source.rows.values()])), f"all images of {_name(data)}"
    else:
        rows, what = source.rows.get("test", np.arange(len(labels))), f"the test part of {_name(data)}"
    if not trained.classifies:
        known = labels[rows]
        if trained.labels is Labels.attributes:
            known = known[:, _columns(source, data, trained)]
        return LabelledImages(source.test.pixels, rows, known, what, source.facts.fingerprint)
    there = [source.classes[label] for label in np.unique(labels[rows])]
    if unknown := [name for name in there if name not in trained.classes]:
        raise ConfigError(
            f"{_name(data)} has {plural(len(unknown), 'class', 'classes')} that the network does not know: "
            f"{', '.join(unknown)}; it knows {first_few(trained.classes)}"
        )
    if len(there) < len(trained.classes):
        what += f", {len(there)} of {plural(len(trained.classes), 'class', 'classes')}"
    known = np.array([trained.classes.index(name) if name in trained.classes else -1 for name in source.classes])
    return LabelledImages(source.test.pixels, rows, known[labels[rows]], what, source.facts.fingerprint)


def _columns(source: Source, data: DataConfig, trained: Trained) -> list[int]:
    """Return where the labels have the network's attributes. Raises ConfigError if they lack one."""
    if missing := [name for name in trained.classes if name not in source.classes]:
        raise ConfigError(
            f"{_name(data)} lacks {plural(len(missing), 'attribute')} that the network predicts: {first_few(missing)}; "
            f"it has {first_few(source.classes)}"
        )
    return [source.classes.index(name) for name in trained.classes]


def _name(data: DataConfig) -> str:
    if data.own_images:
        return printable(data.series.name or str(data.folder))
    return data.name


def refuse_different(one: LabelledImages, other: LabelledImages, runs: tuple[Path, Path]) -> None:
    """Raise ConfigError unless two runs are evaluated on the same images."""
    names = " and ".join(printable(str(run)) for run in runs)
    require(
        one.same_as(other),
        f"{names} have different test images ({one.what}; {other.what}): choose the images for both with data.root=…",
    )
