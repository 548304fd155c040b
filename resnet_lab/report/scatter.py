"""The data of the scatter plots in report.html, which report.js draws."""

from collections.abc import Sequence
from typing import Any

from resnet_lab.report.analysis import COSTS, MEASURE, MEASURES, Analysis, Row, interval, labels


def scatter(analyses: Sequence[Analysis]) -> dict[str, Any]:
    """Return the scores, the axes shown first, and for each comparison its axes, largest possible score and points."""
    comparisons = {}
    for analysis in analyses:
        scoring = analysis.comparison.scoring
        comparisons[str(analysis.number)] = {
            "axes": COSTS | {"depth": "depth"} | labels(scoring),
            "most": scoring.most,
            "points": [_point(row) for row in analysis.rows],
        }
    return {"measures": list(MEASURES), "start": ["params", MEASURE], "comparisons": comparisons}


def _point(row: Row) -> dict[str, Any]:
    """Return the data of a group in the scatter plot; scores as [mean, half of the interval, both as text]."""
    scores = {name: [s.mean, s.half, interval(s, row.scoring)] for name, s in row.scores.items() if s}
    costs = {name: [value, None] for name, value in row.costs.items()}
    return {"label": row.group.label, "n": len(row.group.runs), "depth": [row.depth, None]} | scores | costs
