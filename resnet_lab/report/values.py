"""Values of settings: how reports compare, sort and show them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from resnet_lab.config.groups import options
from resnet_lab.config.model_enums import AttentionPlace, Bridges, Downsample, Nonlinearity, Norm
from resnet_lab.text import visible

Value = Any  # a number, a string, None, or a tuple of them
Fields = dict[str, Value]  # by dotted name

# Axes whose options have an order of their own; options of `bridges` follow the reach that they begin with.
ORDERED = {
    "bridges": sorted(options("bridges"), key=lambda name: ([*map(name.startswith, Bridges.__members__)][::-1], name)),
    "norm": [*Norm.__members__],
    "nonlinearity": [*Nonlinearity.__members__],
    "downsample": [*Downsample.__members__],
    "attention.place": [*AttentionPlace.__members__],
}


def label(fields: Fields) -> str:
    """Format fields for the user: `shortcut=none units=3`."""
    return " ".join(f"{name}={text(value)}" for name, value in fields.items())


def text(value: Value) -> str:
    """Format a value for the user, without unprintable characters; nothing is `none`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(text, value)) or "none"
    return "none" if value is None else visible(str(value))


def order(value: Value, axis: str = "") -> tuple[Any, ...]:
    """Return a sort key for values of mixed types: numbers by size, before strings; options of some axes by rank."""
    if value in ORDERED.get(axis, ()):
        return (2, "", ORDERED[axis].index(value))
    if isinstance(value, int | float):
        return (0, value)
    return (1, *(order(v) for v in value)) if isinstance(value, tuple) else (2, text(value))


def levels(axis: str, rows: Iterable[Fields]) -> list[Value]:
    """Return the values of an axis in order."""
    return sorted({own[axis] for own in rows}, key=lambda value: order(value, axis))


def is_number(value: Value) -> bool:
    """Return whether a setting's value is a number, and neither true nor false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def differing(rows: Sequence[Fields]) -> list[str]:
    """Return the names whose values differ between rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({key_of(row.get(name)) for row in rows}) > 1]


def key_of(value: Value) -> str:
    """Return the same text for equal values, also for dictionaries of them."""
    return json.dumps(value, sort_keys=True, default=str)
