"""The centre of each image is used: which pixels these are, of files and of arrays, and who prepares images so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config
from support.pictures import GREY, listed, put, save

from resnet_lab.bench.measure import on_random_images
from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import DATASETS
from resnet_lab.config.stored import from_dict, to_stored
from resnet_lab.data.cache import decoded
from resnet_lab.data.decode import decode_image, read_image
from resnet_lab.data.fit import Decoding, centre
from resnet_lab.data.kept import Arrays
from resnet_lab.data.sources import Images, Source, read
from resnet_lab.use.images import data_config, refuse_other_settings

FACE = (178, 218)  # width and height of CelebA's images


def coordinates(width: int, height: int) -> np.ndarray:
    """A picture (height, width, 3) whose red is x and whose green is y."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 7)], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "crop", "corner"),
    [
        (FACE, (148, 148), (15, 35)),
        (FACE, (160, 160), (9, 29)),
        (FACE, (178, 178), (0, 20)),
        (FACE, (178, 218), (0, 0)),
        ((7, 9), (2, 4), (2, 2)),  # 2.5 on each side, and round(2.5) is 2
        ((7, 9), (4, 2), (2, 4)),  # 1.5 and 3.5
        ((3, 4), (2, 1), (0, 2)),  # 0.5 and 1.5
    ],
)
def test_the_centre_of_files_and_arrays_is_used(
    size: tuple[int, int], crop: tuple[int, int], corner: tuple[int, int], tmp_path: Path
) -> None:
    picture, (left, top) = coordinates(*size), corner
    assert centre(size, crop) == corner
    how = Decoding((3, *crop[::-1]), crop=crop[::-1])
    pixels = read_image(save(tmp_path / "a.png", picture), how)
    assert np.array_equal(pixels[:, 0, 0], [left, top, 7])
    assert np.array_equal(pixels, picture[top : top + crop[1], left : left + crop[0]].transpose(2, 0, 1))


def test_what_is_cropped_is_resized_as_an_image_of_its_own(tmp_path: Path) -> None:
    picture = coordinates(*FACE)
    part = picture[35 : 35 + 148, 15 : 15 + 148]
    whole, own = save(tmp_path / "whole.png", picture), save(tmp_path / "part.png", part)
    small = read_image(whole, Decoding((3, 64, 64), crop=(148, 148)))
    assert np.array_equal(small, read_image(own, Decoding((3, 64, 64))))
    expected = 15 + 148 / 64 * (np.arange(64) + 0.5) - 0.5  # the x of the centre of each small pixel
    inner = slice(2, -2)  # at the border, antialiasing averages over fewer pixels
    assert np.abs(small[0, 32, inner] - expected[inner]).max() <= 1


def test_turned_wide_and_clear_images_are_cropped_after_they_are_turned(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6  # turned by 90° clockwise
    path = save(tmp_path / "a.png", coordinates(6, 8), exif=turned)
    pixels = read_image(path, Decoding((3, 6, 4), crop=(6, 4)))
    assert np.array_equal(pixels, np.rot90(coordinates(6, 8), -1)[:, 2:6].transpose(2, 0, 1))
    wide = decode_image(
        save(tmp_path / "a.tif", np.array([[0, 9, 30, 0]], np.uint16)), Decoding((1, 1, 2), crop=(1, 2))
    )
    assert (wide.low, wide.high) == (9, 30)  # of what is used
    palette = Image.new("P", (4, 1))
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putdata([0, 1, 1, 0])
    clear = save(tmp_path / "p.png", palette, transparency=0)
    assert read_image(clear, Decoding((4, 1, 2), crop=(1, 2)))[:, 0].T.tolist() == [[10, 20, 30, 255]] * 2


@pytest.mark.parametrize(("crop", "shape"), [(4, (4, 4)), ([2, 6], (2, 6))])
def test_published_sets_are_cropped_too(
    crop: int | list[int], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.stack([coordinates(8, 8).transpose(2, 0, 1)] * 3)
    images = Images(pixels, np.zeros(3, np.int64))
    monkeypatch.setattr(DATASETS, "load", lambda name: lambda _: Source(images, images, ("0",)))
    data = replace(config("data=fake", "data.image_size=8").data, crop=crop)
    top, left = (8 - shape[0]) // 2, (8 - shape[1]) // 2
    same = read(replace(data, image_size=[*shape]))
    assert np.array_equal(same.train.pixels, pixels[:, :, top : top + shape[0], left : left + shape[1]])
    enlarged = read(data).train.pixels[0]  # although the images have the wanted size already
    assert enlarged.shape == (3, 8, 8)
    assert (enlarged[0].min(), enlarged[0].max()) == (left, left + shape[1] - 1)
    assert (enlarged[1].min(), enlarged[1].max()) == (top, top + shape[0] - 1)


def test_images_that_are_smaller_are_refused_by_name(tmp_path: Path, cache: Path) -> None:
    folder = put(tmp_path / "images", ["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png"])
    save(folder / "train" / "a" / "large.png", np.zeros((5, 5), np.uint8))
    own = ("data=image_folder", f"data.root={folder}", "data.channels=1", "data.image_size=4", "data.crop=[3,2]")
    with pytest.raises(
        ConfigError,
        match=r"^4 of 5 images .* train/a/1\.png \(3 × 2 pixels are less than the 2 × 3 of data\.crop\);",
    ):
        read(config(*own).data)
    with pytest.raises(ConfigError, match=r"^data=digits: 8 × 8 pixels are less than the 9 × 9 of data\.crop: set"):
        read(config("data=digits", "data.crop=9").data)
    for crop in ("0", "[1]", "[1,2,3]", "1.5", "true", "some", "[1,0]"):
        with pytest.raises(
            ConfigError, match=r"^data\.crop must be a positive number of pixels or \[height,width\], got"
        ):
            config("data=digits", f"data.crop={crop}")


def test_trained_networks_get_images_prepared_in_the_same_way() -> None:
    stored = config("data=digits", "data.crop=[4,6]")
    assert data_config(stored, ["data=mnist", "data.root=elsewhere"]).crop == [4, 6]
    assert Decoding.of(stored.data).described()["crop"] == (4, 6)
    with pytest.raises(ConfigError, match=r"^data\.crop=4: images are prepared as in the run's training"):
        refuse_other_settings(["data.crop=4"])
    bench = on_random_images(config("data=digits", "data.crop=4", "data.image_size=2", "stacks=one"), 1, "")
    assert bench.data.crop is None


def test_another_crop_is_another_run_and_is_decoded_again(tmp_path: Path, cache: Path) -> None:
    listing = listed(put(tmp_path / "images", ["train/a/1.png", "train/b/2.png", "test/a/3.png"]))
    pixels, _ = decoded(listing.files, Arrays(Decoding((1, 1, 1), crop=(2, 1))), listing.parts["train"])
    assert pixels[:, 0, 0, 0].tolist() == [round(GREY[:, 1].mean()) + n for n in range(3)]
    other, _ = decoded(listing.files, Arrays(Decoding((1, 1, 1))), listing.parts["train"])
    assert not np.array_equal(other, pixels)
    whole, square, spelled, flat = (
        config("data=digits", f"data.crop={crop}") for crop in ("null", "4", "[4,4]", "[2,4]")
    )
    assert canonical(square) == canonical(spelled) != canonical(whole)
    assert canonical(flat)["data.crop"] == [2, 4]
    stored = to_stored(whole)
    del stored["data"]["crop"]  # as in runs of before
    assert from_dict(stored) == whole
