"""Inversion: find an image with the same intermediate tensor, which shows what the network still knows there."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.inspect.patterns import Track, blurred
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.inspect.replica import intermediate, replica
from resnet_lab.inspect.spectrum import TINY, radial_mean, rings
from resnet_lab.model.resnet import ResNetV2

INVERSION_STEPS = 300
COARSE = 0.6  # share of the steps that are blurred, with decreasing blur
RATE = 0.1  # Adam's learning rate, in standard deviations of the data; cosine decay to 0


def invert(
    net: ResNetV2,
    name: str,
    images_BCHW: Tensor,
    pixel_range: PixelRange,
    steps: int = INVERSION_STEPS,
    track: Track = iter,
) -> np.ndarray:
    """Find normalised images (B, C, H, W) with the same tensor at `name` as `images` (arXiv:1412.0035, no prior).

    The search starts from the mean colour and goes from coarse to fine; otherwise it ends far from any match. What the
    network has lost stays at the mean colour or takes arbitrary values.
    """
    other = replica(net)
    with torch.no_grad():
        wanted = intermediate(other, images_BCHW, name).flatten(1)
    scale_B = wanted.square().sum(dim=1).clamp(min=1e-12)
    found_BCHW = torch.zeros_like(images_BCHW).requires_grad_()
    adam = torch.optim.Adam([found_BCHW], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in track(range(steps)):
        mismatch_B = (intermediate(other, found_BCHW, name).flatten(1) - wanted).square().sum(dim=1) / scale_B
        (gradient_BCHW,) = torch.autograd.grad(mismatch_B.sum(), found_BCHW)
        coarseness = max(0.0, 1 - step / (COARSE * steps)) ** 2
        found_BCHW.grad = blurred(gradient_BCHW, coarseness * min(images_BCHW.shape[2:]) / 8)
        adam.step()
        schedule.step()
        with torch.no_grad():
            found_BCHW.copy_(pixel_range.clamp(found_BCHW))
    return found_BCHW.detach().cpu().numpy()


def squared_errors(found_BCHW: np.ndarray, images_BCHW: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each image or series (B,)."""
    return np.asarray(((found_BCHW - images_BCHW) ** 2).reshape(len(images_BCHW), -1).mean(axis=1))


def psnr(found_BCHW: np.ndarray, images_BCHW: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio (B,) in dB for pixels in 0…1."""
    return -10 * np.log10(np.maximum(squared_errors(found_BCHW, images_BCHW), 1e-20))


def error_by_frequency(found_BCHW: np.ndarray, images_BCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spatial frequencies (F,) in cycles per pixel, 0 to 0.5, and the error's power relative to the images'.

    Averaged over images, channels and directions; the mean colour is left out. 0 is a perfect image, 1 the error of
    the mean colour alone; larger values are worse than that.
    """

    def power(pictures: np.ndarray) -> np.ndarray:
        return radial_mean((np.abs(np.fft.fftn(pictures, axes=range(2, pictures.ndim))) ** 2).mean(axis=(0, 1)))

    relative = power(found_BCHW - images_BCHW) / np.maximum(power(images_BCHW), TINY)
    return rings(*images_BCHW.shape[2:])[1], relative
