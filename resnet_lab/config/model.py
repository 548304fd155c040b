"""Settings of the architecture: stem, stacks of units, head."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from resnet_lab.config.checks import require, require_bounded, require_probability, require_within
from resnet_lab.config.enums import Activation, Downsample, Init, ProjectionInput, Resize, StrideOn
from resnet_lab.config.fields import setting
from resnet_lab.config.registry import SHORTCUTS, UNITS

MAX_STACKS = 5


def per_stack(filters: list[int], num_stacks: int) -> list[int]:
    """Return the filters of each stack; a single number doubles from stack to stack."""
    return [*filters] if len(filters) > 1 else [filters[0] << s for s in range(num_stacks)]


def _read_by_shortcut(name: str) -> Callable[["ModelConfig"], bool]:
    return lambda model: name in SHORTCUTS.info(model.shortcut).reads


def _projects(model: "ModelConfig") -> bool:
    """Return whether a shortcut is a convolution where the shape changes."""
    shortcut = SHORTCUTS.info(model.shortcut)
    pads = shortcut.pads or ("resize" in shortcut.reads and model.resize is Resize.zero_pad)
    return shortcut.crosses and not pads


def _normalises(model: "ModelConfig") -> bool:
    return model.batch_norm


def _projects_from_activated_input(model: "ModelConfig") -> bool:
    """Return whether `projection_input` matters: units have a shortcut, and activate before their first convolution."""
    return model.activation.preactivates and SHORTCUTS.info(model.shortcut).crosses


def _moves_stride(model: "ModelConfig") -> bool:
    strided = model.num_stacks > 1 and model.downsample is Downsample.stride
    return strided and UNITS.info(model.unit).stride_can_move


@dataclass(slots=True, kw_only=True)
class StemConfig:
    """Layers before the first stack: convolution, BatchNorm, ReLU, and optional downsampling."""

    kernel: int = 3
    stride: int = 1
    filters: int = 16
    double: bool = False  # add a 3x3 convolution with stride 2, BatchNorm, ReLU
    pool: bool = False  # add 3x3 max-pooling with stride 2, as for ImageNet

    def __post_init__(self) -> None:
        require_within(self, "model.stem", kernel=(1, 255), stride=(1, 64), filters=(1, 65536))
        require(self.kernel % 2 == 1, f"model.stem.kernel must be odd, for symmetric padding, got {self.kernel}")

    @property
    def strides(self) -> list[int]:
        """Factors by which the stem reduces the map size, in order."""
        return [self.stride, 2 if self.double else 1, 2 if self.pool else 1]


@dataclass(slots=True, kw_only=True)
class HeadConfig:
    """Layers after the pooling: hidden layers with ReLU, a linear latent layer, the output layer."""

    hidden: list[int] = field(default_factory=list)
    latent_dim: int | None = None  # None: no latent layer

    def __post_init__(self) -> None:
        require_bounded(self, "model.head.")
        require_within(self, "model.head", hidden=(1, 10**6), latent_dim=(1, 10**6))


@dataclass(slots=True, kw_only=True)
class LineageConfig:
    """Details that differ between published implementations of the same network."""

    conv_bias: bool = setting(False, used=_normalises)  # of every convolution; always on without BatchNorm
    projection_input: ProjectionInput = setting(ProjectionInput.activated, used=_projects_from_activated_input)
    stride_on: StrideOn = setting(StrideOn.first, used=_moves_stride)
    norm_eps: float = setting(1e-5, used=_normalises)
    norm_momentum: float = setting(0.1, used=_normalises)  # weight of the new batch in the running statistics
    init: Init = Init.fan_out

    def __post_init__(self) -> None:
        require_within(self, "model.lineage", norm_eps=(1e-12, 1))
        require(0 < self.norm_momentum <= 1, f"model.lineage.norm_momentum must be in (0, 1], got {self.norm_momentum}")


@dataclass(slots=True, kw_only=True)
class ModelConfig:
    """The architecture: everything that `ResNetV2` needs.

    `units` and `reduction` have one entry per stack, or one for all stacks; `filters` has one entry per stack, or one
    that doubles from stack to stack. A plain number is a list of one. `reduction` is filters / bottleneck maps (1: no
    bottleneck). `num_classes` is the number of outputs.
    """

    in_channels: int
    num_classes: int
    num_stacks: int = 3
    units: Any = setting(factory=lambda: [2], canonical=lambda model: model.stack_units)
    filters: Any = setting(factory=lambda: [64], canonical=lambda model: model.stack_filters)
    reduction: Any = setting(factory=lambda: [4], canonical=lambda model: model.stack_reductions)
    unit: str = "bottleneck"
    activation: Activation = Activation.full_preactivation
    batch_norm: bool = True  # False: no BatchNorm, and all convolutions have a bias
    shortcut: str = "projection"
    resize: Resize = setting(Resize.projection, used=_read_by_shortcut("resize"))
    projection_kernel: int = setting(1, used=_projects)  # of the convolutions on shortcuts
    shortcut_scale: float = setting(0.5, used=_read_by_shortcut("shortcut_scale"))
    residual_scale: float = setting(0.5, used=_read_by_shortcut("residual_scale"))
    gate_bias: float = setting(-6.0, used=_read_by_shortcut("gate_bias"))  # initial bias of the gates
    shortcut_dropout: float = setting(0.5, used=_read_by_shortcut("shortcut_dropout"))  # dropout probability
    stack_shortcut: bool = False  # also bridge every stack with a 1x1 convolution
    downsample: Downsample = setting(Downsample.stride, used=lambda model: model.num_stacks > 1)
    stem: StemConfig = field(default_factory=StemConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    lineage: LineageConfig = field(default_factory=LineageConfig)

    def __post_init__(self) -> None:
        require_bounded(self, "model.")
        require(1 <= self.in_channels <= 4, f"data.channels must be 1 to 4, got {self.in_channels}")
        require_within(self, "data", num_classes=(1, 10**6))
        require(
            1 <= self.num_stacks <= MAX_STACKS, f"model.num_stacks must be 1 to {MAX_STACKS}, got {self.num_stacks}"
        )
        for name in ("units", "filters", "reduction"):
            value = getattr(self, name)
            counts = value if isinstance(value, list) else [value]
            setattr(self, name, counts)
            lengths = f"one entry or one for each of the {self.num_stacks} stacks, got {len(counts)}: {counts}"
            require(len(counts) in (1, self.num_stacks), f"model.{name} must have {lengths}")
            whole = all(type(count) is int and count >= 1 for count in counts)
            require(whole, f"model.{name} must be positive whole numbers, got {counts}")
        require_within(self, "model", units=(1, 1000), filters=(1, 65536), reduction=(1, 65536))
        for filters, reduction in zip(self.stack_filters, self.stack_reductions, strict=True):
            require(
                filters % reduction == 0, f"model.filters {filters} is not divisible by model.reduction {reduction}"
            )
        self._check_unit()
        require_within(self, "model", projection_kernel=(1, 255))
        kernel = self.projection_kernel
        require(kernel % 2 == 1, f"model.projection_kernel must be odd, for symmetric padding, got {kernel}")
        scale = (-(10**6), 10**6)
        require_within(self, "model", shortcut_scale=scale, residual_scale=scale, gate_bias=scale)
        require_probability(self, "model", "shortcut_dropout")

    def _check_unit(self) -> None:
        unit, shortcut = UNITS.info(self.unit), SHORTCUTS.info(self.shortcut)
        require(
            unit.bottleneck or set(self.reduction) == {1},
            f"unit={self.unit} has no bottleneck: add bottleneck=none (model.reduction is {self.reduction})",
        )
        require(
            unit.bridged or not shortcut.crosses,
            f"unit={self.unit} has no shortcuts: add shortcut=none (model.shortcut is {self.shortcut})",
        )
        if shortcut.crosses and not _projects(self):
            widths = [self.stem.filters, *self.stack_filters]
            require(
                all(a <= b for a, b in pairwise(widths)),
                f"zero_pad can only add maps, but the filters of stem and stacks, {widths}, decrease somewhere: "
                "use projection for shortcut or resize",
            )

    @property
    def strides(self) -> list[int]:
        """Factors by which stem and stacks reduce the map size, in order."""
        return [*self.stem.strides, *[2] * (self.num_stacks - 1)]

    @property
    def stack_units(self) -> list[int]:
        return [*self.units] if len(self.units) > 1 else [*self.units] * self.num_stacks

    @property
    def stack_filters(self) -> list[int]:
        return per_stack(self.filters, self.num_stacks)

    @property
    def stack_reductions(self) -> list[int]:
        return [*self.reduction] if len(self.reduction) > 1 else [*self.reduction] * self.num_stacks
