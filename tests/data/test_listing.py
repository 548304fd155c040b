"""What is in a folder of images: layouts, classes, order, what is left out, and one message for each mistake."""

import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from support.composing import config as load_config
from support.pictures import GREY, folder_config, labels, listed, names, put, save

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Layout
from resnet_lab.data.cache import decoded
from resnet_lab.data.fit import Decoding
from resnet_lab.data.kept import Arrays
from resnet_lab.data.layout import layout_of, look

pytestmark = pytest.mark.usefixtures("cache")

TRAIN = ("train/cat/a.png", "train/cat/b.png", "train/ant/a.png")
TEST = ("test/cat/a.png",)
VAL = ("val/ant/a.png", "val/cat/c.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes, with training and test part."""
    return put(tmp_path / "images", (*TRAIN, *TEST))


def message(root: Path, **settings: object) -> str:
    """Of the mistake in a folder: always one line, which begins with a setting."""
    with pytest.raises(ConfigError) as caught:
        listed(root, **settings)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("data.")
    return text


# --- layouts


def test_train_and_test(root: Path) -> None:
    listing = listed(root)
    assert layout_of(folder_config(root)) is Layout.train_test
    assert listing.classes == ("ant", "cat")
    assert set(listing.parts) == {"train", "test"}
    assert names(listing, "train") == ["train/ant/a.png", "train/cat/a.png", "train/cat/b.png"]
    assert labels(listing, "train") == [0, 1, 1]
    assert listing.labels.dtype == np.int64
    assert names(listing, "test") == ["test/cat/a.png"]
    assert labels(listing, "test") == [1]
    assert listing.left_out == ()
    pixels, _ = decoded(listing.files, Arrays(Decoding((1, 2, 3))), listing.parts["train"])
    assert pixels.dtype == np.uint8
    shades = [2, 0, 1, 3]  # in which `put` saved them
    assert np.array_equal(pixels, np.stack([GREY + np.uint8(shade) for shade in shades])[:, None])


def test_train_and_val(tmp_path: Path) -> None:
    put(tmp_path, (*TRAIN, *VAL))
    (tmp_path / "test").mkdir()  # as some data sets come: a test part without labels
    put(tmp_path, ["test/1.png"])
    listing = listed(tmp_path)
    assert layout_of(folder_config(tmp_path)) is Layout.train_val
    assert set(listing.parts) == {"train", "test"}
    assert names(listing, "test") == ["val/ant/a.png", "val/cat/c.png"]
    assert labels(listing, "test") == [0, 1]
    assert listing.left_out == ("folders not used: test/",)


def test_train_val_and_test(tmp_path: Path) -> None:
    put(tmp_path, (*TRAIN, *VAL, *TEST))
    listing = listed(tmp_path)
    assert layout_of(folder_config(tmp_path)) is Layout.train_val_test
    assert {part: names(listing, part) for part in listing.parts} == {
        "train": ["train/ant/a.png", "train/cat/a.png", "train/cat/b.png"],
        "val": ["val/ant/a.png", "val/cat/c.png"],
        "test": ["test/cat/a.png"],
    }
    assert sorted(np.concatenate(list(listing.parts.values()))) == list(range(6))


def test_a_layout_that_is_asked_for_is_read_even_if_there_is_more(tmp_path: Path) -> None:
    put(tmp_path, (*TRAIN, *VAL, *TEST))
    listing = listed(tmp_path, layout=Layout.train_test)
    assert set(listing.parts) == {"train", "test"}
    assert listing.left_out == ("folders not used: val/",)
    as_test = listed(tmp_path, layout=Layout.train_val)
    assert names(as_test, "test") == ["val/ant/a.png", "val/cat/c.png"]
    assert as_test.left_out == ("folders not used: test/",)
    flat = listed(tmp_path / "train", layout=Layout.flat)
    assert flat.classes == ("ant", "cat")


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("Train", "Val", "Test"), ("training", "validation", "testing"), ("TRAIN", "valid", "TEST")],
)
def test_other_spellings_of_the_parts(tmp_path: Path, train: str, val: str, test: str) -> None:
    for part, own in ((train, TRAIN), (val, VAL), (test, TEST)):
        put(tmp_path, [f"{part}/{name.partition('/')[2]}" for name in own])
    listing = listed(tmp_path)
    assert set(listing.parts) == {"train", "val", "test"}
    assert names(listing, "val") == [f"{val}/ant/a.png", f"{val}/cat/c.png"]
    assert names(listing, "test") == [f"{test}/cat/a.png"]
    assert listing.left_out == ()


