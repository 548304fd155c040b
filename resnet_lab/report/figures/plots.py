"""Figures, as PNG, SVG and PDF: score against cost, score by axis, learning curves, and a heat map for two axes.

Lines and points differ by markers and dashes as well as by colours, which colour-blind people can distinguish.
"""

from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.analysis import COSTS, Analysis, Row, labels
from resnet_lab.report.figures.curves import curves
from resnet_lab.report.figures.population import population
from resnet_lab.report.figures.scales import plain_ticks, scale_cost, scale_score
from resnet_lab.report.figures.style import COLOURS, MOST_CURVES, style
from resnet_lab.report.statistics.summary import Summary
from resnet_lab.report.values import label, levels, text
from resnet_lab.text import literal_text

FRONT, POINT = COLOURS[1], COLOURS[0]
MOST_AXES, MOST_LINES, MOST_LABELS, MOST_BARS = 6, 4, 16, 100
NAMES = ("costs", "axes", "curves", "heatmap", "population")
LARGE = 500_000  # bytes of an SVG file
SUFFIXES = (".png", ".svg", ".pdf")

Measured = list[tuple[Row, Summary]]


def remove(folder: Path) -> None:
    """Remove the figures of an earlier report."""
    for name in NAMES:
        for file in folder.glob(f"{name}-*"):
            if file.stem.removeprefix(f"{name}-").isdigit() and file.suffix in SUFFIXES:
                file.unlink()


def draw(analysis: Analysis, folder: Path) -> list[Path]:
    """Save the figures of a comparison; return the PNG files, next to which the same as SVG and PDF lie."""
    files = []
    # For reproducible files, with fonts that can be edited in a PDF.
    with literal_text(), matplotlib.rc_context({"svg.hashsalt": "resnet_lab", "pdf.fonttype": 42}):
        for name, figure in figures(analysis).items():
            folder.mkdir(parents=True, exist_ok=True)
            files.append(folder / f"{name}-{analysis.number}.png")
            figure.savefig(files[-1], dpi=120)
            figure.set_layout_engine("none")  # keeps the layout, which takes half of the time
            figure.savefig(files[-1].with_suffix(".svg"), dpi=120, metadata={"Date": None})
            figure.savefig(files[-1].with_suffix(".pdf"), metadata={"CreationDate": None})
    return files


def smaller(figure: Path) -> Path:
    """Return the SVG file of a PNG file, which stays sharp, unless its points make it large."""
    svg = figure.with_suffix(".svg")
    return svg if svg.stat().st_size < LARGE else figure


def figures(analysis: Analysis) -> dict[str, Figure]:
    """Draw the figures of a comparison by name; none for fewer than two groups with a score."""
    measured = [(row, summary) for row in analysis.rows if (summary := row.scores[analysis.measure])]
    if len(measured) < 2:
        return {}
    names, scoring = analysis.comparison.axes, analysis.comparison.scoring
    axis = labels(scoring)[analysis.measure]
    drawn = {
        "costs": _costs(measured, scoring, axis),
        "axes": _axes(names[:MOST_AXES], measured, scoring, axis),
        "curves": curves(measured, scoring),
    }
    if len(names) == 2:
        drawn["heatmap"] = _heat_map(names, measured, scoring, axis)
    if analysis.population:
        drawn["population"] = population(analysis.population, scoring, axis)
    for figure in drawn.values():
        figure.suptitle(analysis.comparison.title, fontsize="medium")
    return drawn


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1 + 4.2 * columns, 0.4 + 3.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[count:]:
        empty.remove()
    return figure, axes[:count]


