"""Tail probabilities and critical values for many comparisons at once, by numerical integration.

Each difference has degrees of freedom of its own, so its p value is translated into a normal score, and scores are
taken to depend on each other as those of known variances do (a normal copula). For known variances, comparisons with
one group are then Dunnett's, and all pairs Tukey's. For few seeds they are cautious, where Games and Howell's own
critical values are too small (benchmarks.simulate).

Comparisons with one common group are correlated: the difference of groups i and j contains the noise of i, whatever j
is. Given that noise, the differences are independent, so that one integral over it is enough for any number of groups.
"""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

COMMON = np.linspace(-8, 8, 97)  # of the common noise, in standard deviations
WEIGHTS = np.exp(-(COMMON**2) / 2) / np.exp(-(COMMON**2) / 2).sum()
MOST_COMMON = 0.98  # correlation; a larger one, of a group without spread, would need a finer grid
MOST_RANGE = 20.0  # standard deviations; the range of thousands of normal values is below it

Array = np.ndarray


def any_below(p: float, common: Array, two_sided: bool) -> float:
    """Return the probability that the smallest of the p values of comparisons with a common group is at most `p`.

    `common` (J,): the correlation of each comparison with the noise of the common group, 0 to 1.
    """
    if p <= 0:
        return 0.0
    score = -ndtri(min(p / 2 if two_sided else p, 1.0))
    common = np.minimum(common, MOST_COMMON)
    own = np.sqrt(1 - common**2)
    shared = COMMON[:, None] * common
    tails = ndtr((shared - score) / own)
    if two_sided:
        tails = tails + ndtr((-shared - score) / own)
    none = np.log1p(-np.minimum(tails, 1 - 1e-16)).sum(axis=1)
    return min(float(-np.expm1(none) @ WEIGHTS), 1.0)  # weights sum to 1 but for rounding


def smallest_p(level: float, common: Array, two_sided: bool) -> float:
    """Return what the smallest p value of comparisons with a common group is below with probability `level`."""
    if len(common) == 1:
        return level
    bonferroni, same = np.log(level / len(common)), np.log(level)  # the bounds

    def excess(log_p: float) -> float:
        return any_below(np.exp(log_p), common, two_sided) / level - 1

    return float(np.exp(brentq(excess, bonferroni - 0.1, same + 0.1, xtol=1e-7)))


@cache
def _ranges(groups: int) -> tuple[Array, Array]:
    """Return ranges of that many normal values, and the probability of a larger one each."""
    ranges = np.linspace(0, MOST_RANGE, 2001)
    z = np.linspace(-9, 9 + MOST_RANGE, 1200)
    density = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    inside = [groups * density @ (ndtr(z) - ndtr(z - width)) ** (groups - 1) for width in ranges]
    return ranges, np.clip(1 - np.array(inside), 0, 1)


def any_pair_below(p: Array, groups: int) -> Array:
    """Return the probability that the smallest two-sided p value of all pairs of groups is at most each `p`."""
    found: Array = np.interp(-np.sqrt(2) * ndtri(np.maximum(p, 1e-300) / 2), *_ranges(groups))
    return found


def smallest_p_of_pairs(level: float, groups: int) -> float:
    """Return what the smallest p value of all pairs of groups is below with probability `level`."""
    bounds = (np.log(level) - 2 * np.log(groups) - 1, np.log(level) + 0.1)
    return float(np.exp(brentq(lambda log_p: any_pair_below(np.exp(log_p), groups) - level, *bounds, xtol=1e-9)))
