"""Holding out is exact, fair to every class and repeatable, and never takes the last image of a class."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.composing import config as load_config
from support.pictures import noise

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.listing import list_images
from resnet_lab.data.split import drawn, holdout

CLASSES = st.lists(st.integers(0, 12), min_size=1, max_size=200)
SEEDS = st.integers(0, 2**32 - 1)


@given(st.data(), CLASSES, SEEDS)
def test_holdout_is_an_exact_stratified_partition(data: st.DataObject, classes: list[int], seed: int) -> None:
    labels = np.array(classes)
    count = data.draw(st.integers(0, len(labels) - 1))
    rest, held_out = holdout(labels, count, seed)
    assert len(held_out) == min(count, len(labels) - len(set(classes)))  # as many as can be
    assert sorted([*rest, *held_out]) == list(range(len(labels)))
    assert list(rest) == sorted(rest)
    assert list(held_out) == sorted(held_out)
    again = holdout(labels, count, seed)
    assert np.array_equal(rest, again[0])
    assert np.array_equal(held_out, again[1])


@given(st.data(), CLASSES, SEEDS)
def test_the_last_image_of_a_class_is_never_held_out(data: st.DataObject, classes: list[int], seed: int) -> None:
    labels = np.array(classes)
    rest, _ = holdout(labels, data.draw(st.integers(0, len(labels) - 1)), seed)
    assert set(labels[rest]) == set(classes)


@given(st.data(), CLASSES, SEEDS)
def test_every_class_is_held_out_in_proportion(data: st.DataObject, classes: list[int], seed: int) -> None:
    labels = np.array(classes)
    count = data.draw(st.integers(0, len(labels) - 1))
    shares = {label: count * np.mean(labels == label) for label in set(classes)}
    assume(all(share <= np.sum(labels == label) - 1 for label, share in shares.items()))  # no class could be emptied
    _, held_out = holdout(labels, count, seed)
    assert len(held_out) == count
    for label, share in shares.items():
        assert abs(np.sum(labels[held_out] == label) - share) < 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50), st.data(), SEEDS)
def test_numbers_have_no_classes_to_be_fair_to(numbers: list[float], data: st.DataObject, seed: int) -> None:
    labels = np.array(numbers, np.float32)
    count = data.draw(st.integers(0, len(labels) - 1))
    rest, held_out = holdout(labels, count, seed)
    assert len(held_out) == count
    assert sorted([*rest, *held_out]) == list(range(len(labels)))


def test_what_a_small_class_keeps_is_taken_from_the_largest() -> None:
    labels = np.array([0] * 50 + [1] * 30 + list(range(2, 22)))
    for seed in range(20):
        rest, held_out = holdout(labels, 50, seed)
        assert set(labels[rest]) == set(range(22))
        assert len(held_out) == 50
        assert set(labels[held_out]) == {0, 1}


def test_seeds_hold_out_different_images_and_every_image_has_its_turn() -> None:
    labels = np.repeat(np.arange(5), 20)
    held_out = [frozenset(holdout(labels, 10, seed)[1].tolist()) for seed in range(200)]
    assert len(set(held_out)) == 200
    turns = np.bincount([index for indices in held_out for index in indices], minlength=100)
    assert turns.min() > 0  # 20 are expected; a sampler that prefers positions in a class would leave some at 0
    assert turns.max() < 60


def test_combinations_of_attributes_and_sizes_of_numbers_are_held_out_in_proportion() -> None:
    rng = np.random.default_rng(0)
    attributes = rng.integers(0, 2, (400, 3)).astype(np.uint8)
    combinations = attributes @ np.array([4, 2, 1])
    held_out = holdout(attributes, 100, 3)[1]
    expected = np.bincount(combinations) / 4
    assert np.abs(np.bincount(combinations[held_out], minlength=8) - expected).max() <= 1
    numbers = rng.normal(size=400).astype(np.float32)
    own = np.argsort(np.argsort(numbers))[holdout(numbers, 100, 3)[1]]
    assert sorted(own // 4) == list(range(100))  # one of each four neighbours


def test_which_images_of_a_class_are_held_out_has_not_changed() -> None:
    labels = np.arange(30) % 3 * (np.arange(30) % 2)
    assert holdout(labels, 7, 5)[1].tolist() == [8, 17, 18, 22, 24, 25, 27]  # stored runs rely on it


@pytest.mark.parametrize("count", [-1, 10, 11])
def test_something_must_be_left(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"data\.validation .* {count} of 10"):
        holdout(np.zeros(10, np.int64), count, 0)
    with pytest.raises(ConfigError, match=rf"^data\.test must leave images to train on: got {count} of 10$"):
        holdout(np.zeros(10, np.int64), count, 0, "data.test")


# --- what a run trains, validates and tests on


def images(*overrides: str, root: Path | None = None) -> ImageData:
    list_images.cache_clear()
    own = ["data=image_folder", f"data.root={root}", "data.channels=1", "data.image_size=8"] if root else []
    return ImageData(load_config(*own, *overrides))


def training_labels(data: ImageData) -> npt.NDArray[np.int64]:
    return data.source.train.labels[data.train_rows]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "images"


def test_what_is_drawn_is_of_all_classes_though_files_are_sorted_by_class() -> None:
    rows, classes = np.arange(7, 1007), np.repeat(np.arange(10), 100)
    assert sorted(drawn(rows, 1000)) == sorted(drawn(rows, 5000)) == rows.tolist()
    few = drawn(rows, 100)
    assert np.array_equal(few, drawn(rows, 100))
    assert len(set(few)) == 100
    assert set(few) < set(rows)
    assert np.bincount(classes[few - 7], minlength=10).min() >= 3


@pytest.mark.parametrize("count", [10, 20, 257, 1293, 1430, 1437])
def test_a_number_of_training_images_is_exact_and_stratified(count: int) -> None:
    data = images(f"data.num_train={count}", "data.validation=0")
    assert len(data.train_rows) == len(set(data.train_rows)) == count
    every = np.bincount(data.source.train.labels)
    assert np.all(np.abs(np.bincount(training_labels(data), minlength=10) - count * every / every.sum()) < 1)


def test_training_images_are_drawn_by_the_seed_of_the_split_from_what_is_not_validated() -> None:
    one, same, other = (
        images("data.num_train=100", "data.validation=200", f"data.split_seed={seed}") for seed in (0, 0, 1)
    )
    whole = images("data.validation=200")
    assert np.array_equal(one.train_rows, same.train_rows)
    assert not np.array_equal(one.train_rows, other.train_rows)
    assert np.array_equal(one.validation_rows, whole.validation_rows)  # the same, however many are trained on
    assert set(one.train_rows) < set(whole.train_rows)
    assert len(one.validation_rows) == 200
    assert np.array_equal(one.test_rows, whole.test_rows)


def test_more_training_images_than_there_are_is_a_mistake() -> None:
    assert len(images("data.num_train=1237", "data.validation=200").train_rows) == 1237
    with pytest.raises(ConfigError, match=r"^data\.num_train=1238, but there are only 1237 images to train on$"):
        images("data.num_train=1238", "data.validation=200")
    with pytest.raises(ConfigError, match=r"data\.num_train must be at least 1, got 0"):
        images("data.num_train=0")


def test_every_class_has_a_training_image_however_few(root: Path) -> None:
    noise(root, {"train/a": 30, "train/b": 1, "train/c": 1, "test/a": 2, "test/b": 2, "test/c": 2})
    data = images("data.num_train=5", "data.validation=5", root=root)
    assert np.bincount(training_labels(data)).tolist() == [3, 1, 1]
    with pytest.raises(ConfigError, match=r"^data\.num_train=2 is less than one image for each of 3 classes$"):
        images("data.num_train=2", root=root)


def test_classes_of_one_image_keep_it(root: Path) -> None:
    noise(root, {f"{part}/{label:02}": 1 for part in ("train", "test") for label in range(20)})
    data = images("data.validation=5", root=root)
    assert sorted(training_labels(data)) == list(range(20))
    assert len(data.validation_rows) == 0
    assert data.notes == ["there is no validation part: too few training images to hold one out"]


def test_it_is_said_which_classes_are_in_one_part_only(root: Path) -> None:
    counts = {f"train/{label}": 2 for label in "abcdefg"} | {"train/h": 20, "train/i": 20, "test/h": 3}
    noise(root, counts)
    data = images("data.validation=4", root=root)
    assert len(data.validation_rows) == 4
    held_out = set(data.source.train.labels[data.validation_rows])
    missing = [label for number, label in enumerate("abcdefghi") if number not in held_out]
    validation, test = data.notes
    assert validation.startswith(f"{len(missing)} of 9 classes have no images in the validation part: {missing[0]}, ")
    assert test == "8 of 9 classes have no images in the test part: a, b, c, d, e …"
    assert images("data.validation=4", "task=reconstruction", "head=latent", root=root).notes == []
    assert images(root=noise(root / "full", dict.fromkeys(("train/a", "train/b", "test/a", "test/b"), 10))).notes == []


def test_a_validation_part_of_none_is_no_word_worth() -> None:
    data = images("data.validation=0")
    assert data.notes == []
    assert len(data.validation_rows) == 0
    assert len(data.train_rows) == 1437


def test_a_validation_folder_is_the_validation_part(root: Path) -> None:
    counts = {"train/a": 6, "train/b": 4, "val/a": 3, "val/b": 2, "test/a": 1, "test/b": 1}
    noise(root, counts)
    for overrides in ([], ["data.validation=0"], ["data.validation=5", "data.split_seed=3"]):
        data = images(*overrides, root=root)
        rows = (data.train_rows, data.validation_rows, data.test_rows)
        assert [len(own) for own in rows] == [10, 5, 2]
        assert len(set(np.concatenate(rows))) == 17
        assert "val/ is the validation part; data.validation is not used" in data.notes
    assert np.bincount(data.source.train.labels[data.validation_rows]).tolist() == [3, 2]
    as_test = images("data.layout=train_val", "data.validation=2", root=root)
    assert [len(own) for own in (as_test.train_rows, as_test.validation_rows, as_test.test_rows)] == [8, 2, 5]
    assert any(note.startswith("val/ is the test part, used once after training") for note in as_test.notes)


def test_a_flat_folder_is_split_by_its_own_seed(root: Path) -> None:
    noise(root, {"a": 30, "b": 20, "c": 1})
    split = {}
    for overrides in (
        (),
        ("data.test_split_seed=1",),
        ("data.split_seed=1",),
        ("data.test=0.5",),
        ("seed=1",),
    ):
        data = images("data.validation=5", *overrides, root=root)
        count = round((0.5 if "data.test=0.5" in overrides else 0.2) * 51)
        assert [len(rows) for rows in (data.test_rows, data.validation_rows)] == [count, 5]
        assert len({*data.train_rows, *data.validation_rows, *data.test_rows}) == 51
        assert set(training_labels(data)) == {0, 1, 2}
        tested = np.bincount(data.source.test.labels[data.test_rows], minlength=3)
        assert np.all(np.abs(tested - count * np.array([30, 20, 1]) / 51) < 1.5)
        share = "0.5" if "data.test=0.5" in overrides else "0.2"
        assert f"{count} of 51 images are the test part (data.test={share})" in data.notes
        split[overrides] = data
    first = split[()]
    assert np.array_equal(first.test_rows, split["seed=1",].test_rows)
    assert np.array_equal(first.test_rows, split["data.split_seed=1",].test_rows)
    assert not np.array_equal(first.validation_rows, split["data.split_seed=1",].validation_rows)
    assert not np.array_equal(first.test_rows, split["data.test_split_seed=1",].test_rows)


def test_a_flat_folder_needs_a_class_of_two_images(root: Path) -> None:
    noise(root, {"a": 1, "b": 1})
    with pytest.raises(ConfigError, match=f"^data.root={root}: a test part needs a class with two images or more$"):
        images(root=root)


@pytest.mark.parametrize("share", ["0", "1", "-0.1", "2", "nan"])
def test_the_test_part_is_a_share(share: str) -> None:
    with pytest.raises(ConfigError, match=r"^data\.test must be a share above 0 and below 1, got "):
        load_config(f"data.test={share}")


def test_digits_are_split_by_their_own_seed() -> None:
    one, again, other = (images(f"data.test_split_seed={seed}") for seed in (0, 0, 1))
    assert np.array_equal(one.source.test.pixels, again.source.test.pixels)
    assert len(other.source.test) == 360
    assert not np.array_equal(one.source.test.pixels, other.source.test.pixels)
    assert np.abs(np.bincount(other.source.test.labels) - 36).max() <= 1
    both = np.concatenate([other.source.train.pixels, other.source.test.pixels]).reshape(1797, -1)
    assert len(np.unique(both, axis=0)) == 1797  # no image is lost or in both parts
