"""Where a run lives: one directory for one run, however it was typed, named by what differs from its base."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from resnet_lab.config.canonical import canonical, everything
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.config.schema import Config

MAX_NAME = 120  # bytes; file systems allow 255 bytes for a name

# Settings that a directory's name leaves out: the seed has a folder of its own, the others follow the data.
UNNAMED = ("seed", "model.in_channels", "model.num_classes")

# Settings that the name calls by their group, and values that it calls as the group's options are called.
GROUPS = {"model.num_stacks": "stacks", "model.reduction": "bottleneck", "optim.name": "optim", "data.name": "data"}
PER_STACK = ("model.units", "model.filters", "model.reduction")
STACKS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
REDUCTIONS = {1: "none", 2: "half", 4: "quarter", 8: "eighth", 16: "sixteenth"}


def run_path(config: Config, base: Config) -> Path:
    """`output_dir/name/<what differs from the base>/seed-<n>`."""
    return Path(config.output_dir).expanduser() / config.name / directory_name(config, base) / f"seed-{config.seed}"


def directory_name(config: Config, base: Config) -> str:
    """The units, and the settings that differ from the base, as in `units-n3_filters-w16`.

    The units are what is swept most: every run of such a sweep shows them, also the one that is like the base.
    Settings stand in the order of the schema, the architecture before the recipe. A name that would be too long ends
    with a hash of all that differs.
    """
    ours, theirs = canonical(config), everything(base)
    differing = {
        name: value
        for name, value in ours.items()
        if name == "model.units"
        or (name not in UNNAMED and not (name in theirs and _reads_alike(name, value, theirs[name])))
    }
    for name in AUGMENTATIONS:
        if config.augment[name].active < base.augment[name].active:
            differing[f"augment.{name}"] = "off"
    if differing.get("data.split_seed") == config.seed:  # as ${seed}: the runs of a sweep over seeds stand together
        differing["data.split_seed"] = "seed"
    parts = [f"{_word(name)}-{_clean(_text(name, value))}" for name, value in differing.items()]
    readable = "_".join(parts)
    if len(readable.encode()) <= MAX_NAME:
        return readable
    ending = hashlib.sha256(json.dumps(differing, sort_keys=True).encode()).hexdigest()[:8]
    while len(readable.encode()) > MAX_NAME - len(ending) - 1 and len(parts) > 1:
        parts.pop()
        readable = "_".join(parts)
    short = readable.encode()[: MAX_NAME - len(ending) - 1].decode(errors="ignore")
    return f"{short}_{ending}"


def _reads_alike(name: str, value: Any, other: Any) -> bool:
    """Whether two values are the same; a list for three stacks says the same as one for four with an equal entry."""
    return bool(value == other or (name in PER_STACK and _text(name, value) == _text(name, other)))


def _word(name: str) -> str:
    """A setting as a name calls it: without its section, `lr` for `optim.lr`."""
    return GROUPS.get(name) or name.partition(".")[2] or name


def _text(name: str, value: Any) -> str:
    match name, value:
        case "model.num_stacks", _:
            return STACKS[value]
        case "model.units", [first, *_] if value == [first] * len(value):
            return f"n{first}"
        case "model.filters", [first, *_] if value == [first << stack for stack in range(len(value))]:
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
    """What a path may have without quotes on a command line, whatever the value is."""
    return re.sub(r"[^\w.+-]+", "-", text) or "none"
