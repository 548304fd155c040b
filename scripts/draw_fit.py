"""Draw how images are resized by each `data.fit`, into docs/figures/: `python scripts/draw_fit.py`."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from resnet_lab.config.enums import Fit
from resnet_lab.data.fit import Decoding, fitted

matplotlib.use("Agg")

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
WIDTH, HEIGHT, SIZE = 96, 64, 48  # of the image, and of the squares that it becomes
SCALE = 8  # the image is drawn larger and reduced, for smooth edges


def picture() -> Image.Image:
    """Draw a sun over hills: a circle shows whether the aspect ratio is kept, trees at the edges what is cut."""
    image = Image.new("RGB", (SCALE * WIDTH, SCALE * HEIGHT), "#bfe0f5")
    draw = ImageDraw.Draw(image)

    def box(*corners: float) -> list[float]:
        return [SCALE * corner for corner in corners]

    draw.ellipse(box(36, 6, 60, 30), fill="#f6b73c")
    draw.ellipse(box(-30, 38, 70, 120), fill="#6aa84f")
    draw.ellipse(box(40, 42, 130, 120), fill="#4d8a3a")
    for x in (10, 86):
        draw.rectangle(box(x - 1.5, 38, x + 1.5, 54), fill="#7a4a21")
        draw.polygon(box(x - 8, 42, x + 8, 42, x, 18), fill="#27632a")
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    """Draw the image and what becomes of it."""
    image = picture()
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    columns = figure.subplots(1, 4, width_ratios=[WIDTH, SIZE, SIZE, SIZE])
    shown = {f"image, {WIDTH}×{HEIGHT}": image}
    for fit in Fit:
        how = Decoding((3, SIZE, SIZE), fit, background=(128, 128, 128))
        shown[f"data.fit={fit.name}"] = fitted(image, how)
    for axes, (title, made) in zip(columns, shown.items(), strict=True):
        axes.imshow(np.asarray(made), interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(FIGURES / "fit.png", dpi=110)


if __name__ == "__main__":
    main()
