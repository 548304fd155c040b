"""A folder of images and a table with their labels: a CSV file with a row for each image."""

import csv
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig, TableConfig
from resnet_lab.config.enums import Labels, Layout
from resnet_lab.data.columns import DELIMITERS, Row, labels_of, part_of
from resnet_lab.data.decode import is_readable
from resnet_lab.data.layout import ALL
from resnet_lab.data.listing import Files, Listing, refuse_other_count
from resnet_lab.data.split import are_classes
from resnet_lab.data.walk import reading, walk
from resnet_lab.text import first_few, plural, printable


def look(config: DataConfig) -> tuple[Any, ...]:
    """Return which parts the table has, and the number of classes or attributes, 1 for a number. Raises ConfigError.

    Of series, also the numbers of channels and positions.
    """
    if config.dims == 1:
        from resnet_lab.data import series  # imports torch, which takes seconds

        return series.look(config)
    rows = _read(config)
    parts = {row.part for row in rows.values()}
    layout = Layout.flat if parts == {ALL} else Layout.train_val_test if "val" in parts else Layout.train_test
    classes = {row.labels for row in rows.values()}
    return layout, len(classes) if config.labels is Labels.classes else len(config.table.columns)


def table_listing(config: DataConfig) -> Listing:
    """List the images of a table, in the same form as for folders of classes.

    Raises ConfigError when the table cannot be read, lacks a column or a part, has labels of another kind, names files
    that are missing, or has not `data.num_classes` classes or attributes.
    """
    rows = _read(config)
    classes, labels = labels_of(config, rows)
    is_training = [row.part in (ALL, "train") for row in rows.values()]
    if config.labels is Labels.classes and (foreign := np.setdiff1d(labels, labels[is_training])).size:
        name = printable(classes[foreign[0]])
        raise ConfigError(f"{config.folder / config.table.file}: no training image has class {name}")
    if config.labels is not Labels.number:
        refuse_other_count(config, len(classes))
    with reading(config.folder):
        there = {name: facts for name, facts, why in walk(str(config.folder)) if not why}
    if missing := [name for name in rows if name not in there]:
        raise _refused(config, f"names {plural(len(missing), 'file')} that {config.folder} does not have", missing)
    if unreadable := [name for name in rows if not is_readable(name)]:
        raise _refused(config, f"names {plural(len(unreadable), 'file')} without the suffix of an image", unreadable)
    parts = [part for part in (ALL, "train", "val", "test") if any(row.part == part for row in rows.values())]
    codes = labels.tolist() if are_classes(labels) else [0] * len(rows)
    keys = zip((parts.index(row.part) for row in rows.values()), codes, rows, range(len(rows)), strict=True)
    places, _, ordered, order = zip(*sorted(keys), strict=True)
    facts = np.array([there[name] for name in ordered], np.int64)
    others = [name for name in there if name not in rows and is_readable(name)]
    return Listing(
        files=Files(config.folder.resolve(), ordered, facts),
        classes=tuple(map(printable, classes)),
        labels=labels[list(order)],
        parts={part: np.flatnonzero(np.array(places) == number) for number, part in enumerate(parts)},
        left_out=tuple(_left_out(config, others)),
    )


def _left_out(config: DataConfig, others: list[str]) -> Iterator[str]:
    if others:
        yield f"{plural(len(others), 'image')} not in {config.table.file} ({printable(others[0])})"


def _read(config: DataConfig) -> Mapping[str, Row]:
    """Return labels and part (ALL if there is no such column) of each file in the table."""
    table, path = config.table, config.folder / config.table.file
    rows: dict[str, Row] = {}
    try:
        for number, fields in _rows(config, path.read_bytes()):
            name = _below(config.folder, fields[table.image].strip())
            labels = tuple(fields[column].strip() for column in table.columns)
            if not name or "" in labels:
                empty = table.columns[labels.index("")] if name else table.image
                raise ConfigError(f"{path}: line {number} has no {printable(empty)}")
            part = part_of(config, fields[table.part].strip(), number) if table.part in fields else ALL
            row = rows.setdefault(name, Row(number, labels, part))
            if (row.labels, row.part) != (labels, part):
                what = "class" if config.labels is Labels.classes else "label"
                raise ConfigError(f"{path}: line {number} gives {printable(name)} another {what} or part than before")
    except FileNotFoundError as error:
        columns = " and ".join((table.image, *table.columns))
        hint = f"write a table with the columns {columns}, or name yours, as in data.table.file=my_table.csv"
        raise ConfigError(f"data.table.file: there is no {path}; {hint}") from error
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"data.table.file: cannot read {path}: {reason}") from error
    parts = {row.part for row in rows.values()}
    if not rows:
        raise ConfigError(f"{path} has no rows")
    if lacking := [part for part in ("train", "test") if ALL not in parts and part not in parts]:
        raise ConfigError(f"{path}: no row has {lacking[0]} in column {table.part}")
    return rows


def _rows(config: DataConfig, data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of a line and its fields by column. Raises ConfigError when a column is missing."""
    table, path = config.table, config.folder / config.table.file
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = data.decode(encoding, errors="surrogateescape" if encoding == "utf-8-sig" else "replace")
    delimiter = max(DELIMITERS, key=text.lstrip().partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="", restkey="")
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    wanted = [("image", table.image), *(("label", column) for column in table.columns)]
    if table.part != TableConfig().part:
        wanted.append(("part", table.part))  # asked for
    for setting, column in wanted:
        if column not in columns:
            there = ", ".join(map(printable, columns)) or "none"
            hint = "; for series in the file, choose data=series_table" if setting == "image" else ""
            what = f"data.table.{setting}={column}: {table.file} has no such column"
            raise ConfigError(f"{what}; its columns: {there}{hint}")
    for row in reader:
        if "" in row:
            raise ConfigError(f"{path}: line {reader.line_num} has more fields than there are columns")
        yield reader.line_num, row


def _below(root: Path, name: str) -> str:
    """Return the path of a file below the root, as the file system lists it."""
    path = Path(os.path.normpath(name.replace("\\", "/"))) if name else Path()
    with suppress(ValueError):
        path = path.relative_to(root.resolve())
    return path.as_posix() if name else ""


def _refused(config: DataConfig, what: str, names: list[str]) -> ConfigError:
    return ConfigError(f"{config.folder / config.table.file} {what}: {first_few([*map(printable, names)])}")
