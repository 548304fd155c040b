"""Means of groups of runs, with a variance for each group, and their differences.

The unit is a run. Its score is the sum of its group's mean, of the effect of its block (a split of the data, which
makes the task harder or easier for all groups alike), and of noise whose variance belongs to its group. Seeds are
replicates. Groups may have any numbers of runs, in any of the blocks; all runs count.

With one block, this is Welch's comparison; with two groups that have one run each in every block, the paired t-test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

Array = np.ndarray
Runs = Sequence[tuple[str, float]]  # block and score of each run

TINY = 1e-9  # smaller spreads are rounding errors
UNTOLD = 1e-6  # and smaller shares of a block's effect


@dataclass(frozen=True, slots=True)
class Means:
    """Estimates for G groups, for which a variance can be estimated."""

    names: list[str]
    n: Array  # (G,) numbers of runs
    means: Array  # (G,) in an average block
    variances: Array  # (G,) of a run, the blocks left out
    freedom: Array  # (G,) degrees of freedom of the variances
    shared: Array  # (G, G) covariances of the means that come from the blocks' estimated effects
    blocks_freedom: float  # degrees of freedom of `shared`
    difference: Array  # (G, G) mean of the row's group minus mean of the column's
    error: Array  # (G, G) standard errors; not finite for groups that share no block, even by way of others
    untold: Array  # (G, B) the part of a mean that rests on effects of blocks which no group tells apart
    df: Array  # (G, G) degrees of freedom of the standard errors (Welch-Satterthwaite)

    @property
    def own(self) -> Array:
        """(G,) variances of the means, the blocks left out."""
        return self.variances / self.n

    def contrast(self, weights: Array) -> tuple[float, float, float]:
        """Return estimate, standard error and degrees of freedom of a weighted sum of means; `weights` (G,) sum to 0.

        The error is not finite if the groups share no block.
        """
        parts, blocks = weights**2 * self.own, float(weights @ self.shared @ weights)
        square = parts.sum() + blocks
        scale = (parts**2 / self.freedom).sum() + blocks**2 / max(self.blocks_freedom, TINY)
        error = float(np.sqrt(square)) if self.tells(weights) else np.inf
        return float(weights @ self.means), error, float(square**2 / scale) if scale > TINY**4 else 1.0

    def tells(self, weights: Array) -> bool:
        """Return whether the blocks allow to estimate weighted sums of means; `weights` (G,) or (R, G)."""
        return bool((np.abs(weights @ self.untold) < UNTOLD).all())

    @property
    def common(self) -> Array:
        """(G, G) correlation of each difference with the noise of the row's group."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.sqrt(self.own)[:, None] / self.error
        return np.clip(np.nan_to_num(share, posinf=0.0), 0, 1)

    @property
    def steepness(self) -> float:
        """By how much the variances of the third with the largest means are larger; 1 if unrelated."""
        if np.ptp(self.means) <= TINY or np.ptp(self.variances) <= TINY:
            return 1.0
        related = spearmanr(self.means, self.variances).statistic
        order = np.argsort(self.means)
        third = max(1, len(order) // 3)
        low, high = (self.variances[part].mean() for part in (order[:third], order[-third:]))
        return float(high / low) if related > 0.5 and low > TINY else 1.0


def estimate(groups: Mapping[str, Runs]) -> Means:
    """Estimate means, variances and differences of the groups with at least two runs that tell a variance."""
    several = {name: runs for name, runs in groups.items() if len(runs) > 1}
    blocks = list(dict.fromkeys(block for runs in several.values() for block, _ in runs))
    scores = [np.array([score for _, score in runs]) for runs in several.values()]
    inside = [np.array([[block == b for b in blocks] for block, _ in runs], float) for runs in several.values()]
    fit = _fit(scores, inside, len(blocks))
    kept = np.flatnonzero(fit.freedom > TINY)
    centres = np.array([x.mean(0) for x in inside]).reshape(len(inside), len(blocks))[kept]
    means = np.array([y.mean() for y in fit.adjusted])[kept]
    n = np.array([len(y) for y in scores])[kept]
    variances, freedom, shared = fit.variances[kept], fit.freedom[kept], centres @ fit.covariance @ centres.T
    own, all_freedom, untold = variances / n, float(freedom.sum()), centres @ fit.untold.T
    unknown = (np.abs(untold[:, None] - untold) > UNTOLD).any(axis=2)
    of_blocks = np.maximum(np.diag(shared)[:, None] + np.diag(shared) - 2 * shared, 0)
    square, parts = own[:, None] + own + of_blocks, own**2 / freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        df = square**2 / (parts[:, None] + parts + of_blocks**2 / max(all_freedom, TINY))
    return Means(
        names=[list(several)[i] for i in kept],
        n=n,
        means=means,
        variances=variances,
        freedom=freedom,
        shared=shared,
        blocks_freedom=all_freedom,
        difference=means[:, None] - means,
        error=np.where(unknown, np.inf, np.sqrt(square)),
        untold=untold,
        df=np.where(np.isfinite(df), df, 1.0),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Effects of B blocks, and G groups without them."""

    adjusted: list[Array]  # of each group, (n,): scores minus the effects of their blocks
    freedom: Array  # (G,) degrees of freedom of the variances
    variances: Array  # (G,); 0 without any freedom
    covariance: Array  # (B, B) of the effects
    untold: Array  # (B, B) by how much the effects miss those that the groups do not tell apart


def _fit(scores: Sequence[Array], inside: Sequence[Array], blocks: int) -> _Fit:
    """Fit the effects of blocks to differences within groups, by ordinary least squares; `inside` is (n, B) each."""
    zero = np.zeros((blocks, blocks))
    centred = [x - x.mean(0) for x in inside]
    gram = [x.T @ x for x in centred]
    inverse = np.linalg.pinv(sum(gram, zero), rcond=1e-9, hermitian=True)
    moments = sum((x.T @ y for x, y in zip(centred, scores, strict=True)), np.zeros(blocks))
    adjusted = [y - x @ inverse @ moments for x, y in zip(inside, scores, strict=True)]
    freedom = np.array([len(y) - 1 - np.trace(inverse @ g) for y, g in zip(scores, gram, strict=True)])
    squares = np.array([((y - y.mean()) ** 2).sum() for y in adjusted])
    variances = np.divide(squares, freedom, out=np.zeros_like(squares), where=freedom > TINY)
    covariance = sum((v * inverse @ g @ inverse for v, g in zip(variances, gram, strict=True)), zero)
    return _Fit(adjusted, freedom, variances, covariance, inverse @ sum(gram, zero) - np.eye(blocks))
