"""Series from the files of the archives and from tables: values, parts, lengths, what is missing, and mistakes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.images import Normalisation
from resnet_lab.data.sources import Source, read

HEADER = """#made up
@problemName Made
@timeStamps false
@univariate false
@classLabel true b a
@data
"""
TRAIN = HEADER + "1,2,3,4:0,0,0,1:b\n2,4,?,8:5,5,5,5:a\n1,0:2,2:a\n"
TEST = HEADER + "4,3,2,1:1,1,1,0:a\n"


def put(root: Path, train: str = TRAIN, test: str = TEST, name: str = "Made", suffix: str = "ts") -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for part, text in (("TRAIN", train), ("TEST", test)):
        (folder / f"{name}_{part}.{suffix}").write_text(text)
    return root


def load(root: Path, *changes: str, name: str = "Made") -> Source:
    return read(load_config("data=ucr", f"data.root={root}", f"data.series.name={name}", *changes).data)


def known(values: object) -> np.ndarray:
    """Values as the network is given them if they are not scaled: zeros where nothing is known."""
    array = np.asarray(values)
    plain = Normalisation((0.0,) * array.shape[1], (1.0,) * array.shape[1])
    return plain(torch.from_numpy(array)).numpy()


def test_the_files_say_the_shape(tmp_path: Path) -> None:
    data = load_config("data=ucr", f"data.root={put(tmp_path)}", "data.series.name=Made").data
    assert (data.image_shape, data.num_classes) == ((2, 4), 2)


def test_values_classes_and_parts(tmp_path: Path) -> None:
    source = load(put(tmp_path), "data.series.scale=given")
    assert source.classes == ("a", "b")
    assert source.train.labels.tolist() == [1, 0, 0, 0]
    assert [source.rows[part].tolist() for part in ("train", "test")] == [[0, 1, 2], [3]]
    expected = [
        [[1, 2, 3, 4], [0, 0, 0, 1]],
        [[2, 4, 6, 8], [5, 5, 5, 5]],  # a missing value lies on the line between its neighbours
        [[1, 0, 0, 0], [2, 2, 0, 0]],  # a short series ends in zeros
        [[4, 3, 2, 1], [1, 1, 1, 0]],
    ]
    np.testing.assert_array_equal(known(source.train.pixels), expected)
    assert source.train.pixels.dtype == np.float32
    assert sum("shorter than 4" in note for note in source.notes) == 1
    assert sum("missing values: straight lines" in note for note in source.notes) == 1


def test_each_series_is_scaled_by_itself(tmp_path: Path) -> None:
    source = load(put(tmp_path))
    whole = source.train.pixels[[0, 1, 3]]
    np.testing.assert_allclose(whole.mean(axis=2), 0, atol=1e-6)
    deviations = whole.std(axis=2)
    np.testing.assert_allclose(deviations[deviations > 0], 1, rtol=1e-6)
    assert (deviations == 0).sum() == 1  # a constant channel becomes zeros
    np.testing.assert_allclose(known(source.train.pixels)[2], [[1, -1, 0, 0], [0, 0, 0, 0]])


def test_short_series_can_be_stretched(tmp_path: Path) -> None:
    source = load(put(tmp_path), "data.series.scale=given", "data.series.unequal=stretch")
    np.testing.assert_allclose(source.train.pixels[2], [[1, 2 / 3, 1 / 3, 0], [2, 2, 2, 2]], rtol=1e-6)


def test_missing_values_can_be_zero_after_scaling(tmp_path: Path) -> None:
    source = load(put(tmp_path), "data.series.missing=zero")
    three = np.array([2, 4, 8])
    scaled = (three - three.mean()) / three.std()
    np.testing.assert_allclose(known(source.train.pixels)[1, 0], [scaled[0], scaled[1], 0, scaled[2]], rtol=1e-6)


def test_a_length_of_one_s_own_cuts_or_pads(tmp_path: Path) -> None:
    source = load(put(tmp_path), "data.image_size=3", "data.series.scale=given")
    assert source.train.pixels.shape == (4, 2, 3)
    np.testing.assert_array_equal(source.train.pixels[0, 0], [1, 2, 3])
    assert any("longer than 3: the end is cut off" in note for note in source.notes)


def test_the_other_format(tmp_path: Path) -> None:
    root = put(tmp_path, "2\t1.5\t2\n10\t3\tNaN\n", "2\t0\t1\n", suffix="tsv")
    source = load(root, "data.series.scale=given", "downsample=none")
    assert source.classes == ("2", "10")  # in the order of numbers
    np.testing.assert_array_equal(known(source.train.pixels)[:, 0], [[1.5, 2], [3, 0], [0, 1]])


def test_the_training_part_can_scale_all(tmp_path: Path) -> None:
    root = put(tmp_path)
    settings = ("data=ucr", f"data.root={root}", "data.series.name=Made", "data.series.scale=training")
    data = ImageData(load_config(*settings, "data.series.missing=zero", "data.validation=0"))
    first, second = np.array([1, 2, 3, 4, 2, 4, 8, 1, 0]), np.array([0, 0, 0, 1, 5, 5, 5, 5, 2, 2])  # what is known
    np.testing.assert_allclose(data.normalise.mean, (first.mean(), second.mean()))
    np.testing.assert_allclose(data.normalise.std, (first.std(), second.std()))
    inputs = data.normalise(torch.from_numpy(data.source.train.pixels)).numpy()
    one, two = ((own - own.mean()) / own.std() for own in (first, second))
    np.testing.assert_allclose(inputs[1], [[one[4], one[5], 0, one[6]], two[4:8]], rtol=1e-5)
    np.testing.assert_allclose(inputs[2], [[*one[7:], 0, 0], [*two[8:], 0, 0]], rtol=1e-5)
    given = ImageData(load_config(*settings[:3], "data.validation=0"))
    assert (given.normalise.mean, given.normalise.std) == ((0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("scale", ["each", "training"])
def test_neither_offset_nor_unit_changes_what_is_scaled(tmp_path: Path, offset: float, scale: str) -> None:
    wave = 64 * np.sin(np.arange(40)).round(2)

    def inputs(values: np.ndarray) -> np.ndarray:
        rows = "".join(f"{','.join(map(str, own))}:{label}\n" for own, label in zip(values, "abab", strict=True))
        put(tmp_path, HEADER + rows, HEADER + rows)
        config = load_config("data=ucr", f"data.root={tmp_path}", "data.series.name=Made", f"data.series.scale={scale}")
        data = ImageData(config)
        return data.normalise(torch.from_numpy(data.source.train.pixels)).numpy()

    whole = wave.reshape(4, 10)
    np.testing.assert_allclose(inputs(whole + offset), inputs(whole), atol=2e-3)  # values are stored in float32
    np.testing.assert_allclose(inputs(1e-13 * whole), inputs(whole), rtol=1e-4, atol=1e-6)  # as in teslas


CSV = "class,part,t1,t2,t3\nup,train,1,2,3\ndown,train,3,2,1\nup,test,0,,2\n"


def test_a_table_of_series(tmp_path: Path) -> None:
    (tmp_path / "series.csv").write_text(CSV)
    config = load_config("data=series_table", f"data.root={tmp_path}", "data.series.scale=given")
    assert (config.data.image_shape, config.data.num_classes) == ((1, 3), 2)
    source = read(config.data)
    np.testing.assert_array_equal(source.train.pixels[:, 0], [[1, 2, 3], [3, 2, 1], [0, 1, 2]])
    assert [source.classes[label] for label in source.train.labels] == ["up", "down", "up"]
    assert source.rows["test"].tolist() == [2]


def test_arrays_of_series(tmp_path: Path) -> None:
    x = np.arange(60, dtype=np.float32).reshape(10, 2, 3)
    np.savez(tmp_path / "mine.npz", x=x, kind=np.repeat(["a", "b"], 5))
    mine = ("data.table.file=mine.npz", "data.table.label=kind", f"data.root={tmp_path}", "data.series.scale=given")
    source = read(load_config("data=series_table", *mine).data)
    np.testing.assert_array_equal(source.train.pixels, x)
    assert (len(source.rows["train"]), len(source.rows["test"])) == (8, 2)  # data.test is 0.2
    np.savez(tmp_path / "mine.npz", x=x[:, 0], kind=np.linspace(0, 1, 10))
    numbers = read(load_config("data=series_table", *mine, "task=regression").data)
    np.testing.assert_allclose(numbers.train.labels, np.linspace(0, 1, 10), rtol=1e-6)


@pytest.mark.parametrize(
    ("train", "changes", "message"),
    [
        (TRAIN, ["data.series.name=Mad"], r"data\.series\.name=Mad: .*there are: (.*, )?Made"),
        (TRAIN, ["data.series.name=null"], r"data\.series\.name: choose a data set; .*Made"),
        (TRAIN, ["data.num_classes=3"], r"data\.series\.name=Made has 2 classes, got data\.num_classes=3"),
        (TRAIN, ["data.channels=1"], r"data\.series\.name=Made has 2 channels: data\.channels=2, got 1"),
        (TRAIN, ["data.series.unequal=refuse"], r"has 1 of 4 series shorter than 4: set data\.series\.unequal"),
        (TRAIN, ["data.series.missing=refuse"], r"has 1 of 4 series with missing values: set data\.series\.missing"),
        (TRAIN.replace("1,2,3,4", "1,2,x,4"), [], r"Made_TRAIN\.ts: line 7: could not convert string to float: 'x'"),
        (TRAIN.replace("1,2,3,4", "1,2,inf,4"), [], r"Made_TRAIN\.ts: line 7: inf is too large: .*below 3\.4e38"),
        (TRAIN.replace("1,2,3,4", "1,2,-1e300,4"), [], r"Made_TRAIN\.ts: line 7: -1e300 is too large: .*float32"),
        (TRAIN.replace(":b", ":a"), [], r"needs at least 2 classes, got 1: data\.series\.name=Made has no more"),
        (TRAIN, ["data.num_classes=1"], r"needs at least 2 classes, got 1 from data\.num_classes$"),
        (TRAIN.replace(":b", ":"), [], r"Made_TRAIN\.ts: line 7 has no class"),
        (TRAIN.replace("@timeStamps false", "@timeStamps true"), [], r"@timeStamps true is not read"),
        (TRAIN.replace(":b", ":a").replace("a\n", "c\n"), [], r"no training series has class a"),
        (HEADER, [], r"Made_TRAIN\.ts has no series"),
        (TRAIN.replace("1,2,3,4:", ""), [], r"has 1 and 2 channels: one for all series|has 1, 2 channels"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, train: str, changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(put(tmp_path, train), *changes)


@pytest.mark.parametrize(
    ("suffix", "line", "lacking"), [("tsv", "a,1,2", "tab between class"), ("ts", "1,2,3", "colon between values")]
)
def test_a_line_without_its_class_says_what_separates_it(tmp_path: Path, suffix: str, line: str, lacking: str) -> None:
    with pytest.raises(ConfigError, match=rf"Made_TRAIN\.{suffix}: line 1 has no {lacking}"):
        load(put(tmp_path, line, line, suffix=suffix))


@pytest.mark.parametrize(("task", "needs"), [("regression", "one number for each series"), ("attributes", "yes or no")])
def test_other_tasks_need_a_table_of_series(tmp_path: Path, task: str, needs: str) -> None:
    has = "data=ucr has one class for each series: choose data=series_table, or another task"
    with pytest.raises(ConfigError, match=rf"^task={task} needs {needs}.*, but {has}$"):
        load(put(tmp_path), f"task={task}")
    with pytest.raises(ConfigError, match=r"data=digits has one class for each image: .*\btable, or another task$"):
        load_config("data=digits", f"task={task}")


def test_digits_are_no_series() -> None:
    with pytest.raises(ConfigError, match=r"data=digits has images: data\.dims must be 2, got 1"):
        load_config("data.dims=1", "augment=none", "data.image_size=8")
