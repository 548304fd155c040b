"""The modules that networks are built of besides torch's own."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.model.dimensions import average, padded, with_zero_maps
from resnet_lab.model.sync import synchronised


class BatchNorm(nn.Module):
    """BatchNorm that leaves counting its mini-batches to a training step, which counts for all layers at once."""

    counts = True  # False: a training step counts
    updates = True  # False: what is computed again leaves the running statistics, for all layers
    synchronised = False  # True: mean and variance are those of all processes that train together
    num_batches_tracked: Tensor | None

    def forward(self: Any, x_BCHW: Tensor) -> Tensor:
        if self.counts:
            counted: Tensor = super().forward(x_BCHW)
            return counted
        statistics, scale = (self.running_mean, self.running_var), (self.weight, self.bias)
        momentum = self.momentum or 0.0 if BatchNorm.updates else 0.0
        if self.synchronised and self.training:
            normalised_BCHW, *measured = synchronised(x_BCHW, *scale, self.eps)
            for running_C, own_C in zip(statistics, measured, strict=True):
                running_C.lerp_(own_C.to(running_C.dtype), momentum)
            return normalised_BCHW
        return F.batch_norm(x_BCHW, *statistics, *scale, self.training, momentum, self.eps)


def synchronise(net: nn.Module, does: bool) -> None:
    """Let BatchNorm normalise in training over the mini-batch of all processes that train together, or of its own."""
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.synchronised = does


class BatchNorm1d(BatchNorm, nn.BatchNorm1d):
    """BatchNorm of series."""


class BatchNorm2d(BatchNorm, nn.BatchNorm2d):
    """BatchNorm of images."""


BATCH_NORMS: dict[int, Any] = {1: BatchNorm1d, 2: BatchNorm2d}


class Blur(nn.Module):
    """The filter [1, 2, 1] / 4 along both sides, with maps mirrored at their borders, and a stride (arXiv:1904.11486).

    It is the mean of two neighbours, taken twice.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return average(average(padded(x_BCHW, 1, 1, mode="reflect"), 2, 1), 2, self.stride)


class ZeroPad(nn.Module):
    """Subsample by the stride, and append zero maps up to the new width, or drop the last maps."""

    def __init__(self, in_maps: int, maps: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_maps = maps - in_maps

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return with_zero_maps(average(x_BCHW, 1, self.stride), self.new_maps)


class ResidualLayer(nn.Module):
    """A convolution with the activations before and after it; a shortcut may start after the first activation.

    Do not rename the attributes: checkpoints name the weights after them.
    """

    def __init__(self, before: nn.Module, conv: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.conv = conv
        self.after = after
        self.dropout: nn.Module = nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.from_activated(self.before(x_BCHW))

    def from_activated(self, activated_BCHW: Tensor) -> Tensor:
        """Apply everything after the first activation."""
        return self.after(self.conv(self.dropout(activated_BCHW)))


class Gate(nn.Module):
    """g = sigmoid(W x + b), where W is a 1x1 convolution: a number in 0…1 for each element of the unit's output."""

    def __init__(self, conv: nn.Conv1d | nn.Conv2d, bias: float, resize: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.bias = conv, bias
        self.resize = resize or nn.Identity()  # of a decoder's gate, where maps are enlarged

    def open(self) -> None:
        """Set every b to its initial value; -6 leaves the shortcut almost fully open."""
        assert self.conv.bias is not None
        nn.init.constant_(self.conv.bias, self.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map the input of a unit to the shape of its output."""
        return self.resize(self.conv(x_BCHW).sigmoid())
