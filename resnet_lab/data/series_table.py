"""Own series in one file: a CSV file with a series in each row, or an npz file of arrays.

The columns `data.table.label` and, if there is one, `data.table.part` of a CSV file are what they are for images; its
other columns are the values, in order, and an empty field is a missing one. An npz file has the series as `x`, (N, L)
or (N, C, L), and arrays with those two names.
"""

import csv
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.data import DataConfig
from resnet_lab.data.columns import DELIMITERS, Row, part_of
from resnet_lab.data.layout import ALL
from resnet_lab.data.series_files import Series, value_of
from resnet_lab.text import printable

TABLES = (".csv", ".npz")


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """The series of a file, and what it says about each, by its number from 1."""

    series: list[Series]
    rows: Mapping[str, Row]


def read_table(path: Path, config: DataConfig, labelled: bool = True) -> SeriesTable:
    """Read a file. Raises ConfigError if it cannot be read, or lacks values or, if it must be `labelled`, a column."""
    try:
        found = _of_npz(path, config, labelled) if path.suffix == ".npz" else _of_csv(path, config, labelled)
    except (OSError, csv.Error, zipfile.BadZipFile, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"data.table.file: cannot read {path}: {reason}") from error
    require(bool(found.series), f"{path} has no series")
    return found


def _of_csv(path: Path, config: DataConfig, labelled: bool) -> SeriesTable:
    text = path.read_text(encoding="utf-8-sig")
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip() for name in header]
    labels = [_place(path, names, column) for column in config.table.columns if labelled or column in names]
    part = names.index(config.table.part) if config.table.part in names else None
    values = [place for place in range(len(names)) if place not in (*labels, part)]
    found = SeriesTable([], {})
    rows: dict[str, Row] = {}
    for number, fields in enumerate(lines, start=2):
        if len(fields) != len(names):
            raise ConfigError(f"{path}: line {number} has {len(fields)} fields, the header has {len(names)}")
        try:
            found.series.append(np.array([[value_of(fields[place]) for place in values]]))
        except ValueError as error:
            raise ConfigError(f"{path}: line {number}: {printable(str(error))}") from error
        own = tuple(fields[place].strip() for place in labels)
        rows[str(number)] = Row(number, own, ALL if part is None else part_of(config, fields[part].strip(), number))
    return SeriesTable(found.series, rows)


def _of_npz(path: Path, config: DataConfig, labelled: bool) -> SeriesTable:
    with np.load(path, allow_pickle=False) as arrays:
        given = dict(arrays)
    wanted = ["x", *(config.table.columns if labelled else ())]
    if missing := [name for name in wanted if name not in given]:
        raise ConfigError(f"{path} has no array {missing[0]}; its arrays: {', '.join(map(printable, given))}")
    x = np.asarray(given["x"], np.float64)
    require(x.ndim in (2, 3) and x.size > 0, f"{path}: x must be (N, L) or (N, C, L), got {x.shape}")
    columns = [given[name] for name in wanted[1:]]
    parts = given.get(config.table.part)
    for name, array in zip(wanted[1:], columns, strict=True):
        require(array.shape == (len(x),), f"{path}: {name} must be ({len(x)},), as long as x, got {array.shape}")
    rows = {
        str(number): Row(
            number,
            tuple(str(column[number - 1]) for column in columns),
            ALL if parts is None else part_of(config, str(parts[number - 1]), number),
        )
        for number in range(1, len(x) + 1)
    }
    return SeriesTable(list(x.reshape(len(x), -1, x.shape[-1])), rows)


def _place(path: Path, names: list[str], column: str) -> int:
    if column not in names:
        there = ", ".join(map(printable, names[:5])) + (", …" if len(names) > 5 else "")
        raise ConfigError(f"data.table.label={column}: {path.name} has no such column; its columns: {there}")
    return names.index(column)
