"""Draw each augmentation eight times, into docs/figures: `python scripts/draw_augmentations.py`."""

import io
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from resnet_lab import load_config
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.data.augment import active_augmentations
from resnet_lab.data.images import Normalisation

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
SIZE, DRAWS, OTHERS = 64, 8, 40
# Lengths in pixels are those for CIFAR, for images twice as large.
IN_PROPORTION = {"crop": ["augment.crop.pad=8"], "cutout": ["augment.cutout.length=32"]}
IN_PROPORTION |= {"crop,reflect": IN_PROPORTION["crop"], "erasing": ["augment.erasing.p=1"]}
IN_PROPORTION |= {"cutmix": ["augment.cutmix.p=1"], "scale_crop": ["augment.scale_crop.shorter=[73,137]"]}
IMAGE_ROWS = [name for name in AUGMENTATIONS if AUGMENTATIONS.info(name).dims != 1]
SERIES_ROWS = [name for name in AUGMENTATIONS if AUGMENTATIONS.info(name).dims != 2]
IMAGE_ROWS.insert(1, "crop,reflect")
NORMALISE = Normalisation((0.5,) * 3, (0.25,) * 3)
LENGTH = 128
# Stronger than by default, to be seen.
SEEN = {
    "crop": ["augment.crop.pad=16"],
    "slice": ["augment.slice.share=0.7"],
    "warp": ["augment.warp.share=0.25"],
    "scale": ["augment.scale.std=0.3"],
    "gaussian": ["augment.gaussian.std=0.15"],
}


def pixels() -> Tensor:
    """DRAWS copies of scikit-learn's flower, and OTHERS of its temple to mix it with: uint8 (…, 3, SIZE, SIZE)."""
    squares = []
    temple, flower = load_sample_images().images
    for photograph, count in ((flower, DRAWS), (temple, OTHERS)):
        height, width, _ = photograph.shape
        left = (width - height) // 2
        square = Image.fromarray(photograph[:, left : left + height]).resize((SIZE, SIZE))
        squares += [torch.from_numpy(np.array(square)).permute(2, 0, 1)] * count
    return torch.stack(squares)


def augmented(name: str) -> Tensor:
    """The flower, as an option of the group changes it: (DRAWS, 3, SIZE, SIZE), in 0…1."""
    shape = ("data=fake", f"data.image_size={SIZE}")
    config = load_config(*shape, f"augment=[none,{name}]", *IN_PROPORTION.get(name, []))
    [augmentation] = active_augmentations(config, NORMALISE)
    images = NORMALISE(pixels())
    labels = torch.zeros(len(images), dtype=torch.int64)
    images, _ = augmentation.apply(images, labels, *augmentation.draw(np.random.default_rng(3), len(images)))
    return NORMALISE.shares(images[:DRAWS])


def heartbeats() -> Tensor:
    """DRAWS copies of two made heartbeats, and OTHERS of a slow wave to mix them with: (…, 1, LENGTH)."""
    moment = np.arange(LENGTH) / LENGTH
    bumps = [(0.12, 0.03, 0.4), (0.2, 0.008, -0.5), (0.225, 0.01, 3.0), (0.25, 0.01, -0.8), (0.38, 0.04, 0.7)]
    beat = sum(
        height * np.exp(-(((moment - shift - centre) / width) ** 2) / 2)
        for shift in (0, 0.5)
        for centre, width, height in bumps
    )
    wave = np.sin(2 * np.pi * moment)
    return torch.from_numpy(np.stack([beat] * DRAWS + [wave] * OTHERS)).float()[:, None]


def changed(name: str) -> Tensor:
    """The heartbeats, as an option of the group changes them: (DRAWS, LENGTH)."""
    shape = ("data=fake", "data.dims=1", f"data.image_size={LENGTH}", "data.channels=1")
    config = load_config(*shape, f"augment=[none,{name}]", *SEEN.get(name, []))
    [augmentation] = active_augmentations(config, Normalisation((0.0,), (1.0,)))
    series = heartbeats()
    labels = torch.zeros(len(series), dtype=torch.int64)
    series, _ = augmentation.apply(series, labels, *augmentation.draw(np.random.default_rng(3), len(series)))
    return series[:DRAWS, 0]


def main() -> None:
    """A row for each augmentation."""
    draw_images()
    draw_series()


def draw_series() -> None:
    """Draw each on top of what it changes."""
    figure = Figure(figsize=(7.5, 0.7 * len(SERIES_ROWS)))
    axes = figure.subplots(len(SERIES_ROWS), DRAWS, squeeze=False, sharey=True)
    before = heartbeats()[0, 0]
    for name, row in zip(SERIES_ROWS, axes, strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for ax, series in zip(row, changed(name), strict=True):
            ax.plot(before, color="0.8", linewidth=0.8)
            ax.plot(series, color="C0", linewidth=0.9)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    save(figure, "augmentations_series.png")


def draw_images() -> None:
    """Draw the changed images."""
    figure = Figure(figsize=(7.5, 0.78 * len(IMAGE_ROWS)))
    axes = figure.subplots(len(IMAGE_ROWS), DRAWS, squeeze=False)
    for name, row in zip(IMAGE_ROWS, axes, strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for ax, image in zip(row, augmented(name), strict=True):
            ax.imshow(image.permute(1, 2, 0).numpy())
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    save(figure, "augmentations.png")


def save(figure: Figure, name: str) -> None:
    """Write the figure in few colours."""
    figure.subplots_adjust(left=0.13, right=0.995, top=0.995, bottom=0.005, wspace=0.04, hspace=0.04)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(256).save(FIGURES / name, optimize=True)


if __name__ == "__main__":
    main()
