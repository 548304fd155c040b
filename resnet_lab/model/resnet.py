"""ResNet V2: stem, stacks of residual units, head (He et al., arXiv:1603.05027)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from resnet_lab.config import HeadConfig, ModelConfig, StemConfig
from resnet_lab.model.layers import BatchNormReLU, convolution, initialise
from resnet_lab.model.units import ResidualUnit, build_unit

Taps = dict[str, Tensor]


class Stem(nn.Sequential):
    """Convolution, BatchNorm, ReLU and, for large images, a 3x3 max-pooling that halves the map size."""

    def __init__(self, stem: StemConfig, in_channels: int) -> None:
        super().__init__()
        self.conv = convolution(in_channels, stem.filters, stem.kernel, stem.stride)
        self.activation = BatchNormReLU(stem.filters)
        if stem.pool:
            self.pool = nn.MaxPool2d(3, stride=2, padding=1)


class Stack(nn.Module):
    """Units with the same filters and the same map size."""

    def __init__(self, units: list[ResidualUnit]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)

    def forward(self, x_BCHW: Tensor, taps: Taps | None = None, name: str = "") -> Tensor:
        """All units, one after the other; `taps` receives the output of each as `name.units.i`, the last as `name`."""
        for index, unit in enumerate(self.units):
            x_BCHW = unit(x_BCHW)
            if taps is not None:
                taps[f"{name}.units.{index}"] = taps[name] = x_BCHW
        return x_BCHW


class Head(nn.Module):
    """The last activation, global average pooling, hidden layers with ReLU, if any, and the classifier."""

    def __init__(self, head: HeadConfig, filters: int, num_classes: int) -> None:
        super().__init__()
        self.activation = BatchNormReLU(filters)
        widths = [filters, *head.hidden]
        self.hidden = nn.Sequential(*(nn.Sequential(nn.Linear(n, m), nn.ReLU()) for n, m in pairwise(widths)))
        self.classifier = nn.Linear(widths[-1], num_classes)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """The mean of every activated map: (B, C, H, W) → (B, C)."""
        return torch.mean(self.activation(x_BCHW), dim=(2, 3))

    def forward(self, x_BCHW: Tensor, taps: Taps | None = None) -> Tensor:
        """(B, C, H, W) → logits (B, num_classes); `taps` receives the `features`."""
        features_BC = self.features(x_BCHW)
        if taps is not None:
            taps["features"] = features_BC
        logits: Tensor = self.classifier(self.hidden(features_BC))
        return logits


class ResNetV2(nn.Module):
    """The residual network that a `ModelConfig` describes, initialised, on the CPU unless a device is in force."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.config = model
        self.stem = Stem(model.stem, model.in_channels)
        self.stacks = nn.ModuleList()
        maps = model.stem.filters
        shapes = zip(model.stack_units, model.stack_filters, model.stack_reductions, strict=True)
        for stack, (num_units, filters, reduction) in enumerate(shapes):
            units = []
            for unit in range(num_units):
                stride = 2 if stack > 0 and unit == 0 else 1
                first_of = None if unit > 0 else "stack" if stack > 0 else "network"
                units.append(build_unit(model, maps, filters, reduction, stride, first_of))
                maps = filters
            self.stacks.append(Stack(units))
        self.head = Head(model.head, maps, model.num_classes)
        initialise(self)

    def forward(self, x_BCHW: Tensor, taps: Taps | None = None) -> Tensor:
        """Images (B, in_channels, H, W), normalised, → logits (B, num_classes).

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
