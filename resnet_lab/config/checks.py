"""Helpers to validate settings."""

from typing import Any


class ConfigError(ValueError):
    """A setting is invalid. The message names the setting, the problem and the valid values."""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def require_within(section: Any, prefix: str, **bounds: tuple[float, float]) -> None:
    """Raise ConfigError if a setting of `section`, or an entry of its list, is not within its bounds. None passes.

    The upper bounds are far above what is useful: they keep a typing error from exhausting the machine.
    """
    for name, (least, most) in bounds.items():
        value = getattr(section, name)
        for number in value if isinstance(value, list) else [value]:
            if number is None or least <= number <= most:
                continue
            bound = f"at most {most}" if number > most else f"at least {least}"  # NaN is not above anything
            raise ConfigError(f"{prefix}.{name} must be {bound}, got {value}")


def require_probability(section: Any, prefix: str, *names: str) -> None:
    """Raise ConfigError if a setting of `section` is outside [0, 1)."""
    for name in names:
        value = getattr(section, name)
        require(0 <= value < 1, f"{prefix}.{name} must be in [0, 1), got {value}")
