"""Every data set there is, as arrays in memory or on the disk: `read` returns the images that a config asks for.

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
    """Images and their labels; of an image folder `pixels` is a read-only memory map."""

    pixels: npt.NDArray[np.uint8]  # (N, C, H, W)
    labels: npt.NDArray[Any]  # as the task takes them: classes (N,) int64, numbers (N,) float32

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Source:
    """A data set in its published split, and the names of its classes in the order of the labels."""

    train: Images
    test: Images
    classes: tuple[str, ...]


def read(config: DataConfig) -> Source:
    """The data set that `config` asks for, uint8 images of `config.image_shape`, downloaded if it is not there yet.

    Raises ConfigError, before anything is downloaded, when data.channels or data.num_classes is not the data set's;
    when its files are damaged, or missing and cannot be fetched; and when what it returns are not images of the config.
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
    """Checked, and resized where they have another size. Raises ConfigError."""
    channels, *size = config.image_shape
    pixels, count = images.pixels, len(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:2] != (count, channels) or not count:
        raise ConfigError(
            f"data={config.name}: images are uint8 (N, {channels}, height, width), at least one, each with a label, "
            f"but these are {pixels.dtype} {pixels.shape} with {count} labels"
        )
    return images if pixels.shape[2:] == tuple(size) else Images(_resized(pixels, config.image_shape), images.labels)


def _resized(pixels: npt.NDArray[np.uint8], image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Bilinear with antialiasing to the height and width of `image_shape`, without keeping the aspect."""
    resized = np.empty((len(pixels), *image_shape), np.uint8)
    for start in range(0, len(pixels), chunk := 1024):
        part = torch.from_numpy(pixels[start : start + chunk])
        smaller = F.interpolate(part, size=image_shape[1:], mode="bilinear", antialias=True)
        resized[start : start + chunk] = smaller.numpy()
    return resized


def digits(config: DataConfig) -> Source:
    """scikit-learn's digits; a fifth of them, always the same, are the test part."""
    from sklearn.datasets import load_digits  # takes a second, and nothing else needs it

    bunch = load_digits()
    pixels = np.round(bunch.images[:, None] * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    train, test = holdout(labels, count=360, seed=0)
    return Source(Images(pixels[train], labels[train]), Images(pixels[test], labels[test]), known.CLASSES["digits"])


def idx(config: DataConfig) -> Source:
    """MNIST or Fashion-MNIST, as their authors publish them."""
    classes, system = known.CLASSES[config.name], known.SYSTEM.get(config.name, ())
    train_images, train_labels, test_images, test_labels = (
        find(config.folder, file, system) for file in known.FILES[config.name]
    )
    train = Images(*read_idx(train_images, train_labels, len(classes)))
    test = Images(*read_idx(test_images, test_labels, len(classes)))
    return Source(train, test, classes)


def cifar(config: DataConfig) -> Source:
    """CIFAR-10, or CIFAR-100 with its 100 fine classes, in the binary version."""
    layout = known.LAYOUTS[config.name]
    unpacked = (config.folder / config.name / layout.folder, config.folder / layout.folder)
    path = next(filter(Path.is_dir, unpacked), None) or find(config.folder, known.FILES[config.name][0])
    classes, train, test = read_cifar(path, layout)
    return Source(Images(*train), Images(*test), classes)


def image_folder(config: DataConfig) -> Source:
    """The images in `data.root`, decoded at the size of the config."""
    classes, train, test = folder.scan(config.folder, config.num_classes)
    train_images, test_images = (Images(folder.decode(part, config.image_shape), part.labels) for part in (train, test))
    return Source(train_images, test_images, classes)


def fake(config: DataConfig) -> Source:
    """Random images, always the same, with every class equally often."""
    if not config.num_classes:
        raise ConfigError("data=fake needs data.num_classes, a whole number of at least 1")
    num_classes = config.num_classes

    def images(count: int, generator: np.random.Generator) -> Images:
        pixels = generator.integers(0, 256, (count, *config.image_shape), dtype=np.uint8)
        return Images(pixels, generator.permutation(np.arange(count) % num_classes))

    for_train, for_test = np.random.default_rng(0).spawn(2)
    train, test = images(config.num_images, for_train), images(max(1, config.num_images // 4), for_test)
    return Source(train, test, tuple(str(label) for label in range(num_classes)))
