"""The jobs of a sweep before any of them begins: what each would cost, and what is left of it to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from omegaconf import DictConfig, open_dict
from rich.table import Table

from resnet_lab.compose import refuse_several_options, to_config
from resnet_lab.config import Config, ConfigError
from resnet_lab.ending import RunFailed
from resnet_lab.model.complexity import Complexity
from resnet_lab.training.run import check


class State(Enum):
    """What is left to do of a job."""

    to_do = "to do"
    to_continue = "to continue"
    done = "done"
    diverged = "diverged"
    impossible = "impossible"


LEFT = (State.to_do, State.to_continue)


@dataclass(frozen=True, slots=True)
class Planned:
    """A job, and why it cannot be run if it cannot."""

    overrides: list[str]
    label: str
    state: State
    why: str = ""
    config: Config | None = None
    cost: Complexity | None = None

    @property
    def work(self) -> int:
        """What its length depends on most: MACs for an image, times epochs."""
        return self.cost.macs * self.config.trainer.max_epochs if self.cost and self.config else 0


def examine(composed: DictConfig, overrides: list[str], label: str) -> Planned:
    """Check a composed job as the run itself will, without reading data or creating anything."""
    with open_dict(composed):
        composed.pop("hydra", None)
    config = None
    try:
        refuse_several_options(overrides)
        config = to_config(composed)
        cost, directory = check(config, overrides)
    except ConfigError as error:
        return Planned(overrides, label, State.impossible, str(error), config)
    except RunFailed as error:
        return Planned(overrides, label, State.diverged, str(error), config)
    begun = State.to_continue if directory.last.exists() else State.to_do
    return Planned(overrides, label, State.done if directory.result() else begun, "", config, cost)


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides of every job that not all of them have; all of them when there is one job."""
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
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
