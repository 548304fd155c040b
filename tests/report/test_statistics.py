"""Summaries against scipy, and Pareto fronts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resnet_lab.report.statistics.summary import front, summarise

RNG = np.random.default_rng(0)


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


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_front_is_what_nothing_beats(points: dict[str, tuple[float, float]]):
    def beaten(point: tuple[float, float]) -> bool:
        return any(o[0] <= point[0] and o[1] <= point[1] and o != point for o in points.values())

    assert set(front(points)) == {name for name, point in points.items() if not beaten(point)}
