"""The columns of a table: one class, several attributes or one number for each image or series, and its part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, assert_never

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Labels
from resnet_lab.data.layout import PART_NAMES
from resnet_lab.text import printable

MOST_DIGITS = 19  # of a class that counts as a number
LARGEST = float(np.finfo(np.float32).max)  # number

# The ways to write that an image has an attribute, and that it has not. A column uses one of them.
WORDS = (("1", "0"), ("1", "-1"), ("yes", "no"), ("true", "false"))


DELIMITERS = (",", ";", "\t")

# Values of the column of parts: the usual names, and the numbers in the tables of CelebA.
PARTS = {name: part for part, names in PART_NAMES.items() for name in names} | {"0": "train", "1": "val", "2": "test"}


@dataclass(frozen=True, slots=True)
class Row:
    """What a table says about an image."""

    line: int  # number of the line in the file
    labels: tuple[str, ...]  # the fields in the columns `data.table.label`
    part: str


Column = Sequence[tuple[int, str]]  # for each row, its line and a field


def labels_of(config: DataConfig, rows: Mapping[str, Row]) -> tuple[tuple[str, ...], npt.NDArray[Any]]:
    """Return the names of classes or attributes, none for numbers, and the labels of the rows, as in `sources.Images`.

    Raises ConfigError, naming line and column, when a field is not what its column must have.
    """
    columns: list[Column] = [
        [(row.line, row.labels[place]) for row in rows.values()] for place in range(len(config.table.columns))
    ]
    match config.labels:
        case Labels.classes:
            classes = sorted({field for _, field in columns[0]}, key=_natural)
            numbers = {name: number for number, name in enumerate(classes)}
            return tuple(classes), np.array([numbers[field] for _, field in columns[0]], np.int64)
        case Labels.attributes:
            pairs = zip(config.table.columns, columns, strict=True)
            return tuple(config.table.columns), np.stack([_attribute(config, *pair) for pair in pairs], axis=1)
        case Labels.number:
            return (), np.array([_number(config, *field) for field in columns[0]], np.float32)
        case _:
            assert_never(config.labels)


def part_of(config: DataConfig, value: str, number: int) -> str:
    """Return the part that a field of the column of parts names. Raises ConfigError for other words."""
    if value.casefold() not in PARTS:
        raise ConfigError(
            f"{config.folder / config.table.file}: line {number} has {value!r:.40} in column {config.table.part}; "
            f"it can have {', '.join(PARTS)}"
        )
    return PARTS[value.casefold()]


def _natural(label: str) -> tuple[int, int, str]:
    """Sort whole numbers by size, before words."""
    return (0, int(label), label) if label.isdecimal() and len(label) < MOST_DIGITS else (1, 0, label)


def _attribute(config: DataConfig, name: str, column: Column) -> npt.NDArray[np.uint8]:
    """Return whether each image has an attribute (N,), 0 or 1."""
    words = list(WORDS)
    for line, field in column:
        fitting = [pair for pair in words if field.casefold() in pair]
        if not fitting:
            options = " or ".join(" and ".join(pair) for pair in words)
            before = "it can have" if len(words) == len(WORDS) else "lines before it have"
            _refuse(config, line, name, field, f"{before} {options}")
        words = fitting
    yes, _ = words[0]
    return np.array([field.casefold() == yes for _, field in column], np.uint8)


def _number(config: DataConfig, line: int, field: str) -> float:
    try:
        number = float(field)
    except ValueError:
        number = np.nan
    if not abs(number) <= LARGEST:
        _refuse(config, line, config.table.columns[0], field, "it must have a finite number, as in 1.5")
    return number


def _refuse(config: DataConfig, line: int, column: str, field: str, instead: str) -> NoReturn:
    file = config.folder / config.table.file
    raise ConfigError(f"{file}: line {line} has {field!r:.40} in column {printable(column)}; {instead}")
