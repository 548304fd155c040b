"""Descriptions of the entries of registries, as plain data."""

from dataclasses import dataclass
from typing import Any

from resnet_lab.config.enums import Labels

THINGS = {1: "series", 2: "images"}  # by the number of their dimensions


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitInfo:
    """Description of a residual unit."""

    help: str
    kernels: tuple[int, ...] = ()  # of its convolutions, in order, if `model.kernels` can replace them
    bottleneck: bool = False  # whether `model.reduction` narrows the inner convolutions
    grouped: bool = True  # whether `model.cardinality` groups a convolution between bottleneck maps
    bridged: bool = True  # whether it has a shortcut
    stride_can_move: bool = False  # whether `lineage.stride_on` has an effect


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutInfo:
    """Description of a shortcut. In `help`, F is the residual and S the shortcut path, the identity if shapes match."""

    help: str
    reads: frozenset[str] = frozenset()  # settings of `model` that only some shortcuts read
    pads: bool = False  # whether it adds zero maps when the shape changes, regardless of `model.resize`
    crosses: bool = True  # whether there is a path from the unit's input to its output besides F; False for `none`
    takes_activated: bool = False  # whether `lineage.projection_input` affects all units, not only the first of a stack


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """Description of a data set."""

    help: str
    dims: int | None = 2  # 1: series, 2: images; None: from `data.dims`
    channels: int | None = None  # None: from `data.channels`
    classes: int | None = None  # or attributes; None: from `data.num_classes`
    labels: Labels = Labels.classes  # unless there are `any_labels`
    image_size: int | None = None  # pixels; if `channels` is set too, `data=<name>` needs no YAML file
    own_images: bool = False  # whether `data.root` determines the images
    files: bool = False  # whether each image is a file
    look: str = ""  # for own images: the function that returns their layout and number of classes
    facts: str = ""  # for own images: the function that returns their `DataFacts`
    reads: frozenset[str] = frozenset()  # settings of `data` that only some data sets read
    splits: bool = False  # whether no test part is published, so that `data.test_split_seed` draws one
    made: bool = False  # whether the images are generated, `data.num_images` of them

    @property
    def any_labels(self) -> bool:
        """Whether `data.table.labels` says what is known of each image: by default, what the task needs."""
        return self.made or "table" in self.reads


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationInfo:
    """Description of a random transform of training images."""

    help: str
    settings: type[Any]  # dataclass with a property `active`; its fields become `augment.<name>.…`
    dims: int | None = 2  # of what it changes: 1 for series, 2 for images; None: both
    colours: bool = False  # whether it takes pixels as colours, so that images must be grey or RGB
    soft_labels: bool = False  # whether it makes labels probabilities (B, K), which some tasks cannot take
