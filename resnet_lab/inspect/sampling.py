"""Latent vectors to decode: drawn at random, along axes, between images, and in the direction of an attribute."""

import numpy as np
import numpy.typing as npt
from scipy.stats import chi

from resnet_lab.inspect.normal import Normal, Numbers

SHARE = 0.95  # of a normal distribution, within the ellipsoid that counts as inside


def inside(normal: Normal, count: int, seed: int, share: float = SHARE) -> Numbers:
    """Draw from a normal distribution, only within the ellipsoid that holds this share of it: (count, D)."""
    generator = np.random.default_rng(seed)
    rank = len(normal.std)
    radius_N = chi.ppf(share * generator.uniform(size=count), rank)
    return normal.placed(radius_N[:, None] * _directions(generator, count, rank))


def outside(normal: Normal, count: int, seed: int, times: float, share: float = SHARE) -> Numbers:
    """Draw at `times` the Mahalanobis radius of the ellipsoid of `inside`, in random directions: (count, D).

    With the same seed and count, the directions are those of `inside`.
    """
    generator = np.random.default_rng(seed)
    rank = len(normal.std)
    generator.uniform(size=count)
    return normal.placed(times * chi.ppf(share, rank) * _directions(generator, count, rank))


def standard(count: int, dimensions: int, seed: int) -> Numbers:
    """Draw from the standard normal distribution, the prior of a variational autoencoder: (count, D)."""
    return np.random.default_rng(seed).normal(size=(count, dimensions))


def along_axis(normal: Normal, axis: int, steps_S: npt.ArrayLike) -> Numbers:
    """Return points on a principal axis through the mean, at `steps` standard deviations from it: (S, D)."""
    step_S1 = np.asarray(steps_S, float)[:, None]
    return np.asarray(normal.mean + step_S1 * normal.std[axis] * normal.axes[axis])


def between(first_D: np.ndarray, last_D: np.ndarray, count: int) -> Numbers:
    """Return points on the line from one latent vector to another, with both: (count, D)."""
    return np.linspace(first_D, last_D, count)


def direction(latent_ND: np.ndarray, has_N: np.ndarray) -> Numbers:
    """Return the mean latent vector of images with an attribute minus that of images without it (D,)."""
    return np.asarray(latent_ND[has_N].mean(axis=0) - latent_ND[~has_N].mean(axis=0))


def along_direction(latent_D: np.ndarray, direction_D: np.ndarray, steps_S: npt.ArrayLike) -> Numbers:
    """Return a latent vector plus multiples of a direction: (S, D)."""
    return np.asarray(latent_D + np.asarray(steps_S, float)[:, None] * direction_D)


def _directions(generator: np.random.Generator, count: int, dimensions: int) -> Numbers:
    """Draw vectors of length 1, uniformly over all directions (count, dimensions)."""
    drawn = generator.normal(size=(count, dimensions))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
