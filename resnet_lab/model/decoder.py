"""The decoder of an autoencoder: the mirror of its encoder, whose units enlarge maps instead of reducing them."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import assert_never

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Init, LatentLayer, Norm, Upsample
from resnet_lab.model.convolutions import STANDARDISED_TRANSPOSED, convolution
from resnet_lab.model.dimensions import INTERPOLATIONS, TRANSPOSED, with_zero_maps
from resnet_lab.model.layers import Layers
from resnet_lab.model.modules import Gate
from resnet_lab.model.spec import stack_specs
from resnet_lab.model.stacks import Stack, steps_through

Size = tuple[int, ...]


class Crop(nn.Module):
    """The upper left part of maps: a decoder's maps have the sizes of the encoder's, which may be odd."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for dim, side in enumerate(self.size, start=2):
            x_BCHW = x_BCHW.narrow(dim, 0, side)
        return x_BCHW


class Enlarge(nn.Module):
    """Interpolate to a multiple of the size, then crop."""

    def __init__(self, stride: int, size: Size, mode: str) -> None:
        super().__init__()
        self.stride, self.mode, self.crop = stride, mode, Crop(size)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.crop(F.interpolate(x_BCHW, scale_factor=self.stride, mode=self.mode))


class Resample(nn.Module):
    """A shortcut without weights: enlarge maps, and drop the last ones or append zero maps up to the new width."""

    def __init__(self, new_maps: int, enlarge: nn.Module) -> None:
        super().__init__()
        self.new_maps, self.enlarge = new_maps, enlarge

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.enlarge(with_zero_maps(x_BCHW, self.new_maps))


