"""Decode one image file into the shape that a network takes, with Pillow's own decoders only."""

import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import assert_never

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, PngImagePlugin

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Fit
from resnet_lab.text import printable

VERSION = 2  # increase it when the same file gives other pixels

# Pillow opens these, but starts Ghostscript for EPS, decodes WMF on Windows only, and has no decoder for the others.
NOT_DECODED = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# With `fit=crop`, a very long image would take much memory before it is cut. Above LONG times the wanted pixels, only
# the part that remains is resized, with MARGIN more pixels on each side, on which its edges depend.
LONG, MARGIN = 64, 2
MAX_TEXT_BYTES = 2**28  # of the text in a PNG file, which is not used

Image.MAX_IMAGE_PIXELS = None  # `data.max_pixels` is the limit
warnings.filterwarnings("ignore", module=r"PIL\.")  # warnings about damaged metadata, which is not used
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT_BYTES


@dataclass(frozen=True, slots=True)
class Decoding:
    """How files become pixels (C, H, W)."""

    image_shape: tuple[int, ...]  # C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA
    fit: Fit = Fit.stretch
    background: tuple[int, int, int] | None = (255, 255, 255)  # behind transparent pixels; None: alpha is dropped
    range: tuple[float, float] | None = None  # values of black and white, for images with more than 8 bits
    max_pixels: int = 2**28
    crop: tuple[int, ...] | None = None  # height and width of the centre that is used; None: the whole image
    resize_to: int | None = None  # pixels of the shorter side before `fit` cuts

    @classmethod
    def of(cls, data: DataConfig) -> "Decoding":
        low_high = (data.range[0], data.range[1]) if data.range else None
        return cls(
            data.image_shape,
            data.fit,
            data.background_rgb,
            low_high,
            data.max_pixels,
            data.crop_shape,
            data.resize_to,
        )

    def padding(self) -> tuple[int, ...]:
        """Return the background in the channels of the image; black if there is none."""
        behind = Image.new("RGB", (1, 1), self.background or (0, 0, 0)).convert(MODES[self.image_shape[0]])
        return tuple(behind.tobytes())

    def described(self) -> dict[str, object]:
        """Return all settings as plain values, except the range, which may not be known yet."""
        described: dict[str, object] = {
            "image_shape": self.image_shape,
            "fit": self.fit.name,
            "background": self.background,
            "max_pixels": self.max_pixels,
            "crop": self.crop,
        }
        return described | ({"resize_to": self.resize_to} if self.resize_to else {})  # earlier caches stay valid


@dataclass(slots=True)
class Decoded:
    """An image as uint8 (C, H, W), and what was done to it."""

    pixels: npt.NDArray[np.uint8] | None  # None: it has more than 8 bits, and the range is not known yet
    low: float = np.nan  # least and greatest value, if it has more than 8 bits
    high: float = np.nan
    composited: bool = False  # whether transparent pixels were put on the background
    reduced: bool = False  # whether Pillow kept only the upper 8 bits of each colour


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that Pillow decodes itself; the common ones are tried first."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in NOT_DECODED)


@cache
def _suffixes() -> frozenset[str]:
    known = set(formats())
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in known)


