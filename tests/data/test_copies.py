"""Test images that are copies of training images are counted."""

import shutil
from pathlib import Path

from support.pictures import folder_config, listed, noise

from resnet_lab.data.fingerprint import look_again
from resnet_lab.data.sources import read


def warnings(root: Path) -> list[str]:
    look_again()
    return [note for note in read(folder_config(root)).notes if "training images" in note]


def test_copies_of_training_images_in_the_test_part(tmp_path: Path):
    root = noise(tmp_path, {"train/cat": 5, "train/dog": 5, "test/cat": 3, "test/dog": 3})
    assert warnings(root) == []
    shutil.copy(root / "test" / "cat" / "0.png", root / "test" / "cat" / "again.png")  # within one part: no matter
    assert warnings(root) == []
    shutil.copy(root / "train" / "dog" / "1.png", root / "test" / "cat" / "other.png")
    told = "1 of 8 test images is a copy of training images, such as test/cat/other.png"
    assert warnings(root) == [f"warning: {told}: remove them, since the test error is too low"]


def test_a_folder_without_parts_is_split_first(tmp_path: Path):
    """Each image twice: those of the test part count whose other half is trained on."""
    root = noise(tmp_path, {"cat": 10, "dog": 10})
    for path in sorted(root.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    rows, files = read(folder_config(root)).rows, listed(root).files.names
    tested, trained_on = ([files[row].replace("copy-", "") for row in rows[part]] for part in ("test", "train"))
    count = sum(name in trained_on for name in tested)
    assert 1 < count <= len(tested) == 8
    [told] = warnings(root)
    assert told.startswith(f"warning: {count} of 8 test images are copies of training images, such as ")
