"""Parsers of published formats: IDX (MNIST and relatives), and CIFAR in its binary and its Python version."""

import hashlib
import math
import struct
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.files import LARGEST, damaged, unpacked
from resnet_lab.data.pickles import unpickled

# Images (N, C, H, W) and their classes (N,).
Labelled = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

Flat = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]  # pixels (N, 3072), classes (N,)

_CIFAR_SHAPE = (3, 32, 32)
LARGEST_MEMBER = 2**28  # bytes; CIFAR-100's training part has 155 MB


@dataclass(frozen=True, slots=True)
class CifarLayout:
    """The contents of a CIFAR archive, in one of its two versions."""

    folder: str  # created by unpacking the archive
    train: tuple[str, ...]
    test: tuple[str, ...]
    class_names: str  # the file with the names
    key: bytes = b""  # of the classes in the pickle files of the Python version
    num_label_bytes: int = 0  # per record of the binary version; the last one is the class, after the superclass
    num_train: int = 50_000
    num_test: int = 10_000
    md5s: tuple[str, ...] = ()  # of the unpacked files: train, test, class names; published for the Python version


CIFAR10 = CifarLayout(
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    class_names="batches.meta.txt",
    num_label_bytes=1,
)
CIFAR10_PYTHON = CifarLayout(
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    class_names="batches.meta",
    key=b"labels",
    md5s=(
        "c99cafc152244af753f735de768cd75f",
        "d4bba439e000b95fd0a9bffe97cbabec",
        "54ebc095f3ab1f0389bbae665268c751",
        "634d18415352ddfa80567beed471001a",
        "482c414d41f54cd18b22e5b47cb7c3cb",
        "40351d587109b95175f43aff81a1287e",
        "5ff9c542aee3614f3951f8cda6e48888",
    ),
)
CIFAR100 = CifarLayout(
    folder="cifar-100-binary",
    train=("train.bin",),
    test=("test.bin",),
    class_names="fine_label_names.txt",
    num_label_bytes=2,
)
CIFAR100_PYTHON = CifarLayout(
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    class_names="meta",
    key=b"fine_labels",
    md5s=("16019d7e3df5f24257cddd939b257f8d", "f0ef6b0ae62326f3e7ffdfab6717acfc", "7973b15100ade9c7d40fb424638fde48"),
)


def read_idx(images: Path, labels: Path, num_classes: int) -> Labelled:
    """Read grey images (N, 1, H, W) and their classes (N,) from two IDX files, gzipped or plain.

    Raises ConfigError, naming the file, on a wrong magic number, a length that does not match the dimensions, a label
    that is not a class, or unequal numbers of images and labels.
    """
    pixels = idx_array(images, num_axes=3)[:, None]
    classes = idx_array(labels, num_axes=1)
    if not pixels.size:
        raise damaged(images, f"its images have the shape {pixels.shape}")
    if len(pixels) != len(classes):
        raise ConfigError(f"{images} has {len(pixels)} images, but {labels} has {len(classes)} labels")
    return pixels, _checked(classes, num_classes, labels)


def read_cifar(path: Path, layout: CifarLayout) -> tuple[tuple[str, ...], Labelled, Labelled]:
    """Read class names, training part and test part, images (N, 3, 32, 32), from an archive or its unpacked folder.

    Raises ConfigError, naming the file, when data is missing or truncated, an unpacked file has another checksum than
    the published one, the number of images is not the published one, or a label is not a class.
    """
    files = _cifar_files(path, layout)
    names = _class_names(path, files[layout.class_names], layout)
    parse = _pickled if layout.key else _records
    parts = []
    for members, num_images in ((layout.train, layout.num_train), (layout.test, layout.num_test)):
        pixels, labels = parse(path, [files[name] for name in members], layout, num_images)
        parts.append((pixels.reshape(-1, *_CIFAR_SHAPE), _checked(labels, len(names), path)))
    return names, parts[0], parts[1]


