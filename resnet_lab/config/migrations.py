"""Settings that changed between versions: one table, by which runs of earlier versions are read."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from resnet_lab.config.checks import TRUTHS, ConfigError
from resnet_lab.text import visible
from resnet_lab.version import __version__

VERSION = 6  # of the settings, stored with each run; 1 is that of resnet_lab 0.1, which stored none

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Migration:
    """A setting that changed in `version`.

    With `old` alone, the setting was removed; with both, renamed. With `new` alone, the setting is new and its default
    changes what a run does: earlier runs get the value that corresponds to their behaviour. `convert`, if given, maps
    the old value, or None if there is no `old`, to the new one.
    """

    version: int
    old: str | None
    new: str | None
    convert: Callable[[Any], Any] | None = None


def _truth(value: Any) -> bool:
    """Read a value as OmegaConf reads true or false. Raises ValueError if it is neither."""
    if str(value).lower() not in TRUTHS:
        raise ValueError(f"must be true or false, got {visible(str(value))}")
    return TRUTHS[str(value).lower()]


def _probability(flip: Any) -> float:
    return 0.5 if _truth(flip) else 0.0


def _norm(batch_norm: Any) -> str:
    return "batch" if _truth(batch_norm) else "none"


def _bridges(stack_shortcut: Any) -> str:
    return "stack" if _truth(stack_shortcut) else "unit"


def _decayed(decay_all: Any) -> str:
    return "all" if _truth(decay_all) else "weights"


MIGRATIONS = (
    Migration(2, "data.pad", "augment.crop.pad"),
    Migration(2, "data.flip", "augment.flip.p", _probability),
    Migration(2, "model.head.classifier", None),  # only classifiers could be trained
    # Own images: before version 3, transparency was dropped, 16-bit values were divided by 257, and only
    # train/<class>/* and test/<class>/* were read.
    Migration(3, None, "data.background", lambda _: None),
    Migration(3, None, "data.range", lambda _: [0.0, 65535.0]),
    Migration(3, None, "data.layout", lambda _: "train_test"),
    Migration(3, None, "data.subfolders", lambda _: False),
    # The name of a schedule remains a short form on the command line: optim.schedule=cosine.
    Migration(4, "optim.schedule", "optim.schedule.kind"),
    Migration(4, "optim.decay_schedule", "optim.decay_schedule.kind"),
    Migration(4, "optim.milestones", "optim.schedule.milestones"),
    Migration(4, "optim.lr_factors", "optim.schedule.factors"),
    Migration(4, "optim.decay_all", "optim.decayed", _decayed),
    Migration(5, "model.batch_norm", "model.norm", _norm),
    Migration(6, "model.stack_shortcut", "model.bridges", _bridges),
    Migration(6, "stack_shortcut", "bridges", _bridges),  # the group, on the command line
)


def stamp() -> dict[str, Any]:
    """Return the version entries stored with settings, for later versions to read."""
    return {"settings_version": VERSION, "written_by": __version__}


def upgrade(stored: dict[str, Any]) -> dict[str, Any]:
    """Convert stored settings to this version, without the version entries. Raises ConfigError if they are newer."""
    version, writer = stored.get("settings_version", 1), stored.get("written_by", "a newer version")
    if not isinstance(version, int) or version > VERSION:
        raise ConfigError(f"this was written by resnet_lab {writer}, which is newer than this one: update resnet_lab")
    settings = {name: value for name, value in stored.items() if name not in ("settings_version", "written_by")}
    values = settings if version == VERSION else copy.deepcopy(settings)
    for line in MIGRATIONS:
        if version < line.version:
            value = None if line.old is None else _pop(values, line.old)
            if line.new is not None and value is not _MISSING:
                _put(values, line.new, _converted(line, value))
    return values


def _converted(line: Migration, value: Any) -> Any:
    """Return the new value of a stored setting. Raises ConfigError if the old one is damaged."""
    try:
        return line.convert(value) if line.convert else value
    except ValueError as error:
        raise ConfigError(f"{line.old} {error}") from error


def rename_settings(overrides: Sequence[str]) -> list[str]:
    """Return command-line overrides with the current names of renamed settings."""
    return [_renamed(override) for override in overrides]


def _renamed(override: str) -> str:
    name, equals, value = override.lstrip("+").partition("=")
    for line in MIGRATIONS:
        if equals and line.new is not None and name == line.old:
            if line.convert is None:
                return f"{line.new}={value}"
            if "(" in value:
                raise ConfigError(f"{override}: {line.old} is now {line.new}; set that instead")
            try:
                return f"{line.new}={','.join(str(line.convert(part.strip())) for part in value.split(','))}"
            except ValueError as error:
                raise ConfigError(f"{line.old} {error}; it is now {line.new}") from error
    return override


def _pop(values: dict[str, Any], name: str) -> Any:
    *path, last = name.split(".")
    for key in path:
        values = values.get(key, {})
        if not isinstance(values, dict):
            return _MISSING
    return values.pop(last, _MISSING)


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for key in path:
        values = values.setdefault(key, {})
    values[last] = value
