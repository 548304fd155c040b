"""What the pages of studies say alike: intervals, and on what the runs were made."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from resnet_lab.report.statistics.effects import Estimate

RESULTS = Path(__file__).parents[1] / "docs" / "results"
DIGITS = 5  # significant ones, of what is stored


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Format as mean ± standard deviation; "none" if a value is not finite, or there are too few."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return "none"
    return f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f}".replace("-", "−")


def change(found: Estimate, spec: str = ".2f") -> str:
    """Format a difference with its interval, and whether it is resolved."""
    if not math.isfinite(found.low):
        return f"{found.mean:+{spec}} (no variance)".replace("-", "−")
    told = "" if found.resolved else ", unresolved"
    return f"{found.mean:+{spec}} ({found.low:+{spec}} to {found.high:+{spec}}{told})".replace("-", "−")


def origin(runs: Iterable[Mapping[str, Any]]) -> str:
    """On what the runs were made, and with which code; `runs` have `device` and `git_commit`."""
    done = [run for run in runs if "device" in run]
    commits = ", ".join(sorted({(run["git_commit"] or "unknown")[:8] for run in done}))
    devices = ", ".join(sorted({run["device"] for run in done}))
    return f"{len(done)} runs, each on one core of {devices}, at commit {commits}.\n"


def rounded(values: Iterable[float]) -> list[float]:
    """Return numbers with as many digits as mean something."""
    return [float(f"{float(value):.{DIGITS}g}") for value in values]
