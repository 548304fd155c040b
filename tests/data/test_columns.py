"""Tables with attributes or numbers: their labels, identity and parts; what a column cannot have is named."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config
from support.composing import config as load_config

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Labels
from resnet_lab.config.overrides import overrides_of
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import from_dict, to_stored
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.fingerprint import identified, look_again
from resnet_lab.data.sources import Source, read
from resnet_lab.training.run import run

pytestmark = pytest.mark.usefixtures("unread")

HEADER = "file,smiling,hat,age,part"
ROWS = (
    "1.png,1,-1,30,train",
    "b.png,0,-1,41.5,train",
    "2.png,0,1,-7,test",
    "3.png,1,1,1e3,test",
    "4.png,1,1,0,train",
)
BOTH = ("task=attributes", "data.table.label=[smiling,hat]")
AGE = ("task=regression", "data.table.label=age")


def put(root: Path, lines: Sequence[str] = (HEADER, *ROWS)) -> Path:
    root.mkdir(exist_ok=True)
    for line in lines[1:]:
        name = line.partition(",")[0]
        Image.new("RGB", (4, 4), (ord(name[0]), 0, 0)).save(root / name)
    (root / "labels.csv").write_text("\n".join([*lines, ""]))
    return root


def chosen(root: Path, *changes: str) -> Config:
    return config("data=table", f"data.root={root}", "data.image_size=8", "stacks=two", "units=n2", *changes)


def labels(source: Source, part: str) -> dict[str, object]:
    """The labels of each image of a part, by the first letter of its name, which its red value tells."""
    rows = source.rows[part]
    letters = map(chr, source.train.pixels[rows][:, 0, 0, 0])
    return dict(zip(letters, source.train.labels[rows].tolist(), strict=True))


def test_several_columns_are_attributes(tmp_path: Path) -> None:
    data = ImageData(chosen(put(tmp_path / "images"), *BOTH))
    assert data.source.classes == ("smiling", "hat")
    assert labels(data.source, "train") == {"1": [1, 0], "b": [0, 0], "4": [1, 1]}
    assert labels(data.source, "test") == {"2": [0, 1], "3": [1, 1]}
    assert data.source.train.labels.dtype == np.uint8
    assert data.config.model.num_classes == 2


@pytest.mark.parametrize("label", ["smiling", "[smiling]"])
def test_one_column_is_one_attribute(label: str, tmp_path: Path) -> None:
    choice = chosen(put(tmp_path / "images"), "task=attributes", f"data.table.label={label}")
    source = ImageData(choice).source
    assert source.classes == ("smiling",)
    assert labels(source, "train") == {"1": [1], "b": [0], "4": [1]}
    assert canonical(choice)["data.table.label"] == ["smiling"]


@pytest.mark.parametrize(
    "choice",
    [AGE, BOTH, ("task=attributes", "data.table.label=smiling"), ("task=reconstruction", *BOTH[1:], "head=latent")],
    ids=["number", "two attributes", "one attribute", "no labels"],
)
def test_tables_are_trained_on(choice: tuple[str, ...], tmp_path: Path) -> None:
    lines = [f"{n}.png,{n % 2},{n % 3 % 2},{n / 7},{'test' if n % 5 == 0 else 'train'}" for n in range(20)]
    folder = put(tmp_path / "images", [HEADER, *lines])
    own = ("filters=w8", "units=n1", "data.validation=0", "optim.batch_size=8", "trainer.max_epochs=1")
    result = run(chosen(folder, *choice, *own, f"output_dir={tmp_path / 'runs'}"))
    assert result["last"]["epoch"] == 1


def test_a_column_of_numbers(tmp_path: Path) -> None:
    choice = chosen(put(tmp_path / "images"), *AGE)
    source = ImageData(choice).source
    assert (source.classes, source.train.labels.dtype, choice.data.labels) == ((), np.float32, Labels.number)
    assert labels(source, "train") == {"1": 30.0, "b": 41.5, "4": 0.0}
    assert labels(source, "test") == {"2": -7.0, "3": 1000.0}
    assert choice.data.num_classes is None  # nothing to count


def test_a_task_without_labels_takes_what_is_there(tmp_path: Path) -> None:
    root = put(tmp_path / "images")
    kinds = {
        ("data.table.label=[smiling,hat]",): Labels.attributes,
        ("data.table.label=smiling",): Labels.classes,
        ("data.table.label=age", "data.table.labels=number"): Labels.number,
        ("data.table.label=hat", "data.table.labels=attributes"): Labels.attributes,
    }
    for changes, kind in kinds.items():
        choice = chosen(root, "task=reconstruction", *changes)
        assert choice.data.labels is kind
        assert read(choice.data).train.labels.dtype == {"classes": np.int64, "attributes": np.uint8}.get(
            kind.name, np.float32
        )


WORDS = {
    "1 and 0": (("1", "0"), [1, 0]),
    "1 and -1": (("-1", "1"), [0, 1]),
    "yes and no": (("Yes", "NO"), [1, 0]),
    "true and false": (("FALSE", "True"), [0, 1]),
    "only 1": (("1", "1"), [1, 1]),
    "only -1": (("-1", "-1"), [0, 0]),
}


@pytest.mark.parametrize("words", WORDS)
def test_words_of_an_attribute(words: str, tmp_path: Path) -> None:
    fields, expected = WORDS[words]
    lines = ["file,hat,part", *(f"{n}.png,{field},train" for n, field in enumerate(fields)), f"9.png,{fields[0]},test"]
    source = read(chosen(put(tmp_path / "images", lines), "task=attributes", "data.table.label=hat").data)
    assert [labels(source, "train")[str(n)] for n in range(2)] == [[value] for value in expected]


MISTAKES = {
    "mixed": ((*ROWS, "5.png,yes,1,1,train"), BOTH, r"line 7 has 'yes' in column smiling; lines before it have 1"),
    "0 and -1": ((*ROWS, "5.png,1,0,1,train"), BOTH, r"line 7 has '0' in column hat; lines before it have 1 and -1$"),
    "another word": (
        ("1.png,maybe,1,1,train", *ROWS[1:]), BOTH,
        r"labels\.csv: line 2 has 'maybe' in column smiling; it can have 1 and 0 or 1 and -1 or yes and no or",
    ),
    "nothing": ((*ROWS, "5.png,1,,1,train"), BOTH, r"line 7 has no hat$"),
    "no such column": (ROWS, ("task=attributes", "data.table.label=[smiling,cap]"), r"data\.table\.label=cap: .*no s"),
    "two labels": ((*ROWS, "4.png,0,1,0,train"), BOTH, r"line 7 gives 4\.png another label or part than before$"),
    "no number": ((*ROWS, "5.png,1,1,young,train"), AGE, r"line 7 has 'young' in column age; it must have a fin"),
    "not a number": ((*ROWS, "5.png,1,1,nan,train"), AGE, r"line 7 has 'nan' in column age"),
    "infinite": ((*ROWS, "5.png,1,1,-inf,train"), AGE, r"line 7 has '-inf' in column age"),
    "too large": ((*ROWS, "5.png,1,1,1e39,train"), AGE, r"line 7 has '1e39' in column age"),
    "another number of attributes": (
        ROWS, (*BOTH, "data.num_classes=3"), r"data\.num_classes=3, but .* has 2 attributes: set"
    ),
    "classes": (
        ROWS, ("data.table.label=[smiling,hat]",),
        r"^data\.table\.label is a list of columns, yes or no for each of several attributes, but the task or "
        r"data\.table\.labels asks for one class for each image: name one column.* or choose task=attributes$",
    ),
    "numbers": (ROWS, ("task=regression", "data.table.label=[age]"), r"asks for one number for each image: name"),
    "no column": (ROWS, ("task=attributes", "data.table.label=[]"), r"^data\.table\.label must be a column or"),
    "the same twice": (ROWS, ("task=attributes", "data.table.label=[hat,hat]"), r"different columns, got \['hat', 'h"),
    "no name": (ROWS, ("task=attributes", "data.table.label=null"), r"^data\.table\.label must be a column or a list"),
    "a list in a list": (ROWS, ("task=attributes", "data.table.label=[[a],b]"), r"^data\.table\.label must be a"),
    "labels of another kind": (
        ROWS, ("task=regression", "data.table.label=hat", "data.table.labels=attributes"),
        r"^task=regression needs one number for each image, but data=table has yes or no for each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, mistake: str) -> None:
    rows, changes, message = MISTAKES[mistake]
    root = put(tmp_path / "images", (HEADER, *rows))
    with pytest.raises(ConfigError, match=message) as caught:
        read(chosen(root, *changes).data)
    assert "\n" not in str(caught.value)


def fingerprint(root: Path, *changes: str) -> str | None:
    look_again()
    return identified(chosen(root, *changes))[0].data.fingerprint


@pytest.mark.parametrize("kind", [BOTH, AGE])
def test_another_label_is_other_data_and_another_order_is_not(tmp_path: Path, kind: tuple[str, str]) -> None:
    before = fingerprint(put(tmp_path / "one"), *kind)
    assert fingerprint(put(tmp_path / "two", (HEADER, *reversed(ROWS))), *kind) == before
    changed = ("1.png,0,-1,31,train", *ROWS[1:])
    assert fingerprint(put(tmp_path / "three", (HEADER, *changed)), *kind) != before
    moved = ("1.png,1,-1,30,test", *ROWS[1:])
    assert fingerprint(put(tmp_path / "four", (HEADER, *moved)), *kind) != before
    assert fingerprint(tmp_path / "one", "task=attributes", "data.table.label=[hat,smiling]") != before


def test_a_label_of_one_image_tells_the_part_that_changed(tmp_path: Path) -> None:
    root = put(tmp_path / "images")
    _, before = identified(chosen(root, *BOTH))
    put(root, (HEADER, *ROWS[:2], "2.png,1,1,-7,test", *ROWS[3:]))
    look_again()
    _, now = identified(chosen(root, *BOTH))
    assert before is not None
    assert now is not None
    assert before.changes(now) == "test: still 2 images, but not the same"
    put(root, (HEADER.replace("hat", "cap"), *ROWS))
    look_again()
    _, renamed = identified(chosen(root, "task=attributes", "data.table.label=[smiling,cap]"))
    assert renamed is not None
    assert before.changes(renamed) == "label 1: hat before, cap now"


@pytest.mark.parametrize("kind", [BOTH, AGE])
def test_a_configuration_is_stored_and_typed_again(tmp_path: Path, kind: tuple[str, str]) -> None:
    choice = chosen(put(tmp_path / "images"), *kind)
    assert from_dict(to_stored(choice)) == choice
    again = load_config(*overrides_of(choice))
    assert canonical(again) == canonical(choice)


@pytest.mark.parametrize("kind", [BOTH, AGE])
def test_parts_are_drawn_if_the_table_has_none(tmp_path: Path, kind: tuple[str, str]) -> None:
    lines = [HEADER.removesuffix(",part"), *(f"{chr(65 + n)}.png,{n % 2},{n % 3 % 2},{n}" for n in range(20))]
    choice = chosen(put(tmp_path / "images", lines), *kind, "data.validation=5", "data.test=0.2", "data.num_train=7")
    data = ImageData(choice)
    assert [len(rows) for rows in (data.train_rows, data.validation_rows, data.test_rows)] == [7, 5, 4]
    parts = [*data.train_rows, *data.validation_rows, *data.test_rows]
    assert len(set(parts)) == 16


def test_weights_of_positive_images(tmp_path: Path) -> None:
    rows = [f"{n}.png,{int(n < 2)},yes,no,train" for n in range(8)] + ["x.png,1,no,yes,test", "y.png,1,no,yes,test"]
    root = put(tmp_path / "images", ["file,rare,all,none,part", *rows])
    columns = ("task=attributes", "data.table.label=[rare,all,none]", "data.validation=0")
    weights = ImageData(chosen(root, *columns, "optim.class_weights=balanced")).class_weights()
    assert weights is not None
    assert weights.tolist() == [3, 1, 1]  # 6 without and 2 with; the test part does not count
    assert ImageData(chosen(root, *columns)).class_weights() is None
    with pytest.raises(ConfigError, match=r"^data\.sampler=balanced needs classes, but task=attributes has none$"):
        chosen(root, *columns, "data.sampler=balanced")


def test_damaged_images_are_left_out_unless_they_are_many(tmp_path: Path) -> None:
    lines = [HEADER, *(f"{chr(65 + n)}.png,{n % 2},1,{n},{'test' if n > 7 else 'train'}" for n in range(12))]
    root = put(tmp_path / "images", lines)
    for name in "ABCD":
        (root / f"{name}.png").write_text("no image")
    data = ImageData(chosen(root, *BOTH, "data.skip_damaged=true", "data.validation=0"))
    assert labels(data.source, "train") == {chr(65 + n): [n % 2, 1] for n in range(4, 8)}
    (root / "E.png").write_text("no image")
    with pytest.raises(ConfigError, match=r"images: 5 of 8 images in the train part are damaged, which is too many"):
        ImageData(chosen(root, *BOTH, "data.skip_damaged=true"))
