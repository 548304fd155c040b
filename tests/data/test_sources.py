"""Every data set as the config asks for it, and one clear message where it cannot be."""

import dataclasses
import gzip
import hashlib
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from served import BreaksOff, Serve, cifar_archive, cifar_records, gzipped, idx

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import DataConfig
from resnet_lab.data import known
from resnet_lab.data.sources import Source, read

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
RNG = np.random.default_rng(0)


def config(name: str, root: Path | str = "nowhere", **settings: object) -> DataConfig:
    channels, num_classes = {"cifar10": (3, 10), "cifar100": (3, 100), "fake": (3, 10)}.get(name, (1, 10))
    size = {"digits": 8, "mnist": 28, "fashion_mnist": 28}.get(name, 32)
    defaults = {"channels": channels, "num_classes": num_classes, "image_size": size, "root": str(root)}
    return DataConfig(name=name, **(defaults | settings))  # type: ignore[arg-type]


def shapes(source: Source) -> list[tuple[int, ...]]:
    """Of the pixels; what holds of every source is checked on the way."""
    for images in (source.train, source.test):
        assert images.pixels.dtype == np.uint8
        assert images.labels.dtype == np.int64
        assert len(images) == len(images.pixels) == len(images.labels)
        assert images.labels.min() >= 0
        assert images.labels.max() < len(source.classes)
    return [source.train.pixels.shape, source.test.pixels.shape]


def test_digits() -> None:
    source = read(config("digits"))
    assert shapes(source) == [(1437, 1, 8, 8), (360, 1, 8, 8)]
    assert source.classes == tuple("0123456789")
    assert len(np.unique(source.train.pixels)) == 17
    assert source.train.pixels.max() == 255
    assert np.abs(np.bincount(source.test.labels) - 36).max() <= 1
    both = np.concatenate([source.train.pixels, source.test.pixels]).reshape(1797, -1)
    assert len(np.unique(both, axis=0)) == 1797  # no image is lost or in both parts


def test_digits_are_split_the_same_whatever_the_seed() -> None:
    one, other = read(config("digits")), read(config("digits", split_seed=7))
    assert np.array_equal(one.test.pixels, other.test.pixels)


def test_labels_stay_with_their_images() -> None:
    """The nearest training image says what a digit is; on shuffled labels it would be right in 10 %."""
    source = read(config("digits"))
    train, test = (images.pixels.reshape(len(images), -1).astype(np.float64) for images in (source.train, source.test))
    nearest = np.argmin((train**2).sum(1) - 2 * test @ train.T, axis=1)
    assert np.mean(source.train.labels[nearest] == source.test.labels) > 0.95


def test_fake() -> None:
    settings = config("fake", channels=2, image_size=[6, 5], num_classes=7, num_images=50)
    source = read(settings)
    assert shapes(source) == [(50, 2, 6, 5), (12, 2, 6, 5)]
    assert set(source.train.labels) == set(source.test.labels) == set(range(7))
    assert source.train.labels.tolist() != sorted(source.train.labels)
    assert not np.array_equal(source.train.pixels[:12], source.test.pixels)
    assert np.array_equal(source.train.pixels, read(settings).train.pixels)
    assert shapes(read(config("fake", num_images=1))) == [(1, 3, 32, 32)] * 2


