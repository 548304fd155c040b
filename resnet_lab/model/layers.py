"""The basic layers of all networks, and their initialisation."""

import math
from dataclasses import dataclass
from typing import Literal, assert_never

from torch import Tensor, nn

from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Activation, Init, Nonlinearity, Norm
from resnet_lab.model.convolutions import convolution
from resnet_lab.model.dimensions import AVERAGES, MAX_POOLS
from resnet_lab.model.modules import BATCH_NORMS, Blur, Gate, ZeroPad

Order = tuple[Literal["norm", "relu"], ...]

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)
DRAWN_AS_CONVOLUTIONS = {Init.fan_in: WEIGHTED, Init.fan_out: WEIGHTED[:2], Init.glorot: WEIGHTED}  # else as in PyTorch


@dataclass(frozen=True, slots=True)
class Placement:
    """The positions of BatchNorm and ReLU (arXiv:1603.05027, figure 4)."""

    stem: Order = ("norm", "relu")  # after the stem's convolution
    pre: Order = ()  # before every convolution of a unit
    first: Order | None = None  # before its first convolution, if not the same
    post: Order = ()  # after every convolution of a unit except the last
    before_addition: Order = ()  # after its last convolution
    after_addition: Order = ()  # after the sum
    projection: Order = ()  # after the projection on a shortcut
    head: Order = ()  # after the last unit of the network

    def before(self, index: int) -> Order:
        """Return what comes before the convolution of a unit with this index."""
        return self.pre if index > 0 or self.first is None else self.first


PLACEMENTS = {
    Activation.full_preactivation: Placement(pre=("norm", "relu"), head=("norm", "relu")),
    Activation.relu_only_preactivation: Placement(
        pre=("relu",), post=("norm",), before_addition=("norm",), head=("relu",)
    ),
    Activation.relu_before_addition: Placement(post=("norm", "relu"), before_addition=("norm", "relu")),
    Activation.norm_first: Placement(
        stem=("norm",), pre=("norm", "relu"), first=("norm",), before_addition=("norm",), head=("norm", "relu")
    ),
    Activation.bn_after_addition: Placement(post=("norm", "relu"), after_addition=("norm", "relu")),
    Activation.original: Placement(
        post=("norm", "relu"), before_addition=("norm",), after_addition=("relu",), projection=("norm",)
    ),
}


