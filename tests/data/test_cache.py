"""Images are decoded once, by one process, whatever is killed; damaged ones are named all at once."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.pictures import GREY, folder_config, listed, names, noise, put, save

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Fit
from resnet_lab.data.cache import Cached, decoded, list_damaged
from resnet_lab.data.fit import Decoding
from resnet_lab.data.kept import Arrays
from resnet_lab.data.listing import list_images
from resnet_lab.data.own import image_folder
from resnet_lab.data.sources import Source

SHAPE = (1, 2, 3)
PLAIN = Decoding(SHAPE)
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def use_cache(cache: Path) -> None:
    """No test decodes into the cache of the user who runs it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes."""
    return put(tmp_path / "images", ("train/cat/a.png", "train/cat/b.png", "train/ant/a.png", "test/cat/a.png"))


def decode(root: Path, how: Decoding = PLAIN, **settings: object) -> Cached:
    listing = listed(root, **settings)
    return decoded(listing.files, Arrays(how), listing.parts["train"])


def read(root: Path, **settings: object) -> Source:
    """As a run reads it."""
    list_images.cache_clear()
    return image_folder(folder_config(root, **settings))


def entries(cache: Path) -> list[str]:
    """The files in a cache of decoded images, without what is random in their names, and without locks."""
    found = (path for path in (cache / "resnet_lab" / "images").rglob("*") if path.is_file())
    return sorted("pixels" if path.suffix == ".npy" else path.name for path in found if path.name != ".lock")


def overwrite(path: Path, data: bytes) -> None:
    """Other content, same size and time of change, to be noticed only by the time of the entry."""
    before = path.stat()
    while True:
        path.write_bytes(data.ljust(before.st_size, b"\0"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if path.stat().st_ctime_ns != before.st_ctime_ns:  # the clock of a file system is coarse
            return


# --- once


def test_images_are_decoded_once(root: Path, cache: Path) -> None:
    before, _ = decode(root)
    listing = listed(root)
    for path in root.rglob("*.png"):
        path.unlink()  # opening one of them would fail
    again, _ = decoded(listing.files, Arrays(PLAIN), listing.parts["train"])
    assert np.array_equal(before, again)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    assert entries(cache) == ["index.npz", "pixels"]


def test_only_what_is_new_or_changed_is_decoded(root: Path) -> None:
    noise(root, {"train/dog": 200})
    before, index = decode(root)
    listing = listed(root)
    kept = {name: before[row].copy() for row, name in enumerate(index.names)}
    changed, added, gone = "train/cat/b.png", "train/bee/new.png", "train/dog/7.png"
    save(root / added, GREY[:, ::-1].copy())
    save(root / changed, GREY[::-1].copy())
    (root / gone).unlink()
    files = listed(root).files
    assert len(files.names) == len(listing.files.names)
    for name in files.names:
        if name not in (changed, added):
            (root / name).unlink()  # opening it would fail
    pixels, index = decoded(files, Arrays(PLAIN), np.arange(len(files.names)))
    assert index.damaged == {}
    assert index.names == files.names
    for row, name in enumerate(files.names):
        expected = {changed: GREY[::-1], added: GREY[:, ::-1]}.get(name)
        assert np.array_equal(pixels[row], kept[name] if expected is None else expected[None])


def test_a_changed_file_is_decoded_anew(root: Path) -> None:
    decode(root)
    before = (root / "train" / "cat" / "b.png").stat()
    path = save(root / "train" / "cat" / "b.png", GREY[::-1].copy())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert np.array_equal(decode(root)[0][2, 0], GREY[::-1])


def test_a_change_that_keeps_size_and_time_is_noticed(root: Path) -> None:
    decode(root)
    overwrite(root / "train" / "cat" / "b.png", b"no image any more")
    assert list(decode(root)[1].damaged) == [2]


def test_a_folder_that_looks_like_another_has_its_own_cache(root: Path, tmp_path: Path) -> None:
    decode(root)
    copy = shutil.copytree(root, tmp_path / "copy")  # keeps sizes and times
    overwrite(copy / "train" / "ant" / "a.png", b"no image")
    with pytest.raises(ConfigError, match=r"copy cannot be decoded: train/ant/a\.png"):
        read(copy)


def test_other_shapes_and_ways_have_their_own_cache_and_more_images_have_not(root: Path, cache: Path) -> None:
    assert decode(root)[0].shape == (4, 1, 2, 3)
    assert decode(root, Decoding((3, 2, 3)))[0].shape == (4, 3, 2, 3)
    assert decode(root, Decoding((1, 3, 2)))[0].shape == (4, 1, 3, 2)
    assert decode(root, Decoding((1, 3, 2), fit=Fit.crop))[0].shape == (4, 1, 3, 2)
    assert decode(root, Decoding((1, 3, 2), background=None))[0].shape == (4, 1, 3, 2)
    assert entries(cache).count("pixels") == 5
    save(root / "train" / "ant" / "b.png", GREY)
    assert decode(root)[0].shape == (5, 1, 2, 3)
    assert entries(cache) == ["index.npz"] * 5 + ["pixels"] * 5


def test_many_images_keep_their_places(tmp_path: Path) -> None:
    for number in range(200):  # more than a thread takes at a time
        save(tmp_path / "train" / str(number % 2) / f"{number:03}.jpg", Image.new("RGB", (8, 8), (number, 0, 255)))
    save(tmp_path / "test" / "0" / "a.jpg", Image.new("RGB", (8, 8)))
    pixels, _ = decode(tmp_path, Decoding((3, 8, 8)))
    expected = [*range(0, 200, 2), *range(1, 200, 2)]
    assert np.abs(pixels[:200, 0, 4, 4].astype(int) - expected).max() <= 3
    assert pixels[:200, 2].min() > 250


# --- damaged images

CASES = {"empty.png": b"", "html.jpg": b"<html>", "zero.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40}


@pytest.mark.parametrize("name", ["b.jpg", "b.png", "b.gif", "b.tif", "b.webp", *CASES])
def test_a_damaged_image_is_named(root: Path, name: str) -> None:
    path = root / "train" / "cat" / name
    if name in CASES:
        path.write_bytes(CASES[name])
    else:
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        save(path, pixels)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        ConfigError, match=rf"^1 of \d images in {root} cannot be decoded: train/cat/{name} \("
    ) as caught:
        read(root)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("Replace or remove them, or leave them out with data.skip_damaged=true")
    path.unlink()
    assert read(root).damaged == 0


def damage(root: Path, count: int) -> list[str]:
    """Put damaged files among good ones; return their names."""
    noise(root, {"train/dog": 100, "test/dog": 3})
    damaged = [f"train/dog/x{number:02}.png" for number in range(count)]
    for name in damaged:
        (root / name).write_bytes(b"junk" + name.encode())
    return damaged


def test_all_damaged_images_are_named_at_once_and_the_others_kept(root: Path) -> None:
    damaged = damage(root, 5)
    with pytest.raises(ConfigError) as caught:
        read(root)
    message = str(caught.value)
    assert message.startswith(f"5 of 112 images in {root} cannot be decoded: ")
    assert all(f"{name} (" in message for name in damaged)
    good = save(root / "good.png", GREY)
    for name in damaged:
        shutil.copyfile(good, root / name)
    good.unlink()
    files = listed(root).files
    for name in files.names:
        if name not in damaged:
            (root / name).unlink()  # opening it again would fail
    pixels, index = decoded(files, Arrays(PLAIN), np.arange(4))
    assert index.damaged == {}
    for name in damaged:
        assert np.array_equal(pixels[files.names.index(name), 0], GREY)


def test_ten_are_listed_and_all_of_them_in_a_file(root: Path) -> None:
    damaged = damage(root, 25)
    listings = []
    for _ in range(2):  # the second time from the cache
        with pytest.raises(ConfigError) as caught:
            read(root)
        listings.append(str(caught.value))
    assert listings[0] == listings[1]
    assert sum(f"{name} (" in listings[0] for name in damaged) == 10
    full = Path(listings[0].partition("all are listed in ")[2].partition(". Replace")[0])
    assert [line.partition(" (")[0] for line in full.read_text().splitlines()] == damaged
    for name in damaged[:20]:
        (root / name).unlink()
    with pytest.raises(ConfigError, match=r"^5 of 112") as few:
        read(root)
    assert "listed in" not in str(few.value)


def test_damaged_images_can_be_left_out(root: Path) -> None:
    damaged = damage(root, 25)
    (root / "test" / "dog" / "x.png").write_bytes(b"junk")
    source = read(root, skip_damaged=True)
    assert source.damaged == 26
    assert "26 damaged images left out (data.skip_damaged)" in source.notes
    listing = listed(root)
    left = {part: [listing.files.names[row] for row in rows] for part, rows in source.rows.items()}
    assert left["train"] == [name for name in names(listing, "train") if name not in damaged]
    assert left["test"] == ["test/cat/a.png", *(f"test/dog/{number}.png" for number in range(3))]
    assert listing.left_out == ()
    (root / "test" / "dog" / "x.png").unlink()
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(b"junk")
    with pytest.raises(
        ConfigError,
        match=f"^data.root={root}: 1 of 1 images of class cat in the test part are damaged, which is too many",
    ):
        read(root, skip_damaged=True)


def test_a_name_that_is_not_utf8_is_listed(root: Path) -> None:
    (root / "train" / "cat" / os.fsdecode(b"\xff.png")).write_bytes(b"junk")
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            read(root)
        assert "train/cat/\\xff.png (" in str(caught.value).encode().decode()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_could_not_be_read_is_tried_again(root: Path) -> None:
    (root / "train" / "cat" / "a.png").chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        read(root)


def test_a_file_that_is_gone_when_it_is_read_is_tried_again(root: Path) -> None:
    listing = listed(root)
    data = (root / "train" / "cat" / "a.png").read_bytes()
    (root / "train" / "cat" / "a.png").unlink()
    for _ in range(2):
        _, index = decoded(listing.files, Arrays(PLAIN), listing.parts["train"])
        assert "No such file" in index.damaged[1]
        assert "train/cat/a.png (" in list_damaged(listing.files, PLAIN, index)
    (root / "train" / "cat" / "a.png").write_bytes(data)
    assert (
        decoded(listing.files, Arrays(PLAIN), listing.parts["train"])[1].damaged == {}
    )  # though size and times are as listed


# --- more than 8 bits


def wide(root: Path, name: str, *values: int) -> None:
    save(root / name, np.resize(np.array(values, np.uint16), (2, 3)))


def test_the_range_is_that_of_the_training_part(tmp_path: Path) -> None:
    wide(tmp_path, "train/a/1.png", 100, 300)
    wide(tmp_path, "train/b/1.png", 200, 1100)
    wide(tmp_path, "val/a/1.png", 0, 65535)
    wide(tmp_path, "test/a/1.png", 600, 5000)
    save(tmp_path / "train" / "b" / "2.png", GREY)
    source = read(tmp_path)
    assert source.range == (100, 1100)
    [tested] = source.rows["test"]
    assert sorted(set(source.test.pixels[tested].ravel())) == [round(0.5 * 255), 255]
    assert np.array_equal(source.train.pixels[source.rows["train"][2], 0], GREY)  # 8 bits are as they are
    assert any("100 becomes black and 1100 white (the least and greatest value" in note for note in source.notes)


def test_a_range_is_applied_anew_when_the_training_part_or_the_setting_changes(tmp_path: Path) -> None:
    wide(tmp_path, "train/a/1.png", 0, 100)
    wide(tmp_path, "train/b/1.png", 0, 50)
    wide(tmp_path, "test/a/1.png", 50)

    def tested(**settings: object) -> int:
        source = read(tmp_path, **settings)
        assert source.range == (tuple(settings["range"]) if "range" in settings else source.range)  # type: ignore[arg-type]
        return int(source.test.pixels[source.rows["test"][0], 0, 0, 0])

    assert tested() == round(255 / 2)
    wide(tmp_path, "train/b/2.png", 0, 200)
    assert tested() == round(255 / 4)
    (tmp_path / "train" / "b" / "2.png").unlink()
    assert tested() == round(255 / 2)
    assert tested(range=[0.0, 500.0]) == round(255 / 10)
    assert tested(range=[40.0, 60.0]) == round(255 / 2)
    assert tested() == round(255 / 2)


def test_a_range_that_is_hardly_used_is_a_warning(tmp_path: Path) -> None:
    wide(tmp_path, "train/a/1.png", 0, 4095)
    wide(tmp_path, "train/b/1.png", 0, 4095)
    wide(tmp_path, "test/a/1.png", 4000)
    assert not any("warning" in note for note in read(tmp_path).notes)
    assert not any("warning" in note for note in read(tmp_path, range=[0.0, 32_000.0]).notes)
    notes = read(tmp_path, range=[0.0, 65_535.0]).notes
    assert any(note.startswith("warning: training images use only 0 to 4095 of that") for note in notes)


def test_what_is_done_to_images_is_said_once(root: Path) -> None:
    for number in range(3):
        save(root / "train" / "cat" / f"cut{number}.png", np.dstack([GREY] * 4))
    save(root / "train" / "cat" / "opaque.png", np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)]))
    for _ in range(2):
        assert read(root).notes == ("3 images with transparent pixels put on data.background=white",)
    assert read(root, channels=2).notes == ()
    assert read(root, background=None).notes == ()


# --- places that cannot be written


def test_a_cache_that_cannot_be_written_is_named(root: Path, cache: Path) -> None:
    cache.write_bytes(b"a file, not a folder")
    with pytest.raises(ConfigError, match=rf"^cannot cache .* in {cache}/.*XDG_CACHE_HOME"):
        decode(root)


def test_more_images_than_the_disk_holds_are_refused_before_decoding(root: Path, cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"160000000\.0 GB are needed.*XDG_CACHE_HOME"):
        decode(root, Decoding((4, 10**8, 10**8)))
    assert entries(cache) == []


@pytest.mark.parametrize("damage", [b"", b"junk", b"PK\x03\x04" + b"\0" * 200, "half"])
@pytest.mark.parametrize("file", ["index.npz", "pixels-*.npy"])
def test_a_damaged_cache_is_made_anew(root: Path, cache: Path, file: str, damage: bytes | str) -> None:
    before = decode(root)[0].copy()
    [path] = cache.rglob(file)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2] if isinstance(damage, str) else damage)
    assert np.array_equal(decode(root)[0], before)
    assert entries(cache) == ["index.npz", "pixels"]


# --- processes

DECODER = """
import sys
from resnet_lab.config.data import DataConfig
from resnet_lab.data import cache
from resnet_lab.data.fit import Decoding
from resnet_lab.data.kept import Arrays
from resnet_lab.data.listing import listing_of

