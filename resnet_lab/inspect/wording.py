"""Captions and figures speak of images; of networks of series, they speak of series."""

from matplotlib.figure import Figure
from matplotlib.text import Text

SERIES_WORDS = {
    "images": "series", "image": "series", "pixels": "moments", "pixel": "moment", "the mean colour": "0",
    "mean colour": "0", "a square": "a window", "spatial frequency": "frequency",
}  # fmt: skip


def worded(text: str, dims: int) -> str:
    """Return a text in the words for what the network is given: series (`dims` 1) or images (2)."""
    if dims == 1:
        for of_images, of_series in SERIES_WORDS.items():
            text = text.replace(of_images, of_series)
    return text


def reword(figure: Figure, dims: int) -> None:
    """Put titles, labels and legends into these words."""
    for text in figure.findobj(Text) if dims == 1 else ():
        text.set_text(worded(text.get_text(), dims))
