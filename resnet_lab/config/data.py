"""Settings of the data set."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import ImageColor

from resnet_lab.config.checks import ConfigError, require, require_bounded, require_within
from resnet_lab.config.decoder import CorruptConfig
from resnet_lab.config.enums import Fit, Labels, Layout, OnChange, Sampler
from resnet_lab.config.fields import setting
from resnet_lab.config.registry import DATASETS


def _reads_table(data: Any) -> bool:
    return data.fingerprint is None and "table" in DATASETS.info(data.name).reads


def _reads_prefix(data: Any) -> bool:
    return data.fingerprint is None and "prefix" in DATASETS.info(data.name).reads


@dataclass(slots=True, kw_only=True)
class TableConfig:
    """A file with a row for each image, and its columns."""

    file: str = setting("labels.csv", used=_reads_table)  # below data.root
    image: str = setting("file", used=_reads_table)  # column with the path below data.root
    label: str = setting("class", used=_reads_table)
    # What `label` holds; None: what the task needs.
    labels: Labels | None = setting(None, used=_reads_table, canonical=lambda data: data.labels)
    # Column with train, val or test (or 0, 1, 2). If there is none, data.test of the images are the test part.
    part: str = setting("part", used=_reads_table)

    def __post_init__(self) -> None:
        require_bounded(self, "data.table.")


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Data set, input shape, validation split and normalisation."""

    name: str
    channels: int  # 1: grey, 2: grey and alpha, 3: RGB, 4: RGBA
    # In pixels: one number for squares, or [height, width]. Images of other sizes are resized.
    image_size: Any = setting(canonical=lambda data: data.one_size)
    num_classes: int | None  # None: count the class folders
    # Folder to read from and download to. Own images are identified by their fingerprint, in whatever folder they are.
    root: str = setting(
        "data",
        used=lambda data: data.own_images and data.fingerprint is None,
        canonical=lambda data: str(data.folder.resolve()),
    )
    fingerprint: str | None = setting(
        None, used=lambda data: data.own_images and data.fingerprint is not None
    )  # None: computed from the files
    on_change: OnChange = setting(OnChange["refuse"], identity=False)  # when the images of a run have changed
    # Which files are the images: settings that the fingerprint covers.
    layout: Layout = setting(Layout.auto, used=lambda data: data.own_images and data.fingerprint is None)
    subfolders: bool = setting(True, used=lambda data: data.own_images and data.fingerprint is None)
    table: TableConfig = field(default_factory=TableConfig)
    # What the names of IDX files begin with, such as emnist-letters, if the folder has several sets.
    prefix: str | None = setting(None, used=_reads_prefix)
    skip_damaged: bool = setting(False, identity=False)  # whether to leave out images that cannot be decoded
    max_pixels: int = setting(2**28, identity=False)  # of an image file; a larger one counts as damaged
    # A colour name or #rrggbb, behind transparent pixels unless the network gets the alpha channel, and around
    # letterboxed images. None: transparency is dropped.
    background: str | None = setting("white", used=lambda data: data.own_images or data.fit is Fit.letterbox)
    # The values that become black and white, in images with more than 8 bits. None: least and greatest of training.
    range: list[float] | None = setting(None, used=lambda data: data.own_images)
    fit: Fit = Fit.stretch
    test: float = setting(0.2, used=lambda data: data.is_flat)  # share of the images that is held out for the test
    test_split_seed: int = setting(0, used=lambda data: data.is_flat or DATASETS.info(data.name).splits)
    # Held out of the training part: a fraction below 1, or a number of images.
    validation: float = setting(0.1, used=lambda data: not data.has_val_folder)
    # Independent of `seed` unless set to ${seed}.
    split_seed: int = setting(
        0, used=lambda data: (data.validation > 0 and not data.has_val_folder) or data.num_train is not None
    )
    num_train: int | None = None  # images to train on, drawn from all classes in proportion; None: all
    sampler: Sampler = Sampler.shuffle
    corrupt: CorruptConfig = field(default_factory=CorruptConfig)
    mean: list[float] | None = None  # per channel, for pixels in [0, 1]; None: computed from the training part
    std: list[float] | None = None
    # Number of generated training images; a quarter as many test images are added.
    num_images: int = setting(1024, used=lambda data: DATASETS.info(data.name).made)

    def __post_init__(self) -> None:
        require_bounded(self, "data.")
        DATASETS.info(self.name)
        size = self.image_size
        sizes = size if isinstance(size, list) else [size]
        require(
            len(sizes) == (2 if isinstance(size, list) else 1)
            and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in sizes),
            f"data.image_size must be a positive number of pixels or [height,width], got {size}",
        )
        require_within(self, "data", validation=(0, 10**9), split_seed=(0, 2**64), test_split_seed=(0, 2**64))
        require(
            self.validation < 1 or self.validation == int(self.validation),
            f"data.validation must be a fraction below 1 or a whole number of images, got {self.validation}",
        )
        require_within(self, "data", num_images=(1, 10**9), num_train=(1, 10**9), image_size=(1, 16384))
        require_within(self, "data", max_pixels=(1, 2**40))
        require(0 < self.test < 1, f"data.test must be a share between 0 and 1, got {self.test}")
        self._check_pixels()
        for name, values in (("mean", self.mean), ("std", self.std)):
            fits = values is None or (len(values) == self.channels and all(map(math.isfinite, values)))
            require(fits, f"data.{name} must have one number per channel ({self.channels}), got {values}")
        require(self.std is None or all(s > 0 for s in self.std), f"data.std must be positive, got {self.std}")

    def _check_pixels(self) -> None:
        low_high = self.range
        require(
            low_high is None
            or (len(low_high) == 2 and all(map(math.isfinite, low_high)) and low_high[0] < low_high[1]),
            f"data.range must be two numbers, [low,high] with low < high, got {low_high}",
        )
        try:
            ImageColor.getrgb("white" if self.background is None else self.background)
        except ValueError as error:
            raise ConfigError(
                f"data.background must be a colour such as white or '#ff8800', got {self.background}"
            ) from error

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of the network's input."""
        height, width = self.image_size if isinstance(self.image_size, list) else (self.image_size, self.image_size)
        return self.channels, height, width

    @property
    def one_size(self) -> int | list[int]:
        """Canonical form of `image_size`: one number if square, else [height, width]."""
        _, height, width = self.image_shape
        return height if height == width else [height, width]

    @property
    def folder(self) -> Path:
        return Path(self.root).expanduser()

    @property
    def own_images(self) -> bool:
        """Whether `root` determines the images, as it does for image_folder."""
        return DATASETS.info(self.name).own_images

    @property
    def labels(self) -> Labels:
        """What is known of each image."""
        info = DATASETS.info(self.name)
        return (self.table.labels or info.labels) if "table" in info.reads else info.labels

    @property
    def is_flat(self) -> bool:
        """Whether the test part is drawn from a folder of images without parts."""
        return self.own_images and self.layout is Layout.flat

    @property
    def has_val_folder(self) -> bool:
        """Whether the validation part is a folder of its own."""
        return self.own_images and self.layout is Layout.train_val_test

    @property
    def background_rgb(self) -> tuple[int, int, int] | None:
        """The background as red, green and blue, 0 to 255. Raises ValueError if it is no colour."""
        return None if self.background is None else ImageColor.getrgb(self.background)[:3]
