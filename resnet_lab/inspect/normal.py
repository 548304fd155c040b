"""A normal distribution fitted to latent vectors, in its principal axes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

LEAST_VARIANCE = 1e-10  # of an axis, relative to the largest; axes with less are left out


@dataclass(frozen=True, slots=True)
class Normal:
    """Mean and covariance of N latent vectors of D components, in R ≤ min(N - 1, D) principal axes that vary."""

    mean: Numbers  # (D,)
    axes: Numbers  # (R, D) of length 1, the axis of the largest variance first
    std: Numbers  # (R,) along each axis, with divisor N

    @classmethod
    def of(cls, latent_ND: np.ndarray) -> Self:
        """Fit by maximum likelihood: mean, and covariance with divisor N."""
        latent_ND = latent_ND.astype(float)
        mean_D = latent_ND.mean(axis=0)
        _, lengths_R, axes_RD = np.linalg.svd(latent_ND - mean_D, full_matrices=False)
        variance_R = lengths_R**2 / len(latent_ND)
        varies = variance_R > LEAST_VARIANCE * max(variance_R[0], np.finfo(float).tiny)
        return cls(mean_D, axes_RD[varies], np.sqrt(variance_R[varies]))

    @property
    def variance_shares(self) -> Numbers:
        """The share of the total variance along each axis (R,)."""
        return np.asarray(self.std**2 / (self.std**2).sum())

    def projected(self, latent_ND: np.ndarray) -> Numbers:
        """Return coordinates along the principal axes, from the mean (N, R)."""
        return np.asarray((latent_ND - self.mean) @ self.axes.T)

    def whitened(self, latent_ND: np.ndarray) -> Numbers:
        """Return coordinates along the principal axes in standard deviations (N, R)."""
        return np.asarray(self.projected(latent_ND) / self.std)

    def placed(self, whitened_NR: np.ndarray) -> Numbers:
        """Return the latent vectors (N, D) with these coordinates: the inverse of `whitened`."""
        return np.asarray(self.mean + (whitened_NR * self.std) @ self.axes)

    def distances(self, latent_ND: np.ndarray) -> Numbers:
        """Return Mahalanobis distances from the mean (N,), for normal vectors distributed as chi with R degrees."""
        return np.asarray(np.linalg.norm(self.whitened(latent_ND), axis=1))
