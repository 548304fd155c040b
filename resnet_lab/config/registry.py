"""Extensible tables of units, shortcuts, data sets, tasks and augmentations, and the modules that extend them.

The description of an entry is plain data: `help` is text for the user; options and checks use the other fields. The
entry's class (for a data set, its function) is imported on first use, which keeps this module light. Your own module
adds entries like this:

    @SHORTCUTS.register("halved", ShortcutInfo(help="(S + F) / 2", reads=frozenset({"resize"})))
    class Halved(Sum): …
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Generic, TypeVar

from resnet_lab.config.augment import (
    CropSettings,
    CutmixSettings,
    CutoutSettings,
    ErasingSettings,
    FlipSettings,
    JitterSettings,
    MixupSettings,
    RandSettings,
    ShiftSettings,
    TrivialSettings,
)
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Labels
from resnet_lab.config.infos import AugmentationInfo, DatasetInfo, ShortcutInfo, UnitInfo
from resnet_lab.config.tasks import ATTRIBUTES, CLASSIFICATION, RECONSTRUCTION, REGRESSION, VAE

Info = TypeVar("Info")


class Registry(Generic[Info]):
    """A table from names to classes. Messages name `setting`, the setting that selects an entry."""

    def __init__(self, setting: str, module: str, entries: dict[str, tuple[Any, Info]]) -> None:
        self.setting, self.module = setting, module
        # name → (target, description). A target is a class, "module:class", or the name of a class in `module`.
        self._entries = entries

    def add(self, name: str, info: Info, target: Any) -> None:
        """Add an entry. Raises ConfigError if the name is taken."""
        if name in self:
            raise ConfigError(f"{self.setting}: {name} already exists")
        self._entries[name] = target, info

    def register(self, name: str, info: Info) -> Callable[[Any], Any]:

        def add(target: Any) -> Any:
            self.add(name, info, target)
            return target

        return add

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def info(self, name: str) -> Info:
        """Return the description of an entry. Raises ConfigError if no entry has this name."""
        if name not in self:
            raise ConfigError(f"{self.setting} can be {', '.join(self)}; got {name}")
        return self._entries[name][1]

    def load(self, name: str) -> Any:
        target, _ = self._entries[name]
        if isinstance(target, str):
            target = imported(target if ":" in target else f"{self.module}:{target}")
        return target


def imported(target: str) -> Any:
    """Import a module and return its attribute, for a target such as `module:name`."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def load_plugins(names: Any) -> None:
    """Import modules by name, also from the current folder. Raises ConfigError if an import fails."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins must be a list of modules, as in plugins=[my_lab], got {names}")
    for name in names:
        if name in sys.modules:
            continue
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            import_module(name)
        except Exception as error:
            raise ConfigError(f"plugins: cannot import {name}: {type(error).__name__}: {error}") from error


def requested_plugins(overrides: Sequence[str]) -> list[str]:
    """Return the module names in the last override of the form `plugins=[my_lab]` or `plugins=my_lab`."""
    values = [override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("plugins=")]
    return [name.strip() for value in values[-1:] for name in value.strip("[]").split(",") if name.strip()]


UNITS = Registry(
    "model.unit",
    "resnet_lab.model.units",
    {
        "bottleneck": (
            "Bottleneck",
            UnitInfo(help="1x1, 3x3, 1x1", kernels=(1, 3, 1), bottleneck=True, stride_can_move=True),
        ),
        "basic": ("Basic", UnitInfo(help="3x3, 3x3", kernels=(3, 3))),
        "triple": ("Triple", UnitInfo(help="3x3, 3x3, 3x3", kernels=(3, 3, 3))),
        "dense": (
            "Dense",
            UnitInfo(
                help="1x1, 3x3: the layer of DenseNet-BC",
                kernels=(1, 3),
                bottleneck=True,
                grouped=False,
                stride_can_move=True,
            ),
        ),
        "conv": ("Conv", UnitInfo(help="3x3: a standard CNN without shortcuts", kernels=(3,), bridged=False)),
    },
)

_SCALES = frozenset({"resize", "shortcut_scale", "residual_scale"})
_GATES = frozenset({"resize", "gate_bias"})
_DROPS = frozenset({"resize", "shortcut_dropout"})
SHORTCUTS = Registry(
    "model.shortcut",
    "resnet_lab.model.shortcuts",
    {
        "projection": ("Projection", ShortcutInfo(help="S + F; S projects where the shape changes (option B)")),
        "projection_norm": (
            "NormedProjection",
            ShortcutInfo(help="N(S) + F; S projects where the shape changes, and has a norm N on every unit"),
        ),
        "zero_pad": (
            "ZeroPadded",
            ShortcutInfo(help="S + F; S adds zero maps where the shape changes (option A)", pads=True),
        ),
        "conv": ("Convolution", ShortcutInfo(help="S + F; S projects on every unit (option C)", takes_activated=True)),
        "constant_scaling": (
            "ConstantScaling",
            ShortcutInfo(help="shortcut_scale S + residual_scale F", reads=_SCALES),
        ),
        "exclusive_gating": (
            "ExclusiveGating",
            ShortcutInfo(help="(1 - g) S + g F, with the gate g = sigmoid(W x + b)", reads=_GATES),
        ),
        "shortcut_gating": ("ShortcutGating", ShortcutInfo(help="(1 - g) S + F", reads=_GATES)),
        "dropout": ("Dropout", ShortcutInfo(help="dropout(S) + F", reads=_DROPS)),
        "none": ("Plain", ShortcutInfo(help="F only: the plain network of the same depth", crosses=False)),
    },
)

DATASETS = Registry(
    "data.name",
    "resnet_lab.data.sources",
    {
        "digits": ("digits", DatasetInfo(help="scikit-learn's 8x8 digits", channels=1, classes=10, splits=True)),
        "mnist": ("idx", DatasetInfo(help="MNIST", channels=1, classes=10)),
        "fashion_mnist": ("idx", DatasetInfo(help="Fashion-MNIST", channels=1, classes=10)),
        "cifar10": ("cifar", DatasetInfo(help="CIFAR-10", channels=3, classes=10)),
        "cifar100": ("cifar", DatasetInfo(help="CIFAR-100", channels=3, classes=100)),
        "image_folder": (
            "resnet_lab.data.own:image_folder",
            DatasetInfo(
                help="your own images, in a folder for each class",
                own_images=True,
                look="resnet_lab.data.layout:look",
                facts="resnet_lab.data.own:folder_facts",
            ),
        ),
        "table": (
            "resnet_lab.data.own:table",
            DatasetInfo(
                help="your own images, listed in a CSV file with their labels, or series in one",
                dims=None,
                own_images=True,
                look="resnet_lab.data.table:look",
                facts="resnet_lab.data.own:table_facts",
                reads=frozenset({"table"}),
            ),
        ),
        "celeba": (
            "resnet_lab.data.own:celeba",
            DatasetInfo(
                help="your copy of CelebA, faces with 40 attributes",
                labels=Labels.attributes,
                own_images=True,
                look="resnet_lab.data.celeba:look",
                facts="resnet_lab.data.own:celeba_facts",
            ),
        ),
        "idx": (
            "resnet_lab.data.idx:idx_folder",
            DatasetInfo(
                help="your own IDX files, such as those of EMNIST or KMNIST",
                channels=1,
                own_images=True,
                look="resnet_lab.data.idx:look",
                facts="resnet_lab.data.idx:facts",
                reads=frozenset({"prefix"}),
            ),
        ),
        "ucr": (
            "resnet_lab.data.series:source",
            DatasetInfo(
                help="series of the UCR and UEA archives, from files or an installed aeon",
                dims=1,
                own_images=True,
                look="resnet_lab.data.series:look",
                facts="resnet_lab.data.series:facts",
                reads=frozenset({"series"}),
            ),
        ),
        "digit_bits": (
            "resnet_lab.data.derived:digit_bits",
            DatasetInfo(
                help="scikit-learn's digits with six yes-or-no attributes",
                channels=1,
                classes=6,
                labels=Labels.attributes,
                splits=True,
            ),
        ),
        "fashion_pairs": (
            "resnet_lab.data.derived:fashion_pairs",
            DatasetInfo(
                help="two different clothes of Fashion-MNIST side by side",
                channels=1,
                classes=10,
                labels=Labels.attributes,
            ),
        ),
        "fake": ("fake", DatasetInfo(help="random images, for tests and benchmarks", dims=None, made=True)),
    },
)

TASKS = Registry(
    "task",
    "resnet_lab.tasks",
    {
        "classification": ("resnet_lab.tasks.classification:Classification", CLASSIFICATION),
        "attributes": ("resnet_lab.tasks.attributes:Attributes", ATTRIBUTES),
        "regression": ("resnet_lab.tasks.regression:Regression", REGRESSION),
        "reconstruction": ("resnet_lab.tasks.reconstruction:Reconstruction", RECONSTRUCTION),
        "vae": ("resnet_lab.tasks.vae:Vae", VAE),
    },
)

# In order of application.
AUGMENTATIONS = Registry(
    "augment",
    "resnet_lab.data.augment",
    {
        "crop": ("Crop", AugmentationInfo(help="padding, then a random crop", settings=CropSettings)),
        "shift": ("Shift", AugmentationInfo(help="shift by parts of a pixel", settings=ShiftSettings)),
        "flip": ("Flip", AugmentationInfo(help="horizontal flip", settings=FlipSettings)),
        "jitter": (
            "Jitter",
            AugmentationInfo(help="brightness, contrast, saturation", settings=JitterSettings, colours=True),
        ),
        "rand": ("RandAugment", AugmentationInfo(help="RandAugment", settings=RandSettings, colours=True)),
        "trivial": ("TrivialAugment", AugmentationInfo(help="TrivialAugment", settings=TrivialSettings, colours=True)),
        "cutout": ("Cutout", AugmentationInfo(help="a square of zeros", settings=CutoutSettings)),
        "erasing": ("Erasing", AugmentationInfo(help="a filled rectangle", settings=ErasingSettings)),
        "mixup": ("Mixup", AugmentationInfo(help="average of two", settings=MixupSettings, soft_labels=True)),
        "cutmix": ("Cutmix", AugmentationInfo(help="part of another", settings=CutmixSettings, soft_labels=True)),
    },
)