class EnlargingLayers(Layers):
    """Layers whose strides enlarge maps, up to `size` (height, width), or length: branch, shortcut and gate alike."""

    def __init__(self, model: ModelConfig, size: Size) -> None:
        super().__init__(model)
        self.upsample, self.size = model.decoder.upsample, size

    def convolution(
        self,
        in_maps: int,
        maps: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> nn.Module:
        """Build a convolution that enlarges maps by its stride: (B, in_maps, H, W) → (B, maps, *size)."""
        if stride == 1:
            return super().convolution(in_maps, maps, kernel, 1, groups, dilation, bias)
        match self.upsample:
            case Upsample.nearest | Upsample.bilinear:
                conv = super().convolution(in_maps, maps, kernel, 1, groups, dilation, bias)
                # Interpolation and a 1x1 convolution commute: on the smaller maps, it costs less.
                order = (conv, self.enlarge(stride)) if kernel == 1 else (self.enlarge(stride), conv)
                return nn.Sequential(*order)
            case Upsample.transposed:
                return nn.Sequential(self._transposed(in_maps, maps, kernel, stride, groups, bias), Crop(self.size))
            case Upsample.pixel_shuffle:
                conv = super().convolution(in_maps, maps * stride**2, kernel, 1, groups, dilation, bias)
                return nn.Sequential(conv, nn.PixelShuffle(stride), Crop(self.size))
            case _:
                assert_never(self.upsample)

    def _transposed(
        self, in_maps: int, maps: int, kernel: int, stride: int, groups: int, bias: bool
    ) -> nn.ConvTranspose1d | nn.ConvTranspose2d:
        """Build a transposed convolution: the kernel is the least multiple of the stride that can be centred.

        Every output then depends on as many inputs: other kernels leave a chequered pattern.
        """
        sizes = range(stride, kernel + 3 * stride, stride)
        own = next(size for size in sizes if size >= kernel and (size - stride) % 2 == 0)
        kind = (STANDARDISED_TRANSPOSED if self.standardises and not bias else TRANSPOSED)[self.dims]
        bias = bias or self.lineage.conv_bias or self.norm is Norm.none
        return kind(in_maps, maps, own, stride, (own - stride) // 2, groups=groups, bias=bias)

    def enlarge(self, stride: int) -> nn.Module:
        """Build an interpolation, bilinear or of the nearest pixel; the identity for stride 1."""
        mode = INTERPOLATIONS[self.dims] if self.upsample is Upsample.bilinear else "nearest"
        return Enlarge(stride, self.size, mode) if stride > 1 else nn.Identity()

    def gate(self, in_maps: int, maps: int, stride: int, bias: float) -> Gate:
        return Gate(convolution(self.dims, in_maps, maps, kernel=1), bias, self.enlarge(stride))

    def resample(self, in_maps: int, maps: int, stride: int) -> nn.Module:
        return Resample(maps - in_maps, self.enlarge(stride))


class Entry(nn.Sequential):
    """From the latent space to the innermost maps: the latent and hidden layers mirrored, then BatchNorm and ReLU."""

    def __init__(self, model: ModelConfig, layers: Layers) -> None:
        super().__init__()
        maps, size, head = model.mirrored.stack_filters[0], model.map_sizes[-1], model.head
        if head.layer is LatentLayer.map:
            self.conv = convolution(model.dims, model.latent_dim, maps, kernel=1)
        else:
            widths = [model.latent_dim, *reversed(head.hidden)]
            self.hidden = nn.Sequential(*(layers.hidden(n, m) for n, m in pairwise(widths)))
            self.linear = nn.Linear(widths[-1], maps * math.prod(size))
            self.maps = nn.Unflatten(1, (maps, *size))
        self.activation = layers.activation(("norm", "relu"), maps)


class Exit(nn.Sequential):
    """From the last stack to the image: the stem mirrored. Neither BatchNorm nor ReLU follow the last convolution."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        own, stem, sizes = model.mirrored, model.stem, model.map_sizes
        layers = [EnlargingLayers(own, size) for size in sizes[:3]]  # of the image, and before the stem's other strides
        maps = own.stack_filters[-1]
        self.activation = layers[0].activation(layers[0].placement.head, maps)
        if stem.pool:
            self.enlarge = layers[2].enlarge(2)
        if stem.double:
            self.second_conv = layers[1].convolution(maps, stem.filters, kernel=3, stride=2)
            self.second_activation = layers[1].activation(("norm", "relu"), stem.filters)
            maps = stem.filters
        if stem.deep:
            half = stem.filters // 2
            for name, in_maps in (("last", maps), ("inner", half)):
                self.add_module(f"{name}_conv", layers[1].convolution(in_maps, half, kernel=3))
                self.add_module(f"{name}_activation", layers[1].activation(("norm", "relu"), half))
            maps = half
        self.conv = layers[0].convolution(maps, model.in_channels, stem.kernel, stem.stride, bias=True)

    def initialise(self) -> None:
        """Draw the last convolution as PyTorch does, like linear layers: outputs are then about as large as pixels."""
        for layer in self.conv.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
                layer.reset_parameters()
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)


class Decoder(nn.Module):
    """Map the latent space to images: entry, stacks in reverse order, exit."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        own, sizes = model.mirrored, model.map_sizes[:2:-1]
        layers = [EnlargingLayers(own, size) for size in sizes]  # of each stack, the innermost first
        self.entry = Entry(model, layers[0])
        specs = stack_specs(own)
        self.stacks = nn.ModuleList(Stack(spec, own, its) for spec, its in zip(specs, layers, strict=True))
        self.exit = Exit(model)
        layers[0].initialise(self)
        if model.lineage.init is Init.fan_out:
            self.exit.initialise()

    def forward(self, latent: Tensor) -> Tensor:
        """(B, latent_dim) or (B, latent_dim, h, w) → (B, in_channels, H, W)."""
        x_BCHW = self.entry(latent)
        for stack in self.stacks:
            x_BCHW = stack(x_BCHW)
        return self.exit(x_BCHW)

    def steps(self, latent: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the main tensors with their names, as `ResNetV2.steps` does, and the image as `outputs`."""
        out_BCHW = x_BCHW = self.entry(latent)
        yield "decoder.entry", x_BCHW
        for name, out_BCHW in steps_through(self.stacks, x_BCHW):
            yield f"decoder.{name}", out_BCHW
        yield "outputs", self.exit(out_BCHW)
