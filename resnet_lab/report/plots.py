"""Figures, as PNG and SVG: score against cost, score by axis, learning curves, and a heat map for two axes."""

from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.analysis import COSTS, Analysis, Row, labels
from resnet_lab.report.comparison import Group, label, order, text
from resnet_lab.report.statistics import Summary
from resnet_lab.text import literal_text

FRONT, POINT = "#c2410c", "#2563eb"
MOST_AXES, MOST_CURVES, MOST_LINES, MOST_LABELS = 6, 8, 4, 16
NAMES = ("costs", "axes", "curves", "heatmap")
TICKS = [0, 0.5, 1, 2, 5, 10, 20, 50, 100]  # in percent of the largest possible score

Measured = list[tuple[Row, Summary]]


def remove(folder: Path) -> None:
    """Remove the figures of an earlier report."""
    for name in NAMES:
        for file in folder.glob(f"{name}-*"):
            if file.stem.removeprefix(f"{name}-").isdigit() and file.suffix in (".png", ".svg"):
                file.unlink()


def draw(analysis: Analysis, folder: Path) -> list[Path]:
    """Draw the figures of a comparison of at least two groups; return the PNG files, next to which SVG files lie."""
    measured = [(row, summary) for row in analysis.rows if (summary := row.scores[analysis.measure])]
    if len(measured) < 2:
        return []
    names, scoring = analysis.comparison.axes, analysis.comparison.scoring
    axis = labels(scoring)[analysis.measure]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with literal_text(), matplotlib.rc_context({"svg.hashsalt": "resnet_lab"}):  # for reproducible files
        figures = {
            "costs": _costs(measured, scoring, axis),
            "axes": _axes(names[:MOST_AXES], measured, scoring, axis),
            "curves": _curves(measured, scoring),
        }
        if len(names) == 2:
            figures["heatmap"] = _heat_map(names, measured, scoring, axis)
        for name, figure in figures.items():
            figure.suptitle(analysis.comparison.title, fontsize="medium")
            files.append(folder / f"{name}-{analysis.number}.png")
            figure.savefig(files[-1], dpi=120)
            figure.savefig(files[-1].with_suffix(".svg"), dpi=120, metadata={"Date": None})
    return files


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1 + 4.2 * columns, 0.4 + 3.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[count:]:
        empty.remove()
    return figure, axes[:count]


def _costs(measured: Measured, scoring: Scoring, axis: str) -> Figure:
    """Plot the score against each cost, with 95 % intervals; mark the Pareto front, and number its points."""
    known = [cost for cost in COSTS if any(cost in row.costs for row, _ in measured)]
    numbers = {row.group.label: str(i) for i, (row, _) in enumerate((pair for pair in measured if pair[0].fronts), 1)}
    figure, (*axes, names) = _grid(len(known) + 1)
    for cost, ax in zip(known, axes, strict=True):
        points = sorted(((row, s) for row, s in measured if cost in row.costs), key=lambda p: p[0].costs[cost])
        for on_front, colour, what in ((False, POINT, "dominated"), (True, FRONT, "Pareto front")):
            part = [(row, s) for row, s in points if (cost in row.fronts) is on_front]
            x, y = [row.costs[cost] for row, _ in part], [s.mean for _, s in part]
            ax.errorbar(x, y, [s.half or 0 for _, s in part], fmt="o", ms=5, capsize=3, color=colour, lw=1, label=what)
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
        if cost != "seconds":  # the m of milliseconds would read as minutes
            ax.xaxis.set_major_formatter(EngFormatter())
        ax.set(xlabel=COSTS[cost], ylabel=axis)
        ax.margins(x=0.1)
        _limit(ax, [s.mean for _, s in points], scoring)
    axes[0].legend(fontsize="small")
    names.axis("off")
    lines = [f"{number}  {name}" for name, number in numbers.items()]
    lines = lines if len(lines) <= MOST_LABELS else [*lines[:MOST_LABELS], f"… all {len(lines)} in report.md"]
    names.text(0, 1, "on a front:\n" + "\n".join(lines), va="top", fontsize="small").set_in_layout(False)
    return figure


