"""Settings of the training recipe."""

from dataclasses import dataclass

from resnet_lab.config.checks import require, require_bounded, require_probability, require_within
from resnet_lab.config.enums import ClassWeights, Optimizer, Schedule
from resnet_lab.config.fields import setting


def _is_sgd(optim: "OptimConfig") -> bool:
    return optim.name is Optimizer.sgd


def _is_adam(optim: "OptimConfig") -> bool:
    return optim.name in (Optimizer.adam, Optimizer.adamw)


def _has_milestones(optim: "OptimConfig") -> bool:
    return optim.schedule is Schedule.step


@dataclass(slots=True, kw_only=True)
class OptimConfig:
    """Optimiser, batch size, learning-rate schedule and regularisation."""

    name: Optimizer = Optimizer.sgd
    lr: float = 0.1
    batch_size: int = 128
    momentum: float = setting(0.9, used=_is_sgd)
    nesterov: bool = setting(False, used=_is_sgd)
    betas: list[float] = setting(factory=lambda: [0.9, 0.999], used=_is_adam)
    weight_decay: float = 1e-4
    decay_all: bool = setting(True, used=lambda optim: optim.weight_decay > 0)  # False: exclude norms and biases
    schedule: Schedule = Schedule.step
    milestones: list[float] = setting(factory=lambda: [0.5, 0.75], used=_has_milestones)  # fractions below 1, or steps
    lr_factors: list[float] = setting(factory=lambda: [0.1, 0.01], used=_has_milestones)  # relative to lr
    warmup_iterations: int = 0  # with constant warmup_lr
    warmup_lr: float = setting(0.01, used=lambda optim: optim.warmup_iterations > 0)
    label_smoothing: float = 0.0
    class_weights: ClassWeights = ClassWeights.none
    clip_norm: float = 0.0  # maximum norm of the whole gradient; 0: no clipping

    def __post_init__(self) -> None:
        require_bounded(self, "optim.")
        require_within(self, "optim", batch_size=(1, 2**20), lr=(0, 1e38), warmup_lr=(0, 1e38))
        require_within(self, "optim", weight_decay=(0, 10**6), clip_norm=(0, 10**12), warmup_iterations=(0, 10**12))
        require_probability(self, "optim", "momentum", "label_smoothing")
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"optim.betas must be two numbers in [0, 1), got {self.betas}",
        )
        require(
            len(self.milestones) == len(self.lr_factors),
            f"optim.milestones and optim.lr_factors need equal lengths, got {self.milestones} and {self.lr_factors}",
        )
        require(all(m > 0 for m in self.milestones), f"optim.milestones must be positive, got {self.milestones}")
        require_within(self, "optim", milestones=(0, 10**12), lr_factors=(0, 10**6))
        require(
            not self.nesterov or (self.name is Optimizer.sgd and self.momentum > 0),
            "optim.nesterov=true needs optim.name=sgd and optim.momentum above 0",
        )
