"""Every setting of the lab as a typed, checked dataclass; imports nothing heavy.

A `Config` is made in one way only: Hydra composes the YAML files in `conf/` with the overrides of the command
line, and `to_config` turns the result into plain, checked dataclasses. Whatever is wrong is a `ConfigError` with one
message for a person, raised before anything is downloaded, created or trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from resnet_lab.choices import (
    Accelerator,
    Activation,
    Compile,
    DataName,
    Diagnostics,
    Downsample,
    Init,
    Optimizer,
    ProjectionInput,
    Resize,
    Schedule,
    Shortcut,
    StrideOn,
    Unit,
)

MAX_STACKS = 5

# What a search may minimise, as result.json has it.
OBJECTIVES = ("val_error", "macs", "params", "activations", "seconds", "peak_memory")


class ConfigError(ValueError):
    """A setting is wrong. The message names it, says what is wrong and what would be right."""


# Lightning's names for them, and the short forms that it understands too.
PRECISIONS = {
    "auto": "auto",
    "32": "32-true",
    "32-true": "32-true",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
    "64": "64-true",
    "64-true": "64-true",
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _require_at_least(minimum: float, **settings: float | None) -> None:
    """Each keyword is a setting, with `__` for the dot; None and NaN-free values pass."""
    for name, value in settings.items():
        name = name.replace("__", ".")
        _require(
            value is None or (math.isfinite(value) and value >= minimum),
            f"{name} must be at least {minimum}, got {value}",
        )


def _require_probability(**settings: float) -> None:
    for name, value in settings.items():
        _require(0 <= value < 1, f"{name.replace('__', '.')} must be in [0, 1), got {value}")


def _require_counts(name: str, values: list[int], lengths: str, allowed: set[int]) -> None:
    _require(len(values) in allowed, f"{name} must have {lengths}, got {len(values)}: {values}")
    whole = all(isinstance(value, int) and value >= 1 for value in values)
    _require(whole, f"{name} must be positive whole numbers, got {values}")


@dataclass(slots=True, kw_only=True)
class StemConfig:
    """What stands before the first stack: convolution, BatchNorm, ReLU, and what halves the resolution if asked for."""

    kernel: int = 3
    stride: int = 1
    filters: int = 16
    double: bool = False  # a second convolution, 3x3 with stride 2, BatchNorm, ReLU
    pool: bool = False  # 3x3 max-pooling with stride 2, as for ImageNet

    def __post_init__(self) -> None:
        _require_at_least(1, model__stem__kernel=self.kernel, model__stem__stride=self.stride)
        _require_at_least(1, model__stem__filters=self.filters)
        _require(self.kernel % 2 == 1, f"model.stem.kernel must be odd, so that padding is even, got {self.kernel}")

    @property
    def strides(self) -> list[int]:
        """Every factor by which the stem reduces the map size, in order."""
        return [self.stride, 2 if self.double else 1, 2 if self.pool else 1]


@dataclass(slots=True, kw_only=True)
class HeadConfig:
    """What stands after the pooling: hidden layers with ReLU, a linear layer to a latent space, the classifier."""

    hidden: list[int] = field(default_factory=list)
    latent_dim: int | None = None  # None: no such layer
    classifier: bool = True  # False: the network is an encoder

    def __post_init__(self) -> None:
        _require(all(n >= 1 for n in self.hidden), f"model.head.hidden must be positive widths, got {self.hidden}")
        _require_at_least(1, model__head__latent_dim=self.latent_dim)


@dataclass(slots=True, kw_only=True)
class LineageConfig:
    """Details in which published implementations of the same network differ."""

    conv_bias: bool = False  # of every convolution; always there where BatchNorm is not
    projection_input: ProjectionInput = ProjectionInput.activated
    stride_on: StrideOn = StrideOn.first
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1  # share of the new batch in the running statistics
    init: Init = Init.fan_out

    def __post_init__(self) -> None:
        _require_at_least(0, model__lineage__norm_eps=self.norm_eps)
        _require(
            0 < self.norm_momentum <= 1, f"model.lineage.norm_momentum must be in (0, 1], got {self.norm_momentum}"
        )


@dataclass(slots=True, kw_only=True)
class ModelConfig:
    """The architecture: everything that `ResNetV2` needs to know.

    `units` and `reduction` have one entry per stack, or one that serves all; `filters` has one entry per stack, or
    one that doubles from stack to stack. `reduction` is filters / bottleneck maps (1: no bottleneck).
    """

    in_channels: int
    num_classes: int
    num_stacks: int = 3
    units: list[int] = field(default_factory=lambda: [2])
    filters: list[int] = field(default_factory=lambda: [64])
    reduction: list[int] = field(default_factory=lambda: [4])
    unit: Unit = Unit.bottleneck
    activation: Activation = Activation.full_preactivation
    batch_norm: bool = True  # False: none anywhere, and convolutions with bias
    shortcut: Shortcut = Shortcut.projection
    resize: Resize = Resize.projection
    shortcut_scale: float = 0.5  # of constant_scaling
    residual_scale: float = 0.5
    gate_bias: float = -6.0  # initial bias of the gates
    shortcut_dropout: float = 0.5  # share of the shortcut that dropout sets to 0
    stack_shortcut: bool = False  # bridge every stack with a 1x1 convolution too
    downsample: Downsample = Downsample.stride
    stem: StemConfig = field(default_factory=StemConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    lineage: LineageConfig = field(default_factory=LineageConfig)

    def __post_init__(self) -> None:
        _require(1 <= self.in_channels <= 4, f"data.channels must be 1 to 4, got {self.in_channels}")
        _require_at_least(1, data__num_classes=self.num_classes)
        _require(
            1 <= self.num_stacks <= MAX_STACKS, f"model.num_stacks must be 1 to {MAX_STACKS}, got {self.num_stacks}"
        )
        for name in ("units", "filters", "reduction"):
            lengths = f"one entry or one for each of the {self.num_stacks} stacks"
            _require_counts(f"model.{name}", getattr(self, name), lengths, {1, self.num_stacks})
        for filters, reduction in zip(self.stack_filters, self.stack_reductions, strict=True):
            _require(
                filters % reduction == 0, f"model.filters {filters} is not divisible by model.reduction {reduction}"
            )
        if self.unit is not Unit.bottleneck:
            _require(
                set(self.reduction) == {1},
                f"unit={self.unit.name} has no bottleneck: add bottleneck=none (model.reduction is {self.reduction})",
            )
        if self.unit is Unit.conv:
            _require(
                self.shortcut is Shortcut.none,
                f"unit=conv is the CNN without shortcuts: add shortcut=none (it is {self.shortcut.name})",
            )
        for name in ("shortcut_scale", "residual_scale", "gate_bias"):
            _require(math.isfinite(getattr(self, name)), f"model.{name} must be finite, got {getattr(self, name)}")
        _require_probability(model__shortcut_dropout=self.shortcut_dropout)
        resizes = self.shortcut not in (Shortcut.projection, Shortcut.conv, Shortcut.none)
        if self.shortcut is Shortcut.zero_pad or (resizes and self.resize is Resize.zero_pad):
            widths = [self.stem.filters, *self.stack_filters]
            _require(
                all(a <= b for a, b in pairwise(widths)),
                f"zero_pad can only add maps, but stem and stacks have {widths}: use projection for shortcut or resize",
            )

    @property
    def strides(self) -> list[int]:
        """Every factor by which stem and stacks reduce the map size, in order."""
        return [*self.stem.strides, *[2] * (self.num_stacks - 1)]

    @property
    def stack_units(self) -> list[int]:
        """Units of every stack."""
        return self.units if len(self.units) > 1 else self.units * self.num_stacks

    @property
    def stack_filters(self) -> list[int]:
        """Filters of every stack."""
        return self.filters if len(self.filters) > 1 else [self.filters[0] << s for s in range(self.num_stacks)]

    @property
    def stack_reductions(self) -> list[int]:
        """Reduction of every stack."""
        return self.reduction if len(self.reduction) > 1 else self.reduction * self.num_stacks


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Which images, how they are split and how they are augmented."""

    name: DataName
    channels: int  # 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
    image_size: Any  # pixels: one number for squares, or [height, width]; other sizes are resized to it
    num_classes: int | None  # None: the class folders are counted
    root: str = "data"  # where files are looked for, and downloaded to
    validation: float = 0.1  # held out of the training part: a share below 1, or a number of images
    split_seed: int = 0  # which images are held out; does not follow `seed` unless set to ${seed}
    pad: int = 4  # zero pixels around an image before a random crop of its own size; 0: no crop
    flip: bool = True  # mirror left and right with probability 1/2
    mean: list[float] | None = None  # per channel, of pixels in 0…1; None: measured on the training part
    std: list[float] | None = None
    num_images: int = 1024  # training images that `fake` makes; a quarter as many for the test

    def __post_init__(self) -> None:
        size = self.image_size
        sizes = size if isinstance(size, list) else [size]
        _require(
            1 <= len(sizes) <= 2 and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in sizes),
            f"data.image_size must be a positive number of pixels or [height,width], got {size}",
        )
        _require_at_least(0, data__validation=self.validation, data__pad=self.pad, data__split_seed=self.split_seed)
        _require(
            self.validation < 1 or self.validation == int(self.validation),
            f"data.validation must be a share below 1 or a whole number of images, got {self.validation}",
        )
        _require_at_least(1, data__num_images=self.num_images)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None:
                _require(
                    len(values) == self.channels and all(math.isfinite(v) for v in values),
                    f"data.{name} must have one number for each of the {self.channels} channels, got {values}",
                )
        _require(self.std is None or all(s > 0 for s in self.std), f"data.std must be positive, got {self.std}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the images as the network sees them."""
        height, width = self.image_size if isinstance(self.image_size, list) else (self.image_size, self.image_size)
        return self.channels, height, width


@dataclass(slots=True, kw_only=True)
class OptimConfig:
    """The recipe: optimiser, batch, learning rate and its schedule."""

    name: Optimizer = Optimizer.sgd
    lr: float = 0.1
    batch_size: int = 128
    momentum: float = 0.9
    nesterov: bool = False
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])  # of Adam and AdamW
    weight_decay: float = 1e-4
    decay_all: bool = True  # False spares BatchNorm's parameters and all biases
    schedule: Schedule = Schedule.step
    milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])  # below 1 shares of the run, else iterations
    lr_factors: list[float] = field(default_factory=lambda: [0.1, 0.01])  # of lr, from each milestone on
    warmup_iterations: int = 0  # at the constant warmup_lr
    warmup_lr: float = 0.01
    label_smoothing: float = 0.0
    clip_norm: float = 0.0  # largest norm of the whole gradient; 0: no clipping

    def __post_init__(self) -> None:
        _require_at_least(1, optim__batch_size=self.batch_size)
        _require(self.batch_size < 2**31, f"optim.batch_size must be below 2^31, got {self.batch_size}")
        _require_at_least(
            0,
            optim__lr=self.lr,
            optim__warmup_lr=self.warmup_lr,
            optim__weight_decay=self.weight_decay,
            optim__clip_norm=self.clip_norm,
            optim__warmup_iterations=self.warmup_iterations,
        )
        _require_probability(optim__momentum=self.momentum, optim__label_smoothing=self.label_smoothing)
        _require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"optim.betas must be two numbers in [0, 1), got {self.betas}",
        )
        _require(
            len(self.milestones) == len(self.lr_factors),
            f"optim.milestones and optim.lr_factors must be equally long, got {self.milestones} and {self.lr_factors}",
        )
        _require(
            all(math.isfinite(m) and m > 0 for m in self.milestones),
            f"optim.milestones must be positive, got {self.milestones}",
        )
        _require(
            all(math.isfinite(f) and f >= 0 for f in self.lr_factors),
            f"optim.lr_factors must not be negative, got {self.lr_factors}",
        )
        _require(
            not self.nesterov or (self.name is Optimizer.sgd and self.momentum > 0),
            "optim.nesterov=true needs optim.name=sgd and optim.momentum above 0",
        )