root, counter = sys.argv[1:]
decode_image = cache.decode_image

def counted(path, how):
    with open(counter, "a") as file:
        file.write(f"{path}\\n")
    return decode_image(path, how)

cache.decode_image = counted
print("ready", flush=True)
sys.stdin.readline()
listing = listing_of(DataConfig(name="image_folder", root=root, channels=1, image_size=64, num_classes=None))
pixels, _ = cache.decoded(listing.files, Arrays(Decoding((1, 64, 64))), listing.parts["train"])
print(pixels.astype(int).sum(), flush=True)
"""


class Decoder:
    """A process that decodes a folder when it is told to, and notes each image in a file."""

    def __init__(self, root: Path, counter: Path) -> None:
        self.counter = counter
        self.process = subprocess.Popen(
            [sys.executable, "-c", DECODER, str(root), str(counter)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> int:
        stdout, stderr = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, stderr
        return int(stdout)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def sum_of(root: Path) -> int:
    """What the decoder prints, by Pillow alone."""
    bilinear = Image.Resampling.BILINEAR
    images = (Image.open(path).resize((64, 64), bilinear) for path in root.rglob("*.png"))
    return sum(int(np.asarray(image).astype(int).sum()) for image in images)


@pytest.mark.slow
def test_processes_that_need_the_same_images_decode_each_once(tmp_path: Path) -> None:
    root, counter = noise(tmp_path / "images", {"train/a": 150, "train/b": 150, "test/a": 10}, 32), tmp_path / "counter"
    decoders = [Decoder(root, counter) for _ in range(3)]
    for decoder in decoders:
        decoder.go()
    assert [decoder.result() for decoder in decoders] == [sum_of(root)] * 3
    assert sorted(lines(counter)) == sorted(map(str, root.rglob("*.png")))


@pytest.mark.slow
@pytest.mark.long
def test_a_decoder_that_is_killed_at_any_moment_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    """Each time images are added, so that every decoder replaces what the one before had finished, if it did."""
    root, counter = noise(tmp_path / "images", {"train/a": 100, "train/b": 100, "test/a": 10}, 64), tmp_path / "counter"
    rng = random.Random(0)
    killed = 0
    for moment in range(12):
        noise(root, {"train/a": 50}, 64, first=1000 * (moment + 1))
        counter.unlink(missing_ok=True)
        decoder = Decoder(root, counter)
        decoder.go()
        after = rng.randrange(52)  # images; 51 of them are never decoded, so that it is killed when it is done
        while len(lines(counter)) < after and decoder.process.poll() is None:
            pass
        decoder.process.kill()
        decoder.process.communicate()
        killed += decoder.process.returncode == -signal.SIGKILL
        if moment % 4 == 3:
            last = Decoder(root, counter)
            last.go()
            assert last.result() == sum_of(root)
            assert entries(cache) == ["index.npz", "pixels"]
    assert killed >= 6


def test_what_a_killed_decoder_left_is_removed_by_the_next(root: Path, cache: Path) -> None:
    decode(root)
    [entry] = (cache / "resnet_lab" / "images").iterdir()
    (entry / "pixels-12345678.npy").write_bytes(b"half")
    (entry / ".index.npz.77.tmp").write_bytes(b"half")
    save(root / "train" / "cat" / "c.png", GREY)
    pixels, _ = decode(root)
    assert entries(cache) == ["index.npz", "pixels"]
    assert isinstance(pixels, np.memmap)


def test_images_in_use_stay_when_they_are_replaced(root: Path) -> None:
    before, _ = decode(root)
    copy: npt.NDArray[np.uint8] = before.copy()
    for path in root.rglob("*.png"):
        save(path, GREY[::-1].copy())
    after, _ = decode(root)
    assert np.array_equal(before, copy)
    assert not np.array_equal(after, copy)
