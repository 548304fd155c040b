"""CelebA in every layout in use: the right pixels, attributes and parts of made copies; what is wrong is named."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config
from support.lab import Lab

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Layout
from resnet_lab.config.overrides import overrides_of
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.fingerprint import identified, look_again
from resnet_lab.data.sources import read

pytestmark = pytest.mark.usefixtures("unread")

WIDTH, HEIGHT = 178, 218
COUNT = 12
PART = np.array([0, 0, 2, 1, 0, 0, 0, 1, 2, 0, 0, 2])
ATTRIBUTES = np.random.default_rng(1).integers(0, 2, (COUNT, 40))  # of the images 000001.jpg, 000002.jpg, …
NAMES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones "
    "Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline "
    "Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick "
    "Wearing_Necklace Wearing_Necktie Young"
)
FILES = [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]

TEXT_ATTRIBUTES = "\n".join(
    [str(COUNT), f"{NAMES} "]
    + [
        f"{file} {' '.join(f'{2 * value - 1:2d}' for value in row)}"
        for file, row in zip(FILES, ATTRIBUTES, strict=True)
    ]
    + [""]
)
TEXT_PARTS = "".join(f"{file} {part}\n" for file, part in zip(FILES, PART, strict=True))
CSV_ATTRIBUTES = "\n".join(
    [f"image_id,{NAMES.replace(' ', ',')}"]
    + [f"{file},{','.join(str(2 * value - 1) for value in row)}" for file, row in zip(FILES, ATTRIBUTES, strict=True)]
    + [""]
)
CSV_PARTS = "image_id,partition\n" + TEXT_PARTS.replace(" ", ",")

OFFICIAL = ("Anno/list_attr_celeba.txt", "Eval/list_eval_partition.txt", "Img/img_align_celeba")
FLAT = ("list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba")
CSV = ("list_attr_celeba.csv", "list_eval_partition.csv", "img_align_celeba/img_align_celeba")
LAYOUTS = {
    "official": OFFICIAL,
    "torchvision, the folder": FLAT,
    "torchvision, its parent": tuple(f"celeba/{place}" for place in FLAT),
    "official, its parent": tuple(f"CelebA/{place}" for place in OFFICIAL),
    "csv": CSV,
    "csv, quoted": CSV,
    "csv, not doubled": (*CSV[:2], FLAT[2]),
    "doubled": (*FLAT[:2], CSV[2]),
    "png": (*OFFICIAL[:2], "Img/img_align_celeba_png"),
}


@cache
def picture(number: int) -> Image.Image:
    """An image whose red is x, whose green is y and whose blue is its number."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([columns, rows, np.full_like(rows, 10 * number)], axis=2).astype(np.uint8))


def put(root: Path, places: tuple[str, ...] = FLAT, kind: str = "jpg") -> Path:
    """Make a copy of CelebA with the files of attributes and parts and the folder of images in these places."""
    attributes, parts, images = (root / place for place in places)
    for file, texts in ((attributes, (TEXT_ATTRIBUTES, CSV_ATTRIBUTES)), (parts, (TEXT_PARTS, CSV_PARTS))):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(texts[file.suffix == ".csv"])
    images.mkdir(parents=True)
    for number, name in enumerate(FILES, 1):
        picture(number).save(images / f"{Path(name).stem}.{kind}", **({"quality": 95} if kind == "jpg" else {}))
    return root


def faces(root: Path, *changes: str) -> Config:
    return config("data=celeba", "task=attributes", f"data.root={root}", "stacks=two", "units=n2", *changes)


# --- what is read


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pixels_attributes_and_parts_are_the_same_in_every_layout(tmp_path: Path, layout: str) -> None:
    root = put(tmp_path / "images", LAYOUTS[layout], "png" if layout == "png" else "jpg")
    for file in root.glob("*.csv") if layout == "csv, quoted" else ():
        file.write_text("".join(f'"{line}"\n'.replace(",", '","') for line in file.read_text().splitlines()))
    chosen = faces(root)
    data = ImageData(chosen)
    assert data.source.classes == tuple(NAMES.split())
    assert len(data.source.classes) == 40
    for number, rows in enumerate((data.train_rows, data.validation_rows, data.test_rows)):
        expected = np.flatnonzero(number == PART)
        assert np.array_equal(data.source.train.labels[rows], ATTRIBUTES[expected])
        blue = data.source.train.pixels[rows, 2].mean(axis=(1, 2))
        assert np.abs(blue - 10 * (expected + 1)).max() <= 2
    assert data.source.train.labels.dtype == np.uint8
    pixels = data.source.train.pixels.astype(float)
    assert pixels.shape == (COUNT, 3, 64, 64)
    inner = slice(2, -2)  # at the border, antialiasing averages over fewer pixels
    step = 148 / 64 * (np.arange(64) + 0.5) - 0.5
    tolerance = 1 if layout == "png" else 4
    assert np.abs(pixels[:, 0, 30, inner] - (15 + step[inner])).max() <= tolerance  # (178 - 148) / 2 on each side
    assert np.abs(pixels[:, 1, inner, 30] - (35 + step[inner])).max() <= tolerance  # (218 - 148) / 2


