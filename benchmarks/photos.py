"""Photographs of mixed sizes for benchmarks: smooth random scenes with fine grain, as JPEG files in class folders."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

SIDES = (240, 640)  # pixels of width and height: least and most
DISTINCT = 1000  # more files than these are links to them, which take the same time to decode
CLASSES, TEST_EVERY = 10, 6


def folder(root: Path, count: int) -> Path:
    """Make `count` files, a sixth of them as test part."""
    originals = root / "originals"
    originals.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(min(count, DISTINCT)):
        photograph(rng).save(originals / f"{number}.jpg", quality=85)
    for number in range(count):
        part = "test" if number % TEST_EVERY == 0 else "train"
        place = root / "photos" / part / str(number // TEST_EVERY % CLASSES)
        place.mkdir(parents=True, exist_ok=True)
        os.link(originals / f"{number % DISTINCT}.jpg", place / f"{number:06}.jpg")
    return root / "photos"


def photograph(rng: np.random.Generator) -> Image.Image:
    """Return an image of random size: colours that change slowly, edges, and grain."""
    width, height = (int(side) for side in rng.integers(*SIDES, 2))
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    scene = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    pieces = Image.fromarray(rng.integers(-40, 41, (40, 40), dtype=np.int16).astype(np.float32))
    edges = np.asarray(pieces.resize((width, height), Image.Resampling.NEAREST)).astype(np.int16)
    grain = rng.normal(0, 6, (height, width)).astype(np.int16)
    return Image.fromarray(np.clip(scene + (edges + grain)[..., None], 0, 255).astype(np.uint8))
