"""Statistics over test images: what runs that were tested on the same images say together.

`wrong` and `predicted` are (R, N): for each of R runs of a group, whether each of N images was misclassified, and as
which class; of K attributes, `predicted` is (R, N, K). `values` are (R, N): what the score averages; 100 · wrong gives
errors in percent. Intervals are 95 % intervals (Student's t).

A run's score has two sources of noise: the seed, and which images the test set happens to hold. `components` and
`difference` treat both as random samples (Searle, Casella & McCulloch, Variance Components, 1992, section 4.3).
"""

import math
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit
from scipy.stats import binomtest

from resnet_lab.report.statistics.summary import LEVEL

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
CHUNK = 100  # resamples at a time, to bound the memory


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The estimated variance of a mean, and its degrees of freedom."""

    variance: float
    freedom: float

    @property
    def half(self) -> float:
        """Half the width of the interval of the mean."""
        return float(stdtrit(self.freedom, 1 - LEVEL / 2)) * math.sqrt(self.variance)

    def p(self, mean: float) -> float | None:
        """Return the two-sided p value of a true mean of 0; None if the variance is 0, so that no test is possible."""
        return 2 * float(stdtr(self.freedom, -abs(mean) / math.sqrt(self.variance))) if self.variance else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, or a difference of means, in the unit of the values, with its uncertainty over repetitions with …"""

    mean: float
    over_runs: Uncertainty | None  # other seeds, and the same images; None if a group has a single run
    over_images: Uncertainty  # other images, and the same networks
    over_both: Uncertainty | None  # other seeds and other images


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """The analysis of variance of values (R, N), with runs and images crossed and one value for each pair."""

    shape: tuple[int, int]
    runs: float | None  # None for a single run, like `residual`
    images: float
    residual: float | None

    @classmethod
    def of(cls, values: npt.NDArray[np.generic]) -> "MeanSquares":
        values = np.asarray(values, float)
        num_runs, num_images = values.shape
        by_run, by_image, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
        images = num_runs * float(((by_image - mean) ** 2).sum()) / (num_images - 1)
        if num_runs == 1:
            return cls(values.shape, None, images, None)
        runs = num_images * float(((by_run - mean) ** 2).sum()) / (num_runs - 1)
        rest = values - by_run[:, None] - by_image + mean
        residual = float((rest**2).sum()) / ((num_runs - 1) * (num_images - 1))
        return cls(values.shape, runs, images, residual)

    @property
    def variances(self) -> tuple[float, float, float] | None:
        """The variance between runs, between images, and of what neither explains; None for a single run.

        The estimates are unbiased; where there is little variance, one can be below 0.
        """
        if self.runs is None or self.residual is None:
            return None
        num_runs, num_images = self.shape
        return (self.runs - self.residual) / num_images, (self.images - self.residual) / num_runs, self.residual

    @property
    def between_runs(self) -> tuple[tuple[float, int], tuple[float, int]] | None:
        """The variances of the mean, each with its freedom: of runs, including the residual's, and of the residual."""
        if self.runs is None or self.residual is None:
            return None
        num_runs, num_images = self.shape
        cells = num_runs * num_images
        return (self.runs / cells, num_runs - 1), (self.residual / cells, (num_runs - 1) * (num_images - 1))


def components(values: npt.NDArray[np.generic]) -> Estimate:
    """Return the mean of a group with its uncertainty; `MeanSquares.of(values).variances` has the components.

    For groups whose runs are paired by seed, `components(values_a - values_b)` is their difference.
    """
    squares, values = MeanSquares.of(values), np.asarray(values, float)
    return _estimate(float(values.mean()), values.mean(axis=0), [squares])


def difference(values_a: npt.NDArray[np.generic], values_b: npt.NDArray[np.generic]) -> Estimate:
    """Return the mean of group a minus that of group b, on the same images, with other runs in each (Welch).

    The difference of each image, (N,), has the interaction of groups and images, which no number of runs removes.
    """
    squares = [MeanSquares.of(values_a), MeanSquares.of(values_b)]
    gaps = np.asarray(values_a, float).mean(axis=0) - np.asarray(values_b, float).mean(axis=0)
    return _estimate(float(gaps.mean()), gaps, squares)


