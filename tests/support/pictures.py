"""Folders of small pictures, as users have them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from resnet_lab.config.data import DataConfig
from resnet_lab.data.listing import Listing, list_images, listing_of

GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)  # height 2, width 3
Pixels = npt.NDArray[np.uint8]


def save(path: Path, image: Image.Image | Pixels, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **options)
    return path


def put(root: Path, names: Iterable[str]) -> Path:
    """Save grey images, each of its own shade: the n-th is GREY + n."""
    for number, name in enumerate(names):
        save(root / name, GREY + np.uint8(number))
    return root


def noise(root: Path, counts: dict[str, int], size: int = 8, first: int = 0) -> Path:
    """Save noise images for each folder, numbered from `first`; the noise follows from folder and number."""
    for folder, count in counts.items():
        for number in range(first, first + count):
            rng = np.random.default_rng([*folder.encode(), number])
            save(root / folder / f"{number}.png", rng.integers(0, 256, (size, size), dtype=np.uint8))
    return root


def folder_config(root: Path | str, **settings: object) -> DataConfig:
    """Settings for grey images of the shape of GREY, classes counted."""
    defaults = {"channels": 1, "image_size": [2, 3], "num_classes": None}
    return DataConfig(name="image_folder", root=str(root), **(defaults | settings))  # type: ignore[arg-type]


def listed(root: Path | str, **settings: object) -> Listing:
    """What is in a folder now."""
    list_images.cache_clear()
    return listing_of(folder_config(root, **settings))


def names(listing: Listing, part: str) -> list[str]:
    return [listing.files.names[row] for row in listing.parts[part]]


def labels(listing: Listing, part: str) -> list[int]:
    return listing.labels[listing.parts[part]].tolist()


def photographs(root: Path, counts: dict[str, int]) -> Path:
    """Save RGB images of mixed sizes without loss: red grows from left to right, green from top to bottom, evenly."""
    rng = np.random.default_rng(0)
    for folder, count in counts.items():
        for number in range(count):
            height, width = rng.integers(40, 160, 2)
            row, column = ((np.arange(side) + 0.5) / side * 255 for side in (height, width))
            red, green = np.broadcast_to(column, (height, width)), np.broadcast_to(row[:, None], (height, width))
            blue = np.full((height, width), rng.integers(0, 256))
            save(root / folder / f"{number}.png", np.stack([red, green, blue], axis=2).round().astype(np.uint8))
    return root