def test_resizing_averages(tmp_path: Path) -> None:
    native, small, wide = (read(config("digits", image_size=size)) for size in (8, 4, [8, 16]))
    assert shapes(small) == [(1437, 1, 4, 4), (360, 1, 4, 4)]
    assert shapes(wide) == [(1437, 1, 8, 16), (360, 1, 8, 16)]
    assert np.array_equal(native.train.labels, small.train.labels)
    image = Image.fromarray(native.test.pixels[0, 0]).resize((4, 4), Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(image, int) - small.test.pixels[0, 0]).max() <= 1  # as a folder's images are resized


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    for name in ("digits", "fake"):
        one, other = read(config(name)), read(config(name))
        assert np.array_equal(one.test.pixels, other.test.pixels)
        assert np.array_equal(one.test.labels, other.test.labels)


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_settings_that_do_not_fit_are_refused_before_anything_is_downloaded(name: str, tmp_path: Path) -> None:
    right = config(name, tmp_path)
    wrong = 1 if right.channels == 3 else 3
    with pytest.raises(
        ConfigError, match=rf"^data={name} needs data.channels={right.channels}, got data.channels={wrong}$"
    ):
        read(dataclasses.replace(right, channels=wrong))
    with pytest.raises(ConfigError, match=rf"^data={name} needs data.num_classes={right.num_classes}, got .*=11$"):
        read(dataclasses.replace(right, num_classes=11))
    assert list(tmp_path.iterdir()) == []


