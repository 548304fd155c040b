"""Axes: the settings of runs by dotted name, and which of them define the groups of a comparison."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from resnet_lab.config.canonical import architecture, plain
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.fields import section_settings
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.pretrained import PretrainedConfig
from resnet_lab.report.values import Fields, differing, key_of
from resnet_lab.rundir.stored_runs import StoredRun

SPLITS = ("data.split_seed", "data.test_split_seed")  # blocks, unless they are axes

GROUP_NAMES = {"bottleneck": "reduction", "stacks": "num_stacks"}  # Hydra groups named differently from the field


def axes(model: ModelConfig) -> Fields:
    """Return the model's settings by dotted name; a list that a single entry can express becomes that entry.

    A setting that has no effect in combination with the others counts as its default.
    """
    fields: Fields = DEFAULTS | hashable(architecture(model))
    for name, factor in (("units", 1), ("reduction", 1), ("filters", model.bridges.growth)):
        first, *_ = values = fields[name]
        if all(value == first * factor**i for i, value in enumerate(values)):
            fields[name] = first
    return fields


def fields_of(run: StoredRun) -> Fields:
    """Return all settings in use: those of the model without their section, as the axes that they are by default."""
    settings = hashable({name: own for name, own in run.settings.items() if not name.startswith("model.")})
    others = {name: own for name, own in settings.items() if name not in ("seed", *FROM_RANDOM)}
    start = FROM_RANDOM | {name: own for name, own in settings.items() if name in FROM_RANDOM}
    return axes(run.config.model) | start | others


def within_names(runs: Iterable[StoredRun], fields: Mapping[Any, Fields]) -> list[str]:
    """Return the settings that vary among runs of one name, splits of the data apart."""
    by_name: defaultdict[str, list[Fields]] = defaultdict(list)
    for run in runs:
        by_name[run.config.name].append(fields[run.path])
    return [*dict.fromkeys(name for own in by_name.values() for name in differing(own) if name not in SPLITS)]


def known_by_name(run: StoredRun, fields: Fields, chosen: Sequence[str]) -> Fields:
    """Return the fields of a run that is known by its name: those that were chosen, and splits of the data."""
    return {"name": run.config.name} | {name: own for name, own in fields.items() if name in (*chosen, *SPLITS)}


def is_architecture(name: str) -> bool:
    """Return whether a setting is an axis by default: one of the model, or of the weights it starts from."""
    return name in DEFAULTS or name in FROM_RANDOM


def asked_for(by: Sequence[str], fields: Iterable[Fields]) -> list[str] | None:
    """Return the axes that `--by` names, of all settings of the runs; None if it names none.

    Raises ConfigError for a setting that no run has.
    """
    if not by:
        return None
    fields = list(fields)
    known = list(dict.fromkeys(name for own in fields for name in own))
    names = [GROUP_NAMES.get(name, name) for name in (name.removeprefix("model.") for name in by)]
    if names == ["all"]:
        return [name for name in differing(fields) if name not in SPLITS] or None
    for name in names:
        if name == "seed":
            raise ConfigError("--by seed: seeds are repetitions of a group, not an axis; choose another setting")
        if not any(field == name or field.startswith(f"{name}.") for field in known):
            which = f"settings that vary: {', '.join(differing(fields)) or 'none'}"
            raise ConfigError(f"--by {name}: no such setting in these runs; {which}")
    return [field for name in names for field in known if field == name or field.startswith(f"{name}.")]


def is_unread(run: StoredRun, name: str) -> bool:
    """Return whether an axis of the model has no effect in combination with the run's other settings."""
    return name in DEFAULTS and f"model.{name}" not in run.settings


def varies_within(name: str, groups: Mapping[Any, Fields], fields: Mapping[Any, Fields]) -> bool:
    """Return whether an axis has several values in one group; `groups` are the fields that define a run's group."""
    parts = {(key_of(own), key_of(fields[path].get(name))) for path, own in groups.items()}
    return len(parts) > len({key_of(own) for own in groups.values()})


def follows(name: str, runs: Iterable[StoredRun], fields: Mapping[Any, Fields]) -> bool:
    """Return whether an axis has one value wherever it is read, so that it follows from the others."""
    return len({key_of(fields[run.path].get(name)) for run in runs if not is_unread(run, name)}) == 1


def hashable(settings: Mapping[str, Any]) -> Fields:
    """Return settings with tuples instead of lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


FROM_RANDOM = hashable(
    {f"pretrained.{item.name}": plain(item.value) for item in section_settings(PretrainedConfig()) if item.identity}
)
DEFAULTS = hashable(
    {item.name: plain(item.value) for item in section_settings(ModelConfig(in_channels=1, num_classes=1))}
)
