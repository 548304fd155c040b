"""Many small images or series in one figure, with a caption above each."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

INCH = 0.95  # width of a tile, with its gap
MIN_WIDTH = 6.0  # of a figure, so that its title fits
CHARACTERS = 11  # of a title, per inch of width
SIGNED = "RdBu_r"  # colours of values that may be negative
CAPTION = 0.2  # height of a line of text, in inches
SERIES = 2.2  # width of a series, for a height of 1
COLOURS = ("#2563eb", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#0e7490")  # of channels


def titled_figure(width: float, height: float, title: str) -> Figure:
    """Create a figure of this size in inches, with its title wrapped to its width."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(textwrap.fill(title, int(width * CHARACTERS)), fontsize="medium")
    return figure


def rows_of(
    rows: Sequence[np.ndarray],
    labels: Sequence[str],
    captions: Sequence[Sequence[str]],
    title: str,
    styles: Sequence[dict[str, Any]] | None = None,
) -> Figure:
    """Draw rows of images, (N, H, W, 1 or 3) and then also (N, H, W), with a label left of each and captions above.

    `styles` are arguments of `imshow` for each row; by default grey from 0 to 1. Rows of series are (N, C, L), and then
    also (N, L).
    """
    styles = styles or [{"cmap": "gray", "vmin": 0, "vmax": 1}] * len(rows)
    if rows[0].ndim == 3:
        series = [row.reshape(len(row), -1, row.shape[-1]) for row in rows]
        return rows_of_series(series, labels, captions, title, styles)
    columns = max(map(len, rows))
    lines = [max((text.count("\n") + 1 for text in row), default=0) for row in captions]
    label_width = 0.4 + 0.085 * max(max(map(len, label.split("\n"))) for label in labels)
    tile = INCH if columns > 4 else 1.6 * INCH
    height = len(rows) * (tile + 0.05) + CAPTION * sum(lines)
    figure = titled_figure(max(MIN_WIDTH, label_width + columns * tile), 0.4 + height, title)
    figure.get_layout_engine().set(h_pad=0.02, w_pad=0.02, hspace=0.0, wspace=0.0)  # type: ignore[union-attr, call-arg]
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        for j, ax in enumerate(axes[i]):
            ax.set(xticks=[], yticks=[], frame_on=False)
            if j < len(row):
                ax.imshow(row[j], interpolation="nearest", **styles[i])
                ax.set_title(captions[i][j] if captions[i] else "", fontsize="x-small", pad=2)
        axes[i][0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize="small")
    return figure


def rows_of_series(
    rows: Sequence[np.ndarray],
    labels: Sequence[str],
    captions: Sequence[Sequence[str]],
    title: str,
    styles: Sequence[dict[str, Any]],
) -> Figure:
    """Draw rows of series, (N, C, L), likewise: a curve for each channel, and one vertical scale for rows of a style.

    Rows whose values may be negative in colours are red above 0 and blue below.
    """
    columns = max(map(len, rows))
    figure = titled_figure(max(MIN_WIDTH, 1.2 + columns * SERIES), 0.4 + 1.25 * len(rows), title)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        alike = [own for own, style in zip(rows, styles, strict=True) if style == styles[i]]
        low, high = min(map(np.min, alike)), max(map(np.max, alike))
        margin = 0.05 * (high - low) or 1.0
        for j, ax in enumerate(axes[i]):
            ax.set(xticks=[], yticks=[], ylim=(low - margin, high + margin))
            ax.axis("on" if j < len(row) else "off")
            if j < len(row):
                _curves(ax, row[j], signed=styles[i]["cmap"] == SIGNED)
                ax.set_title(captions[i][j] if captions[i] else "", fontsize="x-small", pad=2)
        axes[i][0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize="small")
    return figure