class Layers:
    """Builds layers with the network's placement of activations and `lineage`; all its parts share one instance."""

    def __init__(self, model: ModelConfig) -> None:
        self.dims = model.dims
        self.placement = PLACEMENTS[model.activation]
        self.norm, self.norm_groups = model.norm, model.norm_groups
        self.nonlinearity = model.nonlinearity
        self.standardises = model.weight_standardisation
        self.blurs = model.downsample.blurs
        self.lineage = model.lineage

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
        """Build a convolution with "same" padding: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉).

        It has a bias if `bias`, `lineage.conv_bias` or the lack of norms asks for it. `bias` is for convolutions that
        give an image: no norm follows them, so their kernels are never standardised.
        """
        standardise = self.standardises and not bias
        bias = bias or self.lineage.conv_bias or self.norm is Norm.none
        return convolution(self.dims, in_maps, maps, kernel, stride, dilation, groups, bias, standardise)

    def activation(self, order: Order, maps: int) -> nn.Sequential:
        """Build norm and ReLU, or what stands for them, in the given order, which may be empty. They keep the shape."""
        layers = nn.Sequential()
        for name in order:
            # In place after a norm, whose backward pass does not need its output.
            layer = self._relu(inplace=len(layers) > 0) if name == "relu" else self._norm(maps)
            if layer is not None:
                layers.add_module(name, layer)
        return layers

    def _norm(self, maps: int) -> nn.Module | None:
        lineage = self.lineage
        match self.norm:
            case Norm.batch:
                return BATCH_NORMS[self.dims](maps, eps=lineage.norm_eps, momentum=lineage.norm_momentum)
            case Norm.group:
                return nn.GroupNorm(self.norm_groups, maps, lineage.norm_eps)
            case Norm.layer:
                return nn.GroupNorm(1, maps, lineage.norm_eps)
            case Norm.none:
                return None
            case _:
                assert_never(self.norm)

    def _relu(self, inplace: bool) -> nn.Module | None:
        match self.nonlinearity:
            case Nonlinearity.relu:
                return nn.ReLU(inplace)
            case Nonlinearity.leaky_relu:
                return nn.LeakyReLU(0.01, inplace)
            case Nonlinearity.silu:
                return nn.SiLU(inplace)
            case Nonlinearity.gelu:
                return nn.GELU()
            case Nonlinearity.none:
                return None
            case _:
                assert_never(self.nonlinearity)

    def stem_pool(self) -> nn.Module:
        """Build 3x3 max-pooling that halves the map size."""
        if self.blurs:
            return nn.Sequential(MAX_POOLS[self.dims](3, stride=1, padding=1), Blur(2))
        return MAX_POOLS[self.dims](3, stride=2, padding=1)

    def pool(self, window: int) -> nn.Module:
        """Build the maximum of windows of positions, smaller at the ends of odd maps."""
        return MAX_POOLS[self.dims](window, ceil_mode=True)

    def averaging(self, window: int) -> nn.Module:
        """Build the mean of windows, likewise: (B, C, H, W) → (B, C, ⌈H/window⌉, ⌈W/window⌉)."""
        return AVERAGES[self.dims](window, ceil_mode=True, count_include_pad=False)

    def hidden(self, width: int, new_width: int) -> nn.Sequential:
        """Build a linear layer and ReLU: (B, width) → (B, new_width)."""
        return nn.Sequential(nn.Linear(width, new_width), *self.activation(("relu",), new_width))

    def gate(self, in_maps: int, maps: int, stride: int, bias: float) -> "Gate":
        """Build a gate from `in_maps` to `maps` maps, whose biases begin at `bias`."""
        return Gate(convolution(self.dims, in_maps, maps, 1, stride), bias)

    def resample(self, in_maps: int, maps: int, stride: int) -> nn.Module:
        """Build a change of shape without weights."""
        return ZeroPad(in_maps, maps, stride)

    def initialise(self, net: nn.Module) -> None:
        """Set weights as `lineage.init` says and biases to 0; then gates set their own biases."""
        init = self.lineage.init
        for module in net.modules():
            if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d) and not module.weight.is_meta:
                _initialise_transposed(module, init)
            if isinstance(module, DRAWN_AS_CONVOLUTIONS[init]) and not module.weight.is_meta:
                _initialise(module.weight, init)
            if isinstance(module, (*WEIGHTED, nn.ConvTranspose1d, nn.ConvTranspose2d)) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for module in net.modules():
            if isinstance(module, Gate):
                module.open()


def _initialise(weight: Tensor, init: Init) -> None:
    match init:
        case Init.fan_out | Init.fan_in:
            nn.init.kaiming_normal_(weight, mode=init.name, nonlinearity="relu")  # type: ignore[arg-type]
        case Init.glorot:
            nn.init.xavier_uniform_(weight)
        case _:
            assert_never(init)


def _initialise_transposed(conv: nn.ConvTranspose1d | nn.ConvTranspose2d, init: Init) -> None:
    """Draw as elsewhere, where n counts the inputs of an output, or the outputs of an input."""
    positions, skipped = math.prod(conv.kernel_size), math.prod(conv.stride)
    fans = {Init.fan_in: conv.in_channels * positions / skipped, Init.fan_out: conv.out_channels * positions}
    if init is Init.glorot:
        bound = (6 / sum(fans.values())) ** 0.5
        nn.init.uniform_(conv.weight, -bound, bound)
    else:
        nn.init.normal_(conv.weight, std=(2 / fans[init]) ** 0.5)
