"""Folders of images: every kind is decoded as it looks, once, and mistakes in them are named."""

import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.folder import decode, scan

GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)  # height 2, width 3
SHAPE = (1, 2, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder of a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes."""
    for number, name in enumerate(("train/cat/a.png", "train/cat/b.png", "train/ant/a.png", "test/cat/a.png")):
        save(tmp_path / "images" / name, Image.fromarray(GREY + np.uint8(number)))
    return tmp_path / "images"


def save(path: Path, image: Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def read_one(folder: Path, name: str, image: Image.Image, channels: int, **options: object) -> npt.NDArray[np.uint8]:
    """What becomes of an image that is saved under a name."""
    for part in ("train", "test"):
        save(folder / part / "only" / name, image, **options)
    _, train, _ = scan(folder, 1)
    return decode(train, (channels, image.height, image.width))[0]


def test_classes_labels_and_order(root: Path) -> None:
    classes, train, test = scan(root, 2)
    assert classes == ("ant", "cat")
    assert [name for name, _, _ in train.files] == ["ant/a.png", "cat/a.png", "cat/b.png"]
    assert train.labels.tolist() == [0, 1, 1]
    assert train.labels.dtype == np.int64
    assert test.labels.tolist() == [1]
    pixels = decode(train, SHAPE)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.stack([GREY + np.uint8(2), GREY, GREY + np.uint8(1)])[:, None])


def test_a_name_that_is_not_utf8_can_be_printed_and_its_files_are_found(root: Path) -> None:
    folder = os.fsdecode(b"caf\xe9")
    for part in ("train", "test"):
        save(root / part / folder / "a.png", Image.fromarray(GREY + np.uint8(9)))
    classes, train, test = scan(root, 3)
    assert classes == ("ant", "caf\\xe9", "cat")
    assert train.labels.tolist() == [0, 1, 2, 2]
    assert np.array_equal(decode(train, SHAPE)[1, 0], GREY + np.uint8(9))
    assert np.array_equal(decode(test, SHAPE)[0, 0], GREY + np.uint8(9))
    shutil.rmtree(root / "train" / folder)
    with pytest.raises(ConfigError, match=r"has classes that train lacks: caf\\xe9$"):
        scan(root, 2)


def test_what_is_not_an_image_is_skipped(root: Path) -> None:
    for junk in (".DS_Store", "Thumbs.db", "._a.png", "notes.txt", "paper.pdf"):
        (root / "train" / "cat" / junk).write_bytes(b"junk")
    (root / "train" / ".git").mkdir()
    (root / "train" / "cat" / "folder.png").mkdir()
    (root / "train" / "README.md").write_text("about")
    classes, train, _ = scan(root, None)
    assert classes == ("ant", "cat")
    assert len(train.files) == 3


RGB = np.stack([GREY, GREY // 2, GREY // 3], axis=2)
ALPHA = np.array([[255, 255, 0], [128, 255, 255]], np.uint8)
RGBA = np.dstack([RGB, ALPHA])
LUMA = np.asarray(Image.fromarray(RGB).convert("L"))


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "PNG", "tif", "webp"])
def test_grey_becomes_any_number_of_channels(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    opaque = np.full_like(GREY, 255)
    for channels, expected in enumerate(([GREY], [GREY, opaque], [GREY] * 3, [GREY] * 3 + [opaque]), 1):
        pixels = read_one(tmp_path / str(channels), f"a.{suffix}", Image.fromarray(GREY), channels, **options)
        assert np.array_equal(pixels, np.stack(expected))


def test_colour_and_alpha(tmp_path: Path) -> None:
    for channels, expected in (
        (1, [LUMA]),
        (2, [LUMA, ALPHA]),
        (3, [*np.moveaxis(RGB, 2, 0)]),
        (4, np.moveaxis(RGBA, 2, 0)),
    ):
        pixels = read_one(tmp_path / str(channels), "a.png", Image.fromarray(RGBA), channels)
        assert np.array_equal(pixels, np.stack(expected))


@pytest.mark.filterwarnings("error")
def test_a_palette_gives_its_colours_and_its_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    colours = (255 * np.eye(3)[:, None]).tolist()
    assert read_one(tmp_path / "gif", "a.gif", image, 3).tolist() == colours
    one = read_one(tmp_path / "one", "a.png", image, 4, transparency=1)
    assert one.tolist() == [*colours, [[255, 0, 255]]]
    alpha = {"transparency": bytes([9, 99, 199])}
    assert read_one(tmp_path / "many", "a.png", image, 4, **alpha).tolist() == [*colours, [[9, 99, 199]]]
    assert read_one(tmp_path / "dropped", "a.png", image, 3, **alpha).tolist() == colours


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    for name in ("a.png", "a.tif", "a.pgm"):
        pixels = read_one(tmp_path / name, name, Image.fromarray(deep), 1)
        assert np.array_equal(pixels[0], GREY)


def test_one_bit_and_cmyk(tmp_path: Path) -> None:
    bits = read_one(tmp_path / "1", "a.png", Image.fromarray(GREY > 120), 1)
    assert np.array_equal(bits[0], np.where(GREY > 120, 255, 0))
    black = read_one(tmp_path / "cmyk", "a.tif", Image.new("CMYK", (3, 2), (0, 0, 0, 255)), 4)
    assert black[:, 0, 0].tolist() == [0, 0, 0, 255]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("RGB", (32, 16), "white")
    picture.paste("black", (0, 0, 16, 16))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise when shown
    for part in ("train", "test"):
        save(tmp_path / part / "only" / f"a.{suffix}", picture, exif=exif)
    _, train, _ = scan(tmp_path, 1)
    pixels = decode(train, (1, 32, 16))[0, 0]
    assert pixels[:12].max() < 60
    assert pixels[20:].min() > 195


def test_resizing_averages_what_it_leaves_out_and_does_not_keep_the_aspect(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 200], np.uint8), (64, 64))  # columns: subsampling would give all of one colour
    for part in ("train", "test"):
        save(tmp_path / part / "only" / "a.png", Image.fromarray(stripes))
    _, train, _ = scan(tmp_path, 1)
    pixels = decode(train, (3, 16, 8))
    assert pixels.shape == (1, 3, 16, 8)
    assert np.abs(pixels.astype(int) - 100).max() <= 3


def test_jpeg_and_many_images_keep_their_places(tmp_path: Path) -> None:
    for number in range(200):  # more than a thread takes at a time
        save(tmp_path / "train" / str(number % 2) / f"{number:03}.jpg", Image.new("RGB", (8, 8), (number, 0, 255)))
    save(tmp_path / "test" / "0" / "a.jpg", Image.new("RGB", (8, 8)))
    _, train, _ = scan(tmp_path, 2)
    pixels = decode(train, (3, 8, 8))
    expected = [*range(0, 200, 2), *range(1, 200, 2)]
    assert np.abs(pixels[:, 0, 4, 4].astype(int) - expected).max() <= 3
    assert pixels[:, 2].min() > 250


def overwrite(path: Path, data: bytes) -> None:
    """Other content, same size and time of change."""
    before = path.stat()
    path.write_bytes(data.ljust(before.st_size, b"\0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_images_are_decoded_once(root: Path, cache: Path) -> None:
    train = scan(root, 2)[1]
    before = decode(train, SHAPE)
    for path in root.rglob("*.png"):
        overwrite(path, b"no image any more")
    again = decode(scan(root, 2)[1], SHAPE)
    assert np.array_equal(before, again)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    assert len(list(cache.rglob("*.npy"))) == 1


def test_a_changed_file_is_decoded_anew(root: Path) -> None:
    decode(scan(root, 2)[1], SHAPE)
    before = (root / "train" / "cat" / "b.png").stat()
    path = save(root / "train" / "cat" / "b.png", Image.fromarray(GREY[::-1].copy()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert np.array_equal(decode(scan(root, 2)[1], SHAPE)[2, 0], GREY[::-1])


def test_a_folder_that_looks_like_another_has_its_own_cache(root: Path, tmp_path: Path) -> None:
    decode(scan(root, 2)[1], SHAPE)
    copy = shutil.copytree(root, tmp_path / "copy")  # keeps sizes and times
    overwrite(copy / "train" / "ant" / "a.png", b"no image")
    with pytest.raises(ConfigError, match=r"copy/train/ant/a\.png"):
        decode(scan(copy, 2)[1], SHAPE)


def test_added_images_other_shapes_and_other_parts_have_their_own_cache(root: Path, cache: Path) -> None:
    _, train, test = scan(root, 2)
    assert decode(train, SHAPE).shape == (3, 1, 2, 3)
    assert decode(train, (3, 2, 3)).shape == (3, 3, 2, 3)
    assert decode(train, (1, 3, 2)).shape == (3, 1, 3, 2)
    assert decode(test, SHAPE).shape == (1, 1, 2, 3)
    save(root / "train" / "ant" / "b.png", Image.fromarray(GREY))
    assert decode(scan(root, 2)[1], SHAPE).shape == (4, 1, 2, 3)
    assert len(list(cache.rglob("*.npy"))) == 5


@pytest.mark.parametrize("name", ["b.jpg", "b.png", "b.gif", "b.tif", "b.webp"])
def test_a_truncated_image_is_named_and_nothing_is_cached(root: Path, cache: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(root / "train" / "cat" / name, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ConfigError, match=f"cannot decode .*train/cat/{name}: ") as caught:
        decode(scan(root, 2)[1], SHAPE)
    assert "\n" not in str(caught.value)
    assert [file for file in cache.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_only_has_the_name_of_an_image_is_refused(root: Path, data: bytes) -> None:
    (root / "train" / "ant" / "c.png").write_bytes(data)
    with pytest.raises(ConfigError, match=r"cannot decode .*train/ant/c\.png"):
        decode(scan(root, 2)[1], SHAPE)


def test_pixels_of_unknown_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"floating-point"):
        read_one(tmp_path / "float", "a.tif", Image.fromarray(GREY.astype(np.float32)), 1)
    with pytest.raises(ConfigError, match=r"16 bits"):
        read_one(tmp_path / "int", "a.tif", Image.fromarray(GREY.astype(np.int32) * 1000), 1)


def test_a_cache_that_cannot_be_written_is_named(root: Path, cache: Path) -> None:
    cache.write_bytes(b"a file, not a folder")
    with pytest.raises(ConfigError, match=r"XDG_CACHE_HOME"):
        decode(scan(root, 2)[1], SHAPE)


def test_more_images_than_the_disk_holds_are_refused_before_decoding(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"GB are needed.*XDG_CACHE_HOME"):
        decode(scan(root, 2)[1], (4, 10**8, 10**8))


def test_mistakes_in_the_folder_are_named(root: Path) -> None:
    def message(num_classes: int | None = 2) -> str:
        with pytest.raises(ConfigError) as caught:
            scan(root, num_classes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "data.num_classes=3" in message(3)
    assert "has 2 class folders" in message(3)
    assert "set data.num_classes=2" in message(3)

    (root / "train" / "bee").mkdir()
    assert f"{root}/train/bee has no images" in message(3)
    (root / "train" / "bee" / "notes.txt").touch()
    assert f"{root}/train/bee has no images" in message(3)
    shutil.rmtree(root / "train" / "bee")

    (root / "test" / "zebra").mkdir()
    assert f"{root}/test has classes that train lacks: zebra" in message()
    shutil.rmtree(root / "test" / "zebra")

    (root / "train" / "cat" / "link.png").symlink_to(root / "gone.png")
    assert "link.png: No such file" in message()
    (root / "train" / "cat" / "link.png").unlink()

    shutil.rmtree(root / "test" / "cat")
    assert f"{root}/test has no class folders" in message()
    shutil.rmtree(root / "test")
    assert f"there is no folder {root}/test; expected {root}/test/<class>/<images>" in message()
    shutil.rmtree(root)
    assert f"data.root={root}: there is no folder {root}/train" in message()
