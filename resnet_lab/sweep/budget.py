"""A sweep under a budget: each job gets the filters with which its network costs as much as a reference."""

import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.progress import track

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.compose import prepare, to_config
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.registry import UNITS
from resnet_lab.config.widths import per_stack
from resnet_lab.sweep.axes import CROSSED
from resnet_lab.sweep.composer import Composer, Job, changed, name_of
from resnet_lab.sweep.plan import labels
from resnet_lab.tasks.cost import totals
from resnet_lab.training.log import console, log, show_on_terminal

Cost = Callable[[Sequence[float]], float]  # of a network, by the filters of its stacks

# The largest acceptable difference from the budget, as a fraction of it. Of the filters within it, those are chosen
# that are near both to the budget and to the asked proportions: 1 % of the cost counts like 5 % of a stack's width.
FAR, WEIGHT = 0.02, 5
REACH = (2, 4)  # multiples of the step on either side of the proportions; the more only if the budget is far away
ROUNDS = 3  # of correction, for units of your own whose cost is no polynomial in the filters


@dataclass(frozen=True, slots=True)
class Match:
    """The filters for a network, its cost with them, and the budget."""

    filters: list[int]
    cost: int
    budget: int

    @property
    def override(self) -> str:
        """What a user would type for these filters."""
        return f"model.filters=[{','.join(map(str, self.filters))}]"

    @property
    def gap(self) -> float:
        """How far the cost is from the budget, as a fraction of it."""
        return self.cost / self.budget - 1

    def __str__(self) -> str:
        far = "; no filters in about the asked proportions come nearer" if abs(self.gap) > FAR else ""
        return f"{self.override}, {self.cost:,}, {100 * self.gap:+.2f} %{far}"


def matched(composer: Composer, jobs: Sequence[Job], budget: str, changes: Job) -> list[Job]:
    """Return the jobs with the filters that keep the cost `budget` ("macs", …) of the reference, and log them.

    The reference is the first job with `changes`. A job whose settings are invalid is returned as it is: the plan says
    why. Raises ConfigError if the reference is invalid, or if jobs differ in their filters.
    """
    show_on_terminal()
    if len({tuple(item for item in job if name_of(item) in ("filters", "model.filters")) for job in jobs}) > 1:
        raise ConfigError(
            f"hydra.sweeper.budget={budget} chooses model.filters for each job: do not sweep filters, too"
        )
    try:
        target = totals(to_config(composer(changed(jobs[0], prepare(changes)))))[budget]
    except ConfigError as error:
        raise ConfigError(f"hydra.sweeper.budget={budget}, the job to compare with: {error}") from error
    found: dict[str, Match] = {}
    first: dict[str, Job] = {}  # of the jobs with the same network
    keys = []
    for job in track(jobs, "matching", console=console, transient=True, disable=not console.is_terminal):
        composed = composer(job)
        data = OmegaConf.masked_copy(composed.data, [name for name in composed.data if f"data.{name}" not in CROSSED])
        keys.append(key := f"{composed.task} {composed.model} {data}")
        if key not in found and (match := _match(composed, budget, target)):
            found[key], first[key] = match, job
    same = set.intersection(*map(set, first.values()))
    names = labels([[override for override in job if override not in same] for job in first.values()], composer.fixed)
    log.info("budget: %s %s, those of %s", f"{target:,}", budget, " ".join(changes) or names[0])
    for name, match in zip(names, found.values(), strict=True):
        log.info("  %s: %s", name, match)
    return [changed(job, [found[key].override]) if key in found else job for key, job in zip(keys, jobs, strict=True)]


def _match(composed: DictConfig, budget: str, target: int) -> Match | None:
    """Find the filters for a composed job; None if its settings are invalid whatever its filters.

    Raises ConfigError if they are valid, but no filters are found.
    """
    asked = composed.copy()
    try:
        return _search(composed, budget, target)
    except ConfigError as refused:
        try:
            to_config(asked)
        except ConfigError:
            return None
        raise ConfigError(f"hydra.sweeper.budget={budget} finds no filters for a job: {refused}") from refused


