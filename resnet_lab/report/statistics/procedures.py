"""Simultaneous comparisons of groups: with the best, with a named baseline, or of all pairs.

Intervals hold together with 95 % confidence, for the whole family, and a verdict is what its interval says. Variances
are those of each group (`means`), critical values come from numerical integration (`critical`).

- The best (Hsu 1984; Edwards and Hsu 1983): the group that is truly the best is unknown. A group may be it unless
  another one is better by a one-sided test at the family level; how much worse a group is than the best follows from
  its differences to all of these candidates. Since several groups may be equally good, Holm's method over the groups
  decides which ones are worse than the best: hardly ever one that is not.
- A baseline: Dunnett (1955). All pairs: as Games and Howell (1976), with critical values that also hold for few seeds.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

from resnet_lab.report.statistics.critical import any_below, any_pair_below, smallest_p, smallest_p_of_pairs
from resnet_lab.report.statistics.means import TINY, Means
from resnet_lab.report.statistics.summary import LEVEL

POWER = 0.8
MOST_SEEDS = 2**20  # to search for

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Difference:
    """`group` minus `other`, in the unit of the score: lower scores are better.

    For comparisons with the best, `mean` is the difference to the group with the lowest mean, and the interval holds
    for the difference to the group that is truly the best.
    """

    group: str
    other: str
    mean: float
    low: float  # not finite if no test is possible, as without any spread
    high: float
    p: float  # corrected for the family

    @property
    def resolved(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def with_best(means: Means) -> list[Difference]:
    """Compare each group with the best of those that share splits; the others have no interval."""
    count = len(means.names)
    if count < 2:
        return []
    told = _together(means)
    p = _welch(means)
    smallest, common = p.min(axis=1), means.common
    others = [np.delete(common[i], i) for i in range(count)]
    beaten = np.array([any_below(smallest[i], others[i], two_sided=False) for i in range(count)])
    corrected = np.array(holm(beaten))
    may_be = [
        i
        for i in np.flatnonzero(
            told & (beaten > LEVEL / 2)
        ).tolist()  # the chance of both sides is at most twice as large
        if any_below(2 * smallest[i], others[i], two_sided=True) > LEVEL
    ]
    best = int(np.argmin(np.where(told, means.means, np.inf)))
    low, high = np.full(count, np.inf), np.zeros(count)
    for b in may_be:
        half = _half(smallest_p(LEVEL, others[b], two_sided=True) / 2, means, b)
        others_than_b = np.arange(count) != b
        low[others_than_b] = np.minimum(low, means.difference[:, b] - half)[others_than_b]
        high[others_than_b] = np.maximum(high, means.difference[:, b] + half)[others_than_b]
        low[b] = min(low[b], 0.0)
    worse = corrected < LEVEL
    low = np.where(worse, np.maximum(low, np.nextafter(0, 1)), 0.0)
    low, high = np.where(told, low, -np.inf), np.where(told, high, np.inf)
    rows = zip(means.names, means.difference[:, best], low, high, corrected, strict=True)
    return [Difference(name, means.names[best], *map(float, values)) for name, *values in rows]


def with_baseline(means: Means, baseline: str) -> list[Difference]:
    """Compare each other group with the baseline; two-sided."""
    b = means.names.index(baseline)
    others = np.arange(len(means.names)) != b
    if not others.any():
        return []
    common = means.common[b, others]
    half = _half(smallest_p(LEVEL, common, two_sided=True) / 2, means, b)
    one_sided = _welch(means)
    p = 2 * np.minimum(one_sided[b], one_sided[:, b])
    return [
        _difference(means, i, b, half[i], any_below(p[i], common, two_sided=True))
        for i in np.flatnonzero(others).tolist()
    ]


def all_pairs(means: Means) -> list[Difference]:
    """Compare all pairs, the group with the larger mean first."""
    count = len(means.names)
    if count < 2:
        return []
    order = np.argsort(-means.means, kind="stable")
    first, second = (order[index] for index in np.triu_indices(count, 1))
    error, df = means.error[first, second], means.df[first, second]
    known = np.isfinite(error) & (error > TINY)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(known, 2 * stdtr(df, -np.abs(means.difference[first, second]) / error), 1.0)
    p = np.where(known, any_pair_below(p, count), 1.0)
    critical = stdtrit(df, 1 - smallest_p_of_pairs(LEVEL, count) / 2)
    half = np.where(known, critical * np.where(known, error, 0), np.inf)
    return [_difference(means, *pair) for pair in zip(first, second, half, p, strict=True)]


def seeds_needed(difference: float, std: float, groups: int) -> int:
    """Return how many seeds each group needs, so that one worse than the best by `difference` is distinguished from it.

    The chance is POWER, if the standard deviation over seeds is `std` in all groups, and the others are clearly worse.
    """
    # The last step of Holm's method: two groups are left, each compared with all others.
    p = smallest_p(LEVEL / 2, np.full(groups - 1, np.sqrt(0.5)), two_sided=False)

    def is_enough(n: int) -> bool:
        df = 2.0 * (n - 1)
        return bool(nctdtr(df, difference / (std * np.sqrt(2 / n)), stdtrit(df, 1 - p)) <= 1 - POWER)

    most = 2
    while not is_enough(most) and most < MOST_SEEDS:
        most *= 2
    return bisect.bisect_left(range(most + 1), True, lo=2, key=is_enough)


def holm(p_values: Sequence[float] | Array) -> list[float]:
    """Apply Holm's step-down correction: multiply the k-th smallest of m by m - k + 1, then make them monotonic."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * np.asarray(p_values)[order]), 1.0)
    return [float(p) for p in corrected]


def _together(means: Means) -> Array:
    """Return which groups (G,) belong to the largest set of groups whose differences the splits allow to estimate."""
    together = np.isfinite(means.error)
    mask: Array = together[np.argmax(together.sum(axis=1))]
    return mask


def _welch(means: Means) -> Array:
    """Return the one-sided p value (G, G) of the row's group being worse than the column's."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stdtr(means.df, -means.difference / means.error)
    p = np.where(means.error > TINY, p, 1.0)
    np.fill_diagonal(p, 1.0)
    return p


def _half(p: float, means: Means, other: int) -> Array:
    """Return half the widths (G,) of the intervals of differences to a group, each exceeded with probability `p`."""
    error = means.error[:, other]
    return np.where(error > TINY, stdtrit(means.df[:, other], 1 - p) * error, np.inf)


def _difference(means: Means, i: int, j: int, half: float, p: float) -> Difference:
    mean = float(means.difference[i, j])
    return Difference(means.names[i], means.names[j], mean, mean - float(half), mean + float(half), float(p))
