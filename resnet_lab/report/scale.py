"""The scale on which scores are compared: as they are, or by their logarithms."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.tasks import Scoring

LARGEST = 700.0  # logarithm of a ratio that a float can hold


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
        """Choose the scale for these scores, measured on that many images.

        Raises ConfigError for logarithms of scores below 0.
        """
        scores = sorted(scores)
        if not logarithmic or not scores:
            return cls(scoring)
        if scores[0] < 0:
            raise ConfigError(f"--log takes scores of 0 or more; the lowest {scoring.score} is {scores[0]:g}")
        most = scoring.most
        mirrored = most is not None and scores[len(scores) // 2] > most / 2
        compared = [most - s for s in scores] if most is not None and mirrored else scores
        least = most / (2 * images) if most and images else min((s for s in compared if s > 0), default=1.0) / 2
        return cls(scoring, True, mirrored, least)

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
        text = f"{math.exp(min(difference, LARGEST)):.3g}" if self.logarithmic else self.scoring.number(difference)
        return text.replace("-", "−") if float(text) else text.lstrip("-")

    def gap(self, text: str) -> str:
        """Add the unit to a formatted difference."""
        return f"a factor of {text}" if self.logarithmic else self.scoring.gap(text)

    @property
    def compared(self) -> str:
        """What is compared, if not the score itself: ", by its logarithm"."""
        if self.mirrored and self.scoring.most is not None:
            return f", by the logarithm of {self.scoring.most:g} minus it"
        return ", by its logarithm" if self.logarithmic else ""

    @property
    def none(self) -> float:
        """The formatted value of no difference."""
        return 1.0 if self.logarithmic else 0.0
