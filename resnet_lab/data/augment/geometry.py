"""Where the parts of an image are: crop and flip."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.data.augment.base import Augmentation


class Crop(Augmentation):
    """Pad with zeros, then crop to the original size: all (2·pad + 1)² offsets are equally likely.

    Images are normalised first, as in fb.resnet.torch, so zero is the mean colour.
    """

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        """Draw the top and left offset of each crop in the padded image: int64, 0 … 2·pad."""
        corners = rng.integers(0, 2 * self.settings.pad + 1, size=(2, count))
        return tuple(torch.from_numpy(corners))

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Select each crop from a strided view of all crops. The result is channels-last."""
        batch, _, height, width = images_BCHW.shape
        pad = self.settings.pad
        padded_BHWC = F.pad(images_BCHW.permute(0, 2, 3, 1), [0, 0, pad, pad, pad, pad])
        crops = padded_BHWC.unfold(1, height, 1).unfold(2, width, 1)  # (B, top, left, C, H, W)
        image_B = torch.arange(batch, device=images_BCHW.device)
        cut_BHWC = crops.permute(0, 1, 2, 4, 5, 3)[image_B, *drawn]
        return cut_BHWC.permute(0, 3, 1, 2), labels


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
