"""Means with their uncertainty, and Pareto fronts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, median, stdev

from scipy.special import stdtrit

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of n values; `std` is the sample std, `half` half the width of the 95 % interval of the mean."""

    n: int
    mean: float
    median: float
    std: float | None  # None for a single value
    half: float | None


def summarise(values: Iterable[float]) -> Summary | None:
    """Return mean, median, standard deviation and interval; None for no values."""
    values = list(values)
    if not values:
        return None
    n, mean, middle = len(values), fmean(values), median(values)
    if n < 2:
        return Summary(n, mean, middle, None, None)
    std = stdev(values)
    return Summary(n, mean, middle, std, _half(std / math.sqrt(n), n - 1))


def _half(error: float, freedom: float) -> float:
    return float(stdtrit(freedom, 1 - LEVEL / 2)) * error


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the Pareto front of (cost, score): no other point is better in one and at least as good in the other."""
    best, names = math.inf, list[str]()
    for name in sorted(points, key=points.__getitem__):
        cost, score = points[name]
        if score < best or (names and points[names[-1]] == (cost, score)):
            names.append(name)
            best = score
    return names