def is_readable(name: str) -> bool:
    """Return whether a file name has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in _suffixes()


def read_image(path: Path, how: Decoding) -> npt.NDArray[np.uint8]:
    """Decode one image file to (C, H, W). Raises ConfigError when that fails, or if it needs a `how.range`."""
    try:
        pixels = decode_image(path, how).pixels
    except Exception as error:
        raise ConfigError(f"cannot decode {printable(str(path))}: {error}. Replace it") from error
    if pixels is None:
        raise ConfigError(
            f"{printable(str(path))} has more than 8 bits per value, unlike the training images: set data.range"
        )
    return pixels


def decode_image(path: Path, how: Decoding) -> Decoded:
    """Decode a file, turned as its EXIF orientation says. Raises anything from OSError to struct.error if damaged."""
    with Image.open(path, formats=formats()) as image:
        if image.width * image.height > how.max_pixels:
            raise ValueError(f"{image.width} × {image.height} pixels are more than data.max_pixels={how.max_pixels}")
        is_deep = any(";16" in str(tile) for tile in image.tile)
        image.load()
        with suppress(Exception):  # a malformed EXIF block is no reason to lose the image
            ImageOps.exif_transpose(image, in_place=True)
        part = _cropped(image, how)
        if part.mode == "F" or part.mode.startswith("I"):
            return _decode_wide(part, how)
        converted, composited = _with_channels(part, how)
        return Decoded(_array(fitted(converted, how)), composited=composited, reduced=is_deep)


def _cropped(image: Image.Image, how: Decoding) -> Image.Image:
    """Return the centre of an image. Raises ValueError if the image is smaller."""
    if how.crop is None:
        return image
    left, top = centre(image.size, how.crop[::-1])
    height, width = how.crop
    return image.crop((left, top, left + width, top + height))


def centre(size: tuple[int, ...], crop: tuple[int, ...]) -> tuple[int, int]:
    """Return the upper left corner (x, y) of the centre `crop` of an image; both are (width, height) in pixels.

    If an odd number of pixels is left over, x or y is the even one of the two nearest whole numbers, as in
    torchvision's `center_crop`. Raises ValueError if the image is smaller than the crop.
    """
    if crop[0] > size[0] or crop[1] > size[1]:
        raise ValueError(f"{size[0]} × {size[1]} pixels are less than the {crop[0]} × {crop[1]} of data.crop")
    return round((size[0] - crop[0]) / 2), round((size[1] - crop[1]) / 2)


def _decode_wide(image: Image.Image, how: Decoding) -> Decoded:
    """Scale grey values of 16 or 32 bits, or floating-point ones, from `how.range` to 0…255."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("not all of its pixels are finite numbers")
    least, greatest = float(values.min()), float(values.max())
    if how.range is None:
        return Decoded(None, least, greatest)
    low, high = how.range
    scaled = np.clip((values - low) / ((high - low) or 1), 0, 1) * 255
    grey = Image.fromarray(np.round(scaled).astype(np.uint8))
    if isinstance(clear := image.info.get("transparency"), int):  # the one value that is transparent
        grey = Image.merge("LA", (grey, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))))
    converted, composited = _with_channels(grey, how)
    return Decoded(_array(fitted(converted, how)), least, greatest, composited)


def _with_channels(image: Image.Image, how: Decoding) -> tuple[Image.Image, bool]:
    """Convert to the wanted channels; return also whether transparent pixels were put on the background."""
    mode = MODES[how.image_shape[0]]
    if image.mode == "LAB":  # Pillow converts it to RGB only
        image = image.convert("RGB")
    if not image.has_transparency_data:
        return image.convert(mode), False
    if image.mode not in ("LA", "La"):  # the palette may hold the alpha
        image = image.convert("RGBA")
    if mode.endswith("A") or how.background is None:
        return image.convert(mode), False
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB").convert(mode), False
    behind = Image.new("RGBA", image.size, how.background)
    return Image.alpha_composite(behind, image).convert("RGB").convert(mode), True


def fitted(image: Image.Image, how: Decoding) -> Image.Image:
    """Resize to the wanted size as `how.fit` says: bilinear, antialiased."""
    _, height, width = how.image_shape
    if image.size == (width, height) and not how.resize_to:
        return image
    size, corner = placement(image.size, (width, height), how)
    bilinear = Image.Resampling.BILINEAR  # Pillow's filters are antialiased
    if how.fit is Fit.crop and size[0] * size[1] > LONG * width * height:  # resize only the part that remains
        across, down = image.width / size[0], image.height / size[1]
        left, top = (max(0, -offset - MARGIN) for offset in corner)
        right = min(size[0], width - corner[0] + MARGIN)
        bottom = min(size[1], height - corner[1] + MARGIN)
        box = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
        part = image.resize((right - left, bottom - top), bilinear, box=box)
        left, top = -corner[0] - left, -corner[1] - top
        return part.crop((left, top, left + width, top + height))
    resized = image.resize(size, bilinear)
    if resized.size == (width, height):
        return resized
    canvas = Image.new(image.mode, (width, height), how.padding())
    canvas.paste(resized, corner)
    return canvas


def placement(size: tuple[int, int], wanted: tuple[int, int], how: Decoding) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size to which an image is resized, and where its upper left corner is in the wanted frame.

    All are (width, height) and (x, y) in pixels; the corner is negative where the image is cut. With `how.resize_to`,
    they are those of torchvision's `Resize` and `CenterCrop`.
    """
    ratios = [new / old for new, old in zip(wanted, size, strict=True)]
    match how.fit:
        case Fit.crop if how.resize_to:
            resized = (how.resize_to * size[0] // min(size), how.resize_to * size[1] // min(size))
            left, top = centre(resized, wanted)
            return resized, (-left, -top)
        case Fit.stretch:
            return wanted, (0, 0)
        case Fit.crop:
            scale = max(ratios)
        case Fit.letterbox:
            scale = min(ratios)
        case _:
            assert_never(how.fit)
    width, height = (max(1, round(side * scale)) for side in size)
    return (width, height), ((wanted[0] - width) // 2, (wanted[1] - height) // 2)


def _array(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
