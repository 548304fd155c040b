"""Curves, bars and matrices of the measurements, as matplotlib figures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from resnet_lab.inspect.filters import Histogram
from resnet_lab.inspect.flow import Flow
from resnet_lab.inspect.mistakes import Mistakes
from resnet_lab.inspect.mosaic import titled_figure
from resnet_lab.inspect.spectrum import HALF_POWER, TINY, Spectra

MOST_CLASSES, MOST_NUMBERS = 30, 20  # classes with a bar; classes up to which the matrix shows counts
FEW_WEIGHTS = 5000
LEAST_ERROR = 1e-6  # of an inverted image; smaller ones are drawn at this value
LEGEND = 170, 100  # characters per line below the widest figure, and per label
BLUE, RED = "#2563eb", "#c2410c"
STYLES = ("-", "--", ":", "-.")

PANELS = {
    "gradient": "norm of the loss gradient w.r.t. the part's weights",
    "signal": "norm of the loss gradient w.r.t. the part's output",
    "share": "relative size of the branch, ‖F(x)‖ / ‖x‖",
    "mean": "activations: mean ± standard deviation (shaded)",
    "dead": "dead maps after ReLUs (%)",
    "weight": "norm of the part's weights",
}
LOGARITHMIC = ("gradient", "signal", "share", "weight")


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure with its caption; `name` is the stem of its file."""

    name: str
    figure: Figure
    caption: str


def flow_figure(flows: Mapping[str, Flow], title: str) -> Figure:
    """Plot the signal flow of one or several networks over depth, with a panel for each quantity."""
    figure = titled_figure(13, 7.4, title)
    axes = dict(zip(PANELS, figure.subplots(2, 3).flat, strict=True))
    wide, longest = LEGEND
    labels = [label if len(label) <= longest else f"…{label[1 - longest :]}" for label in flows]  # keep the end
    for i, (label, flow) in enumerate(zip(labels, flows.values(), strict=True)):
        for quantity, ax in axes.items():
            _curve(ax, flow, quantity, label, f"C{i}", STYLES[i % len(STYLES)])
    for quantity, ax in axes.items():
        ax.set_title(PANELS[quantity], fontsize="small")
        _depth(ax, [flow.names for flow in flows.values()])
        if quantity in LOGARITHMIC:
            logarithmic(ax)
        if not any(np.isfinite(getattr(flow, quantity)).any() for flow in flows.values()):
            ax.text(0.5, 0.5, "none in these networks", transform=ax.transAxes, ha="center", color="grey")
    top = max(1.0, 1.1 * axes["dead"].get_ylim()[1])
    axes["dead"].set_ylim(-0.03 * top, top)
    columns = max(1, min(4, wide // (8 + max(map(len, labels)))))
    legend = axes["weight"].get_legend_handles_labels()
    figure.legend(*legend, loc="outside lower center", ncols=columns, fontsize="small")
    return figure


def _curve(ax: Axes, flow: Flow, quantity: str, label: str, colour: str, style: str) -> None:
    values = getattr(flow, quantity)
    x = np.arange(len(values))
    known = np.isfinite(values)
    ax.plot(x[known], values[known], style, color=colour, lw=1.3, marker="o", ms=2.5, label=label)
    if quantity == "mean":
        ax.fill_between(x, values - flow.std, values + flow.std, color=colour, alpha=0.12, lw=0)


def _depth(ax: Axes, names: Sequence[tuple[str, ...]]) -> None:
    """Mark stem, stacks and head on the horizontal axis, if all networks have the same parts."""
    ax.grid(alpha=0.25)
    ax.set_xlim(-0.5, max(map(len, names)) - 0.5)
    if len(set(names)) > 1:
        ax.set_xlabel("part, from stem to head")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    stacks = [re.sub(r"stacks\.(\d+)\..*", r"stack \1", name) for name in names[0]]
    starts = [i for i, stack in enumerate(stacks) if i == 0 or stack != stacks[i - 1]]
    for start in starts[1:]:
        ax.axvline(start - 0.5, color="grey", lw=0.6)
    middles = [(a + b - 1) / 2 for a, b in zip(starts, [*starts[1:], len(stacks)], strict=True)]
    texts = [stacks[s].removeprefix("decoder.") for s in starts]
    ax.set_xticks(middles, texts, fontsize="x-small", rotation=30 if len(texts) > 5 else 0)


def logarithmic(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers, if any value is above 0."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
    values = values[values > 0]
    if len(values):
        ax.set_yscale("log")
        narrow = values.max() < 30 * values.min()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=8))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def frequency_figure(errors: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], title: str) -> Figure:
    """Plot the error of images reconstructed from a tensor inside a network (inversion) by spatial frequency.

    A panel for each network, a curve for each depth.
    """
    figure = titled_figure(max(7.0, 5.2 * len(errors)), 4.6, title)
    axes = figure.subplots(1, len(errors), squeeze=False, sharey=True)[0]
    for ax, (network, curves) in zip(axes, errors.items(), strict=True):
        for name, (frequency, error) in curves.items():
            ax.plot(frequency, np.maximum(error, LEAST_ERROR), "o-", ms=3, lw=1.2, label=name)
        ax.axhline(1, color="grey", lw=0.8, ls="--")
        ax.text(0.005, 1.15, "mean colour", va="bottom", fontsize="x-small", color="grey")
        logarithmic(ax)
        ax.set(xlabel="spatial frequency (cycles per pixel)", xlim=(0, 0.52))
        ax.set_title(network, fontsize="small")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("power of the error / power of the image")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize="small")
    return figure


