"""How lines and points look: they differ by markers and dashes as well as by colours."""

from typing import Any

# The palette of Okabe and Ito (https://jfly.uni-koeln.de/color) without its yellow, which is pale on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
MOST_CURVES = 8  # lines that can be distinguished


def style(index: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the line with this index."""
    cycles = {"color": COLOURS, "marker": MARKERS, "linestyle": DASHES}
    return {name: values[index % len(values)] for name, values in cycles.items()}
