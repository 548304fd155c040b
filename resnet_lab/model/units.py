"""Residual units: residual layers and the shortcut around them.

To add one, write a subclass that lists its convolutions, and an entry in `config.registry.UNITS`.
"""

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import AttentionPlace
from resnet_lab.model.attention import attention
from resnet_lab.model.branch import branch_end
from resnet_lab.model.layers import Layers
from resnet_lab.model.modules import Blur, ResidualLayer
from resnet_lab.model.shortcuts import build_shortcut
from resnet_lab.model.spec import ConvSpec, UnitSpec


class ResidualUnit(nn.Module):
    """x + F(x): residual layers F, the shortcut around them, activations after the sum (arXiv:1603.05027, figure 4)."""

    convs: ClassVar[tuple[ConvSpec, ...]]

    def __init__(self, spec: UnitSpec, model: ModelConfig, layers: Layers) -> None:
        super().__init__()
        self.layers = nn.ModuleList(self.residual_layers(spec, layers))
        self.layers[-1].dropout = nn.Dropout(model.unit_dropout) if model.unit_dropout else nn.Identity()
        self.branch_end = branch_end(spec.drop_rate, model)
        self.attention = attention(spec.in_maps, spec.maps, model.attention)
        self.attention_place = model.attention.place
        self.shortcut = build_shortcut(spec, model, layers)
        self.addition = layers.activation(layers.placement.after_addition, spec.maps)
        self.activated_shortcut = spec.activated_shortcut

    def residual_layers(self, spec: UnitSpec, layers: Layers) -> Iterator[ResidualLayer]:
        """Yield a layer per convolution. The first one has no pre-activation if its input ends in one."""
        placement, convs, last = layers.placement, spec.convs(self.convs), len(self.convs) - 1
        widths = [spec.in_maps, *(spec.bottleneck_maps if conv.bottleneck else spec.maps for conv in convs)]
        strides, blurs = spec.strides(convs), spec.stride > 1 and spec.downsample.blurs
        for index, conv in enumerate(convs):
            in_maps, maps = widths[index : index + 2]
            groups = conv.groups * (spec.cardinality if conv.bottleneck and conv.kernel > 1 else 1)
            pre = placement.before(index)
            if index == 0 and spec.input_activated and "relu" in placement.stem:
                pre = ()
            post = placement.before_addition if index == last else placement.post
            before, after = layers.activation(pre, in_maps), layers.activation(post, maps)
            if blurs and index > 0 and strides[index - 1] > 1:
                before.add_module("blur", Blur(spec.stride))
            elif blurs and index == last and strides[index] > 1:
                after.add_module("blur", Blur(spec.stride))
            stride = 1 if blurs else strides[index]
            conv_layer = layers.convolution(in_maps, maps, conv.kernel, stride, groups, conv.dilation)
            yield ResidualLayer(before, conv_layer, after)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        first: ResidualLayer
        first, *others = self.layers  # type: ignore[assignment]  # the list holds residual layers
        activated_BCHW = first.before(x_BCHW)
        residual_BCHW = first.from_activated(self._attended(activated_BCHW, AttentionPlace.pre))
        for layer in others:
            residual_BCHW = layer(residual_BCHW)
        residual_BCHW = self.branch_end(self._attended(residual_BCHW, AttentionPlace.standard))
        split_BCHW = activated_BCHW if self.activated_shortcut else x_BCHW
        sum_BCHW = self.shortcut(self._attended(split_BCHW, AttentionPlace.identity), residual_BCHW)
        return self._attended(self.addition(sum_BCHW), AttentionPlace.post)

    def _attended(self, maps_BCHW: Tensor, place: AttentionPlace) -> Tensor:
        """Apply attention if it has this place."""
        return self.attention(maps_BCHW) if self.attention and place is self.attention_place else maps_BCHW


class Bottleneck(ResidualUnit):
    """1x1 to the bottleneck's maps, 3x3, 1x1 back to the filters (arXiv:1512.03385, figure 5)."""

    convs = (ConvSpec(1, bottleneck=True), ConvSpec(3, bottleneck=True), ConvSpec(1))


class Basic(ResidualUnit):
    """Two 3x3 convolutions (arXiv:1512.03385, figure 5)."""

    convs = (ConvSpec(3), ConvSpec(3))


class Triple(ResidualUnit):
    """Three 3x3 convolutions, as in the baseline for series (arXiv:1611.06455, with kernels 8, 5 and 3)."""

    convs = (ConvSpec(3), ConvSpec(3), ConvSpec(3))


class Dense(ResidualUnit):
    """1x1 to the bottleneck's maps, 3x3 to the filters: a layer of DenseNet-BC (arXiv:1608.06993, section 3)."""

    convs = (ConvSpec(1, bottleneck=True), ConvSpec(3))


class Conv(ResidualUnit):
    """One 3x3 convolution: a standard CNN in the same framework, or the layer of a DenseNet without bottlenecks."""

    convs = (ConvSpec(3),)
