"""Find run directories, and read runs in any state."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from psutil import pid_exists

from resnet_lab.config.canonical import Settings, canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.rundir.directory import RUN_FILES, RunDirectory
from resnet_lab.rundir.json_schemas import read_result, read_status
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.rundir.states import State


@dataclass(frozen=True)
class StoredRun:
    """A run directory: state and reason, configuration, results if it is done, and when it was done."""

    path: Path
    state: State
    why: str
    config: Config
    result: dict[str, Any]  # empty unless `state` is done
    changed: str  # when its state last changed, as ISO 8601; empty if that was not recorded

    @cached_property
    def settings(self) -> Settings:
        """The configuration in canonical form, in which runs are compared."""
        return canonical(self.config)


def walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield `folder` and all folders below it, and whether each is a run directory.

    Hidden folders, and those inside a run directory, are skipped.
    """
    for path, folders, files in os.walk(folder.resolve()):
        is_run = not RUN_FILES.isdisjoint(files)
        folders[:] = [] if is_run else [name for name in folders if not name.startswith(".")]
        yield Path(path), is_run


def read_run(path: Path) -> StoredRun:
    """Read a run directory. Raises Unreadable if it is damaged or incomplete."""
    directory = RunDirectory(path)
    status = read_status(directory.status_file)
    try:
        config = directory.stored_config()
    except ConfigError as error:
        raise Unreadable(str(error)) from error
    state, why = state_of(status)
    result = read_result(directory.result_file) if state is State.done else {}
    return StoredRun(path, state, why, config, result, status["time"] or "")


def state_of(status: dict[str, Any]) -> tuple[State, str]:
    """Return state and reason from status.json; `interrupted` if the process of a running run no longer exists."""
    state = State(status["state"])
    if state is State.running and _is_gone(status):
        return State.interrupted, f"process {status['pid']} no longer exists: killed?"
    return state, status["why"] or ""


def unfinished(folder: Path) -> str:
    """Return the state of a run that is not done; empty if it is, or if there is no such record."""
    status = RunDirectory(folder).status()
    state = state_of(status)[0] if status else State.done
    return "" if state is State.done else state.value


def _is_gone(status: dict[str, Any]) -> bool:
    """Return whether the recorded process was on this machine and no longer exists."""
    pid = status["pid"]
    return status["host"] == platform.node() and pid is not None and 0 < pid < 2**31 and not pid_exists(pid)
