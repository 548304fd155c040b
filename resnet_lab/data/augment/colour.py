"""Colours: their arithmetic on pixels in 0…1, and the augmentation that varies them."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.data.augment.base import Augmentation

# Eigenvectors and eigenvalues of the colours of ImageNet, as in fb.resnet.torch.
PRINCIPAL_COLOURS = np.array([[-0.5675, -0.5808, -0.5836], [0.7192, -0.0045, -0.6948], [0.4009, -0.8140, 0.4203]])
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


class Jitter(Augmentation):
    """Vary brightness, contrast and saturation, in an order drawn for each image."""

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the order of the three changes, int64 (count, 3), and the factor of each, float32 (count, 3)."""
        most = np.array([self.settings.brightness, self.settings.contrast, self.settings.saturation])
        order = rng.random((count, 3)).argsort(axis=1)
        factors = rng.uniform(1 - most, 1 + most, (count, 3))
        return torch.from_numpy(order), torch.from_numpy(factors).float()

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        order_B3, factors_B3 = drawn
        pixels_BCHW = self.normalise.shares(images_BCHW)
        for kind_B in order_B3.unbind(dim=1):
            kind_B111 = kind_B[:, None, None, None]
            base_B1HW = black(pixels_BCHW)
            for kind, base in enumerate((mean_grey, grey), start=1):
                base_B1HW = torch.where(kind_B111 == kind, base(pixels_BCHW), base_B1HW)
            pixels_BCHW = blended(base_B1HW, pixels_BCHW, factors_B3.gather(1, kind_B[:, None])[:, 0])
        return self.normalise.of_shares(pixels_BCHW), labels


class Lighting(Augmentation):
    """Add a colour to each image, the same for all of its pixels, as AlexNet was trained.

    It is the sum of the principal components of the colours of ImageNet, each times its eigenvalue and a normal number;
    pixels are in 0…1. Grey images get its brightness.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw what is added to red, green and blue, in 0…1: float32 (count, 3)."""
        along_N3 = rng.normal(0.0, self.settings.std, (count, 3)) * EIGENVALUES
        return (torch.from_numpy(along_N3 @ PRINCIPAL_COLOURS).float(),)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        [colour_B3] = drawn
        colour_B311 = colour_B3[:, :, None, None].to(images_BCHW.dtype)
        if images_BCHW.shape[1] == 1:
            colour_B311 = grey(colour_B311)
        return self.normalise.of_shares(self.normalise.to_shares(images_BCHW) + colour_B311), labels


def blended(base: Tensor, pixels_BCHW: Tensor, factor_B: Tensor) -> Tensor:
    """Multiply by a factor for each image the difference of its pixels from a base, and limit the result to 0…1.

    The base of brightness is `black`, that of contrast `mean_grey`, and that of saturation `grey`.
    """
    factor_B111 = factor_B[:, None, None, None].to(pixels_BCHW.dtype)
    return torch.lerp(base.expand_as(pixels_BCHW), pixels_BCHW, factor_B111).clamp_(0, 1)


def black(pixels_BCHW: Tensor) -> Tensor:
    """Return black pixels, (B, 1, H, W)."""
    return torch.zeros_like(pixels_BCHW[:, :1])


def grey(pixels_BCHW: Tensor) -> Tensor:
    """Return the brightness of grey or RGB pixels, (B, 1, H, W)."""
    if pixels_BCHW.shape[1] == 1:
        return pixels_BCHW
    red, green, blue = (weight * pixels_BCHW[:, [channel]] for channel, weight in enumerate(_LUMA))
    return red + green + blue


def mean_grey(pixels_BCHW: Tensor) -> Tensor:
    """Return the mean brightness of each image, (B, 1, 1, 1)."""
    return grey(pixels_BCHW).mean(dim=(2, 3), keepdim=True)
