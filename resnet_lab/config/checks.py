"""Helpers to validate settings."""

import math
from typing import Any


class ConfigError(ValueError):
    """A setting is invalid. The message names the setting, the problem and the valid values."""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def require_at_least(minimum: float, section: Any, prefix: str, *names: str) -> None:
    """Raise ConfigError if a setting of `section` is below `minimum` or not finite. None passes."""
    for name in names:
        value = getattr(section, name)
        valid = value is None or (math.isfinite(value) and value >= minimum)
        require(valid, f"{prefix}.{name} must be at least {minimum}, got {value}")


def require_probability(section: Any, prefix: str, *names: str) -> None:
    """Raise ConfigError if a setting of `section` is outside [0, 1)."""
    for name in names:
        value = getattr(section, name)
        require(0 <= value < 1, f"{prefix}.{name} must be in [0, 1), got {value}")
