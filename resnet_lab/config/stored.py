"""Convert configurations to plain Python for storage, and read them back in this or a later version."""

from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from resnet_lab.config.canonical import plain
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.extending import load_plugins
from resnet_lab.config.migrations import stamp, upgrade
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.config.schema import Config


def to_dict(settings: Any) -> dict[str, Any]:
    """Convert a configuration or section to nested dictionaries of plain Python values, with enums as names."""
    return asdict(settings, dict_factory=lambda pairs: {name: plain(value) for name, value in pairs})


def to_stored(config: Config) -> dict[str, Any]:
    """Convert a configuration to the form that is stored, with the version of the settings."""
    return {**stamp(), **to_dict(config)}


def from_dict(stored: dict[str, Any]) -> Config:
    """Return the configuration that `to_stored` of this or an earlier version wrote; missing settings get defaults.

    Raises ConfigError, naming the setting, if one is unknown, of the wrong type or invalid.
    """
    values = upgrade(stored)
    plugins, augment = values.get("plugins") or [], values.get("augment") or {}
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise ConfigError(f"plugins cannot be {plugins!r:.40}")
    if not isinstance(augment, dict):
        raise ConfigError(f"augment cannot be {augment!r:.40}")
    load_plugins(plugins)
    if unknown := sorted(set(augment) - set(AUGMENTATIONS)):
        raise ConfigError(f"augment.{unknown[0]}: there is no such augmentation")
    kinds = {name: AUGMENTATIONS.info(name).settings for name in AUGMENTATIONS}
    entries = {name: section(kind, augment.get(name, {}), f"augment.{name}.") for name, kind in kinds.items()}
    return section(Config, {**values, "augment": entries}, "")


def section(kind: Any, values: Any, prefix: str) -> Any:
    """Return the section of type `kind` with these stored values; `prefix` is its dotted name. Raises ConfigError."""
    if not isinstance(values, dict):
        raise ConfigError(f"{prefix.rstrip('.')}: expected settings, got {values!r:.40}")
    types, needed = _fields(kind)
    if unknown := [name for name in values if name not in types]:
        raise ConfigError(f"there is no setting {prefix}{unknown[0]} in this version of resnet_lab")
    if missing := [name for name in needed if name not in values]:
        raise ConfigError(f"{prefix}{missing[0]} is missing")
    return kind(**{name: _value(types[name], value, prefix + name) for name, value in values.items()})


@cache
def _fields(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the types of a section's settings, and the names of those without a default."""
    own = fields(kind)
    return {item.name: item.type for item in own}, [i.name for i in own if i.default is i.default_factory is MISSING]


def _value(kind: Any, value: Any, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or origin is dict:
        return value
    if origin in (Union, UnionType):  # all unions are with None
        return None if value is None else _value(arguments[0], value, name)
    if is_dataclass(kind):
        return section(kind, value, f"{name}.")
    if origin is list and isinstance(value, list):
        return [_value(arguments[0], entry, name) for entry in value]
    if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(value, str) and value in kind.__members__:
        return kind[value]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} cannot be {value!r:.40}")
    return value
