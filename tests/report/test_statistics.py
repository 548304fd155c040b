"""The statistics against scipy on known cases, and their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.report.statistics import differences, front, holm, summarise

RNG = np.random.default_rng(0)
P_VALUES = st.lists(st.floats(0, 1), max_size=20)


def sample(values, first: int = 0) -> dict[str, float]:
    return {f"seed={first + i}": float(value) for i, value in enumerate(values)}


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_summary_is_scipys(n: int):
    values = RNG.normal(5, 1, n)
    summary = summarise(values)
    assert summary is not None
    assert (summary.n, summary.mean, summary.median) == (n, pytest.approx(values.mean()), np.median(values))
    assert summary.std == pytest.approx(values.std(ddof=1))
    low, high = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert summary.half == pytest.approx((high - low) / 2)


def test_summary_of_one_and_of_none():
    one = summarise([4.0])
    assert one is not None
    assert (one.mean, one.std, one.half) == (4.0, None, None)
    assert summarise([]) is None


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_paired_where_the_seeds_are_the_same(n: int):
    a, b = RNG.normal(5, 1, n), RNG.normal(6, 1, n)
    [found] = differences({"a": sample(a), "b": dict(reversed(sample(b).items()))})
    expected = stats.ttest_rel(b, a)
    interval = expected.confidence_interval(0.95)
    assert found.paired
    assert found.p == pytest.approx(expected.pvalue)
    assert found.mean == pytest.approx(abs(b.mean() - a.mean()))
    assert found.half == pytest.approx((interval.high - interval.low) / 2)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (5, 5), (20, 4)])
def test_welch_where_they_are_not(n: int, m: int):
    a, b = RNG.normal(5, 1, n), RNG.normal(6, 3, m)
    [found] = differences({"a": sample(a), "b": sample(b, first=n - 1)})  # one seed in common is no pair of differences
    expected = stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert not found.paired
    assert found.p == pytest.approx(expected.pvalue)
    assert found.half == pytest.approx((interval.high - interval.low) / 2)


def test_pairing_sees_what_the_spread_over_seeds_hides():
    seeds = np.array([1.0, 5.0, 9.0, 13.0])
    a, b = seeds, seeds + np.array([0.5, 0.6, 0.5, 0.6])
    [paired] = differences({"a": sample(a), "b": sample(b)})
    [unpaired] = differences({"a": sample(a), "b": sample(b, first=4)})
    assert paired.real
    assert not unpaired.real
    assert paired.words(CLASSIFICATION).startswith("a is better than b by 0.55 ± 0.09 points (p = ")
    assert "paired, 4 seeds)" in paired.words(CLASSIFICATION)
    assert unpaired.words(CLASSIFICATION).startswith("a and b are not distinguishable with 4 seeds")
    assert "Welch" in unpaired.words(CLASSIFICATION)


@pytest.mark.parametrize(("n", "m", "first"), [(6, 5, 0), (5, 6, 1), (2, 9, 0)])
def test_a_missing_seed_takes_no_pair_apart(n: int, m: int, first: int):
    """As in a sweep that is half finished: what both have is compared by pairs."""
    noise = RNG.normal(0, 5, 20)
    a, b = noise[:n], noise[first : first + m] + RNG.normal(2, 0.1, m)
    [found] = differences({"a": sample(a), "b": sample(b, first=first)})
    common = range(first, min(n, first + m))
    expected = stats.ttest_rel([b[i - first] for i in common], [a[i] for i in common])
    assert (found.better, found.worse, found.paired) == ("a", "b", True)
    assert found.mean == pytest.approx(np.mean([b[i - first] - a[i] for i in common]))
    assert found.p == pytest.approx(expected.pvalue)
    assert f"paired, {len(common)} common seeds" in found.words(CLASSIFICATION) or not found.real


def test_differences_without_spread_are_no_proof():
    same = differences({"a": sample([1.0, 2.0]), "b": sample([1.0, 2.0])})
    shifted = differences({"a": sample([1.1, 2.2]), "b": sample([1.4, 2.5])})
    assert (same[0].p, shifted[0].p) == (None, None)
    assert "not distinguishable with 2 seeds: the errors are the same" in same[0].words(CLASSIFICATION)
    assert "no test is possible" in shifted[0].words(CLASSIFICATION)


def test_one_value_is_not_tested():
    assert differences({"a": sample([1.0]), "b": sample([2.0, 3.0])}) == []


def test_p_values_are_corrected_over_all_pairs():
    samples = {name: sample(RNG.normal(mean, 1, 6)) for name, mean in (("a", 1), ("b", 3), ("c", 3.5), ("d", 9))}
    found = differences(samples)
    raw = [stats.ttest_rel(list(samples[d.worse].values()), list(samples[d.better].values())).pvalue for d in found]
    assert len(found) == 6
    assert [d.p for d in found] == pytest.approx(holm(raw))


def test_holm_on_a_known_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(p_values: list[float]):
    pairs = sorted(zip(p_values, holm(p_values), strict=True))
    assert [corrected for _, corrected in pairs] == sorted(corrected for _, corrected in pairs)
    assert all(p <= corrected <= 1 for p, corrected in pairs)
    assert holm(sorted(p_values))[:1] == [min(1, len(pairs) * p) for p in sorted(p_values)[:1]]


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_front_is_what_nothing_beats(points: dict[str, tuple[float, float]]):
    def beaten(point: tuple[float, float]) -> bool:
        return any(o[0] <= point[0] and o[1] <= point[1] and o != point for o in points.values())

    assert set(front(points)) == {name for name, point in points.items() if not beaten(point)}
