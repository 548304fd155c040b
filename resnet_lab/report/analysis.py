"""A comparison in numbers: the source of all tables, figures and pages.

Groups are compared by a score at the last epoch, so no epoch is selected: by the validation score where the runs have
one, since the lowest of many test scores is too optimistic; otherwise, and for the protocol of papers, by the test
score. The best epoch is the one with the lowest validation score: the selection biases the validation score there, but
not the test score.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from resnet_lab.config.published import Published, published, recipe_differences
from resnet_lab.config.tasks import Scoring
from resnet_lab.report.comparison import Comparison, Group
from resnet_lab.report.image_noise import ImageNoise, image_noise
from resnet_lab.report.question import Question
from resnet_lab.report.scale import Scale
from resnet_lab.report.setting import Line, setting
from resnet_lab.report.spent import Reached, reached
from resnet_lab.report.statistics.effects import Effect, Interaction, effects, interactions
from resnet_lab.report.statistics.means import Means, estimate
from resnet_lab.report.statistics.population import Population, population
from resnet_lab.report.statistics.procedures import Difference, all_pairs, with_baseline, with_best
from resnet_lab.report.statistics.scaling import PowerLaw, power_law
from resnet_lab.report.statistics.summary import Summary, front, summarise
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import visible

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
MOST_INTERACTING = 200  # groups; tests of interactions of more take long


@dataclass(slots=True)
class Row:
    """One group: its scores, means of its costs and wall times over its runs, and the costs of its Pareto fronts."""

    group: Group
    scoring: Scoring
    depth: float
    scores: dict[str, Summary | None]
    costs: dict[str, float]
    wall: dict[str, float]  # seconds by what a run spends them on; {} if no run has recorded it
    paper: Published | None  # the published result for this network on this data
    otherwise: list[str]  # how the runs' recipe differs from the published one
    fronts: list[str]

    @property
    def published(self) -> float | None:
        """The published score, if it is for the same recipe: like is compared with like."""
        return self.paper.error if self.paper and not self.otherwise else None


@dataclass(slots=True)
class Analysis:
    """One comparison in numbers; `number` starts at 1."""

    number: int
    comparison: Comparison
    measure: str  # TEST or VALIDATION
    rows: list[Row]
    best: Row | None  # the row with the lowest mean; None if no row has a score
    setting: list[Line]
    scale: Scale
    margin: float | None  # on the scale
    means: Means  # on the scale, of the groups with at least two runs
    baseline: str | None  # the label of the group that others are compared with, instead of the best
    differences: list[Difference]  # of groups from the best, or from the baseline
    pairs: list[Difference]  # if asked for
    effects: list[Effect]
    interactions: list[Interaction]
    images: ImageNoise | None  # if runs have stored their predictions
    reached: dict[str, Reached]  # the target, by group; empty unless asked for
    target: float | None
    laws: list[PowerLaw]
    population: Population | None  # of many groups

    def shows(self, row: Row, measure: str) -> bool:
        """Return whether to show one of MEASURES: test scores of all rows, or only of the one chosen by validation."""
        return self.measure == TEST or row is self.best or not measure.startswith("test")

    def difference(self, row: Row) -> Difference | None:
        """Return the difference of a row's group from the best, or from the baseline."""
        return next((d for d in self.differences if d.group == row.group.label), None)


def analyse(number: int, comparison: Comparison, question: Question, directories: Sequence[Path] = ()) -> Analysis:
    """Compute the numbers of a comparison: by validation scores, if there are any and not `by_test`, or test scores.

    Runs under different `directories` are different populations.
    """
    rows = [_row(group, comparison.scoring) for group in comparison.groups]
    measure = VALIDATION if any(row.scores[VALIDATION] for row in rows) and not question.by_test else TEST
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
    scale = _scale(comparison, measure, question.log)
    groups = {group.label: group for group in comparison.groups}
    estimates = estimate({name: _transformed(group, measure, scale) for name, group in groups.items()})
    baseline = question.baseline_of(groups)
    if baseline is not None and baseline not in estimates.names:
        note = f"{baseline} has too few runs to be a baseline: groups are compared with the best"
        comparison, baseline = replace(comparison, notes=[*comparison.notes, note]), None
    fields = [groups[name].fields for name in estimates.names]
    ranked = [row.group for _, row in sorted(means, key=lambda pair: pair[0])]
    return Analysis(
        number=number,
        comparison=comparison,
        measure=measure,
        rows=rows,
        best=min(means, key=lambda pair: pair[0])[1] if means else None,
        setting=setting((run for group in comparison.groups for run in group.runs.values()), comparison.axes),
        scale=scale,
        margin=question.margin_on(scale),
        means=estimates,
        baseline=baseline,
        differences=with_best(estimates) if baseline is None else with_baseline(estimates, baseline),
        pairs=all_pairs(estimates) if question.pairs else [],
        effects=effects(fields, estimates),
        interactions=interactions(fields, estimates) if len(fields) <= MOST_INTERACTING else [],
        images=image_noise(ranked, measure),
        reached={group.label: _reached(group, question.target) for group in ranked}
        if question.target is not None
        else {},
        target=question.target,
        laws=_laws(rows, measure),
        population=_population(rows, measure, directories),
    )


