"""Means with their uncertainty, and tests of differences.

Two groups are compared by the paired t-test on the seeds that both have, if there are at least two, otherwise by
Welch's t-test, which does not assume equal variances; both are two-sided. The p values of all pairs of a comparison are
corrected by Holm's method (family-wise error rate 5 %). Intervals are uncorrected 95 % intervals (Student's t).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, median, stdev

from scipy.special import stdtr, stdtrit

from resnet_lab.config.tasks import Scoring

ALPHA = 0.05
TINY = 1e-9  # smaller spreads are rounding errors

Sample = Mapping[str, float]  # scores, by the key that pairs them


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of n values; `std` is the sample std, `half` half the width of the 95 % interval of the mean."""

    n: int
    mean: float
    median: float
    std: float | None  # None for a single value
    half: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """`worse` minus `better`, in the unit of the score, with its uncertainty."""

    better: str
    worse: str
    mean: float
    half: float
    paired: bool
    n: tuple[int, int]  # numbers of values of the better and of the worse
    unit: str  # of n: seeds or runs, or the common ones
    p: float | None  # corrected over all pairs; None if the variance is 0, so that no test is possible

    @property
    def real(self) -> bool:
        """Whether the groups are distinguishable at the 5 % level."""
        return self.p is not None and self.p < ALPHA

    def words(self, scoring: Scoring) -> str:
        both = f"{self.better} and {self.worse}"
        seeds = f"{' and '.join(map(str, dict.fromkeys(self.n)))} {self.unit}"
        how = "paired" if self.paired else "Welch"
        mean = scoring.number(self.mean)
        numbers = scoring.gap(f"{mean} ± {scoring.number(self.half)}")
        if self.p is None and self.mean < TINY:
            return f"{both} are not distinguishable with {seeds}: the {scoring.score}s are the same"
        if self.p is None:
            return f"{both} differ by {scoring.gap(mean)} with {seeds}, without any spread, so that no test is possible"
        if self.real:
            return f"{self.better} is better than {self.worse} by {numbers} (p = {self.p:.2g}, {how}, {seeds})"
        return f"{both} are not distinguishable with {seeds} ({numbers}, p = {self.p:.2g}, {how})"


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


def differences(samples: Mapping[str, Sample], unit: str = "seeds") -> list[Difference]:
    """Compare all pairs of groups with at least two values; p values are corrected over all of these pairs."""
    names = [name for name, sample in samples.items() if len(sample) > 1]
    tested = [_difference(*pair, samples, unit) for pair in combinations(names, 2)]
    corrected = iter(holm([d.p for d in tested if d.p is not None]))
    return [d if d.p is None else replace(d, p=next(corrected)) for d in tested]


def _difference(one: str, other: str, samples: Mapping[str, Sample], unit: str) -> Difference:
    a, b = samples[one], samples[other]
    common = [key for key in a if key in b]
    paired = len(common) > 1
    if paired:
        gaps = [b[key] - a[key] for key in common]
        mean, error, freedom = fmean(gaps), math.sqrt(_variance(gaps) / len(gaps)), len(gaps) - 1.0
        n, unit = (len(gaps), len(gaps)), unit if len(common) == len(a) == len(b) else f"common {unit}"
    else:
        first, second = list(a.values()), list(b.values())
        mean, n = fmean(second) - fmean(first), (len(first), len(second))
        error, freedom = _welch(first, second)
    if mean < 0:
        one, other, mean, n = other, one, -mean, n[::-1]
    p = 2 * float(stdtr(freedom, -mean / error)) if error > TINY else None
    half = _half(error, freedom) if error > TINY else 0.0
    return Difference(one, other, mean, half, paired, n, unit, p)


def _welch(a: list[float], b: list[float]) -> tuple[float, float]:
    """Return the standard error of the difference of two means and its degrees of freedom (Welch–Satterthwaite)."""
    share_a, share_b = _variance(a) / len(a), _variance(b) / len(b)
    square = share_a + share_b
    if square <= TINY**2:
        return 0.0, 1.0
    return math.sqrt(square), square**2 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))


def _variance(values: Sequence[float]) -> float:
    """Compute the sample variance; `statistics.variance`, which is exact, is too slow for all pairs of many groups."""
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _half(error: float, freedom: float) -> float:
    return float(stdtrit(freedom, 1 - ALPHA / 2)) * error


def holm(p_values: Sequence[float]) -> list[float]:
    """Apply Holm's step-down correction: multiply the k-th smallest of m by m - k + 1, then make them monotonic."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the Pareto front of (cost, score): no other point is better in one and at least as good in the other."""
    best, names = math.inf, list[str]()
    for name in sorted(points, key=points.__getitem__):
        cost, score = points[name]
        if score < best or (names and points[names[-1]] == (cost, score)):
            names.append(name)
            best = score
    return names
