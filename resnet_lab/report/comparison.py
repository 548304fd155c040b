"""Sort runs into comparisons, which may be compared, and these into groups: by default one architecture each."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resnet_lab.config.canonical import architecture, canonical, plain
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.fields import section_settings
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.pretrained import PretrainedConfig
from resnet_lab.config.schema import Config
from resnet_lab.config.tasks import Scoring
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import plural, visible

Value = Any  # a number, a string, None, or a tuple of them
Fields = dict[str, Value]  # by dotted name

# Sections and settings that must be equal for runs to be compared.
COMPARABLE = ("task", "data", "optim", "augment", "trainer.max_batches", "trainer.patience")

SPLITS = ("data.split_seed", "data.test_split_seed")

GROUP_NAMES = {"bottleneck": "reduction", "stacks": "num_stacks"}  # Hydra groups named differently from the field


@dataclass(slots=True)
class Group:
    """Runs of one architecture, or with `--by` of several.

    The key of a run is its seed, and with `--by` also the axes that do not define the groups. The paired t-test
    compares runs of two groups that have the same key.
    """

    label: str
    fields: Fields  # the axes in which the groups of the comparison differ
    runs: dict[str, StoredRun] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # keys of runs that only other groups of the comparison have


@dataclass(slots=True)
class Comparison:
    """Groups that may be compared: they have the same task, data, epochs, recipe and precision."""

    title: str
    axes: list[str]
    groups: list[Group]
    notes: list[str]
    one_architecture: bool  # per group; false if `--by` pools several
    scoring: Scoring  # of the task


def compare(runs: Iterable[StoredRun], by: Sequence[str] = ()) -> list[Comparison]:
    """Sort finished runs into comparisons, and these into groups: by architecture, or only by the model fields `by`.

    Runs that start from trained weights are grouped by these as well. Raises ConfigError for an unknown field.
    """
    runs = list(runs)
    architectures = {run.path: axes(run.config.model) | _start(run.config) for run in runs}
    chosen = _chosen(by, architectures.values())
    buckets = _comparable(runs)
    told_apart = differing([shared for shared, _ in buckets])
    return [
        _comparison(_title(shared, told_apart, bucket[0]), bucket, architectures, chosen) for shared, bucket in buckets
    ]


def axes(model: ModelConfig) -> Fields:
    """Return the model's settings by dotted name; a list that a single entry can express becomes that entry.

    A setting that has no effect in combination with the others counts as its default.
    """
    fields: Fields = DEFAULTS | _hashable(architecture(model))
    for name, factor in (("units", 1), ("reduction", 1), ("filters", 2)):
        first, *_ = values = fields[name]
        if all(value == first * factor**i for i, value in enumerate(values)):
            fields[name] = first
    return fields


def _start(config: Config) -> Fields:
    """Return the settings of `pretrained`, which are the defaults for a run that starts from random weights."""
    return FROM_RANDOM | _hashable({name: own for name, own in canonical(config).items() if name in FROM_RANDOM})


def label(fields: Fields) -> str:
    """Format fields for the user: `shortcut=none units=3`."""
    return " ".join(f"{name}={text(value)}" for name, value in fields.items())


def text(value: Value) -> str:
    """Format a value as on the command line, without unprintable characters."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(text, value)) or "none"
    return "none" if value is None else visible(str(value))


def order(value: Value) -> tuple[Any, ...]:
    """Return a sort key for values of mixed types: numbers by size, before strings."""
    if isinstance(value, int | float):
        return (0, value)
    return (1, *(order(v) for v in value)) if isinstance(value, tuple) else (2, text(value))


