"""Hold out part of the images, stratified by class."""

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError

Indices = npt.NDArray[np.int64]


def holdout(labels: npt.NDArray[np.int64], count: int, seed: int) -> tuple[Indices, Indices]:
    """Split the images of `labels` (N,) at random into sorted indices: the rest (N - count,), the held-out (count,).

    Each class is held out in proportion to its size, to within one image. Raises ConfigError when no images would
    remain.
    """
    num_images = len(labels)
    if not 0 <= count < num_images:
        raise ConfigError(f"data.validation must leave images to train on: got {count} of {num_images}")
    shuffled = np.random.default_rng(seed).permutation(num_images)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    # Systematic sampling: even steps through the images sorted by class select each class in proportion to its size.
    positions = (2 * np.arange(count) + 1) * num_images // max(2 * count, 1)
    is_held_out = np.zeros(num_images, bool)
    is_held_out[by_class[positions]] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
