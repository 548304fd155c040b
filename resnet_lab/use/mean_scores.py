"""How good networks are by the score of their task, a mean over images, and which of them is better."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.statistics.images import components
from resnet_lab.report.statistics.procedures import holm
from resnet_lab.report.statistics.summary import LEVEL
from resnet_lab.use.corrupt import STRENGTHS
from resnet_lab.use.grid import MOST_ROWS, Grid


@dataclass(frozen=True, slots=True)
class MeanScores:
    """The results of one network on N images."""

    run: str
    images: str  # for messages, as in "the test part of digit_bits"
    scoring: Scoring
    each: npt.NDArray[np.float64]  # (N,): what the score averages, in its unit
    details: Mapping[str, Any]  # further scores, as in result.json
    corrupted: Mapping[str, Sequence[float]] = field(default_factory=dict)  # by kind: the score at each strength

    @property
    def count(self) -> int:
        return len(self.each)

    @property
    def score(self) -> float:
        return float(self.each.mean())

    @property
    def half(self) -> float | None:
        """Half the width of the score's 95 % interval, if the images are a random sample; None for one image."""
        return components(self.each[None]).over_images.half if self.count > 1 else None

    @property
    def numbers(self) -> dict[str, float]:
        """The details that are single numbers."""
        return {name: value for name, value in self.details.items() if not isinstance(value, Mapping)}

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "images": {"what": self.images, "count": self.count},
            self.scoring.score: self.score,
            "interval": None if self.half is None else [self.score - self.half, self.score + self.half],
            **self.details,
            "corrupted": {name: list(scores) for name, scores in self.corrupted.items()},
        }


@dataclass(frozen=True, slots=True)
class MeanContrast:
    """Two networks on the same images: the mean difference of their scores, and the paired t-test over images."""

    runs: tuple[str, str]
    scoring: Scoring
    gap: float  # score of the first minus that of the second
    half: float  # of the width of its 95 % interval
    p: float
    corrected: float  # by Holm's method, over all pairs

    def words(self) -> str:
        first, second = self.runs if self.gap <= 0 else self.runs[::-1]
        size = self.scoring.gap(f"{self.scoring.number(abs(self.gap))} ± {self.scoring.number(self.half)}")
        numbers = f"{self.scoring.score} lower by {size}; p = {self.corrected:.2g}, paired t-test"
        if self.corrected < LEVEL:
            return f"{first} is better than {second} ({numbers})"
        return f"{first} and {second} are not distinguishable ({numbers})"

    def to_dict(self) -> dict[str, Any]:
        return {"runs": list(self.runs), "gap": self.gap, "half": self.half, "p": self.p, "corrected": self.corrected}


def mean_contrasts(found: Sequence[MeanScores]) -> list[MeanContrast]:
    """Compare all pairs of networks on two images or more; the p values are corrected by Holm's method."""
    pairs = [*combinations(found, 2)] if found[0].count > 1 else []
    gaps = [components((one.each - other.each)[None]) for one, other in pairs]
    p_values = [1.0 if (p := gap.over_images.p(gap.mean)) is None else p for gap in gaps]
    return [
        MeanContrast((one.run, other.run), one.scoring, gap.mean, gap.over_images.half, p, corrected)
        for (one, other), gap, p, corrected in zip(pairs, gaps, p_values, holm(p_values), strict=True)
    ]


def mean_grids(found: Sequence[MeanScores]) -> Iterator[Grid]:
    """Yield the tables: all runs; for each kind of detail, such as attributes, the largest; for each corruption."""
    scoring = found[0].scoring
    columns = [name.replace("_", " ") for name in found[0].numbers]
    yield Grid(
        ["run", scoring.score, "95 % interval", *columns],
        [
            [one.run, scoring.text(one.score), _interval(one), *map(scoring.number, one.numbers.values())]
            for one in found
        ],
    )
    for kind, values in found[0].details.items():
        if not isinstance(values, Mapping):
            continue
        own = [one.details[kind] for one in found]
        largest = sorted(values, key=lambda name: -max(each[name] for each in own))[:MOST_ROWS]
        which = f" (the largest {len(largest)} of {len(values)})" if len(largest) < len(values) else ""
        title = kind.replace("_", " ") + which
        rows = [[name, *(scoring.text(each[name]) for each in own)] for name in largest]
        yield Grid([title, *(one.run if len(found) > 1 else scoring.score for one in found)], rows)
    for kind in found[0].corrupted:
        rows = [[one.run, *map(scoring.text, one.corrupted[kind])] for one in found]
        yield Grid([f"{scoring.score} with {kind}", *(f"{strength:g}" for strength in STRENGTHS[kind])], rows)


def _interval(one: MeanScores) -> str:
    if one.half is None:
        return ""
    return f"{one.scoring.number(max(one.score - one.half, 0))} – {one.scoring.text(one.score + one.half)}"
