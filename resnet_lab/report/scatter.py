"""The data of the scatter plots in report.html, which report.js draws."""

from collections.abc import Sequence
from typing import Any

from resnet_lab.report.analysis import COSTS, MEASURES, Analysis, Row, interval, labels


def scatter(analyses: Sequence[Analysis]) -> dict[str, Any]:
    """Return the scores, and for each comparison its axes, those shown first, largest possible score and points."""
    comparisons = {}
    for analysis in analyses:
        scoring = analysis.comparison.scoring
        comparisons[str(analysis.number)] = {
            "axes": COSTS | {"depth": "depth"} | labels(scoring),
            "start": ["params", analysis.measure],
            "most": scoring.most,
            "points": [_point(analysis, row) for row in analysis.rows],
        }
    return {"measures": list(MEASURES), "comparisons": comparisons}


def _point(analysis: Analysis, row: Row) -> dict[str, Any]:
    """Return the data of a group in the scatter plot; scores as [mean, half of the interval, both as text]."""
    own = {name: summary for name, summary in row.scores.items() if summary and analysis.shows(row, name)}
    scores = {name: [s.mean, s.half, interval(s, row.scoring)] for name, s in own.items()}
    costs = {name: [value, None] for name, value in row.costs.items()}
    return {"label": row.group.label, "n": len(row.group.runs), "depth": [row.depth, None]} | scores | costs
