"""A comparison in numbers: the source of all tables, figures and pages.

Groups are compared by a score at the last epoch, so no epoch is selected: by the validation score where the runs have
one, since the lowest of many test scores is too optimistic; otherwise, and for the protocol of papers, by the test
score. The best epoch is the one with the lowest validation score: the selection biases the validation score there, but
not the test score.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.comparison import Comparison, Group
from resnet_lab.report.statistics import Difference, Summary, differences, front, summarise
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import shares

TEST, VALIDATION = "test_last", "val_last"  # the ones that groups can be compared by
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
    "{units}, as mean ± half the width of the 95 % interval (Student's t) over seeds. Groups are compared at the last "
    "epoch, so no epoch is selected. The best epoch is the one with the lowest validation {score}. "
    "Differences: paired t-test on the seeds that both groups have, if there are at least two, otherwise Welch's "
    "t-test; p values are corrected by Holm's method over all testable pairs of a comparison; ± is half the width of "
    "the uncorrected 95 % interval. Seconds and memory are means, and depend on what else the machine runs."
)
MANY = 8  # groups; if there are more, only the pairs with the best group are listed


@dataclass(slots=True)
class Row:
    """One group: its scores, means of its costs and wall times over its runs, and the costs of its Pareto fronts."""

    group: Group
    scoring: Scoring
    depth: float
    scores: dict[str, Summary | None]
    costs: dict[str, float]
    wall: dict[str, float]  # seconds by what a run spends them on; {} if no run has recorded it
    published: float | None
    fronts: list[str]


@dataclass(slots=True)
class Analysis:
    """One comparison in numbers; `number` starts at 1."""

    number: int
    comparison: Comparison
    measure: str  # TEST or VALIDATION
    rows: list[Row]
    best: Row | None  # the row with the lowest mean; None if no row has a score
    differences: list[Difference]

    def shows(self, row: Row, measure: str) -> bool:
        """Return whether to show one of MEASURES: test scores of all rows, or only of the one chosen by validation."""
        return self.measure == TEST or row is self.best or not measure.startswith("test")

    @property
    def listed(self) -> list[Difference]:
        """All pairs, or with more than MANY groups those with the best one; the most significant first."""
        best = self.best.group.label if self.best and len(self.rows) > MANY else None
        pairs = [d for d in self.differences if best in (None, d.better, d.worse)]
        return sorted(pairs, key=lambda d: math.inf if d.p is None else d.p)

    def sentences(self) -> list[str]:
        """What was compared, and the results, one sentence each."""
        alone = [r.group.label for r in self.rows if (s := r.scores[self.measure]) is None or s.n < 2]
        said = [self._compared(), *self._chosen()]
        said += [d.words(self.comparison.scoring) for d in self.listed]
        if len(self.listed) < len(self.differences):
            real = sum(d.real for d in self.differences)
            found = f"{real} of {len(self.differences)} pairs are distinguishable"
            said.append(f"{found}; only the pairs with the best group are listed")
        if alone and len(self.rows) > 1:
            said.append(f"no test is possible with fewer than 2 seeds: {', '.join(alone)}")
        if walls := [row.wall for row in self.rows if row.wall]:
            wall = {part: fmean(each[part] for each in walls if part in each) for part in walls[0]}
            said.append(f"wall time of a run: {sum(wall.values()):.0f} s on average ({shares(wall)})")
        return said

    def _compared(self) -> str:
        score = self.comparison.scoring.score
        if self.measure == TEST:
            return f"compared by the test {score} at the last epoch"
        others = f"--by-test compares all groups by the test {score} instead"
        return f"compared by the validation {score} at the last epoch; {others}"

    def _chosen(self) -> list[str]:
        """Name the group chosen by validation, with its test score."""
        if self.measure == TEST or self.best is None or len(self.rows) < 2:
            return []
        scoring = self.comparison.scoring
        shown = (interval(self.best.scores[m], scoring) for m in (VALIDATION, TEST))
        validation, test = (f"{value} {scoring.unit}".rstrip() if value else "unknown" for value in shown)
        name = f"{scoring.score} of {self.best.group.label}"
        return [f"the validation {name} is the lowest, {validation}; its test {scoring.score} is {test}"]


def analyse(number: int, comparison: Comparison, by_test: bool = False) -> Analysis:
    """Compute the numbers of a comparison: by validation scores, if there are any and not `by_test`, or test scores."""
    rows = [_row(group, comparison.scoring) for group in comparison.groups]
    measure = VALIDATION if any(row.scores[VALIDATION] for row in rows) and not by_test else TEST
    means = [(summary.mean, row) for row in rows if (summary := row.scores[measure])]
    for cost in COSTS if len(rows) > 1 else ():
        points = {
            row.group.label: (row.costs[cost], summary.mean)
            for row in rows
            if cost in row.costs and (summary := row.scores[measure])
        }
        on_front = set(front(points))
        for row in rows:
            if row.group.label in on_front:
                row.fronts.append(cost)
    samples = {group.label: sample(group, measure) for group in comparison.groups}
    unit = "seeds" if comparison.one_architecture else "runs"
    best = min(means, key=lambda pair: pair[0])[1] if means else None
    return Analysis(number, comparison, measure, rows, best, differences(samples, unit))


def labels(scoring: Scoring) -> dict[str, str]:
    """Return the axis labels of MEASURES for a task."""
    return {measure: scoring.label(title.format(score=scoring.score)) for measure, title in MEASURES.items()}


def basis(analyses: Iterable[Analysis]) -> str:
    """Return the text that explains the numbers of a report."""
    scorings = list(dict.fromkeys(analysis.comparison.scoring for analysis in analyses))
    kinds = [f"in {s.unit}".replace("%", "percent") if s.unit else "plain numbers" for s in scorings]
    units = ", ".join(f"{s.score}s are {kind}" for s, kind in zip(scorings, kinds, strict=True))
    units = units or "scores are in the unit of their task"
    score = " or ".join(s.score for s in scorings) or "score"
    return BASIS.format(units=units[0].upper() + units[1:], score=score)


def score(run: StoredRun, measure: str) -> float | None:
    """Return one of MEASURES for a run; None if it is not a finite number."""
    part, when = measure.split("_")
    value = (run.result[when] or {}).get(f"{part}_{Scoring.of(run.result).score}")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def sample(group: Group, measure: str) -> dict[str, float]:
    """Return one of MEASURES for all runs of a group that have it."""
    values = {block: score(run, measure) for block, run in group.runs.items()}
    return {block: value for block, value in values.items() if value is not None}


def interval(summary: Summary | None, scoring: Scoring) -> str:
    """Format a mean with its interval, if any."""
    return " ± ".join(scoring.number(v) for v in (summary.mean, summary.half) if v is not None) if summary else ""


def _row(group: Group, scoring: Scoring) -> Row:
    results = [run.result for run in group.runs.values()]
    published = {result["published_error"] for result in results}
    walls = [result["wall"] for result in results if result["wall"]]
    return Row(
        group=group,
        scoring=scoring,
        depth=fmean(result["depth"] for result in results),
        scores={measure: summarise(sample(group, measure).values()) for measure in MEASURES},
        costs={cost: fmean(known) for cost in COSTS if (known := [r[cost] for r in results if r[cost] is not None])},
        wall={part: fmean(wall.get(part, 0.0) for wall in walls) for part in (walls[0] if walls else ())},
        published=published.pop() if len(published) == 1 else None,
        fronts=[],
    )
