"""Plans of sweeps, stored next to their runs: reports list the jobs that were not started or cannot run."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_lab.rundir.directory import RUN_FILES
from resnet_lab.rundir.files import write_json
from resnet_lab.rundir.json_schemas import read_plan

FOLDER = ".sweeps"  # next to the run directories


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job of a sweep before it starts."""

    overrides: list[str]
    label: str  # those of its overrides that distinguish it from the other jobs
    path: Path | None = None  # of its run directory, if known
    why: str = ""  # why it cannot run, if so


def write_plan(jobs: Sequence[PlannedJob]) -> None:
    """Write one file per folder of runs; the same sweep overwrites its file. Raises OSError."""
    overrides = sorted(job.overrides for job in jobs)
    name = f"{hashlib.sha256(json.dumps(overrides).encode()).hexdigest()[:8]}.json"
    for folder in dict.fromkeys(job.path.parents[1] for job in jobs if job.path):
        own = [job for job in jobs if job.path is None or job.path.parents[1] == folder]
        listed = [
            {"label": job.label, "path": job.path and str(job.path.relative_to(folder)), "why": job.why} for job in own
        ]
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        write_json(folder / FOLDER / name, {"jobs": listed})


def not_begun(plan: Path) -> list[str]:
    """Describe the plan's jobs that have no run directory, and why if known. Raises Unreadable."""
    jobs = read_plan(plan)
    missing = [job for job in jobs if not (job["path"] and _has_begun(plan.parents[1] / job["path"]))]
    return [f"{plan}: {job['label']} not started" + (f" ({job['why']})" if job["why"] else "") for job in missing]


def _has_begun(path: Path) -> bool:
    return any(os.path.exists(path / name) for name in RUN_FILES)  # False for a name that no file can have
