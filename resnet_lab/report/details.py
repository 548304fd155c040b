"""Tables of details: what the scores of a population depend on, and further scores of the test at the last epoch.

The latter are as the task stored them: balanced and top-5 errors, errors by class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from resnet_lab.report.analysis import TEST, Analysis, interval
from resnet_lab.report.comparison import Group
from resnet_lab.report.statistics.summary import Summary, summarise
from resnet_lab.report.words import p_value

MANY = 12  # scores of one kind, such as classes; of more, only those with the largest means over all groups are shown

Details = dict[str, Summary]  # by name, as balanced_error or class_errors.cat


@dataclass(frozen=True, slots=True)
class DetailTable:
    """Rows with a cell for each heading."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    left_out: int = 0  # scores that are in report.json only


def detail_tables(analysis: Analysis) -> list[DetailTable]:
    """Return the tables that have something to show."""
    return [table for table in (_settings(analysis), _scores(analysis)) if table]


def details(group: Group) -> Details:
    """Summarise each further score over the runs of a group that have it."""
    values: dict[str, list[float]] = {}
    for run in group.runs.values():
        for name, value in _flat(run.result["test"]["last"]).items():
            values.setdefault(name, []).append(value)
    return {name: summary for name, own in values.items() if (summary := summarise(own))}


def _settings(analysis: Analysis) -> DetailTable | None:
    """Return the dependence of a population's scores on each setting; None if the groups are no population."""
    if not (found := analysis.population) or not found.settings:
        return None
    shares = found.importance.shares if found.importance else {}
    rows = [
        [
            one.name,
            "" if one.correlation is None else f"{one.correlation:.2f}",
            p_value(one.p).removeprefix("p ").removeprefix("= "),
            f"{100 * shares[one.name]:.0f} %" if shares else "not given",
            one.best,
            one.everyone,
        ]
        for one in found.settings
    ]
    headings = ["setting", "rank correlation", "p (Holm)", "importance", "best tenth", "all"]
    return DetailTable("What the scores depend on", headings, rows)


def _scores(analysis: Analysis) -> DetailTable | None:
    """Return the details of the groups whose test is shown, the largest ones of each kind; None if there are none."""
    scoring = analysis.comparison.scoring
    found = {row.group.label: details(row.group) for row in analysis.rows if analysis.shows(row, TEST)}
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    shown: list[str] = []
    for kind in dict.fromkeys(name.partition(".")[0] for name in names):
        own = [name for name in names if name.partition(".")[0] == kind]
        mean = {name: fmean(d[name].mean for d in found.values() if name in d) for name in own}
        largest = set(sorted(own, key=lambda name: -mean[name])[:MANY])
        shown += [name for name in own if name in largest]
    if not names:
        return None
    cells = [[label, *(interval(own.get(name), scoring) for name in shown)] for label, own in found.items()]
    headings = ["group", *(name.partition(".")[2] or name.replace("_", " ") for name in shown)]
    return DetailTable("Test at the last epoch, in detail", headings, cells, len(names) - len(shown))


def _flat(scores: Mapping[str, object]) -> dict[str, float]:
    """Return numbers by name; those of a mapping, such as classes, by `name.key`."""
    flat: dict[str, float] = {}
    for name, value in scores.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": own for key, own in _flat(value).items()}
        elif isinstance(value, int | float):
            flat[name] = float(value)
    return flat
