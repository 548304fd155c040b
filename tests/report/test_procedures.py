"""Simultaneous comparisons: known cases, and what has to hold for any numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from resnet_lab.report.statistics.means import Means, estimate
from resnet_lab.report.statistics.procedures import all_pairs, holm, seeds_needed, with_baseline, with_best

MEANS = {"a": 1.0, "b": 3.0, "c": 1.2}
RNG = np.random.default_rng(0)
P_VALUES = st.lists(st.floats(0, 1), max_size=20)


def means_of(samples: dict[str, np.ndarray]) -> Means:
    return estimate({name: [("", float(value)) for value in values] for name, values in samples.items()})


def test_all_pairs_of_many_runs_are_games_and_howells():
    samples = {str(i): RNG.normal(i / 10, 1 + i, 200) for i in range(5)}
    found = {frozenset((d.group, d.other)): d for d in all_pairs(means_of(samples))}
    expected = stats.tukey_hsd(*samples.values(), equal_var=False)
    interval = expected.confidence_interval(0.95)
    for i in range(5):
        for j in range(i):
            d = found[frozenset((str(i), str(j)))]
            first, second = int(d.group), int(d.other)
            assert d.p == pytest.approx(expected.pvalue[first, second], abs=2e-3)
            assert d.high - d.mean == pytest.approx(interval.high[first, second] - d.mean, rel=5e-3)


def test_all_pairs_of_few_runs_hold_their_level():
    false_claims = 0
    for _ in range(300):
        pairs = all_pairs(means_of({str(i): row for i, row in enumerate(RNG.normal(0, 1, (12, 3)))}))
        false_claims += any(d.resolved for d in pairs)
    assert false_claims / 300 < 0.06


@pytest.mark.parametrize("compare", [with_best, lambda means: with_baseline(means, "a"), all_pairs])
def test_two_groups_are_welchs_test_in_every_procedure(compare):
    a, b = RNG.normal(5, 1, 5), RNG.normal(7, 1, 6)
    found = next(d for d in compare(means_of({"a": a, "b": b})) if d.group == "b")
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-3)
    assert found.high == pytest.approx(expected.confidence_interval(0.95).high, rel=1e-3)


def test_dunnett_for_many_runs_is_scipys():
    """With the same variance in each group, since scipy pools them."""
    samples = {str(i): 0.1 * i + stats.zscore(RNG.normal(0, 1, 200), ddof=1) for i in range(6)}
    found = with_baseline(means_of(samples), "0")
    control, *others = samples.values()
    expected = stats.dunnett(*others, control=control, random_state=0)
    assert [d.p for d in found] == pytest.approx(expected.pvalue, abs=2e-3)


def test_a_clear_winner_is_the_best_and_a_tie_is_not_decided():
    noise = {str(i): RNG.normal(0, 0.1, 5) for i in range(4)}
    found = with_best(means_of({name: values + 5 * int(name) for name, values in noise.items()}))
    assert [d.resolved for d in found] == [False, True, True, True]
    assert all(d.low <= 5 * i <= d.high for i, d in enumerate(found))
    tied = with_best(means_of({name: values + (5 if name == "3" else 0) for name, values in noise.items()}))
    assert [d.resolved for d in tied] == [False, False, False, True]


SAMPLES = st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=6), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_verdicts_agree_with_intervals_and_p_values(samples: list[list[float]]):
    means = means_of({str(i): np.array(values) for i, values in enumerate(samples)})
    best = with_best(means)
    assert all(d.low <= d.high and 0 <= d.p <= 1 for d in best)
    assert all(d.resolved == (d.p < 0.05) for d in best)
    assert not best or any(not d.resolved for d in best)  # something is the best
    for d in [*all_pairs(means), *(with_baseline(means, means.names[0]) if means.names else [])]:
        assert d.low <= d.mean <= d.high
        assert d.resolved == (d.p < 0.05) or d.p == pytest.approx(0.05, abs=1e-4)


def test_nothing_is_said_without_spread():
    found = with_best(means_of({"a": np.array([1.0, 1.0]), "b": np.array([2.0, 2.0])}))
    assert not any(d.resolved for d in found)
    assert found[1].high == np.inf
    [pair] = all_pairs(means_of({"a": np.array([1.0, 1.0]), "b": np.array([2.0, 2.0])}))
    assert (pair.p, pair.low) == (1.0, -np.inf)


def test_a_group_that_shares_no_split_leaves_the_others_their_intervals():
    groups = {name: [(f"split {i % 2}", mean + RNG.normal(0, 0.3)) for i in range(6)] for name, mean in MEANS.items()}
    alone = {"alone": [("another split", RNG.normal(0, 0.3)) for _ in range(6)]}
    *others, apart = with_best(estimate(groups | alone))
    assert [d.resolved for d in others] == [False, True, False]
    assert all(np.isfinite(d.high) for d in others)
    assert (apart.low, apart.high, apart.resolved) == (-np.inf, np.inf, False)


@pytest.mark.parametrize("difference", [0.3, 1.0])
def test_as_many_seeds_as_the_power_says_are_enough(difference: float):
    """A group against the best, with eight others that are clearly worse."""
    n = seeds_needed(difference, 0.4, 10)
    truth = np.array([0, difference, *[50.0] * 8])
    told = 0
    for _ in range(300):
        samples = truth[:, None] + RNG.normal(0, 0.4, (10, n))
        told += with_best(means_of({str(i): row for i, row in enumerate(samples)}))[1].resolved
    assert told / 300 == pytest.approx(0.82, abs=0.09)  # 0.8 or more, since seeds are whole numbers
    assert seeds_needed(difference, 0.4, 100) >= n


@pytest.mark.slow
def test_hundreds_of_groups_hide_no_difference():
    """600 groups of 5 seeds, differences up to 11 points, and noise of 0.4."""
    truth = np.concatenate([np.zeros(10), np.linspace(0, 11, 590)])
    samples = truth[:, None] + np.random.default_rng(1).normal(0, 0.4, (600, 5))
    found = with_best(means_of({str(i): row for i, row in enumerate(samples)}))
    told = np.array([d.resolved for d in found])
    assert told[truth > 2].mean() > 0.9
    assert told[truth > 6].all()
    assert not told[:10].any()
    low, high = np.array([[d.low, d.high] for d in found]).T
    assert ((low <= truth) & (truth <= high)).all()


def test_holm_on_a_known_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(p_values: list[float]):
    pairs = sorted(zip(p_values, holm(p_values), strict=True))
    assert [corrected for _, corrected in pairs] == sorted(corrected for _, corrected in pairs)
    assert all(p <= corrected <= 1 for p, corrected in pairs)
    assert holm(sorted(p_values))[:1] == [min(1, len(pairs) * p) for p in sorted(p_values)[:1]]
