"""Critical values against scipy's, for as many groups as scipy can handle."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from resnet_lab.report.critical import StudentizedRange, any_below, smallest_p


@pytest.mark.parametrize("groups", [2, 3, 10, 20])
def test_studentized_range_is_scipys(groups: int):
    ours = StudentizedRange(groups)
    freedom = np.array([2.0, 2.7, 4.0, 8.0, 30.0, 200.0])
    expected = np.array([stats.studentized_range.ppf(0.95, groups, df) for df in freedom])
    assert ours.quantile(0.05, freedom) == pytest.approx(expected, rel=1e-4)
    tails = np.array([stats.studentized_range.sf(1.5 * q, groups, df) for q, df in zip(expected, freedom, strict=True)])
    assert ours.tail(1.5 * expected, freedom) == pytest.approx(tails, rel=1e-3)


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
    """With so many runs that the variances are as good as known."""
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
