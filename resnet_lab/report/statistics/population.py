"""Many networks as a sample of a space of designs (Radosavovic et al., Designing Network Design Spaces, 2020).

A single network is noise in this view: what counts is the distribution of the scores, and where in the space the good
ones lie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kruskal, ks_2samp, mannwhitneyu, spearmanr

from resnet_lab.report.statistics.importance import Importance, importance
from resnet_lab.report.statistics.procedures import holm
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.report.values import Fields, is_number, order, text

FEWEST = 20  # networks that are a population
BEST = 0.1  # share of the networks that count as the best ones

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Setting:
    """How scores depend on one setting over the whole population, and which values the best networks have."""

    name: str
    numeric: bool
    correlation: float | None  # Spearman's, for numbers: above 0 means that large values are worse
    p: float  # of no dependence (Spearman; Kruskal and Wallis for choices), corrected for all settings (Holm)
    everyone: str  # range of the values without the lowest and highest tenth, or their shares
    best: str  # the same among the best networks


@dataclass(frozen=True, slots=True)
class Spaces:
    """Two populations against each other."""

    names: tuple[str, str]
    medians: tuple[float, float]
    first_is_better: float  # probability that a network of the first has a lower score than one of the second
    p: float  # Mann and Whitney's, of that probability being a half
    p_shape: float  # Kolmogorov and Smirnov's, of the same distribution


@dataclass(frozen=True, slots=True)
class Population:
    """Networks with their settings and scores, and the spaces they were drawn from."""

    fields: list[Fields]  # of the networks
    scores: list[float]
    spaces: dict[str, list[float]]  # scores by space: the directory given on the command line
    settings: list[Setting]
    importance: Importance | None  # of the settings; None if none varies
    best_so_far: list[float]  # in the order in which the networks were trained; empty if that is not known
    spaces_compared: Spaces | None


def population(
    fields: list[Fields], scores: list[float], spaces: dict[str, list[float]], ended: Sequence[str]
) -> Population | None:
    """Describe a population; None for fewer than FEWEST networks. `ended` (ISO 8601): when each was trained."""
    if len(scores) < FEWEST:
        return None
    in_order = [score for _, score in sorted(zip(ended, scores, strict=True))] if all(ended) else []
    history = np.minimum.accumulate(in_order).tolist() if in_order else []
    found = settings(fields, scores)
    codes = {one.name: _numbers([own[one.name] for own in fields], one.numeric) for one in found}
    matter = importance(codes, scores) if codes else None
    return Population(fields, scores, spaces, found, matter, history, against(spaces))


def distribution(scores: Sequence[float]) -> tuple[Array, Array, float]:
    """Return sorted scores, the share of networks up to each, and half the width of its 95 % band.

    The band holds for the whole distribution function (Dvoretzky, Kiefer and Wolfowitz; Massart 1990).
    """
    values = np.sort(np.asarray(scores, float))
    return values, np.arange(1, len(values) + 1) / len(values), float(np.sqrt(np.log(2 / LEVEL) / (2 * len(values))))


def settings(fields: Sequence[Fields], scores: Sequence[float]) -> list[Setting]:
    """Describe how scores depend on each setting that varies, the strongest dependence first."""
    names = [name for name in fields[0] if len({_key(own[name]) for own in fields}) > 1]
    order_of_scores = np.argsort(scores, kind="stable")
    best = order_of_scores[: max(1, round(BEST * len(scores)))].tolist()
    found = [_setting(name, [own[name] for own in fields], scores, best) for name in names]
    corrected = holm([one.p for one in found])
    with_p = [
        Setting(one.name, one.numeric, one.correlation, p, one.everyone, one.best)
        for one, p in zip(found, corrected, strict=True)
    ]
    return sorted(with_p, key=lambda one: one.p)


def against(spaces: Mapping[str, Sequence[float]]) -> Spaces | None:
    """Compare two populations by their scores; None unless there are two of at least FEWEST networks."""
    if len(spaces) != 2 or min(map(len, spaces.values())) < FEWEST:
        return None
    (one, first), (other, second) = spaces.items()
    test = mannwhitneyu(first, second)
    better = 1 - float(test.statistic) / (len(first) * len(second))
    medians = (float(np.median(first)), float(np.median(second)))
    return Spaces((one, other), medians, better, float(test.pvalue), float(ks_2samp(first, second).pvalue))


def _setting(name: str, values: Sequence[Any], scores: Sequence[float], best: Sequence[int]) -> Setting:
    of_best = [values[i] for i in best]
    if all(map(is_number, values)):
        found = spearmanr(values, scores)
        return Setting(name, True, float(found.statistic), _p(found.pvalue), _range(values), _range(of_best))
    parts: dict[str, list[float]] = {}
    for value, score in zip(values, scores, strict=True):
        parts.setdefault(_key(value), []).append(score)
    varies = len(set(scores)) > 1
    p = _p(kruskal(*parts.values()).pvalue) if varies else 1.0
    return Setting(name, False, None, p, _shares(values), _shares(of_best))


def _numbers(values: Sequence[Any], numeric: bool) -> Sequence[float]:
    """Return numbers as they are, and choices as numbers from 0 on."""
    names = [_key(value) for value in _distinct(values)]
    return values if numeric else [float(names.index(_key(value))) for value in values]


def _distinct(values: Sequence[Any]) -> list[Any]:
    return sorted({_key(value): value for value in values}.values(), key=order)


def _range(values: Sequence[float]) -> str:
    """Return the range without the lowest and the highest tenth."""
    low, high = np.quantile(np.asarray(values, float), [0.1, 0.9], method="inverted_cdf")
    return f"{low:g} to {high:g}"


def _shares(values: Sequence[Any]) -> str:
    counts = {text(value): sum(_key(other) == _key(value) for other in values) for value in _distinct(values)}
    return ", ".join(f"{name} {100 * count / len(values):.0f} %" for name, count in counts.items())


def _key(value: Any) -> str:
    return f"{type(value).__name__} {value}"


def _p(p: float) -> float:
    return float(p) if np.isfinite(p) else 1.0
