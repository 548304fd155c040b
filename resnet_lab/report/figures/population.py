"""Figure of a population: the distribution of its scores, and the scores over each setting."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.figures.scales import plain_ticks, scale_cost
from resnet_lab.report.figures.style import style
from resnet_lab.report.statistics.population import Population, distribution
from resnet_lab.report.values import order, text

MOST_SETTINGS = 8  # those on which the scores depend most
BINS = 8  # of a numeric setting, for the line through the medians


def population(found: Population, scoring: Scoring, axis: str) -> Figure:
    """Draw the distribution of each space with its 95 % band, the history of the best, and all scores by setting."""
    shown = found.settings[:MOST_SETTINGS]
    columns = 3
    rows = -(-(len(shown) + 2) // columns)
    figure = Figure(figsize=(1 + 4.2 * columns, 0.4 + 3.6 * rows), layout="constrained")
    first, second, *others = figure.subplots(rows, columns, squeeze=False).flat
    _distributions(first, found.spaces, axis)
    second.step(range(1, len(found.best_so_far) + 1), found.best_so_far, where="post", color=style(0)["color"])
    second.set(xlabel="networks, in the order of training", ylabel=f"lowest {scoring.score} so far")
    plain_ticks(second.xaxis)
    if not found.best_so_far:
        second.remove()
    for setting, ax in zip(shown, others, strict=False):
        values = [own[setting.name] for own in found.fields]
        (_over_numbers if setting.numeric else _over_choices)(ax, values, found.scores)
        ax.set(xlabel=setting.name, ylabel=scoring.label(scoring.score))
    for empty in others[len(shown) :]:
        empty.remove()
    return figure


def _distributions(ax: Axes, spaces: Mapping[str, Sequence[float]], axis: str) -> None:
    for i, (name, scores) in enumerate(spaces.items()):
        values, shares, half = distribution(scores)
        look = style(i)
        line = {"color": look["color"], "linestyle": look["linestyle"], "label": f"{name} (n = {len(values)})"}
        ax.step(values, shares, where="post", **line)
        low, high = np.clip(shares - half, 0, 1), np.clip(shares + half, 0, 1)
        ax.fill_between(values, low, high, step="post", color=look["color"], alpha=0.15, lw=0)
    ax.set(xlabel=axis, ylabel="share of the networks, 95 % band", ylim=(0, 1))
    ax.legend(fontsize="x-small")
    ax.grid(alpha=0.3)


def _over_numbers(ax: Axes, values: Sequence[float], scores: Sequence[float]) -> None:
    """Draw points, and medians: of each value, or if there are many of parts with equally many networks."""
    look = style(0)
    ax.plot(values, scores, ".", color=look["color"], ms=4, alpha=0.5)
    distinct = np.unique(values)
    if len(distinct) <= BINS:
        parts = [np.flatnonzero(np.asarray(values) == value) for value in distinct]
    else:
        parts = np.array_split(np.argsort(values, kind="stable"), BINS)
    middles = [[float(np.median(np.asarray(of)[part])) for part in parts] for of in (values, scores)]
    ax.plot(*middles, "s-", color=style(1)["color"], ms=5, lw=1.2)
    scale_cost(ax, values)


def _over_choices(ax: Axes, values: Sequence[Any], scores: Sequence[float]) -> None:
    distinct = sorted(set(values), key=order)
    spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(scores))
    places = np.array([distinct.index(value) for value in values])
    ax.plot(places + spread, scores, ".", color=style(0)["color"], ms=4, alpha=0.5)
    medians = [float(np.median(np.asarray(scores)[places == i])) for i in range(len(distinct))]
    ax.plot(range(len(distinct)), medians, "s", color=style(1)["color"], ms=6)
    ax.set_xticks(range(len(distinct)), [text(value) for value in distinct], rotation=20 if len(distinct) > 3 else 0)
