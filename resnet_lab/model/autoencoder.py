"""Autoencoders: a ResNet V2 without a classifier, followed by a decoder."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor

from resnet_lab.config.model import ModelConfig
from resnet_lab.model.decoder import Decoder
from resnet_lab.model.resnet import ResNetV2


class Autoencoder(ResNetV2):
    """The encoder that a `ModelConfig` with `num_classes=0` describes, and its decoder.

    The encoder's weights have the names that they have in a classifier.
    """

    def __init__(self, model: ModelConfig) -> None:
        super().__init__(model)
        self.decoder = Decoder(model)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map normalised images (B, C, H, W) to their reconstructions, of the same shape."""
        return self.decode(self.encode(x_BCHW))

    def encode(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, latent_dim), or (B, latent_dim, h, w) for `latent_layer=map`."""
        return super().forward(x_BCHW)

    def decode(self, latent: Tensor) -> Tensor:
        """Map what `encode` returns to images (B, C, H, W)."""
        return self.decoder(latent)

    def steps(self, x_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Compute the same as `forward` in eval mode, and yield the tensors of encoder and decoder with their names."""
        latent = x_BCHW
        for name, latent in super().steps(x_BCHW):
            yield name, latent
        yield from self.decoder.steps(latent)


class Coded(NamedTuple):
    """Reconstructions, and the distributions from which their latent vectors were drawn: N(mean, exp(log_variance))."""

    images: Tensor  # (B, C, H, W)
    mean: Tensor  # (B, latent_dim), or (B, latent_dim, h, w)
    log_variance: Tensor

    def detach(self) -> Self:
        return type(self)(*(tensor.detach() for tensor in self))


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose latent vectors are drawn, in training, from a normal distribution (arXiv:1312.6114).

    The latent layer gives the mean, `log_variance` the logarithm of the variance of each component. In evaluation, the
    mean is decoded.
    """

    def __init__(self, model: ModelConfig) -> None:
        super().__init__(model)
        self.log_variance = self.head.latent_layer(self.head.width, model.latent_dim)
        torch.nn.init.zeros_(self.log_variance.get_parameter("weight"))  # begin with variance 1
        torch.nn.init.zeros_(self.log_variance.get_parameter("bias"))

    def forward(self, x_BCHW: Tensor) -> Coded:  # type: ignore[override]  # the loss needs the distribution too
        for stage in (self.stem, *self.stacks, self.head.activation):
            x_BCHW = stage(x_BCHW)
        features = self.head.features(x_BCHW)
        mean, log_variance = self.head.latent(features), self.log_variance(features)
        latent = mean
        if self.training:
            latent = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return Coded(self.decode(latent), mean, log_variance)
