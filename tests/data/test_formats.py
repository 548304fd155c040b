"""IDX and CIFAR files are read to the byte; what does not fit is refused by name."""

import dataclasses
import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from served import cifar_archive, cifar_copy, cifar_records, gzipped, idx

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.formats import CIFAR10, CIFAR100, CifarLayout, idx_array, read_cifar, read_idx

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)
LABELS = np.array([3, 1, 2, 0, 9, 9])


def idx_pair(folder: Path, images: bytes, labels: bytes) -> tuple[Path, Path]:
    (folder / "images").write_bytes(images)
    (folder / "labels").write_bytes(labels)
    return folder / "images", folder / "labels"


@pytest.mark.parametrize("pack", [bytes, gzipped])
def test_idx(tmp_path: Path, pack: type[bytes]) -> None:
    pixels, labels = read_idx(*idx_pair(tmp_path, pack(idx(PIXELS)), pack(idx(LABELS))), num_classes=10)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, PIXELS[:, None])
    assert labels.dtype == np.int64
    assert np.array_equal(labels, LABELS)
    assert pixels.flags.writeable  # torch warns at read-only arrays


HALF = len(idx(PIXELS)) // 2
BROKEN_IDX = {
    "images cut in half": (idx(PIXELS)[:HALF], idx(LABELS), "images.*bytes"),
    "gzip cut in half": (gzipped(idx(PIXELS))[:60], idx(LABELS), "images.*end-of-stream"),
    "header cut": (idx(PIXELS)[:10], idx(LABELS), "images.*not an IDX file"),
    "too long": (idx(PIXELS) + b"\0", idx(LABELS), "images.*bytes"),
    "labels for images": (idx(LABELS), idx(LABELS), "images.*not an IDX file"),
    "floats": (b"\0\0\x0d\x03" + idx(PIXELS)[4:], idx(LABELS), "images.*not an IDX file"),
    "a web page": (idx(PIXELS), b"<html>404</html>", "labels.*not an IDX file"),
    "huge dimensions": (struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), idx(LABELS), "images.*more memory"),
    "a label too large": (idx(PIXELS), idx(LABELS + 1), "labels.*a label is 10.*0 to 9"),
    "fewer labels": (idx(PIXELS), idx(LABELS[1:]), "6 images.*5 labels"),
}


@pytest.mark.parametrize("flaw", BROKEN_IDX)
def test_broken_idx_is_refused(tmp_path: Path, flaw: str) -> None:
    images, labels, message = BROKEN_IDX[flaw]
    with pytest.raises(ConfigError, match=message):
        read_idx(*idx_pair(tmp_path, images, labels), num_classes=10)


SMALL10 = dataclasses.replace(CIFAR10, num_train=50, num_test=10)
SMALL100 = dataclasses.replace(CIFAR100, num_train=50, num_test=10)
TRAIN, TEST = (RNG.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8) for count in (50, 10))
TRAIN_LABELS, TEST_LABELS = RNG.integers(0, 10, 50), RNG.integers(0, 10, 10)
NAMES10 = CIFAR10.class_names, b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"


def cifar10_files() -> dict[str, bytes]:
    batches = {
        f"data_batch_{n + 1}.bin": cifar_records(TRAIN[n * 10 : n * 10 + 10], TRAIN_LABELS[n * 10 : n * 10 + 10])
        for n in reversed(range(5))  # the order in the archive does not matter
    }
    return {"readme.html": b"", **batches, "test_batch.bin": cifar_records(TEST, TEST_LABELS), NAMES10[0]: NAMES10[1]}


def cifar100_files() -> dict[str, bytes]:
    names = "".join(f"class_{number}\n" for number in range(100)).encode()
    return {
        "coarse_label_names.txt": b"fish\n",
        "fine_label_names.txt": names,
        "train.bin": cifar_records(TRAIN, TRAIN_LABELS % 2, TRAIN_LABELS + 90),
        "test.bin": cifar_records(TEST, TEST_LABELS % 2, TEST_LABELS + 90),
    }


@pytest.mark.parametrize("unpack", [False, True])
@pytest.mark.parametrize("layout", [SMALL10, SMALL100])
def test_cifar(tmp_path: Path, layout: CifarLayout, unpack: bool) -> None:
    files = cifar10_files() if layout is SMALL10 else cifar100_files()
    path = cifar_copy(tmp_path, layout.folder, files, unpack)
    names, (train, train_labels), (test, test_labels) = read_cifar(path, layout)
    offset = 0 if layout is SMALL10 else 90  # the fine label, not the coarse one before it
    assert names[offset + 3] == ("cat" if layout is SMALL10 else "class_93")
    assert np.array_equal(train, TRAIN)
    assert np.array_equal(test, TEST)
    assert np.array_equal(train_labels, TRAIN_LABELS + offset)
    assert np.array_equal(test_labels, TEST_LABELS + offset)
    assert (train.dtype, train_labels.dtype) == (np.uint8, np.int64)
    assert train.flags.writeable


def test_the_published_layouts() -> None:
    assert (CIFAR10.num_train, CIFAR10.num_test, len(CIFAR10.train)) == (50_000, 10_000, 5)
    assert (CIFAR100.num_train, CIFAR100.num_test, CIFAR100.num_label_bytes) == (50_000, 10_000, 2)


BROKEN_CIFAR = {
    "a batch is missing": ({"data_batch_3.bin": None}, "has no data_batch_3.bin"),
    "half of a batch": (
        {"data_batch_3.bin": 5 * 3073},
        "not 50 records of 3073",
    ),  # whole records: only the number tells
    "a cut record": ({"test_batch.bin": 1000}, "not 10 records of 3073"),
    "no names": ({"batches.meta.txt": None}, "has no batches.meta.txt"),
    "fewer names": ({"batches.meta.txt": 25}, "a label is 9.*0 to "),
}


@pytest.mark.parametrize("flaw", BROKEN_CIFAR)
def test_broken_cifar_is_refused(tmp_path: Path, flaw: str) -> None:
    changes, message = BROKEN_CIFAR[flaw]
    files = cifar10_files()
    for name, length in changes.items():
        data = files.pop(name)
        if length is not None:
            files[name] = data[:length]
    path = cifar_archive(tmp_path / "cifar.tar.gz", SMALL10.folder, files)
    with pytest.raises(ConfigError, match=message) as caught:
        read_cifar(path, SMALL10)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "flipped", "text"])
def test_a_broken_archive_is_refused(tmp_path: Path, damage: str) -> None:
    path = cifar_archive(tmp_path / "cifar.tar.gz", SMALL10.folder, cifar10_files())
    data = path.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes(255 - byte for byte in data[middle : middle + 100]) + data[middle + 100 :]
    path.write_bytes({"cut": data[:middle], "flipped": flipped, "text": b"<html>"}[damage])
    with pytest.raises(ConfigError, match=str(path)):
        read_cifar(path, SMALL10)


def test_a_bomb_is_read_no_further_than_its_dimensions(tmp_path: Path) -> None:
    """A few megabytes of gzip data that unpack to a gigabyte, with a header for three images."""
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 2, 2))
        for _ in range(64):
            file.write(bytes(2**24))
    tracemalloc.start()
    with pytest.raises(ConfigError, match=r"more bytes, not the 28 of its dimensions \(3, 2, 2\)"):
        idx_array(path, num_axes=3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**22


def test_dimensions_beyond_the_memory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**15, 2**15))
    with pytest.raises(ConfigError, match="need more memory than there is"):
        idx_array(path, num_axes=3)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "images"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="images is not a regular file"):
        idx_array(path, num_axes=3)
