"""What report.html shows of a comparison: the columns of its table, and the data that its scripts read."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from resnet_lab.report.analysis import COSTS, MEASURES, Analysis, Row, interval, labels, score
from resnet_lab.report.tables import heading_of_difference, to_other
from resnet_lab.report.values import Value, is_number, text
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import short_number

NUMBERS = 200_000  # of all learning curves together, which keeps the page below 5 MB
MOST_EPOCHS, FEWEST_EPOCHS = 100, 10  # of a learning curve
HIDDEN = ("median", "test_best", "val_best", "activations", "front")  # columns that the page shows on request only

Settings = dict[str, str]
Cell = tuple[float | str | None, str]


@dataclass(frozen=True)
class Column:
    """A column of the table, with a cell for each row: its value, by which it is sorted, and its text."""

    name: str  # in filters
    title: str  # heading, with the unit
    kind: str  # axis, score, cost or other
    cells: list[Cell]

    @cached_property  # the page asks for it with every cell
    def numeric(self) -> bool:
        return all(isinstance(value, int | float) for value, _ in self.cells if value is not None)

    @property
    def hidden(self) -> bool:
        return self.name in HIDDEN


def ranked(analysis: Analysis) -> list[Row]:
    """Return the rows in the order of their mean scores; those without one come last."""
    return sorted(analysis.rows, key=lambda row: s.mean if (s := row.scores[analysis.measure]) else math.inf)


def columns(analysis: Analysis) -> list[Column]:
    """Return the columns that have a value: one for each axis, the scores, and the costs; rows as in `ranked`."""
    scoring, measure, rows = analysis.comparison.scoring, analysis.measure, ranked(analysis)
    own = [row.scores[measure] for row in rows]

    def scored(values: Iterable[float | None]) -> list[Cell]:
        return [(value, "" if value is None else scoring.number(value)) for value in values]

    def means(name: str) -> list[Cell]:
        shown = [row.scores[name] if analysis.shows(row, name) else None for row in rows]
        return [(summary.mean if summary else None, interval(summary, scoring)) for summary in shown]

    def costs(name: str) -> list[Cell]:
        return [(value, short_number(value)) for value in (row.costs.get(name) for row in rows)]

    differences: list[Cell] = [(value, shown) for shown, value in (to_other(analysis, row) for row in rows)]
    scores = [Column(name, title, "score", means(name)) for name, title in labels(scoring).items()]
    made = [
        *_axes(rows),
        *(column for column in scores if column.name == measure),
        Column("difference", heading_of_difference(analysis), "other", differences),
        Column("n", "n", "other", [(s.n, str(s.n)) if s else (0, "0") for s in own]),
        Column("std", scoring.label("sd"), "other", scored(s.std if s else None for s in own)),
        Column("median", scoring.label("median"), "other", scored(s.median if s else None for s in own)),
        *(column for column in scores if column.name != measure),
        Column("published", scoring.label("published"), "other", scored(row.published for row in rows)),
        *(Column(name, title, "cost", costs(name)) for name, title in COSTS.items()),
        Column("depth", "depth (layers)", "cost", [(row.depth, f"{row.depth:g}") for row in rows]),
        Column("front", "front", "other", [(on or None, on) for on in (", ".join(row.fronts) for row in rows)]),
    ]
    return [column for column in made if any(value is not None for value, _ in column.cells)]


def page_data(analyses: Sequence[Analysis], tables: dict[int, list[Column]]) -> dict[str, Any]:
    """Return what the scripts read: for each comparison its columns, groups, runs, learning curves and settings."""
    runs = sum(len(row.group.runs) for analysis in analyses for row in analysis.rows)
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, NUMBERS // max(1, 2 * runs)))
    return {"comparisons": {str(a.number): _comparison(a, tables[a.number], epochs) for a in analyses}}


def _comparison(analysis: Analysis, table: Sequence[Column], epochs: int) -> dict[str, Any]:
    rows = ranked(analysis)
    runs = [[_settings(run) for run in row.group.runs.values()] for row in rows]
    groups = [_common(own) for own in runs]
    shared = _common(groups)
    return {
        "measure": analysis.measure,
        "score": analysis.comparison.scoring.score,
        "unit": analysis.comparison.scoring.unit,
        "most": analysis.comparison.scoring.most,
        "columns": [{"name": c.name, "title": c.title, "kind": c.kind, "numeric": c.numeric} for c in table],
        "settings": shared,
        "groups": [
            {
                "label": row.group.label,
                "values": [_rounded(column.cells[i][0], 6) for column in table],
                "halves": {
                    name: _rounded(s.half, 6) for name, s in row.scores.items() if s and analysis.shows(row, name)
                },
                "settings": _without(groups[i], shared),
                "runs": [
                    _run(analysis, row, block, run, epochs) | {"settings": _without(own, groups[i])}
                    for (block, run), own in zip(row.group.runs.items(), runs[i], strict=True)
                ],
            }
            for i, row in enumerate(rows)
        ],
    }


def _run(analysis: Analysis, row: Row, block: str, run: StoredRun, epochs: int) -> dict[str, Any]:
    """Return a run's scores, as far as its group shows them, costs, and learning curves of up to `epochs` numbers."""
    history = run.result["history"]
    name = analysis.comparison.scoring.score
    curves = {part: [record.get(f"{part}/{name}") for record in history] for part in ("train", "val")}
    return {
        "name": block,
        "scores": {m: _rounded(score(run, m), 6) for m in MEASURES if analysis.shows(row, m)},
        "costs": {cost: _rounded(run.result[cost], 6) for cost in ("seconds", "peak_memory")},  # those that vary
        "epochs": len(history),
        "curves": {part: [_rounded(value, 4) for value in _thinned(curve, epochs)] for part, curve in curves.items()},
    }


def _axes(rows: Sequence[Row]) -> list[Column]:
    """Return a column for each axis; one with the names of the groups if there is none."""
    names = list(dict.fromkeys(name for row in rows for name in row.group.fields))
    axes = [Column(name, name, "axis", [_axis(row.group.fields[name]) for row in rows]) for name in names]
    return axes or [Column("group", "group", "axis", [(row.group.label, row.group.label) for row in rows])]


def _axis(value: Value) -> Cell:
    return value if is_number(value) else text(value), text(value)


def _settings(run: StoredRun) -> Settings:
    """Return the settings that affect the result of a run, and what it ran on, as text."""
    settings = run.settings | {name: run.result[name] for name in ("device", "precision")}
    return {name: text(tuple(value) if isinstance(value, list) else value) for name, value in settings.items()}


def _common(several: Sequence[Settings]) -> Settings:
    first, *others = several
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _without(settings: Settings, shared: Settings) -> Settings:
    return {name: value for name, value in settings.items() if name not in shared}


def _thinned(values: list[Any], most: int) -> list[Any]:
    """Return up to `most` values at equal distances, with the first and the last one; web/runs.js relies on this."""
    last = len(values) - 1
    return values if last < most else [values[i * last // (most - 1)] for i in range(most)]


def _rounded(value: Any, digits: int) -> Any:
    """Return a number with that many significant digits, whole ones as they are; None if it is not finite."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.{digits}g}")