def test_the_usual_spelling_is_preferred(tmp_path: Path) -> None:
    put(tmp_path, (*TRAIN, *TEST, "training/dog/a.png", "Testing/dog/a.png"))
    listing = listed(tmp_path)
    assert listing.classes == ("ant", "cat")
    assert listing.left_out == ("folders not used: Testing/, training/",)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Tiny ImageNet: classes of validation images are in a text file, and those of test images nowhere."""
    put(tmp_path, ["train/n02/images/n02_0.png", "train/n02/images/n02_1.png", "train/n01/images/n01_0.png"])
    put(tmp_path, ["val/images/val_0.png", "val/images/val_1.png", "val/images/val_2.png", "test/images/test_0.png"])
    for name in ("n01", "n02"):
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.png\t0\t0\t62\t44\n")
    lines = ["val_0.png\tn02\t0\t32\t44\t62", "val_2.png\tn01\t52\t55\t57\t59", "val_1.png\tn02\t4\t0\t60\t55"]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join([*lines, ""]))
    return tmp_path


def test_tiny_imagenet(tiny: Path) -> None:
    listing = listed(tiny)
    assert layout_of(folder_config(tiny)) is Layout.tiny_imagenet
    assert listing.classes == ("n01", "n02")
    assert names(listing, "train") == [
        "train/n01/images/n01_0.png",
        "train/n02/images/n02_0.png",
        "train/n02/images/n02_1.png",
    ]
    assert names(listing, "test") == ["val/images/val_2.png", "val/images/val_0.png", "val/images/val_1.png"]
    assert labels(listing, "test") == [0, 1, 1]
    assert "folders not used: test/" in listing.left_out


def test_tiny_imagenet_with_mistakes(tiny: Path) -> None:
    save(tiny / "val" / "images" / "val_3.png", GREY)
    assert any("1 not in val_annotations.txt (val/images/val_3.png)" in line for line in listed(tiny).left_out)
    with (tiny / "val" / "val_annotations.txt").open("a") as file:
        file.write("val_3.png\tn03\t0\t0\t0\t0\n")
    assert f"{tiny}/val/val_annotations.txt has a class without a folder: n03" in message(tiny)


def test_a_flat_folder(tmp_path: Path) -> None:
    put(tmp_path, ["cat/a.png", "cat/b.png", "ant/a.png"])
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "resize.py").touch()
    (tmp_path / "README.md").touch()
    listing = listed(tmp_path)
    assert layout_of(folder_config(tmp_path)) is Layout.flat
    assert listing.classes == ("ant", "cat")
    assert names(listing, "") == ["ant/a.png", "cat/a.png", "cat/b.png"]
    assert labels(listing, "") == [0, 1, 1]
    assert listing.left_out == (
        "1 of 4 files left out: 1 outside of class folders (README.md)",
        "folders not used: scripts/",
    )


def test_the_layout_and_the_classes_are_in_the_configuration(root: Path, tmp_path: Path) -> None:
    assert look(folder_config(root)) == (Layout.train_test, 2)
    config = load_config("data=image_folder", f"data.root={root}")
    assert (config.data.layout, config.data.num_classes, config.model.num_classes) == (Layout.train_test, 2, 2)
    flat = load_config("data=image_folder", f"data.root={root}/train")
    assert flat.data.is_flat
    put(root, VAL)
    assert load_config("data=image_folder", f"data.root={root}").data.has_val_folder


# --- order, links and names


def test_sub_folders_of_a_class_are_walked_in_the_order_of_names(root: Path) -> None:
    put(root, ["train/cat/0/z.png", "train/cat/a/b/c.png"])
    assert names(listed(root), "train") == [
        "train/ant/a.png",
        *(f"train/cat/{name}" for name in ("0/z.png", "a.png", "a/b/c.png", "b.png")),
    ]
    assert listed(root).left_out == ()
    without = listed(root, subfolders=False)
    assert names(without, "train") == ["train/ant/a.png", "train/cat/a.png", "train/cat/b.png"]
    assert without.left_out == ("train: 2 of 5 files left out: 2 in sub-folders (train/cat/0/z.png)",)


def test_the_order_is_not_that_of_creation(tmp_path: Path) -> None:
    own = [f"{part}/{label}/{number}.png" for part in ("train", "test") for label in "abc" for number in range(5)]
    put(tmp_path / "one", own)
    put(tmp_path / "other", own[::-1])
    one, other = listed(tmp_path / "one"), listed(tmp_path / "other")
    assert one.files.names == other.files.names
    assert np.array_equal(one.labels, other.labels)


def test_linked_images_and_folders_count_as_what_they_lead_to(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", ["1.png", "dog/1.png", "dog/2.png"])
    (root / "train" / "cat" / "link.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (root / "train" / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (root / "train" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "dog")
    listing = listed(root)
    assert listing.classes == ("ant", "cat", "dog")
    assert {"train/cat/link.png", "train/dog/2.png", "train/cat/more/1.png"} <= set(names(listing, "train"))
    size = (tmp_path / "elsewhere" / "1.png").stat().st_size
    assert listing.files.facts[listing.files.names.index("train/cat/link.png")][0] == size


def test_a_link_to_a_folder_above_ends(root: Path) -> None:
    (root / "train" / "cat" / "again").symlink_to(root / "train" / "cat")
    (root / "train" / "cat" / "all").symlink_to(root)
    assert names(listed(root), "train") == ["train/ant/a.png", "train/cat/a.png", "train/cat/b.png"]


def test_links_that_lead_to_each_other_end(root: Path) -> None:
    put(root, ["train/cat/one/1.png", "train/cat/two/2.png"])
    (root / "train" / "cat" / "one" / "to").symlink_to(root / "train" / "cat" / "two")
    (root / "train" / "cat" / "two" / "fro").symlink_to(root / "train" / "cat" / "one")
    assert names(listed(root), "train") == [
        "train/ant/a.png",
        "train/cat/a.png",
        "train/cat/b.png",
        "train/cat/one/1.png",
        "train/cat/one/to/2.png",
        "train/cat/two/2.png",
        "train/cat/two/fro/1.png",
    ]


def test_what_cannot_be_opened_is_left_out_and_told(root: Path) -> None:
    folder = root / "train" / "cat"
    os.mkfifo(folder / "pipe.png")  # opening it would wait for ever
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("socket.png")
    assert listed(root).left_out == ("train: 2 of 5 files left out: 2 not regular files (train/cat/pipe.png)",)
    (folder / "link.png").symlink_to(root / "gone.png")
    assert "1 broken links (train/cat/link.png)" in message(root)  # most of the class
    (folder / "pipe.png").unlink()
    (folder / "socket.png").unlink()
    (folder / "self.png").symlink_to(folder / "self.png")
    assert listed(root).left_out == ("train: 2 of 5 files left out: 2 broken links (train/cat/link.png)",)


def test_hidden_images_are_told(root: Path) -> None:
    save(root / "train" / "cat" / ".a.png", GREY)
    save(root / "train" / "cat" / ".more" / "a.png", GREY)
    assert listed(root).left_out == ("train: 2 of 5 files left out: 2 hidden (train/cat/.a.png)",)


def test_loose_images_are_told_and_refused_if_they_are_most(root: Path) -> None:
    save(root / "train" / "1.png", GREY)
    assert listed(root).left_out == ("train: 1 of 4 files left out: 1 outside of class folders (train/1.png)",)
    for number in range(2, 5):
        save(root / "train" / f"{number}.png", GREY)
    assert f"most images of {root}/train are outside of class folders: 4 of 7" in message(root)


def test_a_flat_class_of_unreadable_files_is_refused_and_a_folder_of_texts_is_no_class(root: Path) -> None:
    flat = root / "train"
    (flat / "annotations").mkdir()
    (flat / "annotations" / "a.xml").touch()
    assert listed(flat).classes == ("ant", "cat")
    assert listed(flat).left_out == ("folders not used: annotations/",)
    (flat / "dog").mkdir()
    (flat / "dog" / "a.heic").touch()
    assert "dog has no images: 1 .heic (dog/a.heic) cannot be used" in message(flat)


def test_of_two_folders_for_a_part_the_one_with_the_most_usual_name_is_used(root: Path) -> None:
    for other in ("Train", "training", "testing"):
        shutil.copytree(root / "train", root / other)
        save(root / other / "cat" / "c.png", GREY)
    listing = listed(root)
    assert [name.partition("/")[0] for name in listing.files.names] == ["train"] * 3 + ["test"]
    assert listing.left_out == ("folders not used: Train/, testing/, training/",)


def test_val_and_test_without_train_are_no_classes(root: Path) -> None:
    (root / "train").rename(root / "val")
    assert f"there is no folder {root}/train; " in message(root)
    assert message(root).endswith("If val and test are classes, set data.layout=flat")
    assert listed(root, layout=Layout.flat).classes == ("test", "val")


def test_a_name_that_is_not_utf8_can_be_printed_and_its_files_are_found(root: Path) -> None:
    folder, file = os.fsdecode(b"caf\xe9"), os.fsdecode(b"a\xff.png")
    for part in ("train", "test"):
        save(root / part / folder / file, GREY + np.uint8(9))
    (root / "train" / folder / os.fsdecode(b"\xff.heic")).touch()
    (root / os.fsdecode(b"d\xe9j\xe0")).mkdir()
    listing = listed(root)
    assert listing.classes == ("ant", "caf\\xe9", "cat")
    assert labels(listing, "train") == [0, 1, 2, 2]
    assert "\n".join(listing.left_out).encode().decode() == (
        "train: 1 of 5 files left out: 1 .heic (train/caf\\xe9/\\xff.heic)\nfolders not used: d\\xe9j\\xe0/"
    )
    pixels, index = decoded(listing.files, Arrays(Decoding((1, 2, 3))), listing.parts["train"])
    for part in ("train", "test"):
        [row] = [row for row in listing.parts[part] if listing.labels[row] == 1]
        assert np.array_equal(pixels[row, 0], GREY + np.uint8(9))
    assert index.damaged == {}
    shutil.rmtree(root / "train" / folder)
    assert message(root).endswith("has classes that the training part lacks: caf\\xe9")


# --- what is left out


def test_files_of_the_system_are_no_word_worth(root: Path) -> None:
    for junk in (".DS_Store", "Thumbs.db", "._a.png", "desktop.ini", ".nomedia"):
        (root / "train" / "cat" / junk).write_bytes(b"junk")
    (root / "train" / ".git").mkdir()
    (root / "train" / "cat" / "folder.png").mkdir()
    listing = listed(root)
    assert listing.classes == ("ant", "cat")
    assert len(listing.parts["train"]) == 3
    assert listing.left_out == ()


def test_what_is_left_out_is_counted_by_kind_with_an_example(root: Path) -> None:
    for name in ("cat/1.HEIC", "cat/0.HEIC", "ant/notes.txt", "ant/scan", "README.md", "labels.csv"):
        (root / "train" / name).touch()
    (root / "test" / "cat" / "1.dng").touch()
    (root / "val").mkdir()
    listing = listed(root)
    assert len(listing.parts["train"]) == 3
    train, test, folders = listing.left_out
    assert train.startswith("train: 6 of 9 files left out: 2 ")
    assert set(train.partition("left out: ")[2].split(", ")) == {
        "2 .HEIC (train/cat/0.HEIC)",
        "2 outside of class folders (train/README.md)",
        "1 .txt (train/ant/notes.txt)",
        "1 without suffix (train/ant/scan)",
    }
    assert test == "test: 1 of 2 files left out: 1 .dng (test/cat/1.dng)"
    assert folders == "folders not used: val/"


def test_many_kinds_are_one_short_line(root: Path) -> None:
    for number in range(20):
        (root / "train" / "cat" / f"a.x{number}").touch()
    for number in range(9):
        (root / f"folder{number}").mkdir()
    train, folders = listed(root).left_out
    assert train.endswith(", 16 for other reasons")
    assert train.count("(") == 4
    assert folders == "folders not used: folder0/, folder1/, folder2/, folder3/, folder4/ …"


@pytest.mark.parametrize("suffix", [".heic", ""])
def test_a_class_of_which_most_would_be_lost_is_refused(root: Path, suffix: str) -> None:
    for number in range(3):
        (root / "train" / "cat" / f"{number}{suffix}").touch()
    kind = f"3 {suffix or 'without suffix'} (train/cat/0{suffix}) cannot be used"
    assert f"{root}/train/cat: most files would be left out, since {kind}" in message(root)
    (root / "train" / "cat" / f"0{suffix}").unlink()
    assert len(listed(root).parts["train"]) == 3  # half of them


def test_a_class_whose_images_are_in_sub_folders_that_are_not_read_is_refused(root: Path) -> None:
    put(root, [f"train/cat/more/{number}.png" for number in range(3)])
    assert len(listed(root).parts["train"]) == 6
    refused = message(root, subfolders=False)
    assert f"{root}/train/cat: most files would be left out, since 3 in sub-folders (train/cat/more/0.png)" in refused


def test_texts_and_companions_of_images_are_no_loss(root: Path) -> None:
    for name in ("a.xmp", "a.aae", "a.thm", "b.json", "1.txt", "2.csv", "3.xml", "4.html", "5.json"):
        (root / "train" / "cat" / name).touch()
    assert len(listed(root).parts["train"]) == 3
    assert "9 of 12 files left out" in listed(root).left_out[0]


# --- mistakes


def test_the_number_of_classes(root: Path) -> None:
    assert len(listed(root, num_classes=2).classes) == 2
    refused = message(root, num_classes=3)
    assert refused.startswith(f"data.num_classes=3, but {root} has 2 classes: set data.num_classes=2")


def test_a_class_without_images(root: Path) -> None:
    (root / "train" / "bee").mkdir()
    assert f"{root}/train/bee has no images" in message(root)
    (root / "train" / "bee" / "notes.txt").touch()
    assert f"{root}/train/bee has no images: 1 .txt (train/bee/notes.txt) cannot be used" in message(root)
    shutil.rmtree(root / "train" / "bee")
    (root / "test" / "ant").mkdir()
    assert f"{root}/test/ant has no images" in message(root)


def test_classes_that_are_not_trained(root: Path) -> None:
    put(root, ["test/zebra/a.png", "test/yak/a.png"])
    assert message(root).endswith(f"{root}/test has classes that the training part lacks: yak, zebra")


def test_parts_that_are_not_there(root: Path, tmp_path: Path) -> None:
    (root / "notes.txt").touch()
    shutil.rmtree(root / "test")
    expected = "expected train/<class>/<images> with test/ or val/ next to it, or <class>/<images>"
    refused = message(root)
    assert refused.startswith(f"data.root={root}: there is no folder {root}/test; it has 1 folder ")
    assert f"(train/) and 1 file; {expected}" in refused
    assert refused.endswith(f"set data.root={root}/train")
    assert listed(root / "train").classes == ("ant", "cat")  # as it says
    assert f"there is no folder {root}/val;" in message(root, layout=Layout.train_val)
    assert f"there is no folder {root}/val;" in message(root, layout=Layout.tiny_imagenet)
    shutil.rmtree(root)
    assert message(root) == f"data.root={root}: there is no such folder"
    save(tmp_path / "flat" / "a.png", GREY)
    assert f"{tmp_path}/flat has no class folders; it has 0 folders and 1 file; {expected}" in message(
        tmp_path / "flat"
    )
    for name in ("ant", "cat"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        (tmp_path / "texts" / name / "a.txt").write_text(name)
    assert message(tmp_path / "texts").endswith("none of ant/, cat/ has a file that could be an image")


def test_a_test_part_without_classes(root: Path) -> None:
    shutil.rmtree(root / "test" / "cat")
    save(root / "test" / "1.png", GREY)
    assert f"{root}/test has no class folders; it has 2 folders (test/, train/)" in message(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(root: Path) -> None:
    (root / "train" / "cat").chmod(0)
    assert "cannot read" in message(root)


def test_a_mistake_of_a_folder_ends_the_composition_with_the_same_message(root: Path) -> None:
    shutil.rmtree(root)
    with pytest.raises(ConfigError, match=f"data.root={root}: there is no such folder"):
        load_config("data=image_folder", f"data.root={root}")
