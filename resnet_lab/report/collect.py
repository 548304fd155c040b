"""Find and read run directories; unreadable ones are listed, and do not stop the others."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from resnet_lab.rundir import plans
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.rundir.states import State
from resnet_lab.rundir.stored_runs import StoredRun, read_run, walk


@dataclass(frozen=True, slots=True)
class Damaged:
    """A run directory or plan of a sweep that cannot be read, and the reason."""

    path: Path
    why: str


@dataclass(slots=True)
class Collected:
    """Everything found under some directories."""

    done: list[StoredRun] = field(default_factory=list)
    unfinished: list[StoredRun] = field(default_factory=list)  # failed, diverged, interrupted or running
    damaged: list[Damaged] = field(default_factory=list)
    not_begun: list[str] = field(default_factory=list)  # sweep jobs without a run directory, with the reason if known

    @property
    def empty(self) -> bool:
        return not (self.done or self.unfinished or self.damaged or self.not_begun)


def collect(directories: Iterable[Path]) -> Collected:
    """Read each run directory under `directories` once, in the order of their paths."""
    found = Collected()
    folders = {path: is_run for directory in directories for path, is_run in walk(directory)}
    for path, is_run in sorted(folders.items()):
        try:
            if is_run:
                run = read_run(path)
                (found.done if run.state is State.done else found.unfinished).append(run)
        except Unreadable as error:
            found.damaged.append(Damaged(path, str(error)))
        for plan in sorted((path / plans.FOLDER).glob("*.json")):
            try:
                found.not_begun += plans.not_begun(plan)
            except Unreadable as error:
                found.damaged.append(Damaged(plan, str(error)))
    return found
