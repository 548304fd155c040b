"""Settings of the architecture with a fixed set of choices. Extensible choices are in `registry`."""

from enum import Enum


class Activation(Enum):
    """Order of convolution, BatchNorm, ReLU and addition: the variants of arXiv:1603.05027, figure 4."""

    full_preactivation = "BatchNorm, ReLU, convolution; nothing after the addition (ResNet V2)"
    relu_only_preactivation = "ReLU, convolution, BatchNorm; nothing after the addition"
    relu_before_addition = "convolution, BatchNorm, ReLU; nothing after the addition"
    norm_first = "BatchNorm, convolution, BatchNorm, ReLU, convolution, BatchNorm (PyramidNet, arXiv:1610.02915)"
    bn_after_addition = "BatchNorm and ReLU after the addition"
    original = "ReLU after the addition (ResNet V1)"

    @property
    def preactivates(self) -> bool:
        """Whether a unit has a ReLU before its first convolution, after which its shortcut may start."""
        return self in (Activation.full_preactivation, Activation.relu_only_preactivation)

    @property
    def follows_addition(self) -> bool:
        """Whether a unit has a ReLU after the addition."""
        return self in (Activation.bn_after_addition, Activation.original)


class Bridges(Enum):
    """How far shortcuts reach, from nothing to the whole network. F_l is what the branch of unit l returns."""

    none = "nowhere: the plain network, of F_l alone"
    unit = "around each unit (ResNet)"
    stack = "also around each stack, with a 1x1 convolution"
    stack_sum = "from each unit to all later ones of its stack: unit l is given the sum of all earlier F_k"
    net_sum = "from each unit to all later ones of the network, likewise"
    stack_concat = "as stack_sum, but unit l is given all earlier F_k one after the other (DenseNet, arXiv:1608.06993)"
    net_concat = "as net_sum, but unit l is given all earlier F_k one after the other (arXiv:1711.09224)"

    @property
    def around_units(self) -> bool:
        """Whether units may have shortcuts of their own, as `model.shortcut` says."""
        return self in (Bridges.unit, Bridges.stack)

    @property
    def sums(self) -> bool:
        """Whether units are given sums of all earlier outputs."""
        return self in (Bridges.stack_sum, Bridges.net_sum)

    @property
    def concatenates(self) -> bool:
        """Whether units are given all earlier outputs one after the other."""
        return self in (Bridges.stack_concat, Bridges.net_concat)

    @property
    def growth(self) -> int:
        """The factor by which a single number of filters grows from stack to stack."""
        return 1 if self.concatenates else 2

    @property
    def dense(self) -> bool:
        """Whether outputs reach all later units, without shortcuts of the units' own."""
        return self.sums or self.concatenates


class Resize(Enum):
    """How shortcuts that scale, gate or drop handle a change of shape."""

    projection = "1x1 convolution"
    zero_pad = "subsampling and zero-padded channels"


class Downsample(Enum):
    """How the resolution is halved at the start of a stack, all but the first."""

    stride = "stride of a convolution and of the shortcut"
    max_pool = "2x2 max-pooling before the stack"
    blur = "instead of each stride, a blur after the ReLU that follows, and on the shortcut (arXiv:1904.11486)"
    blur_branch = "as blur, but shortcuts stride, as in timm"
    none = "not at all: all stacks have the same resolution"

    @property
    def blurs(self) -> bool:
        """Whether positions are averaged with their neighbours before some are skipped."""
        return self in (Downsample.blur, Downsample.blur_branch)

    @property
    def of_branch(self) -> "Downsample":
        """What is done in the branch: `blur` for both ways to blur."""
        return Downsample.blur if self.blurs else self


class ProjectionInput(Enum):
    """Input of a projection in units that activate before their first convolution."""

    activated = "activated input, if the unit projects or begins a stack"
    raw = "always the input of the unit, not activated"


class StrideOn(Enum):
    """Which convolution of a unit is strided."""

    first = "the first one"
    spatial = "the 3x3 one"


class Init(Enum):
    """Initialisation of convolutions and linear layers."""

    fan_out = "N(0, sqrt(2 / (k k out))); linear layers U(-1/sqrt(in), 1/sqrt(in))"
    fan_in = "N(0, sqrt(2 / (k k in))), linear layers too"
    glorot = "U(-a, a) with a = sqrt(6 / (k k (in + out))), linear layers too"


class Norm(Enum):
    """What stands wherever a network has a BatchNorm."""

    batch = "BatchNorm (arXiv:1502.03167)"
    group = "GroupNorm with norm_groups groups of maps (arXiv:1803.08494)"
    layer = "LayerNorm over all maps and positions of an image: GroupNorm with one group"
    none = "nothing; all convolutions have a bias"


class Nonlinearity(Enum):
    """What stands wherever a network has a ReLU."""

    relu = "max(0, x)"
    leaky_relu = "max(0.01 x, x)"
    silu = "x sigmoid(x) (arXiv:1702.03118)"
    gelu = "x Φ(x), with the standard normal distribution Φ (arXiv:1606.08415)"
    none = "nothing: without a norm, the network is linear"


class Attention(Enum):
    """What weighs the maps of a unit."""

    none = "nothing"
    se = "squeeze-and-excitation (arXiv:1709.01507)"


class AttentionPlace(Enum):
    """Where attention acts on a unit y = S(x) + F(x) (arXiv:1709.01507, figure 5)."""

    standard = "on F(x)"
    pre = "on the input of the first convolution of F"
    post = "on y, after everything else"
    identity = "on the input of S"


class DropOver(Enum):
    """How the rate of stochastic depth grows over the units 1 to L."""

    linear = "unit l: l / L of the rate (arXiv:1603.09382)"
    linear_from_zero = "unit l: (l − 1) / (L − 1) of the rate, as in timm"
    constant = "the same rate in all units"


class DropPer(Enum):
    """What is drawn together in stochastic depth."""

    batch = "all images of a mini-batch (arXiv:1603.09382)"
    image = "each image by itself"


class DropRescale(Enum):
    """Where the expected size of a branch is restored in stochastic depth; p is the probability of being kept."""

    test = "times p in tests (arXiv:1603.09382)"
    training = "divided by p in training"


class LatentLayer(Enum):
    """The layer that fills the latent space."""

    dense = "linear layer on the mean of each map"
    flat = "linear layer on all positions of the maps"
    map = "1x1 convolution of the maps: the latent space has latent_dim numbers for each position"


class DecoderKind(Enum):
    """The stacks of a decoder."""

    mirror = "those of the encoder, in reverse order"
    plain = "a standard CNN: one 3x3 convolution, BatchNorm and ReLU for each stack, without shortcuts"


class Upsample(Enum):
    """How a decoder enlarges maps; in residual branches and on shortcuts alike."""

    nearest = "repeated pixels, then the convolution"
    bilinear = "bilinear interpolation, then the convolution"
    transposed = "transposed convolution, whose kernel is a multiple of the stride"
    pixel_shuffle = "convolution with more maps, rearranged as pixels"
