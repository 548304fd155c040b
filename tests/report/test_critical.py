"""Critical values against scipy's, for as many groups as scipy can handle."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri

from resnet_lab.report.statistics.critical import any_below, any_pair_below, smallest_p, smallest_p_of_pairs


@pytest.mark.parametrize("groups", [2, 3, 10, 20])
def test_all_pairs_are_scipys_studentized_range_for_known_variances(groups: int):
    p = smallest_p_of_pairs(0.05, groups)
    assert -np.sqrt(2) * ndtri(p / 2) == pytest.approx(stats.studentized_range.ppf(0.95, groups, np.inf), rel=1e-4)
    q = np.array([0.5, 2.0, 5.0, 6.5])
    expected = stats.studentized_range.sf(q, groups, np.inf)
    assert any_pair_below(2 * ndtr(-q / np.sqrt(2)), groups) == pytest.approx(expected, rel=5e-3, abs=1e-7)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("common", [[0.7, 0.7], [0.3, 0.5, 0.9], [0.0, 0.2, 0.4, 0.6, 0.8]])
def test_comparisons_with_one_group_are_a_normal_distribution(common: list[float], two_sided: bool):
    shared = np.array(common)
    correlation = np.outer(shared, shared)
    np.fill_diagonal(correlation, 1)
    score = -ndtri(0.02 / (2 if two_sided else 1))
    low = np.full(len(shared), -score) if two_sided else None
    normal = stats.multivariate_normal(cov=correlation, abseps=1e-7, releps=1e-7, maxpts=10**6)
    expected = 1 - normal.cdf(np.full(len(shared), score), lower_limit=low)
    assert any_below(0.02, shared, two_sided) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("groups", [3, 10, 20])
def test_the_critical_value_is_dunnetts_for_many_runs(groups: int):
    """With that many runs that the variances are as good as known."""
    samples = np.random.default_rng(0).normal(0, 1, (groups, 300))
    found = stats.dunnett(*samples[1:], control=samples[0], random_state=0)
    interval = found.confidence_interval(0.95)
    error = np.sqrt(samples.var(axis=1, ddof=1).mean() * 2 / 300)
    theirs = float(((interval.high - interval.low) / 2 / error).mean())
    ours = -ndtri(smallest_p(0.05, np.full(groups - 1, np.sqrt(0.5)), two_sided=True) / 2)
    assert ours == pytest.approx(theirs, rel=3e-3)  # scipy integrates by random numbers


@pytest.mark.parametrize("two_sided", [False, True])
def test_the_smallest_p_lies_between_bonferroni_and_no_correction(two_sided: bool):
    for common in (np.zeros(30), np.full(30, 0.7), np.ones(30)):
        p = smallest_p(0.05, common, two_sided)
        assert 0.05 / 30 <= p <= 0.05
        assert any_below(p, common, two_sided) == pytest.approx(0.05, rel=1e-4)
    assert smallest_p(0.05, np.zeros(30), two_sided) == pytest.approx(1 - 0.95 ** (1 / 30), rel=1e-4)  # Šidák


def test_extreme_values_are_not_lost():
    common = np.full(599, 0.7)
    assert 0 < any_below(1e-30, common, two_sided=False) < 1e-26
    assert any_below(0.0, common, two_sided=True) == 0
    assert any_below(1.0, common, two_sided=True) == pytest.approx(1)
