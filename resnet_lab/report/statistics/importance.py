"""How much each setting of a population matters: permutation importance in a random forest (Breiman 2001).

The forest is judged by networks that it was not fitted to, since it can fit noise as well as it fits settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FOLDS = 5  # each network is predicted by a forest that was fitted to the other four fifths
TREES, REPEATS = 50, 5  # of each forest; permutations of each setting

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Importance:
    """What a forest explains, and the share of each setting in it."""

    explained: float  # R² on networks that the forest was not fitted to; not above 0: no better than the mean
    shares: dict[str, float]  # by setting, the largest first, with the sum 1; empty if the forest explains nothing


def importance(settings: Mapping[str, Sequence[float]], scores: Sequence[float]) -> Importance:
    """Measure by how much the squared error grows when the values of one setting are permuted.

    Choices are given as numbers, one for each value: `settings` has as many for each name as there are `scores`.
    """
    from sklearn.ensemble import RandomForestRegressor  # here, since it takes a second
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    x, y = np.array([*settings.values()], float).T, np.asarray(scores, float)
    predicted, growth = np.empty(len(y)), np.zeros(len(settings))
    for fitted, held_out in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        forest = RandomForestRegressor(TREES, random_state=0).fit(x[fitted], y[fitted])
        predicted[held_out] = forest.predict(x[held_out])
        options: dict[str, Any] = {"scoring": "neg_mean_squared_error", "n_repeats": REPEATS, "random_state": 0}
        growth += permutation_importance(forest, x[held_out], y[held_out], **options).importances_mean
    explained = 1 - float(np.mean((y - predicted) ** 2)) / float(y.var()) if y.var() else 0.0
    growth = growth.clip(0)
    if explained <= 0 or not growth.any():
        return Importance(explained, {})
    shares = dict(zip(settings, (growth / growth.sum()).tolist(), strict=True))
    return Importance(explained, dict(sorted(shares.items(), key=lambda pair: -pair[1])))
