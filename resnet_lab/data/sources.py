"""Every data set there is, as arrays in memory or on the disk: `read` returns the images that a config asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from resnet_lab.choices import DataName
from resnet_lab.config import DataConfig
from resnet_lab.data import folder
from resnet_lab.data.files import DataError, RemoteFile, find
from resnet_lab.data.formats import CIFAR10, CIFAR100, read_cifar, read_idx
from resnet_lab.data.split import holdout


@dataclass(frozen=True, slots=True)
class Images:
    """Images and their classes; of an image folder `pixels` is a read-only memory map."""

    pixels: npt.NDArray[np.uint8]  # (N, C, H, W)
    labels: npt.NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Source:
    """A data set in its published split, and the names of its classes in the order of the labels."""

    train: Images
    test: Images
    classes: tuple[str, ...]


DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

# Channels and classes of the data sets that have no choice.
_NATIVE = {
    DataName.digits: (1, 10),
    DataName.mnist: (1, 10),
    DataName.fashion_mnist: (1, 10),
    DataName.cifar10: (3, 10),
    DataName.cifar100: (3, 100),
}

# Where a package of the operating system puts them.
_SYSTEM = {DataName.fashion_mnist: (Path("/usr/share/datasets/fashion-mnist"),)}

_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_files(dataset: DataName, url: str, checksums: dict[str, str]) -> tuple[RemoteFile, ...]:
    """The four files, from the md5 of each .gz and the sha256 of its content."""
    return tuple(
        RemoteFile(dataset.name, f"{name}.gz", f"{url}/{name}.gz", f"md5:{md5}", content)
        for name, (md5, content) in zip(_IDX_NAMES, checksums.items(), strict=True)
    )


def _cifar_file(dataset: DataName, name: str, md5: str) -> tuple[RemoteFile, ...]:
    return (RemoteFile(dataset.name, name, f"https://www.cs.toronto.edu/~kriz/{name}", f"md5:{md5}"),)


FILES = {
    DataName.mnist: _idx_files(
        DataName.mnist,
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "f68b3c2dcbeaaa9fbdd348bbdeb94873": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "d53e105ee54ea40749a09fcbcd1e9432": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "9fb629c4189551a2d022fa330f9573f3": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ec29112dd5afa0611ce80d1b7f02629c": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    DataName.fashion_mnist: _idx_files(
        DataName.fashion_mnist,
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        {
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "25c81989df183df01b3e8a0aad5dffbe": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "bef4ecab320f06d8554ea6380940ec79": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "bb300cfdad3c16e7a12a480ee83cd310": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    DataName.cifar10: _cifar_file(DataName.cifar10, "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    DataName.cifar100: _cifar_file(DataName.cifar100, "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
}

LAYOUTS = {DataName.cifar10: CIFAR10, DataName.cifar100: CIFAR100}


def read(config: DataConfig) -> Source:
    """The data set that `config` asks for, uint8 images of `config.image_shape`, downloaded if it is not there yet.

    Raises DataError, before anything is downloaded, when data.channels or data.num_classes is not the data set's; and
    when its files are missing and cannot be fetched, or damaged.
    """
    _check_native(config)
    source = _READERS[config.name](config)
    return Source(_resized(source.train, config), _resized(source.test, config), source.classes)


def _check_native(config: DataConfig) -> None:
    if config.name not in _NATIVE:
        return
    channels, num_classes = _NATIVE[config.name]
    for setting, value, native in (
        ("data.channels", config.channels, channels),
        ("data.num_classes", config.num_classes, num_classes),
    ):
        if value != native:
            raise DataError(f"data={config.name.name} needs {setting}={native}, got {setting}={value}")


def _digits(config: DataConfig) -> Source:
    from sklearn.datasets import load_digits  # takes a second, and nothing else needs it

    bunch = load_digits()
    pixels = np.round(bunch.images[:, None] * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    train, test = holdout(labels, count=360, seed=0)
    return Source(Images(pixels[train], labels[train]), Images(pixels[test], labels[test]), DIGITS)


def _idx(config: DataConfig) -> Source:
    classes = CLOTHES if config.name is DataName.fashion_mnist else DIGITS
    system = _SYSTEM.get(config.name, ())
    train_images, train_labels, test_images, test_labels = (
        find(Path(config.root), file, system) for file in FILES[config.name]
    )
    train = Images(*read_idx(train_images, train_labels, len(classes)))
    test = Images(*read_idx(test_images, test_labels, len(classes)))
    return Source(train, test, classes)


def _cifar(config: DataConfig) -> Source:
    layout = LAYOUTS[config.name]
    root = Path(config.root).expanduser()
    unpacked = [path for path in (root / config.name.name / layout.folder, root / layout.folder) if path.is_dir()]
    path = unpacked[0] if unpacked else find(root, FILES[config.name][0])
    classes, train, test = read_cifar(path, layout)
    return Source(Images(*train), Images(*test), classes)


def _image_folder(config: DataConfig) -> Source:
    classes, train, test = folder.scan(Path(config.root).expanduser(), config.num_classes)
    train_images, test_images = (Images(folder.decode(part, config.image_shape), part.labels) for part in (train, test))
    return Source(train_images, test_images, classes)


def _fake(config: DataConfig) -> Source:
    if not config.num_classes:
        raise DataError("data=fake needs data.num_classes, a whole number of at least 1")
    num_classes = config.num_classes

    def images(count: int, generator: np.random.Generator) -> Images:
        pixels = generator.integers(0, 256, (count, *config.image_shape), dtype=np.uint8)
        return Images(pixels, generator.permutation(np.arange(count) % num_classes))

    for_train, for_test = np.random.default_rng(0).spawn(2)
    train, test = images(config.num_images, for_train), images(max(1, config.num_images // 4), for_test)
    return Source(train, test, tuple(str(label) for label in range(num_classes)))


_READERS: dict[DataName, Callable[[DataConfig], Source]] = {
    DataName.digits: _digits,
    DataName.mnist: _idx,
    DataName.fashion_mnist: _idx,
    DataName.cifar10: _cifar,
    DataName.cifar100: _cifar,
    DataName.image_folder: _image_folder,
    DataName.fake: _fake,
}


def _resized(images: Images, config: DataConfig) -> Images:
    """Bilinear with antialiasing to the height and width of the config, without keeping the aspect."""
    _, *size = config.image_shape
    if images.pixels.shape[2:] == tuple(size):
        return images
    pixels = np.empty((len(images), *config.image_shape), np.uint8)
    for start in range(0, len(images), chunk := 1024):
        part = torch.from_numpy(images.pixels[start : start + chunk])
        pixels[start : start + chunk] = F.interpolate(part, size=size, mode="bilinear", antialias=True).numpy()
    return Images(pixels, images.labels)
