"""What runs had spent after each epoch, and when their validation score reached a target."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np

from resnet_lab.rundir.stored_runs import StoredRun

SPENT = {"epoch": "epochs", "step": "steps", "macs": "MACs (forward)", "seconds": "training time (s)"}

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Reached:
    """When a group's validation score was at most the target: by SPENT, the median over all of its runs.

    A run that did not reach it counts as later than any that did; None where that is the median, or was not recorded.
    """

    runs: int  # that recorded validation scores
    reached: int  # runs that did, in some epoch
    first: dict[str, float | None]
    stayed: dict[str, float | None]  # from when on it stayed there until the end


def spent(run: StoredRun) -> dict[str, Array]:
    """Return what a run had spent after each of its E epochs, (E,) each; not a number where it was not recorded."""
    history = run.result["history"]
    epochs = np.arange(1.0, len(history) + 1)
    images = (run.result["images"].get("images") or {}).get("train")
    return {
        "epoch": epochs,
        "step": np.array([_number(record.get("step")) for record in history]),
        "macs": epochs * run.result["macs"] * (images or np.nan),
        "seconds": np.cumsum([_number(record.get("seconds")) for record in history]),
    }


def reached(runs: Iterable[StoredRun], score: str, target: float) -> Reached:
    """Find when the validation scores of a group's runs were at most `target`."""
    first: list[dict[str, float]] = []
    stayed: list[dict[str, float]] = []
    for run in runs:
        scores = np.array([_number(record.get(f"val/{score}")) for record in run.result["history"]])
        if np.isnan(scores).all():
            continue
        below = np.flatnonzero(scores <= target)
        above = np.flatnonzero(~(scores <= target))
        own = spent(run)
        first.append(_at(own, int(below[0])) if below.size else _never())
        last = int(above[-1]) + 1 if above.size else 0
        stayed.append(_at(own, last) if last < len(scores) else _never())
    did = sum(np.isfinite(one["epoch"]) for one in first)
    return Reached(len(first), int(did), _median(first), _median(stayed))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _at(own: dict[str, Array], epoch: int) -> dict[str, float]:
    return {name: float(values[epoch]) for name, values in own.items()}


def _never() -> dict[str, float]:
    return dict.fromkeys(SPENT, np.inf)


def _median(found: list[dict[str, float]]) -> dict[str, float | None]:
    middle = {name: median(one[name] for one in found) if found else np.nan for name in SPENT}
    return {name: value if np.isfinite(value) else None for name, value in middle.items()}
