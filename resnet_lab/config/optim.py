"""Settings of the training recipe."""

import math
from dataclasses import dataclass

from resnet_lab.config.checks import require, require_bounded, require_probability, require_within
from resnet_lab.config.enums import ClassWeights, Decayed, Optimizer, Schedule, Warmup
from resnet_lab.config.fields import setting
from resnet_lab.config.schedule import ScheduleConfig


def _is_sgd(optim: "OptimConfig") -> bool:
    return not optim.is_adam


def _is_adam(optim: "OptimConfig") -> bool:
    return optim.is_adam


def _decays(optim: "OptimConfig") -> bool:
    return optim.weight_decay > 0


def _warms_up(optim: "OptimConfig") -> bool:
    return optim.warmup_iterations > 0


@dataclass(slots=True, kw_only=True)
class OptimConfig:
    """Optimiser, batch size, schedules of learning rate and weight decay, regularisation and averaging of weights."""

    name: Optimizer = Optimizer.sgd
    lr: float = 0.1
    batch_size: int = 128
    # The share of the training images that a mini-batch has at most, and one image at least. None: any.
    batch_share: float | None = None
    # Parts of a mini-batch, one after the other, whose gradients add up. BatchNorm sees one part at a time.
    accumulate: int = 1
    momentum: float = setting(0.9, used=lambda optim: _is_sgd(optim) and not optim.cycles_momentum)
    nesterov: bool = setting(False, used=_is_sgd)
    betas: list[float] = setting(factory=lambda: [0.9, 0.999], used=_is_adam)
    eps: float = setting(1e-8, used=_is_adam)
    weight_decay: float = 1e-4
    decayed: Decayed = setting(Decayed.all, used=_decays)
    decay_schedule: ScheduleConfig = setting(factory=lambda: ScheduleConfig(kind=Schedule.constant), used=_decays)
    schedule: ScheduleConfig = setting(factory=ScheduleConfig, used=lambda _: True)  # of the learning rate
    cycle_momentum: list[float] = setting(
        factory=lambda: [0.85, 0.95], used=lambda optim: optim.schedule.kind is Schedule.one_cycle
    )  # least and largest momentum, or first beta, of one_cycle; []: it does not change
    warmup_iterations: int = 0
    warmup: Warmup = setting(Warmup.constant, used=_warms_up)
    warmup_lr: float = setting(0.01, used=_warms_up)
    label_smoothing: float = 0.0
    class_weights: ClassWeights = ClassWeights.none
    clip_norm: float = 0.0  # maximum norm of the whole gradient; 0: no clipping
    ema: float = 0.0  # share of the averaged weights that a step keeps, such as 0.999; 0: weights are not averaged

    def batch_of(self, num_images: int) -> int:
        """Return the size of a mini-batch of a training part."""
        if self.batch_share is None:
            return self.batch_size
        return min(self.batch_size, max(1, int(self.batch_share * num_images + 1e-9)))  # 0.1 · 30 is 3

    @property
    def part_size(self) -> int:
        """The largest number of images that are in the network at a time."""
        return math.ceil(self.batch_size / self.accumulate)

    @property
    def is_adam(self) -> bool:
        return self.name in (Optimizer.adam, Optimizer.adamw)

    @property
    def is_decoupled(self) -> bool:
        """Whether decay acts on the weights themselves instead of on their gradients."""
        return self.name in (Optimizer.sgdw, Optimizer.adamw)

    @property
    def decay_changes(self) -> bool:
        return _decays(self) and self.decay_schedule.kind is not Schedule.constant

    @property
    def cycles_momentum(self) -> bool:
        return self.schedule.kind is Schedule.one_cycle and bool(self.cycle_momentum)

    def __post_init__(self) -> None:
        require_bounded(self, "optim.")
        require_within(self, "optim", batch_size=(1, 2**20), lr=(0, 1e38), warmup_lr=(0, 1e38), eps=(1e-30, 1))
        require_within(self, "optim", accumulate=(1, 2**20))
        require(
            self.accumulate == 1 or self.class_weights is ClassWeights.none,
            f"optim.accumulate={self.accumulate} needs optim.class_weights=none: a weighted loss is divided by the "
            "weights of the whole mini-batch",
        )
        require_within(self, "optim", weight_decay=(0, 10**6), clip_norm=(0, 10**12), warmup_iterations=(0, 10**12))
        require_probability(self, "optim", "momentum", "label_smoothing", "ema")
        share = self.batch_share
        require(share is None or 0 < share <= 1, f"optim.batch_share must be a share in (0, 1], or null, got {share}")
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"optim.betas must be two numbers in [0, 1), got {self.betas}",
        )
        low_high = self.cycle_momentum
        require(
            low_high == [] or (len(low_high) == 2 and 0 <= low_high[0] <= low_high[1] < 1),
            f"optim.cycle_momentum must be two ascending numbers in [0, 1), or [] for none, got {low_high}",
        )
        self.schedule.check("optim.schedule")
        self.decay_schedule.check("optim.decay_schedule")
        require(
            self.decay_schedule.kind is not Schedule.plateau,
            "optim.decay_schedule cannot be plateau; it can be any of the other schedules",
        )
        require(
            self.schedule.kind is not Schedule.one_cycle or not self.warmup_iterations,
            "optim.schedule=one_cycle begins with a rise of its own (optim.schedule.rise): "
            "set optim.warmup_iterations to 0",
        )
        require(
            not self.nesterov or (_is_sgd(self) and self.momentum > 0),
            "optim.nesterov=true needs optim.name=sgd or sgdw, and optim.momentum above 0",
        )
