"""A comparison in numbers: what every table, plot and page is drawn from.

Groups are compared by the test score at the last epoch: no epoch is chosen, by nothing. The best epoch is the one with
the lowest validation score, so the validation score there is too good to be true; the test score there is honest.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.comparison import Comparison, Group
from resnet_lab.report.statistics import Difference, Summary, differences, front, summarise
from resnet_lab.rundir.reading import StoredRun

MEASURE = "test_last"  # by which groups are compared
MEASURES = {
    "test_last": "test {score}, last epoch",
    "val_last": "validation {score}, last epoch",
    "test_best": "test {score}, best epoch",
    "val_best": "validation {score}, best epoch",
}
COSTS = {
    "params": "parameters",
    "macs": "MACs",
    "activations": "activations",
    "seconds": "training time (s)",
    "peak_memory": "peak memory (bytes)",
}
BASIS = (
    "{units}, as mean ± half of the 95 % interval (Student's t) over seeds. Groups are compared by the "
    "test {score} at the last epoch: no epoch is chosen. The best epoch is the one with the lowest validation {score}. "
    "Differences: the paired t-test on the seeds that both groups have, where these are two or more, otherwise Welch's "
    "t-test, p values corrected by Holm's method over all pairs of a comparison that can be tested; ± is half of the "
    "uncorrected 95 % interval. Seconds and memory are means, and depend on what else the machine did."
)
MANY = 8  # groups; of more, only the pairs with the best group are listed


@dataclass(slots=True)
class Row:
    """One group: its scores, its costs (means over its runs) and the costs on whose Pareto front it lies."""

    group: Group
    scoring: Scoring
    depth: float
    scores: dict[str, Summary | None]
    costs: dict[str, float]
    published: float | None
    fronts: list[str]


@dataclass(slots=True)
class Analysis:
    """One comparison in numbers; `number` counts from 1."""

    number: int
    comparison: Comparison
    rows: list[Row]
    differences: list[Difference]

    @property
    def best(self) -> Row | None:
        """The row with the lowest mean score; None when there is no score at all."""
        measured = [(summary.mean, row) for row in self.rows if (summary := row.scores[MEASURE])]
        return min(measured, key=lambda pair: pair[0])[1] if measured else None

    @property
    def listed(self) -> list[Difference]:
        """All pairs, or of many groups those with the best one; the surest first."""
        best = self.best.group.label if self.best and len(self.rows) > MANY else None
        pairs = [d for d in self.differences if best in (None, d.better, d.worse)]
        return sorted(pairs, key=lambda d: math.inf if d.p is None else d.p)

    def sentences(self) -> list[str]:
        """What can be said of the groups, in words."""
        alone = [r.group.label for r in self.rows if (s := r.scores[MEASURE]) is None or s.n < 2]
        said = [d.words(self.comparison.scoring) for d in self.listed]
        if len(self.listed) < len(self.differences):
            real = sum(d.real for d in self.differences)
            said.append(f"{real} of {len(self.differences)} pairs are distinguishable; listed are those with the best")
        if alone and len(self.rows) > 1:
            said.append(f"no test is possible with fewer than 2 seeds: {', '.join(alone)}")
        return said


def analyse(number: int, comparison: Comparison) -> Analysis:
    """The numbers of a comparison."""
    rows = [_row(group, comparison.scoring) for group in comparison.groups]
    for cost in COSTS if len(rows) > 1 else ():
        points = {
            row.group.label: (row.costs[cost], summary.mean)
            for row in rows
            if cost in row.costs and (summary := row.scores[MEASURE])
        }
        on_front = set(front(points))
        for row in rows:
            row.fronts += [cost] * (row.group.label in on_front)
    samples = {group.label: sample(group, MEASURE) for group in comparison.groups}
    unit = "seeds" if comparison.one_architecture else "runs"
    return Analysis(number, comparison, rows, differences(samples, unit))


def titles(scoring: Scoring) -> dict[str, str]:
    """What MEASURES are called for a task."""
    return {measure: title.format(score=scoring.score) for measure, title in MEASURES.items()}


def basis(analyses: Iterable[Analysis]) -> str:
    """What the numbers of a report are, in words."""
    scorings = list(dict.fromkeys(analysis.comparison.scoring for analysis in analyses))
    kinds = [f"in {s.unit}".replace("%", "percent") if s.unit else "plain numbers" for s in scorings]
    units = ", ".join(f"{s.score}s are {kind}" for s, kind in zip(scorings, kinds, strict=True))
    units = units or "scores are in the unit of their task"
    score = " or ".join(s.score for s in scorings) or "score"
    return BASIS.format(units=units[0].upper() + units[1:], score=score)


def score(run: StoredRun, measure: str) -> float | None:
    """One of MEASURES of a run; None where there is no finite number."""
    part, when = measure.split("_")
    value = (run.result[when] or {}).get(f"{part}_{Scoring.of(run.result).score}")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def sample(group: Group, measure: str) -> dict[str, float]:
    """A score of all runs of a group."""
    values = {block: score(run, measure) for block, run in group.runs.items()}
    return {block: value for block, value in values.items() if value is not None}


def _row(group: Group, scoring: Scoring) -> Row:
    results = [run.result for run in group.runs.values()]
    published = {result["published_error"] for result in results}
    return Row(
        group=group,
        scoring=scoring,
        depth=fmean(result["depth"] for result in results),
        scores={measure: summarise(sample(group, measure).values()) for measure in MEASURES},
        costs={cost: fmean(known) for cost in COSTS if (known := [r[cost] for r in results if r[cost] is not None])},
        published=published.pop() if len(published) == 1 else None,
        fronts=[],
    )
