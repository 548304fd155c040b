"""From measured numbers to a verdict: pure functions, which know nothing of how the numbers came about."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Round = Mapping[str, float]  # implementation → images a second, measured one after the other

# What the lab must reach, as a multiple of another implementation's images a second, by device and network.
LIMITS = {
    "cpu": {"cifar10_20": {"roof": 0.97, "strong": 1.3, "plain": 2.0, "template": 2.0}},
    "cuda": {"cifar10_basic_56": {"plain": 10.0}},
}
NEAR_THE_ROOF = {"cpu": 0.97, "cuda": 0.95}  # whatever the network


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, and the smallest and the largest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratios(rounds: Sequence[Round], ours: str = "lab") -> dict[str, dict[str, float]]:
    """How many times as fast as each of the others `ours` is: within each round, then median and spread over rounds."""
    others = [name for name in rounds[0] if name != ours]
    return {other: spread([measured[ours] / measured[other] for measured in rounds]) for other in others}


def verdict(what: str, value: float, limit: float, at_least: bool = True) -> dict[str, Any]:
    """A claim, the number that was measured for it, and whether it holds; a number that is none holds for nothing."""
    holds = value >= limit if at_least else value <= limit
    return {"what": what, "value": value, "limit": limit, "at_least": at_least, "passed": holds}


def verdicts(measured: Mapping[str, Mapping[str, float]], limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """One for every limit on the ratio to an implementation that was measured, on the median."""
    return [
        verdict(f"lab ≥ {limit:g} × {other}", measured[other]["median"], limit)
        for other, limit in limits.items()
        if other in measured
    ]


def limits(network: str, device: str) -> dict[str, float]:
    """Those of a network on cpu or cuda, by implementation."""
    return {"roof": NEAR_THE_ROOF[device]} | LIMITS[device].get(network, {})


def passed(checks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all hold; nothing measured is nothing shown."""
    return bool(checks) and all(check["passed"] for check in checks)


def order(names: Sequence[str], number: int) -> list[str]:
    """The names in the order of a round (from 0), rotated so that each comes first, second, … equally often."""
    shift = number % len(names)
    return [*names[shift:], *names[:shift]]
