"""Many small images in one figure, with a caption above each."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

INCH = 0.95  # width of a tile, with its gap
MIN_WIDTH = 6.0  # of a figure, so that its title fits
CHARACTERS = 11  # of a title, per inch of width
CAPTION = 0.2  # height of a line of text, in inches


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
    """Draw rows of images, (N, H, W) or (N, H, W, 1 or 3), with a label left of each row and a caption above each.

    `styles` are arguments of `imshow` for each row; by default grey from 0 to 1.
    """
    columns = max(map(len, rows))
    lines = [max((text.count("\n") + 1 for text in row), default=0) for row in captions]
    label_width = 0.4 + 0.085 * max(max(map(len, label.split("\n"))) for label in labels)
    tile = INCH if columns > 4 else 1.6 * INCH
    height = len(rows) * (tile + 0.05) + CAPTION * sum(lines)
    figure = titled_figure(max(MIN_WIDTH, label_width + columns * tile), 0.4 + height, title)
    figure.get_layout_engine().set(h_pad=0.02, w_pad=0.02, hspace=0.0, wspace=0.0)  # type: ignore[union-attr, call-arg]
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        style = styles[i] if styles else {"cmap": "gray", "vmin": 0, "vmax": 1}
        for j, ax in enumerate(axes[i]):
            ax.set(xticks=[], yticks=[], frame_on=False)
            if j < len(row):
                ax.imshow(row[j], interpolation="nearest", **style)
                ax.set_title(captions[i][j] if captions[i] else "", fontsize="x-small", pad=2)
        axes[i][0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize="small")
    return figure


def sheet(tiles_NHW: np.ndarray, captions: Sequence[str], title: str, unit: str, cmap: str, symmetric: bool) -> Figure:
    """Draw tiles with a common colour scale, and a colour bar with its unit."""
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
