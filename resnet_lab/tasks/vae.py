"""Reconstruction by a variational autoencoder (Kingma & Welling, arXiv:1312.6114)."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from resnet_lab.model.autoencoder import Coded, VariationalAutoencoder
from resnet_lab.tasks.reconstruction import ImageDetails, Reconstruction

ACTIVE = (
    0.01  # variance of a component's mean over the images, above which it is active (arXiv:1509.00519, section 5.2)
)


class Vae(Reconstruction):
    """The reconstruction loss plus `vae.beta` times the KL divergence from N(0, 1).

    The sum over an image's pixels and latent components is what is minimised; for losses of the size of the others, it
    is divided by the number of values in an image. So beta = 1 with `bce` is the evidence lower bound of Bernoulli
    pixels, and with `mse` that of normal pixels with variance 1/2, apart from a constant. A weight w of the KL
    divergence relative to the mean over the pixels corresponds to beta = w · C · H · W.
    """

    def network(self) -> VariationalAutoencoder:
        return VariationalAutoencoder(self.config.model)

    def main_output(self, outputs: Any) -> Tensor:
        return outputs.images if isinstance(outputs, Coded) else outputs

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        per_value = self.config.vae.beta / math.prod(self.config.data.image_shape)
        return super().loss(outputs, targets) + per_value * divergence(outputs).mean()

    def reconstruction_loss(self, outputs: Coded, targets: Tensor) -> Tensor:
        """Return the loss without the KL divergence: the mean over all values."""
        return super().loss(outputs, targets)

    def details(self) -> "VaeDetails":
        return VaeDetails(self)


def divergence(outputs: Coded) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) ‖ N(0, 1)) in nats for each image (B,)."""
    mean, log_variance = (tensor.flatten(1).float() for tensor in (outputs.mean, outputs.log_variance))
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


class VaeDetails(ImageDetails):
    """Also the KL divergence and the evidence lower bound (both summed over an image), and the number of active units.

    The bound is for the decoded mean, without the constant of the pixels' distribution.
    """

    def __init__(self, task: Vae) -> None:
        super().__init__(task)
        self.vae = task
        self.kl: Tensor | float = 0.0
        self.loss: Tensor | float = 0.0
        self.moments: list[Tensor] = []  # sums over the images of mean and mean², for each component

    def add(self, outputs: Any, targets: Tensor) -> None:
        super().add(outputs, targets)
        self.kl = self.kl + divergence(outputs).double().sum()
        self.loss = self.loss + self.vae.reconstruction_loss(outputs, targets).double() * targets.numel()
        mean_BD = outputs.mean.flatten(1).double()
        sums = [mean_BD.sum(dim=0), mean_BD.square().sum(dim=0)]
        self.moments = [old + new for old, new in zip(self.moments, sums, strict=True)] if self.moments else sums

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        kl, loss = (float(total) / self.count for total in (self.kl, self.loss))
        first, second = (total / self.count for total in self.moments)
        active = int((second - first.square() > ACTIVE).sum())
        return super().scores(classes) | {"kl": kl, "elbo": -(loss + kl), "active_units": active}
