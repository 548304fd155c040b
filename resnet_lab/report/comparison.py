"""Which runs belong together: groups of one architecture over seeds, in comparisons of what is comparable."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resnet_lab.config.canonical import architecture, canonical, plain
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.fields import section_settings
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.tasks import Scoring
from resnet_lab.rundir.reading import StoredRun
from resnet_lab.text import plural

Value = Any  # a number, a word, None, or a tuple of them
Fields = dict[str, Value]  # by dotted name

# Sections and settings in which runs must agree to be compared.
COMPARABLE = ("task", "data", "optim", "augment", "trainer.max_batches")

GROUP_NAMES = {"bottleneck": "reduction", "stacks": "num_stacks"}  # of Hydra's groups that are not called as the field


@dataclass(slots=True)
class Group:
    """Runs of one architecture, by what two groups are paired by: the seed, and with `--by` the other axes."""

    label: str
    fields: Fields  # the axes by which the groups of its comparison differ
    runs: dict[str, StoredRun] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # what other groups of the comparison have, and this one has not


@dataclass(slots=True)
class Comparison:
    """Groups that may be compared: the same task, data, epochs, recipe and precision."""

    title: str
    axes: list[str]
    groups: list[Group]
    notes: list[str]
    one_architecture: bool  # in each group; not so where `--by` takes several together
    scoring: Scoring  # of its task


def compare(runs: Iterable[StoredRun], by: Sequence[str] = ()) -> list[Comparison]:
    """Sort finished runs into comparisons, and those into groups: by architecture, or by the model fields `by` alone.

    Raises ConfigError for a field that there is not.
    """
    runs = list(runs)
    architectures = {run.path: axes(run.config.model) for run in runs}
    chosen = _chosen(by, architectures.values())
    buckets = _comparable(runs)
    told_apart = _differing([settings for settings, _ in buckets])
    return [_comparison(_title(settings, told_apart), bucket, architectures, chosen) for settings, bucket in buckets]


def axes(model: ModelConfig) -> Fields:
    """The model's settings by dotted name; an entry that serves all stacks stands for a list that says the same.

    A setting that nothing reads with the others counts as its default.
    """
    fields: Fields = DEFAULTS | _hashable(architecture(model))
    for name, factor in (("units", 1), ("reduction", 1), ("filters", 2)):
        first, *_ = values = fields[name]
        if all(value == first * factor**i for i, value in enumerate(values)):
            fields[name] = first
    return fields


def label(fields: Fields) -> str:
    """Fields as a person reads them: `shortcut=none units=3`."""
    return " ".join(f"{name}={text(value)}" for name, value in fields.items())


def text(value: Value) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def order(value: Value) -> tuple[Any, ...]:
    """A sort key for values of mixed kinds: numbers by size, before words."""
    if isinstance(value, int | float):
        return (0, value)
    return (1, *(order(v) for v in value)) if isinstance(value, tuple) else (2, text(value))


def settings(run: StoredRun) -> Fields:
    """What must be equal for two runs to be compared."""
    ours = canonical(run.config)
    shared = {name: ours[name] for name in ours if not {name, name.partition(".")[0]}.isdisjoint(COMPARABLE)}
    return {**_hashable(shared), "epochs": run.result["epochs"], "precision": run.result["precision"]}


def _comparable(runs: list[StoredRun]) -> list[tuple[Fields, list[StoredRun]]]:
    """Runs by their settings. A split that follows the seed (`data.split_seed=${seed}`) counts as one setting."""
    buckets: defaultdict[str, list[StoredRun]] = defaultdict(list)
    for run in runs:
        buckets[_key(settings(run) | {"data.split_seed": None})].append(run)
    parted: dict[str, tuple[Fields, list[StoredRun]]] = {}
    for bucket in buckets.values():
        pairs = {(run.config.data.split_seed, run.result["seed"]) for run in bucket}
        follows = len(pairs) > 1 and all(split == seed for split, seed in pairs)
        for run in bucket:
            shared = settings(run) | ({"data.split_seed": "seed"} if follows else {})
            parted.setdefault(_key(shared), (shared, []))[1].append(run)
    return list(parted.values())


def _title(shared: Fields, told_apart: list[str]) -> str:
    """The data and the epochs, and whatever tells this comparison from the others."""
    epochs = plural(shared["epochs"], "epoch")
    others = {name: shared.get(name) for name in told_apart if name not in ("data.name", "epochs")}
    return ", ".join(filter(None, [text(shared.get("data.name")), epochs, label(others)]))


def _comparison(
    title: str, runs: list[StoredRun], architectures: Mapping[Any, Fields], chosen: list[str] | None
) -> Comparison:
    varying = _differing([architectures[run.path] for run in runs])
    axes = varying if chosen is None else [name for name in chosen if name in varying] or chosen
    others = [name for name in varying if name not in axes]
    groups: dict[str, Group] = {}
    rests: dict[str, str] = {}
    notes: list[str] = []
    for run in runs:
        fields = {name: architectures[run.path].get(name) for name in axes}
        group = groups.setdefault(_key(fields), Group(label(fields) or run.result["name"], fields))
        rest = label({name: architectures[run.path].get(name) for name in others})
        block = " ".join(filter(None, [f"seed={run.result['seed']}", rest]))
        rests[block] = rest
        if block in group.runs:
            notes.append(f"{run.path} repeats {group.runs[block].path} (the same settings and seed): left out")
        else:
            group.runs[block] = run
    if others:
        together = f"each group takes several architectures together, which differ in {', '.join(others)}"
        notes.append(f"{together}: n counts runs, and what is said holds for these architectures")
    _find_missing(groups.values(), rests)
    in_order = sorted(groups.values(), key=lambda group: [order(value) for value in group.fields.values()])
    scoring = Scoring.of(runs[0].result)
    return Comparison(title, axes, in_order, notes + _device_note(runs), not others, scoring)


def _find_missing(groups: Iterable[Group], rests: Mapping[str, str]) -> None:
    """Seeds that others have. An architecture of which a group has no run at all may be one that cannot be."""
    for group in groups:
        own = {rests[block] for block in group.runs}
        group.missing = [block for block, rest in rests.items() if rest in own and block not in group.runs]


def _device_note(runs: list[StoredRun]) -> list[str]:
    devices = sorted({run.result["device"] for run in runs})
    return [f"seconds and memory are of several devices: {', '.join(devices)}"] if len(devices) > 1 else []


def _chosen(by: Sequence[str], architectures: Iterable[Fields]) -> list[str] | None:
    if not by:
        return None
    known = list(dict.fromkeys(name for fields in architectures for name in fields))
    names = [GROUP_NAMES.get(name, name) for name in (name.removeprefix("model.") for name in by)]
    for name in names:
        if not any(field == name or field.startswith(f"{name}.") for field in known):
            raise ConfigError(f"--by {name}: no such model field; there are {', '.join(known)}")
    return [field for name in names for field in known if field == name or field.startswith(f"{name}.")]


def _differing(rows: Sequence[Fields]) -> list[str]:
    """The names whose values are not the same in all rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({_key(row.get(name)) for row in rows}) > 1]


def _hashable(settings: Mapping[str, Any]) -> Fields:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _key(value: Value) -> str:
    return json.dumps(value, sort_keys=True, default=str)


DEFAULTS = _hashable(
    {item.name: plain(item.value) for item in section_settings(ModelConfig(in_channels=1, num_classes=1))}
)
