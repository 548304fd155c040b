"""How decoded images become the shape that a network takes."""

from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt
from PIL import Image

from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Fit

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# With `fit=crop`, a very long image would take much memory before it is cut. Above LONG times the wanted pixels, only
# the part that remains is resized, with MARGIN more pixels on each side, on which its edges depend.
LONG, MARGIN = 64, 2
BILINEAR = Image.Resampling.BILINEAR  # Pillow's filters are antialiased


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
            data.shorter_side,
        )

    def padding(self) -> tuple[int, ...]:
        """Return the background in the channels of the image; black if there is none."""
        behind = Image.new("RGB", (1, 1), self.background or (0, 0, 0)).convert(MODES[self.image_shape[0]])
        return tuple(behind.tobytes())

    def described(self) -> dict[str, object]:
        """Return all settings as plain values, except the range, which may not be known yet."""
        return {
            "image_shape": self.image_shape,
            "fit": self.fit.name,
            "background": self.background,
            "max_pixels": self.max_pixels,
            "crop": self.crop,
            "resize_to": self.resize_to,
        }


def centre(size: tuple[int, ...], crop: tuple[int, ...]) -> tuple[int, int]:
    """Return the upper left corner (x, y) of the centre `crop` of an image; both are (width, height) in pixels.

    If an odd number of pixels is left over, x or y is the even one of the two nearest whole numbers, as in
    torchvision's `center_crop`. Raises ValueError if the image is smaller than the crop.
    """
    if crop[0] > size[0] or crop[1] > size[1]:
        raise ValueError(f"{size[0]} × {size[1]} pixels are less than the {crop[0]} × {crop[1]} of data.crop")
    return round((size[0] - crop[0]) / 2), round((size[1] - crop[1]) / 2)


def fitted(image: Image.Image, how: Decoding) -> Image.Image:
    """Resize to the wanted size as `how.fit` says: bilinear, antialiased."""
    _, height, width = how.image_shape
    if image.size == (width, height) and not how.resize_to:
        return image
    size, corner = placement(image.size, (width, height), how)
    if how.fit is Fit.crop and size[0] * size[1] > LONG * width * height:  # resize only the part that remains
        across, down = image.width / size[0], image.height / size[1]
        left, top = (max(0, -offset - MARGIN) for offset in corner)
        right = min(size[0], width - corner[0] + MARGIN)
        bottom = min(size[1], height - corner[1] + MARGIN)
        box = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
        part = image.resize((right - left, bottom - top), BILINEAR, box=box)
        left, top = -corner[0] - left, -corner[1] - top
        return part.crop((left, top, left + width, top + height))
    resized = image.resize(size, BILINEAR)
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
            resized = shortened(size, how.resize_to)
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


def shortened(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return width and height with a shorter side of `side` pixels, the longer one rounded down."""
    width, height = size
    return side * width // min(size), side * height // min(size)


def part(image: Image.Image, box: tuple[float, float, float, float], how: Decoding) -> Image.Image:
    """Resize a part of an image, (left, top, right, bottom) in pixels, to the wanted size: bilinear, antialiased."""
    _, height, width = how.image_shape
    return image.resize((width, height), BILINEAR, box=box)


def as_array(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the pixels of an image (C, H, W)."""
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