@pytest.mark.parametrize(
    ("changes", "corner", "side"),
    [
        (("data.crop=160", "data.image_size=160"), (9, 29), (160, 160)),
        (("data.crop=178", "data.image_size=178"), (0, 20), (178, 178)),
        (("data.crop=null", "data.image_size=[218,178]"), (0, 0), (178, 218)),
        (("data.crop=[109,89]", "data.image_size=[109,89]"), (44, 54), (89, 109)),  # round(44.5) and round(54.5)
    ],
)
def test_other_crops(tmp_path: Path, changes: tuple[str, ...], corner: tuple[int, int], side: tuple[int, int]) -> None:
    pixels = read(faces(put(tmp_path / "images", kind="png"), *changes).data).train.pixels
    assert pixels.shape == (COUNT, 3, side[1], side[0])
    assert pixels[0, :2, 0, 0].tolist() == [*corner]
    assert pixels[0, :2, -1, -1].tolist() == [corner[0] + side[0] - 1, corner[1] + side[1] - 1]


def test_the_same_copy_in_another_layout_is_the_same_data(tmp_path: Path) -> None:
    one, two = put(tmp_path / "one", OFFICIAL), put(tmp_path / "two", CSV)
    prints = [identified(faces(root))[0].data.fingerprint for root in (one, two)]
    assert prints[0] == prints[1]
    run = identified(faces(one))[0]
    assert canonical(run)["data.fingerprint"] == prints[0]
    file = one / OFFICIAL[0]
    lines = file.read_text().splitlines()
    flipped = " ".join("1" if value == "-1" else "-1" for value in lines[4].split()[1:])
    file.write_text("\n".join([*lines[:4], f"000003.jpg {flipped}", *lines[5:]]))
    look_again()
    config_now, facts = identified(faces(one))
    assert config_now.data.fingerprint != prints[0]
    look_again()
    _, before = identified(faces(two))
    assert before is not None
    assert facts is not None
    assert before.changes(facts) == "test: still 3 images, but not the same"


def test_a_configuration_needs_no_files_and_its_overrides_give_it_again(tmp_path: Path) -> None:
    chosen = faces(tmp_path / "nowhere", "data.crop=[100,90]")
    assert (chosen.data.layout, chosen.model.num_classes) == (Layout.train_val_test, 40)
    assert (faces(tmp_path).data.crop, faces(tmp_path).data.image_size) == (148, 64)
    again = config(*overrides_of(chosen))
    assert canonical(again) == canonical(chosen)
    put(tmp_path / "images")
    looked = faces(tmp_path / "images", "data.layout=auto", "data.num_classes=null")
    assert (looked.data.layout, looked.data.num_classes) == (Layout.train_val_test, 40)


def test_further_files_are_told_and_lines_may_be_in_any_order(tmp_path: Path) -> None:
    root = put(tmp_path / "images")
    before = identified(faces(root))[0].data.fingerprint
    (root / FLAT[2] / "readme.txt").write_text("hello")
    lines = TEXT_ATTRIBUTES.splitlines()
    (root / FLAT[0]).write_text("\r\n".join([*lines[:2], *reversed(lines[2:]), "", ""]))
    look_again()
    assert identified(faces(root))[0].data.fingerprint == before
    assert read(faces(root).data).notes == ("1 file not in list_attr_celeba.txt (readme.txt)",)


