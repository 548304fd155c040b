"""Draw each augmentation eight times, into docs/figures/augmentations.png: `python scripts/draw_augmentations.py`."""

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

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "augmentations.png"
SIZE, DRAWS, OTHERS = 64, 8, 40
# Lengths in pixels are those for CIFAR, for images twice as large.
IN_PROPORTION = {"crop": ["augment.crop.pad=8"], "cutout": ["augment.cutout.length=32"]}
IN_PROPORTION |= {"crop,reflect": IN_PROPORTION["crop"], "erasing": ["augment.erasing.p=1"]}
IN_PROPORTION |= {"cutmix": ["augment.cutmix.p=1"]}
ROWS = ("crop", "crop,reflect", *(name for name in AUGMENTATIONS if name != "crop"))
NORMALISE = Normalisation((0.5,) * 3, (0.25,) * 3)


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


def main() -> None:
    """A row for each augmentation."""
    figure = Figure(figsize=(7.5, 0.78 * len(ROWS)))
    axes = figure.subplots(len(ROWS), DRAWS, squeeze=False)
    for name, row in zip(ROWS, axes, strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for ax, image in zip(row, augmented(name), strict=True):
            ax.imshow(image.permute(1, 2, 0).numpy())
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    figure.subplots_adjust(left=0.13, right=0.995, top=0.995, bottom=0.005, wspace=0.04, hspace=0.04)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(256).save(FIGURE, optimize=True)


if __name__ == "__main__":
    main()