def _costs(measured: Measured, scoring: Scoring, axis: str) -> Figure:
    """Plot the score against each cost, with 95 % intervals; mark the Pareto front, and number its points.

    Of many groups, only those on the front have an interval.
    """
    known = [cost for cost in COSTS if any(cost in row.costs for row, _ in measured)]
    numbers = {row.group.label: str(i) for i, (row, _) in enumerate((pair for pair in measured if pair[0].fronts), 1)}
    figure, (*axes, names) = _grid(len(known) + 1)
    for cost, ax in zip(known, axes, strict=True):
        points = sorted(((row, s) for row, s in measured if cost in row.costs), key=lambda p: p[0].costs[cost])
        for on_front, colour, marker, what in ((False, POINT, "o", "dominated"), (True, FRONT, "s", "Pareto front")):
            part = [(row, s) for row, s in points if (cost in row.fronts) is on_front]
            x, y = [row.costs[cost] for row, _ in part], [s.mean for _, s in part]
            half = [s.half or 0 for _, s in part] if on_front or len(points) <= MOST_BARS else None
            ax.errorbar(x, y, half, fmt=marker, ms=5, capsize=3, color=colour, lw=1, label=what)
            if on_front:
                ax.step(x, y, where="post", color=colour, linewidth=1, alpha=0.6)
                for row, s in part:
                    ax.annotate(numbers[row.group.label], (row.costs[cost], s.mean), (5, 5), textcoords="offset points")
        scale_cost(ax, [row.costs[cost] for row, _ in points])
        ax.set(xlabel=COSTS[cost], ylabel=axis)
        ax.margins(x=0.1)
        scale_score(ax, [s.mean for _, s in points], scoring)
    axes[0].legend(fontsize="small")
    names.axis("off")
    lines = [f"{number}  {name}" for name, number in numbers.items()]
    lines = lines if len(lines) <= MOST_LABELS else [*lines[:MOST_LABELS], f"… all {len(lines)} in report.md"]
    names.text(0, 1, "on a front:\n" + "\n".join(lines), va="top", fontsize="small").set_in_layout(False)
    return figure


def _axes(names: list[str], measured: Measured, scoring: Scoring, axis: str) -> Figure:
    """Plot the score by the values of each axis; lines join groups that differ only in this axis."""
    figure, axes = _grid(len(names))
    for name, ax in zip(names, axes, strict=True):
        values = levels(name, (row.group.fields for row, _ in measured))
        lines: defaultdict[str, list[tuple[int, Summary]]] = defaultdict(list)
        for row, summary in measured:
            rest = label({other: value for other, value in row.group.fields.items() if other != name})
            lines[rest].append((values.index(row.group.fields[name]), summary))
        shift = 0.2 / max(1, len(lines))  # keeps intervals apart
        for i, (rest, points) in enumerate(lines.items()):
            points.sort(key=lambda point: point[0])
            x = [at + shift * (i - (len(lines) - 1) / 2) for at, _ in points]
            half = [s.half or 0 for _, s in points] if len(lines) <= MOST_CURVES else None
            ax.errorbar(x, [s.mean for _, s in points], half, **style(i), ms=4, capsize=3, lw=1, label=rest)
        ax.set_xticks(range(len(values)), [text(value) for value in values], rotation=20 if len(values) > 4 else 0)
        ax.set(xlabel=name, ylabel=axis)
        ax.margins(x=0.12)
        scale_score(ax, [s.mean for _, s in measured], scoring)
        if 1 < len(lines) <= MOST_LINES:
            ax.legend(fontsize="x-small", framealpha=0.6)
    return figure


def _heat_map(names: list[str], measured: Measured, scoring: Scoring, axis: str) -> Figure:
    """Draw the mean score over two axes; a cell without a group stays empty."""
    down, across = (levels(name, (row.group.fields for row, _ in measured)) for name in names)
    table = np.full((len(down), len(across)), np.nan)
    for row, summary in measured:
        table[down.index(row.group.fields[names[0]]), across.index(row.group.fields[names[1]])] = summary.mean
    figure, (ax,) = _grid(1)
    figure.set_size_inches(min(20, 2.5 + 0.9 * len(across)), min(20, 2 + 0.6 * len(down)))
    image = ax.imshow(table, cmap="viridis_r", aspect="auto")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            ax.text(j, i, scoring.number(value), ha="center", va="center", color="white" if value > middle else "black")
    ax.set_xticks(range(len(across)), [text(value) for value in across])
    ax.set_yticks(range(len(down)), [text(value) for value in down])
    ax.set(xlabel=names[1], ylabel=names[0])
    plain_ticks(figure.colorbar(image, label=axis).ax.yaxis)
    return figure
