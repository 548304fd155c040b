"""Sort runs into comparisons, which may be compared, and these into groups: by default one architecture each.

Any setting can be an axis, if it is asked for; settings that are no axis must be equal within a comparison. Splits of
the data need not be: they are blocks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resnet_lab.config.tasks import Scoring
from resnet_lab.report import options
from resnet_lab.report.axes import (
    DEFAULTS,
    SPLITS,
    asked_for,
    fields_of,
    follows,
    hashable,
    is_architecture,
    is_unread,
    known_by_name,
    varies_within,
    within_names,
)
from resnet_lab.report.values import Fields, differing, key_of, label, order
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import first_few, plural, visible

# Sections and settings that must be equal for runs to be compared, unless they are axes.
COMPARABLE = ("task", "data", "optim", "augment", "trainer.max_batches", "trainer.patience")
RUN_AS = {"trainer.max_epochs": "epochs", "trainer.precision": "precision"}  # settings, by what a run made of them

DATA = {"data.name", "data.root", "data.fingerprint"}  # axes whose images differ


@dataclass(slots=True)
class Group:
    """Runs of one architecture, or with `--by` of several.

    The key of a run names its seed, its split of the data if this varies and does not follow the seed, and with `--by`
    the axes that do not define the groups. Its block is the same without the seed, and with the split in any case.
    """

    label: str
    fields: Fields  # the axes in which the groups of the comparison differ
    runs: dict[str, StoredRun] = field(default_factory=dict)  # by key
    blocks: dict[str, str] = field(default_factory=dict)  # by key
    missing: list[str] = field(default_factory=list)  # keys of runs that only other groups of the comparison have


@dataclass(slots=True)
class Comparison:
    """Groups that may be compared: they have the same task, data, epochs, recipe and precision, axes apart."""

    title: str
    axes: list[str]
    groups: list[Group]
    notes: list[str]
    scoring: Scoring  # of the task
    dims: int  # of the data: 1 series, 2 images
    grouping: str = ""  # a sentence on the groups, if they follow from what started the runs


def compare(runs: Iterable[StoredRun], by: Sequence[str] = ()) -> list[Comparison]:
    """Sort finished runs into comparisons, and these into groups: by architecture, or only by the settings `by`.

    `all` stands for every setting that varies between the runs, splits of the data apart. `name` stands for the name of
    a run, such as that of its experiment, and for the settings that vary among runs of one name.

    Runs that start from trained weights are grouped by these as well. Raises ConfigError for an unknown setting.
    """
    runs = list(runs)
    fields = {run.path: fields_of(run) for run in runs}
    chosen: list[str] | None
    if [*by] == ["name"]:
        free, chosen = asked_for(["all"], fields.values()), ["name", *within_names(runs, fields)]
        fields = {run.path: known_by_name(run, fields[run.path], chosen) for run in runs}
    else:
        free = chosen = asked_for(by, fields.values())
    buckets = _comparable(runs, free or [])
    told_apart = differing([shared for shared, _ in buckets])
    found = [_comparison(_title(shared, told_apart, bucket[0]), bucket, fields, chosen) for shared, bucket in buckets]
    apart = ["trainer.max_epochs" if name == "epochs" else name for name in told_apart]
    if apart and all("." in name and name not in DATA for name in apart):
        chosen_by = " ".join([*by, *apart] if by else ["all"])
        found[0].notes.append(f"--by {chosen_by} makes {first_few(apart)} an axis of one comparison")
    return found


def settings(run: StoredRun, chosen: Iterable[str] = ()) -> Fields:
    """Return the settings that must be equal for two runs to be compared by the `chosen` ones."""
    ours = run.settings
    shared = {name: ours[name] for name in ours if not {name, name.partition(".")[0]}.isdisjoint(COMPARABLE)}
    trainer = run.config.trainer
    epochs = trainer.max_epochs if trainer.patience else run.result["epochs"]
    shared = {**hashable(shared), "epochs": epochs, "precision": run.result["precision"]}
    free = {*chosen, *(RUN_AS[name] for name in chosen if name in RUN_AS)}
    return {name: value for name, value in shared.items() if name not in free}


def _comparable(runs: list[StoredRun], chosen: Sequence[str]) -> list[tuple[Fields, list[StoredRun]]]:
    """Sort runs by settings, and by their images if these differ within a split."""
    buckets: defaultdict[str, list[tuple[StoredRun, Fields]]] = defaultdict(list)
    for run in runs:
        shared = {name: value for name, value in settings(run, chosen).items() if name not in SPLITS}
        buckets[key_of(shared)].append((run, shared))
    parted: dict[str, tuple[Fields, list[StoredRun]]] = {}
    for bucket in buckets.values():
        known: defaultdict[int | None, set[str | None]] = defaultdict(set)
        for run, _ in bucket:
            known[run.config.data.test_split_seed].add(_fingerprint(run))
        several = any(len(prints - {None}) > 1 for prints in known.values()) and not DATA.intersection(chosen)
        for run, own in bucket:
            shared = own | {"images": _fingerprint(run)} if several else own
            parted.setdefault(key_of(shared), (shared, []))[1].append(run)
    return list(parted.values())


def _fingerprint(run: StoredRun) -> str | None:
    """Return the fingerprint of the images that a run used; None if it was not recorded, as by version 0.1."""
    fingerprint: str | None = run.result["images"].get("fingerprint")
    return fingerprint


def _title(shared: Fields, told_apart: list[str], run: StoredRun) -> str:
    """Name the data, the epochs, and the settings that distinguish this comparison from the others."""
    data = run.config.data
    where = f" {data.folder.name}" if data.own_images else ""
    epochs = plural(shared["epochs"], "epoch") if "epochs" in shared else ""
    others = {name: shared.get(name) for name in told_apart if name not in ("data.name", "epochs")}
    return visible(", ".join(filter(None, [f"{data.name}{where}", epochs, label(others)])))


def _comparison(
    title: str, runs: list[StoredRun], fields: Mapping[Any, Fields], chosen: list[str] | None
) -> Comparison:
    varying = differing([fields[run.path] for run in runs])
    by_default = [name for name in varying if is_architecture(name)]
    axes = by_default if chosen is None else [name for name in chosen if name in varying] or chosen
    rest = [name for name in by_default if name not in axes]
    splits = [name for name in SPLITS if name in varying and name not in axes]
    read = {run.path: {name.removeprefix("model.") for name in run.settings} for run in runs}
    axes, chosen_options = options.fold({run.path: fields[run.path] for run in runs}, read, axes, DEFAULTS)
    if chosen is None:
        folded = next(iter(chosen_options.values()))
        axes = [name for name in axes if name in folded or not follows(name, runs, fields)] or axes
    values = {run.path: {name: fields[run.path].get(name) for name in axes} | chosen_options[run.path] for run in runs}
    pooled = [name for name in rest if varies_within(name, values, fields)]
    groups, notes = _groups(runs, fields, values, pooled, splits)
    if pooled:
        together = f"each group pools architectures that differ in {', '.join(pooled)}"
        notes.append(f"{together}: n counts runs, and the results hold for these architectures only")
    if tied := [name for name in rest if name not in pooled]:
        notes.append(f"each group has its own {', '.join(tied)}, to which differences may be due as well")
    groups.sort(key=lambda group: [order(value, name) for name, value in group.fields.items()])
    result = runs[0].result
    scoring, dims = Scoring.of(result), result["data"].get("dims", 2)
    return Comparison(title, axes, groups, [*map(visible, notes)], scoring, dims)


def _groups(
    runs: Sequence[StoredRun],
    fields: Mapping[Any, Fields],
    values: Mapping[Any, Fields],
    pooled: Sequence[str],
    splits: Sequence[str],
) -> tuple[list[Group], list[str]]:
    """Return the groups that `values` define, with the axes `pooled` within and with `splits`; and what is left out."""
    named = [name for name in splits if any(fields[run.path].get(name) != run.result["seed"] for run in runs)]
    groups: dict[str, Group] = {}
    rests: dict[str, str] = {}
    notes: list[str] = []
    for run in runs:
        own = fields[run.path]
        shown = {name: value for name, value in values[run.path].items() if not is_unread(run, name)}
        new = Group(label(shown) or visible(run.result["name"]), values[run.path])
        group = groups.setdefault(key_of(new.fields), new)
        besides = label({name: own.get(name) for name in [*named, *pooled]})
        key = " ".join(filter(None, [f"seed={run.result['seed']}", besides]))
        rests[key] = besides
        if key in group.runs:
            notes.append(f"{run.path} repeats {group.runs[key].path} (same settings and seed) and is left out")
        else:
            group.runs[key] = run
            group.blocks[key] = label({name: own.get(name) for name in [*splits, *pooled]})
    # A seed is missing only if the group has another run with the same other axes; without any, they may be invalid.
    for group in groups.values():
        own_rests = {rests[key] for key in group.runs}
        group.missing = [key for key, rest in rests.items() if rest in own_rests and key not in group.runs]
    return [*groups.values()], notes
