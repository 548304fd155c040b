"""Verdicts on measured numbers: pure functions, independent of how the numbers were measured."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Round = Mapping[str, float]  # implementation → images/s, measured one after the other

# The least ratio of the lab's images/s to those of another implementation, by device and network.
LIMITS = {
    "cpu": {"cifar10_20": {"roof": 0.97, "strong": 1.3, "plain": 2.0, "template": 2.0}},
    "cuda": {"cifar10_basic_56": {"plain": 10.0}, "cifar10_20": {"strong": 2.0}},
}
NEAR_THE_ROOF = {"cpu": {"roof": 0.97}, "cuda": {"roof": 0.95, "floor": 0.9}}  # for any network


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the smallest and the largest value."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratios(rounds: Sequence[Round], ours: str = "lab") -> dict[str, dict[str, float]]:
    """Return the speed of `ours` relative to each of the others: per round, then median and spread over rounds."""
    others = [name for name in rounds[0] if name != ours]
    return {other: spread([measured[ours] / measured[other] for measured in rounds]) for other in others}


def verdict(what: str, value: float, limit: float, at_least: bool = True) -> dict[str, Any]:
    """Record a claim, the number measured for it, and whether it holds; it never holds for NaN."""
    holds = value >= limit if at_least else value <= limit
    return {"what": what, "value": value, "limit": limit, "at_least": at_least, "passed": holds}


def verdicts(measured: Mapping[str, Mapping[str, float]], limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """Check the median ratio to each implementation that was measured and has a limit."""
    return [
        verdict(f"lab ≥ {limit:g} × {other}", measured[other]["median"], limit)
        for other, limit in limits.items()
        if other in measured
    ]


def limits(network: str, device: str) -> dict[str, float]:
    """Return the limits for a network on cpu or cuda, by implementation."""
    return NEAR_THE_ROOF[device] | LIMITS[device].get(network, {})


def passed(checks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all checks hold; False if there are none."""
    return bool(checks) and all(check["passed"] for check in checks)


def order(names: Sequence[str], number: int) -> list[str]:
    """Return the names in the order of a round (from 0), rotated so that each takes every place equally often."""
    shift = number % len(names)
    return [*names[shift:], *names[:shift]]
