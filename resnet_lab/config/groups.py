"""Config groups and their options: files in `conf/`, plus options from enums, registries and number ranges."""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from resnet_lab.config.enums import Diagnostics
from resnet_lab.config.model_enums import (
    Activation,
    Attention,
    Bridges,
    DecoderKind,
    Downsample,
    Nonlinearity,
    Norm,
    Resize,
    Upsample,
)
from resnet_lab.config.registry import DATASETS, SHORTCUTS, UNITS

# A wheel has the YAML files inside the package, a checkout next to it.
_PACKAGE = Path(__file__).parents[1]
CONFIG_DIR = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())

# Groups for the architecture; their options set values of `model`.
ARCHITECTURE_GROUPS = (
    "stacks", "units", "filters", "widening", "bottleneck", "unit", "activation", "norm", "nonlinearity", "shortcut",
    "resize", "shortcut_pool", "bridges", "attention", "cardinality", "stochastic_depth", "downsample", "stem",
    "head", "decoder", "upsample", "lineage",
)  # fmt: skip
GROUPS = (*ARCHITECTURE_GROUPS, "optim", "trainer", "data", "augment", "diagnostics", "recipe", "experiment", "sweep")

COMBINABLE = ("augment",)  # groups of which several options can be chosen: augment=[cutout,mixup]

# Groups named after a setting, with the values of that setting.
CHOICES: dict[str, Iterable[str]] = {
    "unit": UNITS,
    "shortcut": SHORTCUTS,
    "activation": Activation.__members__,
    "norm": Norm.__members__,
    "nonlinearity": Nonlinearity.__members__,
    "resize": Resize.__members__,
    "bridges": Bridges.__members__,
    "downsample": Downsample.__members__,
    "diagnostics": Diagnostics.__members__,
}

SWITCHES = ("shortcut_pool",)  # groups named after a setting that is on or off

# Groups named after another setting of a section of `model`: section, setting and its values.
OF_SECTION: dict[str, tuple[str, str, type[Enum]]] = {
    "attention": ("attention", "kind", Attention),
    "decoder": ("decoder", "kind", DecoderKind),
    "upsample": ("decoder", "upsample", Upsample),
}

# Numbered options that need no file, as in `units=n4` and `filters=w32`: letter, numbers, setting, unit of its value.
RANGES = {
    "units": [("n", range(1, 301), "model.units", 1)],
    "filters": [("w", range(1, 513), "model.filters", 1), ("k", range(1, 33), "model.filters", 16)],
    "bottleneck": [("r", range(1, 65), "model.reduction", 1)],
    "widening": [("a", range(1, 1001), "model.widening", 1)],
    "trainer": [("e", range(1, 1001), "trainer.max_epochs", 1)],
}


def registered(group: str) -> dict[str, dict[str, Any]]:
    """Return named options without a file, and the settings of each."""
    if group == "data":
        return {name: data for name in DATASETS if (data := _dataset(name))}
    if group in SWITCHES:
        return {"off": {group: False}, "on": {group: True}}
    if group in OF_SECTION:
        section, setting, kinds = OF_SECTION[group]
        return {name: {section: {setting: name}} for name in kinds.__members__}
    if group == "widening":
        return {"none": {"widening": 0}}
    if group == "stacks":
        return {"one": {"num_stacks": 1}}
    return {name: {group: name} for name in CHOICES.get(group, ())}


def options(group: str) -> list[str]:
    """Return the sorted option names of a group, without number ranges."""
    return sorted({*_files(group), *registered(group)})


def in_range(group: str, name: str) -> tuple[str, dict[str, Any]] | None:
    """Return section and settings of a numbered option such as `n4`, or None if the group has no such number."""
    for letter, numbers, setting, unit in RANGES.get(group, ()):
        number = name.removeprefix(letter)
        if name.startswith(letter) and number.isdecimal() and int(number) in numbers:
            section, _, field = setting.partition(".")
            return section, {field: unit * int(number)}
    return None


def listing(group: str) -> str:
    """Return all options of a group as text for messages."""
    ranges = [f"{letter}{numbers[0]} to {letter}{numbers[-1]}" for letter, numbers, *_ in RANGES.get(group, ())]
    return ", ".join(options(group)) + (f", or any of {' or '.join(ranges)}" if ranges else "")


def _files(group: str) -> list[str]:
    return [file.stem for file in (CONFIG_DIR / group).glob("*.yaml")]


def _dataset(name: str) -> dict[str, Any]:
    """Return the settings of a data set that needs no file because it declares its shape; {} for others."""
    info = DATASETS.info(name)
    if name in _files("data") or None in (info.channels, info.image_size):
        return {}
    return {"name": name, "channels": info.channels, "image_size": info.image_size, "num_classes": info.classes}
