"""Helpers to validate settings."""

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from resnet_lab.text import printable

LONGEST_LIST = 100  # entries of a setting
# The words for true and false, in lower case.
TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "0"), False),
}
LONGEST_TEXT = 4096  # characters of a setting, as many as a path can have on Linux


class ConfigError(ValueError):
    """A setting is invalid. The message names the setting, the problem and the valid values."""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def require_folder(path: Path) -> None:
    """Raise ConfigError if there is no folder at `path`."""
    require(path.is_dir(), f"{printable(str(path))} is not a folder")


def require_bounded(section: Any, prefix: str) -> None:
    """Raise ConfigError if a setting of `section` is a list or a text that is too long, or contains a NUL character."""
    for item in fields(section):
        value, name = getattr(section, item.name), f"{prefix}{item.name}"
        entries = value if isinstance(value, list) else [value]
        require(len(entries) <= LONGEST_LIST, f"{name} must have at most {LONGEST_LIST} entries, got {len(entries)}")
        for text in entries:
            if isinstance(text, str):
                require(
                    len(text) <= LONGEST_TEXT, f"{name} must have at most {LONGEST_TEXT} characters, got {len(text)}"
                )
                require("\0" not in text, f"{name} must not contain a NUL character, got {text!r}")


def require_within(section: Any, prefix: str, **bounds: tuple[float, float]) -> None:
    """Raise ConfigError if a setting of `section`, or an entry of its list, is not within its bounds. None passes.

    The upper bounds are far above what is useful: they keep a typing error from exhausting the machine.
    """
    for name, (least, most) in bounds.items():
        value = getattr(section, name)
        for number in value if isinstance(value, list) else [value]:
            if number is None or least <= number <= most:
                continue
            bound = f"at most {most}" if number > most else f"at least {least}"
            if number != number:
                bound = f"a number from {least} to {most}"
            raise ConfigError(f"{prefix}.{name} must be {bound}, got {value}")


def require_probability(section: Any, prefix: str, *names: str) -> None:
    """Raise ConfigError if a setting of `section` is outside [0, 1)."""
    for name in names:
        value = getattr(section, name)
        require(0 <= value < 1, f"{prefix}.{name} must be in [0, 1), got {value}")


def require_packages(extra: str, what: str, *packages: str) -> None:
    """Raise ConfigError, saying how to install them, if packages of an extra of pyproject.toml are missing."""
    missing = [package for package in packages if find_spec(package) is None]
    require(not missing, f"{what} needs {', '.join(missing)}: pip install 'resnet-lab[{extra}]'")
