"""The layers that everything else is made of."""

from __future__ import annotations

from torch import Tensor, nn


def convolution(in_maps: int, maps: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with "same" padding and no bias: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
    return nn.Conv2d(in_maps, maps, kernel, stride, padding=kernel // 2, bias=False)


class BatchNormReLU(nn.Sequential):
    """BatchNorm, then ReLU; the shape stays."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps)
        self.relu = nn.ReLU(inplace=True)  # safe: BatchNorm's backward pass does not need its output


class ResidualLayer(nn.Module):
    """Activation (BatchNorm, ReLU) and convolution. The two can be run apart, for a shortcut that starts in between."""

    def __init__(self, activation: nn.Module, conv: nn.Conv2d) -> None:
        super().__init__()
        self.activation = activation
        self.conv = conv

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The convolution of the activated input."""
        out: Tensor = self.conv(self.activation(x_BCHW))
        return out


def initialise(net: nn.Module) -> None:
    """Convolutions N(0, √(2 / (k²·out))) as in fb.resnet.torch; biases 0; linear weights U(±1/√in), PyTorch's own."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
