"""Tail probabilities and critical values for many comparisons at once, by numerical integration.

Comparisons with one common group, as Dunnett's and Hsu's, are correlated: the difference of groups i and j contains the
noise of i, whatever j is. Given that noise, the differences are independent, so that one integral over it is enough for
any number of groups. Each difference keeps its own degrees of freedom: its p value is translated into a normal score
(a normal copula). For equal and known variances this is Dunnett's distribution.

All pairs are compared by the distribution of the studentized range, in which the scale is integrated as well.
"""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr, ndtri

COMMON = np.linspace(-8, 8, 97)  # of the common noise, in standard deviations
WEIGHTS = np.exp(-(COMMON**2) / 2) / np.exp(-(COMMON**2) / 2).sum()
MOST_COMMON = 0.98  # correlation; a larger one, of a group without spread, would need a finer grid
INVERSE_FREEDOM = np.concatenate([np.linspace(1e-6, 0.5, 150), np.linspace(0.51, 1, 50)])
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
    return float(-np.expm1(none) @ WEIGHTS)


def smallest_p(level: float, common: Array, two_sided: bool) -> float:
    """Return what the smallest p value of comparisons with a common group is below with probability `level`."""
    if len(common) == 1:
        return level
    bonferroni, same = np.log(level / len(common)), np.log(level)  # the bounds

    def excess(log_p: float) -> float:
        return any_below(np.exp(log_p), common, two_sided) / level - 1

    return float(np.exp(brentq(excess, bonferroni - 0.1, same + 0.1, xtol=1e-7)))


@cache
def studentized_range(groups: int) -> "StudentizedRange":
    """Return the distribution for so many groups."""
    return StudentizedRange(groups)


class StudentizedRange:
    """The distribution of the range of `groups` normal values, divided by an estimate of their standard deviation."""

    def __init__(self, groups: int) -> None:
        self.ranges = np.linspace(0, MOST_RANGE, 2001)
        z = np.linspace(-9, 9 + MOST_RANGE, 1200)
        density = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
        inside = [groups * density @ (ndtr(z) - ndtr(z - width)) ** (groups - 1) for width in self.ranges]
        self.above = np.clip(1 - np.array(inside), 0, 1)  # probability of a larger range

    def tail(self, q: Array, freedom: Array) -> Array:
        """Return the probability of a larger value than each `q`, with these degrees of freedom (any equal shapes)."""
        q, freedom = np.broadcast_arrays(np.asarray(q, float)[..., None], np.asarray(freedom, float)[..., None])
        log_scale = np.linspace(-12, 4, 161) / np.sqrt(freedom)  # covers its distribution for any number of them
        half = freedom / 2
        density = np.log(2) + half * np.log(half) - gammaln(half) + freedom * log_scale - half * np.exp(2 * log_scale)
        above = np.interp(q * np.exp(log_scale), self.ranges, self.above)
        result: Array = np.trapezoid(np.exp(density) * above, log_scale, axis=-1)
        return np.clip(result, 0, 1)

    @cache  # noqa: B019 -- as long as the distribution, which is cached itself
    def _table(self, level: float) -> Array:
        return self.quantile(level, 1 / INVERSE_FREEDOM)

    def critical(self, level: float, freedom: Array) -> Array:
        """Return `quantile` for many degrees of freedom from 1 on, from a table: it is smooth in their inverse."""
        found: Array = np.interp(1 / freedom, INVERSE_FREEDOM, self._table(level))
        return found

    def quantile(self, level: float, freedom: Array) -> Array:
        """Return the value that is exceeded with probability `level`, for each of the degrees of freedom."""
        low, high = np.zeros_like(freedom, float), np.full_like(freedom, 1e4, float)
        for _ in range(60):
            middle = (low + high) / 2
            too_low = self.tail(middle, freedom) > level
            low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
        return high
