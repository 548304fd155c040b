"""Settings of a schedule: how the learning rate, or the weight decay, changes from step to step."""

from dataclasses import dataclass

from resnet_lab.config.checks import require, require_bounded, require_within
from resnet_lab.config.enums import Schedule, Threshold
from resnet_lab.config.fields import setting


def _has_points(schedule: "ScheduleConfig") -> bool:
    return schedule.kind in (Schedule.step, Schedule.linear)


def _has_floor(schedule: "ScheduleConfig") -> bool:
    return schedule.kind in (Schedule.cosine, Schedule.plateau)


def _is_one_cycle(schedule: "ScheduleConfig") -> bool:
    return schedule.kind is Schedule.one_cycle


def _is_plateau(schedule: "ScheduleConfig") -> bool:
    return schedule.kind is Schedule.plateau


@dataclass(slots=True, kw_only=True)
class ScheduleConfig:
    """The factors by which a setting, such as `optim.lr`, is multiplied during a run.

    A milestone of up to 1 is a fraction of the run's steps (1: its end), a larger one a number of steps.
    """

    kind: Schedule = Schedule.step
    milestones: list[float] = setting(factory=lambda: [0.5, 0.75], used=_has_points)
    factors: list[float] = setting(factory=lambda: [0.1, 0.01], used=_has_points)  # at the milestones
    floor: float = setting(0.0, used=_has_floor)  # at the end of cosine; least factor of plateau
    rise: float = setting(0.3, used=_is_one_cycle)  # fraction of the run in which the factor rises to 1
    start: float = setting(0.04, used=_is_one_cycle)  # of the first step
    end: float = setting(4e-6, used=_is_one_cycle)  # of the last step
    watch: str = setting("val/loss", used=_is_plateau)  # a number of the history, lower is better
    patience: int = setting(5, used=_is_plateau)  # epochs without a lower number that are tolerated
    factor: float = setting(0.1, used=_is_plateau)  # multiplies after one more such epoch
    threshold: float = setting(1e-4, used=_is_plateau)  # what the number must fall by to count as lower
    threshold_mode: Threshold = setting(Threshold.rel, used=_is_plateau)

    def check(self, name: str) -> None:
        """Raise ConfigError if a setting is invalid; `name` is that of the schedule, such as `optim.schedule`."""
        require_bounded(self, f"{name}.")
        require(
            len(self.milestones) == len(self.factors),
            f"{name}.milestones and {name}.factors need equal lengths, got {self.milestones} and {self.factors}",
        )
        require_within(self, name, milestones=(0, 10**12), factors=(0, 10**6), patience=(0, 10**6))
        require_within(self, name, floor=(0, 1), threshold=(0, 1), start=(0, 10**6), end=(0, 10**6))
        require(0 <= self.rise < 1, f"{name}.rise must be in [0, 1), got {self.rise}")
        require(0 < self.factor < 1, f"{name}.factor must be between 0 and 1, got {self.factor}")
