"""Power laws of the score over sizes: score = a · size^exponent, fitted to groups on logarithmic scales."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit
from scipy.stats import linregress

from resnet_lab.report.statistics.summary import LEVEL

FEWEST, NARROWEST = 5, 8.0  # sizes, and the ratio of the largest and the smallest, for which a law is fitted


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A fit, if there are enough sizes; the interval of the exponent holds if groups scatter about the law (95 %)."""

    size: str  # a cost, or an axis
    sizes: int
    ratio: float  # of the largest and the smallest size
    exponent: float | None = None  # None: not fitted
    low: float | None = None
    high: float | None = None
    factor: float | None = None  # a
    explained: float | None = None  # R² of the logarithms


def power_law(size: str, sizes: Sequence[float], scores: Sequence[float]) -> PowerLaw | None:
    """Fit the positive scores of groups over their sizes; None unless there are several sizes."""
    points = [(x, y) for x, y in zip(sizes, scores, strict=True) if x > 0 and y > 0]
    different = sorted({x for x, _ in points})
    if len(different) < 2:
        return None
    ratio = different[-1] / different[0]
    if len(different) < FEWEST or ratio < NARROWEST:
        return PowerLaw(size, len(different), ratio)
    x, y = np.log(np.array(points)).T
    fit = linregress(x, y)
    error, explained = map(float, np.nan_to_num([fit.stderr, fit.rvalue**2]))  # constant scores have no correlation
    half = float(stdtrit(len(points) - 2, 1 - LEVEL / 2)) * error
    exponent = float(fit.slope)
    return PowerLaw(
        size,
        len(different),
        ratio,
        exponent,
        exponent - half,
        exponent + half,
        float(np.exp(fit.intercept)),
        explained,
    )
