"""The path of a run's directory, named after the settings that differ from a base; version 0.1 had other names."""

import hashlib
import json
import os
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from resnet_lab.config.canonical import all_settings, canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.config.schema import Config
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import identity, unequal, without_fingerprint

MAX_NAME = 120  # bytes; file systems allow 255 bytes for a name

# Settings that no name includes: the seed has its own folder, the others follow from the data.
UNNAMED = {"seed", "model.in_channels", "model.num_classes"}

# Settings that may change with the images of a folder: these in value, and those of the split in whether they are used.
OF_IMAGES = {"data.fingerprint", "data.num_classes", "model.in_channels", "model.num_classes"}
OF_SPLIT = {"data.validation", "data.split_seed", "data.test", "data.test_split_seed"}

# Settings named after their config group, and values named after the options of that group.
SHORT_NAMES = {
    "model.num_stacks": "stacks",
    "model.reduction": "bottleneck",
    "optim.name": "optim",
    "optim.schedule.kind": "schedule",
    "optim.decay_schedule.kind": "decay_schedule",
    "data.name": "data",
    "pretrained.digest": "pretrained",
}
PER_STACK = ("model.units", "model.filters", "model.reduction")
STACKS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
REDUCTIONS = {1: "none", 2: "half", 4: "quarter", 8: "eighth", 16: "sixteenth"}


def run_directory(config: Config) -> RunDirectory:
    """Return the directory of a run.

    An existing directory of the run is used even if its name would be different today: version 0.1 named it after the
    overrides, or the user's images were in another folder when the run began, or have changed since.
    """
    from resnet_lab.config.compose import base_of  # here, so that code that only reads runs needs no Hydra

    base = base_of(config)
    directory = RunDirectory(run_path(config, base))
    if os.path.exists(directory.config_file):  # False for an invalid path, which is reported later
        return directory
    if config.data.fingerprint and (elsewhere := _under_another_name(config, base, directory)):
        return elsewhere
    folder = directory.path.parents[1]
    of_0_1 = _runs_of_0_1(folder.resolve())
    old = of_0_1.get(identity(config)) or of_0_1.get(identity(without_fingerprint(config)))
    return RunDirectory(folder / old) if old else directory


def _under_another_name(config: Config, base: Config, expected: RunDirectory) -> RunDirectory | None:
    """Find the run on the same images under another folder name; failing that, the run on this folder's old images."""
    folder, name, seed = expected.path.parents[1], expected.path.parent.name, expected.path.name
    data, changed = config.data, None
    name_without_root = directory_name(replace(config, data=replace(data, root=base.data.root)), base)
    digits = f"_{data.fingerprint:.6}"
    changed_names = _names_of_changed(name, data.folder.resolve().name)
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        is_moved = entry == name_without_root or (entry.endswith(digits) and f"root-{data.folder.name}_" not in entry)
        is_changed = changed_names.fullmatch(entry) is not None
        candidate = RunDirectory(folder / entry / seed)
        if not (is_moved or is_changed) or not candidate.config_file.exists():
            continue
        try:
            stored = candidate.stored_config()
        except ConfigError:
            continue  # a damaged run: the report lists it
        if identity(stored) == identity(config):
            return candidate
        if is_changed and _other_images_alone(stored, config):
            changed = candidate
    return changed


def _other_images_alone(there: Config, now: Config) -> bool:
    """Return whether two runs on one folder differ in nothing but what follows from its images.

    The name does not say: it ends with a hash if there are many settings.
    """
    one, other = canonical(there), canonical(now)
    may_differ = OF_IMAGES | (OF_SPLIT & (one.keys() ^ other.keys()))
    return there.data.folder.resolve() == now.data.folder.resolve() and unequal(one, other) <= may_differ


def _names_of_changed(name: str, folder: str) -> re.Pattern[str]:
    """Return a pattern of the names that a directory can have if the images had another folder or contents."""
    # Placeholders that no name contains: * for a hexadecimal digit, % for the folder's name.
    other = re.sub(r"_[0-9a-f]{8}(_[0-9a-f]{6})$", r"_********\1", name)  # hash of a long name
    other = re.sub(r"_[0-9a-f]{6}$", "_******", other).replace(f"root-{_clean(folder)}", "root-%")
    return re.compile(re.escape(other).replace(r"\*", "[0-9a-f]").replace("%", ".+"))