def _reached(group: Group, target: float) -> Reached:
    runs = [*group.runs.values()]
    return reached(runs, Scoring.of(runs[0].result).score, target)


def _laws(rows: list[Row], measure: str) -> list[PowerLaw]:
    """Fit the mean scores of the groups over parameters and MACs, and over epochs where these are an axis."""
    known = [(row, summary.mean) for row in rows if (summary := row.scores[measure])]
    scores = [mean for _, mean in known]
    sizes = {name: [row.costs[name] for row, _ in known] for name in ("params", "macs")}
    if all("trainer.max_epochs" in row.group.fields for row in rows):
        sizes["trainer.max_epochs"] = [row.group.fields["trainer.max_epochs"] for row, _ in known]
    return [law for name, own in sizes.items() if (law := power_law(COSTS.get(name, name), own, scores))]


def _population(rows: list[Row], measure: str, directories: Sequence[Path]) -> Population | None:
    known = [(row.group, summary.mean) for row in rows if (summary := row.scores[measure])]
    spaces: dict[str, list[float]] = {}
    for group, mean in known:
        path = next(iter(group.runs.values())).path
        inside = [folder for folder in directories if path.is_relative_to(folder.resolve())]
        spaces.setdefault(visible(str(inside[0])) if inside else "all", []).append(mean)
    ended = [max(run.changed for run in group.runs.values()) for group, _ in known]
    return population([group.fields for group, _ in known], [mean for _, mean in known], spaces, ended)


def _scale(comparison: Comparison, measure: str, logarithmic: bool) -> Scale:
    runs = [run for group in comparison.groups for run in group.runs.values()]
    part = {"test": "test", "val": "validation"}[measure.partition("_")[0]]
    images = (runs[0].result["images"].get("images") or {}).get(part)
    scores = [value for run in runs if (value := score(run, measure)) is not None]
    return Scale.of(comparison.scoring, logarithmic, scores, images)


def _transformed(group: Group, measure: str, scale: Scale) -> list[tuple[str, float]]:
    return [(group.blocks[key], scale.transform(value)) for key, value in sample(group, measure).items()]


def labels(scoring: Scoring) -> dict[str, str]:
    """Return the axis labels of MEASURES for a task."""
    return {measure: scoring.label(title.format(score=scoring.score)) for measure, title in MEASURES.items()}


def score(run: StoredRun, measure: str, prefix: str = "") -> float | None:
    """Return one of MEASURES for a run, with "ema_" of its averaged weights; None if it is not a finite number."""
    part, when = measure.split("_")
    value = (run.result[when] or {}).get(f"{part}_{prefix}{Scoring.of(run.result).score}")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def sample(group: Group, measure: str) -> dict[str, float]:
    """Return one of MEASURES for all runs of a group that have it."""
    values = {block: score(run, measure) for block, run in group.runs.items()}
    return {block: value for block, value in values.items() if value is not None}


def interval(summary: Summary | None, scoring: Scoring) -> str:
    """Format a mean with its interval, if any."""
    return " ± ".join(scoring.number(v) for v in (summary.mean, summary.half) if v is not None) if summary else ""


def _row(group: Group, scoring: Scoring) -> Row:
    configs = [run.config for run in group.runs.values()]
    results = [run.result for run in group.runs.values()]
    papers = {published(config) for config in configs}
    paper = papers.pop() if len(papers) == 1 else None
    walls = [result["wall"] for result in results if result["wall"]]
    return Row(
        group=group,
        scoring=scoring,
        depth=fmean(result["depth"] for result in results),
        scores={measure: summarise(sample(group, measure).values()) for measure in MEASURES},
        costs={cost: fmean(known) for cost in COSTS if (known := [r[cost] for r in results if r[cost] is not None])},
        wall={part: fmean(wall.get(part, 0.0) for wall in walls) for part in (walls[0] if walls else ())},
        paper=paper,
        otherwise=recipe_differences(configs[0], paper) if paper else [],
        fronts=[],
    )