def _curves(ax: Axes, series_CL: np.ndarray, signed: bool) -> None:
    position = np.arange(series_CL.shape[1])
    for channel, values in enumerate(series_CL):
        if signed:
            ax.fill_between(position, values, 0, where=values > 0, color="#c2410c", alpha=0.7, lw=0, interpolate=True)
            ax.fill_between(position, values, 0, where=values < 0, color="#2563eb", alpha=0.7, lw=0, interpolate=True)
        else:
            ax.plot(position, values, color=COLOURS[channel % len(COLOURS)], lw=0.9)
    if signed:
        ax.axhline(0, color="grey", lw=0.5)


def sheet_of_series(tiles_NL: np.ndarray, captions: Sequence[str], title: str, unit: str) -> Figure:
    """Draw series with a common vertical scale, each around a line at 0."""
    columns = min(12, max(4, int(np.ceil(np.sqrt(len(tiles_NL))))))
    rows = -(-len(tiles_NL) // columns)
    low, high = min(float(tiles_NL.min()), 0.0), max(float(tiles_NL.max()), 0.0)
    span, position = (high - low) or 1.0, np.linspace(0, 1, tiles_NL.shape[1])
    figure = titled_figure(max(MIN_WIDTH, 0.6 + 1.05 * columns), 0.8 + 0.62 * rows, title)
    ax: Axes = figure.subplots()
    curves, zeros = [], []
    for number, (tile, caption) in enumerate(zip(tiles_NL, captions, strict=True)):
        left, bottom = 1.12 * (number % columns), -1.45 * (number // columns)
        curves.append(np.column_stack([left + position, bottom + (tile - low) / span]))
        zeros.append([(left, bottom - low / span), (left + 1, bottom - low / span)])
        ax.text(left + 0.5, bottom + 1.03, caption, ha="center", va="bottom", fontsize=6.5)
    ax.add_collection(LineCollection(zeros, colors="lightgrey", linewidths=0.6))
    ax.add_collection(LineCollection(curves, colors=COLOURS[0], linewidths=0.9))
    ax.set(xlim=(-0.05, 1.12 * columns), ylim=(-1.45 * (rows - 1) - 0.1, 1.4))
    ax.axis("off")
    ax.text(0, -1.45 * (rows - 1) - 0.1, f"{unit}, {low:.3g} to {high:.3g}", fontsize=7, va="top")
    return figure


def sheet(tiles_NHW: np.ndarray, captions: Sequence[str], title: str, unit: str, cmap: str, symmetric: bool) -> Figure:
    """Draw tiles with a common colour scale, and a colour bar with its unit; series (N, L) as curves."""
    if tiles_NHW.ndim == 2:
        return sheet_of_series(tiles_NHW, captions, title, unit)
    count, height, width = tiles_NHW.shape
    columns = min(16, max(4, int(np.ceil(np.sqrt(count * 2)))))
    rows = -(-count // columns)
    gap_y, gap_x = 0.3 * height, 0.08 * width  # with room for captions
    low, high = np.quantile(tiles_NHW, [0.002, 0.998])
    if symmetric:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    figure = titled_figure(1.2 + 0.72 * columns, 0.6 + 0.92 * rows, title)
    ax: Axes = figure.subplots()
    for number, (tile, caption) in enumerate(zip(tiles_NHW, captions, strict=True)):
        left, top = (number % columns) * (width + gap_x), (number // columns) * (height + gap_y)
        extent = (left, left + width, top + height, top)
        shown: ScalarMappable = ax.imshow(
            tile, cmap=cmap, vmin=low, vmax=max(high, low + 1e-12), extent=extent, interpolation="nearest"
        )
        ax.text(left + width / 2, top - 0.03 * height, caption, ha="center", va="bottom", fontsize=6.5)
    ax.set(xlim=(0, columns * (width + gap_x) - gap_x), ylim=(rows * (height + gap_y) - gap_y, -gap_y), aspect="equal")
    ax.axis("off")
    figure.colorbar(shown, ax=ax, label=unit, fraction=0.03, pad=0.01)
    return figure
