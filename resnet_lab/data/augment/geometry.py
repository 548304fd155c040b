"""Augmentations that move pixels: crops, shift and flip."""

from abc import abstractmethod
from typing import Any, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.enums import Padding, Spread
from resnet_lab.data.augment.base import Augmentation

TRIES = 10  # rectangles that are drawn until one fits into the image, as in torchvision and timm

Floats: TypeAlias = npt.NDArray[np.float64]
Sizes: TypeAlias = npt.NDArray[np.int64]


class Crop(Augmentation):
    """Pad, then crop to the original size: all (2·pad + 1)² offsets, or 2·pad + 1 of a series, are equally likely.

    Images are normalised first, as in fb.resnet.torch, so zeros around them are the mean colour.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the top and left offset of each crop in the padded image, or one in a series: int64, 0 … 2·pad."""
        corners = rng.integers(0, 2 * self.settings.pad + 1, size=(self.data.dims, count))
        return tuple(torch.from_numpy(corners))

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Select each crop from a strided view of all crops. The result is channels-last."""
        batch, _, *sides = images_BCHW.shape
        edges = [self.settings.pad] * 2 * len(sides)
        if self.settings.padding is Padding.reflect:
            crops = F.pad(images_BCHW, edges, mode="reflect").movedim(1, -1)
        else:
            crops = F.pad(images_BCHW.movedim(1, -1), [0, 0, *edges])
        for dim, side in enumerate(sides, 1):
            crops = crops.unfold(dim, side, 1)  # at last (B, top, left, C, H, W)
        image_B = torch.arange(batch, device=images_BCHW.device)
        cut_BHWC = crops.movedim(len(drawn) + 1, -1)[image_B, *drawn]
        return cut_BHWC.movedim(-1, 1), labels


class PartOfImage(Augmentation):
    """Crop a part of each image, and resize it to the size of the image, with probability p.

    Bilinear, as Pillow crops and resizes: what is around the part has no influence.
    """

    @abstractmethod
    def parts(self, rng: np.random.Generator, height_N: Sizes, width_N: Sizes) -> tuple[npt.NDArray[Any], ...]:
        """Draw the first row, the first column, the height and the width of a part of images of these sizes, in pixels.

        Also return whether it is a part of the image at all, and not all of it; all are (N,).
        """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the first row, the first column, the height and the width of the part, in pixels."""
        height_N, width_N = (np.full(count, side) for side in self.data.image_shape[1:])
        *drawn, is_cropped_N = self.parts(rng, height_N, width_N)
        whole = (np.zeros_like(height_N), np.zeros_like(width_N), height_N, width_N)
        chosen = (np.where(is_cropped_N, part, all_of) for part, all_of in zip(drawn, whole, strict=True))
        return tuple(torch.from_numpy(part) for part in chosen)

    def boxes(self, rng: np.random.Generator, sizes_N2: Sizes) -> Floats:
        """Draw the left, top, right and bottom edge of a part of images of other sizes, (N, 4); NaN: not a part."""
        top_N, left_N, height_N, width_N, is_cropped_N = self.parts(rng, *sizes_N2.T)
        edges_N4 = np.stack([left_N, top_N, left_N + width_N, top_N + height_N], axis=1)
        return np.where(is_cropped_N[:, None], edges_N4, np.nan)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images_BCHW.shape[2:]
        top_B11, left_B11, rows_B11, columns_B11 = (pixels_B[:, None, None] for pixels_B in drawn)
        row_H1, column_W = centres(images_BCHW)
        y_BH1 = (row_H1 * (rows_B11 / height)).clamp(min=0.5).minimum(rows_B11 - 0.5) + top_B11
        x_B1W = (column_W * (columns_B11 / width)).clamp(min=0.5).minimum(columns_B11 - 0.5) + left_B11
        return sampled(images_BCHW, x_B1W, y_BH1, "bilinear", "border"), labels


class ResizedCrop(PartOfImage):
    """Crop a part of random area and aspect ratio; all of the image if none of TRIES parts fits into it."""

    def parts(self, rng: np.random.Generator, height_N: Sizes, width_N: Sizes) -> tuple[npt.NDArray[Any], ...]:
        (smallest, largest), (flattest, tallest) = self.settings.area, self.settings.ratio
        area = height_N * width_N * rng.uniform(smallest, largest, (TRIES, len(height_N)))
        match self.settings.spread:
            case Spread.log:
                ratio = np.exp(rng.uniform(np.log(flattest), np.log(tallest), area.shape))
            case Spread.uniform:
                ratio = rng.uniform(flattest, tallest, area.shape) ** rng.choice([-1, 1], area.shape)
            case _:
                assert_never(self.settings.spread)
        rows_N, columns_N, fits_N = first_that_fits(area, ratio, height_N, width_N)
        is_cropped_N = (rng.random(len(rows_N)) < self.settings.p) & fits_N
        left_over = [np.where(fits_N, height_N - rows_N, 0) + 1, np.where(fits_N, width_N - columns_N, 0) + 1]
        top_N, left_N = rng.integers(0, left_over)
        return top_N, left_N, rows_N, columns_N, is_cropped_N


