"""The scale on which scores are compared: as they are, or by their logarithms."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from resnet_lab.config.tasks import Scoring


@dataclass(frozen=True, slots=True)
class Scale:
    """How scores are turned into the numbers that are compared, and differences of these into words.

    Logarithms suit scores near 0, whose spread shrinks with them. Where most scores lie above half of the largest
    possible one, as errors of networks that are hardly trained, what is missing to that is compared instead.
    """

    scoring: Scoring
    logarithmic: bool = False
    mirrored: bool = False
    least: float = 0.0  # smaller scores count as this one: half an image, since there is no logarithm of 0

    @classmethod
    def of(cls, scoring: Scoring, logarithmic: bool, scores: Iterable[float], images: int | None) -> "Scale":
        """Choose the scale for these scores, measured on that many images."""
        scores = sorted(scores)
        if not logarithmic or not scores:
            return cls(scoring)
        most = scoring.most
        least = most / (2 * images) if most and images else min((s for s in scores if s > 0), default=1.0) / 2
        return cls(scoring, True, most is not None and scores[len(scores) // 2] > most / 2, least)

    def transform(self, score: float) -> float:
        """Return the number to compare; lower is better."""
        if not self.logarithmic:
            return score
        if self.mirrored and self.scoring.most is not None:
            return -math.log(max(self.scoring.most - score, self.least))
        return math.log(max(score, self.least))

    def number(self, difference: float) -> str:
        """Format a difference without its unit; a difference of logarithms as a ratio."""
        if not math.isfinite(difference):
            return "any number"
        text = f"{math.exp(difference):.3g}" if self.logarithmic else self.scoring.number(difference)
        return text.replace("-", "−") if float(text) else text.lstrip("-")

    def gap(self, text: str) -> str:
        """Add the unit to a formatted difference."""
        return f"a factor of {text}" if self.logarithmic else self.scoring.gap(text)

    @property
    def none(self) -> float:
        """The formatted value of no difference."""
        return 1.0 if self.logarithmic else 0.0
