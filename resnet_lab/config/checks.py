"""What checks of settings share."""

import math


class ConfigError(ValueError):
    """A setting is wrong. The message names it, says what is wrong and what would be right."""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def require_at_least(minimum: float, **settings: float | None) -> None:
    """Each keyword is a setting, with `__` for the dot; None and NaN-free values pass."""
    for name, value in settings.items():
        name = name.replace("__", ".")
        require(
            value is None or (math.isfinite(value) and value >= minimum),
            f"{name} must be at least {minimum}, got {value}",
        )


def require_probability(**settings: float) -> None:
    """Each keyword is a setting, with `__` for the dot; it must be in [0, 1)."""
    for name, value in settings.items():
        require(0 <= value < 1, f"{name.replace('__', '.')} must be in [0, 1), got {value}")


def require_counts(name: str, values: list[int], lengths: str, allowed: set[int]) -> None:
    """A list must have one of the allowed lengths, and positive whole numbers in it."""
    require(len(values) in allowed, f"{name} must have {lengths}, got {len(values)}: {values}")
    whole = all(isinstance(value, int) and value >= 1 for value in values)
    require(whole, f"{name} must be positive whole numbers, got {values}")