class ScaleCrop(PartOfImage):
    """Resize the shorter side to a random length, then crop at random, as in arXiv:1409.1556 and arXiv:1512.03385."""

    def parts(self, rng: np.random.Generator, height_N: Sizes, width_N: Sizes) -> tuple[npt.NDArray[Any], ...]:
        least, most = self.settings.shorter
        shorter_N = rng.integers(least, most + 1, len(height_N))
        scale_N = shorter_N / np.minimum(height_N, width_N)
        is_cropped_N = rng.random(len(scale_N)) < self.settings.p
        parts = []
        for size_N, wanted in zip((height_N, width_N), self.data.image_shape[1:], strict=True):
            first_N = rng.integers(0, (size_N * scale_N).astype(np.int64) - wanted + 1)
            parts.append((first_N / scale_N, wanted / scale_N))
        (top_N, rows_N), (left_N, columns_N) = parts
        return top_N, left_N, rows_N, columns_N, is_cropped_N


class Shift(Augmentation):
    """Shift each image by a uniform share of its width and height, as Keras' ImageDataGenerator does.

    Values between pixels are linear; what enters repeats the border.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw how many pixels to the right and down each result is in its image: float32."""
        _, height, width = self.data.image_shape
        most = np.array([[self.settings.x * width], [self.settings.y * height]])
        return tuple(torch.from_numpy(rng.uniform(-most, most, (2, count))).float())

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        x_B, y_B = (pixels_B[:, None, None] for pixels_B in drawn)
        row_H1, column_W = centres(images_BCHW)
        return sampled(images_BCHW, column_W + x_B, row_H1 + y_B, "bilinear", "border"), labels


class Flip(Augmentation):
    """Mirror each image left to right with probability p."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw whether to mirror each image: bool."""
        return (torch.from_numpy(rng.random(count) < self.settings.p),)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Reverse the columns of the images for which a flip was drawn. The result is channels-last."""
        [flip_B] = drawn
        images_BHWC = images_BCHW.permute(0, 2, 3, 1)
        column_W = torch.arange(images_BCHW.shape[3], device=images_BCHW.device)
        column_BW = torch.where(flip_B[:, None], column_W.flip(0), column_W)
        flipped_BHWC = images_BHWC.gather(2, column_BW[:, None, :, None].expand_as(images_BHWC))
        return flipped_BHWC.permute(0, 3, 1, 2), labels


def first_that_fits(
    area: Floats, ratio: Floats, height: int | Sizes, width: int | Sizes
) -> tuple[Sizes, Sizes, npt.NDArray[np.bool_]]:
    """Of rectangles of these areas, in pixels, and ratios height / width, (tries, B), return the first that fits.

    That is its height and width in whole pixels, each (B,), and whether there is one.
    """
    heights, widths = (np.rint(np.sqrt(area * factor)).astype(np.int64) for factor in (ratio, 1 / ratio))
    fits: npt.NDArray[np.bool_] = (heights >= 1) & (heights <= height) & (widths >= 1) & (widths <= width)
    first = fits.argmax(axis=0), np.arange(area.shape[1])
    return heights[first], widths[first], np.asarray(fits.any(axis=0))


def centres(images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return the coordinates of the centres of the pixels, of rows (H, 1) and columns (W,), from half a pixel on."""
    height, width = images_BCHW.shape[2:]
    row_H, column_W = (torch.arange(size, device=images_BCHW.device) + 0.5 for size in (height, width))
    return row_H[:, None], column_W


def sampled(images_BCHW: Tensor, x_BHW: Tensor, y_BHW: Tensor, mode: str, padding: str) -> Tensor:
    """Return images whose pixels are those at these coordinates, in pixels from the top left corner of the image.

    They may also be of the shapes (B, 1, W) and (B, H, 1). `mode` and `padding` are those of `F.grid_sample`.
    """
    height, width = images_BCHW.shape[2:]
    scaled = torch.broadcast_tensors(2 * x_BHW / width - 1, 2 * y_BHW / height - 1)
    grid_BHW2 = torch.stack(scaled, dim=-1).to(images_BCHW.dtype)
    return F.grid_sample(images_BCHW, grid_BHW2, mode, padding, align_corners=False)