def spectrum_figure(found: Mapping[str, Spectra], title: str) -> Figure:
    """Plot power spectra of images and their reconstructions by one or several networks, and what changes in them.

    The first panel is of the first network.
    """
    figure = titled_figure(13, 5.0, title)
    power, ratio, error = figure.subplots(1, 3)
    first = next(iter(found.values()))
    power.plot(first.frequency, first.original, "o-", ms=3, lw=1.2, color="black", label="originals")
    power.plot(first.frequency, first.reconstruction, "o-", ms=3, lw=1.2, color=BLUE, label="reconstructions")
    power.plot(first.frequency, first.error, "--", lw=1.2, color=RED, label="their difference")
    power.legend(fontsize="x-small")
    for i, (label, spectra) in enumerate(found.items()):
        limit = spectra.half_power
        if limit:
            at = f"at a wavelength of {1 / limit:.1f} pixels"
        else:
            at = "never" if limit is None else f"above a wavelength of {1 / spectra.frequency[0]:.1f} pixels"
        ratio.plot(spectra.frequency, spectra.ratio_db, "o-", ms=3, lw=1.2, color=f"C{i}", label=f"{label}: −3 dB {at}")
        if limit:
            ratio.plot(limit, HALF_POWER, "D", ms=7, color=f"C{i}")
        for values, style in ((spectra.error, "-"), (spectra.invented, ":")):
            relative = np.maximum(values / np.maximum(spectra.original, TINY), LEAST_ERROR)
            error.plot(spectra.frequency, relative, style, lw=1.4, color=f"C{i}")
    ratio.axhline(0, color="black", lw=0.8)
    ratio.axhline(HALF_POWER, color="grey", lw=0.8, ls="--")
    error.axhline(1, color="grey", lw=0.8, ls="--")
    keys = [Line2D([], [], color="black", ls=style) for style in ("-", ":", "--")]
    keys[-1].set_color("grey")
    error.legend(keys, ["all of the difference", "invented detail", "no detail at all"], fontsize="x-small")
    titles = ("power", "power of reconstructions / originals (dB)", "power of the difference / originals")
    for ax, what in zip((power, ratio, error), titles, strict=True):
        ax.set(xlabel="spatial frequency (cycles per pixel)", xlim=(0, 0.52))
        ax.set_title(what, fontsize="small")
        ax.grid(alpha=0.25)
    logarithmic(power)
    logarithmic(error)
    figure.legend(*ratio.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    return figure


def histogram_figure(histograms: Mapping[str, Histogram], title: str) -> Figure:
    """Plot the weight distributions of stem, stacks and head."""
    figure = titled_figure(7.5, 4.4, title)
    ax = figure.subplots()
    for name, histogram in histograms.items():
        total = int(histogram.counts.sum())
        wide = 1 if total > FEW_WEIGHTS else 4  # bins merged into one
        edges, counts = histogram.edges[::wide], histogram.counts.reshape(-1, wide).sum(axis=1)
        density = counts / total / np.maximum(np.diff(edges), 1e-12)
        middles = (edges[1:] + edges[:-1]) / 2
        ax.plot(middles[counts > 0], density[counts > 0], label=f"{name}: {total:,} weights", lw=1.2)
    logarithmic(ax)
    ax.set(xlabel="weight", ylabel="density")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    ax.grid(alpha=0.25)
    return figure


def confusion_figure(found: Mistakes, classes: Sequence[str], title: str) -> Figure:
    """Plot the counts of true class (rows) against predicted class (columns), coloured by their share of the row."""
    count = len(classes)
    side = float(np.clip(2.4 + 0.42 * count, 4.5, 12))
    figure = titled_figure(side + 1, side, title)
    ax = figure.subplots()
    share = 100 * found.confusion / np.maximum(found.confusion.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    if count <= MOST_NUMBERS:
        for (i, j), number in np.ndenumerate(found.confusion):
            if number:
                colour = "white" if share[i, j] > 50 else "black"
                ax.text(j, i, number, ha="center", va="center", fontsize="x-small", color=colour)
    if count <= 2 * MOST_NUMBERS:
        ax.set_xticks(range(count), classes, rotation=45, ha="right", fontsize="x-small")
        ax.set_yticks(range(count), classes, fontsize="x-small")
    ax.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(image, label="share of the true class (%)", fraction=0.045)
    return figure


def reliability_figure(found: Mistakes, classes: Sequence[str], title: str) -> Figure:
    """Plot accuracy against confidence, and the error of each class, the worst first."""
    errors = zip(classes, found.error_by_class.tolist(), strict=True)
    return calibration_figure(found, {name: error for name, error in errors if not np.isnan(error)}, title, "class")


def calibration_figure(found: Mistakes, errors: Mapping[str, float], title: str, what: str) -> Figure:
    """Plot accuracy against confidence, and errors in percent, the worst first, each of a class or another `what`."""
    figure = titled_figure(11, 4.6, title)
    left, right = figure.subplots(1, 2)
    confidence, accuracy = 100 * found.accuracy_by_confidence.T
    left.plot([0, 100], [0, 100], color="grey", lw=0.8, ls="--", label="perfectly calibrated")
    left.plot(confidence, accuracy, "o-", color=BLUE, label=f"ECE {100 * found.calibration_error:.2f} %")
    left.set(xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 101), ylim=(0, 101))
    left.set_title("calibration", fontsize="small")
    left.legend(fontsize="small")
    left.grid(alpha=0.25)
    worst = sorted(errors, key=lambda name: -errors[name])[:MOST_CLASSES]
    shown = [errors[name] for name in worst][::-1]
    right.barh(worst[::-1], shown, color=RED)
    right.set(xlabel="error (%)", xlim=(0, max(1.0, 1.15 * shown[-1])))
    which = "" if len(worst) == len(errors) else f", the worst {len(worst)} of {len(errors)}"
    right.set_title(f"error by {what}{which}", fontsize="small")
    right.tick_params(axis="y", labelsize="x-small")
    for i, value in enumerate(shown):
        right.text(value, i, f" {value:.1f}", va="center", fontsize="x-small")
    return figure
