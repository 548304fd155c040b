"""Means with blocks against scipy's tests, and against generalised least squares written out."""

import numpy as np
import pytest
from scipy import stats

from resnet_lab.report.statistics.means import estimate
from resnet_lab.report.statistics.procedures import with_baseline

RNG = np.random.default_rng(0)


def runs(values: np.ndarray, blocks: list[str] | None = None) -> list[tuple[str, float]]:
    return list(zip(blocks or [""] * len(values), map(float, values), strict=True))


@pytest.mark.parametrize(("n", "m"), [(2, 3), (5, 5), (6, 5), (20, 4)])
def test_two_groups_are_welchs_test(n: int, m: int):
    a, b = RNG.normal(5, 1, n), RNG.normal(6, 3, m)
    [found] = with_baseline(estimate({"a": runs(a), "b": runs(b)}), "a")
    expected = stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (found.p, found.mean) == (pytest.approx(expected.pvalue), pytest.approx(b.mean() - a.mean()))
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_two_groups_with_one_run_in_every_block_are_the_paired_test(n: int):
    splits = RNG.normal(0, 5, n)
    a, b = splits + RNG.normal(0, 1, n), splits + RNG.normal(1, 1, n)
    blocks = [f"split {i}" for i in range(n)]
    order = RNG.permutation(n)
    found = estimate({"a": runs(a, blocks), "b": runs(b[order], [blocks[i] for i in order])})
    [difference] = with_baseline(found, "a")
    expected = stats.ttest_rel(b, a)
    interval = expected.confidence_interval(0.95)
    assert difference.p == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_all_runs_count_however_seeds_and_blocks_are_shared():
    """Least squares on the whole design, with the variances of `estimate`."""
    groups = {"a": list("xxyyz"), "b": list("xyzzz"), "c": list("yyyxx")}
    effects = {"x": 0.0, "y": 3.0, "z": -2.0}
    values = {
        name: [(block, i + effects[block] + float(RNG.normal())) for block in blocks]
        for i, (name, blocks) in enumerate(groups.items())
    }
    found = estimate(values)
    flat = [(name, block, y) for name, own in values.items() for block, y in own]
    design = np.array([[name == g for g in groups] + [block == b for b in "xyz"] for name, block, _ in flat], float)
    solution = np.linalg.pinv(design)
    fitted = solution @ [y for *_, y in flat]
    noise = np.array([found.variances[list(groups).index(name)] for name, *_ in flat])
    for i in range(3):
        for j in {0, 1, 2} - {i}:
            weights = solution[i] - solution[j]
            assert found.difference[i, j] == pytest.approx(fitted[i] - fitted[j])
            assert found.error[i, j] == pytest.approx(np.sqrt(weights**2 @ noise))
    mean, error, df = found.contrast(np.array([1.0, -1.0, 0.0]))
    assert (mean, error, df) == pytest.approx((found.difference[0, 1], found.error[0, 1], found.df[0, 1]))


def test_variances_are_unbiased_with_blocks():
    """With one run of each group in each block, and equal variances."""
    blocks = list("uvwxyz")
    total = np.zeros(4)
    for _ in range(400):
        table = RNG.normal(0, 1, (4, 6)) + 10 * RNG.normal(0, 1, 6)
        total += estimate({str(i): runs(row, blocks) for i, row in enumerate(table)}).variances
    assert total / 400 == pytest.approx(np.ones(4), abs=0.12)


def test_groups_that_share_no_block_are_not_compared():
    found = estimate({"a": runs(RNG.normal(0, 1, 3), ["x"] * 3), "b": runs(RNG.normal(0, 1, 3), ["y"] * 3)})
    [difference] = with_baseline(found, "a")
    assert difference.low == -np.inf
    assert not difference.resolved


def test_a_group_of_one_run_has_no_variance():
    assert estimate({"a": runs(np.array([1.0])), "b": runs(np.array([2.0, 3.0]))}).names == ["b"]
    assert estimate({}).names == []


def test_a_contrast_that_cancels_unshared_blocks_is_estimated():
    """Groups a and b have split x, c and d split y: a - b and (a - b) + (c - d) are known, a - c is not."""
    found = estimate({name: runs(RNG.normal(0, 1, 3), [block] * 3) for name, block in zip("abcd", "xxyy", strict=True)})
    mean, error, _ = found.contrast(np.array([1.0, -1.0, 1.0, -1.0]))
    assert mean == pytest.approx(found.difference[0, 1] + found.difference[2, 3])
    assert error == pytest.approx(np.sqrt(found.own.sum()))
    assert found.contrast(np.array([1.0, 0.0, -1.0, 0.0]))[1] == np.inf
    assert not found.tells(np.array([[1.0, -1.0, 0.0, 0.0], [1.0, 0.0, -1.0, 0.0]]))
