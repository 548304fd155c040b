"""What people add to: units, shortcuts, data sets, tasks and augmentations, each a table from names to classes.

An entry says in plain data what help, options and checks need; its class, for data sets a function, is imported when
it is first used, so that nothing here is heavy. A module of your own adds to the same tables:

    @SHORTCUTS.register("halved", ShortcutInfo(help="(S + F) / 2", reads=frozenset({"resize"})))
    class Halved(Sum): …
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from resnet_lab.config.augment import CropSettings, FlipSettings
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.tasks import CLASSIFICATION


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitInfo:
    """A kind of residual unit."""

    help: str
    bottleneck: bool = False  # whether `model.reduction` narrows its inner convolutions
    bridged: bool = True  # whether a shortcut bridges it
    stride_can_move: bool = False  # whether `lineage.stride_on` makes a difference


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutInfo:
    """What bridges a unit. S is the identity where the shape stays."""

    help: str
    reads: frozenset[str] = frozenset()  # those settings of `model` that only some shortcuts read
    pads: bool = False  # whether it adds zero maps where the shape changes, whatever `model.resize` says
    crosses: bool = True  # whether anything of x passes at all
    takes_activated: bool = False  # whether `lineage.projection_input` counts on every unit, not on first ones alone


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """Where images come from."""

    help: str
    channels: int | None = None  # None: as `data.channels` says
    classes: int | None = None  # None: as `data.num_classes` says
    image_size: int | None = None  # pixels; with `channels` it makes `data=<name>` an option without a file
    own_images: bool = False  # whether `data.root` decides which images they are
    made: bool = False  # whether the images are made, `data.num_images` of them


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationInfo:
    """A random change of training images."""

    help: str
    settings: type[Any]  # a dataclass with a property `active`; its fields are the settings `augment.<name>.…`


Info = TypeVar("Info")


class Registry(Generic[Info]):
    """A table from names to classes. `setting` is what chooses among them, for messages."""

    def __init__(self, setting: str, module: str, entries: dict[str, tuple[str, Info]]) -> None:
        self.setting = setting
        self._infos = {name: info for name, (_, info) in entries.items()}
        self._targets: dict[str, Any] = {name: f"{module}:{cls}" for name, (cls, _) in entries.items()}

    def add(self, name: str, info: Info, target: Any) -> None:
        """Add an entry. Raises ConfigError when the name is taken."""
        if name in self._infos:
            raise ConfigError(f"{self.setting}: there is a {name} already")
        self._infos[name], self._targets[name] = info, target

    def register(self, name: str, info: Info) -> Callable[[Any], Any]:

        def add(target: Any) -> Any:
            self.add(name, info, target)
            return target

        return add

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def info(self, name: str) -> Info:
        """What an entry says of itself. Raises ConfigError when there is none of this name."""
        if name not in self._infos:
            raise ConfigError(f"{self.setting} can be {', '.join(self)}; got {name}")
        return self._infos[name]

    def load(self, name: str) -> Any:
        target = self._targets[name]
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            target = self._targets[name] = getattr(import_module(module), attribute)
        return target


UNITS = Registry(
    "model.unit",
    "resnet_lab.model.units",
    {
        "bottleneck": ("Bottleneck", UnitInfo(help="1x1, 3x3, 1x1", bottleneck=True, stride_can_move=True)),
        "basic": ("Basic", UnitInfo(help="3x3, 3x3")),
        "conv": ("Conv", UnitInfo(help="3x3: the standard CNN, without shortcuts", bridged=False)),
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
        "zero_pad": ("ZeroPadded", ShortcutInfo(help="S + F; S pads with zero maps there (option A)", pads=True)),
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
        "none": ("Plain", ShortcutInfo(help="F alone: the plain network of the same depth", crosses=False)),
    },
)

DATASETS = Registry(
    "data.name",
    "resnet_lab.data.sources",
    {
        "digits": ("digits", DatasetInfo(help="scikit-learn's digits of 8x8 pixels", channels=1, classes=10)),
        "mnist": ("idx", DatasetInfo(help="MNIST", channels=1, classes=10)),
        "fashion_mnist": ("idx", DatasetInfo(help="Fashion-MNIST", channels=1, classes=10)),
        "cifar10": ("cifar", DatasetInfo(help="CIFAR-10", channels=3, classes=10)),
        "cifar100": ("cifar", DatasetInfo(help="CIFAR-100", channels=3, classes=100)),
        "image_folder": (
            "image_folder",
            DatasetInfo(help="your own: train/<class>/*, test/<class>/*", own_images=True),
        ),
        "fake": ("fake", DatasetInfo(help="random images, for tests and speed", made=True)),
    },
)

TASKS = Registry("task", "resnet_lab.tasks.classification", {"classification": ("Classification", CLASSIFICATION)})

# In the order in which they are applied.
AUGMENTATIONS = Registry(
    "augment",
    "resnet_lab.data.augment",
    {
        "crop": ("Crop", AugmentationInfo(help="zero padding, then a random crop", settings=CropSettings)),
        "flip": ("Flip", AugmentationInfo(help="mirrored left and right", settings=FlipSettings)),
    },
)