def _estimate(mean: float, by_image: Floats, groups: list[MeanSquares]) -> Estimate:
    """Add the variances over runs and over images. Both include the residual's, which is therefore subtracted once."""
    images = (float(by_image.var(ddof=1)) / len(by_image), len(by_image) - 1)
    found = [squares.between_runs for squares in groups]
    pairs = [pair for pair in found if pair]
    if len(pairs) < len(groups):
        return Estimate(mean, None, _combined(images), None)
    runs = [between for between, _ in pairs]
    residuals = [(-variance, freedom) for _, (variance, freedom) in pairs]
    all_three = _combined(*runs), _combined(images), _combined(*runs, images, *residuals)
    # An estimated variance of runs or of images below 0 counts as 0: the variance over both is never smaller.
    return Estimate(mean, *all_three[:2], max(all_three, key=lambda one: one.variance))


def _combined(*terms: tuple[float, int]) -> Uncertainty:
    """Sum independent variances, each with its degrees of freedom (Satterthwaite)."""
    variance = sum(own for own, _ in terms)
    if variance <= 0:
        return Uncertainty(0.0, 1.0)
    return Uncertainty(variance, variance**2 / sum(own**2 / freedom for own, freedom in terms))


def mcnemar(wrong_a: npt.ArrayLike, wrong_b: npt.ArrayLike) -> tuple[tuple[int, int], float]:
    """Return on how many images only a, and only b, is wrong (both (N,)), and the p value of McNemar's exact test.

    If they are equally good, each of these images is as likely to be in one count as in the other: the p value is that
    of a two-sided binomial test. For groups of runs, `difference(…).over_images` tests the mean difference in the same
    sense, for these networks and other images: by the paired t-test on images, whose t² is McNemar's statistic
    (b - c)² / (b + c) for two single runs, but for terms of the order of 1 / N.
    """
    a, b = np.asarray(wrong_a), np.asarray(wrong_b)
    only = int((a & ~b).sum()), int((b & ~a).sum())
    return only, float(binomtest(only[0], sum(only)).pvalue) if sum(only) else 1.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike networks are, on average over pairs of them, as shares."""

    same: float  # of all images: both predict the same class, or the same attributes
    overlap: float | None  # of the images that one of both gets wrong, at least: both get wrong; None without mistakes


def agreement(predicted_a: Integers, labels: Integers, predicted_b: Integers | None = None) -> Agreement | None:
    """Compare each run of group a with each run of group b or, without b, with each other run of a.

    `labels` (N,) are the true classes, or (N, K) the attributes. None if there is no pair.
    """
    pairs = [*(combinations(predicted_a, 2) if predicted_b is None else product(predicted_a, predicted_b))]
    if not pairs:
        return None
    same = [float(_equal(one, other).mean()) for one, other in pairs]
    mistakes = [(~_equal(one, labels), ~_equal(other, labels)) for one, other in pairs]
    overlaps = [float((one & other).sum() / (one | other).sum()) for one, other in mistakes if (one | other).any()]
    return Agreement(float(np.mean(same)), float(np.mean(overlaps)) if overlaps else None)


def _equal(one: Integers, other: Integers) -> Bools:
    """Return for which images (N,) two predictions are equal, in all attributes."""
    return (one == other).reshape(len(one), -1).all(axis=1)


def hard_images(wrong: Bools, share: float = 1.0) -> Integers:
    """Return the positions, ascending, of the images that at least this share of the runs gets wrong (M,)."""
    return np.flatnonzero(wrong.sum(axis=0) >= share * len(wrong) - 1e-9)


def optimism(scores: npt.NDArray[np.generic], resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Return by how much the score of the best of K groups is too low, if it was chosen by these images.

    `scores` (K, N) are the mean over runs of what the score averages, of each image. The images are drawn with
    replacement: the group that is best on those drawn is better there, on average, than on all images by the optimism
    (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 17). It covers the choice of images, not that
    of seeds.
    """
    scores_KN = np.asarray(scores, float)
    num_images, on_all = scores_KN.shape[1], scores_KN.mean(axis=1)
    rng, gaps = np.random.default_rng(seed), []
    for start in range(0, resamples, CHUNK):
        draws = [rng.integers(num_images, size=num_images) for _ in range(min(CHUNK, resamples - start))]
        counts = np.stack([np.bincount(drawn, minlength=num_images) for drawn in draws])
        on_drawn = counts @ scores_KN.T / num_images  # (draws, K)
        best = on_drawn.argmin(axis=1)
        gaps.append(on_all[best] - on_drawn[np.arange(len(best)), best])
    return float(np.concatenate(gaps).mean())
