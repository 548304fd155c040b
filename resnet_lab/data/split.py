"""Hold out part of the images, stratified by class if they have classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.data.layout import ALL

Indices = npt.NDArray[np.int64]


def are_classes(labels: npt.NDArray[Any]) -> bool:
    """Return whether labels are one class (N,) for each image, unlike attributes (N, K) and numbers."""
    return labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)


def holdout(
    labels: npt.NDArray[Any], count: int, seed: int, setting: str = "data.validation"
) -> tuple[Indices, Indices]:
    """Split the images of `labels` (N, …) at random into sorted indices: the rest (N - count,), the held-out (count,).

    Each class is held out in proportion to its size, to within one image. The last image of a class is never held out,
    but one of the class with the most images left; if there is none, fewer than `count` are held out. Of attributes,
    each combination is held out in proportion; numbers are held out evenly by size. Raises ConfigError, naming the
    `setting` that `count` comes from, when no images would remain.
    """
    num_images = len(labels)
    if not 0 <= count < num_images:
        raise ConfigError(f"{setting} must leave images to train on: got {count} of {num_images}")
    shuffled = np.random.default_rng(seed).permutation(num_images)
    by_class = shuffled[np.lexsort(labels[shuffled].reshape(num_images, -1).T[::-1])]  # stable
    # Systematic sampling: even steps through the images sorted by class select each class in proportion to its size.
    positions = (2 * np.arange(count) + 1) * num_images // max(2 * count, 1)
    is_held_out = np.zeros(num_images, bool)
    is_held_out[by_class[positions]] = True
    if are_classes(labels):
        _return_last_images(labels, by_class, is_held_out)
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def drawn(rows: Indices, most: int) -> Indices:
    """Return the rows, or `most` of them, in a random order that is always the same.

    Images in folders, and in many files, are sorted by class: the first ones all have the same class.
    """
    return np.random.default_rng(0).permutation(rows)[:most]


def parts_of(parts: Mapping[str, Indices], labels: npt.NDArray[Any], config: DataConfig) -> dict[str, Indices]:
    """Return the rows of each part; of data without parts, `data.test` of them are held out as test part."""
    if ALL not in parts:
        return dict(parts)
    count = max(1, round(config.test * len(labels)))
    train, test = holdout(labels, count, config.test_split_seed, "data.test")
    return {"train": train, "test": test}


def _return_last_images(labels: npt.NDArray[Any], by_class: Indices, is_held_out: npt.NDArray[np.bool_]) -> None:
    """Give one image back to each class that has lost all, and hold out another one instead."""
    classes, codes = np.unique(labels, return_inverse=True)
    left = np.bincount(codes[~is_held_out], minlength=len(classes))
    for emptied in np.flatnonzero(left == 0):
        is_held_out[next(row for row in by_class if codes[row] == emptied)] = False
        left[emptied] = 1
        fullest = int(left.argmax())
        if left[fullest] > 1:
            is_held_out[next(row for row in by_class if codes[row] == fullest and not is_held_out[row])] = True
            left[fullest] -= 1
