"""Settings of the architecture that vary together, as the option of a config group that sets them: `stem=deep`."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from resnet_lab.config.groups import CONFIG_DIR, options, registered
from resnet_lab.report.values import Fields

GROUPS = (
    "stem",
    "head",
    "attention",
    "bridges",
    "cardinality",
    "stochastic_depth",
    "lineage",
)  # options set several settings


def fold(
    runs: Mapping[Path, Fields], read: Mapping[Path, AbstractSet[str]], axes: Sequence[str], defaults: Fields
) -> tuple[list[str], dict[Path, Fields]]:
    """Return the axes with groups in place of the settings that their options set, and each run's options.

    A group stands for at least two axes, and only if every run has the settings of one of its options, as far as the
    run has `read` them.
    """
    found, chosen = [*axes], {path: Fields() for path in runs}
    for group in GROUPS:
        known = _options(group)
        names = {name for own in known.values() for name in own}
        if len(names.intersection(found)) < 2:
            continue
        own = {path: _option(fields, known, names & read[path], defaults) for path, fields in runs.items()}
        if None in own.values():
            continue
        found = [*dict.fromkeys(group if name in names else name for name in found)]
        for path, option in own.items():
            chosen[path][group] = option
    return found, chosen


def _option(fields: Fields, known: Mapping[str, Fields], names: AbstractSet[str], defaults: Fields) -> str | None:
    """Return the option that has the run's values of some settings."""
    fits = (option for option, own in known.items() if all(fields.get(n) == (defaults | own)[n] for n in names))
    return next(fits, None)


@cache
def _options(group: str) -> dict[str, Fields]:
    """Return the settings of each option by dotted name, without `model`."""
    return {option: _flat(_settings(group, option)) for option in options(group)}


def _settings(group: str, option: str) -> dict[str, Any]:
    file = CONFIG_DIR / group / f"{option}.yaml"
    if not file.is_file():
        return registered(group)[option]
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())
    return loaded


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Fields:
    found: Fields = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = tuple(value) if isinstance(value, list) else value
    return found
