"""ResNet V2 and its relatives: stem, stacks of residual units, head (He et al., arXiv:1603.05027)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from resnet_lab.config.model import HeadConfig, ModelConfig, StemConfig
from resnet_lab.config.registry import UNITS
from resnet_lab.model.layers import Layers
from resnet_lab.model.spec import StackSpec, stack_specs

Intermediates = dict[str, Tensor]


class Stem(nn.Sequential):
    """Convolution, BatchNorm, ReLU, and what halves the resolution: a second such group, a max-pooling."""

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
    """Units with the same filters and the same map size; `bridge`, if any, spans all of them, from input to output."""

    def __init__(self, spec: StackSpec, model: ModelConfig, layers: Layers) -> None:
        super().__init__()
        unit = UNITS.load(model.unit)
        self.pool = nn.MaxPool2d(spec.pool, ceil_mode=True) if spec.pool > 1 else nn.Identity()
        self.units = nn.ModuleList(unit(unit_spec, model, layers) for unit_spec in spec.units)
        bridge = layers.convolution(spec.in_maps, spec.maps, kernel=1, stride=spec.stride) if spec.bridged else None
        self.bridge = bridge

    def forward(self, x_BCHW: Tensor, intermediates: Intermediates | None = None, name: str = "") -> Tensor:
        """Pooling, the units one after the other, plus the bridge of the stack's input.

        `intermediates` receives the output of each unit as `name.units.i`, and that of the stack as `name`.
        """
        out_BCHW: Tensor = self.pool(x_BCHW)
        for index, unit in enumerate(self.units):
            out_BCHW = unit(out_BCHW)
            if intermediates is not None:
                intermediates[f"{name}.units.{index}"] = out_BCHW
        if self.bridge is not None:
            out_BCHW = out_BCHW + self.bridge(x_BCHW)
        if intermediates is not None:
            intermediates[name] = out_BCHW
        return out_BCHW


class Head(nn.Module):
    """The last activation, global average pooling, hidden layers and latent space as far as asked for, classifier."""

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

    def forward(self, x_BCHW: Tensor, intermediates: Intermediates | None = None) -> Tensor:
        """(B, C, H, W) → (B, num_classes); intermediates: `features`, `latent`."""
        features_BC = torch.mean(self.activation(x_BCHW), dim=(2, 3))
        latent_BD = self.latent(self.hidden(features_BC))
        if intermediates is not None:
            intermediates["features"] = features_BC
            if isinstance(self.latent, nn.Linear):
                intermediates["latent"] = latent_BD
        return self.classifier(latent_BD)


class ResNetV2(nn.Module):
    """The residual network that a `ModelConfig` describes, initialised, on the CPU unless a device is in force."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.config = model
        layers, specs = Layers(model), stack_specs(model)
        self.stem = Stem(model.stem, model.in_channels, layers)
        self.stacks = nn.ModuleList(Stack(spec, model, layers) for spec in specs)
        self.head = Head(model.head, specs[-1].maps, model.num_classes, layers)
        layers.initialise(self)

    def forward(self, x_BCHW: Tensor, intermediates: Intermediates | None = None) -> Tensor:
        """Images (B, in_channels, H, W), normalised, → logits (B, num_classes).

        `intermediates`, if given, receives the tensors on the way by name: `stem`, `stacks.0.units.3`, `features`.
        """
        x_BCHW = self.stem(x_BCHW)
        if intermediates is not None:
            intermediates["stem"] = x_BCHW
        for index, stack in enumerate(self.stacks):
            x_BCHW = stack(x_BCHW, intermediates, f"stacks.{index}")
        return self.head(x_BCHW, intermediates)

    def intermediates(self, x_BCHW: Tensor) -> Intermediates:
        """All intermediate tensors of one forward pass by name, `logits` among them."""
        intermediates: Intermediates = {}
        logits = self(x_BCHW, intermediates)
        return intermediates | {"logits": logits}
