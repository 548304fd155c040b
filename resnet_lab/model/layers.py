"""The layers that everything else is made of, and how they are initialised."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from resnet_lab.choices import Activation, Init
from resnet_lab.config import ModelConfig

Order = tuple[str, ...]  # of "norm" and "relu"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where BatchNorm and ReLU stand (arXiv:1603.05027, figure 4)."""

    before: Order = ()  # before every convolution of a unit
    after: Order = ()  # after every convolution of a unit but the last
    last: Order = ()  # after its last convolution
    addition: Order = ()  # after the sum
    final: Order = ()  # after the last unit of the network


PLACEMENTS = {
    Activation.full_preactivation: Placement(before=("norm", "relu"), final=("norm", "relu")),
    Activation.relu_only_preactivation: Placement(before=("relu",), after=("norm",), last=("norm",), final=("relu",)),
    Activation.relu_before_addition: Placement(after=("norm", "relu"), last=("norm", "relu")),
    Activation.bn_after_addition: Placement(after=("norm", "relu"), addition=("norm", "relu")),
    Activation.original: Placement(after=("norm", "relu"), last=("norm",), addition=("relu",)),
}


class Layers:
    """Makes layers in the network's lineage, so that no part of the network needs the whole configuration."""

    def __init__(self, model: ModelConfig) -> None:
        self.placement = PLACEMENTS[model.activation]
        self.batch_norm = model.batch_norm
        self.lineage = model.lineage

    def convolution(self, in_maps: int, maps: int, kernel: int, stride: int = 1) -> nn.Conv2d:
        """With "same" padding: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        bias = self.lineage.conv_bias or not self.batch_norm
        return nn.Conv2d(in_maps, maps, kernel, stride, padding=kernel // 2, bias=bias)

    def activation(self, order: Order, maps: int) -> nn.Sequential:
        """BatchNorm and ReLU in some order; the shape stays. Empty where the order is."""
        layers = nn.Sequential()
        for name in order:
            if name == "relu":  # in place where BatchNorm comes before, whose backward pass does not need its output
                layers.add_module("relu", nn.ReLU(inplace=len(layers) > 0))
            elif self.batch_norm:
                lineage = self.lineage
                layers.add_module("norm", nn.BatchNorm2d(maps, eps=lineage.norm_eps, momentum=lineage.norm_momentum))
        return layers

    def initialise(self, net: nn.Module) -> None:
        """Weights as `lineage.init` says, biases 0; a gate then sets its own."""
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                if self.lineage.init is Init.fan_in:
                    nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                elif isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in net.modules():
            if isinstance(module, Gate):
                module.open()


class ResidualLayer(nn.Module):
    """A convolution and the activations before and after it; a shortcut may start behind the former."""

    def __init__(self, before: nn.Module, conv: nn.Conv2d, after: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.conv = conv
        self.after = after

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.from_activated(self.before(x_BCHW))

    def from_activated(self, activated_BCHW: Tensor) -> Tensor:
        """What follows the first activation."""
        out: Tensor = self.after(self.conv(activated_BCHW))
        return out


class Gate(nn.Module):
    """g = sigmoid(W x + b), W a 1x1 convolution: a number in 0…1 for every element of the unit's output."""

    def __init__(self, in_maps: int, maps: int, stride: int, bias: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_maps, maps, kernel_size=1, stride=stride)
        self.bias = bias

    def open(self) -> None:
        """Set every b to its initial value: -6 leaves the shortcut all but open."""
        assert self.conv.bias is not None
        nn.init.constant_(self.conv.bias, self.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        out: Tensor = self.conv(x_BCHW).sigmoid()
        return out