def test_importing_reads_and_fetches_nothing() -> None:
    code = (
        "import sys; sys.addaudithook(lambda event, _: event == 'socket.connect' and sys.exit('network'));"
        "import resnet_lab.data.sources; sys.exit('sklearn' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small CIFAR-10 in `tmp_path/www`, in the published format; returns its pixels and labels."""
    pixels = RNG.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    labels = RNG.permutation(np.arange(60) % 10)
    files = {f"data_batch_{n + 1}.bin": cifar_records(pixels[n::6], labels[n::6]) for n in range(5)}
    files |= {"test_batch.bin": cifar_records(pixels[5::6], labels[5::6])}
    files |= {"batches.meta.txt": b"airplane automobile bird cat deer dog frog horse ship truck ".replace(b" ", b"\n")}
    (tmp_path / "www").mkdir()
    cifar_archive(tmp_path / "www" / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", files)
    layouts = tuple(
        dataclasses.replace(layout, num_train=50, num_test=10, md5s=()) for layout in known.LAYOUTS["cifar10"]
    )
    monkeypatch.setitem(known.LAYOUTS, "cifar10", layouts)
    return {
        "train": np.stack([pixels[n::6].reshape(10, -1) for n in range(5)]),
        "labels": [labels[n::6].tolist() for n in range(5)],
        "test": pixels[5::6],
        "test_labels": labels[5::6],
        "train_labels": np.concatenate([labels[n::6] for n in range(5)]),
    }


def publish(monkeypatch: pytest.MonkeyPatch, name: str, url: str, folder: Path) -> None:
    """Let a data set be the files in a folder, fetched from a URL."""
    monkeypatch.setitem(
        known.FILES,
        name,
        tuple(
            dataclasses.replace(
                file,
                url=f"{url}/{file.name}",
                checksum=f"md5:{hashlib.md5(data).hexdigest()}",
                content_sha256=file.content_sha256 and hashlib.sha256(gzip.decompress(data)).hexdigest(),
            )
            for file in known.FILES[name]
            if (folder / file.name).exists()
            for data in [(folder / file.name).read_bytes()]
        ),
    )


def test_cifar_from_the_network(
    cifar: dict[str, Any], serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, www = tmp_path / "data", tmp_path / "www"
    publish(monkeypatch, "cifar10", serve(www, BreaksOff), www)
    with pytest.raises(ConfigError, match=r"cifar-10-binary\.tar\.gz.*IncompleteRead"):
        read(config("cifar10", root))

    publish(monkeypatch, "cifar10", serve(www), www)
    source = read(config("cifar10", root))
    assert shapes(source) == [(50, 3, 32, 32), (10, 3, 32, 32)]
    assert source.classes[:2] == ("airplane", "automobile")
    assert len(source.classes) == 10
    assert np.array_equal(source.test.pixels, cifar["test"])
    assert np.array_equal(source.test.labels, cifar["test_labels"])
    assert np.array_equal(source.train.labels, cifar["train_labels"])

    archive = root / "cifar10" / "cifar-10-binary.tar.gz"
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(ConfigError, match=f"{archive} cannot be used"):
        read(config("cifar10", root))


def test_a_corrupted_archive_on_the_server_is_refused(
    cifar: dict[str, Any], serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    www = tmp_path / "www"
    publish(monkeypatch, "cifar10", serve(www), www)
    archive = www / "cifar-10-binary.tar.gz"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    with pytest.raises(ConfigError, match="wrong checksum"):
        read(config("cifar10", tmp_path / "data"))
    assert not (tmp_path / "data" / "cifar10" / archive.name).exists()


@pytest.mark.parametrize("below", [".", "cifar10"])
def test_an_unpacked_cifar_needs_no_archive(
    cifar: dict[str, Any], tmp_path: Path, below: str, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, "cifar10", closed_port, tmp_path / "www")
    with tarfile.open(tmp_path / "www" / "cifar-10-binary.tar.gz") as archive:
        archive.extractall(tmp_path / "data" / below, filter="data")
    source = read(config("cifar10", tmp_path / "data"))
    assert np.array_equal(source.test.pixels, cifar["test"])


@pytest.mark.parametrize("unpack", [False, True])
@pytest.mark.parametrize("below", [".", "cifar10", "itself"])
def test_the_python_version_of_cifar_is_read_if_it_is_there(
    cifar: dict[str, Any], tmp_path: Path, below: str, unpack: bool, closed_port: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    www, root = tmp_path / "www", tmp_path / "data"
    files = {f"data_batch_{n + 1}": {"data": cifar["train"][n], "labels": cifar["labels"][n]} for n in range(5)}
    files |= {"test_batch": {"data": cifar["test"].reshape(10, -1), "labels": cifar["test_labels"].tolist()}}
    files |= {"batches.meta": {"label_names": [b"airplane", b"automobile", *(b"%d" % n for n in range(8))]}}
    pickled = {name: pickle.dumps(content, 2) for name, content in files.items()}
    cifar_archive(www / "cifar-10-python.tar.gz", "cifar-10-batches-py", pickled)
    publish(monkeypatch, "cifar10", closed_port, www)
    place = root / ("." if below == "itself" else below)
    place.mkdir(parents=True)
    if unpack:
        with tarfile.open(www / "cifar-10-python.tar.gz") as archive:
            archive.extractall(place, filter="data")
        root = root / "cifar-10-batches-py" if below == "itself" else root
    else:
        (www / "cifar-10-python.tar.gz").rename(place / "cifar-10-python.tar.gz")
    source = read(config("cifar10", root))
    assert np.array_equal(source.test.pixels, cifar["test"])
    assert np.array_equal(source.train.labels, cifar["train_labels"])
    assert source.classes[:2] == ("airplane", "automobile")


def test_the_binary_folder_itself_can_be_the_root(
    cifar: dict[str, Any], tmp_path: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, "cifar10", closed_port, tmp_path / "www")
    with tarfile.open(tmp_path / "www" / "cifar-10-binary.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    source = read(config("cifar10", tmp_path / "cifar-10-batches-bin"))
    assert np.array_equal(source.test.pixels, cifar["test"])


@pytest.mark.parametrize("place", ["MNIST/raw", "raw", "mnist", "."])
@pytest.mark.parametrize("dot", [False, True])
def test_mnist_where_other_programs_put_it(
    place: str, dot: bool, closed_port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, count in zip(known.FILES["mnist"], (20, 20, 10, 10), strict=True):
        array = np.full((count, 28, 28), 7) if "images" in file.name else np.arange(count) % 10
        (tmp_path / file.name).write_bytes(gzipped(idx(array)))
    publish(monkeypatch, "mnist", closed_port, tmp_path)
    root = tmp_path / "data"
    (root / place).mkdir(parents=True)
    for file in known.FILES["mnist"]:  # unpacked, as by torchvision
        name = file.name.removesuffix(".gz")
        data = gzip.decompress((tmp_path / file.name).read_bytes())
        (root / place / (name.replace("-idx", ".idx") if dot else name)).write_bytes(data)
    assert shapes(read(config("mnist", root))) == [(20, 1, 28, 28), (10, 1, 28, 28)]


def test_no_network_is_one_message(closed_port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = known.FILES["cifar100"]
    monkeypatch.setitem(known.FILES, "cifar100", (dataclasses.replace(file, url=f"{closed_port}/{file.name}"),))
    with pytest.raises(ConfigError) as caught:
        read(config("cifar100", tmp_path))
    message = str(caught.value)
    assert message.startswith(f"data=cifar100 needs {file.name}, which is not in data.root={tmp_path}, and downloading")
    assert "Connection refused" in message
    assert f"{tmp_path}/cifar100" in message
    assert "\n" not in message


def test_the_published_checksums_are_those_of_the_references() -> None:
    cifar10, cifar10_python = known.FILES["cifar10"]
    cifar100, cifar100_python = known.FILES["cifar100"]
    assert (cifar10.url, cifar10.checksum) == (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
    )
    assert cifar100.checksum == "md5:03b5dce01913d631647c71ecec9e9cb8"
    assert cifar10_python.checksum == "md5:c58f30108f718f92721af3b95e74349a"
    assert cifar100_python.checksum == "md5:eb9058c3a382ffc7106e4002c42a8d85"
    for name in ("mnist", "fashion_mnist"):
        assert [file.url.rpartition("/")[2] for file in known.FILES[name]] == [
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
        ]


def test_mnist_and_fashion_mnist_share_a_root_without_mixing(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "SYSTEM", {})
    shade = {"mnist": 10, "fashion_mnist": 20}
    for name, value in shade.items():
        folder = tmp_path / name
        folder.mkdir()
        for file, count in zip(known.FILES[name], (20, 20, 10, 10), strict=True):
            array = np.full((count, 28, 28), value) if "images" in file.name else np.arange(count) % 10
            (folder / file.name).write_bytes(gzipped(idx(array)))
        publish(monkeypatch, name, serve(folder), folder)
    for name, value in shade.items():
        source = read(config(name, tmp_path / "data"))
        assert shapes(source) == [(20, 1, 28, 28), (10, 1, 28, 28)]
        assert np.all(source.train.pixels == value)
        assert source.classes[0] == ("0" if name == "mnist" else "T-shirt/top")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_used(tmp_path: Path) -> None:
    source = read(config("fashion_mnist", tmp_path))
    assert shapes(source) == [(60_000, 1, 28, 28), (10_000, 1, 28, 28)]
    assert list(tmp_path.iterdir()) == []
    assert np.bincount(source.train.labels).tolist() == [6000] * 10
    assert source.train.pixels.mean() / 255 == pytest.approx(0.2860, abs=1e-4)  # as published
    assert source.classes[source.train.labels[0]] == "Ankle boot"


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_not_taken_for_mnist(
    closed_port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in DEBIAN.iterdir():
        (tmp_path / file.name).symlink_to(file)
    offline = tuple(dataclasses.replace(file, url=closed_port) for file in known.FILES["mnist"])
    monkeypatch.setitem(known.FILES, "mnist", offline)
    with pytest.raises(ConfigError, match=r"has other content; for another data set in this format, use data=idx"):
        read(config("mnist", tmp_path))


def test_image_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for part, label, count in (("train", "b", 3), ("train", "a", 2), ("test", "b", 1)):
        for number in range(count):
            path = tmp_path / "pictures" / part / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 9), (255, 0, 0)).save(path)
    source = read(config("image_folder", "~/pictures", channels=3, image_size=[4, 6], num_classes=2))
    assert source.train is source.test
    assert source.train.pixels.shape == (6, 3, 4, 6)
    assert {part: rows.tolist() for part, rows in source.rows.items()} == {"train": [0, 1, 2, 3, 4], "test": [5]}
    assert source.classes == ("a", "b")
    assert source.train.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert np.all(source.train.pixels == np.array([255, 0, 0])[:, None, None])