def _search(composed: DictConfig, budget: str, target: int) -> Match:
    """Find the filters for a composed job, whose own are changed. Raises ConfigError if a setting is invalid."""
    filters, reductions = (_listed(composed.model[name]) for name in ("filters", "reduction"))
    num_stacks = composed.model.num_stacks
    for numbers in (filters, reductions):
        whole = all(type(number) is int and number > 0 for number in numbers)
        require(whole and num_stacks >= 1 and len(numbers) in (1, num_stacks), "the stacks are invalid")
    reductions = reductions * (num_stacks // len(reductions))
    composed.model.filters = _increasing(composed.model.stem.filters, reductions)  # valid: those asked for need not be
    config = to_config(composed)
    asked = per_stack(filters, num_stacks, config.model.bridges.growth)
    groups = math.lcm(*(conv.groups for conv in getattr(UNITS.load(config.model.unit), "convs", ())))
    steps = [groups * reduction for reduction in reductions]

    def cost(widths: Sequence[float]) -> int:
        return totals(replace(config, model=replace(config.model, filters=[*widths])))[budget]

    with suppress(ConfigError):
        if cost(asked) == target:
            return Match(asked, target, target)
    estimate = _polynomial(cost, _increasing(config.model.stem.filters, steps), steps)
    matches: list[Match] = []
    goal = float(target)
    for _ in range(ROUNDS):
        chosen = _choose(estimate, goal, config.model, asked, steps)
        matches.append(Match(chosen, cost(chosen), target))
        if matches[-1].cost == estimate(chosen):
            break
        goal *= estimate(chosen) / matches[-1].cost
    return min(matches, key=lambda match: abs(match.gap))


def _increasing(stem: int, steps: Sequence[int]) -> list[int]:
    """Return multiples of the steps that increase from the stem on by more than two steps."""
    filters = [steps[0] * (stem // steps[0] + 1)]
    for last, step in pairwise(steps):
        filters.append(step * ((filters[-1] + 2 * last) // step + 1))
    return filters


def _polynomial(cost: Cost, start: Sequence[int], steps: Sequence[int]) -> Cost:
    """Return the polynomial that equals the cost of networks of convolutions, BatchNorm and linear layers.

    Each layer's cost is linear in its input and in its output maps, and no layer spans more than two neighbouring
    stacks. So Newton's forward differences of second order at `start` are enough: three networks more for each stack.
    Where filters do not increase, a projection on a shortcut can be missing, and the true cost is a little lower.
    """

    def at(*stacks: int) -> float:
        return cost([begin + step * stacks.count(s) for s, (begin, step) in enumerate(zip(start, steps, strict=True))])

    stacks = range(len(steps))
    base, once = at(), [at(s) for s in stacks]
    slopes = [value - base for value in once]
    curves = [at(s, s) - 2 * once[s] + base for s in stacks]
    mixed = [at(s, s + 1) - once[s] - once[s + 1] + base for s in stacks[:-1]]

    def estimate(filters: Sequence[float]) -> float:
        n = [(width - begin) / step for width, begin, step in zip(filters, start, steps, strict=True)]
        value = base + sum(n[s] * slopes[s] + n[s] * (n[s] - 1) / 2 * curves[s] for s in stacks)
        return value + sum(n[s] * n[s + 1] * both for s, both in enumerate(mixed))

    return estimate


def _choose(cost: Cost, goal: float, model: ModelConfig, asked: Sequence[int], steps: Sequence[int]) -> list[int]:
    """Return multiples of the steps: near the budget and the asked proportions. Raises ConfigError."""
    low, high = 0.0, 1.0
    while cost([high * width for width in asked]) < goal and high < 2**16:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if cost([middle * width for width in asked]) < goal else (low, middle)
    ideal = [high * width for width in asked]
    wider = [max(width, model.stem.filters) for width in ideal]  # which zero padding needs

    def rank(filters: Sequence[int]) -> tuple[bool, float]:
        gap = abs(cost(filters) / goal - 1)
        distortion = max(abs(width / wanted - 1) for width, wanted in zip(filters, ideal, strict=True))
        return gap > FAR, gap if gap > FAR else WEIGHT * gap + distortion

    for reach in REACH:
        near = [[_multiples(width, step, reach) for width, step in zip(x, steps, strict=True)] for x in (ideal, wider)]
        ranked = sorted({*itertools.product(*near[0]), *itertools.product(*near[1])}, key=lambda x: (rank(x), x))
        if not rank(ranked[0])[0]:
            break
    refused = ConfigError("")
    for filters in ranked:
        try:
            return replace(model, filters=list(filters)).stack_filters
        except ConfigError as error:  # filters that decrease, with zero padding; or too many
            refused = error
    raise refused


def _multiples(value: float, step: int, reach: int) -> list[int]:
    """Return the multiples of `step` that are nearest to `value`: at most `reach` below and as many above it."""
    below = math.floor(value / step)
    return [step * number for number in range(max(1, below - reach + 1), max(1, below + reach + 1))] or [step]


def _listed(value: Any) -> list[Any]:
    return [*value] if isinstance(value, ListConfig) else [value]
