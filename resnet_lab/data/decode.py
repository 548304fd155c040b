"""Decode one image file, with Pillow's own decoders only."""

import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, PngImagePlugin

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.fit import MODES, Decoding, as_array, centre, fitted
from resnet_lab.text import printable

VERSION = 3  # increase it when the same file gives other pixels

# Pillow opens these, but starts Ghostscript for EPS, decodes WMF on Windows only, and has no decoder for the others.
NOT_DECODED = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
MAX_TEXT_BYTES = 2**28  # of the text in a PNG file, which is not used

Image.MAX_IMAGE_PIXELS = None  # `data.max_pixels` is the limit
warnings.filterwarnings("ignore", module=r"PIL\.")  # warnings about damaged metadata, which is not used
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT_BYTES


@dataclass(slots=True)
class Decoded:
    """An image, and what was done to it."""

    # Turned, cropped, and with the wanted channels. None: it has more than 8 bits, and the range is not known yet.
    image: Image.Image | None
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
        image = decode_image(path, how).image
    except Exception as error:
        raise ConfigError(f"cannot decode {printable(str(path))}: {error}. Replace it") from error
    if image is None:
        raise ConfigError(
            f"{printable(str(path))} has more than 8 bits per value, unlike the training images: set data.range"
        )
    return as_array(fitted(image, how))


def decode_image(path: Path, how: Decoding) -> Decoded:
    """Decode a file in its own size. Raises anything from OSError to struct.error if it is damaged."""
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
        return Decoded(converted, composited=composited, reduced=is_deep)


def _cropped(image: Image.Image, how: Decoding) -> Image.Image:
    """Return the centre of an image. Raises ValueError if the image is smaller."""
    if how.crop is None:
        return image
    left, top = centre(image.size, how.crop[::-1])
    height, width = how.crop
    return image.crop((left, top, left + width, top + height))


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
    return Decoded(converted, least, greatest, composited)


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
