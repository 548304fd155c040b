"""Figures, as PNG and SVG: error against cost, error by axis, learning curves, and a heat map for two axes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from resnet_lab.report.analysis import COSTS, ERRORS, MEASURE, Analysis, Row
from resnet_lab.report.groups import Group, label, order, text
from resnet_lab.report.statistics import Summary

FRONT, POINT = "#c2410c", "#2563eb"
MOST_AXES, MOST_CURVES, MOST_LINES, MOST_LABELS = 6, 8, 4, 16
LABEL = f"{ERRORS[MEASURE]} (%)"

NAMES, SUFFIXES = ("costs", "axes", "curves", "heatmap"), ("png", "svg")
TICKS = [0, 0.5, 1, 2, 5, 10, 20, 50, 100]

Measured = list[tuple[Row, Summary]]


def remove(folder: Path) -> None:
    """Remove the figures of a former report."""
    for name in NAMES:
        for file in folder.glob(f"{name}-*"):
            if file.stem.removeprefix(f"{name}-").isdigit() and file.suffix[1:] in SUFFIXES:
                file.unlink()


def draw(analysis: Analysis, folder: Path) -> list[Path]:
    """Write the figures of a comparison of two groups or more; the files written."""
    measured = [(row, summary) for row in analysis.rows if (summary := row.errors[MEASURE])]
    if len(measured) < 2:
        return []
    # The same report is the same file, and a dollar is a dollar.
    with matplotlib.rc_context({"svg.hashsalt": "resnet_lab", "text.parse_math": False}):
        return _written(analysis, measured, folder)


def _written(analysis: Analysis, measured: Measured, folder: Path) -> list[Path]:
    figures = {"costs": _costs(measured), "axes": _axes(analysis, measured), "curves": _curves(measured)}
    if len(analysis.comparison.axes) == 2:
        figures["heatmap"] = _heat_map(analysis.comparison.axes, measured)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, figure in figures.items():
        figure.suptitle(analysis.comparison.title, fontsize="medium")
        for suffix in SUFFIXES:
            files.append(folder / f"{name}-{analysis.number}.{suffix}")
            figure.savefig(files[-1], dpi=120, metadata={"Date": None} if suffix == "svg" else None)
    return files


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1 + 4.2 * columns, 0.4 + 3.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[count:]:
        empty.remove()
    return figure, axes[:count]


def _half(summaries: list[Summary]) -> list[float]:
    """Half intervals to draw; none where there is a single seed."""
    return [summary.half or 0.0 for summary in summaries]


def _costs(measured: Measured) -> Figure:
    """Error against every cost, with 95 % intervals; the Pareto front is marked, and its points are numbered."""
    known = [cost for cost in COSTS if any(cost in row.costs for row, _ in measured)]
    numbers = {row.group.label: str(i) for i, (row, _) in enumerate((pair for pair in measured if pair[0].fronts), 1)}
    figure, (*axes, names) = _grid(len(known) + 1)
    for cost, ax in zip(known, axes, strict=True):
        points = sorted(((row, s) for row, s in measured if cost in row.costs), key=lambda p: p[0].costs[cost])
        for on_front, colour, what in ((False, POINT, "beaten"), (True, FRONT, "Pareto front")):
            part = [(row, s) for row, s in points if (cost in row.fronts) is on_front]
            x, y, half = [row.costs[cost] for row, _ in part], [s.mean for _, s in part], _half([s for _, s in part])
            ax.errorbar(x, y, half, fmt="o", ms=5, capsize=3, color=colour, lw=1, label=what)
            if on_front:
                ax.step(x, y, where="post", color=colour, linewidth=1, alpha=0.6)
                for row, s in part:
                    ax.annotate(numbers[row.group.label], (row.costs[cost], s.mean), (5, 5), textcoords="offset points")
        if (low := points[0][0].costs[cost]) > 0 and points[-1][0].costs[cost] > 8 * low:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
            ax.xaxis.set_minor_formatter(NullFormatter())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(5))
        if cost != "seconds":  # thousandths of a second would read as minutes
            ax.xaxis.set_major_formatter(EngFormatter())
        ax.set(xlabel=COSTS[cost], ylabel=LABEL)
        ax.margins(x=0.1)
        _percent(ax, [s.mean for _, s in points])
    axes[0].legend(fontsize="small")
    names.axis("off")
    lines = [f"{number}  {name}" for name, number in numbers.items()]
    lines = lines if len(lines) <= MOST_LABELS else [*lines[:MOST_LABELS], f"… {len(lines)} in report.md"]
    names.text(0, 1, "on a front:\n" + "\n".join(lines), va="top", fontsize="small").set_in_layout(False)
    return figure


def _percent(ax: Axes, errors: list[float]) -> None:
    """Errors from 0 to at most 100 %, however wide an interval is; logarithmic from 1 % on where they differ widely."""
    top = min(105.0, ax.get_ylim()[1])
    if max(errors) > 8 * max(1.0, min(errors)):
        ax.set_yscale("symlog", linthresh=1)
        ax.set_yticks(TICKS, map(str, TICKS))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(0, top)


def _axes(analysis: Analysis, measured: Measured) -> Figure:
    """Error by the values of every axis; a line joins groups that differ in this axis alone."""
    names = analysis.comparison.axes[:MOST_AXES]
    figure, axes = _grid(len(names))
    for name, ax in zip(names, axes, strict=True):
        values = sorted({row.group.fields[name] for row, _ in measured}, key=order)
        lines: defaultdict[str, list[tuple[int, Summary]]] = defaultdict(list)
        for row, summary in measured:
            rest = label({other: value for other, value in row.group.fields.items() if other != name})
            lines[rest].append((values.index(row.group.fields[name]), summary))
        shift = 0.2 / max(1, len(lines))  # so that intervals do not hide each other
        for i, (rest, points) in enumerate(lines.items()):
            points.sort(key=lambda point: point[0])
            x = [at + shift * (i - (len(lines) - 1) / 2) for at, _ in points]
            summaries = [s for _, s in points]
            half = _half(summaries) if len(lines) <= MOST_CURVES else None
            ax.errorbar(x, [s.mean for s in summaries], half, fmt="o-", ms=4, capsize=3, lw=1, label=rest)
        ax.set_xticks(range(len(values)), [text(value) for value in values], rotation=20 if len(values) > 4 else 0)
        ax.set(xlabel=name, ylabel=LABEL)
        ax.margins(x=0.12)
        _percent(ax, [s.mean for _, s in measured])
        if 1 < len(lines) <= MOST_LINES:
            ax.legend(fontsize="x-small", framealpha=0.6)
    return figure


def _curves(measured: Measured) -> Figure:
    """Validation error by epoch: the mean over seeds, and from the lowest to the highest; training error dashed."""
    figure, (ax,) = _grid(1)
    best = sorted(measured, key=lambda pair: pair[1].mean)[:MOST_CURVES]
    for i, (row, _) in enumerate(best):
        for name, style in (("train/error", "--"), ("val/error", "-")):
            epochs, errors = _history(row.group, name)
            if not epochs.size:
                continue
            ax.plot(epochs, errors.mean(0), style, color=f"C{i}", lw=1.4 if style == "-" else 0.8)
            if style == "-":
                ax.fill_between(epochs, errors.min(0), errors.max(0), color=f"C{i}", alpha=0.15, lw=0)
        ax.plot([], [], color=f"C{i}", label=row.group.label)
    _percent(ax, [0, 100])
    title = "" if len(best) == len(measured) else f", the best {len(best)} of {len(measured)}"
    ax.set(xlabel="epoch", ylabel="error (%)")
    ax.set_title(f"validation, from the lowest to the highest seed; training dashed{title}", fontsize="small")
    ax.grid(alpha=0.3)
    figure.set_size_inches(8, 5 + 0.2 * len(best))
    figure.legend(loc="outside lower center", fontsize="small")
    return figure


def _history(group: Group, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (E), and the error of every run at each (R, E); runs that did not record it are left out."""
    curves = [[record.get(name) for record in run.result["history"]] for run in group.runs.values()]
    complete = [curve for curve in curves if curve and all(isinstance(value, int | float) for value in curve)]
    length = min(map(len, complete), default=0)
    return np.arange(1, length + 1), np.array([curve[:length] for curve in complete], dtype=float)


def _heat_map(names: list[str], measured: Measured) -> Figure:
    """Mean error over two axes; a field without a group stays empty."""
    down, across = ([*sorted({row.group.fields[name] for row, _ in measured}, key=order)] for name in names)
    table = np.full((len(down), len(across)), np.nan)
    for row, summary in measured:
        table[down.index(row.group.fields[names[0]]), across.index(row.group.fields[names[1]])] = summary.mean
    figure, (ax,) = _grid(1)
    figure.set_size_inches(min(20, 2.5 + 0.9 * len(across)), min(20, 2 + 0.6 * len(down)))
    image = ax.imshow(table, cmap="viridis_r", aspect="auto")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value > middle else "black")
    ax.set_xticks(range(len(across)), [text(value) for value in across])
    ax.set_yticks(range(len(down)), [text(value) for value in down])
    ax.set(xlabel=names[1], ylabel=names[0])
    figure.colorbar(image, label=LABEL)
    return figure
