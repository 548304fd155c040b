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
from resnet_lab.config.infos import THINGS
from resnet_lab.config.registry import DATASETS, TASKS
from resnet_lab.config.series import SeriesConfig
from resnet_lab.config.storage import PackConfig, Store, check_storage, has_files

LARGEST_MULTIPLE = 4  # a `resize_to` below is a multiple of `image_size`, from here on pixels


def _reads_table(data: Any) -> bool:
    return data.fingerprint is None and "table" in DATASETS.info(data.name).reads


def _reads_prefix(data: Any) -> bool:
    return data.fingerprint is None and "prefix" in DATASETS.info(data.name).reads


def option_of(name: str, dims: int) -> str:
    """Return the option of `data` that chooses a data set of that many dimensions, if it has one."""
    return "series_table" if (name, dims) == ("table", 1) else name


def _is_size(size: Any, dims: int) -> bool:
    sides = size if isinstance(size, list) else [size] * dims
    return len(sides) == dims and all(type(side) is int and side >= 1 for side in sides)


def _all_sides(size: int | list[int], dims: int) -> tuple[int, ...]:
    return tuple(size) if isinstance(size, list) else (size,) * dims


def _one_size(sides: tuple[int, ...]) -> int | list[int]:
    """Return one number for a square or a length, else [height, width]."""
    return sides[0] if len(set(sides)) == 1 else [*sides]


