"""Figures of networks of series speak of series."""

from matplotlib.figure import Figure
from matplotlib.text import Text

from resnet_lab.text import worded


def reword(figure: Figure, dims: int) -> None:
    """Put titles, labels and legends into the words for series (`dims` 1) or images (2)."""
    for text in figure.findobj(Text) if dims == 1 else ():
        text.set_text(worded(text.get_text(), dims))
