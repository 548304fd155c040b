"""ResNet V2 and its relatives: stem, stacks of residual units, head (He et al., arXiv:1603.05027)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from resnet_lab.choices import Downsample
from resnet_lab.config import HeadConfig, ModelConfig, StemConfig
from resnet_lab.model.layers import Layers
from resnet_lab.model.units import ResidualUnit, build_unit

Taps = dict[str, Tensor]


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

    def __init__(self, units: list[ResidualUnit], pool: nn.Module, bridge: nn.Module | None) -> None:
        super().__init__()
        self.pool = pool
        self.units = nn.ModuleList(units)
        self.bridge = bridge

    def forward(self, x_BCHW: Tensor, taps: Taps | None = None, name: str = "") -> Tensor:
        """Pooling, the units one after the other, plus the bridge of the stack's input.

        `taps` receives the output of each unit as `name.units.i`, and that of the stack as `name`.
        """
        out_BCHW: Tensor = self.pool(x_BCHW)
        for index, unit in enumerate(self.units):
            out_BCHW = unit(out_BCHW)
            if taps is not None:
                taps[f"{name}.units.{index}"] = out_BCHW
        if self.bridge is not None:
            out_BCHW = out_BCHW + self.bridge(x_BCHW)
        if taps is not None:
            taps[name] = out_BCHW
        return out_BCHW


class Head(nn.Module):
    """The last activation, global average pooling, hidden layers, latent space and classifier, as far as asked for."""

    def __init__(self, head: HeadConfig, filters: int, num_classes: int, layers: Layers) -> None:
        super().__init__()
        self.activation = layers.activation(layers.placement.final, filters)
        widths = [filters, *head.hidden]
        self.hidden = nn.Sequential(*(nn.Sequential(nn.Linear(n, m), nn.ReLU()) for n, m in pairwise(widths)))
        width = widths[-1]
        self.latent: nn.Module = nn.Identity()
        if head.latent_dim is not None:
            self.latent, width = nn.Linear(width, head.latent_dim), head.latent_dim
        self.classifier: nn.Module = nn.Linear(width, num_classes) if head.classifier else nn.Identity()

    def forward(self, x_BCHW: Tensor, taps: Taps | None = None) -> Tensor:
        """(B, C, H, W) → (B, num_classes), or (B, width) without classifier; taps: `features`, `latent`."""
        features_BC = torch.mean(self.activation(x_BCHW), dim=(2, 3))
        latent_BD = self.latent(self.hidden(features_BC))
        if taps is not None:
            taps["features"] = features_BC
            if isinstance(self.latent, nn.Linear):
                taps["latent"] = latent_BD
        out: Tensor = self.classifier(latent_BD)
        return out


class ResNetV2(nn.Module):
    """The residual network that a `ModelConfig` describes, initialised, on the CPU unless a device is in force."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.config = model
        layers = Layers(model)
        self.stem = Stem(model.stem, model.in_channels, layers)
        self.stacks = nn.ModuleList()
        maps = model.stem.filters
        shapes = zip(model.stack_units, model.stack_filters, model.stack_reductions, strict=True)
        for index, (num_units, filters, reduction) in enumerate(shapes):
            self.stacks.append(build_stack(model, index, maps, num_units, filters, reduction))
            maps = filters
        self.head = Head(model.head, maps, model.num_classes, layers)
        layers.initialise(self)

    def forward(self, x_BCHW: Tensor, taps: Taps | None = None) -> Tensor:
        """Images (B, in_channels, H, W), normalised, → logits (B, num_classes); without classifier, latent vectors.

        `taps`, if given, receives the intermediate tensors under their names: `stem`, `stacks.0.units.3`, `features`.
        """
        x_BCHW = self.stem(x_BCHW)
        if taps is not None:
            taps["stem"] = x_BCHW
        for index, stack in enumerate(self.stacks):
            x_BCHW = stack(x_BCHW, taps, f"stacks.{index}")
        logits: Tensor = self.head(x_BCHW, taps)
        return logits

    def intermediates(self, x_BCHW: Tensor) -> Taps:
        """All intermediate tensors of one forward pass by name, `logits` among them."""
        taps: Taps = {}
        logits = self(x_BCHW, taps)
        return taps | {"logits": logits}


def build_stack(model: ModelConfig, index: int, in_maps: int, num_units: int, filters: int, reduction: int) -> Stack:
    """The stack at `index`; every stack but the first halves the map size."""
    stride = 2 if index > 0 else 1
    pooled = model.downsample is Downsample.max_pool and stride > 1
    units = [build_unit(model, in_maps, filters, reduction, 1 if pooled else stride, "stack" if index else "network")]
    units += [build_unit(model, filters, filters, reduction, 1, None) for _ in range(num_units - 1)]
    bridge = Layers(model).convolution(in_maps, filters, kernel=1, stride=stride) if model.stack_shortcut else None
    return Stack(units, nn.MaxPool2d(2, ceil_mode=True) if pooled else nn.Identity(), bridge)
