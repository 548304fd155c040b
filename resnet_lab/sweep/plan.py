"""The jobs of a sweep before they start: cost, state, and what is left to do."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig
from rich.table import Table

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import prepare, to_config
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.complexity import Complexity
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.place import run_directory
from resnet_lab.rundir.plans import PlannedJob
from resnet_lab.rundir.states import State
from resnet_lab.sweep.composer import name_of
from resnet_lab.tasks.pretrained import identified
from resnet_lab.training.preflight import check


class JobState(Enum):
    """What a sweep has to do for a job."""

    to_do = "to do"
    to_continue = "to continue"
    done = State.done.value
    diverged = State.diverged.value
    impossible = "impossible"


UNFINISHED = (JobState.to_do, JobState.to_continue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(PlannedJob):
    """A checked job."""

    state: JobState
    config: Config | None = None  # None if its settings are invalid
    cost: Complexity | None = None  # None if it cannot run

    @property
    def work(self) -> int:
        """Estimate of the training time: MACs per image times epochs."""
        return self.cost.macs * self.config.trainer.max_epochs if self.cost and self.config else 0


def examine(
    composed: DictConfig, overrides: list[str], label: str, launcher: Mapping[str, Any] = MappingProxyType({})
) -> Planned:
    """Check a composed job as the run itself does, without reading data or creating anything.

    The settings of the `launcher` tell how many devices it has.
    """
    config = path = cost = None
    why = ""
    try:
        prepare(overrides)
        config = to_config(composed)
        config.trainer.refuse_devices_of_others(launcher)
        config, images = identified(config)
        directory = run_directory(config)
        path = directory.path
        cost = check(config, directory, images)
        begun = JobState.to_continue if directory.last.exists() else JobState.to_do
        state = JobState.done if directory.result() else begun
    except ConfigError as error:
        state, why = JobState.impossible, str(error)
    except RunFailed as error:
        state, why = JobState.diverged, str(error)
    return Planned(overrides=overrides, label=label, path=path, why=why, state=state, config=config, cost=cost)


def without_repetitions(plan: Sequence[Planned]) -> list[Planned]:
    """Keep one job per run: `seed=0,0`, or values of a setting that does not affect the run, repeat it."""
    keys = [(job.path, identity(job.config)) if job.path and job.config else tuple(job.overrides) for job in plan]
    return list(dict(zip(keys, plan, strict=True)).values())


def labels(jobs: Sequence[Sequence[str]], fixed: Set[str]) -> list[str]:
    """Return the overrides of each job, without those of settings that the command fixes for all."""
    return [" ".join(override for override in job if name_of(override) not in fixed) or "default" for job in jobs]


def listing(plan: Sequence[Planned]) -> Table:
    """Return a table with depth, params, MACs and state of every job, and what prevents it from running."""
    table = Table("job", box=None, pad_edge=False)
    for column in ("depth", "params", "MACs"):
        table.add_column(column, justify="right")
    table.add_column("state", no_wrap=True)
    for job in plan:
        costs = [f"{job.cost.depth}", f"{job.cost.params:,}", f"{job.cost.macs:,}"] if job.cost else [""] * 3
        state = f"{job.state.value}: {job.why}" if job.why else job.state.value
        table.add_row(job.label, *costs, state)
    return table
