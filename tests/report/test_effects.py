"""Effects of axes against independent formulas."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from resnet_lab.report import words
from resnet_lab.report.statistics.effects import effects, interactions, wald
from resnet_lab.report.statistics.means import Means, estimate

RNG = np.random.default_rng(0)
UNITS, SHORTCUTS = (2, 4, 8), ("none", "projection")


def grid(score, n: int = 5, noise: float = 0.3) -> tuple[list[dict[str, object]], Means]:
    """Groups of two axes; `score` gives the true mean."""
    fields: list[dict[str, object]] = [{"units": u, "shortcut": s} for u, s in product(UNITS, SHORTCUTS)]
    samples = {
        str(i): [("", float(score(**own) + noise * RNG.normal())) for _ in range(n)] for i, own in enumerate(fields)
    }
    return fields, estimate(samples)


def test_a_step_is_the_difference_of_marginal_means():
    fields, means = grid(lambda units, shortcut: units + (3 if shortcut == "none" else 0))
    by_axis = {found.axis: found for found in effects(fields, means)}
    table = means.means.reshape(3, 2)
    units, shortcut = by_axis["units"], by_axis["shortcut"]
    assert units.means == pytest.approx(table.mean(axis=1))
    assert [step.change.mean for step in units.steps] == pytest.approx(np.diff(table.mean(axis=1)))
    assert [(step.before, step.after, step.combinations) for step in units.steps] == [(2, 4, 2), (4, 8, 2)]
    [step] = shortcut.steps
    assert step.change.low < -3 < step.change.high
    variance = (means.variances / means.n).reshape(3, 2)
    error = np.sqrt(variance.sum()) / 3
    df = variance.sum() ** 2 / (variance**2 / 4).sum()
    half = stats.t.ppf(0.975, df) * error
    assert step.change.high - step.change.low == pytest.approx(2 * half)


def test_shares_add_up_to_all_of_the_variation():
    fields, means = grid(lambda units, shortcut: units * (2 if shortcut == "none" else 1))
    shares = [found.share for found in effects(fields, means)] + [found.share for found in interactions(fields, means)]
    assert all(share is not None and share >= 0 for share in shares)
    assert sum(share or 0 for share in shares) == pytest.approx(1)


def test_an_interaction_is_found_where_there_is_one():
    fields, means = grid(lambda units, shortcut: units * (2 if shortcut == "none" else 1))
    [found] = interactions(fields, means)
    assert found.axes == ("units", "shortcut")
    assert found.p < 1e-6
    p_values = [interactions(*grid(lambda units, shortcut: units + len(shortcut)))[0].p for _ in range(200)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.05)


def test_for_all_groups_it_is_welchs_analysis_of_variance():
    samples = [RNG.normal(i / 2, 1 + i, 5 + i) for i in range(4)]
    means = estimate({str(i): [("", float(v)) for v in values] for i, values in enumerate(samples)})
    contrasts = np.eye(4)[1:] - np.eye(4)[0]
    weights = np.array([len(s) / s.var(ddof=1) for s in samples])
    centre = np.average([s.mean() for s in samples], weights=weights)
    between = sum(w * (s.mean() - centre) ** 2 for w, s in zip(weights, samples, strict=True)) / 3
    rest = sum((1 - w / weights.sum()) ** 2 / (len(s) - 1) for w, s in zip(weights, samples, strict=True))
    expected = stats.f.sf(between / (1 + 2 * 2 / 15 * rest), 3, 15 / (3 * rest))
    assert wald(contrasts, means) == pytest.approx(expected)


def test_slope_per_halving_and_trend():
    fields, means = grid(lambda units, shortcut: 5 - 2 * np.log2(units) + len(shortcut) / 10, noise=0.05)
    units = effects(fields, means)[0]
    assert units.per_halving is not None
    assert units.per_halving.low < 2 < units.per_halving.high
    table = means.means.reshape(3, 2).T
    assert units.trend_p == pytest.approx(2 * stats.page_trend_test(-table).pvalue)
    assert effects(fields, means)[1].per_halving is None


def test_a_hole_in_the_grid_is_left_out_of_the_average():
    fields, means = grid(lambda units, shortcut: units + (3 if shortcut == "none" else 0), noise=0.01)
    kept = [i for i, own in enumerate(fields) if own != {"units": 8, "shortcut": "projection"}]
    samples = {str(i): [("", float(means.means[i])), ("", float(means.means[i]) + 0.01)] for i in kept}
    found = {one.axis: one for one in effects([fields[i] for i in kept], estimate(samples))}
    assert [step.combinations for step in found["shortcut"].steps] == [2]
    assert [step.combinations for step in found["units"].steps] == [2, 1]
    assert found["units"].share is None


@pytest.mark.filterwarnings("error")
def test_where_no_other_group_shares_the_rest_there_is_no_trend():
    fields = [{"units": u, "filters": 4 * u} for u in UNITS]
    found = effects(fields, estimate({str(u): [("", u + 0.0), ("", u + 0.1)] for u in UNITS}))
    assert [(own.steps, own.per_halving, own.trend_p) for own in found] == [([], None, None)] * 2


def test_what_splits_hide_is_no_interaction():
    """The groups of each cell of one axis have splits of their own."""
    fields = [{"units": u, "shortcut": s} for u, s in product(UNITS[:2], SHORTCUTS)]
    apart = estimate({str(i): [(str(i), float(RNG.normal())) for _ in range(3)] for i in range(4)})
    [hidden] = interactions(fields, apart)
    assert hidden.p is None
    by_units = estimate({str(i): [(str(i // 2), float(RNG.normal())) for _ in range(3)] for i in range(4)})
    [told] = interactions(fields, by_units)
    assert told.p is not None
    assert words.interactions([hidden])[0].startswith("interactions that are not tested: units and shortcut; ")
    assert words.interactions([hidden, told])[0].startswith("the effect of units ")


def test_too_many_contrasts_for_the_seeds_are_not_tested():
    """Of 5 x 5 groups without any effect, those of 5 seeds are tested and hold the level; those of 2 are not."""
    fields = [{"units": u, "filters": f} for u, f in product(range(1, 6), repeat=2)]

    def p_of(seeds: int) -> float | None:
        table = RNG.normal(0, 1, (25, seeds))
        [found] = interactions(fields, estimate({str(i): runs for i, runs in enumerate(blocked(table))}))
        return found.p

    assert {p_of(2) for _ in range(20)} == {None}
    rejected = sum((p_of(5) or 0) < 0.05 for _ in range(100))
    assert stats.binomtest(rejected, 100, 0.05).pvalue > 1e-3


def blocked(table: np.ndarray) -> list[list[tuple[str, float]]]:
    return [[("", float(value)) for value in row] for row in table]
