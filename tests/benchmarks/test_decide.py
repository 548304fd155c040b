"""The verdict over measured numbers."""

import pytest

from benchmarks import decide
from benchmarks.scaling import unevenness

LIMITS = decide.limits("cifar10_20", "cpu")
FAST = {"roof": 100.0, "lab": 99.0, "plain": 40.0, "template": 45.0, "strong": 70.0}


def checked(*rounds: dict[str, float]) -> bool:
    return decide.passed(decide.verdicts(decide.ratios(rounds), LIMITS))


def test_a_lab_as_fast_as_it_should_be_passes():
    assert checked(FAST, FAST, FAST)


@pytest.mark.parametrize("other", ["roof", "plain", "template", "strong"])
def test_a_slowed_lab_fails_whatever_it_is_compared_with(other: str):
    slowed = FAST | {other: 1.001 * FAST["lab"] / LIMITS[other]}
    [wrong] = [c for c in decide.verdicts(decide.ratios([slowed]), LIMITS) if not c["passed"]]
    assert wrong["what"] == f"lab ≥ {LIMITS[other]:g} × {other}"


def test_limits_are_those_of_the_network_and_the_device():
    assert LIMITS == {"roof": 0.97, "strong": 1.3, "plain": 2.0, "template": 2.0}
    assert decide.limits("cifar10_164", "cpu") == {"roof": 0.97}
    assert decide.limits("cifar10_basic_56", "cuda") == {"roof": 0.95, "floor": 0.9, "plain": 10.0}


def test_ratios_are_those_within_a_round():
    """The machine was twice as slow in the second round, and four times in the third: no ratio changes."""
    slower = [{name: speed / factor for name, speed in FAST.items()} for factor in (1, 2, 4)]
    assert decide.ratios(slower)["plain"] == pytest.approx({"median": 2.475, "low": 2.475, "high": 2.475})


def test_the_median_decides_and_the_spread_is_told():
    rounds = [{"roof": 100.0, "lab": lab} for lab in (98.0, 50.0, 99.0)]
    assert decide.ratios(rounds)["roof"] == {"median": 0.98, "low": 0.5, "high": 0.99}
    assert checked(*rounds)


def test_nothing_measured_is_nothing_shown():
    assert not decide.passed([])
    assert not decide.verdict("x", float("nan"), 1.0)["passed"]
    assert not decide.verdict("x", float("nan"), 1.0, at_least=False)["passed"]


def test_every_implementation_takes_every_place():
    names = ["a", "b", "c"]
    assert [decide.order(names, number) for number in range(3)] == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


def test_unevenness_is_the_dearest_over_the_cheapest():
    assert unevenness({"20": {"median": 4.0}, "56": {"median": 5.0}, "164": {"median": 3.0}}) == pytest.approx(5 / 3)