@dataclass(slots=True, kw_only=True)
class TrainerConfig:
    """How long, where and in which precision to train."""

    max_epochs: int
    accelerator: Accelerator = Accelerator.auto
    precision: str = "auto"  # auto: bf16-mixed on a GPU that has it, else 32-true
    graphs: bool | None = None  # replay steps as CUDA graphs; None: on a GPU
    compile: Compile = Compile.off
    channels_last: bool = True
    steps_per_call: int | None = None  # mini-batches per Lightning step; None: enough for 0.1 s
    max_batches: int | None = None  # per epoch; None: all
    eval_batch_size: int = 1000
    num_threads: int | None = None  # on the CPU; None: one for small networks, otherwise all cores

    def __post_init__(self) -> None:
        _require_at_least(1, trainer__max_epochs=self.max_epochs, trainer__steps_per_call=self.steps_per_call)
        _require_at_least(1, trainer__max_batches=self.max_batches, trainer__eval_batch_size=self.eval_batch_size)
        _require_at_least(1, trainer__num_threads=self.num_threads)
        _require(
            self.precision in PRECISIONS,
            f"trainer.precision must be one of {', '.join(PRECISIONS)}, got {self.precision}",
        )
        self.precision = PRECISIONS[self.precision]


@dataclass(slots=True, kw_only=True)
class Config:
    """One run, from its architecture to where its results are written."""

    name: str = ""  # of the folder below output_dir; empty: that of the data set
    model: ModelConfig
    data: DataConfig
    optim: OptimConfig
    trainer: TrainerConfig
    seed: int = 0
    deterministic: bool = False  # bit-identical repetition on the CPU, with the same number of threads
    diagnostics: Diagnostics = Diagnostics.light  # what TensorBoard shows of the inside; changes no number of the run
    dry_run: bool = False  # say what would be done, and do nothing
    objective: list[str] = field(default_factory=list)  # what a search minimises; empty: val_error, if there is one
    output_dir: str = "outputs"

    def __post_init__(self) -> None:
        self.name = self.name or self.data.name.name
        _require(
            0 < len(self.name) <= 100 and self.name not in (".", "..") and "/" not in self.name,
            f"name must be a folder name of at most 100 characters, got {self.name!r}",
        )
        _require(0 <= self.seed < 2**32, f"seed must be 0 to {2**32 - 1}, got {self.seed}")
        _require(
            (self.model.in_channels, self.model.num_classes) == (self.data.channels, self.data.num_classes),
            "model.in_channels and model.num_classes follow data.channels and data.num_classes: set those instead",
        )
        unknown = [name for name in self.objective if name not in OBJECTIVES]
        _require(not unknown, f"objective can be {', '.join(OBJECTIVES)}, got {', '.join(unknown)}")
        _require(
            "val_error" not in self.objective or self.data.validation > 0,
            "objective=[val_error] needs a validation part, but data.validation is 0",
        )
        self._check_map_sizes()

    def _check_map_sizes(self) -> None:
        """Every reduction of the resolution needs a map of at least 2 pixels to begin with."""
        _, height, width = self.data.image_shape
        size = min(height, width)
        for stride in self.model.strides:
            _require(
                stride == 1 or size >= stride,
                f"data.image_size {self.data.image_size} is too small for the stem and {self.model.num_stacks} stacks: "
                "a map of 1 pixel would be reduced further; use larger images or fewer stacks",
            )
            size = math.ceil(size / stride)


def count_classes(root: Path) -> int:
    """Number of class folders in `root/train`, for `data=image_folder`. Raises ConfigError when there are none."""
    train = root / "train"
    _require(train.is_dir(), f"data.root={root}: there is no folder {train}; expected {train}/<class>/<images>")
    count = sum(1 for entry in train.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    _require(count > 0, f"data.root={root}: {train} has no class folders; expected {train}/<class>/<images>")
    return count
