"""What is kept of decoded images: a packed file is made once and continued, and nothing more is decoded than needed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.pictures import listed, photographs, save

from resnet_lab.data import cache
from resnet_lab.data.cache import decoded
from resnet_lab.data.decode import Decoded, decode_image
from resnet_lab.data.fit import Decoding
from resnet_lab.data.kept import Arrays, Keeper, Nothing, Packed

REPOSITORY = Path(__file__).parents[2]
HOW = Decoding((3, 12, 10))
KEEPERS = {
    "arrays": lambda how: Arrays(how),
    "nothing": lambda how: Nothing(how),
    "pixels": lambda how: Packed(how, 40, None),
    "jpeg": lambda how: Packed(how, 40, 90),
}


@pytest.fixture(autouse=True)
def use_cache(cache: Path) -> None:
    """No test decodes into the cache of the user who runs it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return photographs(tmp_path / "images", {"train/a": 60, "train/b": 60, "test/a": 10})


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded into the cache."""
    names: list[str] = []

    def counted(path: Path, how: Decoding) -> Decoded:
        names.append(path.name)
        return decode_image(path, how)

    monkeypatch.setattr(cache, "decode_image", counted)
    return names


def pixels_of(root: Path, keeper: Keeper) -> np.ndarray:
    listing = listed(root)
    found, _ = decoded(listing.files, keeper, listing.parts["train"])
    return found[np.arange(found.shape[0])]


@pytest.mark.parametrize("kind", KEEPERS)
def test_images_are_decoded_once_and_again_if_they_change(root: Path, count: list[str], kind: str) -> None:
    first = pixels_of(root, KEEPERS[kind](HOW))
    assert len(count) == 130
    assert np.array_equal(pixels_of(root, KEEPERS[kind](HOW)), first)
    assert len(count) == 130
    save(root / "train" / "a" / "7.png", np.zeros((30, 50, 3), np.uint8))
    save(root / "train" / "b" / "new.png", np.full((30, 50, 3), 255, np.uint8))
    changed = pixels_of(root, KEEPERS[kind](HOW))
    assert sorted(count[130:]) == ["7.png", "new.png"]
    names = [Path(name) for name in listed(root).files.names]
    row, new = names.index(Path("train/a/7.png")), names.index(Path("train/b/new.png"))
    assert not changed[row].any()
    assert (changed[new] == 255).all()
    assert np.array_equal(np.delete(changed, [row, new], axis=0), np.delete(first, row, axis=0))


def test_what_is_kept_does_not_change_the_pixels(root: Path) -> None:
    known = pixels_of(root, Arrays(HOW))
    assert np.array_equal(pixels_of(root, Nothing(HOW)), known)
    large = Packed(HOW, 1000, None)  # as large as the files
    assert np.array_equal(pixels_of(root, large), known)
    assert np.abs(pixels_of(root, Packed(HOW, 1000, 100)).astype(int) - known).mean() < 2


@pytest.mark.parametrize("kind", KEEPERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_more_than_8_bits_are_scaled_when_their_range_is_known(
    tmp_path: Path, kind: str, channels: int
) -> None:
    rng = np.random.default_rng(0)
    for number in range(70):
        save(tmp_path / "train" / "a" / f"{number}.png", rng.integers(100 * number, 60_000, (50, 60), dtype=np.uint16))
    save(tmp_path / "train" / "b" / "0.png", rng.integers(0, 256, (50, 60), dtype=np.uint8))
    save(tmp_path / "test" / "a" / "0.png", rng.integers(0, 256, (50, 60), dtype=np.uint8))
    how = Decoding((channels, 12, 10))
    found, known = (pixels_of(tmp_path, keeper) for keeper in (KEEPERS[kind](how), Arrays(how)))
    most = 3 if kind in ("pixels", "jpeg") else 0  # resized twice, and compressed
    assert np.abs(found.astype(int) - known).mean() <= most


def test_networks_of_several_sizes_share_a_pack(root: Path, count: list[str]) -> None:
    for size in (8, 24):
        assert pixels_of(root, Packed(Decoding((3, size, size)), 40, 90)).shape == (130, 3, size, size)
    assert len(count) == 130
    pixels_of(root, Packed(HOW, 41, 90))
    pixels_of(root, Packed(HOW, 40, 91))
    assert len(count) == 3 * 130


@pytest.mark.parametrize("kind", ["arrays", "pixels", "jpeg"])
@pytest.mark.parametrize("file", ["index.npz", "pixels-*"])
def test_what_is_damaged_is_made_anew(root: Path, cache: Path, count: list[str], kind: str, file: str) -> None:
    before = pixels_of(root, KEEPERS[kind](HOW))
    [path] = cache.rglob(file)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    assert np.array_equal(pixels_of(root, KEEPERS[kind](HOW)), before)
    assert len(count) == 2 * 130


PACKER = """
import os, sys, threading
from pathlib import Path
from resnet_lab.config.data import DataConfig
from resnet_lab.data import cache
from resnet_lab.data.fit import Decoding
from resnet_lab.data.kept import Arrays, Nothing, Packed
from resnet_lab.data.listing import listing_of

cache.CHUNK, cache.SECONDS, cache.cpu_count = 8, 0.0, lambda: 1
decode_image, write = cache.decode_image, cache.Index.write
done, written, changed = 0, 0, threading.Condition()

def killed(path, how):
    global done
    done += 1
    if done > int(sys.argv[3]):  # in the middle of a chunk, when all others are in the index
        with changed:
            changed.wait_for(lambda: written == int(sys.argv[3]) // cache.CHUNK)
        os._exit(9)
    return decode_image(path, how)

def counted(index, file):
    global written
    write(index, file)
    with changed:
        written += 1
        changed.notify()

cache.decode_image, cache.Index.write = killed, counted
how = Decoding((3, 12, 10))
keeper = {"arrays": Arrays(how), "nothing": Nothing(how), "pixels": Packed(how, 40, None), "jpeg": Packed(how, 40, 90)}
listing = listing_of(DataConfig(name="image_folder", root=sys.argv[1], channels=1, image_size=8, num_classes=None))
cache.decoded(listing.files, keeper[sys.argv[2]], listing.parts["train"])
"""


@pytest.mark.parametrize("kind", KEEPERS)
def test_a_process_that_is_killed_has_not_worked_in_vain(
    root: Path, tmp_path: Path, count: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", PACKER, str(root), kind]
    for most in ("50", "50"):  # images, in each of two processes
        assert subprocess.run([*command, most], cwd=REPOSITORY, env=os.environ, check=False).returncode == 9
    found = pixels_of(root, KEEPERS[kind](HOW))
    assert len(count) == 130 - 2 * 48
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert np.array_equal(found, pixels_of(root, KEEPERS[kind](HOW)))
    assert len(count) == 130 - 2 * 48 + 130