@cache
def _runs_of_0_1(folder: Path) -> dict[str, Path]:
    """Map identities to the runs of version 0.1 in `folder`; of repeated runs, keep the one that got furthest."""
    found: defaultdict[str, list[RunDirectory]] = defaultdict(list)
    if not os.path.isdir(folder):  # False for a name that is too long for the file system
        return {}
    for file in sorted([*folder.glob("*=*/seed-*/config.yaml"), *folder.glob("default/seed-*/config.yaml")]):
        directory = RunDirectory(file.parent)
        with suppress(ConfigError):  # skip a damaged run; the report lists it
            found[identity(directory.stored_config())].append(directory)
    return {key: max(repeated, key=_progress).path.relative_to(folder) for key, repeated in found.items()}


def _progress(directory: RunDirectory) -> tuple[bool, bool]:
    return bool(directory.result()), directory.last.exists()


def run_path(config: Config, base: Config) -> Path:
    """Return `output_dir/name/<what differs from the base>/seed-<n>`."""
    return Path(config.output_dir).expanduser() / config.name / directory_name(config, base) / f"seed-{config.seed}"


def directory_name(config: Config, base: Config) -> str:
    """Return the units and the settings that differ from the base, as in `units-n3_filters-w16`.

    Units are always included, since most sweeps vary them. Settings keep the order of the schema: architecture, then
    recipe. A name that would be too long ends with a hash of all differences. If the name includes an image folder, it
    ends with six digits of the fingerprint, since several folders can have the same name.
    """
    ours, theirs = canonical(without_fingerprint(config)), all_settings(base)
    differing = {
        name: value
        for name, value in ours.items()
        if name == "model.units"
        or (name not in UNNAMED and not (name in theirs and _looks_the_same(name, value, theirs[name])))
    }
    for name in AUGMENTATIONS:
        if base.augment[name].active and not config.augment[name].active:
            differing[f"augment.{name}"] = "off"
    crop = config.augment["crop"]
    if crop.active and crop.padding is not base.augment["crop"].padding:  # canonical settings leave out zero
        differing["augment.crop.padding"] = crop.padding.name
    # With data.split_seed=${seed}, the word "seed" in place of the number lets all seeds share a folder, except the one
    # that equals the base's split seed (by default 0).
    for name in ("data.split_seed", "data.test_split_seed"):
        if differing.get(name) == config.seed:
            differing[name] = "seed"
    digits = f"_{config.data.fingerprint:.6}" if "data.root" in differing and config.data.fingerprint else ""
    parts = [f"{_word(name)}-{_clean(_text(name, value))}" for name, value in differing.items()]
    readable = "_".join(parts)
    if len(readable.encode()) <= MAX_NAME:
        return readable + digits
    ending = "_" + hashlib.sha256(json.dumps(differing, sort_keys=True).encode()).hexdigest()[:8]
    room = MAX_NAME - len(ending)
    while len("_".join(parts).encode()) > room and len(parts) > 1:
        parts.pop()
    return "_".join(parts).encode()[:room].decode(errors="ignore") + ending + digits


def _looks_the_same(name: str, value: Any, other: Any) -> bool:
    """Return whether two values have the same text in a name, as per-stack lists of different lengths can."""
    return bool(value == other or (name in PER_STACK and _text(name, value) == _text(name, other)))


def _word(name: str) -> str:
    """Return the short name of a setting, without its section: `lr` for `optim.lr`."""
    return SHORT_NAMES.get(name) or name.partition(".")[2] or name


def _text(name: str, value: Any) -> str:
    match name, value:
        case "model.num_stacks", _:
            return STACKS[value]
        case "model.units", [first, *_] if value == [first] * len(value):
            return f"n{first}"
        case "model.filters", [first, *_] if value == [first * 2**stack for stack in range(len(value))]:
            return f"w{first}"
        case "model.reduction", [first, *_] if value == [first] * len(value):
            return REDUCTIONS.get(first, f"r{first}")
        case "data.root", _:
            return Path(value).name
        case _, list():
            return "-".join(map(str, value)) or "none"
        case _, bool() | None:
            return {True: "true", False: "false", None: "none"}[value]
    return str(value)


def _clean(text: str) -> str:
    """Replace characters that would need quotes on a command line."""
    return re.sub(r"[^\w.+-]+", "-", text) or "none"
