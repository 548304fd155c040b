"""Reconstruction: an autoencoder returns the image that it was given, through a latent space."""

import math
from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.enums import Corruption, ReconstructionLoss
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import LatentLayer
from resnet_lab.data.images import Normalisation
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.tasks.base import Task
from resnet_lab.tasks.baselines import baselines

SIGMA = 1.5  # pixels: standard deviation of the window of SSIM; less for images below 7 pixels
LEAST = 1e-7  # of a pixel's distance from 0 and 1, where the cross-entropy needs it


class Reconstruction(Task):
    """The loss that `reconstruction.loss` names, and the mean squared error per pixel, both of pixels in 0…1.

    Outputs are images (B, C, H, W), normalised like the network's input, or logits of pixels for `bce`. Targets are
    normalised images. Of series (B, C, L), normalised values take the place of pixels; they have no bounds.
    """

    def network(self) -> Autoencoder:
        return Autoencoder(self.config.model)

    def targets(self, images_BCHW: Tensor, labels: Tensor) -> Tensor:
        """Return the images; the originals, given as labels, if `data.corrupt` has changed them."""
        return labels if labels.ndim == images_BCHW.ndim else images_BCHW

    @property
    def normalise(self) -> Normalisation:
        """Mean and std of the images; 0 and 1 if they have not been measured."""
        data = self.config.data
        return Normalisation(tuple(data.mean or [0.0] * data.channels), tuple(data.std or [1.0] * data.channels))

    def shares(self, images_BCHW: Tensor) -> Tensor:
        """Return normalised images as pixels in 0…1, in float32 at least; series stay normalised."""
        wide_BCHW = _wide(images_BCHW)
        return self.normalise.to_shares(wide_BCHW) if self.config.data.dims == 2 else wide_BCHW

    def main_output(self, outputs: Any) -> Tensor:
        return outputs

    def pixels(self, outputs: Any) -> Tensor:
        """Return the pixels that outputs stand for, nominally in 0…1."""
        images_BCHW = self.main_output(outputs)
        is_logit = self.config.reconstruction.loss is ReconstructionLoss.bce
        return _wide(images_BCHW).sigmoid() if is_logit else self.shares(images_BCHW)

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        wanted_BCHW = self.shares(targets)
        match self.config.reconstruction.loss:
            case ReconstructionLoss.mse:
                return F.mse_loss(self.pixels(outputs), wanted_BCHW)
            case ReconstructionLoss.l1:
                return F.l1_loss(self.pixels(outputs), wanted_BCHW)
            case ReconstructionLoss.bce:
                logits_BCHW = _wide(self.main_output(outputs))
                return F.binary_cross_entropy_with_logits(logits_BCHW, wanted_BCHW.clamp(0, 1))
            case ReconstructionLoss.ssim:
                return 1 - similarity(self.pixels(outputs), wanted_BCHW).mean()
            case _:
                assert_never(self.config.reconstruction.loss)

    def penalties(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the mean squared error per pixel of each image (B,)."""
        errors_BCHW = (self.pixels(outputs) - self.shares(targets)).square()
        return errors_BCHW.mean(dim=tuple(range(1, errors_BCHW.ndim)))

    def penalty(self, outputs: Any, targets: Tensor) -> Tensor:
        return self.penalties(outputs, targets).sum()

    def details(self) -> "ImageDetails":
        return ImageDetails(self)

    def baselines(self, train_NCHW: np.ndarray, test_NCHW: np.ndarray) -> dict[str, float]:
        """Return the error of the mean image and, unless images are corrupted, of PCA with as many components."""
        if self.config.data.dims == 1:
            train_NCHW, test_NCHW = (self.normalise(torch.from_numpy(own)).numpy() for own in (train_NCHW, test_NCHW))
        found = baselines(train_NCHW, test_NCHW, latent_size(self.config.model))
        is_corrupted = self.config.data.corrupt.kind is not Corruption.none
        return {name: error for name, error in found.items() if name.startswith("mean") or not is_corrupted}

    def final(self, outputs: Any) -> Tensor:
        """Return pixels in 0…1 (B, C, H, W), or normalised series (B, C, L)."""
        pixels_BCHW = self.pixels(outputs)
        return pixels_BCHW.clamp(0, 1) if self.config.data.dims == 2 else pixels_BCHW


def latent_size(model: ModelConfig) -> int:
    """Return how many numbers the latent space holds of an image."""
    positions = math.prod(model.map_sizes[-1]) if model.head.layer is LatentLayer.map else 1
    return model.latent_dim * positions


class ImageDetails:
    """Means over the images of a test: PSNR in dB, SSIM, and the cross-entropy of a pixel in excess of its least value.

    That is the entropy of the image's pixels, as the cross-entropy with itself. Series, which have no black and white,
    have none of the three.
    """

    def __init__(self, task: Reconstruction) -> None:
        self.task, self.count = task, 0
        self.sums: Tensor | float = 0.0  # of the three scores

    def add(self, outputs: Any, targets: Tensor) -> None:
        self.count += len(targets)
        if self.task.config.data.dims == 1:
            return
        found_BCHW, wanted_BCHW = self.task.final(outputs), self.task.shares(targets).clamp(0, 1)
        errors_B = (found_BCHW - wanted_BCHW).square().mean(dim=(1, 2, 3))
        cross_B, entropy_B = (_cross_entropy(p, wanted_BCHW).mean(dim=(1, 2, 3)) for p in (found_BCHW, wanted_BCHW))
        scores = -10 * errors_B.clamp(min=1e-20).log10(), similarity(found_BCHW, wanted_BCHW), cross_B - entropy_B
        self.sums = self.sums + torch.stack([score.double().sum() for score in scores])

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        if self.task.config.data.dims == 1:
            return {}
        assert isinstance(self.sums, Tensor)
        return dict(zip(("psnr", "ssim", "excess_bce"), (self.sums / self.count).tolist(), strict=True))


def similarity(pixels_BCHW: Tensor, others_BCHW: Tensor) -> Tensor:
    """Return the structural similarity of each pair of images, with pixels in 0…1 (Wang et al. 2004) (B,)."""
    from torchmetrics.functional.image import structural_similarity_index_measure  # takes seconds, which few need

    # Half of the window must fit into the image, at whose borders the image is mirrored.
    sigma = min(SIGMA, max(0.1, (min(pixels_BCHW.shape[2:]) - 1.5) / 3.5))
    found = structural_similarity_index_measure(pixels_BCHW, others_BCHW, sigma=sigma, data_range=1.0, reduction="none")
    assert isinstance(found, Tensor)
    return found


def _cross_entropy(pixels: Tensor, wanted: Tensor) -> Tensor:
    return F.binary_cross_entropy(pixels.clamp(LEAST, 1 - LEAST), wanted, reduction="none")


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
