"""Check the values of command-line overrides against the types of the settings, before Hydra composes anything."""

from collections.abc import Sequence
from dataclasses import is_dataclass
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from hydra.core.override_parser.types import QuotedString

from resnet_lab.config.checks import TRUTHS, ConfigError
from resnet_lab.config.groups import COMBINABLE, GROUPS, listing
from resnet_lab.config.hydra_private import parsed_values
from resnet_lab.config.messages import INSTEAD, setting_types

WORDS: dict[Any, str] = {
    Any: "a number or a list of numbers",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
}
LISTS = {int: "a list of whole numbers, as in [1,2]", float: "a list of numbers, as in [0.5,0.5]"}  # by what is in it


def refuse_wrong_values(overrides: Sequence[str]) -> None:
    """Raise ConfigError for the first override whose value is of the wrong type."""
    types = setting_types()
    for override in overrides:
        name = override.lstrip("+").partition("=")[0]
        if name in COMBINABLE and not all(map(_chooses, _values(override))):
            raise ConfigError(f"{override}: list options, as in {name}=[flip,cutout]; {name} can be: {listing(name)}")
        if name in GROUPS and not all(isinstance(value, str | list | QuotedString) for value in _values(override)):
            raise ConfigError(
                f"{override}: set a group to one of its options, as in units=n3, or a value by its dotted name, as in "
                f"model.units=[3]; {name} can be: {listing(name)}"
            )
        if "=" not in override or name in GROUPS or name not in types:
            continue
        for value in _values(override):
            if not _fits(types[name], value):
                raise ConfigError(_message(name, types[name], value))


@lru_cache(maxsize=4096)
def _values(override: str) -> tuple[Any, ...]:
    return tuple(parsed_values(override))


def _chooses(value: Any) -> bool:
    """Whether a value of a group, if it is a list, is one of options."""
    return not isinstance(value, list) or (value != [] and all(isinstance(own, str | QuotedString) for own in value))


def _fits(kind: Any, value: Any) -> bool:
    """Whether OmegaConf would convert the value without changing its meaning."""
    if kind is Any:
        return not isinstance(value, dict)
    if is_dataclass(kind) or get_origin(kind) is dict:
        return isinstance(value, dict)
    if isinstance(value, str) and "${" in value:
        return True  # known only later
    if get_origin(kind) in (Union, UnionType):  # all unions are with None
        return value is None or _fits(get_args(kind)[0], value)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(get_args(kind)[0], entry) for entry in value)
    if isinstance(value, list | dict) or value is None:
        return False
    if isinstance(kind, type) and issubclass(kind, Enum):
        return str(value) in kind.__members__
    if kind is bool:
        return str(value).lower() in TRUTHS
    if isinstance(value, bool):
        return kind is str
    try:
        return kind is str or kind(str(value)) is not None
    except ValueError:
        return False


def _message(name: str, kind: Any, value: Any) -> str:
    if is_dataclass(kind) or get_origin(kind) is dict:
        if name in INSTEAD:
            return f"{name} is a group of settings, not a value: {INSTEAD[name]}"
        own = [other for other in setting_types() if other.rpartition(".")[0] == name]
        return f"{name} is a group of settings, not a value: set one of {', '.join(own)}"
    return f"{name} must be {_words(kind)}, got {_shown(value)}"


def _words(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return f"{_words(get_args(kind)[0])} or null"
    if get_origin(kind) is list:
        return LISTS.get(get_args(kind)[0], "a list, as in [a,b]")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(kind.__members__)}"
    return WORDS[kind]


def _shown(value: Any) -> str:
    return "null" if value is None else f"{value!s:.60}" or "nothing"
