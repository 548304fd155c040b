"""Own series in one file: a CSV file with a series in each row, or an npz file of arrays.

The columns `data.table.label` and, if there is one, `data.table.part` of a CSV file are what they are for images; its
other columns are the values, in order, and an empty field is a missing one. An npz file has the series as `x`, (N, L)
or (N, C, L), and arrays with those two names.
"""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.data import DataConfig
from resnet_lab.data.columns import DELIMITERS, LARGEST, Row, part_of
from resnet_lab.data.layout import ALL
from resnet_lab.data.series_files import Series, too_large, value_of
from resnet_lab.text import printable

TABLES = (".csv", ".npz")


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """The series of a file, and what it says about each, by its number from 1."""

    series: list[Series]
    rows: Mapping[str, Row]


def read_table(path: Path, config: DataConfig, labelled: bool = True) -> SeriesTable:
    """Read a file. Raises ConfigError if it cannot be read, or lacks values or, if it must be `labelled`, a column.

    Parts are read only with labels.
    """
    try:
        found = _of_npz(path, config, labelled) if path.suffix == ".npz" else _of_csv(path, config, labelled)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        setting = "data.table.file: " if labelled else ""
        raise ConfigError(f"{setting}cannot read {path}: {reason}") from error
    require(bool(found.series), f"{path} has no series")
    return found


def _of_csv(path: Path, config: DataConfig, labelled: bool) -> SeriesTable:
    header, lines = _lines(path)
    names = [name.strip() for name in header]
    labels = [_place(path, names, column) for column in config.table.columns if labelled or column in names]
    part = names.index(config.table.part) if config.table.part in names else None
    values = [place for place in range(len(names)) if place not in (*labels, part)]
    only = ", ".join(map(printable, names))
    require(bool(values), f"{path} has no columns of values, one for each position of a series; its columns: {only}")
    found = SeriesTable([], {})
    rows: dict[str, Row] = {}
    for number, fields in lines:
        if len(fields) != len(names):
            raise ConfigError(f"{path}: line {number} has {len(fields)} fields, the header has {len(names)}")
        try:
            found.series.append(np.array([[value_of(fields[place]) for place in values]]))
        except ValueError as error:
            raise ConfigError(f"{path}: line {number}: {printable(str(error))}") from error
        own = tuple(fields[place].strip() for place in labels)
        in_part = ALL if part is None or not labelled else part_of(config, fields[part].strip(), number)
        rows[str(number)] = Row(number, own, in_part)
    return SeriesTable(found.series, rows)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the number and the fields of each line after it, without blank lines."""
    text = path.read_text(encoding="utf-8-sig")
    delimiter = max(DELIMITERS, key=next(filter(str.strip, text.splitlines()), "").count)
    read = enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1)
    lines = [(number, fields) for number, fields in read if len(fields) > 1 or "".join(fields).strip()]
    require(bool(lines), f"{path} is empty: it must have a line with the names of columns, and one for each series")
    return lines[0][1], lines[1:]


def _of_npz(path: Path, config: DataConfig, labelled: bool) -> SeriesTable:
    columns, part = (config.table.columns, config.table.part) if labelled else ([], None)
    given = _arrays(path, ["x", *columns], part)
    x = _values(path, given["x"])
    for name in (*columns, part):
        shape = given[name].shape if name in given else (len(x),)
        require(shape == (len(x),), f"{path}: {name} must be ({len(x)},), as long as x, got {shape}")
    rows = {
        str(number): Row(
            number,
            tuple(str(given[name][number - 1]) for name in columns),
            part_of(config, str(given[part][number - 1]), number) if part in given else ALL,
        )
        for number in range(1, len(x) + 1)
    }
    return SeriesTable(list(x.reshape(len(x), -1, x.shape[-1])), rows)


def _arrays(path: Path, wanted: Sequence[str], optional: str | None) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that are `wanted`, and the `optional` one if it is there; others are not read."""
    found, name = dict[str, npt.NDArray[Any]](), ""
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as stored:
            names = [*stored]
            for name in (name for name in names if name in (*wanted, optional)):
                found[name] = np.asarray(stored[name])
    except OSError:
        raise
    except Exception as error:  # whatever zipfile, zlib and NumPy make of arbitrary bytes
        what = f"cannot read {f'array {name} of ' if name else ''}{path}"
        reason = printable(str(error)) or type(error).__name__
        raise ConfigError(f"{what}: {reason}; write it with np.savez, from arrays of numbers and text") from error
    if missing := [name for name in wanted if name not in found]:
        raise ConfigError(f"{path} has no array {missing[0]}; its arrays: {', '.join(map(printable, names))}")
    return found


def _values(path: Path, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the values of all series, of the same shape. Raises ConfigError if they are no numbers of float32."""
    require(x.dtype.kind in "biuf", f"{path}: x must be real numbers, got {x.dtype.type.__name__}")
    require(x.ndim in (2, 3) and x.size > 0, f"{path}: x must be (N, L) or (N, C, L), got {x.shape}")
    with np.errstate(over="ignore"):  # of numbers with more bits, which become infinite
        values = x.astype(np.float64)
    if len(wrong := np.argwhere(np.abs(values) > LARGEST)):
        raise ConfigError(f"{path}: series {wrong[0][0] + 1}: {too_large(values[tuple(wrong[0])])}")
    return values


def _place(path: Path, names: list[str], column: str) -> int:
    if column not in names:
        there = ", ".join(map(printable, names[:5])) + (", …" if len(names) > 5 else "")
        raise ConfigError(f"data.table.label={column}: {path.name} has no such column; its columns: {there}")
    return names.index(column)
