"""Files of the UCR and UEA archives of series: `.ts`, with a header, and `.tsv`.

A line of a `.ts` file is a series: its channels, then its class, separated by colons; the values of a channel are
separated by commas, and `?` or NaN is a missing one. A line of a `.tsv` file begins with the class; values missing at
its end are not part of the series.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.columns import LARGEST
from resnet_lab.text import printable

Series = npt.NDArray[np.float64]  # (channels, length), with NaN where values are missing
PARTS = ("TRAIN", "TEST")
SUFFIXES = (".ts", ".tsv")


@dataclass(frozen=True, slots=True)
class SeriesFile:
    """The series of a file, and the names of their classes."""

    series: list[Series]
    classes: list[str]


def folders(root: Path) -> list[Path]:
    """Return where data sets of series may be: below `data.root`, and in an installed aeon, which is not imported."""
    found = [root]
    package = importlib.util.find_spec("aeon")
    for place in (package.submodule_search_locations or ()) if package else ():
        found.append(Path(place) / "datasets" / "data")
    return [folder for folder in found if folder.is_dir()]


def data_sets(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return the training and the test file of each data set by its name; those below `root` come first."""
    found: dict[str, tuple[Path, Path]] = {}
    for folder in folders(root):
        for suffix in SUFFIXES:
            for train in sorted([*folder.glob(f"*_TRAIN{suffix}"), *folder.glob(f"*/*_TRAIN{suffix}")]):
                name = train.name.removesuffix(f"_TRAIN{suffix}")
                test = train.with_name(f"{name}_TEST{suffix}")
                if test.is_file():
                    found.setdefault(name, (train, test))
    return found


def read_series(path: Path) -> SeriesFile:
    """Read a file. Raises ConfigError, with the line, if it is damaged or has something that is not read."""
    found = SeriesFile([], [])
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    rows = _rows_of_ts(path, lines) if path.suffix == ".ts" else _rows_of_tsv(path, lines)
    for number, channels, label in rows:
        try:
            values = [np.array([value_of(text) for text in channel], np.float64) for channel in channels]
        except ValueError as error:
            raise ConfigError(f"{path}: line {number}: {printable(str(error))}") from error
        if not label:
            raise ConfigError(f"{path}: line {number} has no class")
        longest = max(map(len, values))
        padded = [np.pad(own, (0, longest - len(own)), constant_values=np.nan) for own in values]
        found.series.append(_ended(np.stack(padded)))
        found.classes.append(label)
    if not found.series:
        raise ConfigError(f"{path} has no series")
    return found


def _rows_of_ts(path: Path, lines: list[str]) -> Iterator[tuple[int, list[list[str]], str]]:
    """Yield the number of a line, its channels and its class."""
    header: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if line.startswith("@"):
            name, _, value = line[1:].partition(" ")
            header[name.casefold()] = value.strip().casefold()
            for flag, right in (("timestamps", "false"), ("classlabel", "true"), ("targetlabel", "false")):
                if name.casefold() == flag and not header[flag].startswith(right):
                    raise ConfigError(f"{path}: @{name} {printable(value)} is not read, only series with classes are")
        elif line and not line.startswith(("#", "%")):
            *channels, label = _split(path, number, line, ":")
            yield number, [channel.split(",") for channel in channels], label.strip()


def _rows_of_tsv(path: Path, lines: list[str]) -> Iterator[tuple[int, list[list[str]], str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            label, *values = _split(path, number, line, "\t")
            yield number, [values], label.strip()


def _split(path: Path, number: int, line: str, mark: str) -> list[str]:
    """Split a line, at least its class from its values. Raises ConfigError."""
    if mark not in line:
        lacking = {":": "colon between values and class", "\t": "tab between class and values"}[mark]
        raise ConfigError(f"{path}: line {number} has no {lacking}")
    return line.split(mark)


def value_of(text: str) -> float:
    """Return a value, NaN if it is missing. Raises ValueError if it is no finite number that fits float32."""
    if text.strip() in ("", "?"):
        return float("nan")
    value = float(text)
    if abs(value) > LARGEST:
        raise ValueError(too_large(text.strip()))
    return value


def too_large(value: object) -> str:
    """Say what is wrong with a value that float32 cannot hold, infinity among them."""
    return f"{value} is too large: |x| must be below 3.4e38, to fit float32; a missing value is NaN"


def _ended(series: Series) -> Series:
    """Leave out the end of a series at which all channels are missing; one value stays."""
    known = np.flatnonzero(~np.isnan(series).all(axis=0))
    return series[:, : known[-1] + 1] if len(known) else series[:, :1]