def _limit(ax: Axes, scores: list[float], scoring: Scoring) -> None:
    """Limit the score axis to the range from 0 to the largest possible score, however wide the intervals.

    If scores differ widely, the axis is logarithmic: above a hundredth of the largest possible score (1 % for errors),
    or everywhere if there is no largest possible score.
    """
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    top, most = ax.get_ylim()[1], scoring.most
    if most is None:
        if high > 8 * low > 0:
            ax.set_yscale("log")
        else:
            ax.set_ylim(0, top)
        return
    if high > 8 * max(most / 100, low):
        ax.set_yscale("symlog", linthresh=most / 100)
        ticks = [tick * most / 100 for tick in TICKS]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(0, min(1.05 * most, top))


def _axes(names: list[str], measured: Measured, scoring: Scoring, axis: str) -> Figure:
    """Plot the score by the values of each axis; lines join groups that differ only in this axis."""
    figure, axes = _grid(len(names))
    for name, ax in zip(names, axes, strict=True):
        values = sorted({row.group.fields[name] for row, _ in measured}, key=order)
        lines: defaultdict[str, list[tuple[int, Summary]]] = defaultdict(list)
        for row, summary in measured:
            rest = label({other: value for other, value in row.group.fields.items() if other != name})
            lines[rest].append((values.index(row.group.fields[name]), summary))
        shift = 0.2 / max(1, len(lines))  # keeps intervals apart
        for i, (rest, points) in enumerate(lines.items()):
            points.sort(key=lambda point: point[0])
            x = [at + shift * (i - (len(lines) - 1) / 2) for at, _ in points]
            half = [s.half or 0 for _, s in points] if len(lines) <= MOST_CURVES else None
            ax.errorbar(x, [s.mean for _, s in points], half, fmt="o-", ms=4, capsize=3, lw=1, label=rest)
        ax.set_xticks(range(len(values)), [text(value) for value in values], rotation=20 if len(values) > 4 else 0)
        ax.set(xlabel=name, ylabel=axis)
        ax.margins(x=0.12)
        _limit(ax, [s.mean for _, s in measured], scoring)
        if 1 < len(lines) <= MOST_LINES:
            ax.legend(fontsize="x-small", framealpha=0.6)
    return figure


def _curves(measured: Measured, scoring: Scoring) -> Figure:
    """Plot the validation score by epoch: mean and range over seeds, with the training score dashed."""
    figure, (ax,) = _grid(1)
    drawn: list[float] = []
    best = sorted(measured, key=lambda pair: pair[1].mean)[:MOST_CURVES]
    for i, (row, _) in enumerate(best):
        for part, style in (("train", "--"), ("val", "-")):
            epochs, scores = _history(row.group, f"{part}/{scoring.score}")
            if not epochs.size:
                continue
            drawn += scores.mean(0).tolist()
            ax.plot(epochs, scores.mean(0), style, color=f"C{i}", lw=1.4 if style == "-" else 0.8)
            if style == "-":
                ax.fill_between(epochs, scores.min(0), scores.max(0), color=f"C{i}", alpha=0.15, lw=0)
        ax.plot([], [], color=f"C{i}", label=row.group.label)
    _limit(ax, drawn if scoring.most is None else [0, scoring.most], scoring)
    title = "" if len(best) == len(measured) else f"; the best {len(best)} of {len(measured)}"
    ax.set(xlabel="epoch", ylabel=scoring.label(scoring.score))
    ax.set_title(f"validation (solid, with range over seeds) and training (dashed){title}", fontsize="small")
    ax.grid(alpha=0.3)
    figure.set_size_inches(8, 5 + 0.2 * len(best))
    figure.legend(loc="outside lower center", fontsize="small")
    return figure


def _history(group: Group, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs (E,) and the scores of the runs (R, E); runs that did not record it are left out."""
    curves = [[record.get(name) for record in run.result["history"]] for run in group.runs.values()]
    complete = [curve for curve in curves if curve and all(isinstance(value, int | float) for value in curve)]
    length = min(map(len, complete), default=0)
    return np.arange(1, length + 1), np.array([curve[:length] for curve in complete], dtype=float)


def _heat_map(names: list[str], measured: Measured, scoring: Scoring, axis: str) -> Figure:
    """Draw the mean score over two axes; a cell without a group stays empty."""
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
            ax.text(j, i, scoring.number(value), ha="center", va="center", color="white" if value > middle else "black")
    ax.set_xticks(range(len(across)), [text(value) for value in across])
    ax.set_yticks(range(len(down)), [text(value) for value in down])
    ax.set(xlabel=names[1], ylabel=names[0])
    figure.colorbar(image, label=axis)
    return figure
