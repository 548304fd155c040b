"""What the pages of studies say alike: intervals, and on what the runs were made."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from resnet_lab.report.statistics.effects import Estimate
from resnet_lab.report.words import minus

RESULTS = Path(__file__).parents[1] / "docs" / "results"
DIGITS = 5  # significant ones, of what is stored


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Format as mean ± standard deviation; "none" if a value is not finite, or there are too few."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return "none"
    return minus(f"{fmean(values):z.{digits}f} ± {stdev(values):.{digits}f}")


def change(found: Estimate, spec: str = ".2f") -> str:
    """Format a difference with its interval, and whether it is resolved."""
    if not math.isfinite(found.low):
        return minus(f"{found.mean:+z{spec}} (no variance)")
    told = "" if found.resolved else ", unresolved"
    return minus(f"{found.mean:+z{spec}} ({found.low:+z{spec}} to {found.high:+z{spec}}{told})")


def origin(count: int, devices: Iterable[str], commits: Iterable[str | None]) -> str:
    """On what the runs were made, and with which code."""
    short = sorted({(commit or "unknown")[:8] for commit in commits})
    where = f"on one core of {', '.join(sorted(set(devices)))}, which did other work at the same time"
    return f"{count} runs, each trained {where}, at {'commit' if len(short) == 1 else 'commits'} {', '.join(short)}."


def rounded(values: Iterable[float]) -> list[float]:
    """Return numbers with as many digits as mean something."""
    return [float(f"{float(value):.{DIGITS}g}") for value in values]
