"""A folder of images and a table: the same images and labels as in class folders; mistakes in the table are named."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.fingerprint import identified
from resnet_lab.data.sources import Source, read

HEADER = "file,class,part"
ROWS = ("a/1.png,cat,train", "b.png,dog,train", "a/2.png,cat,test", "a/3.png,dog,test", "a/4.png,cat,train")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(root: Path, lines: Iterable[str], name: str = "labels.csv") -> Path:
    for number, file in enumerate(("a/1.png", "a/2.png", "a/3.png", "a/4.png", "b.png")):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(root / file)
    (root / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return root


def load(root: Path, *changes: str) -> Source:
    return read(load_config("data=table", f"data.root={root}", "data.image_size=4", *changes).data)


def red(source: Source, part: str) -> list[tuple[int, str]]:
    """The red value, which tells the file, and the class of each image of a part."""
    rows = source.rows[part]
    classes = [source.classes[label] for label in source.train.labels[rows]]
    return list(zip(source.train.pixels[rows][:, 0, 0, 0].tolist(), classes, strict=True))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_parts_and_classes(tmp_path: Path, delimiter: str) -> None:
    root = put(tmp_path / "images", [line.replace(",", delimiter) for line in (HEADER, *ROWS)])
    source = load(root)
    assert source.classes == ("cat", "dog")
    assert red(source, "train") == [(0, "cat"), (3, "cat"), (4, "dog")]
    assert red(source, "test") == [(1, "cat"), (2, "dog")]


def test_a_part_for_validation_is_used_as_such(tmp_path: Path) -> None:
    rows = (*ROWS[:3], "a/3.png,dog,validation", "a/4.png,cat,val")
    config = load_config("data=table", f"data.root={put(tmp_path / 'images', (HEADER, *rows))}", "data.image_size=4")
    data = ImageData(config)
    assert data.source.train.labels[data.validation_rows].tolist() == [0, 1]
    assert (len(data.train_rows), len(data.test_rows)) == (2, 1)


def test_other_columns_numbers_as_parts_and_another_file(tmp_path: Path) -> None:
    lines = ["id\timage\tspecies\tsplit"]
    lines += [f"{n}\t{row}" for n, row in enumerate(r.replace(",", "\t") for r in ROWS)]
    lines = [line.replace("train", "0").replace("test", "2") for line in lines]
    root = put(tmp_path / "images", lines, "list.tsv")
    columns = [f"data.table.{name}" for name in ("file=list.tsv", "image=image", "label=species", "part=split")]
    assert red(load(root, *columns), "train") == [(0, "cat"), (3, "cat"), (4, "dog")]


def test_without_parts_a_share_is_the_test_part(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in ROWS]
    root = put(tmp_path / "images", ("file,class", *rows))
    source = load(root, "data.test=0.4")
    assert sorted(red(source, "train") + red(source, "test")) == [
        (0, "cat"), (1, "cat"), (2, "dog"), (3, "cat"), (4, "dog"),
    ]  # fmt: skip
    assert len(source.rows["test"]) == 2
    parts = {tuple(load(root, "data.test=0.4", f"data.test_split_seed={seed}").rows["test"]) for seed in range(9)}
    assert len(parts) > 1


def test_classes_that_are_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    rows = [row.replace("cat", "10").replace("dog", "9") for row in ROWS]
    assert load(put(tmp_path / "images", (HEADER, *rows))).classes == ("9", "10")


def test_images_that_are_not_in_the_table_are_told(tmp_path: Path) -> None:
    source = load(put(tmp_path / "images", (HEADER, *ROWS[:4])))
    assert source.notes == ("1 image not in labels.csv (a/4.png)",)


MISTAKES = {
    "no table": (
        None,
        r"data\.table\.file: there is no .*labels\.csv; write a table with the columns file and class, or",
    ),
    "no rows": ((HEADER,), r"labels\.csv has no rows"),
    "no column of files": (
        ("name,class,part", *ROWS),
        r"data\.table\.image=file: .* no such column; its columns: name, cla",
    ),
    "no column of classes": (("file,kind,part", *ROWS), r"data\.table\.label=class: .* no such column"),
    "an unknown part": ((HEADER, *ROWS, "b.png,dog,else"), r"line 7 has 'else' in column part; it can have train, "),
    "no test part": ((HEADER, *ROWS[:2]), r"no row has test in column part"),
    "a missing file": ((HEADER, *ROWS, "c.png,dog,test"), r"names 1 file that .* does not have: c\.png"),
    "missing files": ((HEADER, *ROWS, *(f"{n}.png,dog,test" for n in range(9))), r"names 9 files .*: 0\.png, .* …$"),
    "not an image": ((HEADER, *ROWS, "labels.csv,dog,test"), r"names 1 file without the suffix of an image: labels"),
    "no class": ((HEADER, *ROWS, "b.png,,test"), r"line 7 has no class"),
    "too many fields": ((HEADER, *ROWS, "b.png,dog,train,x"), r"line 7 has more fields than there are columns"),
    "a class in the test part only": ((HEADER, *ROWS[:4], "a/4.png,cow,test"), r"no training image has class cow"),
    "two classes": ((HEADER, *ROWS, "b.png,cat,train"), r"line 7 gives b\.png another class or part"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, mistake: str) -> None:
    lines, message = MISTAKES[mistake]
    root = put(tmp_path / "images", lines or ())
    if lines is None:
        (root / "labels.csv").unlink()
    with pytest.raises(ConfigError, match=message) as caught:
        load(root)
    assert "\n" not in str(caught.value)


def test_a_repeated_row_is_one_image_and_a_moved_table_is_the_same_data(tmp_path: Path) -> None:
    one = put(tmp_path / "one", (HEADER, *ROWS))
    two = put(tmp_path / "two", (HEADER, *reversed(ROWS), ROWS[0]), "other.csv")
    configs = [
        load_config("data=table", f"data.root={one}"),
        load_config("data=table", f"data.root={two}", "data.table.file=other.csv"),
    ]
    first, second = (identified(config)[0].data.fingerprint for config in configs)
    assert first == second
    assert np.array_equal(load(one).train.labels, load(two, "data.table.file=other.csv").train.labels)


def test_a_column_of_parts_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    root = put(tmp_path / "images", [line.rpartition(",")[0] for line in (HEADER, *ROWS)])
    with pytest.raises(
        ConfigError, match=r"data\.table\.part=split: labels\.csv has no such column; its columns: file, cl"
    ):
        load(root, "data.table.part=split")


def test_tables_of_other_programs_are_read(tmp_path: Path) -> None:
    """Byte-order marks, line ends of Windows, UTF-16, quotes, empty lines, and other spellings of the same paths."""
    root = put(tmp_path / "images", (HEADER, *ROWS))
    table, expected = root / "labels.csv", red(load(root), "train")
    text = table.read_text()
    spelled = text.replace("b.png", "./b.png").replace("a/1.png", "a\\1.png").replace("a/2.png", f"{root}/a/2.png")
    for data in (
        text.encode("utf-8-sig"),
        text.replace("\n", "\r\n").encode(),
        text.replace(",", "\t").encode("utf-16"),
        text.replace("cat", '"cat"').encode(),
        text.replace("\n", "\n\n").encode(),
        spelled.encode(),
    ):
        table.write_bytes(data)
        assert red(load(root), "train") == expected
    table.write_text(text.replace("cat", '"a ""cat"",\nor so"'))
    assert load(root).classes == ('a "cat",\\x0aor so', "dog")
