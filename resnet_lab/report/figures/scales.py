"""Axes of figures: linear or logarithmic, with tick labels in plain text such as 0.5, 20 and 100k."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from resnet_lab.config.tasks import Scoring

WIDE = 8  # an axis is logarithmic if its largest value is more than this many times the smallest one
LONG = 200  # ratio of the ends of a logarithmic axis; from there on, only powers of 10 are labelled
TICKS = [0, 0.5, 1, 2, 5, 10, 20, 50, 100]  # in percent of the largest possible score
SUFFIXES = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


def plain(value: float, position: int | None = None) -> str:
    """Format the value of a tick; figures show text literally, so Matplotlib's own `$10^2$` would stay as it is."""
    for suffix, size in SUFFIXES:
        if abs(value) >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"


def plain_ticks(axis: Axis) -> None:
    """Label the ticks of a linear axis in plain text."""
    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(plain))


def logarithmic_ticks(axis: Axis, ratio: float) -> None:
    """Label the ticks of a logarithmic axis in plain text; `ratio` is that of its largest and smallest value."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < LONG else (1,), numticks=8))
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_formatter(NullFormatter())


def scale_cost(ax: Axes, costs: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic if the costs differ widely."""
    if max(costs) > WIDE * min(costs) > 0:
        ax.set_xscale("log")
        logarithmic_ticks(ax.xaxis, max(costs) / min(costs))
    else:
        plain_ticks(ax.xaxis)


def scale_score(ax: Axes, scores: Sequence[float], scoring: Scoring) -> None:
    """Limit the vertical axis to the range from 0 to the largest possible score, however wide the intervals.

    If scores differ widely, the axis is logarithmic: above a hundredth of the largest possible score (1 % for errors),
    or everywhere if there is no largest possible score.
    """
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    top, most = ax.get_ylim()[1], scoring.most
    if most is None and high > WIDE * low > 0:
        ax.set_yscale("log")
        logarithmic_ticks(ax.yaxis, high / low)
        return
    if most is not None and high > WIDE * max(most / 100, low):
        ax.set_yscale("symlog", linthresh=most / 100)
        ticks = [tick * most / 100 for tick in TICKS]
        ax.set_yticks(ticks, [plain(tick) for tick in ticks])
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        plain_ticks(ax.yaxis)
    ax.set_ylim(0, top if most is None else min(1.05 * most, top))
