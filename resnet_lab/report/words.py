"""Sentences about comparisons. They say what the interval says, and nothing about equality without a margin."""

import math
from collections.abc import Sequence

import numpy as np

from resnet_lab.report.scale import Scale
from resnet_lab.report.statistics.effects import Effect, Estimate, Interaction
from resnet_lab.report.statistics.means import TINY, Means
from resnet_lab.report.statistics.procedures import MOST_SEEDS, POWER, Difference, seeds_needed
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.report.values import text
from resnet_lab.text import first_few, plural

MOST_STEPS = 4  # of one axis
MOST_INTERACTIONS = 3
SMALL = 5  # seeds; with fewer, intervals are wider than they would have to be
STEEP = 4.0  # ratio of the variances of the groups with the largest and the smallest means, from which logarithms fit


def p_value(p: float) -> str:
    """Format a p value with two digits."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def difference(found: Difference, scale: Scale, margin: float | None = None) -> str:
    """Say what a comparison found, with its simultaneous 95 % interval."""
    low, high = lower_end(found, scale), scale.number(found.high)
    if found.group == found.other:
        return f"{found.group} has the lowest mean; it is worse than the best by at most {scale.gap(high)}"
    if not found.resolved and not math.isfinite(found.high - found.low):
        apart = scale.gap(scale.number(abs(found.mean)))
        why = "no interval, for want of spread or of shared splits"
        return f"{found.group} and {found.other}: {why}; they differ by {apart}"
    if not found.resolved:
        said = f"{found.group} against {found.other} is unresolved: {scale.gap(f'between {low} and {high}')}"
    else:
        word = "worse" if found.low > 0 else "better"
        said = f"{found.group} is {word} than {found.other} by {_amount(found, scale)}"
    return said if margin is None else f"{said}; {within(found, scale, margin)}"


def _amount(found: Difference, scale: Scale) -> str:
    """Format a resolved difference as a positive number, or as a ratio."""
    if found.low > 0 or scale.logarithmic:
        size, low, high = scale.number(found.mean), lower_end(found, scale), scale.number(found.high)
    else:
        size, low, high = (scale.number(-value) for value in (found.mean, found.high, found.low))
    return f"{scale.gap(size)} ({low} to {high}, {p_value(found.p)})"


def lower_end(found: Difference, scale: Scale) -> str:
    """Format the lower end of an interval; Holm's method can exclude 0 where the interval only touches it."""
    is_just_above = found.resolved and 0 < found.low < TINY
    return f"above {scale.none:g}" if is_just_above else scale.number(found.low)


def within(found: Difference, scale: Scale, margin: float) -> str:
    """Say whether a difference is within the margin: equivalent, not worse, worse, or not shown."""
    size = scale.gap(scale.number(margin))
    if -margin < found.low and found.high < margin:
        return f"equivalent: less than {size} apart"
    if found.high < margin:
        return f"not worse by more than {size}"
    if found.low > margin:
        return f"worse by more than {size}"
    return f"not shown to be within {size}"


def many_within(found: Sequence[Difference], scale: Scale, margin: float) -> str:
    """Say how many groups are within the margin, which, and how many are beyond it."""
    told = sorted((d for d in found if d.group != d.other), key=lambda d: d.mean)
    size = scale.gap(scale.number(margin))
    kept = [d.group for d in told if d.high < margin]
    beyond = sum(d.low > margin for d in told)
    names = f" ({first_few(kept)})" if kept else ""
    shown = f"shown to be worse by no more than {size}: {len(kept)} of {plural(len(told), 'other group')}{names}"
    return f"{shown}; by more: {beyond}; not shown to be either: {len(told) - len(kept) - beyond}"


def against_best(found: Sequence[Difference]) -> list[str]:
    """Say which groups are worse than the best, and which may be it."""
    worse = [d for d in found if d.resolved]
    others = [d.group for d in sorted(found, key=lambda d: d.mean) if not d.resolved]
    if not found:
        return []
    if len(others) == 1:
        return [f"{others[0]} is the best of {len(found)} groups (95 % confidence)"]
    are = "is" if len(worse) == 1 else "are"
    said = f"{len(worse)} of {len(found)} groups {are} worse than the best (95 % confidence)"
    return [f"{said}; not distinguished from the best: {first_few(others)}"]


