"""Learning curves over epochs, steps, MACs and seconds."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.analysis import Row
from resnet_lab.report.comparison import Group
from resnet_lab.report.figures.scales import plain_ticks, scale_score
from resnet_lab.report.figures.style import MOST_CURVES, style
from resnet_lab.report.spent import SPENT, spent
from resnet_lab.report.statistics.summary import Summary

Measured = list[tuple[Row, Summary]]


def curves(measured: Measured, scoring: Scoring) -> Figure:
    """Plot the validation score of the best groups: mean and range over seeds, with the training score dashed."""
    best = [row.group for row, _ in sorted(measured, key=lambda pair: pair[1].mean)[:MOST_CURVES]]
    known = [name for name in SPENT if all(np.isfinite(_spent(group, name)).all() for group in best)]
    columns = min(2, len(known))
    rows = -(-len(known) // columns)
    size = (2.5 + 4.5 * columns, 0.6 + 3.8 * rows + 0.2 * len(best))
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[len(known) :]:
        empty.remove()
    for name, ax in zip(known, axes, strict=False):
        _draw(ax, name, best, scoring)
    title = "" if len(best) == len(measured) else f"; the best {len(best)} of {len(measured)}"
    axes[0].set_title(f"validation (solid, with range over seeds) and training (dashed){title}", fontsize="small")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", fontsize="small")
    return figure


def _draw(ax: Axes, name: str, groups: list[Group], scoring: Scoring) -> None:
    drawn: list[float] = []
    for i, group in enumerate(groups):
        look = style(i) | {"linestyle": "-"}
        for part in ("train", "val"):
            scores = _history(group, f"{part}/{scoring.score}")
            x = _spent(group, name)[: scores.shape[1]]
            if not scores.size:
                continue
            drawn += scores.mean(0).tolist()
            if part == "train":
                ax.plot(x, scores.mean(0), "--", color=look["color"], lw=0.8)
                continue
            ax.plot(x, scores.mean(0), **look, ms=4, markevery=(0.01 * i, 0.1), lw=1.4)
            ax.fill_between(x, scores.min(0), scores.max(0), color=look["color"], alpha=0.15, lw=0)
        ax.plot([], [], **look, label=group.label)
    scale_score(ax, drawn if scoring.most is None else [0, scoring.most], scoring)
    ax.set(xlabel=SPENT[name], ylabel=scoring.label(scoring.score))
    if name == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    else:
        plain_ticks(ax.xaxis)
    ax.grid(alpha=0.3)


def _spent(group: Group, name: str) -> np.ndarray:
    """Return what the runs of a group had spent after each epoch, on average (E,), as far as all of them went."""
    each = [spent(run)[name] for run in group.runs.values()]
    length = min(map(len, each), default=0)
    return np.array([one[:length] for one in each]).reshape(len(each), length).mean(0)


def _history(group: Group, name: str) -> np.ndarray:
    """Return the scores of the runs (R, E); runs that did not record them are left out."""
    recorded = [[record.get(name) for record in run.result["history"]] for run in group.runs.values()]
    complete = [curve for curve in recorded if curve and all(isinstance(value, int | float) for value in curve)]
    length = min(map(len, complete), default=0)
    return np.array([curve[:length] for curve in complete], dtype=float).reshape(len(complete), length)
