"""The closed sets of choices that settings are made from; what an entry means stands behind it."""

from __future__ import annotations

from enum import Enum


class Unit(Enum):
    """The residual layers of a unit, by the kernel sizes of their convolutions."""

    bottleneck = "1x1, 3x3, 1x1"
    basic = "3x3, 3x3"
    conv = "3x3: the standard CNN, without shortcuts"


class Activation(Enum):
    """Where BatchNorm and ReLU stand: the placements of arXiv:1603.05027, figure 4."""

    full_preactivation = "BatchNorm, ReLU, convolution; the plain sum (ResNet V2)"
    relu_only_preactivation = "ReLU, convolution, BatchNorm; the plain sum"
    relu_before_addition = "convolution, BatchNorm, ReLU; the plain sum"
    bn_after_addition = "BatchNorm and ReLU after the sum"
    original = "ReLU after the sum (ResNet V1)"


class Shortcut(Enum):
    """What bridges a unit: S(x) and F(x) are joined. S is the identity where the shape stays, else see each."""

    projection = "S + F; S is a 1x1 convolution where the shape changes (option B)"
    zero_pad = "S + F; S subsamples and adds zero maps where the shape changes (option A)"
    conv = "S + F; S is a 1x1 convolution on every unit (option C)"
    constant_scaling = "shortcut_scale S + residual_scale F"
    exclusive_gating = "(1 - g) S + g F, with the gate g = sigmoid(W x + b)"
    shortcut_gating = "(1 - g) S + F"
    dropout = "dropout(S) + F"
    none = "F alone: the plain network of the same depth"


# Settings of the model that only some shortcuts look at.
_READERS = {
    "shortcut_scale": {Shortcut.constant_scaling},
    "residual_scale": {Shortcut.constant_scaling},
    "gate_bias": {Shortcut.exclusive_gating, Shortcut.shortcut_gating},
    "shortcut_dropout": {Shortcut.dropout},
    "resize": set(Shortcut) - {Shortcut.projection, Shortcut.zero_pad, Shortcut.conv, Shortcut.none},
}


def unread(shortcut: Shortcut) -> set[str]:
    """The settings of the model that nothing looks at with this shortcut: networks that differ in them are the same."""
    return {name for name, readers in _READERS.items() if shortcut not in readers}


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


class DataName(Enum):
    """The data sets there are."""

    digits = "scikit-learn's 1,797 digits of 8x8 pixels, no download"
    mnist = "MNIST"
    fashion_mnist = "Fashion-MNIST"
    cifar10 = "CIFAR-10"
    cifar100 = "CIFAR-100"
    image_folder = "a folder of your own: train/<class>/*, test/<class>/*"
    fake = "random images, for tests and speed"


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
