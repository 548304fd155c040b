"""The closed choices among settings; each value says what it means. What people add to stands in `registry`."""

from enum import Enum


class Activation(Enum):
    """Where BatchNorm and ReLU stand: the placements of arXiv:1603.05027, figure 4."""

    full_preactivation = "BatchNorm, ReLU, convolution; the plain sum (ResNet V2)"
    relu_only_preactivation = "ReLU, convolution, BatchNorm; the plain sum"
    relu_before_addition = "convolution, BatchNorm, ReLU; the plain sum"
    bn_after_addition = "BatchNorm and ReLU after the sum"
    original = "ReLU after the sum (ResNet V1)"

    @property
    def preactivates(self) -> bool:
        """Whether BatchNorm or ReLU stands before a unit's first convolution."""
        return self in (Activation.full_preactivation, Activation.relu_only_preactivation)


class Resize(Enum):
    """How shortcuts that scale, gate or drop follow a change of shape."""

    projection = "1x1 convolution"
    zero_pad = "subsampling and zero maps"


class Downsample(Enum):
    """How the resolution is halved where a stack begins."""

    stride = "by the stride of a convolution and of the shortcut"
    max_pool = "by 2x2 max-pooling before the stack"


class ProjectionInput(Enum):
    """What a shortcut takes where a unit activates before its first convolution."""

    activated = "the activated input, where the unit projects or begins a stack"
    raw = "always the unit's own input"


class StrideOn(Enum):
    """Which convolution of a unit has the stride."""

    first = "the first one"
    spatial = "the 3x3 one"


class Init(Enum):
    """How convolutions are initialised."""

    fan_out = "N(0, sqrt(2 / (k k out))); linear layers U(-1/sqrt(in), 1/sqrt(in))"
    fan_in = "N(0, sqrt(2 / (k k in))), linear layers too"


class Optimizer(Enum):
    """The optimisers there are."""

    sgd = "SGD with momentum"
    adam = "Adam"
    adamw = "Adam with decoupled weight decay"


class Schedule(Enum):
    """How the learning rate goes on after the warm-up."""

    step = "multiplied by lr_factors at milestones"
    cosine = "half a cosine down to 0"
    constant = "constant"


class Diagnostics(Enum):
    """What a run records of its inside while it trains; nothing of it changes what is learned."""

    off = "nothing"
    light = "gradient norms and branch shares of every unit, weights by stack, first-layer filters"
    full = "feature maps, gradient flow over depth, confusion matrix and the Projector too"


class Accelerator(Enum):
    """Where to train; `auto` takes a GPU when there is one."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Compile(Enum):
    """What compiles the training step; evaluation and smaller last mini-batches are never compiled."""

    off = "nothing"
    inductor = "torch.compile, which takes a minute or more for a deep network"
