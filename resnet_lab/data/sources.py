"""All data sets, as arrays in memory or on disk: `read` returns the images that a config selects.

A data set is a function from a `DataConfig` to a `Source`, registered under its name:

    @DATASETS.register("mine", DatasetInfo(help="…", channels=1, classes=2, image_size=8))
    def mine(config: DataConfig) -> Source: …
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Labels
from resnet_lab.config.registry import DATASETS
from resnet_lab.data import known
from resnet_lab.data.files import find, local
from resnet_lab.data.fit import Decoding, centre, placement
from resnet_lab.data.formats import CifarLayout, read_cifar, read_idx
from resnet_lab.data.images import PixelArray, Sums
from resnet_lab.data.split import Indices, holdout
from resnet_lab.rundir.images import DataFacts


@dataclass(frozen=True, slots=True)
class Images:
    """Images and their labels; for an image folder, `pixels` is a read-only memory map, or decodes what is used."""

    pixels: PixelArray  # uint8 (N, C, H, W); of series, float32 (N, C, L), NaN where nothing is known
    labels: npt.NDArray[Any]  # classes (N,) int64, attributes (N, K) uint8 of 0 and 1, or numbers (N,) float32
    sums: Sums | None = None  # of the images, if they are known

    def __len__(self) -> int:
        return len(self.labels)


NO_FACTS = DataFacts((), {})


@dataclass(frozen=True, slots=True)
class Source:
    """A data set in its published split, and the names of its classes or attributes in label order."""

    train: Images
    test: Images
    classes: tuple[str, ...]
    rows: Mapping[str, Indices] = field(default_factory=dict)  # of train, val and test in these, if not all images
    facts: DataFacts = NO_FACTS  # by default, those of pixels and labels
    damaged: int = 0  # images that are left out since they cannot be decoded
    prepared: bool = False  # whether the images have been cropped and resized already
    range: tuple[float, float] | None = None  # the values that became 0 and 255, in images with more than 8 bits
    notes: tuple[str, ...] = ()  # what was left out or changed, for the user to know
    files: Sequence[str] = ()  # of the rows of all parts, below the folder, if each image is a file


def read(config: DataConfig) -> Source:
    """Return the data set that `config` selects as uint8 images of `config.image_shape`; download it if missing.

    Raises ConfigError, before any download, when data.channels or data.num_classes does not match the data set; when
    its files are damaged, or missing and not downloadable; and when its arrays do not fit the config.
    """
    info = DATASETS.info(config.name)
    for setting, value, native in (
        ("data.channels", config.channels, info.channels),
        ("data.num_classes", config.num_classes, info.classes),
    ):
        if native not in (None, value):
            raise ConfigError(f"data={config.name} needs {setting}={native}, got {setting}={value}")
    source: Source = DATASETS.load(config.name)(config)
    facts = facts_of_arrays(source) if source.facts is NO_FACTS else source.facts
    crops = not source.prepared
    train = _fitting(source.train, config, crops)
    test = train if source.test is source.train else _fitting(source.test, config, crops)
    return replace(source, train=train, test=test, facts=facts)


def facts_of_arrays(source: Source) -> DataFacts:
    """Return the facts of images that are not files of their own: a digest of pixels and labels for each part."""

    def digest(images: Images) -> str:
        whole = hashlib.blake2b()
        for array in (images.pixels, images.labels):
            whole.update(np.ascontiguousarray(array).reshape(-1).data)  # no copy of a large array
        return whole.hexdigest()[:16]

    parts = {"train": source.train, "test": source.test}
    return DataFacts(source.classes, {part: {"": (len(images), digest(images))} for part, images in parts.items()})


def _fitting(images: Images, config: DataConfig, crops: bool) -> Images:
    """Check the images, cut out their centre if `crops`, and resize them if they have another size."""
    channels, *size = config.image_shape
    count = len(images)
    if config.dims == 1:
        return _checked_series(images, config)
    if (
        (pixels := images.pixels).dtype != np.uint8
        or pixels.ndim != 4
        or pixels.shape[:2] != (count, channels)
        or not count
    ):
        raise ConfigError(
            f"data={config.name}: images must be uint8 (N, {channels}, height, width), at least one, each with a "
            f"label, but these are {pixels.dtype} {pixels.shape} with {count} labels"
        )
    if not crops:
        return images
    whole = np.asarray(pixels)
    cut = _cropped(whole, config) if config.crop_shape else whole
    stays = cut.shape[2:] == tuple(size) and not config.shorter_side
    return Images(cut if stays else _resized(cut, Decoding.of(config)), images.labels)


def _checked_series(images: Images, config: DataConfig) -> Images:
    values, shape = images.pixels, (len(images), *config.image_shape)
    if values.dtype != np.float32 or values.shape != shape or not len(images) or np.isinf(np.asarray(values)).any():
        raise ConfigError(
            f"data={config.name}: series must be float32 {shape}, at least one, and finite (or NaN, where nothing is "
            f"known), but these are {values.dtype} {values.shape}"
        )
    return images


def _cropped(pixels: npt.NDArray[np.uint8], config: DataConfig) -> npt.NDArray[np.uint8]:
    assert config.crop_shape is not None
    height, width = config.crop_shape
    try:
        left, top = centre(pixels.shape[:1:-1], (width, height))
    except ValueError as error:
        raise ConfigError(f"data={config.name}: {error}: set a smaller data.crop, or null") from error
    return pixels[:, :, top : top + height, left : left + width]


def _resized(pixels: npt.NDArray[np.uint8], how: Decoding) -> npt.NDArray[np.uint8]:
    """Resize as `decode.fitted` does, but many images at a time: bilinear, antialiased."""
    _, height, width = how.image_shape
    (new_width, new_height), (left, top) = placement(pixels.shape[:1:-1], (width, height), how)
    shape = (len(pixels), *how.image_shape)
    if math.prod(shape) > psutil.virtual_memory().available:  # otherwise the system would end the process
        raise MemoryError(f"{math.prod(shape) / 1e9:.0f} GB are needed")
    resized = np.empty(shape, np.uint8)
    resized[:] = np.array(how.padding())[:, None, None]
    into = slice(max(top, 0), top + new_height), slice(max(left, 0), left + new_width)
    out_of = slice(max(-top, 0), height - top), slice(max(-left, 0), width - left)
    for start in range(0, len(pixels), chunk := 1024):
        part = torch.from_numpy(pixels[start : start + chunk])
        smaller = F.interpolate(part, size=(new_height, new_width), mode="bilinear", antialias=True)
        resized[start : start + chunk, :, *into] = smaller.numpy()[:, :, *out_of]
    return resized


def digits(config: DataConfig) -> Source:
    """Return scikit-learn's digits; a fifth of them is the test part, which `data.test_split_seed` chooses."""
    from sklearn.datasets import load_digits  # takes a second, and only this function needs it

    bunch = load_digits()
    pixels = np.round(bunch.images[:, None] * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    train, test = holdout(labels, count=360, seed=config.test_split_seed)
    return Source(Images(pixels[train], labels[train]), Images(pixels[test], labels[test]), known.CLASSES["digits"])


def idx(config: DataConfig) -> Source:
    """Return MNIST or Fashion-MNIST, as published by their authors."""
    classes, system = known.CLASSES[config.name], known.SYSTEM.get(config.name, ())
    train_images, train_labels, test_images, test_labels = (
        find(config.folder, file, system) for file in known.FILES[config.name]
    )
    train = Images(*read_idx(train_images, train_labels, len(classes)))
    test = Images(*read_idx(test_images, test_labels, len(classes)))
    return Source(train, test, classes)


def cifar(config: DataConfig) -> Source:
    """Return CIFAR-10, or CIFAR-100 with its 100 fine classes, from either version of the archive, or unpacked."""
    path, layout = _cifar(config)
    classes, train, test = read_cifar(path, layout)
    return Source(Images(*train), Images(*test), classes)


def _cifar(config: DataConfig) -> tuple[Path, CifarLayout]:
    """Find an unpacked archive or an archive; download the first one if there is none."""
    root, layouts, archives = config.folder, known.LAYOUTS[config.name], known.FILES[config.name]
    for layout in layouts:
        for folder in (root / config.name / layout.folder, root / layout.folder, root):
            if folder.name == layout.folder and folder.is_dir():
                return folder, layout
    for layout, archive in zip(layouts, archives, strict=False):
        path, _ = local(root, archive)
        if path:
            return path, layout
    return find(root, archives[0]), layouts[0]


def fake(config: DataConfig) -> Source:
    """Return reproducible random images, with random labels: classes are about equally frequent."""
    if not config.num_classes:
        raise ConfigError("data=fake needs data.num_classes, a whole number of at least 1")
    num_classes = config.num_classes

    def images(count: int, generator: np.random.Generator) -> Images:
        shape = (count, *config.image_shape)
        pixels: npt.NDArray[Any] = generator.integers(0, 256, shape, dtype=np.uint8)
        if config.dims == 1:
            pixels = generator.standard_normal(shape, dtype=np.float32)
        match config.labels:
            case Labels.classes:
                return Images(pixels, generator.permutation(np.arange(count) % num_classes))
            case Labels.attributes:
                return Images(pixels, generator.integers(0, 2, (count, num_classes), dtype=np.uint8))
            case Labels.number:
                return Images(pixels, generator.standard_normal(count, dtype=np.float32))
            case _:
                assert_never(config.labels)

    for_train, for_test = np.random.default_rng(0).spawn(2)
    train, test = images(config.num_images, for_train), images(max(1, config.num_images // 4), for_test)
    names = () if config.labels is Labels.number else map(str, range(num_classes))
    return Source(train, test, tuple(names))
