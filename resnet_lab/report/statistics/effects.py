"""What each axis does, averaged over the others: steps between its values, trends, interactions, shares of variation.

All are weighted sums of the means of groups, with the groups' own variances (`means`). Where some combinations of
values were not trained, a step is averaged over those combinations of the other axes that have both values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from scipy.special import fdtrc, stdtr, stdtrit
from scipy.stats import page_trend_test

from resnet_lab.report.statistics.means import TINY, Means
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.report.values import Fields, is_number, label, levels

Array = np.ndarray

LARGEST = 4.0  # of Johansen's A; beyond, one of nine tests of nothing rejects at 5 % (5 x 5 groups of 3 seeds)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A weighted sum of means, with its interval and two-sided p value."""

    mean: float
    low: float
    high: float
    p: float

    @property
    def resolved(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Step:
    """The change of the score from one value of an axis to the next; the intervals of an axis hold simultaneously."""

    before: Any
    after: Any
    change: Estimate
    combinations: int  # of the other axes, over which it is averaged


@dataclass(frozen=True, slots=True)
class Effect:
    """An axis: mean score for each value, steps, trend, and its share of the variation between the groups."""

    axis: str
    values: list[Any]
    means: list[float]  # over the groups with each value
    steps: list[Step]
    per_halving: Estimate | None  # slope over the binary logarithm of the value, for three positive numbers or more
    trend_p: float | None  # of Page's test for a steady rise or fall; None unless the values are ordered
    share: float | None  # of the variation between the groups' means (eta squared); None for an incomplete grid


@dataclass(frozen=True, slots=True)
class Interaction:
    """Whether the effect of one axis depends on another."""

    axes: tuple[str, str]
    p: float | None  # None if it cannot be tested: without spread, with too few runs, or where splits hide it
    share: float | None


def effects(fields: Sequence[Fields], means: Means) -> list[Effect]:
    """Return the effect of each axis with several values; `fields` are the axes of the G groups of `means`."""
    axes = _varying(fields)
    return [_effect(axis, fields, means, _is_grid(axes, fields)) for axis in axes]


def interactions(fields: Sequence[Fields], means: Means) -> list[Interaction]:
    """Test each pair of axes, by Johansen's (1980) extension of Welch's analysis of variance."""
    axes = _varying(fields)
    is_grid = _is_grid(axes, fields)
    found = []
    for one, other in combinations(axes, 2):
        contrasts = _independent(_differences_of_steps(one, other, fields))
        if not len(contrasts):
            continue
        share = _share(lambda own, a=one, b=other: (own[a], own[b]), fields, means) if is_grid else None
        if share is not None:
            share -= sum(_share(lambda own, a=axis: own[a], fields, means) for axis in (one, other))
        found.append(Interaction((one, other), wald(contrasts, means), share))
    return found


def wald(contrasts: Array, means: Means) -> float | None:
    """Return the p value of all `contrasts` (R, G) being zero; None without any spread, or if blocks hide one.

    Also None if there are too many contrasts for too few runs, since the approximation then rejects too often.
    """
    if not means.tells(contrasts):
        return None
    covariance = contrasts * means.own @ contrasts.T + contrasts @ means.shared @ contrasts.T
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(contrasts):
        return None
    inverse = np.linalg.inv(covariance)
    estimates = contrasts @ means.means
    rank = len(contrasts)
    # Johansen's A = sum over groups of (tr(Q²) + tr(Q)²) / 2ν, where Q has one column: both traces are equal.
    leverage = means.own * np.einsum("rg,rs,sg->g", contrasts, inverse, contrasts)
    a = float((leverage**2 / means.freedom).sum())
    if not TINY < a < LARGEST:
        return None
    scale = rank + 2 * a - 6 * a / (rank + 2)
    statistic = float(estimates @ inverse @ estimates) / scale
    return float(fdtrc(rank, rank * (rank + 2) / (3 * a), statistic))


def _effect(axis: str, fields: Sequence[Fields], means: Means, is_grid: bool) -> Effect:
    values = levels(axis, fields)
    rest = [label({name: value for name, value in own.items() if name != axis}) for own in fields]
    place = {(r, own[axis]): i for i, (r, own) in enumerate(zip(rest, fields, strict=True))}
    by_value = [[i for i, own in enumerate(fields) if own[axis] == value] for value in values]
    pairs = list(pairwise(values))
    level = 1 - (1 - LEVEL) ** (1 / len(pairs))  # Šidák
    steps = []
    for before, after in pairs:
        both = [r for r in dict.fromkeys(rest) if (r, before) in place and (r, after) in place]
        if both:
            weights = np.zeros(len(fields))
            weights[[place[r, after] for r in both]] += 1 / len(both)
            weights[[place[r, before] for r in both]] -= 1 / len(both)
            steps.append(Step(before, after, contrast(weights, means, level), len(both)))
    numeric = all(map(is_number, values))
    slope = _slope([own[axis] for own in fields], rest, means) if numeric and len(values) > 2 else None
    return Effect(
        axis=axis,
        values=values,
        means=[float(means.means[own].mean()) for own in by_value],
        steps=steps,
        per_halving=slope,
        trend_p=_page(place, values, rest, means) if numeric and len(values) > 2 else None,
        share=_share(lambda own: own[axis], fields, means) if is_grid else None,
    )


def contrast(weights: Array, means: Means, level: float = LEVEL) -> Estimate:
    """Estimate a sum of means with `weights` (G,), which sum to 0; `level` is LEVEL, or less for one of several."""
    mean, error, df = means.contrast(weights)
    if not TINY < error < math.inf:
        return Estimate(mean, -math.inf, math.inf, 1.0)
    half = float(stdtrit(df, 1 - level / 2)) * error
    p = 2 * float(stdtr(df, -abs(mean) / error))
    return Estimate(mean, mean - half, mean + half, 1 - (1 - min(p, 1.0)) ** (math.log1p(-LEVEL) / math.log1p(-level)))


def _slope(values: Sequence[float], rest: Sequence[str], means: Means) -> Estimate | None:
    """Return the change of the score when the value is halved, by least squares within each combination of the rest.

    None if there is no halving, or if no combination has several values.
    """
    if min(values) <= 0:
        return None
    halvings = -np.log2(values)
    for r in dict.fromkeys(rest):
        own = [i for i, other in enumerate(rest) if other == r]
        halvings[own] -= halvings[own].mean()
    square = float((halvings**2).sum())
    return contrast(halvings / square, means) if square > TINY else None


def _page(place: dict[Any, int], values: Sequence[Any], rest: Sequence[str], means: Means) -> float | None:
    """Return the two-sided p value of Page's test; a block is a combination of the other axes with all values."""
    blocks = [r for r in dict.fromkeys(rest) if all((r, value) in place for value in values)]
    if len(blocks) < 2:
        return None
    table = np.array([[means.means[place[r, value]] for value in values] for r in blocks])
    rising, falling = page_trend_test(table).pvalue, page_trend_test(table[:, ::-1]).pvalue
    return float(min(1.0, 2 * min(rising, falling)))


def _varying(fields: Sequence[Fields]) -> list[str]:
    """Return the axes with several values."""
    return [axis for axis in (fields[0] if fields else ()) if len({own[axis] for own in fields}) > 1]


def _is_grid(axes: Sequence[str], fields: Sequence[Fields]) -> bool:
    """Return whether every combination of the axes' values has its group."""
    return math.prod(len({own[axis] for own in fields}) for axis in axes) == len(fields)


def _share(key: Any, fields: Sequence[Fields], means: Means) -> float:
    """Return the share of the variation of the groups' means that lies between the values of `key`."""
    centred = means.means - means.means.mean()
    sums: dict[Any, list[float]] = {}
    for own, value in zip(fields, centred, strict=True):
        sums.setdefault(key(own), []).append(value)
    total = float((centred**2).sum())
    return sum(len(values) * float(np.mean(values)) ** 2 for values in sums.values()) / total if total > TINY else 0.0


def _differences_of_steps(one: str, other: str, fields: Sequence[Fields]) -> Array:
    """Return contrasts (R, G): how the steps along one axis change along the other, averaged over the rest."""
    rest = [label({name: value for name, value in own.items() if name not in (one, other)}) for own in fields]
    place = {(r, own[one], own[other]): i for i, (r, own) in enumerate(zip(rest, fields, strict=True))}
    rows = []
    first, second = levels(one, fields), levels(other, fields)
    for a in pairwise(first):
        for b in pairwise(second):
            corners = [[place.get((r, x, y)) for x in a for y in b] for r in dict.fromkeys(rest)]
            full = [[i for i in corner if i is not None] for corner in corners if None not in corner]
            row = np.zeros(len(fields))
            for corner in full:
                row[corner] += np.array([1, -1, -1, 1]) / len(full)
            rows.append(row)
    return np.array(rows).reshape(-1, len(fields))


def _independent(rows: Array) -> Array:
    """Return an orthonormal basis of what the rows span."""
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(basis[sizes > 1e-9])