def differing(rows: Sequence[Fields]) -> list[str]:
    """Return the names whose values differ between rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({_key(row.get(name)) for row in rows}) > 1]


def settings(run: StoredRun) -> Fields:
    """Return the settings that must be equal for two runs to be compared."""
    ours = canonical(run.config)
    shared = {name: ours[name] for name in ours if not {name, name.partition(".")[0]}.isdisjoint(COMPARABLE)}
    trainer = run.config.trainer
    epochs = trainer.max_epochs if trainer.patience else run.result["epochs"]
    return {**_hashable(shared), "epochs": epochs, "precision": run.result["precision"]}


def _comparable(runs: list[StoredRun]) -> list[tuple[Fields, list[StoredRun]]]:
    """Sort runs by settings, and by their images if these differ.

    If a setting in SPLITS follows the seed (`${seed}`), its values count as equal, and so do the images of the parts.
    """
    buckets: defaultdict[str, list[tuple[StoredRun, Fields]]] = defaultdict(list)
    for run in runs:
        own = settings(run)
        buckets[_key(own | dict.fromkeys(SPLITS))].append((run, own))
    parted: dict[str, tuple[Fields, list[StoredRun]]] = {}
    for bucket in buckets.values():
        following = {name: "seed" for name in SPLITS if _follows_seed(bucket, name)}
        known = {_fingerprint(run) for run, _ in bucket} - {None}
        for run, own in bucket:
            shared = own | following
            if len(known) > 1 and "data.test_split_seed" not in following:
                shared["images"] = _fingerprint(run)
            parted.setdefault(_key(shared), (shared, []))[1].append(run)
    return list(parted.values())


def _follows_seed(bucket: list[tuple[StoredRun, Fields]], name: str) -> bool:
    values = {(own.get(name), run.result["seed"]) for run, own in bucket}
    return len(values) > 1 and all(value == seed for value, seed in values)


def _fingerprint(run: StoredRun) -> str | None:
    """Return the fingerprint of the images that a run used; None if it was not recorded, as by version 0.1."""
    fingerprint: str | None = run.result["images"].get("fingerprint")
    return fingerprint


def _title(shared: Fields, told_apart: list[str], run: StoredRun) -> str:
    """Name the data, the epochs, and the settings that distinguish this comparison from the others."""
    data = run.config.data
    where = f" {data.folder.name}" if data.own_images else ""
    epochs = plural(shared["epochs"], "epoch")
    others = {name: shared.get(name) for name in told_apart if name not in ("data.name", "epochs")}
    return visible(", ".join(filter(None, [f"{data.name}{where}", epochs, label(others)])))


def _comparison(
    title: str, runs: list[StoredRun], architectures: Mapping[Any, Fields], chosen: list[str] | None
) -> Comparison:
    varying = differing([architectures[run.path] for run in runs])
    axes = varying if chosen is None else [name for name in chosen if name in varying] or chosen
    others = [name for name in varying if name not in axes]
    groups: dict[str, Group] = {}
    rests: dict[str, str] = {}
    notes: list[str] = []
    for run in runs:
        fields = {name: architectures[run.path].get(name) for name in axes}
        group = groups.setdefault(_key(fields), Group(label(fields) or visible(run.result["name"]), fields))
        rest = label({name: architectures[run.path].get(name) for name in others})
        block = " ".join(filter(None, [f"seed={run.result['seed']}", rest]))
        rests[block] = rest
        if block in group.runs:
            notes.append(f"{run.path} repeats {group.runs[block].path} (same settings and seed) and is left out")
        else:
            group.runs[block] = run
    if others:
        together = f"each group pools architectures that differ in {', '.join(others)}"
        notes.append(f"{together}: n counts runs, and the results hold for these architectures only")
    # A seed is missing only if the group has another run with the same other axes; without any, they may be invalid.
    for group in groups.values():
        own = {rests[block] for block in group.runs}
        group.missing = [block for block, rest in rests.items() if rest in own and block not in group.runs]
    devices = sorted({run.result["device"] for run in runs})
    if len(devices) > 1:
        notes.append(f"seconds and memory were measured on different devices: {', '.join(devices)}")
    in_order = sorted(groups.values(), key=lambda group: [order(value) for value in group.fields.values()])
    return Comparison(title, axes, in_order, [*map(visible, notes)], not others, Scoring.of(runs[0].result))


def _chosen(by: Sequence[str], architectures: Iterable[Fields]) -> list[str] | None:
    if not by:
        return None
    known = list(dict.fromkeys(name for fields in architectures for name in fields))
    names = [GROUP_NAMES.get(name, name) for name in (name.removeprefix("model.") for name in by)]
    for name in names:
        if not any(field == name or field.startswith(f"{name}.") for field in known):
            raise ConfigError(f"--by {name}: no such model field; choose from {', '.join(known)}")
    return [field for name in names for field in known if field == name or field.startswith(f"{name}.")]


def _hashable(settings: Mapping[str, Any]) -> Fields:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _key(value: Value) -> str:
    return json.dumps(value, sort_keys=True, default=str)


FROM_RANDOM = _hashable(
    {f"pretrained.{item.name}": plain(item.value) for item in section_settings(PretrainedConfig()) if item.identity}
)
DEFAULTS = _hashable(
    {item.name: plain(item.value) for item in section_settings(ModelConfig(in_channels=1, num_classes=1))}
)
