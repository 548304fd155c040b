"""The Python version of CIFAR: read as published; whatever else a pickle file asks for is refused."""

import dataclasses
import hashlib
import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import cifar_archive, cifar_copy

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.formats import CIFAR10_PYTHON, CIFAR100_PYTHON, CifarLayout, read_cifar
from resnet_lab.data.pickles import unpickled

RNG = np.random.default_rng(0)
TRAIN, TEST = (RNG.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8) for count in (50, 10))
TRAIN_LABELS, TEST_LABELS = RNG.integers(0, 10, 50), RNG.integers(0, 10, 10)
SMALL10 = dataclasses.replace(CIFAR10_PYTHON, num_train=50, num_test=10, md5s=())
SMALL100 = dataclasses.replace(CIFAR100_PYTHON, num_train=50, num_test=10, md5s=())


def python2(content: dict[str, Any]) -> bytes:
    """A pickle file as Python 2 wrote it: protocol 2, keys, names and array contents as byte strings, no unicode."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def item(value: Any) -> bytes:
        if isinstance(value, bytes):
            return text(value)
        if isinstance(value, list):
            return b"](" + b"".join(map(item, value)) + b"e"
        if isinstance(value, int):
            return b"J" + value.to_bytes(4, "little", signed=True)
        head = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        shape = b"".join(b"J" + n.to_bytes(4, "little") for n in value.shape)
        dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        return head + b"(K\x01" + shape + b"\x86" + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    pairs = b"".join(text(key.encode()) + item(value) for key, value in content.items())
    return b"\x80\x02}(" + pairs + b"u."


def python3(content: dict[str, Any], protocol: int = 4) -> bytes:
    return pickle.dumps(content, protocol=protocol)


def cifar10_files(dump: Any) -> dict[str, bytes]:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    batches = {
        f"data_batch_{n + 1}": {
            "data": TRAIN[n * 10 : n * 10 + 10].reshape(10, 3072),
            "labels": TRAIN_LABELS[n * 10 : n * 10 + 10].tolist(),
            "batch_label": b"training batch",
            "filenames": [b"a.png"] * 10,
        }
        for n in range(5)
    }
    test = {"data": TEST.reshape(10, 3072), "labels": TEST_LABELS.tolist()}
    meta = {"label_names": [name.encode() for name in names], "num_cases_per_batch": 10, "num_vis": 3072}
    return {name: dump(content) for name, content in {**batches, "test_batch": test, "batches.meta": meta}.items()}


def cifar100_files(dump: Any) -> dict[str, bytes]:
    names = [f"class_{number}".encode() for number in range(100)]
    train, test = (
        {"data": pixels.reshape(len(pixels), 3072), "fine_labels": (labels + 90).tolist(), "coarse_labels": [0]}
        for pixels, labels in ((TRAIN, TRAIN_LABELS), (TEST, TEST_LABELS))
    )
    return {name: dump(content) for name, content in {"train": train, "test": test, "meta": {
        "fine_label_names": names, "coarse_label_names": [b"fish"]}}.items()}  # fmt: skip


@pytest.mark.parametrize("dump", [python2, python3, lambda content: python3(content, 2)], ids=["2", "3", "3 as 2"])
@pytest.mark.parametrize("unpack", [False, True])
@pytest.mark.parametrize("layout", [SMALL10, SMALL100], ids=["10", "100"])
def test_cifar_as_published_in_its_python_version(tmp_path: Path, layout: CifarLayout, unpack: bool, dump: Any) -> None:
    files = (cifar10_files if layout is SMALL10 else cifar100_files)(dump)
    path = cifar_copy(tmp_path, layout.folder, files, unpack)
    names, (train, train_labels), (test, test_labels) = read_cifar(path, layout)
    offset = 0 if layout is SMALL10 else 90
    assert names[offset + 3] == ("cat" if layout is SMALL10 else "class_93")
    assert np.array_equal(train, TRAIN)
    assert np.array_equal(test, TEST)
    assert np.array_equal(train_labels, TRAIN_LABELS + offset)
    assert np.array_equal(test_labels, TEST_LABELS + offset)
    assert (train.dtype, train_labels.dtype) == (np.uint8, np.int64)


def test_the_file_of_python_2_is_one(tmp_path: Path) -> None:
    """The bytes made above are what a real unpickler of Python 3 reads as well."""
    content = {"data": TEST.reshape(10, 3072), "labels": TEST_LABELS.tolist()}
    read = pickle.loads(python2(content), encoding="bytes")
    assert np.array_equal(read[b"data"], content["data"])
    assert read[b"labels"] == content["labels"]


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


MARK = "was here"


@pytest.mark.parametrize(
    "hostile",
    [
        Calls(os.system, f"touch '{MARK}'"),
        Calls(os.mkdir, MARK),
        Calls(eval, f"open('{MARK}', 'w')"),
        Calls(np.fromfile, "/etc/passwd"),
        Calls(np.save, MARK, TEST),
        Calls(getattr, np, "load"),
        np.array([print, os], object),
        np.zeros(3, [("name", "O")]),
        np.float64(1),
        {1, 2},
        Path("."),
    ],
    ids=["system", "mkdir", "eval", "fromfile", "save", "getattr", "objects", "records", "scalar", "set", "path"],
)
def test_nothing_else_is_called_or_made(hostile: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4):
        try:
            data = pickle.dumps({"data": hostile}, protocol=protocol)
        except (pickle.PicklingError, TypeError):
            continue  # modules cannot be pickled
        if isinstance(hostile, set) and protocol == 4:
            continue  # a set of numbers is plain data there, and calls nothing
        with pytest.raises(ValueError, match="not a pickle file of arrays"):
            unpickled(data)
    assert list(tmp_path.iterdir()) == []


def test_bytes_never_become_objects() -> None:
    """NumPy's own functions would read an address from the bytes of an array whose type says that it holds objects."""
    whole = python2({"data": np.zeros((1, 8), np.uint8)})
    for kind in (b"O8", b"O", b"V8", b"M8", b"S9", b"U2"):
        data = whole.replace(b"U\x02u1", b"U" + bytes([len(kind)]) + kind)
        pickletools.dis(data, out=io.StringIO())  # it is well-formed
        with pytest.raises(ValueError, match="an array of"):
            unpickled(data)


