"""Own IDX files: found by their usual names, labels counted and named, mistakes told."""

from pathlib import Path

import numpy as np
import pytest
from served import gzipped, idx
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.fingerprint import identified, look_again
from resnet_lab.data.sources import Source, read

RNG = np.random.default_rng(0)
TRAIN, TEST = (RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8) for count in (20, 8))
TRAIN_LABELS, TEST_LABELS = np.arange(20) % 4 + 1, np.arange(8) % 4 + 1  # the letters of EMNIST count from 1


def put(folder: Path, pattern: str = "{part}-{what}-idx{axes}-ubyte", test: str = "t10k", pack: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, images, labels in (("train", TRAIN, TRAIN_LABELS), (test, TEST, TEST_LABELS)):
        for what, array in (("images", images), ("labels", labels)):
            data = gzipped(idx(array)) if pack else idx(array)
            (folder / pattern.format(part=part, what=what, axes=array.ndim)).write_bytes(data)
    return folder


def load(root: Path, *changes: str) -> Source:
    return read(load_config("data=idx", f"data.root={root}", *changes).data)


@pytest.mark.parametrize(
    ("pattern", "test", "pack"),
    [
        ("{part}-{what}-idx{axes}-ubyte", "t10k", False),
        ("{part}-{what}-idx{axes}-ubyte.gz", "t10k", True),
        ("{part}-{what}.idx{axes}-ubyte", "t10k", False),
        ("emnist-letters-{part}-{what}-idx{axes}-ubyte.gz", "test", True),
        ("raw/{part}-{what}-idx{axes}-ubyte", "t10k", False),
    ],
)
def test_the_usual_names(tmp_path: Path, pattern: str, test: str, pack: bool) -> None:
    (tmp_path / "raw").mkdir()
    source = load(put(tmp_path, pattern, test, pack))
    assert source.classes == ("1", "2", "3", "4")
    assert np.array_equal(source.train.pixels[:, 0], TRAIN)
    assert np.array_equal(source.test.pixels[:, 0], TEST)
    assert np.array_equal(source.train.labels, TRAIN_LABELS - 1)
    assert np.array_equal(source.test.labels, TEST_LABELS - 1)


def test_classes_are_counted_and_another_number_is_refused(tmp_path: Path) -> None:
    config = load_config("data=idx", f"data.root={put(tmp_path)}")
    assert config.data.num_classes == config.model.num_classes == 4
    with pytest.raises(ConfigError, match=r"data\.num_classes=5, but .* has 4 classes"):
        load(tmp_path, "data.num_classes=5")


def test_several_sets_in_a_folder_are_told_apart_by_prefix(tmp_path: Path) -> None:
    put(tmp_path, "emnist-letters-{part}-{what}-idx{axes}-ubyte")
    put(tmp_path, "emnist-digits-{part}-{what}-idx{axes}-ubyte")
    with pytest.raises(ConfigError, match=r"of one data set, which data\.prefix chooses; found emnist-digits: .*"):
        load(tmp_path)
    assert len(load(tmp_path, "data.prefix=emnist-digits").train) == 20


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs four files .*; found none$"):
        load(tmp_path)
    put(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ConfigError, match=r"; found : test-images, train-images, train-labels$"):
        load(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(TEST_LABELS + 1))
    with pytest.raises(ConfigError, match=r"the test part has label 5, the training part has not"):
        load(tmp_path)


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    def fingerprint(root: Path) -> str | None:
        look_again()
        return identified(load_config("data=idx", f"data.root={root}"))[0].data.fingerprint

    one = fingerprint(put(tmp_path / "one"))
    assert fingerprint(put(tmp_path / "two", pack=True, pattern="{part}-{what}-idx{axes}-ubyte.gz")) == one
    images = TEST.copy()
    images[3, 2, 1] ^= 1
    (tmp_path / "two" / "t10k-images-idx3-ubyte.gz").write_bytes(gzipped(idx(images)))
    assert fingerprint(tmp_path / "two") not in (one, None)
