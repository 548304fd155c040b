"""Find and read run directories; unreadable ones are listed, and do not stop the others."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from resnet_lab.rundir import plans
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.rundir.states import State
from resnet_lab.rundir.stored_runs import StoredRun, read_run, walk
from resnet_lab.text import first_few, plural


@dataclass(frozen=True, slots=True)
class Damaged:
    """A run directory or plan of a sweep that cannot be read, and the reason."""

    path: Path
    why: str


@dataclass(slots=True)
class Collected:
    """Everything found under some directories."""

    done: list[StoredRun] = field(default_factory=list)
    unfinished: list[StoredRun] = field(default_factory=list)  # failed, diverged, interrupted, pruned or running
    damaged: list[Damaged] = field(default_factory=list)
    not_begun: list[str] = field(default_factory=list)  # sweep jobs without a run directory, with the reason if known
    hidden: list[Path] = field(default_factory=list)  # run directories in hidden folders, which are skipped

    @property
    def empty(self) -> bool:
        return not (self.done or self.unfinished or self.damaged or self.not_begun)

    @property
    def skipped(self) -> str:
        """A sentence on what was skipped; empty if nothing."""
        if not self.hidden:
            return ""
        return f"skipped {plural(len(self.hidden), 'run')} in hidden folders: {first_few([*map(str, self.hidden)])}"


def collect(directories: Iterable[Path]) -> Collected:
    """Read each run directory under `directories` once, in the order of their paths."""
    found = Collected()
    folders = {path: is_run for directory in directories for path, is_run in walk(directory)}
    for path, is_run in sorted(folders.items()):
        if not is_run:
            found.hidden += [run for folder in sorted(path.glob(".*/")) for run in _runs(folder)]
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


def _runs(folder: Path) -> list[Path]:
    """Return the run directories below a folder that have begun; any program may have a config.yaml."""
    return sorted(path for path, is_run in walk(folder) if is_run and RunDirectory(path).status_file.is_file())
