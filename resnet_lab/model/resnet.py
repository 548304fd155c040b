"""ResNet V2 and relatives: stem, stacks of residual units, head (He et al., arXiv:1603.05027)."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from resnet_lab.config.model import HeadConfig, ModelConfig, StemConfig
from resnet_lab.config.registry import UNITS
from resnet_lab.model.layers import Layers
from resnet_lab.model.spec import StackSpec, stack_specs


class Stem(nn.Sequential):
    """Convolution, BatchNorm and ReLU; optionally a second such group and max-pooling, each halving the resolution."""

    def __init__(self, stem: StemConfig, in_channels: int, layers: Layers) -> None:
        super().__init__()
        self.conv = layers.convolution(in_channels, stem.filters, stem.kernel, stem.stride)
        self.activation = layers.activation(("norm", "relu"), stem.filters)
        if stem.double:
            self.second_conv = layers.convolution(stem.filters, stem.filters, kernel=3, stride=2)
            self.second_activation = layers.activation(("norm", "relu"), stem.filters)
        if stem.pool:
            self.pool = nn.MaxPool2d(3, stride=2, padding=1)


class Stack(nn.Module):
    """Units with the same filters and map size; `bridge`, if set, is a shortcut around all of them."""

    def __init__(self, spec: StackSpec, model: ModelConfig, layers: Layers) -> None:
        super().__init__()
        unit = UNITS.load(model.unit)
        self.pool = nn.MaxPool2d(spec.pool, ceil_mode=True) if spec.pool > 1 else nn.Identity()
        self.units = nn.ModuleList(unit(unit_spec, model, layers) for unit_spec in spec.units)
        self.bridge: nn.Module | None = None
        if spec.bridged:
            self.bridge = layers.convolution(spec.in_maps, spec.maps, kernel=1, stride=spec.stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        out_BCHW = self.pool(x_BCHW)
        for unit in self.units:
            out_BCHW = unit(out_BCHW)
        return self.bridged(x_BCHW, out_BCHW)

    def bridged(self, x_BCHW: Tensor, out_BCHW: Tensor) -> Tensor:
        """Return the output of the last unit plus the bridged input of the stack, if there is a bridge."""
        return out_BCHW if self.bridge is None else out_BCHW + self.bridge(x_BCHW)


class Head(nn.Module):
    """Last activation, global average pooling, optional hidden layers and latent space, classifier."""

    def __init__(self, head: HeadConfig, filters: int, num_classes: int, layers: Layers) -> None:
        super().__init__()
        self.activation = layers.activation(layers.placement.head, filters)
        widths = [filters, *head.hidden]
        self.hidden = nn.Sequential(*(nn.Sequential(nn.Linear(n, m), nn.ReLU()) for n, m in pairwise(widths)))
        width = widths[-1]
        self.latent: nn.Module = nn.Identity()
        if head.latent_dim is not None:
            self.latent, width = nn.Linear(width, head.latent_dim), head.latent_dim
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, num_classes)."""
        features_BC = torch.mean(self.activation(x_BCHW), dim=(2, 3))
        return self.classifier(self.latent(self.hidden(features_BC)))


class ResNetV2(nn.Module):
    """The residual network that a `ModelConfig` describes, initialised, on torch's default device."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.config = model
        layers, specs = Layers(model), stack_specs(model)
        self.stem = Stem(model.stem, model.in_channels, layers)
        self.stacks = nn.ModuleList(Stack(spec, model, layers) for spec in specs)
        self.head = Head(model.head, specs[-1].maps, model.num_classes, layers)
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
        yield "stem", x_BCHW
        stack: Stack
        for s, stack in enumerate(self.stacks):  # type: ignore[assignment]  # the list holds stacks
            out_BCHW = stack.pool(x_BCHW)
            for u, unit in enumerate(stack.units):
                out_BCHW = unit(out_BCHW)
                yield f"stacks.{s}.units.{u}", out_BCHW
            x_BCHW = stack.bridged(x_BCHW, out_BCHW)
            yield f"stacks.{s}", x_BCHW
        innermost_BCHW = self.head.activation(x_BCHW)
        yield "innermost", innermost_BCHW
        features_BC = torch.mean(innermost_BCHW, dim=(2, 3))
        yield "features", features_BC
        latent_BD = self.head.latent(self.head.hidden(features_BC))
        if isinstance(self.head.latent, nn.Linear):
            yield "latent", latent_BD
        yield "logits", self.head.classifier(latent_BD)

    def intermediates(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the tensors of `steps` by name."""
        return dict(self.steps(x_BCHW))