def power(means: Means, scale: Scale, sizes: Sequence[float]) -> list[str]:
    """Say how many seeds would resolve differences of these sizes."""
    std = float(np.sqrt(np.average(means.variances, weights=means.freedom))) if len(means.names) > 1 else 0.0
    if std <= TINY or not sizes:
        return []
    seeds = [seeds_needed(size, std, len(means.names)) for size in sizes]
    shown = [f"{n:,}" if n <= MOST_SEEDS else "over a million" for n in seeds]
    needed = [f"{scale.gap(scale.number(size))}: {n}" for size, n in zip(sizes, shown, strict=True)]
    chance = f"with a chance of {POWER:.0%}".replace("%", " %")
    return [
        f"seeds per group to tell a group from the best {chance}, if all others are clearly worse: {', '.join(needed)}"
        + ("" if scale.logarithmic else f" (standard deviation over seeds {scale.number(std)})")
    ]


def caveats(means: Means, scale: Scale) -> list[str]:
    """Say where the intervals are wider than they would have to be, and where logarithms would fit better."""
    said = []
    if len(means.names) > 1 and means.n.min() < SMALL:
        few = plural(int(means.n.min()), "seed")
        said.append(
            f"with {few} in a group, its variance is hardly known: intervals are wide, and more cautious than 95 %"
        )
    if not scale.logarithmic and len(means.names) > 3 and (ratio := means.steepness) > STEEP:
        said.append(
            f"groups with larger means spread more (variances up to {ratio:.0f} times as large): --log compares ratios"
        )
    return said


def effect(found: Effect, scale: Scale) -> list[str]:
    """Say what an axis does, in one line, and a second one on its trend; of many steps, only the largest ones."""
    largest = sorted(found.steps, key=lambda step: -abs(step.change.mean))[:MOST_STEPS]
    shown = [step for step in found.steps if step in largest]
    steps = [f"{text(step.before)} → {text(step.after)}: {_change(step.change, scale)}" for step in shown]
    if len(found.steps) > len(shown):
        steps.append(f"{len(found.steps) - len(shown)} smaller steps in report.json")
    share = "" if found.share is None or found.share > 0.9999 else f"; η² {100 * found.share:.0f} %"
    counts = sorted({step.combinations for step in shown})
    over = " to ".join(f"{count:,}" for count in dict.fromkeys([counts[0], counts[-1]])) if counts else ""
    averaged = f" (averaged over {over} combinations of the others{share})" if counts and counts[-1] > 1 else ""
    said = [f"{found.axis}{averaged}: {'; '.join(steps)}"] if steps else []
    if found.per_halving:
        page = "" if found.trend_p is None else f"; Page's test for a trend: {p_value(found.trend_p)}"
        said.append(f"{found.axis}, each halving: {_change(found.per_halving, scale)}{page}")
    return said


def interactions(found: Sequence[Interaction]) -> list[str]:
    """Say whether the effect of one axis depends on another, the clearest first, and which could not be tested."""
    tested = sorted(((p, own) for own in found if (p := own.p) is not None), key=lambda pair: pair[0])
    said = [_interaction(own, p) for p, own in tested[:MOST_INTERACTIONS]]
    if len(tested) > MOST_INTERACTIONS:
        said.append(f"{plural(len(tested) - MOST_INTERACTIONS, 'less clear interaction')} in report.json")
    if untested := [" and ".join(own.axes) for own in found if own.p is None]:
        why = "the runs are too few, have no spread, or share too few splits"
        said.append(f"interactions that are not tested: {first_few(untested)}; {why}")
    return said


def _interaction(found: Interaction, p: float) -> str:
    one, other = found.axes
    share = "" if found.share is None else f", η² {100 * found.share:.0f} %"
    depends = "depends on" if p < LEVEL else "is not shown to depend on"
    return f"the effect of {one} {depends} {other} ({p_value(p)}{share})"


def minus(number: str) -> str:
    """Write a negative number with a minus sign, not a hyphen."""
    return number.replace("-", "−")


def _change(found: Estimate, scale: Scale) -> str:
    if not math.isfinite(found.low):
        return f"{scale.gap(_signed(found.mean, scale))}, without an interval"
    interval = f"{_signed(found.low, scale)} to {_signed(found.high, scale)}"
    return f"{scale.gap(_signed(found.mean, scale))} ({interval}{'' if found.resolved else ', unresolved'})"


def _signed(value: float, scale: Scale) -> str:
    text = scale.number(value)
    return f"+{text}" if value > 0 and not scale.logarithmic and float(text) else text