@dataclass(slots=True, kw_only=True)
class TableConfig:
    """A file with a row for each image, and its columns."""

    file: str = setting("labels.csv", used=_reads_table)  # below data.root
    image: str = setting("file", used=_reads_table)  # column with the path below data.root
    # Column with the classes or numbers, or a list of columns, each with an attribute.
    label: Any = setting(
        "class",
        used=_reads_table,
        canonical=lambda data: data.table.columns if data.table.labels is Labels.attributes else data.table.label,
    )
    # What `label` holds; None: what the task needs.
    labels: Labels | None = setting(None, used=_reads_table, canonical=lambda data: data.labels)
    # Column with train, val or test (or 0, 1, 2). If there is none, data.test of the images are the test part.
    part: str = setting("part", used=_reads_table)

    def __post_init__(self) -> None:
        require_bounded(self, "data.table.")
        names = [str(name) if isinstance(name, int | float) else name for name in self.columns]
        require(
            all(isinstance(name, str) for name in names) and 0 < len(set(names)) == len(names),
            f"data.table.label must be a column or a list of different columns, got {self.label}",
        )
        self.label = names if isinstance(self.label, list) else names[0]

    @property
    def columns(self) -> list[str]:
        """The columns with labels."""
        return self.label if isinstance(self.label, list) else [self.label]


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Data set, input shape, validation split and normalisation."""

    name: str
    dims: int = 2  # 1: series, 2: images
    channels: int  # of images, 1: grey, 2: grey and alpha, 3: RGB, 4: RGBA; of series, any number (0: as in the files)
    # In pixels: one number for squares, or [height, width]. Images of other sizes are resized. Of series, the length.
    image_size: Any = setting(canonical=lambda data: _one_size(data.image_shape[1:]))
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
    series: SeriesConfig = field(default_factory=SeriesConfig)
    # What the names of IDX files begin with, such as emnist-letters, if the folder has several sets.
    prefix: str | None = setting(None, used=_reads_prefix)
    skip_damaged: bool = setting(False, identity=False)  # whether to leave out images that cannot be decoded
    max_pixels: int = setting(2**28, identity=False)  # of an image file; a larger one counts as damaged
    # A colour name or #rrggbb, behind transparent pixels unless the network gets the alpha channel, and around
    # letterboxed images. None: transparency is dropped.
    background: str | None = setting("white", used=lambda data: data.own_images or data.fit is Fit.letterbox)
    # The values that become black and white, in images with more than 8 bits. None: least and greatest of training.
    range: list[float] | None = setting(None, used=lambda data: data.own_images)
    # The part in the centre of each image that is used, before resizing, in the form of image_size. None: all of it.
    crop: Any = setting(None, canonical=lambda data: data.crop_shape and _one_size(data.crop_shape))
    fit: Fit = Fit.stretch
    # With fit=crop: the shorter side before the cut, in pixels, or below 4 as a multiple of image_size. None: as short
    # as image_size allows.
    resize_to: float | None = setting(
        None, used=lambda data: data.fit is Fit.crop, canonical=lambda data: data.shorter_side
    )
    # Whether augment.resized_crop and augment.scale_crop take parts of the whole image, and not of what `fit` leaves.
    whole: bool = setting(False, used=has_files)
    store: Store = setting(Store["auto"], identity=False)
    workers: int | None = setting(None, identity=False)  # processes that decode; None: one for each core
    pack: PackConfig = field(default_factory=PackConfig)
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
    # Mean and standard deviation of labels that are numbers. None: computed from the training part.
    label_scale: list[float] | None = setting(None, used=lambda data: data.labels is Labels.number)
    # Number of generated training images; a quarter as many test images are added.
    num_images: int = setting(1024, used=lambda data: DATASETS.info(data.name).made)

    def __post_init__(self) -> None:
        require_bounded(self, "data.")
        DATASETS.info(self.name)
        form = {1: "a length, a positive whole number", 2: "a positive number of pixels or [height,width]"}
        require(self.dims in form, f"data.dims must be 1 for series or 2 for images, got {self.dims}")
        native = DATASETS.info(self.name).dims
        require(
            native in (None, self.dims),
            f"data={self.name} has {THINGS[native or self.dims]}: data.dims must be {native}, got {self.dims}",
        )
        for name, size in (("image_size", self.image_size), ("crop", self.crop)):
            require(
                _is_size(size, self.dims) or (size is None and (name == "crop" or self.reads_series)),
                f"data.{name} must be {form[self.dims]}, got {size}",
            )
        require_within(self, "data", validation=(0, 10**9), split_seed=(0, 2**64), test_split_seed=(0, 2**64))
        require(
            self.validation < 1 or self.validation == int(self.validation),
            f"data.validation must be a fraction below 1 or a whole number of images, got {self.validation}",
        )
        require_within(self, "data", num_images=(1, 10**9), num_train=(1, 10**9), image_size=(1, 16384))
        require_within(self, "data", crop=(1, 10**6), max_pixels=(1, 2**40), resize_to=(1, 16384), workers=(0, 1024))
        if self.resize_to is not None:
            require(self.fit is Fit.crop, f"data.resize_to={self.resize_to:g} needs data.fit=crop, got {self.fit.name}")
            whole = self.resize_to < LARGEST_MULTIPLE or self.resize_to == int(self.resize_to)
            require(whole, f"data.resize_to must be a multiple below 4 or a whole number, got {self.resize_to:g}")
            least, side = max(self.image_shape[1:]), self.shorter_side or 0
            required = f"data.resize_to must be at least the {least} pixels of data.image_size, got {self.resize_to:g}"
            require(side >= least, required)
        check_storage(self)
        require(0 < self.test < 1, f"data.test must be a share above 0 and below 1, got {self.test}")
        self._check_columns()
        self._check_pixels()
        for name, values in (("mean", self.mean), ("std", self.std)):
            fits = values is None or (len(values) == self.channels and all(map(math.isfinite, values)))
            require(fits, f"data.{name} must have one number per channel ({self.channels}), got {values}")
        require(self.std is None or all(s > 0 for s in self.std), f"data.std must be positive, got {self.std}")
        scale = self.label_scale
        require(
            scale is None or (len(scale) == 2 and all(map(math.isfinite, scale)) and scale[1] > 0),
            f"data.label_scale must be a mean and a positive standard deviation, [mean,std], got {scale}",
        )

    def _check_columns(self) -> None:
        """Raise ConfigError if the labels come from a list of columns, but are not attributes."""
        if isinstance(self.table.label, list) and "table" in DATASETS.info(self.name).reads:
            takers = [f" or choose task={name}" for name in TASKS if TASKS.info(name).labels is Labels.attributes]
            require(
                self.labels is Labels.attributes,
                f"data.table.label is a list of columns, {Labels.attributes.value}, but the task or data.table.labels "
                f"asks for {self.labels.value}: name one column{''.join(takers)}",
            )

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
    def image_shape(self) -> tuple[int, ...]:
        """Shape (channels, height, width), or (channels, length), of the network's input."""
        return self.channels, *_all_sides(self.image_size, self.dims)

    @property
    def shorter_side(self) -> int | None:
        """The shorter side of an image in pixels before it is cut; None: as short as image_size allows."""
        if self.resize_to is None:
            return None
        unit = max(self.image_shape[1:]) if self.resize_to < LARGEST_MULTIPLE else 1
        return round(self.resize_to * unit)

    @property
    def crop_shape(self) -> tuple[int, ...] | None:
        """Height and width of the part of each image that is used; None: all of it."""
        return None if self.crop is None else _all_sides(self.crop, self.dims)

    @property
    def set_name(self) -> str:
        """What a reader calls the data set: of an archive, its name there."""
        return self.series.name or self.name

    @property
    def thing(self) -> str:
        """What the network is given, in a word."""
        return {1: "series", 2: "image"}[self.dims]

    @property
    def things(self) -> str:
        """The same in the plural."""
        return THINGS[self.dims]

    @property
    def reads_series(self) -> bool:
        """Whether the files say how many channels the series have and how long they are, unless that is set."""
        return self.dims == 1 and not DATASETS.info(self.name).reads.isdisjoint({"series", "table"})

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
        if not info.any_labels:
            return info.labels
        return self.table.labels or (Labels.attributes if isinstance(self.table.label, list) else info.labels)

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
