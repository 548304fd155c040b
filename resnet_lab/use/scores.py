"""How well networks classify labelled images, with the uncertainty, and which of them does it better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from resnet_lab.inspect.mistakes import Mistakes
from resnet_lab.report.statistics.images import mcnemar
from resnet_lab.report.statistics.procedures import holm
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.text import plural


@dataclass(frozen=True, slots=True)
class Scores:
    """The results of one network on N images."""

    run: str
    images: str  # for messages, as in "the test part of mnist"
    classes: tuple[str, ...]
    mistakes: Mistakes
    nll: float  # mean negative log probability of the true class
    temperature: float
    corrupted: Mapping[str, Sequence[float]] = field(default_factory=dict)  # by kind: error in percent at each strength

    @property
    def count(self) -> int:
        return len(self.mistakes.labels)

    @property
    def right(self) -> np.ndarray:
        return self.mistakes.labels == self.mistakes.predicted

    @property
    def error(self) -> float:
        """In percent."""
        return 100 * int((~self.right).sum()) / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the error in percent, if the images are a random sample (Wilson)."""
        return error_interval(int((~self.right).sum()), self.count)

    @property
    def class_errors(self) -> dict[str, float]:
        """The error of each class that has images, in percent."""
        errors = zip(self.classes, self.mistakes.error_by_class.tolist(), strict=True)
        return {name: error for name, error in errors if not np.isnan(error)}

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "images": {"what": self.images, "count": self.count},
            "error": self.error,
            "interval": list(self.interval),
            "nll": self.nll,
            "ece": self.mistakes.calibration_error,
            "temperature": self.temperature,
            "class_errors": self.class_errors,
            "classes": list(self.classes),
            "confusion": self.mistakes.confusion.tolist(),
            "corrupted": {name: list(errors) for name, errors in self.corrupted.items()},
        }


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two networks on the same images: how many only one of them classifies correctly, and McNemar's exact test."""

    runs: tuple[str, str]
    only: tuple[int, int]  # number of images that only the first, and only the second, classifies correctly
    p: float
    corrected: float  # by Holm's method, over all pairs

    def words(self) -> str:
        first, second = self.only
        better, worse = self.runs if first >= second else self.runs[::-1]
        images = f"only the first is right on {plural(max(self.only), 'image')}, only the second on {min(self.only):,}"
        numbers = f"{images}; p = {self.corrected:.2g}, McNemar"
        if self.corrected < LEVEL:
            return f"{better} is better than {worse} ({numbers})"
        return f"{better} and {worse} are not distinguishable ({numbers})"

    def to_dict(self) -> dict[str, Any]:
        return {"runs": list(self.runs), "only": list(self.only), "p": self.p, "corrected": self.corrected}


def scores_of(
    probabilities_NK: Tensor, labels: np.ndarray, corrupted: Mapping[str, Sequence[float]], **named: Any
) -> Scores:
    """Return the results for probabilities (float64) and labels (N,); `named` are the other fields of Scores."""
    labels_N = torch.from_numpy(labels)
    likely = probabilities_NK[torch.arange(len(labels)), labels_N].clamp(min=torch.finfo(torch.float64).tiny)
    return Scores(
        mistakes=Mistakes.of(probabilities_NK, labels_N), nll=-likely.log().mean().item(), corrupted=corrupted, **named
    )


def error_interval(wrong: int, count: int) -> tuple[float, float]:
    """Return Wilson's interval of an error in percent."""
    interval = binomtest(wrong, count).proportion_ci(1 - LEVEL, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def contrasts(all_scores: Sequence[Scores]) -> list[Contrast]:
    """Compare all pairs of networks; the p values are corrected by Holm's method."""
    pairs = [*combinations(all_scores, 2)]
    tested = [mcnemar(~other.right, ~one.right) for one, other in pairs]  # only the first right: only the other wrong
    corrected = holm([p for _, p in tested])
    return [
        Contrast((one.run, other.run), only, p, own)
        for (one, other), (only, p), own in zip(pairs, tested, corrected, strict=True)
    ]
