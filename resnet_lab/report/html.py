"""One self-contained page: all tables, figures and numbers in a single file that works offline."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resnet_lab.page import render
from resnet_lab.report.analysis import COSTS, MEASURE, MEASURES, Analysis, Row, basis, titles
from resnet_lab.report.collect import Collected
from resnet_lab.report.tables import cells, headings, interval, link, spread, troubles


def page(found: Collected, analyses: Sequence[Analysis], figures: Sequence[Path], out: Path) -> bytes:
    """Return the content of report.html, to be written to `out`."""

    def links(row: Row) -> Iterator[tuple[str, str]]:
        return ((block.removeprefix("seed="), link(run.path, out)) for block, run in row.group.runs.items())

    data = {
        "measures": list(MEASURES),
        "start": ["params", MEASURE],
        "comparisons": {str(analysis.number): _scatter(analysis) for analysis in analyses},
    }
    return render(
        "report/report.html",
        basis=basis(analyses),
        headings=headings,
        analyses=analyses,
        cells=_cells,
        links=links,
        figures={analysis.number: _drawings(analysis, figures) for analysis in analyses},
        troubles=troubles(found, analyses),
        data=data,
    )


def _scatter(analysis: Analysis) -> dict[str, Any]:
    """Return the titles of the axes, the largest possible score, and a point for each group."""
    scoring = analysis.comparison.scoring
    measures = {name: scoring.label(title) for name, title in titles(scoring).items()}
    points = [_point(row) for row in analysis.rows]
    return {"axes": COSTS | {"depth": "depth"} | measures, "most": scoring.most, "points": points}


def _point(row: Row) -> dict[str, Any]:
    """Return the data of a group in the scatter plot; scores as [mean, half of the interval, both as text]."""
    scores = {name: [s.mean, s.half, interval(s, row.scoring)] for name, s in row.scores.items() if s}
    return (
        {"label": row.group.label, "n": len(row.group.runs), "depth": [row.depth, None]}
        | scores
        | {name: [value, None] for name, value in row.costs.items()}
    )


def _cells(row: Row) -> Iterator[tuple[str, float | None]]:
    """Yield the cells in the order of HEADINGS, each with the number that it is sorted by, if any."""
    first, *others = [summary.mean if summary else None for summary in row.scores.values()]
    costs = [row.costs.get(cost) for cost in COSTS]
    keys = [None, len(row.group.runs), first, *spread(row), *others, row.published, row.depth, *costs, None]
    return zip(cells(row), keys, strict=True)


def _drawings(analysis: Analysis, figures: Sequence[Path]) -> list[Path]:
    return [file for file in figures if file.stem.endswith(f"-{analysis.number}") and file.suffix == ".svg"]
