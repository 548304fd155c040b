"""What the report's statistics promise, by simulation: `python -m benchmarks.simulate`.

Sweeps of groups with known true means and normal noise over seeds are drawn, and the verdicts counted: how often equal
groups are distinguished, how often all intervals of a sweep hold at once, and how often a difference is seen for which
the report's line on power calls the number of seeds enough.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.facts import RESULTS, facts, write
from resnet_lab.report.statistics.means import Means, estimate
from resnet_lab.report.statistics.procedures import Difference, all_pairs, seeds_needed, with_baseline, with_best

GROUPS, SEEDS, VARIANCES = (3, 10, 50), (3, 5, 10), ("equal", "1:4")
STEP = 1.5  # between the true means of groups that differ, in standard deviations of the noise
DIFFERENCES = (0.25, 0.75, 2.5)  # for the power, in the same unit


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--sweeps", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument("--out", type=Path, default=RESULTS / "simulate.json")
    options = parser.parse_args()
    kinds = list(product(GROUPS, SEEDS, VARIANCES))
    rng = np.random.default_rng(options.seed)
    rates = [rates_of(*kind, options.sweeps, rng) for kind in track(kinds, "intervals")]
    powers = [power_of(d, k, options.sweeps, rng) for d, k in track(list(product(DIFFERENCES, GROUPS)), "power")]
    hundreds = hundreds_of_groups(max(1, options.sweeps // 100), rng)
    content = {"sweeps": options.sweeps, "seed": options.seed, "rates": rates, "power": powers, "hundreds": hundreds}
    write(options.out, facts("benchmarks.simulate") | content)


def rates_of(groups: int, seeds: int, variances: str, sweeps: int, rng: np.random.Generator) -> dict[str, Any]:
    """Count false claims among equal groups, and sweeps of which all intervals hold, as shares of all sweeps."""
    std = np.where(np.arange(groups) % 2, 2.0 if variances == "1:4" else 1.0, 1.0)[:, None]
    apart = STEP * np.arange(groups)
    counts: Counter[str] = Counter()
    for _ in range(sweeps):
        noise = std * rng.standard_normal((groups, seeds))
        equal, different = means_of(noise), means_of(noise + apart[:, None])
        best, baseline, pairs = with_best(equal), with_baseline(equal, "0"), all_pairs(equal)
        counts["best: false claim among equal groups"] += any(d.resolved for d in best)
        counts["best: all hold, equal groups"] += all(d.low <= 0 <= d.high for d in best)
        counts["best: all hold, different groups"] += hold(with_best(different), apart)
        counts["baseline: false claim among equal groups"] += any(d.resolved for d in baseline)
        counts["baseline: all hold"] += all(d.low <= 0 <= d.high for d in baseline)
        counts["pairs: false claim among equal groups"] += any(d.resolved for d in pairs)
        counts["pairs: all hold"] += all(d.low <= 0 <= d.high for d in pairs)
    shares = {name: count / sweeps for name, count in counts.items()}
    return {"groups": groups, "seeds": seeds, "variances": variances, **shares}


def power_of(difference: float, groups: int, sweeps: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return how often a group is distinguished from the best with as many seeds as `seeds_needed` asks for."""
    seeds = seeds_needed(difference, 1.0, groups)
    truth = np.array([0, difference, *[100.0] * (groups - 2)])[:, None]
    found = (with_best(means_of(truth + rng.standard_normal((groups, seeds))))[1] for _ in range(sweeps))
    return {"difference": difference, "groups": groups, "seeds": seeds, "told": sum(d.resolved for d in found) / sweeps}


def hundreds_of_groups(sweeps: int, rng: np.random.Generator) -> dict[str, Any]:
    """Compare 600 groups of 5 seeds, ten of them equally good, others up to 11 points worse; noise of 0.4 points."""
    truth = np.concatenate([np.zeros(10), np.linspace(0, 11, 591)[1:]])
    told, inside = np.zeros(600), 0
    for _ in track(range(sweeps), "600 groups"):
        found = with_best(means_of(truth[:, None] + 0.4 * rng.standard_normal((600, 5))))
        told += [d.resolved for d in found]
        inside += hold(found, truth)
    shares = {
        f"told, over {points} points worse": float(told[truth > points].mean() / sweeps) for points in (1, 2, 3, 5)
    }
    return {"sweeps": sweeps, "told, as good as the best": float(told[:10].mean() / sweeps), **shares,
            "all hold": inside / sweeps}  # fmt: skip


def means_of(scores: np.ndarray) -> Means:
    return estimate({str(i): [("", float(score)) for score in row] for i, row in enumerate(scores)})


def hold(found: Sequence[Difference], truth: np.ndarray) -> bool:
    """Return whether all intervals hold the true difference to the best group, which is the first one."""
    return all(d.low <= mean <= d.high for d, mean in zip(found, truth - truth[0], strict=True))


if __name__ == "__main__":
    main()
