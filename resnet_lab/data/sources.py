"""All data sets, as arrays in memory or on disk: `read` returns the images that a config selects.

A data set is a function from a `DataConfig` to a `Source`, registered under its name:

    @DATASETS.register("mine", DatasetInfo(help="…", channels=1, classes=2, image_size=8))
    def mine(config: DataConfig) -> Source: …
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import DATASETS
from resnet_lab.data import folder, known
from resnet_lab.data.files import find
from resnet_lab.data.formats import read_cifar, read_idx
from resnet_lab.data.split import holdout


@dataclass(frozen=True, slots=True)
class Images:
    """Images and their labels; for an image folder, `pixels` is a read-only memory map."""

    pixels: npt.NDArray[np.uint8]  # (N, C, H, W)
    labels: npt.NDArray[Any]  # as the task expects them: classes (N,) int64, numbers (N,) float32

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Source:
    """A data set in its published split, and its class names in label order."""

    train: Images
    test: Images
    classes: tuple[str, ...]


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
    return Source(_fitting(source.train, config), _fitting(source.test, config), source.classes)


def _fitting(images: Images, config: DataConfig) -> Images:
    """Check the images, and resize them if they have another size. Raises ConfigError."""
    channels, *size = config.image_shape
    pixels, count = images.pixels, len(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:2] != (count, channels) or not count:
        raise ConfigError(
            f"data={config.name}: images must be uint8 (N, {channels}, height, width), at least one, each with a "
            f"label, but these are {pixels.dtype} {pixels.shape} with {count} labels"
        )
    return images if pixels.shape[2:] == tuple(size) else Images(_resized(pixels, config.image_shape), images.labels)


def _resized(pixels: npt.NDArray[np.uint8], image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Resize to the height and width of `image_shape`: bilinear, antialiased, without keeping the aspect ratio."""
    resized = np.empty((len(pixels), *image_shape), np.uint8)
    for start in range(0, len(pixels), chunk := 1024):
        part = torch.from_numpy(pixels[start : start + chunk])
        smaller = F.interpolate(part, size=image_shape[1:], mode="bilinear", antialias=True)
        resized[start : start + chunk] = smaller.numpy()
    return resized


def digits(config: DataConfig) -> Source:
    """Return scikit-learn's digits; a fixed fifth of them is the test part."""
    from sklearn.datasets import load_digits  # takes a second, and only this function needs it

    bunch = load_digits()
    pixels = np.round(bunch.images[:, None] * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    train, test = holdout(labels, count=360, seed=0)
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
    """Return CIFAR-10, or CIFAR-100 with its 100 fine classes, from the binary version."""
    layout = known.LAYOUTS[config.name]
    unpacked = (config.folder / config.name / layout.folder, config.folder / layout.folder)
    path = next(filter(Path.is_dir, unpacked), None) or find(config.folder, known.FILES[config.name][0])
    classes, train, test = read_cifar(path, layout)
    return Source(Images(*train), Images(*test), classes)


def image_folder(config: DataConfig) -> Source:
    """Return the images in `data.root`, decoded to `config.image_shape`."""
    classes, train, test = folder.scan(config.folder, config.num_classes)
    train_images, test_images = (Images(folder.decode(part, config.image_shape), part.labels) for part in (train, test))
    return Source(train_images, test_images, classes)


def fake(config: DataConfig) -> Source:
    """Return reproducible random images, with classes about equally frequent."""
    if not config.num_classes:
        raise ConfigError("data=fake needs data.num_classes, a whole number of at least 1")
    num_classes = config.num_classes

    def images(count: int, generator: np.random.Generator) -> Images:
        pixels = generator.integers(0, 256, (count, *config.image_shape), dtype=np.uint8)
        return Images(pixels, generator.permutation(np.arange(count) % num_classes))

    for_train, for_test = np.random.default_rng(0).spawn(2)
    train, test = images(config.num_images, for_train), images(max(1, config.num_images // 4), for_test)
    return Source(train, test, tuple(str(label) for label in range(num_classes)))
