"""Errors of reconstructions that need no network: what an autoencoder must beat."""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh, svd
from sklearn.decomposition import PCA

from resnet_lab.data.images import WHITE
from resnet_lab.data.split import drawn

MOST_EXACT = 4096  # pixels up to which the covariance is decomposed, which takes its square in memory
SUBSET = 5_000  # images that PCA is fitted to with more pixels
CHUNK = 1_000  # images that are converted to float at a time


def baselines(
    train_NCHW: np.ndarray, test_NCHW: np.ndarray, latent_dim: int, most_exact: int = MOST_EXACT, seed: int = 0
) -> dict[str, float]:
    """Return the mean squared error of a pixel in 0…1 on test images, by kind of reconstruction; images are uint8.

    Of series, normalised (N, C, L), it is that of their values.

    "mean image", or "mean series", is the mean of the training part. "PCA" keeps `latent_dim` principal components of
    the training images, or all that there are: the least error that a linear encoder and decoder reach on these. With
    more than `most_exact` pixels, PCA is fitted to a random subset of images by randomised SVD; its name then says so.
    """
    pixels, fitted, name = train_NCHW[0].size, train_NCHW, "PCA"
    randomised = pixels > most_exact
    if randomised:
        rows = drawn(np.arange(len(train_NCHW)), SUBSET)
        fitted, name = train_NCHW[np.sort(rows)], f"PCA of {len(rows):,} images"
    components = min(latent_dim, pixels, len(fitted) - 1)  # N images span N - 1 axes
    mean_image_P = _mean(train_NCHW)
    mean_P, axes_DP = _principal_axes(fitted, components, randomised, seed)
    errors = np.zeros(2)
    for chunk_BP in _chunks(test_NCHW):
        centred_BP = chunk_BP - mean_P
        rest_BP = centred_BP - (centred_BP @ axes_DP.T) @ axes_DP
        errors += np.square(chunk_BP - mean_image_P).sum(), np.square(rest_BP).sum()
    mean_error, pca_error = errors / test_NCHW.size
    mean = "mean image" if train_NCHW.ndim == 4 else "mean series"
    return {mean: float(mean_error), name: float(pca_error)}


def _principal_axes(
    images_NCHW: np.ndarray, components: int, randomised: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (P,) and the principal axes (components, P) of pixels in 0…1."""
    if randomised:
        flat_NP = (images_NCHW.reshape(len(images_NCHW), -1) / np.float32(_white(images_NCHW))).astype(np.float32)
        found = PCA(components, svd_solver="randomized", random_state=seed, copy=False).fit(flat_NP)
        return found.mean_.astype(float), found.components_.astype(float)
    mean_P = _mean(images_NCHW)
    if not components:
        return mean_P, np.zeros((0, len(mean_P)))
    if len(images_NCHW) <= len(mean_P):
        centred_NP = np.concatenate([*_chunks(images_NCHW)]) - mean_P
        return mean_P, svd(centred_NP, full_matrices=False)[2][:components]
    scatter_PP = np.zeros((len(mean_P), len(mean_P)))
    for chunk_BP in _chunks(images_NCHW):  # scikit-learn would convert all images at once
        centred_BP = (chunk_BP - mean_P).astype(np.float32)  # products of which take half of the time
        scatter_PP += centred_BP.T @ centred_BP
    largest = (len(mean_P) - components, len(mean_P) - 1)
    return mean_P, eigh(scatter_PP, subset_by_index=largest)[1].T


def _mean(images_NCHW: np.ndarray) -> np.ndarray:
    """Return the mean image (P,), with pixels in 0…1."""
    return np.asarray(images_NCHW.mean(axis=0, dtype=float).ravel() / _white(images_NCHW))


def _chunks(images_NCHW: np.ndarray) -> Iterator[np.ndarray]:
    """Yield images as rows of pixels in 0…1 (B, P)."""
    for start in range(0, len(images_NCHW), CHUNK):
        yield images_NCHW[start : start + CHUNK].reshape(-1, images_NCHW[0].size) / _white(images_NCHW)


def _white(images_NCHW: np.ndarray) -> int:
    """Return what stands for 1: the greatest pixel, or 1 for series."""
    return WHITE if images_NCHW.dtype == np.uint8 else 1
