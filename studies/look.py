"""Look at every run of a study, several at once: what each has stored, and what else is measured of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from rich.progress import track

from resnet_lab.config.schema import Config
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.states import State
from resnet_lab.training.runtime import physical_cores


def look(folder: Path, sweeps: Sequence[str], measure: Callable[[Path], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what `measure` finds in each run directory of the sweeps in the folder, in the order of their paths."""
    found = sorted(file.parent for name in sweeps for file in (folder / name).rglob("status.json"))
    inside = Parallel(n_jobs=physical_cores(), return_as="generator")(delayed(measure)(run) for run in found)
    return list(track(inside, "looking inside", total=len(found)))


def stored(folder: Path) -> tuple[Config, dict[str, Any]]:
    """Return the settings of a run and its result, which is empty if it diverged."""
    run = RunDirectory(folder)
    config, result = run.stored_config(), run.result()
    assert result or run.status()["state"] == State.diverged, f"{folder} is not done"
    return config, result
