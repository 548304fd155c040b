"""Look at every run of a study, several at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from rich.progress import track

from resnet_lab.training.runtime import physical_cores


def look(folder: Path, sweeps: Sequence[str], measure: Callable[[Path], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what `measure` finds in each run directory of the sweeps in the folder, in the order of their paths."""
    found = sorted(file.parent for name in sweeps for file in (folder / name).rglob("status.json"))
    inside = Parallel(n_jobs=physical_cores(), return_as="generator")(delayed(measure)(run) for run in found)
    return list(track(inside, "looking inside", total=len(found)))
