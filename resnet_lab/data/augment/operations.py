"""The operations of TrivialAugment and RandAugment on pixels in 0…1, as in Pillow and torchvision.

Each takes pixels (B, C, H, W) and a value for each image (B,); in the functions' names, R is B·C and P is H·W.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from resnet_lab.data.augment.colour import black, blended, grey, mean_grey
from resnet_lab.data.augment.geometry import centres, sampled

BITS, LEVELS = 8, 256  # of a pixel

Operation = Callable[[Tensor, Tensor], Tensor]


def operated(pixels_BCHW: Tensor, number_B: Tensor, value_B: Tensor) -> Tensor:
    """Apply to each image the operation of that number in OPERATIONS, with its value.

    On a GPU, all images go through all operations, so that nothing waits for the GPU to tell which images are whose.
    """
    for number, operation in enumerate(OPERATIONS.values()):
        is_own_B = number_B == number
        if pixels_BCHW.device.type != "cpu":
            changed_BCHW = operation(pixels_BCHW, value_B)
            pixels_BCHW = torch.where(is_own_B[:, None, None, None], changed_BCHW, pixels_BCHW)
        elif len(own := is_own_B.nonzero()[:, 0]):
            pixels_BCHW = pixels_BCHW.index_copy(0, own, operation(pixels_BCHW[own], value_B[own]))
    return pixels_BCHW


def shear_x(pixels_BCHW: Tensor, slope_B: Tensor) -> Tensor:
    """Shear about the top left corner."""
    row_H1, column_W = centres(pixels_BCHW)
    return nearest(pixels_BCHW, column_W + slope_B[:, None, None] * row_H1, row_H1)


def shear_y(pixels_BCHW: Tensor, slope_B: Tensor) -> Tensor:
    """Shear about the top left corner."""
    row_H1, column_W = centres(pixels_BCHW)
    return nearest(pixels_BCHW, column_W, row_H1 + slope_B[:, None, None] * column_W)


def translate_x(pixels_BCHW: Tensor, pixels_B: Tensor) -> Tensor:
    """Move to the right."""
    row_H1, column_W = centres(pixels_BCHW)
    return nearest(pixels_BCHW, column_W - pixels_B[:, None, None], row_H1)


def translate_y(pixels_BCHW: Tensor, pixels_B: Tensor) -> Tensor:
    """Move down."""
    row_H1, column_W = centres(pixels_BCHW)
    return nearest(pixels_BCHW, column_W, row_H1 - pixels_B[:, None, None])


def rotate(pixels_BCHW: Tensor, degrees_B: Tensor) -> Tensor:
    """Turn counter-clockwise about the centre."""
    angle_B11 = degrees_B.deg2rad()[:, None, None]
    height, width = pixels_BCHW.shape[2:]
    row_H1, column_W = centres(pixels_BCHW)
    y_H1, x_W = row_H1 - height / 2, column_W - width / 2
    from_x_BHW = angle_B11.cos() * x_W - angle_B11.sin() * y_H1 + width / 2
    from_y_BHW = angle_B11.sin() * x_W + angle_B11.cos() * y_H1 + height / 2
    return nearest(pixels_BCHW, from_x_BHW, from_y_BHW)


def nearest(pixels_BCHW: Tensor, x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """Take the pixel nearest to each of these coordinates, black outside of the image."""
    return sampled(pixels_BCHW, x_BHW, y_BHW, "nearest", "zeros")


def sharpness(pixels_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Multiply by 1 + change the difference from the average of each pixel (weight 5) and its eight neighbours.

    Pixels at the border stay.
    """
    inside = (..., slice(1, -1), slice(1, -1))
    smooth_BCHW = pixels_BCHW.clone()
    rows = pixels_BCHW[..., :-2, :] + pixels_BCHW[..., 1:-1, :] + pixels_BCHW[..., 2:, :]
    squares = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth_BCHW[inside] = (squares + 4 * pixels_BCHW[inside]) / 13
    return blended(smooth_BCHW, pixels_BCHW, 1 + change_B)


def posterize(pixels_BCHW: Tensor, bits_B: Tensor) -> Tensor:
    """Keep the first bits of each pixel."""
    step_B111 = (2 ** (BITS - bits_B))[:, None, None, None]
    return (levels(pixels_BCHW) / step_B111).floor() * step_B111 / (LEVELS - 1)


def solarize(pixels_BCHW: Tensor, level_B: Tensor) -> Tensor:
    """Invert the pixels from a level on, 0…255."""
    return torch.where(levels(pixels_BCHW) >= level_B[:, None, None, None], 1 - pixels_BCHW, pixels_BCHW)


def autocontrast(pixels_BCHW: Tensor, _: Tensor) -> Tensor:
    """Scale each channel so that its darkest pixel is 0 and its brightest 1, unless it has a single value."""
    low_BC11, high_BC11 = (bound(dim=(2, 3), keepdim=True) for bound in (pixels_BCHW.amin, pixels_BCHW.amax))
    range_BC11 = high_BC11 - low_BC11
    return torch.where(range_BC11 > 0, (pixels_BCHW - low_BC11) / range_BC11, pixels_BCHW)


def equalize(pixels_BCHW: Tensor, _: Tensor) -> Tensor:
    """Map the levels of each channel so that all are about equally frequent; rounded as Pillow does."""
    level_RP = levels(pixels_BCHW).flatten(2).flatten(0, 1).long()
    count_RL = torch.zeros(len(level_RP), LEVELS, dtype=torch.int64, device=level_RP.device)
    count_RL.scatter_add_(1, level_RP, torch.ones_like(level_RP))
    brightest_R1 = level_RP.amax(dim=1, keepdim=True)  # whose pixels do not count
    step_R1 = (level_RP.shape[1] - count_RL.gather(1, brightest_R1)) // (LEVELS - 1)
    darker_RL = count_RL.cumsum(dim=1) - count_RL
    mapped_RL = ((darker_RL + step_R1 // 2) // step_R1.clamp(min=1)).clamp(max=LEVELS - 1)
    mapped_RL = torch.where(step_R1 > 0, mapped_RL, torch.arange(LEVELS, device=level_RP.device))
    pixels_RL = mapped_RL.to(pixels_BCHW.dtype) / (LEVELS - 1)
    return pixels_RL.gather(1, level_RP).view(pixels_BCHW.shape)


def levels(pixels_BCHW: Tensor) -> Tensor:
    """Return pixels as whole numbers, 0…255."""
    return (pixels_BCHW * (LEVELS - 1)).round()


OPERATIONS: dict[str, Operation] = {
    "identity": lambda pixels_BCHW, _: pixels_BCHW,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
    "brightness": lambda pixels_BCHW, change_B: blended(black(pixels_BCHW), pixels_BCHW, 1 + change_B),
    "saturation": lambda pixels_BCHW, change_B: blended(grey(pixels_BCHW), pixels_BCHW, 1 + change_B),
    "contrast": lambda pixels_BCHW, change_B: blended(mean_grey(pixels_BCHW), pixels_BCHW, 1 + change_B),
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}
