"""What changes from step to step: learning rate, momentum and weight decay, as an `OptimConfig` describes them.

Nothing here has a state: the step, or for `plateau` the history, determines everything, so resuming is exact.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, assert_never

from resnet_lab.config.enums import Schedule, Threshold, Warmup
from resnet_lab.config.optim import OptimConfig
from resnet_lab.config.schedule import ScheduleConfig
from resnet_lab.training.history import Record


class Rates(NamedTuple):
    """The numbers of one step; `momentum` is the first beta of Adam."""

    lr: float
    momentum: float
    decay: float


def rates(optim: OptimConfig, step: int, total_steps: int, history: Sequence[Record] = ()) -> Rates:
    """Return the rates of iteration `step` (from 0) of `total_steps`, after the epochs in `history`."""
    decay = optim.weight_decay
    if optim.decay_changes:
        decay *= factor(optim.decay_schedule, step, total_steps)
    return Rates(learning_rate(optim, step, total_steps, history), _momentum(optim, step, total_steps), decay)


def learning_rate(optim: OptimConfig, step: int, total_steps: int, history: Sequence[Record] = ()) -> float:
    """Return the learning rate of iteration `step` (from 0) of `total_steps`.

    The warm-up comes first, at a constant rate as in arXiv:1512.03385, section 4.2, or linearly up to lr. `cosine`
    begins after it, other schedules count all steps.
    """
    warmup = optim.warmup_iterations
    if step < warmup:
        rise = step / warmup if optim.warmup is Warmup.linear else 0.0
        return optim.warmup_lr + (optim.lr - optim.warmup_lr) * rise
    schedule = optim.schedule
    if schedule.kind is Schedule.cosine:
        return optim.lr * factor(schedule, step - warmup, total_steps - warmup)
    if schedule.kind is Schedule.plateau:
        values = [record[schedule.watch] for record in history]
        return optim.lr * plateau([value for value in values if value is not None], schedule)
    return optim.lr * factor(schedule, step, total_steps)


def factor(schedule: ScheduleConfig, step: int, total_steps: int) -> float:
    """Return the factor of a schedule other than `plateau` at iteration `step` (from 0) of `total_steps`."""
    match schedule.kind:
        case Schedule.step:
            passed = [factor for begin, factor in _points(schedule, total_steps) if step >= begin]
            return passed[-1] if passed else 1.0
        case Schedule.linear:
            points = [(0.0, 1.0), *_points(schedule, total_steps)]
            for (begin, before), (end, after) in pairwise(points):
                if step < end:
                    return before + (after - before) * (step - begin) / (end - begin)
            return points[-1][1]
        case Schedule.cosine:  # arXiv:1608.03983, without restarts
            return _cosine(1.0, schedule.floor, step / max(1, total_steps))
        case Schedule.one_cycle:
            return _cycle(schedule, schedule.start, 1.0, schedule.end, step, total_steps)
        case Schedule.constant:
            return 1.0
        case Schedule.plateau:
            raise ValueError("a plateau has no factor without a history")
        case _:
            assert_never(schedule.kind)


def plateau(values: Sequence[float], schedule: ScheduleConfig) -> float:
    """Return the factor after epochs with these values, which torch's ReduceLROnPlateau would have reached."""
    share, amount = (schedule.threshold, 0.0) if schedule.threshold_mode is Threshold.rel else (0.0, schedule.threshold)
    factor, best, waited = 1.0, math.inf, 0
    for value in values:
        if value < best * (1 - share) - amount:
            best, waited = value, 0
        else:
            waited += 1
        if waited > schedule.patience:
            factor, waited = max(factor * schedule.factor, schedule.floor), 0
    return factor


def _momentum(optim: OptimConfig, step: int, total_steps: int) -> float:
    """Return momentum or first beta: in one cycle, as low as the learning rate is high."""
    if optim.cycles_momentum:
        low, high = optim.cycle_momentum
        return _cycle(optim.schedule, high, low, high, step, total_steps)
    return optim.betas[0] if optim.is_adam else optim.momentum


def _points(schedule: ScheduleConfig, total_steps: int) -> list[tuple[float, float]]:
    """Return (step, factor) at each milestone, in order. Rounded, since 0.7 * 10 is a little more than 7."""
    steps = [round(m * total_steps, 6) if m <= 1 else m for m in schedule.milestones]
    return sorted(zip(steps, schedule.factors, strict=True), key=lambda point: point[0])


def _cycle(schedule: ScheduleConfig, start: float, middle: float, end: float, step: int, total_steps: int) -> float:
    """Return a value of a cycle with the two phases of torch's OneCycleLR."""
    peak, last = schedule.rise * total_steps - 1, total_steps - 1
    if peak > 0 and step <= peak:
        return _cosine(start, middle, step / peak)
    return _cosine(middle, end, (step - peak) / (last - peak))


def _cosine(start: float, end: float, progress: float) -> float:
    """Return the value of half a cosine from start to end, whose progress is 0 to 1."""
    return end + (start - end) * (0.5 * (1 + math.cos(math.pi * progress)))
