"""The axes of a population: what is drawn at random, and from which values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.compose import is_option
from resnet_lab.config.groups import COMBINABLE, GROUPS, in_range, listing
from resnet_lab.config.messages import no_such_setting, setting_types

# Repetitions of an experiment: each architecture is run with every value.
CROSSED = ("seed", "data.split_seed", "data.test_split_seed")
DIGITS = 4  # of a number drawn from an interval, so that commands stay readable


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting or group to draw. `value` maps a random number in [0, 1) to the text of a value."""

    name: str
    value: Callable[[float], str]


def split(overrides: Sequence[Override]) -> tuple[list[Axis], list[str]]:
    """Return the axes to draw, sorted by name, and all other overrides. The last override of a name holds.

    Raises ConfigError for unknown names and options, for impossible intervals, and if there is nothing to draw.
    """
    last = {override.get_key_element(): override for override in overrides}
    drawn = {name: own for name, own in last.items() if own.is_sweep_override() and name not in CROSSED}
    if not drawn:
        raise ConfigError(
            "hydra/sweeper=population needs something to draw, as in units=n2,n3,n5 'model.filters=range(8,64,4)'"
        )
    axes = [Axis(name, _interval(own) if own.is_interval_sweep() else _list(own)) for name, own in drawn.items()]
    others = [str(own.input_line) for name, own in last.items() if name not in drawn]
    return sorted(axes, key=lambda axis: axis.name), others


def _list(override: Override) -> Callable[[float], str]:
    values = override.value()
    if isinstance(values, (ChoiceSweep, RangeSweep)):
        values.shuffle = False  # by Hydra, without a seed
    texts = list(override.sweep_string_iterator())
    group = override.key_or_group
    require(bool(texts), f"{override.input_line}: there is nothing to draw from")
    for text in texts if group in GROUPS else ():
        options = text.strip("[]").split(",") if group in COMBINABLE else [text]
        if not all(is_option(group, option.strip()) or in_range(group, option) for option in options):
            raise ConfigError(f"there is no {group}={text}; {group} can be: {listing(group)}")
    return lambda u: texts[int(u * len(texts))]


def _interval(override: Override) -> Callable[[float], str]:
    name, interval = override.key_or_group, override.value()
    assert isinstance(interval, IntervalSweep)
    whole = _is_whole(name)
    low, high = float(interval.start or 0), float(interval.end or 0)
    if whole:
        low, high = math.ceil(low), math.floor(high)
    require(low <= high, f"{override.input_line}: there is nothing between the bounds")
    logarithmic = "log" in interval.tags
    require(low > 0 or not logarithmic, f"{override.input_line}: a logarithmic range must begin above 0")
    begin, end = (low - 0.5, high + 0.5) if whole else (low, high)  # so that rounding gives each number its share

    def value(u: float) -> str:
        x = begin * (end / begin) ** u if logarithmic else begin + (end - begin) * u
        return str(min(max(round(x) if whole else float(f"{x:.{DIGITS}g}"), low), high))

    return value


def _is_whole(name: str) -> bool:
    """Return whether a setting takes whole numbers. Raises ConfigError if it takes no numbers."""
    types = setting_types()
    if name not in types and name not in GROUPS:
        raise ConfigError(no_such_setting(name))
    kinds: set[Any] = {types.get(name), *get_args(types.get(name))}
    if kinds & {int, Any}:  # Any: one number or a list of them, which all count something
        return True
    require(float in kinds, f"{name} is not a number: list what to draw from, as in {name}=a,b,c")
    return False
