"""Helpers to validate settings."""

import math


class ConfigError(ValueError):
    """A setting is invalid. The message names the setting, the problem and the valid values."""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def require_at_least(minimum: float, **settings: float | None) -> None:
    """Raise ConfigError if a setting is below `minimum` or not finite. None passes; `__` in a keyword means a dot."""
    for name, value in settings.items():
        name = name.replace("__", ".")
        require(
            value is None or (math.isfinite(value) and value >= minimum),
            f"{name} must be at least {minimum}, got {value}",
        )


def require_probability(**settings: float) -> None:
    """Raise ConfigError if a setting is outside [0, 1). `__` in a keyword means a dot."""
    for name, value in settings.items():
        require(0 <= value < 1, f"{name.replace('__', '.')} must be in [0, 1), got {value}")


def require_counts(name: str, values: list[int], lengths: str, allowed: set[int]) -> None:
    """Raise ConfigError unless `values` has an allowed length and holds only positive integers."""
    require(len(values) in allowed, f"{name} must have {lengths}, got {len(values)}: {values}")
    whole = all(type(value) is int and value >= 1 for value in values)
    require(whole, f"{name} must be positive whole numbers, got {values}")
