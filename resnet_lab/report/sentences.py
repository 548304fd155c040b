"""The sentences under a comparison's table: what was compared, and the results."""

import math
from collections.abc import Iterable
from statistics import fmean

from resnet_lab.report import findings, words
from resnet_lab.report.analysis import MOST_INTERACTING, TEST, VALIDATION, Analysis, interval
from resnet_lab.text import first_few, plural, shares, worded

MANY = 8  # groups or pairs; of more, the sentences say how many differ, and the table or pairs.csv has each
SIZES = (0.1, 0.3, 1.0)  # points, for which the power is given; for other units than %, hundredths of the lowest mean
MOST_PUBLISHED = 2  # sentences
RATIOS = (1.03, 1.1, 1.3)  # on the logarithmic scale

BASIS = (
    "{units}, as mean ± half the width of the 95 % interval (Student's t) over runs; ± shows the noise of seeds, not "
    "that of a small test set. Groups are compared at the last epoch, so no epoch is selected. The best epoch is the "
    "one with the lowest validation {score}. {procedure} Each group has its own variance (Welch-Satterthwaite); splits "
    "of the data are blocks. The intervals of a comparison hold together with at least 95 % confidence. Seconds and "
    "memory are means, and depend on what else the machine runs."
)
PROCEDURES = {
    "best": "Groups are compared with the best (Hsu; Holm's method over the groups, since several may be the best).",
    "baseline": "Groups are compared with the baseline (Dunnett, two-sided).",
}
ALL_PAIRS = "All pairs are compared as by Games and Howell."


def basis(analyses: Iterable[Analysis]) -> str:
    """Return the text that explains the numbers of a report."""
    analyses = list(analyses)
    scorings = list(dict.fromkeys(analysis.comparison.scoring for analysis in analyses))
    kinds = [f"in {s.unit}".replace("%", "percent") if s.unit else "plain numbers" for s in scorings]
    units = ", ".join(f"{s.score}s are {kind}" for s, kind in zip(scorings, kinds, strict=True))
    units = units or "scores are in the unit of their task"
    score = " or ".join(s.score for s in scorings) or "score"
    with_baselines = {"best" if analysis.baseline is None else "baseline" for analysis in analyses}
    procedures = [text for name, text in PROCEDURES.items() if name in with_baselines]
    procedures += [ALL_PAIRS] if any(analysis.pairs for analysis in analyses) else []
    return BASIS.format(units=units[0].upper() + units[1:], score=score, procedure=" ".join(procedures))


def sentences(analysis: Analysis) -> list[str]:
    """What was compared, and the results, one sentence each."""
    grouping = [analysis.comparison.grouping] if analysis.comparison.grouping else []
    said = [_compared(analysis), *grouping, *_chosen(analysis), *_verdicts(analysis), *_untested(analysis)]
    if analysis.target is not None:
        said += findings.target(analysis.reached, analysis.target, analysis.comparison.scoring)
    for found in analysis.effects:
        said += words.effect(found, analysis.scale)
    said += words.interactions(analysis.interactions)
    if len(analysis.effects) > 1 and len(analysis.means.names) > MOST_INTERACTING:
        said.append(f"interactions are not tested among more than {MOST_INTERACTING} groups")
    if analysis.images:
        by_test, dims = analysis.measure == TEST, analysis.comparison.dims
        noise = findings.image_noise(analysis.images, analysis.comparison.scoring, by_test)
        said += [worded(sentence, dims) for sentence in noise]
    if analysis.population:
        said += findings.population(analysis.population, analysis.comparison.scoring)
    said += findings.power_laws(analysis.laws, analysis.comparison.scoring)
    said += words.power(analysis.means, analysis.scale, _sizes(analysis))
    said += words.caveats(analysis.means, analysis.scale)
    said += _published(analysis)
    if walls := [row.wall for row in analysis.rows if row.wall]:
        wall = {part: fmean(each[part] for each in walls if part in each) for part in walls[0]}
        said.append(f"wall time of a run: {sum(wall.values()):.0f} s on average ({shares(wall)})")
    return said