BROKEN = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "a web page": lambda data: b"<html>",
    "a list": lambda data: pickle.dumps([1, 2]),
    "a shape that does not fit": lambda data: python2({"data": np.zeros((2, 2), np.uint8)}).replace(
        b"J\x02\0\0\0J\x02\0\0\0", b"J\x02\0\0\0J\x03\0\0\0"
    ),
    "other images": lambda data: python3({"data": np.zeros((10, 100), np.uint8), "labels": [0] * 10}),
    "other numbers": lambda data: python3({"data": np.zeros((10, 3072), np.int64), "labels": [0] * 10}),
    "no labels": lambda data: python3({"data": np.zeros((10, 3072), np.uint8)}),
    "words as labels": lambda data: python3({"data": np.zeros((10, 3072), np.uint8), "labels": ["a"] * 10}),
    "fewer labels": lambda data: python3({"data": np.zeros((10, 3072), np.uint8), "labels": [0] * 9}),
    "a label too large": lambda data: python3({"data": np.zeros((10, 3072), np.uint8), "labels": [10] * 10}),
}


@pytest.mark.parametrize("flaw", BROKEN)
@pytest.mark.parametrize("name", ["test_batch", "batches.meta"])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, flaw: str, name: str) -> None:
    files = cifar10_files(python2)
    files[name] = BROKEN[flaw](files[name])
    path = cifar_archive(tmp_path / "cifar.tar.gz", SMALL10.folder, files)
    with pytest.raises(ConfigError) as caught:
        read_cifar(path, SMALL10)
    assert str(caught.value).startswith(f"{path} cannot be used (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_an_unpacked_file_has_the_published_checksum(tmp_path: Path, name: str) -> None:
    files = cifar10_files(python2)
    in_order = (*SMALL10.train, *SMALL10.test, SMALL10.class_names)
    layout = dataclasses.replace(SMALL10, md5s=tuple(hashlib.md5(files[file]).hexdigest() for file in in_order))
    path = cifar_copy(tmp_path, layout.folder, files, unpack=True)
    read_cifar(path, layout)
    (path / name).write_bytes(files[name] + b"\n")  # which unpickling would not notice
    read_cifar(path, SMALL10)
    with pytest.raises(ConfigError, match=rf"^{path / name} has another checksum .* remove the folder {path} to have"):
        read_cifar(path, layout)


@pytest.mark.parametrize("layout", [CIFAR10_PYTHON, CIFAR100_PYTHON])
def test_every_published_file_has_a_checksum(layout: CifarLayout) -> None:
    assert len(layout.md5s) == len(set(layout.md5s)) == len(layout.train) + 2
    assert all(len(bytes.fromhex(md5)) == 16 for md5 in layout.md5s)
