"""Every kind of image becomes what it looks like: modes, transparency, ranges, orientation, sizes; and no program."""

import itertools
import os
import re
import stat
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import EpsImagePlugin, Image
from support.composing import config as load_config
from support.pictures import GREY, Pixels, listed, save

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Fit
from resnet_lab.data.cache import decoded
from resnet_lab.data.decode import decode_image, formats, is_readable, read_image
from resnet_lab.data.fit import Decoding, as_array
from resnet_lab.data.kept import Arrays
from resnet_lab.data.sources import _resized
from resnet_lab.data.sources import read as read_set

Floats = npt.NDArray[np.float64]

WHITE = (255, 255, 255)


def read(path: Path, channels: int, size: tuple[int, int] | None = None, **how: object) -> Pixels:
    """Decode to a number of channels and, unless a (height, width) is given, the image's own size."""
    if size is None:
        with Image.open(path) as image:
            size = image.size[::-1]
    return read_image(path, Decoding((channels, *size), **how))  # type: ignore[arg-type]


# --- format × mode × channels, computed by numpy

HEIGHT, WIDTH = 16, 24
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
LEVELS = (ROWS * 255 // (HEIGHT - 1)).astype(np.uint8)
COLOURS = np.stack([LEVELS, COLUMNS * 255 // (WIDTH - 1), 255 - LEVELS // 2], axis=2).astype(np.uint8)
ALPHAS = (COLUMNS * 255 // (WIDTH - 1)).astype(np.uint8)  # all opaque at the right, all transparent at the left
ENTRIES = np.random.default_rng(0).integers(0, 256, (WIDTH, 3), dtype=np.uint8)  # of a palette
ENTRY_ALPHAS = np.linspace(0, 255, WIDTH).astype(np.uint8)


def rgba(colours: npt.NDArray[np.generic], alphas: object = 255) -> Floats:
    """Values (H, W, 4), of grey levels (H, W) or colours (H, W, 3)."""
    colours = np.broadcast_to(colours[..., None], (*colours.shape, 3)) if colours.ndim == 2 else colours
    return np.dstack([colours, np.broadcast_to(np.asarray(alphas), colours.shape[:2])]).astype(np.float64)


def in_channels(values: Floats, channels: int, background: tuple[int, int, int] | None = WHITE) -> Floats:
    """What (H, W, 4) looks like in 1 to 4 channels (C, H, W), on a background where there is no alpha."""
    colours, alphas = values[..., :3], values[..., 3:] / 255
    if channels in (1, 3) and background is not None:
        colours = alphas * colours + (1 - alphas) * np.array(background)
    luma = colours @ np.array([0.299, 0.587, 0.114])
    planes = [luma] if channels < 3 else [*np.moveaxis(colours, 2, 0)]
    return np.stack([*planes, *([values[..., 3]] if channels in (2, 4) else [])])


def palette() -> Image.Image:
    image = Image.fromarray(COLUMNS.astype(np.uint8)).convert("P")
    image.putpalette(ENTRIES.tobytes())
    return image


CMYK = np.dstack([COLOURS, ALPHAS // 2])
DEEP = (ROWS * 200 + COLUMNS * 40).astype(np.uint16)  # 12 bits
INTEGERS = (ROWS * 10_000 - COLUMNS * 3000).astype(np.int32)
NUMBERS = (ROWS / 7 - COLUMNS / 3).astype(np.float32)


def scaled(values: npt.NDArray[np.generic]) -> Floats:
    wide = values.astype(np.float64)
    return rgba((wide - wide.min()) / (wide.max() - wide.min()) * 255)


KINDS: dict[str, tuple[Callable[[], Image.Image], Floats, dict[str, object]]] = {
    "1": (lambda: Image.fromarray(LEVELS > 120), rgba(255 * (LEVELS > 120)), {}),
    "L": (lambda: Image.fromarray(LEVELS), rgba(LEVELS), {}),
    "L with a transparent level": (
        lambda: Image.fromarray(LEVELS),
        rgba(LEVELS, np.where(LEVELS[3, 0] == LEVELS, 0, 255)),
        {"transparency": int(LEVELS[3, 0])},
    ),
    "LA": (lambda: Image.fromarray(np.dstack([LEVELS, ALPHAS])), rgba(LEVELS, ALPHAS), {}),
    "P": (palette, rgba(ENTRIES[COLUMNS]), {}),
    "P with a transparent entry": (
        palette,
        rgba(ENTRIES[COLUMNS], np.where(COLUMNS == 5, 0, 255)),
        {"transparency": 5},
    ),
    "P with transparent entries": (
        palette,
        rgba(ENTRIES[COLUMNS], ENTRY_ALPHAS[COLUMNS]),
        {"transparency": ENTRY_ALPHAS.tobytes()},
    ),
    "RGB": (lambda: Image.fromarray(COLOURS), rgba(COLOURS), {}),
    "RGB with a transparent colour": (
        lambda: Image.fromarray(COLOURS),
        rgba(COLOURS, np.where((COLOURS[2, 2] == COLOURS).all(axis=2), 0, 255)),
        {"transparency": tuple(COLOURS[2, 2].tolist())},
    ),
    "RGBA": (lambda: Image.fromarray(np.dstack([COLOURS, ALPHAS])), rgba(COLOURS, ALPHAS), {}),
    "CMYK": (
        lambda: Image.frombytes("CMYK", CMYK.shape[1::-1], CMYK.tobytes()),
        rgba((255 - CMYK[..., :3].astype(np.float64)) * (255 - CMYK[..., 3:].astype(np.float64)) / 255),
        {},
    ),
    "I;16": (lambda: Image.fromarray(DEEP), scaled(DEEP), {}),
    "I": (lambda: Image.fromarray(INTEGERS), scaled(INTEGERS), {}),
    "F": (lambda: Image.fromarray(NUMBERS), scaled(NUMBERS), {}),
}
RANGES = {"I;16": DEEP, "I": INTEGERS, "F": NUMBERS}
HOLDS = {  # the kinds that a format can hold
    "png": [kind for kind in KINDS if kind not in ("CMYK", "I", "F")],
    "tif": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"],
    "bmp": ["1", "L", "P", "RGB"],
    "gif": ["1", "L", "P", "P with a transparent entry"],
    "webp": ["L", "LA", "RGB", "RGBA"],
    "jpg": ["L", "RGB", "CMYK"],
    "avif": ["L", "LA", "RGB", "RGBA"],
}
OPTIONS: dict[str, dict[str, object]] = {
    "webp": {"lossless": True, "exact": True},
    "jpg": {"quality": 100, "subsampling": 0},
    "avif": {"quality": 100, "subsampling": "4:4:4"},
}
LOSS = {"jpg": 4, "avif": 4}  # levels


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("suffix", "kind"), [(suffix, kind) for suffix, kinds in HOLDS.items() for kind in kinds])
def test_every_mode_in_every_format(tmp_path: Path, suffix: str, kind: str, channels: int) -> None:
    image, values, options = KINDS[kind]
    path = save(tmp_path / f"a.{suffix}", image(), **options, **OPTIONS.get(suffix, {}))
    wide = RANGES.get(kind)
    low_high = None if wide is None else (float(wide.min()), float(wide.max()))
    pixels = read(path, channels, range=low_high)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (channels, HEIGHT, WIDTH)
    difference = np.abs(pixels - in_channels(values, channels))
    if suffix == "avif" and channels == 4 and "A" in kind:  # what cannot be seen is not stored
        difference = difference[:, ALPHAS > 0]
    assert difference.max() <= LOSS.get(suffix, 1)


TRANSPARENT = [kind for kind in KINDS if "transparent" in kind or kind.endswith("A")]


@pytest.mark.parametrize("kind", TRANSPARENT)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("background", [(255, 0, 0), (0, 0, 0), (10, 200, 90), None])
def test_the_background_is_seen_where_there_is_no_alpha_channel(
    tmp_path: Path, kind: str, channels: int, background: tuple[int, int, int] | None
) -> None:
    image, values, options = KINDS[kind]
    path = save(tmp_path / "a.png", image(), **options)
    result = decode_image(path, Decoding((channels, HEIGHT, WIDTH), background=background))
    assert result.image is not None
    assert np.abs(as_array(result.image) - in_channels(values, channels, background)).max() <= 1
    assert result.composited == (channels in (1, 3) and background is not None)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_opaque_alpha_channel_changes_nothing(tmp_path: Path, channels: int) -> None:
    opaque = save(tmp_path / "a.png", np.dstack([COLOURS, np.full_like(ALPHAS, 255)]))
    result = decode_image(opaque, Decoding((channels, HEIGHT, WIDTH), background=(255, 0, 0)))
    assert not result.composited
    assert result.image is not None
    assert np.array_equal(as_array(result.image), read(save(tmp_path / "b.png", COLOURS), channels))


@pytest.mark.parametrize(
    ("name", "expected"), [("white", WHITE), ("'#ff8800'", (255, 136, 0)), ("hsl(120,100%,50%)", (0, 255, 0))]
)
def test_the_background_is_a_setting(name: str, expected: tuple[int, int, int]) -> None:
    if "(" in name:
        name = f"'{name}'"
    assert Decoding.of(load_config(f"data.background={name}").data).background == expected
    assert Decoding.of(load_config("data.background=null").data).background is None
    with pytest.raises(ConfigError, match=r"^data\.background must be a colour such as .*, got nothing$"):
        load_config("data.background=nothing")


# --- exact values

RGB = np.stack([GREY, GREY // 2, GREY // 3], axis=2)
ALPHA = np.array([[255, 255, 0], [128, 255, 255]], np.uint8)
RGBA = np.dstack([RGB, ALPHA])
LUMA = np.asarray(Image.fromarray(RGB).convert("L"))


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "PNG", "tif", "webp"])
def test_grey_becomes_any_number_of_channels(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", GREY, **OPTIONS.get(suffix, {}))
    opaque = np.full_like(GREY, 255)
    for channels, expected in enumerate(([GREY], [GREY, opaque], [GREY] * 3, [GREY] * 3 + [opaque]), 1):
        assert np.array_equal(read(path, channels), np.stack(expected))


def test_colours_stay_as_they_are_and_alpha_too_where_there_is_a_channel(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", RGBA)
    for channels, expected in ((2, [LUMA, ALPHA]), (4, np.moveaxis(RGBA, 2, 0))):
        assert np.array_equal(read(path, channels), np.stack(expected))
    for channels, dropped in ((1, [LUMA]), (3, [*np.moveaxis(RGB, 2, 0)])):
        assert np.array_equal(read(path, channels, background=None), np.stack(dropped))
    on_white = read(path, 3)
    assert on_white[:, 0, 2].tolist() == [255] * 3
    assert np.array_equal(on_white[:, ALPHA == 255], RGB[ALPHA == 255].T)


@pytest.mark.filterwarnings("error")
def test_a_palette_gives_its_colours_and_its_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    colours = (255 * np.eye(3)[:, None]).tolist()
    assert read(save(tmp_path / "a.gif", image), 3).tolist() == colours
    one = save(tmp_path / "one.png", image, transparency=1)
    assert read(one, 4).tolist() == [*colours, [[255, 0, 255]]]
    many = save(tmp_path / "many.png", image, transparency=bytes([9, 99, 199]))
    assert read(many, 4).tolist() == [*colours, [[9, 99, 199]]]
    assert read(many, 3, background=None).tolist() == colours


def test_a_cut_out_in_the_alpha_channel_alone_is_seen(tmp_path: Path) -> None:
    shape = np.where(GREY > 120, 255, 0)
    path = save(tmp_path / "a.png", np.dstack([np.zeros((2, 3, 3)), shape]).astype(np.uint8))
    assert np.array_equal(read(path, 3), [255 - shape] * 3)
    assert np.array_equal(read(path, 1, background=(0, 0, 0)), [0 * shape])


def test_one_bit_and_cmyk(tmp_path: Path) -> None:
    bits = read(save(tmp_path / "a.png", Image.fromarray(GREY > 120)), 1)
    assert np.array_equal(bits[0], np.where(GREY > 120, 255, 0))
    black = read(save(tmp_path / "a.tif", Image.new("CMYK", (3, 2), (0, 0, 0, 255))), 4)
    assert black[:, 0, 0].tolist() == [0, 0, 0, 255]


# --- more than 8 bits


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif", "a.pgm"):
        path = save(tmp_path / name, GREY.astype(np.uint16) * 257)
        assert np.array_equal(read(path, 1, range=(0, 65535))[0], GREY)


def test_12_bits_keep_256_grey_levels(tmp_path: Path) -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    pixels = read(save(tmp_path / "a.png", values), 1, range=(0, 4095))
    assert len(np.unique(pixels)) == 256
    assert np.abs(pixels[0] - values / 4095 * 255).max() <= 0.5


@pytest.mark.parametrize(("low_high", "expected"), [((0, 100), [0, 51, 255, 255]), ((20, 40), [0, 0, 255, 255])])
def test_what_is_out_of_range_is_black_or_white(tmp_path: Path, low_high: tuple[int, int], expected: list[int]) -> None:
    for number, kind in enumerate((np.uint16, np.int32, np.float32)):
        path = save(tmp_path / f"{number}.tif", np.array([[0, 20, 100, 30_000]], kind))
        assert read(path, 1, range=low_high).tolist() == [[expected]]


def test_a_range_of_one_value_is_black(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.full((2, 3), 7, np.int32))
    assert np.all(read(path, 1, range=(7, 7)) == 0)


def test_a_range_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[-3, 5]], np.float32))
    result = decode_image(path, Decoding((1, 1, 2)))
    assert result.image is None
    assert (result.low, result.high) == (-3, 5)
    with pytest.raises(ConfigError, match=r"a\.tif has more than 8 bits per value, .*: set data\.range$"):
        read(path, 1)
    small = decode_image(save(tmp_path / "a.png", GREY), Decoding((1, 2, 3), range=(0, 9)))
    assert small.image is not None
    assert np.array_equal(as_array(small.image), GREY[None])  # 8-bit files are taken as they are
    assert np.isnan([small.low, small.high]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    path = save(tmp_path / "a.tif", np.array([[1, value]], np.float32))
    with pytest.raises(ConfigError, match=r"^cannot decode .*a\.tif: not all of its pixels are finite numbers\. Repl"):
        read(path, 1)


@pytest.mark.parametrize("text", ["[1]", "[2,1]", "[1,1]", "[0,inf]", "[nan,1]"])
def test_a_range_is_two_numbers(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^data\.range must be two numbers, \[low,high\] with low < high, got \["):
        load_config(f"data.range={text}")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(array: npt.NDArray[np.generic], more: bytes = b"") -> bytes:
    """A PNG file of bits (H, W), or of uint8 or uint16 values (H, W, C), with further chunks before the pixels."""
    height, width, *channels = array.shape
    if array.dtype == np.bool_:
        depth, kind, rows = 1, 0, np.packbits(array, axis=1)
    else:
        depth, kind = 8 * array.dtype.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[channels[0]]
        rows = np.ascontiguousarray(array.astype(array.dtype.newbyteorder(">"))).reshape(height, -1).view(np.uint8)
    lines = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # each begins with its filter, none
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", header), more, chunk(b"IDAT", zlib.compress(lines, 1)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_of_16_bits_for_each_colour_it_is_said_that_8_are_read(tmp_path: Path, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, channels), dtype=np.uint16)
    for number, (array, is_deep) in enumerate(((values, True), ((values >> 8).astype(np.uint8), False))):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(array))
        result = decode_image(path, Decoding((channels, 4, 5)))
        assert result.reduced == is_deep
        assert result.image is not None
        assert np.abs(as_array(result.image) - np.moveaxis(values / 257, 2, 0)).max() <= 1


# --- sizes


def random_image(size: tuple[int, int], channels: int, seed: int = 0) -> Image.Image:
    """Of a (width, height), with structure at several scales."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (3, 4, channels), dtype=np.uint8)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return Image.fromarray(small.squeeze() if channels == 1 else small, mode).resize(size, Image.Resampling.BICUBIC)


ODD = ((12, 6), (6, 9))  # (width, height) → one column is too many to be cut evenly


def reference(image: Image.Image, wanted: tuple[int, int], fit: Fit, behind: tuple[int, ...]) -> Iterator[Pixels]:
    """By plain calls of Pillow: the result, or both if one row or column too many cannot be divided."""
    bilinear = Image.Resampling.BILINEAR
    width, height = wanted
    if fit is Fit.stretch:
        yield np.asarray(image.resize(wanted, bilinear))
        return
    by_width = (width, max(1, round(image.height * width / image.width)))
    by_height = (max(1, round(image.width * height / image.height)), height)
    is_larger = by_width[1] >= height
    resized = image.resize(by_width if is_larger == (fit is Fit.crop) else by_height, bilinear)
    spare = (width - resized.width, height - resized.height)
    for x, y in itertools.product(*({side // 2, -(-side // 2)} for side in spare)):
        frame = Image.new(image.mode, wanted, behind if len(behind) > 1 else behind[0])
        frame.paste(resized, (x, y))
        yield np.asarray(frame)


SIZES = [
    ((40, 20), (8, 8)),
    ((20, 40), (8, 8)),
    ((5, 3), (10, 10)),
    ((30, 31), (16, 8)),
    ((8, 8), (8, 8)),
    ((16, 16), (8, 8)),
    ((400, 3), (8, 8)),
    ODD,
]


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_sizes_are_fitted_as_pillow_does(
    tmp_path: Path, size: tuple[int, int], wanted: tuple[int, int], fit: Fit
) -> None:
    for channels, background in itertools.product((1, 2, 3, 4), (WHITE, (20, 40, 60))):
        image = random_image(size, channels)
        path = save(tmp_path / f"{channels}.png", image)
        pixels = read(path, channels, wanted[::-1], fit=fit, background=background)
        luma = round(float(np.dot(background, (0.299, 0.587, 0.114))))
        behind = {1: (luma,), 2: (luma, 255), 3: background, 4: (*background, 255)}[channels]
        candidates = [np.atleast_3d(array).transpose(2, 0, 1) for array in reference(image, wanted, fit, behind)]
        assert min(np.abs(pixels.astype(int) - array).max() for array in candidates) <= 1


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize(("size", "wanted"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_published_sets_are_fitted_as_files_are(
    size: tuple[int, int], wanted: tuple[int, int], fit: Fit, channels: int
) -> None:
    images = [random_image(size, channels, seed) for seed in range(5)]
    behind = (20, 40, 60)
    pixels = np.stack([np.atleast_3d(np.asarray(image)).transpose(2, 0, 1) for image in images])
    resized = _resized(pixels, Decoding((channels, *wanted[::-1]), fit=fit, background=behind))
    assert resized.dtype == np.uint8
    grey = (round(float(np.dot(behind, (0.299, 0.587, 0.114)))),)
    for image, own in zip(images, resized, strict=True):
        arrays = [
            np.atleast_3d(array).transpose(2, 0, 1)
            for array in reference(image, wanted, fit, grey if channels == 1 else behind)
        ]
        assert min(np.abs(own.astype(int) - array).max() for array in arrays) <= 1


@pytest.mark.parametrize("resize_to", [9, 16, 20])
@pytest.mark.parametrize(("size", "wanted"), [*SIZES[:3], *SIZES[4:7], ODD, ((31, 17), (9, 5))])
def test_centres_are_those_of_torchvision(
    tmp_path: Path, size: tuple[int, int], wanted: tuple[int, int], resize_to: int
) -> None:
    """By the definitions of its documentation: `Resize` of the shorter side, then `CenterCrop`."""
    resize_to = max(resize_to, *wanted)
    image = random_image(size, 3)
    resized = image.resize([int(resize_to * side / min(size)) for side in size], Image.Resampling.BILINEAR)
    left, top = (int(round((side - own) / 2.0)) for side, own in zip(resized.size, wanted, strict=True))  # noqa: RUF046
    known = np.asarray(resized.crop((left, top, left + wanted[0], top + wanted[1]))).transpose(2, 0, 1)
    how = Decoding((3, *wanted[::-1]), fit=Fit.crop, resize_to=resize_to)
    [of_set] = _resized(np.asarray(image).transpose(2, 0, 1)[None], how)
    for own in (read_image(save(tmp_path / "a.png", image), how), of_set):
        assert np.abs(own.astype(int) - known).max() <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.resize_to=40"], "data.resize_to=40 needs data.fit=crop, got stretch"),
        (["data.fit=crop", "data.resize_to=40.5"], "data.resize_to must be a multiple below 4 or a whole number, got"),
        (["data.fit=crop", "data.resize_to=0.9"], "data.resize_to must be at least 1, got 0.9"),
        (["data.fit=crop", "data.resize_to=31"], "data.resize_to must be at least the 32 pixels of data.image_size"),
    ],
)
def test_a_shorter_side_that_does_not_fit_is_refused(changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config("data=cifar10", *changes)


def test_a_centre_of_a_published_set() -> None:
    """Of images that have the size of the network already."""
    centre = read_set(load_config("data=digits", "data.fit=crop", "data.resize_to=12").data)
    whole = read_set(load_config("data=digits", "data.image_size=12").data)
    assert np.array_equal(centre.train.pixels, whole.train.pixels[:, :, 2:10, 2:10])


def test_wide_images_and_transparent_ones_are_fitted_too(tmp_path: Path) -> None:
    wide = save(tmp_path / "a.tif", np.full((4, 8), 30_000, np.uint16))
    boxed = read(wide, 3, (8, 8), fit=Fit.letterbox, range=(0, 60_000), background=(255, 0, 0))
    assert boxed[:, 0, 0].tolist() == boxed[:, 7, 7].tolist() == [255, 0, 0]
    assert np.abs(boxed[:, 2:6].astype(int) - 127).max() <= 1
    clear = save(tmp_path / "a.png", Image.new("RGBA", (8, 4), (9, 9, 9, 0)))
    assert read(clear, 4, (8, 8), fit=Fit.letterbox)[3].tolist() == [[255] * 8] * 2 + [[0] * 8] * 4 + [[255] * 8] * 2
    assert np.all(read(clear, 1, (8, 8), fit=Fit.letterbox, background=None)[0, :2] == 0)  # no background is black


def test_resizing_averages_what_it_leaves_out_and_does_not_keep_the_aspect(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 200], np.uint8), (64, 64))  # columns: subsampling would give all of one colour
    pixels = read(save(tmp_path / "a.png", stripes), 3, (16, 8))
    assert pixels.shape == (3, 16, 8)
    assert np.abs(pixels.astype(int) - 100).max() <= 3


# --- what is around the pixels

SHOWN: dict[int, Callable[[Pixels], Pixels]] = {  # by the EXIF orientation of what is stored
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].T,
    8: lambda stored: np.rot90(stored),
}


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", SHOWN)
def test_every_exif_orientation(tmp_path: Path, orientation: int) -> None:
    shown = SHOWN[orientation](GREY)
    for name, image in (("a", GREY), ("b", GREY.astype(np.uint16) * 257), ("c", np.dstack([GREY, ALPHA]))):
        path = save(tmp_path / f"{name}.png", image, exif=oriented(orientation))
        pixels = read(path, 2, shown.shape, range=(0, 65535))
        assert np.array_equal(pixels[0], shown)
        assert np.array_equal(pixels[1], SHOWN[orientation](ALPHA) if name == "c" else np.full_like(shown, 255))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_exif_orientation_is_applied_in_every_format(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("RGB", (32, 16), "white")
    picture.paste("black", (0, 0, 16, 16))  # the left half
    path = save(tmp_path / f"a.{suffix}", picture, exif=oriented(6))  # to be turned by 90° clockwise when shown
    pixels = read(path, 1, (32, 16))[0]
    assert pixels[:12].max() < 60
    assert pixels[20:].min() > 195


@pytest.mark.filterwarnings("ignore:(Corrupt EXIF|Tag data)")
@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"junk",
        b"II*\0",
        b"MM\0*\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff\x12\x01",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",  # orientation 99
    ],
)
def test_a_malformed_exif_block_costs_no_picture(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(GREY[..., None], chunk(b"eXIf", exif)))
    assert np.array_equal(read(path, 1), GREY[None])


def test_large_texts_cost_no_picture(tmp_path: Path) -> None:
    long, longer = b"a\0" + b"x" * 2**21, b"b\0\0" + zlib.compress(bytes(2**26 + 1), 1)  # above both of Pillow's limits
    path = tmp_path / "a.png"
    path.write_bytes(png(GREY[..., None], chunk(b"tEXt", long) + chunk(b"zTXt", longer)))
    assert np.array_equal(read(path, 1), GREY[None])


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_picture_of_200_megapixels(tmp_path: Path) -> None:
    bits = np.zeros((10_000, 20_000), bool)
    bits[:, :10_000] = True
    path = tmp_path / "a.png"
    path.write_bytes(png(bits))
    pixels = read(path, 1, (4, 8))[0]
    assert np.all(pixels[:, :3] == 255)
    assert np.all(pixels[:, 5:] == 0)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_frames_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (50, 100, 200)]
    path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], **OPTIONS.get(suffix, {}))
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert np.all(read(path, 1) == 50)


# --- no program is started

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
0 setgray 0 0 8 8 rectfill
%%EOF
"""


def test_a_picture_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, program = tmp_path / "started", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    root = tmp_path / "images"
    for part, label in itertools.product(("train", "test"), "ab"):
        save(root / part / label / "1.png", GREY)
    for name in ("2.png", "2.jpg", "2.tif"):
        (root / "train" / "a" / name).write_bytes(EPS)
    (root / "train" / "a" / "2.eps").write_bytes(EPS)
    listing = listed(root)
    assert "train/a/2.eps" not in listing.files.names
    _, index = decoded(listing.files, Arrays(Decoding((1, 2, 3))), listing.parts["train"])
    assert sorted(listing.files.names[row] for row in index.damaged) == [
        f"train/a/2.{suffix}" for suffix in ("jpg", "png", "tif")
    ]
    with pytest.raises(ConfigError, match=r"cannot decode .*2\.png"):
        read_image(root / "train" / "a" / "2.png", Decoding((1, 8, 8)))
    assert not mark.exists()
    with pytest.raises(subprocess.CalledProcessError, match="gs"), Image.open(root / "train" / "a" / "2.png") as image:
        image.load()  # Pillow alone would have looked for it
    assert mark.exists()


def test_formats_are_those_that_pillow_decodes() -> None:
    assert {"PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM"} <= set(formats())
    assert not {"EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR"} & set(formats())
    assert all(map(is_readable, ("a.png", "A.JPG", "b.jpeg", "c.x.webp", "é.avif", "d/e.tif", "f.pgm")))
    assert not any(map(is_readable, ("a.heic", "png", ".png", "a.txt", "a", "a.eps", "a.wmf", "a.pdf", "a.h5")))


def test_more_pixels_than_allowed_are_not_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "wide.png", np.zeros((3, 5), np.uint8))
    with pytest.raises(ConfigError, match=r"cannot decode .*: 5 × 3 pixels are more than data\.max_pixels=14"):
        read(path, 1, max_pixels=14)
    assert read(path, 1, max_pixels=15).shape == (1, 3, 5)