def _untested(analysis: Analysis) -> list[str]:
    """Name the groups that cannot be compared, and why."""
    untested = [row for row in analysis.rows if row.group.label not in analysis.means.names]
    alone = [row.group.label for row in untested if (s := row.scores[analysis.measure]) is None or s.n < 2]
    apart = [row.group.label for row in untested if row.group.label not in alone]
    why = {"fewer than 2 seeds": alone, "one run in each split, shared with no group": apart}
    if len(analysis.rows) < 2:
        return ["one run has no interval over seeds: train several, as with -m seed=0,1,2"] if alone else []
    return [f"no test is possible with {reason}: {first_few(names)}" for reason, names in why.items() if names]


def _published(analysis: Analysis) -> list[str]:
    """Name published results that are not compared, since they are for another recipe."""
    rows = [(row, row.paper) for row in analysis.rows if row.paper and row.otherwise]
    said = [
        f"published for {row.group.label}: {analysis.comparison.scoring.text(paper.error)} ({paper.source}, "
        f"{paper.protocol}, recipe={paper.recipe}), not to be compared with these runs: {first_few(row.otherwise)}"
        for row, paper in rows[:MOST_PUBLISHED]
    ]
    more = len(rows) - MOST_PUBLISHED
    others = f"published results of {plural(more, 'more group')} are for other recipes as well"
    return [*said, others] if more > 0 else said


def _verdicts(analysis: Analysis) -> list[str]:
    said = words.against_best(analysis.differences) if analysis.baseline is None else []
    if len(analysis.differences) <= MANY:
        told = [d for d in analysis.differences if d.group != d.other]
        said += [words.difference(d, analysis.scale, analysis.margin) for d in sorted(told, key=lambda d: d.mean)]
    elif analysis.baseline is not None:
        real = [d for d in analysis.differences if d.resolved]
        better = sum(d.high < 0 for d in real)
        said.append(
            f"{better} groups are better than {analysis.baseline}, {len(real) - better} are worse, "
            f"{len(analysis.differences) - len(real)} are unresolved"
        )
    if analysis.margin is not None and len(analysis.differences) > MANY:
        said.append(words.many_within(analysis.differences, analysis.scale, analysis.margin))
    if analysis.pairs:
        real = [d for d in analysis.pairs if d.resolved]
        said.append(f"{len(real)} of {plural(len(analysis.pairs), 'pair')} distinguished; pairs.csv has all")
        if len(analysis.pairs) <= MANY:
            said += [words.difference(d, analysis.scale, analysis.margin) for d in analysis.pairs]
    return said


def _sizes(analysis: Analysis) -> list[float]:
    if analysis.scale.logarithmic:
        return [math.log(ratio) for ratio in RATIOS]
    in_percent = analysis.comparison.scoring.unit == "%"
    unit = 1.0 if in_percent or not len(analysis.means.means) else abs(float(analysis.means.means.min())) / 10
    return [size * unit for size in SIZES if unit]


def _compared(analysis: Analysis) -> str:
    score = analysis.comparison.scoring.score
    if analysis.measure == TEST:
        return f"compared by the test {score} at the last epoch{analysis.scale.compared}"
    others = f"--by-test compares all groups by the test {score} instead"
    return f"compared by the validation {score} at the last epoch{analysis.scale.compared}; {others}"


def _chosen(analysis: Analysis) -> list[str]:
    """Name the group chosen by validation, with its test score."""
    if analysis.measure == TEST or analysis.best is None or len(analysis.rows) < 2:
        return []
    scoring = analysis.comparison.scoring
    shown = (interval(analysis.best.scores[m], scoring) for m in (VALIDATION, TEST))
    validation, test = (f"{value} {scoring.unit}".rstrip() if value else "unknown" for value in shown)
    name = f"{scoring.score} of {analysis.best.group.label}"
    return [f"the validation {name} is the lowest, {validation}; its test {scoring.score} is {test}"]