def test_attributes_that_never_or_always_occur_are_told(tmp_path: Path) -> None:
    root = put(tmp_path / "images")
    lines = TEXT_ATTRIBUTES.splitlines()
    fixed = []
    for line in lines[2:]:
        name, *_ = line.split()
        fixed.append(" ".join([name, "-1", "1", *["1" if len(fixed) % 2 else "-1"] * 38]))
    (root / FLAT[0]).write_text("\n".join([*lines[:2], *fixed]))
    (root / FLAT[1]).write_text("".join(f"{name} {number // 4}\n" for number, name in enumerate(FILES)))
    ends = (("never occurs", "5_o_Clock_Shadow"), ("always occurs", "Arched_Eyebrows"))
    assert ImageData(faces(root)).notes == [
        f"1 of 40 attributes {what} in the {part} part: {name}"
        for part in ("training", "validation", "test")
        for what, name in ends
    ]


def test_a_network_trains_on_it(tmp_path: Path) -> None:
    root = put(tmp_path / "images", CSV)
    lab = Lab(tmp_path / "outputs")
    small = ("optim.batch_size=4", "data.image_size=16", "trainer.max_epochs=1", "optim.class_weights=balanced")
    changes = (
        "data=celeba",
        "task=attributes",
        f"data.root={root}",
        "data.num_classes=40",
        "data.validation=0.1",
        *small,
    )
    result = lab.run(*changes)
    assert 0 <= result["last"]["test_error"] <= 100
    assert result["images"]["classes"] == NAMES.split()
    assert result["images"]["images"] == {"train": 7, "validation": 2, "test": 3}


# --- what is refused


