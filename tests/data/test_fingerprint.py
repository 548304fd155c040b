"""The fingerprint of own images: names, classes and contents, and nothing else; what has changed is said in words."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config as load_config
from support.pictures import GREY, listed, noise, put, save

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Layout
from resnet_lab.data.fingerprint import NUM_SAMPLES, SAMPLE, WHOLE, facts_of, identified, look_again
from resnet_lab.data.sources import read
from resnet_lab.rundir.images import DataFacts

pytestmark = pytest.mark.usefixtures("cache")

NAMES = ("train/cat/a.png", "train/cat/b.png", "train/dog/a.png", "test/cat/a.png", "test/dog/a.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes."""
    return put(tmp_path / "images", NAMES)


def facts(root: Path, **settings: object) -> DataFacts:
    return facts_of(listed(root, **settings))


def fingerprint(root: Path, **settings: object) -> str:
    return facts(root, **settings).fingerprint


def write(path: Path, data: bytes) -> None:
    """Replace a content in place; return when the file system's clock, which is coarse, has ticked."""
    before = path.stat()
    while True:
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if path.stat().st_ctime_ns != before.st_ctime_ns:
            return


# --- what it does not depend on


def test_place_times_and_order_of_creation_do_not_matter(root: Path, tmp_path: Path) -> None:
    expected = fingerprint(root)
    copy = shutil.copytree(root, tmp_path / "other place" / "copy")
    backwards = tmp_path / "backwards"
    for name in reversed(NAMES):
        (backwards / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, backwards / name)
    (tmp_path / "link").symlink_to(root)
    assert {fingerprint(path) for path in (root, copy, backwards, tmp_path / "link")} == {expected}
    for path in root.rglob("*.png"):
        os.utime(path, ns=(1, 2))
    assert fingerprint(root) == expected
    root.rename(tmp_path / "renamed")
    assert fingerprint(tmp_path / "renamed") == expected


def test_it_is_the_same_in_another_process_and_without_a_cache(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from support.pictures import listed; from resnet_lab.data.fingerprint import facts_of;"
        "print(facts_of(listed(sys.argv[1])).fingerprint)"
    )
    (tmp_path / "file").touch()
    for hash_seed, cache in (("1", "elsewhere"), ("2", "file")):  # a cache can neither be read nor written in a file
        environment = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONHASHSEED": hash_seed,
            "XDG_CACHE_HOME": str(tmp_path / cache),
        }
        made = subprocess.run(
            [sys.executable, "-c", code, root], env={**os.environ, **environment}, capture_output=True, text=True
        )
        assert made.stdout == f"{fingerprint(root)}\n", made.stderr


