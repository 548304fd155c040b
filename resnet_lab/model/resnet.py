"""ResNet V2 and relatives: stem, stacks of residual units, head (He et al., arXiv:1603.05027)."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import assert_never

from torch import Tensor, nn

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import LatentLayer
from resnet_lab.config.parts import StemConfig
from resnet_lab.model.convolutions import convolution
from resnet_lab.model.dimensions import mean_over_positions
from resnet_lab.model.layers import Layers, Order
from resnet_lab.model.spec import stack_specs
from resnet_lab.model.stacks import build_stack, steps_through


class Stem(nn.Sequential):
    """Convolution, BatchNorm and ReLU, or three such groups (`deep`); optionally another one and max-pooling.

    The two last halve the resolution. Without `activation`, the last convolution has no BatchNorm and ReLU. With no
    filters, there is no layer.
    """

    def __init__(self, stem: StemConfig, in_channels: int, layers: Layers) -> None:
        super().__init__()
        if stem.leaves_out:
            return
        maps = stem.filters // 2 if stem.deep else stem.filters
        inner: Order = ("norm", "relu")
        last = layers.placement.stem if stem.activation else ()
        self.conv = layers.convolution(in_channels, maps, stem.kernel, stem.stride)
        self.activation = layers.activation(inner if stem.deep or stem.double else last, maps)
        if stem.deep:
            self.inner_conv = layers.convolution(maps, maps, kernel=3)
            self.inner_activation = layers.activation(inner, maps)
            self.last_conv = layers.convolution(maps, stem.filters, kernel=3)
            self.last_activation = layers.activation(inner if stem.double else last, stem.filters)
        if stem.double:
            self.second_conv = layers.convolution(stem.filters, stem.filters, kernel=3, stride=2)
            self.second_activation = layers.activation(last, stem.filters)
        if stem.pool:
            self.pool = layers.stem_pool()


class Head(nn.Module):
    """Last activation, pooling, optional hidden layers and latent space, classifier."""

    def __init__(self, model: ModelConfig, layers: Layers) -> None:
        super().__init__()
        head, maps = model.head, model.out_maps
        self.dims, self.layer = model.dims, head.layer
        self.activation = layers.activation(layers.placement.head, maps)
        positions = math.prod(model.map_sizes[-1]) if self.layer is LatentLayer.flat else 1
        widths = [maps * positions, *head.hidden]
        self.hidden = nn.Sequential(*(layers.hidden(n, m) for n, m in pairwise(widths)))
        self.width = widths[-1]
        self.latent = self.latent_layer(self.width, head.latent_dim)
        self.classifier: nn.Module = nn.Identity()
        if model.num_classes:
            self.classifier = nn.Linear(head.latent_dim or widths[-1], model.num_classes)

    def latent_layer(self, width: int, latent_dim: int | None) -> nn.Module:
        """Build a layer from what `features` returns to a latent space."""
        if latent_dim is None:
            return nn.Identity()
        if self.layer is LatentLayer.map:
            return convolution(self.dims, width, latent_dim, kernel=1)
        return nn.Linear(width, latent_dim)

    def features(self, innermost_BCHW: Tensor) -> Tensor:
        """Return the input of the latent layer: (B, width), or maps if that is a convolution."""
        match self.layer:
            case LatentLayer.map:
                return innermost_BCHW
            case LatentLayer.flat:
                return self.hidden(innermost_BCHW.flatten(1))
            case LatentLayer.dense | None:
                return self.hidden(mean_over_positions(innermost_BCHW))
            case _:
                assert_never(self.layer)

    def classify(self, latent: Tensor) -> Tensor:
        """Map what the latent layer returns, which is averaged over positions if it has any, to (B, num_classes)."""
        return self.classifier(mean_over_positions(latent) if latent.ndim > 2 else latent)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, num_classes), or to the latent space if there is no classifier."""
        latent = self.latent(self.features(self.activation(x_BCHW)))
        return latent if isinstance(self.classifier, nn.Identity) else self.classify(latent)


class ResNetV2(nn.Module):
    """The residual network that a `ModelConfig` describes, initialised, on torch's default device.

    With `dims=1`, it takes series (B, in_channels, L) for images (B, in_channels, H, W).

    Without a classifier (`num_classes=0`), it is an encoder, which returns a point of the latent space: (B, latent_dim)
    or, for `latent_layer=map`, (B, latent_dim, h, w).
    """

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.config = model
        layers, specs = Layers(model), stack_specs(model)
        self.stem = Stem(model.stem, model.in_channels, layers)
        self.stacks = nn.ModuleList(build_stack(spec, model, layers) for spec in specs)
        self.head = Head(model, layers)
        layers.initialise(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map normalised images (B, in_channels, H, W) to logits (B, num_classes)."""
        x_BCHW = self.stem(x_BCHW)
        for stack in self.stacks:
            x_BCHW = stack(x_BCHW)
        return self.head(x_BCHW)

    def steps(self, x_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Compute the same as `forward`, step by step, and yield the main tensors with their names.

        The names are `stem`, `stacks.0.units.3`, `stacks.0`, …, `innermost` (what the head averages), `features`,
        `latent` if there is one, `logits`. Forward hooks of stacks and head do not run.
        """
        x_BCHW = self.stem(x_BCHW)
        if len(self.stem):
            yield "stem", x_BCHW
        out_BCHW = x_BCHW
        for name, out_BCHW in steps_through(self.stacks, x_BCHW):
            yield name, out_BCHW
        innermost_BCHW = self.head.activation(out_BCHW)
        yield "innermost", innermost_BCHW
        yield "features", mean_over_positions(innermost_BCHW)
        latent = self.head.latent(self.head.features(innermost_BCHW))
        if self.head.layer or not self.config.num_classes:
            yield "latent", latent
        if self.config.num_classes:
            yield "logits", self.head.classify(latent)

    def intermediates(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the tensors of `steps` by name."""
        return dict(self.steps(x_BCHW))
