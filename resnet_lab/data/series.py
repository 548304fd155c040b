"""Series as a data set, (N, C, L) in float32: of the UCR and UEA archives, in their own parts, or from a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig, TableConfig
from resnet_lab.config.enums import Labels, Layout
from resnet_lab.config.registry import DATASETS
from resnet_lab.config.series import Missing, Scale, Unequal
from resnet_lab.data.columns import labels_of
from resnet_lab.data.images import mean_and_std
from resnet_lab.data.layout import ALL
from resnet_lab.data.series_files import Series, data_sets, read_series
from resnet_lab.data.series_table import read_table
from resnet_lab.data.sources import Images, Source, facts_of_arrays
from resnet_lab.data.split import Indices, parts_of
from resnet_lab.rundir.images import DataFacts
from resnet_lab.text import first_few, plural, printable


class Found(NamedTuple):
    """What the files say of a data set."""

    layout: Layout
    classes: int  # or attributes; 1 for a number
    channels: int
    length: int  # of the longest series


@dataclass(frozen=True, slots=True)
class Read:
    """All series, with their labels and the rows of the parts, or of ALL."""

    series: list[Series]
    labels: npt.NDArray[Any]
    classes: tuple[str, ...]  # or attributes
    parts: dict[str, Indices]


def look(config: DataConfig) -> Found:
    """Return the layout, and the numbers of classes, channels and positions. Raises ConfigError."""
    found = _read(replace(config, num_classes=None))
    layout = Layout.train_val_test if "val" in found.parts else Layout.train_test
    if ALL in found.parts:
        layout = Layout.flat
    channels, longest = found.series[0].shape[0], max(series.shape[1] for series in found.series)
    return Found(layout, len(found.classes) or 1, channels, longest)


def facts(config: DataConfig) -> DataFacts:
    """Return the facts of the series, as they are made ready."""
    return facts_of_arrays(source(config))


def source(config: DataConfig) -> Source:
    """Return the series of `data.series.name`, or of `data.table.file`, of the length `data.image_size`.

    Raises ConfigError if there is no such data set, it is damaged or does not fit the settings.
    """
    found = _read(config)
    images = Images(ready(found.series, config), found.labels)
    rows = parts_of(found.parts, found.labels, config)
    names = tuple(map(printable, found.classes))
    return Source(
        images, images, names, rows=rows, prepared=True, notes=tuple(notes(found.series, config, _what(config)))
    )


def _read(config: DataConfig) -> Read:
    """Read all files. Raises ConfigError."""
    found = _of_archive(config) if "series" in DATASETS.info(config.name).reads else _of_table(config)
    channels = sorted({len(series) for series in found.series})
    if len(channels) > 1 or config.channels not in (0, channels[0]):
        right = f"data.channels={channels[0]}, got {config.channels}" if len(channels) == 1 else "one for all series"
        if "table" in DATASETS.info(config.name).reads and len(channels) == 1:
            right += " (data=series_table in place of data=table reads channels and length from the file)"
        raise ConfigError(f"{_what(config)} has {first_few([*map(str, channels)])} channels: {right}")
    if config.labels is not Labels.number and config.num_classes not in (None, len(found.classes)):
        raise ConfigError(
            f"{_what(config)} has {plural(len(found.classes), 'class', 'classes')}, got "
            f"data.num_classes={config.num_classes}: leave it out"
        )
    return found


def _of_archive(config: DataConfig) -> Read:
    known, name = data_sets(config.folder), config.series.name
    if name not in known:
        there = ", ".join(map(printable, known)) or "none"
        where = f"{config.folder} (NAME_TRAIN.ts and NAME_TEST.ts, or .tsv) or in an installed aeon"
        wrong = "data.series.name: choose a data set" if name is None else f"{_what(config)}: there is no such data set"
        raise ConfigError(f"{wrong}; in {where} there are: {there}")
    train, test = map(read_series, known[name])
    classes = _in_order({*train.classes})
    if foreign := {*test.classes} - {*classes}:
        raise ConfigError(f"{_what(config)}: no training series has class {min(foreign)}")
    codes = {label: number for number, label in enumerate(classes)}
    labels = np.array([codes[label] for label in (*train.classes, *test.classes)], np.int64)
    rows = np.arange(len(labels))
    parts = {"train": rows[: len(train.series)], "test": rows[len(train.series) :]}
    return Read([*train.series, *test.series], labels, tuple(classes), parts)


def _of_table(config: DataConfig) -> Read:
    table = read_table(config.folder / config.table.file, config)
    for row in table.rows.values():
        if "" in row.labels:
            empty = config.table.columns[row.labels.index("")]
            raise ConfigError(f"{_what(config)}: line or series {row.line} has no {printable(empty)}")
        if row.part == ALL and config.table.part != TableConfig().part:
            raise ConfigError(f"data.table.part={config.table.part}: {config.table.file} has no such column")
    classes, labels = labels_of(config, table.rows)
    part = np.array([row.part for row in table.rows.values()])
    parts = {name: np.flatnonzero(part == name) for name in dict.fromkeys(part.tolist())}
    if lacking := [name for name in ("train", "test") if ALL not in parts and name not in parts]:
        raise ConfigError(f"{_what(config)}: no series has {lacking[0]} in {config.table.part}")
    return Read(table.series, labels, classes, parts)


def _what(config: DataConfig) -> str:
    """Name the data set in messages."""
    in_archive = "series" in DATASETS.info(config.name).reads
    return f"data.series.name={config.series.name}" if in_archive else f"data.table.file={config.table.file}"


def _in_order(names: set[str]) -> list[str]:
    """Sort classes by number if all are numbers, else by name."""
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)


def ready(series: Sequence[Series], config: DataConfig) -> np.ndarray:
    """Fill, scale and fit all series: (N, C, L) in float32, NaN where normalisation is to put zeros."""
    [_, length] = config.image_shape
    whole = np.full((len(series), config.channels, length), np.nan, np.float32)
    for row, own in enumerate(series):
        if own.shape[1] != length and config.series.unequal is Unequal.stretch:
            own = _stretched(own, length)
        part = _scaled(_filled(own, config.series.missing), config.series.scale)[:, :length]
        whole[row, :, : part.shape[1]] = part
    return whole


def _filled(series: Series, how: Missing) -> Series:
    """Return a series without missing values; with `zero`, they stay."""
    match how:
        case Missing.interpolate:
            positions = np.arange(series.shape[1])
            filled = series.copy()
            for channel in filled:
                known = ~np.isnan(channel)
                channel[:] = np.interp(positions, positions[known], channel[known]) if known.any() else 0.0
            return filled
        case Missing.zero | Missing.refuse:
            return series
        case _:
            assert_never(how)


def _scaled(series: Series, how: Scale) -> Series:
    match how:
        case Scale.each:
            mean_C1, std_C1 = mean_and_std(series, 1)
            return (series - mean_C1) / std_C1
        case Scale.given | Scale.training:
            return series
        case _:
            assert_never(how)


def _stretched(series: Series, length: int) -> Series:
    """Interpolate linearly, so that the first and the last value stay where they are."""
    old, new = np.linspace(0, 1, series.shape[1]), np.linspace(0, 1, length)
    return np.stack([np.interp(new, old, channel) for channel in series])


def notes(every: Sequence[Series], config: DataConfig, what: str) -> Iterator[str]:
    """Yield what `ready` fills and fits of the series of `what`. Raises ConfigError if that is to be refused."""
    [_, length], how = config.image_shape, config.series
    lengths = [series.shape[1] for series in every]
    missing = sum(bool(np.isnan(series).any()) for series in every)
    for count, which, setting, option in (
        (sum(own < length for own in lengths), f"shorter than {length}", "unequal", how.unequal),
        (sum(own > length for own in lengths), f"longer than {length}", "unequal", how.unequal),
        (missing, "with missing values", "missing", how.missing),
    ):
        if count and option.name == "refuse":
            raise ConfigError(f"{what} has {count:,} of {len(every):,} series {which}: set data.series.{setting}")
        if count:
            meaning = "the end is cut off" if which.startswith("longer") and option is Unequal.pad else option.value
            yield f"{count:,} of {len(every):,} series {which}: {meaning} (data.series.{setting}={option.name})"