def test_what_is_no_image_does_not_matter(root: Path) -> None:
    expected = fingerprint(root)
    for name in ("README.md", "train/cat/notes.txt", "train/list.csv", "val/x.heic", "train/cat/.hidden.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    assert fingerprint(root) == expected
    save(root / "val" / "cat" / "a.png", GREY)
    assert fingerprint(root) != expected
    assert fingerprint(root, layout=Layout.train_test) == expected


# --- what it depends on


def rename_file(root: Path) -> None:
    (root / "train" / "cat" / "b.png").rename(root / "train" / "cat" / "c.png")


def rename_class(root: Path) -> None:
    for part in ("train", "test"):
        (root / part / "dog").rename(root / part / "cow")


def swap_classes(root: Path) -> None:
    for part in ("train", "test"):
        (root / part / "cat").rename(root / part / "tmp")
        (root / part / "dog").rename(root / part / "cat")
        (root / part / "tmp").rename(root / part / "dog")


def swap_parts(root: Path) -> None:
    (root / "train").rename(root / "tmp")
    (root / "test").rename(root / "train")
    (root / "tmp").rename(root / "test")


def move_to_another_class(root: Path) -> None:
    (root / "train" / "cat" / "b.png").rename(root / "train" / "dog" / "b.png")


def swap_contents(root: Path) -> None:
    one, other = root / "train" / "cat" / "a.png", root / "train" / "dog" / "a.png"
    first, second = one.read_bytes(), other.read_bytes()
    write(one, second)
    write(other, first)


def change_a_bit(root: Path) -> None:
    path = root / "test" / "dog" / "a.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    write(path, bytes(data))


def add_image(root: Path) -> None:
    save(root / "train" / "cat" / "c.png", GREY + np.uint8(99))


def add_copy(root: Path) -> None:
    shutil.copy2(root / "train" / "cat" / "a.png", root / "train" / "cat" / "c.png")


def remove_image(root: Path) -> None:
    (root / "train" / "cat" / "a.png").unlink()


def remove_class_of_test(root: Path) -> None:
    shutil.rmtree(root / "test" / "dog")


SAME = "but not the same"
CHANGES: dict[Callable[[Path], None], str] = {
    rename_file: f"train/cat: still 2 images, {SAME}",
    rename_class: "test/cow: 1 image, new; test/dog: 1 image, gone; train/cow: 1 image, new; train/dog: 1 image, gone",
    swap_classes: f"test/cat: still 1 image, {SAME}; test/dog: still 1 image, {SAME}; "
    "train/cat: 1 fewer image; train/dog: 1 more image",
    swap_parts: f"test/cat: 1 more image; test/dog: still 1 image, {SAME}; "
    f"train/cat: 1 fewer image; train/dog: still 1 image, {SAME}",
    move_to_another_class: "train/cat: 1 fewer image; train/dog: 1 more image",
    swap_contents: f"train/cat: still 2 images, {SAME}; train/dog: still 1 image, {SAME}",
    change_a_bit: f"test/dog: still 1 image, {SAME}",
    add_image: "train/cat: 1 more image",
    add_copy: "train/cat: 1 more image",
    remove_image: "train/cat: 1 fewer image",
    remove_class_of_test: "test/dog: 1 image, gone",
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_names_classes_and_contents_is_noticed_and_said(
    root: Path, change: Callable[[Path], None]
) -> None:
    before = facts(root)
    change(root)
    now = facts(root)
    assert now.fingerprint != before.fingerprint
    assert before.changes(now) == CHANGES[change]
    assert before.changes(before) == now.changes(now) == ""


def test_all_these_changes_have_different_fingerprints(root: Path, tmp_path: Path) -> None:
    found = {fingerprint(root)}
    for number, change in enumerate(CHANGES):
        copy = shutil.copytree(root, tmp_path / str(number))
        change(copy)
        found.add(fingerprint(copy))
    assert len(found) == len(CHANGES) + 1


def test_a_flat_folder_is_other_data_than_the_same_with_parts(root: Path) -> None:
    flat = facts(root / "train")
    assert {part: list(own) for part, own in flat.parts.items()} == {"": ["cat", "dog"]}
    noise(root / "train", {"cat": 2})
    assert flat.changes(facts(root / "train")) == "cat: 2 more images"


# --- contents are read once


def test_contents_are_read_again_only_when_the_file_has_changed(root: Path) -> None:
    before = facts(root)
    listing = listed(root)
    for path in root.rglob("*.png"):
        path.unlink()  # reading one of them would fail
    assert facts_of(listing) == before
    with pytest.raises(ConfigError, match=r"^cannot read .*\.png: No such file or directory$"):
        facts_of(dataclasses.replace(listing, files=dataclasses.replace(listing.files, facts=listing.files.facts + 1)))


def test_only_new_and_changed_files_are_read(root: Path) -> None:
    facts(root)
    add_image(root)
    change_a_bit(root)
    listing = listed(root)
    for path in root.rglob("*.png"):
        if path.name != "c.png" and path.parent != root / "test" / "dog":
            path.unlink()
    now = facts_of(listing)
    put(root, NAMES)
    add_image(root)
    change_a_bit(root)
    assert facts(root) == now


def test_a_change_that_keeps_size_and_time_is_noticed(root: Path) -> None:
    before = facts(root)
    path = root / "train" / "cat" / "a.png"
    stat = path.stat()
    write(path, bytes(stat.st_size))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert before.changes(facts(root)) == f"train/cat: still 2 images, {SAME}"


@pytest.mark.parametrize("damage", [b"", b"junk", b"PK\x03\x04" + b"\0" * 200, "half", "other"])
def test_a_damaged_store_is_ignored(root: Path, cache: Path, tmp_path: Path, damage: bytes | str) -> None:
    before = facts(root)
    [store] = cache.rglob("digests/*")
    data = store.read_bytes()
    if damage == "other":  # of another folder
        noise(tmp_path / "other", {"train/a": 3, "test/a": 3})
        facts(tmp_path / "other")
        [other] = [file for file in cache.rglob("digests/*") if file != store]
        data = other.read_bytes() * 2
    store.write_bytes(damage if isinstance(damage, bytes) else data[: len(data) // 2])
    assert facts(root) == before
    assert facts(root) == before
    assert store.stat().st_size > len(NAMES) * 16


# --- large files


def large(path: Path, size: int, fill: int = 0) -> Path:
    """A file of one byte, repeated: no image, which no fingerprint asks for."""
    path.write_bytes(bytes([fill]) * size)
    return path


def test_small_files_are_read_whole(root: Path) -> None:
    path = large(root / "train" / "cat" / "a.png", WHOLE)
    found = {fingerprint(root)}
    for place in (0, SAMPLE + 1, WHOLE // 2, WHOLE - SAMPLE - 2, WHOLE - 1):
        data = bytearray(WHOLE)
        data[place] = 1
        write(path, bytes(data))
        found.add(fingerprint(root))
    assert len(found) == 6


def test_large_files_are_sampled_evenly_and_by_their_size(root: Path) -> None:
    path, size = large(root / "train" / "cat" / "a.png", 4 * WHOLE), 4 * WHOLE
    before = fingerprint(root)
    distance = (size - SAMPLE) // (NUM_SAMPLES - 1)
    seen = dict.fromkeys((0, SAMPLE - 1, distance + 2, 30 * distance + SAMPLE // 2, size - SAMPLE, size - 1), True)
    for place, is_seen in {**seen, distance // 2: False}.items():
        data = bytearray(size)
        data[place] = 1
        write(path, bytes(data))
        assert (fingerprint(root) != before) == is_seen, place
    for other in (size + 1, size - 1, 8 * WHOLE):
        write(path, bytes(other))
        assert fingerprint(root) != before


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_another_picture_of_the_same_size_is_noticed_also_in_a_large_file(root: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1400, 1400, 3), dtype=np.uint8)
    path = save(root / "train" / "cat" / f"x.{suffix}", Image.fromarray(pixels))
    assert path.stat().st_size > WHOLE
    before = fingerprint(root)
    save(path, Image.fromarray(pixels[::-1].copy()))
    assert fingerprint(root) != before


# --- facts


def some_facts(**counts: int) -> DataFacts:
    return DataFacts(tuple(counts), {"train": {name: (count, f"{count:016}") for name, count in counts.items()}})


def test_a_few_changes_are_named_and_the_others_counted() -> None:
    before, now = (some_facts(**{f"c{number}": count for number in range(9)}) for count in (1000, 3000))
    said = before.changes(now)
    assert said == "; ".join([*(f"train/c{number}: 2,000 more images" for number in range(5)), "and 4 more"])


def test_facts_come_back_as_they_were_stored(root: Path) -> None:
    before = facts(root)
    assert DataFacts.from_dict(before.to_dict()) == before
    for damaged in ({}, {"classes": []}, {"classes": [], "by_class": []}, {"classes": [], "by_class": {"a": {"b": 1}}}):
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            DataFacts.from_dict(damaged)


def test_another_order_of_the_classes_is_a_change() -> None:
    parts = {"train": {"": (3, "0" * 16)}}
    before, now = DataFacts(("cat", "dog"), parts), DataFacts(("dog", "cat"), parts)
    assert before.fingerprint != now.fingerprint
    assert before.changes(now) == "label 0: cat before, dog now; label 1: dog before, cat now"


def test_a_published_set_is_known_by_its_pixels_and_labels() -> None:
    one, same, other = (read(load_config(*own).data).facts for own in ([], ["seed=1"], ["data.test_split_seed=1"]))
    assert one == same
    assert one.classes == tuple("0123456789")
    assert one.parts["train"][""][0] == 1437
    assert one.changes(other) == f"test: still 360 images, {SAME}; train: still 1,437 images, {SAME}"


def test_a_configuration_gets_the_fingerprint_of_its_images(root: Path) -> None:
    config = load_config("data=image_folder", f"data.root={root}")
    found, own = identified(config)
    assert own == facts(root)
    assert found.data.fingerprint == own.fingerprint
    assert config.data.fingerprint is None
    assert identified(found) == (found, own)
    published = load_config()
    assert identified(published) == (published, None)
    change_a_bit(root)
    look_again()
    with pytest.raises(ConfigError, match=rf"^data\.fingerprint={own.fingerprint}, but the images in {root} have "):
        identified(found)
