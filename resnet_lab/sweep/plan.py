"""The jobs of a sweep before any of them begins: what each would cost, and what is left of it to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from omegaconf import DictConfig, open_dict
from rich.table import Table

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import prepare, to_config
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.complexity import Complexity
from resnet_lab.rundir.place import run_directory
from resnet_lab.rundir.plans import PlannedJob, write_plan
from resnet_lab.rundir.states import State
from resnet_lab.training.run import check


class JobState(Enum):
    """What a sweep has to do about a job."""

    to_do = "to do"
    to_continue = "to continue"
    done = State.done.value
    diverged = State.diverged.value
    impossible = "impossible"


UNFINISHED = (JobState.to_do, JobState.to_continue)


@dataclass(frozen=True, slots=True)
class Planned:
    """A job, and why it cannot be run if it cannot."""

    overrides: list[str]
    label: str
    state: JobState
    why: str = ""
    config: Config | None = None
    cost: Complexity | None = None
    path: Path | None = None  # of its run directory, as far as that is known

    @property
    def work(self) -> int:
        """What its length depends on most: MACs for an image, times epochs."""
        return self.cost.macs * self.config.trainer.max_epochs if self.cost and self.config else 0


def examine(composed: DictConfig, overrides: list[str], label: str) -> Planned:
    """Check a composed job as the run itself will, without reading data or creating anything."""
    with open_dict(composed):
        composed.pop("hydra", None)
    config = path = None
    try:
        prepare(overrides)
        config = to_config(composed)
        directory = run_directory(config)
        path = directory.path
        cost = check(config, directory)
    except ConfigError as error:
        return Planned(overrides, label, JobState.impossible, str(error), config, None, path)
    except RunFailed as error:
        return Planned(overrides, label, JobState.diverged, str(error), config, None, path)
    begun = JobState.to_continue if directory.last.exists() else JobState.to_do
    return Planned(overrides, label, JobState.done if directory.result() else begun, "", config, cost, path)


def without_repetitions(plan: Sequence[Planned]) -> list[Planned]:
    """One of those that are the same run: `seed=0,0`, or values of a setting that does not change a run."""
    return list({job.path or tuple(job.overrides): job for job in plan}.values())


def record(plan: Sequence[Planned]) -> None:
    """Leave the plan where its runs lie. Raises OSError."""
    jobs = [PlannedJob(job.label, job.path, job.why) for job in plan]
    write_plan(jobs, [job.overrides for job in plan])


def labels(jobs: Sequence[Sequence[str]], given: Sequence[str] = ()) -> list[str]:
    """What tells jobs apart: the overrides of each that not all have, and that are not among those `given` for all."""
    common = set(given) | (set.intersection(*map(set, jobs)) if len(jobs) > 1 else set())
    return [" ".join(override for override in job if override not in common) or "default" for job in jobs]


def listing(plan: Sequence[Planned]) -> Table:
    """A row for every job: depth, params, MACs, state, and what keeps it from running."""
    table = Table("job", box=None, pad_edge=False)
    for column in ("depth", "params", "MACs"):
        table.add_column(column, justify="right")
    table.add_column("state", no_wrap=True)
    for job in plan:
        costs = [f"{job.cost.depth}", f"{job.cost.params:,}", f"{job.cost.macs:,}"] if job.cost else [""] * 3
        state = f"{job.state.value}: {job.why}" if job.why else job.state.value
        table.add_row(job.label, *costs, state)
    return table