def idx_array(path: Path, num_axes: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: two zeros, type 8, number of axes, their lengths as big-endian 32 bits."""
    start = 4 + 4 * num_axes
    head = unpacked(path, start)
    if head[:4] != bytes([0, 0, 8, num_axes]) or len(head) < start:
        raise damaged(path, f"not an IDX file of unsigned bytes with {num_axes} axes")
    shape = struct.unpack_from(f">{num_axes}I", head, offset=4)
    length = start + math.prod(shape)
    if length > psutil.virtual_memory().total:
        raise damaged(path, f"its dimensions {shape} need more memory than there is")
    data = unpacked(path, length + 1)
    if len(data) != length:
        there = "more" if len(data) > length else f"{len(data)}"
        raise damaged(path, f"{there} bytes, not the {length} of its dimensions {shape}")
    return np.frombuffer(bytearray(data), np.uint8, offset=start).reshape(shape)  # a bytearray is writable


def _cifar_files(path: Path, layout: CifarLayout) -> dict[str, bytes]:
    wanted = {*layout.train, *layout.test, layout.class_names}
    try:
        if path.is_dir():
            there = [name for name in wanted if (path / name).is_file()]
            files = {name: unpacked(path / name, LARGEST_MEMBER) for name in there}
        else:
            files = _tar_members(path, wanted)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise damaged(path, str(error)) from error
    if missing := sorted(wanted - files.keys()):
        raise damaged(path, f"it has no {', '.join(missing)}")
    if path.is_dir():  # the checksum of an archive was found right before
        _check_unpacked(path, layout, files)
    return files


def _check_unpacked(path: Path, layout: CifarLayout, files: dict[str, bytes]) -> None:
    for name, md5 in zip((*layout.train, *layout.test, layout.class_names), layout.md5s, strict=bool(layout.md5s)):
        if hashlib.md5(files[name], usedforsecurity=False).hexdigest() != md5:
            raise ConfigError(
                f"{path / name} has another checksum than the published file: it is damaged, or a different file; "
                f"unpack the archive again, or remove the folder {path} to have the data downloaded"
            )


def _tar_members(path: Path, wanted: set[str]) -> dict[str, bytes]:
    """Read the regular files with these names into memory; write nothing to disk."""
    files = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if archive.offset > LARGEST:
                raise damaged(path, "it unpacks to more than CIFAR has")
            if name in wanted and (stream := archive.extractfile(member)):
                files[name] = stream.read(LARGEST_MEMBER)
    return files


def _class_names(path: Path, data: bytes, layout: CifarLayout) -> tuple[str, ...]:
    if not layout.key:
        return tuple(data.decode("ascii", errors="replace").split())
    names = _content(path, data).get(layout.key[:-1] + b"_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise damaged(path, f"{layout.class_names} has no names")
    return tuple(name.decode("ascii", errors="replace") if isinstance(name, bytes) else name for name in names)


def _records(path: Path, members: Sequence[bytes], layout: CifarLayout, num_images: int) -> Flat:
    """Parse the binary version: records of the label bytes and 3,072 pixels: red, green, blue, each row by row."""
    data, size = b"".join(members), layout.num_label_bytes + math.prod(_CIFAR_SHAPE)
    if len(data) != num_images * size:
        raise damaged(path, f"{len(data)} bytes of images, not {num_images} records of {size}")
    records = np.frombuffer(data, np.uint8).reshape(num_images, size)
    return records[:, layout.num_label_bytes :].copy(), records[:, layout.num_label_bytes - 1]


def _pickled(path: Path, members: Sequence[bytes], layout: CifarLayout, num_images: int) -> Flat:
    """Parse the Python version: dictionaries with arrays of 3,072 pixels for each image, in the same order."""
    pixels: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    width = math.prod(_CIFAR_SHAPE)
    for data in members:
        content = _content(path, data)
        rows, own = content.get(b"data"), content.get(layout.key)
        if not (isinstance(rows, np.ndarray) and rows.dtype == np.uint8 and rows.shape[1:] == (width,)):
            raise damaged(path, f"data is not an array of bytes (N, {width})")
        if not (isinstance(own, list) and all(isinstance(label, int) and 0 <= label < 256 for label in own)):
            raise damaged(path, f"{layout.key.decode()} is not a list of classes")
        pixels.append(rows)
        labels += own
    together = np.concatenate(pixels)
    if not len(together) == len(labels) == num_images:
        raise damaged(path, f"{len(together)} images with {len(labels)} classes, not {num_images}")
    return together, np.array(labels, np.uint8)


def _content(path: Path, data: bytes) -> dict[bytes, Any]:
    try:
        return unpickled(data)
    except ValueError as error:
        raise damaged(path, str(error)) from error


def _checked(labels: npt.NDArray[np.uint8], num_classes: int, path: Path) -> npt.NDArray[np.int64]:
    if labels.size and labels.max() >= num_classes:
        raise damaged(path, f"a label is {labels.max()}, but the classes are 0 to {num_classes - 1}")
    return labels.astype(np.int64)
