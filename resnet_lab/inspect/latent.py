"""The distribution of latent vectors: moments, closeness to a normal distribution, correlations, maps."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, kurtosis, norm, skew
from sklearn.manifold import TSNE

from resnet_lab.inspect.normal import Normal, Numbers
from resnet_lab.tasks.vae import ACTIVE

MOST_MAPPED = 1000  # points of t-SNE, whose time grows faster than their number
CHUNK = 512  # rows of a matrix of N × N products
CONSTANT = 1e-12  # a standard deviation that counts as 0


@dataclass(frozen=True, slots=True)
class Moments:
    """Of each component (D,); skewness and excess kurtosis are 0 for a normal distribution, NaN for a constant."""

    mean: Numbers
    std: Numbers
    skewness: Numbers
    kurtosis: Numbers  # excess over 3

    @classmethod
    def of(cls, latent_ND: np.ndarray) -> Self:
        latent_ND = latent_ND.astype(float)
        std_D = latent_ND.std(axis=0)
        varying_ND = np.where(std_D > CONSTANT, latent_ND, np.nan)
        with np.errstate(invalid="ignore"):
            return cls(latent_ND.mean(axis=0), std_D, skew(varying_ND, axis=0), kurtosis(varying_ND, axis=0))


@dataclass(frozen=True, slots=True)
class Mardia:
    """Mardia's multivariate skewness and kurtosis, with the p values of tests for a normal distribution.

    K. V. Mardia, Biometrika 57 (1970) 519: for whitened vectors y, skewness is the mean of (yᵢ·yⱼ)³ over all pairs, and
    kurtosis the mean of |yᵢ|⁴. Tests use the moments that are exact for a normal distribution and N vectors, from
    K. V. Mardia, Sankhya B 36 (1974) 115. P values are NaN where there are no more vectors than dimensions + 1.
    """

    dimensions: int  # in which the vectors vary, R
    skewness: float  # about R (R + 1) (R + 2) / N for a normal distribution
    skewness_p: float
    kurtosis: float  # about R (R + 2) for a normal distribution
    kurtosis_p: float  # two-sided

    @property
    def relative_kurtosis(self) -> float:
        """Kurtosis / R (R + 2): 1 for a normal distribution, more with heavy tails."""
        return self.kurtosis / (self.dimensions * (self.dimensions + 2))


def mardia(latent_ND: np.ndarray, normal: Normal | None = None) -> Mardia:
    """Test whether latent vectors come from a multivariate normal distribution; `normal` is the one fitted to them."""
    normal = normal or Normal.of(latent_ND)
    whitened_NR = normal.whitened(latent_ND)
    n, r = whitened_NR.shape
    chunks = (whitened_NR[start : start + CHUNK] for start in range(0, n, CHUNK))
    skewness = sum(float(((chunk @ whitened_NR.T) ** 3).sum()) for chunk in chunks) / n**2
    fourth = float(((whitened_NR**2).sum(axis=1) ** 2).mean())
    if n <= r + 1:
        return Mardia(r, skewness, np.nan, fourth, np.nan)
    exact = (r + 1) * (n + 1) * (n + 3) / (n * ((n + 1) * (r + 1) - 6))
    skewness_p = chi2.sf(n * skewness / 6 * exact, r * (r + 1) * (r + 2) / 6)
    expected = r * (r + 2) * (n - 1) / (n + 1)
    variance = 8 * r * (r + 2) * (n - 3) * (n - r - 1) * (n - r + 1) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    kurtosis_p = 2 * norm.sf(abs(fourth - expected) / np.sqrt(variance))
    return Mardia(r, skewness, float(skewness_p), fourth, float(kurtosis_p))


def active_units(latent_ND: np.ndarray) -> npt.NDArray[np.bool_]:
    """Return which components distinguish images: variance over images above 0.01 (arXiv:1509.00519), (D,).

    For a variational autoencoder, `latent` holds the encoder's means.
    """
    return np.asarray(latent_ND.astype(float).var(axis=0) > ACTIVE)


def correlations(latent_ND: np.ndarray) -> Numbers:
    """Return the correlation matrix (D, D), with 0 for constant components."""
    latent_ND = latent_ND.astype(float)
    varies = latent_ND.std(axis=0) > CONSTANT
    found = np.zeros(2 * varies.shape)
    if varies.any():
        found[np.ix_(varies, varies)] = np.corrcoef(latent_ND[:, varies], rowvar=False)
    return found


def most_correlated(correlation_DD: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Return the pairs of components with the largest absolute correlations, the largest first."""
    above = np.triu_indices(len(correlation_DD), k=1)
    order = np.argsort(-np.abs(correlation_DD[above]), kind="stable")[:count]
    return [(int(above[0][i]), int(above[1][i])) for i in order]


def ellipse(points_N2: np.ndarray, share: float, count: int = 100) -> Numbers:
    """Return the ellipse (count, 2) that holds this share of the normal distribution fitted to points in a plane."""
    angle = np.linspace(0, 2 * np.pi, count)
    normal = Normal.of(points_N2)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, : len(normal.std)]
    return normal.placed(np.sqrt(chi2.ppf(share, 2)) * circle)


def share_within(points_N2: np.ndarray, share: float) -> float:
    """Return the share of the points within that ellipse."""
    return float((Normal.of(points_N2).distances(points_N2) ** 2 <= chi2.ppf(share, 2)).mean())


def tsne_map(latent_ND: np.ndarray, seed: int) -> Numbers:
    """Return positions (N, 2) in a plane by t-SNE: near each other if the latent vectors are.

    Distances between groups in the plane say little. For at least 5 vectors, and no more than `MOST_MAPPED` in a
    reasonable time.
    """
    perplexity = min(30.0, (len(latent_ND) - 1) / 3)
    made = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(latent_ND.astype(np.float32))
    return np.asarray(made, float)
