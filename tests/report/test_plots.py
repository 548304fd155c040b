"""The figures of a report: plain tick labels, and lines that differ by more than their colour."""

import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from runs import write

from resnet_lab.report.analysis import Analysis, analyse
from resnet_lab.report.collect import collect
from resnet_lab.report.comparison import compare
from resnet_lab.report.figures import plots
from resnet_lab.report.figures.scales import plain
from resnet_lab.report.figures.style import MARKERS
from resnet_lab.report.question import Question
from resnet_lab.text import literal_text

PERCENT = {"name": "classification", "score": "error", "unit": "%", "most": 100.0, "figures": []}
UNBOUNDED = PERCENT | {"unit": "px", "most": None}
NARROW, WIDE = [5.0, 5.5, 6.0, 6.5], [0.3, 4.0, 50.0, 90.0]


def analysis(path: Path, scores: list[float], task: dict[str, Any]) -> Analysis:
    """Four groups with two axes, whose costs and scores span powers of ten."""
    for i, score in enumerate(scores):
        for seed in (0, 1):
            axes = {"units": [3 + i % 2], "shortcut": ("none", "projection")[i // 2]}
            history = [{"epoch": epoch, "train/error": score, "val/error": score * 9 / epoch} for epoch in (1, 2, 3)]
            costs = {"params": 10 ** (3 + 2 * i), "macs": 10**6 + i, "seconds": 10.0 ** (2 * i)}
            write(path / f"{i}{seed}", seed, score + seed / 9, axes=axes, task=task, history=history, **costs)
    [comparison] = compare(collect([path]).done)
    return analyse(1, comparison, Question())


def tick_labels(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    ticks = [tick.get_text() for axis in axes for tick in axis.get_ticklabels(which="both")]
    return [text for text in ticks + [axis.get_offset_text().get_text() for axis in axes] if text]


@pytest.mark.parametrize("scores", [NARROW, WIDE, [score * 1e6 for score in WIDE]])
@pytest.mark.parametrize("task", [PERCENT, UNBOUNDED])
def test_tick_labels_are_plain(tmp_path: Path, scores: list[float], task: dict[str, Any]):
    if task is PERCENT:
        scores = [min(score, 100.0) for score in scores]
    with literal_text():
        drawn = plots.figures(analysis(tmp_path, scores, task))
        assert set(drawn) == {*plots.NAMES} - {"population"}
        for name, figure in drawn.items():
            labels = tick_labels(figure)
            assert len(labels) > 4, name
            assert not [text for text in labels if set(text) & set("$\\^{")], name
    assert {"1k", "100k"} <= set(tick_labels(drawn["costs"]))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.05, "0.05"), (100, "100"), (1000, "1k"), (2.5e4, "25k"), (1e6, "1M"), (3e9, "3G"), (-2000, "-2k")],
)
def test_ticks_are_short(value: float, shown: str):
    assert plain(value) == shown


def test_curves_differ_by_marker_as_well_as_colour(tmp_path: Path):
    ax, *_ = plots.figures(analysis(tmp_path, NARROW, PERCENT))["curves"].axes
    solid = [line for line in ax.get_lines() if line.get_linestyle() == "-" and len(line.get_xdata()) > 1]  # type: ignore[arg-type]
    assert len(solid) == len(NARROW)
    assert len({line.get_marker() for line in solid}) == len(NARROW)
    assert len({line.get_color() for line in solid}) == len(NARROW)


def test_lines_over_an_axis_differ_by_dashes(tmp_path: Path):
    for ax in plots.figures(analysis(tmp_path, NARROW, PERCENT))["axes"].axes:
        lines = [line for line in ax.get_lines() if isinstance(line, Line2D) and line.get_marker() in MARKERS]
        assert len({line.get_linestyle() for line in lines}) == len(lines) == math.isqrt(len(NARROW))