def edit(place: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Change the lines of a file."""

    def apply(root: Path) -> None:
        lines = (root / place).read_text().splitlines()
        (root / place).write_text("\n".join(change(lines)) + "\n")

    return apply


def replaced(place: str, number: int, old: str, new: str) -> Callable[[Path], None]:
    """Replace text in one line."""
    return edit(place, lambda lines: [*lines[: number - 1], lines[number - 1].replace(old, new, 1), *lines[number:]])


def removed(*names: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        for name in names:
            (root / name).unlink()

    return apply


def added(place: str, text: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).write_text(text)

    return apply


def below(folder: Path) -> Path:
    folder.mkdir()
    return folder


ATTR, EVAL, IMAGES = FLAT
MISTAKES = {
    "an image is missing": (
        removed(f"{IMAGES}/000003.jpg"),
        r"names 1 image that .*img_align_celeba does not have: 00",
    ),
    "many are": (
        removed(*(f"{IMAGES}/{name}" for name in FILES[:7])),
        r"celeba\.txt names 7 images that .* does not have: 000001\.jpg, .*000005\.jpg …$",
    ),
    "a wrong count": (replaced(ATTR, 1, "12", "13"), r"line 1 must be the number of images, which is 12; it is '13'$"),
    "cut off": (edit(ATTR, lambda lines: lines[:-1]), r"line 1 must be the number of images, which is 11; it is '12'$"),
    "empty": (added(ATTR, ""), r"list_attr_celeba\.txt: line 1 must be the number of images, which is 0; it is ''$"),
    "no names": (added(ATTR, "0\n"), r"line 2 must have the 40 attributes of CelebA in their order; it has 0 names"),
    "a csv file named txt": (added(ATTR, CSV_ATTRIBUTES), r"line 1 must be the number of images, which is 11; it"),
    "39 names": (replaced(ATTR, 2, "Young", ""), r"line 2 must have the 40 attributes .*; it has 39 names"),
    "another name": (replaced(ATTR, 2, "Bald", "Bold"), r"line 2 .*; it has 'Bold' instead of Bald$"),
    "39 values": (
        edit(ATTR, lambda lines: [*lines[:4], lines[4][:-3], *lines[5:]]),
        r"line 5 .* attributes; it has 39",
    ),
    "an empty line": (
        edit(ATTR, lambda lines: ["13", *lines[1:5], "", *lines[5:]]),
        r"line 6 must have .* 40 attributes; it has 0$",
    ),
    "another value": (
        edit(ATTR, lambda lines: [*lines[:2], f"000001.jpg 1 -1 0 {' '.join(['1'] * 37)}", *lines[3:]]),
        r"line 3 has '0' for Attractive; it can have 1 and -1$",
    ),
    "an image twice": (replaced(ATTR, 4, "000002", "000001"), r"celeba\.txt names 1 image twice: 000001\.jpg$"),
    "one twice in the parts": (replaced(EVAL, 4, "000004", "000001"), r"partition\.txt names 1 image twice: 000001"),
    "an image without part": (
        edit(EVAL, lambda lines: lines[1:]),
        r"attr_celeba\.txt names 1 image that list_eval_partition\.txt does",
    ),
    "a part without image": (
        edit(EVAL, lambda lines: [*lines, "7.jpg 0"]),
        r"partition\.txt names 1 image that list_attr_celeba\.txt does",
    ),
    "part 3": (replaced(EVAL, 3, " 2", " 3"), r"line 3 must have an image and 0, 1 or 2, .*; it has '000003\.jpg 3'$"),
    "a part as a word": (replaced(EVAL, 3, " 2", " test"), r"line 3 must have .*; it has '000003\.jpg test'$"),
    "a header in txt": (added(EVAL, CSV_PARTS), r"line 1 must have an image and 0, 1 or 2.*; it has 'image_id,"),
    "no validation": (
        edit(EVAL, lambda lines: [line.replace(" 1", " 0") for line in lines]),
        r"partition\.txt: no image has 1, for",
    ),
    "two files of attributes": (
        added("list_attr_celeba.csv", CSV_ATTRIBUTES),
        r"there is .*celeba\.txt and .*celeba\.csv: keep one of them$",
    ),
    "two files of parts": (added("Eval/list_eval_partition.txt", TEXT_PARTS), r"there is .*partition\.txt and .*Eval"),
    "mixed layouts": (
        lambda root: (root / EVAL).rename(below(root / "Eval") / EVAL),
        r"Eval/list_eval_partition\.txt and .*/list_attr_celeba\.txt are of different layouts: use the folders Img",
    ),
    "two folders": (added("Img/img_align_celeba/a.jpg", ""), r"there is .*img_align_celeba and .*Img"),
    "mixed": (
        lambda root: (root / EVAL).rename(root / "list_eval_partition.csv"),
        r"list_attr_celeba\.txt and list_eval_partition\.csv are from different versions of CelebA: use two \.txt or",
    ),
    "no parts": (removed(EVAL), r"there is no list_eval_partition\.txt or \.csv in .*mmlab\.ie\.cuhk\.edu\.hk/proj"),
    "no files": (removed(ATTR, EVAL), r"there is no list_attr_celeba\.txt or \.csv and no list_eval_partition\.txt or"),
    "a damaged image": (added(f"{IMAGES}/000002.jpg", "no image"), r"^1 of 12 images in .* 000002\.jpg \(in no format"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, mistake: str) -> None:
    change, message = MISTAKES[mistake]
    root = put(tmp_path / "images")
    if mistake == "two folders":
        (root / "Img").mkdir()
        (root / "Img" / IMAGES).mkdir()
    change(root)
    with pytest.raises(ConfigError, match=message) as caught:
        read(faces(root).data)
    assert "\n" not in str(caught.value)


CSV_MISTAKES = {
    "no header": (edit(CSV[0], lambda lines: lines[1:]), r"csv: line 1 must have the 40 attributes .*; it has '"),
    "no header of the parts": (
        edit(CSV[1], lambda lines: lines[1:]),
        r"csv: line 1 must name the columns, .*; it has '0",
    ),
    "another value": (replaced(CSV[0], 3, ",-1", ",-2"), r"csv: line 3 has '-2' for 5_o_Clock_Shadow; it can have"),
    "part 3": (replaced(CSV[1], 4, ",2", ",3"), r"partition\.csv: line 4 must have an image and 0, 1 or 2"),
    "semicolons": (
        edit(CSV[0], lambda lines: [line.replace(",", ";") for line in lines]),
        r"line 1 must have the 40 attributes .* 0",
    ),
}


@pytest.mark.parametrize("mistake", CSV_MISTAKES)
def test_mistakes_in_csv_files_are_named(tmp_path: Path, mistake: str) -> None:
    change, message = CSV_MISTAKES[mistake]
    root = put(tmp_path / "images", CSV)
    change(root)
    with pytest.raises(ConfigError, match=message) as caught:
        read(faces(root).data)
    assert "\n" not in str(caught.value)


def test_what_is_needed_is_said_if_there_is_nothing(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(
            ConfigError, match=r"there is no CelebA; it needs .*img_align_celeba\. .*Align&Cropped Images"
        ):
            read(faces(root).data)
    root = put(tmp_path / "images")
    with pytest.raises(ConfigError, match=r"^data=celeba has the parts train, val and test: omit data\.layout$"):
        read(faces(root, "data.layout=flat").data)
    with pytest.raises(ConfigError, match=r"data\.num_classes=39, but .* has 40 attributes: set data\.num_classes=40"):
        read(faces(root, "data.num_classes=39").data)
    with pytest.raises(
        ConfigError, match=r"^task=classification needs one class for each image, but data=celeba has yes"
    ):
        config("data=celeba")
