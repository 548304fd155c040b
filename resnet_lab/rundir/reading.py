"""Read run directories in any state, and validate `status.json`, `config.yaml` and `result.json`."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psutil import pid_exists

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.config.tasks import DEFAULTS_OF_0_1
from resnet_lab.rundir.directory import RUN_FILES, RunDirectory
from resnet_lab.rundir.states import State

SCHEMA_VERSION = 1  # of result.json

# Fields of result.json that other code reads, and their types.
RESULT: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "seed": int,
    "epochs": int,
    "depth": int,
    "params": int,
    "macs": int,
    "activations": int,
    "last": dict,
    "best": (dict, type(None)),
    "published_error": (int, float, type(None)),
    "seconds": (int, float),
    "peak_memory": (int, type(None)),
    "device": str,
    "precision": str,
    "history": list,
    "task": dict,
    "images": dict,
    "test": dict,
}
TASK: dict[str, type | tuple[type, ...]] = {
    "name": str, "score": str, "unit": str, "most": (int, float, type(None)),
}  # fmt: skip


class Unreadable(Exception):
    """A run directory or a plan is damaged. The message says how."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run directory: state and reason, configuration, and results if it is done."""

    path: Path
    state: State
    why: str
    config: Config
    result: dict[str, Any]  # empty unless `state` is done


def walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield all folders below `folder`, and whether each is a run directory. Runs are not searched for further runs."""
    for path, folders, files in os.walk(folder.resolve()):
        is_run = not RUN_FILES.isdisjoint(files)
        folders[:] = [] if is_run else [name for name in folders if not name.startswith(".")]
        yield Path(path), is_run


def read_run(path: Path) -> StoredRun:
    """Read a run directory. Raises Unreadable if it is damaged or incomplete."""
    directory = RunDirectory(path)
    status = read_json(directory.status_file)
    try:
        config = directory.stored_config()
    except ConfigError as error:
        raise Unreadable(str(error)) from error
    state, why = state_of(status)
    result = checked_result(read_json(directory.result_file)) if state is State.done else {}
    return StoredRun(path, state, why, config, result)


def state_of(status: dict[str, Any]) -> tuple[State, str]:
    """Return state and reason from status.json; `interrupted` if the process of a running run no longer exists.

    Raises Unreadable for an unknown state.
    """
    if status.get("state") not in [*State]:
        raise Unreadable(f"status.json: unknown state {status.get('state')!r:.60}")
    state = State(status["state"])
    if state is State.running and _is_gone(status):
        return State.interrupted, f"process {status['pid']} no longer exists: killed?"
    return state, str(status.get("why", ""))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises Unreadable."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        content = json.loads(path.read_text(), parse_constant=refuse)  # Python accepts NaN and Infinity
    except FileNotFoundError as error:
        raise Unreadable(f"{path.name} is missing") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{path.name} holds no JSON object")
    return content


def checked_result(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result.json with defaults filled in. Raises Unreadable if a field is missing or invalid."""
    if (version := result.get("schema_version")) != SCHEMA_VERSION:
        raise Unreadable(f"result.json has schema version {version}; this version reads {SCHEMA_VERSION}")
    result = DEFAULTS_OF_0_1 | result
    _check_fields(result, RESULT, "")
    _check_fields(result["task"], TASK, "task.")
    for part in ("last", "best"):
        for name, value in (result[part] or {}).items():
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise Unreadable(f"result.json: {part}.{name} is {value!r:.60}")
    if f"test_{result['task']['score']}" not in result["last"]:
        raise Unreadable(f"result.json lacks last.test_{result['task']['score']}")
    if not all(isinstance(record, dict) for record in result["history"]):
        raise Unreadable("result.json: history is not a list of epochs")
    return result


def _check_fields(content: dict[str, Any], kinds: dict[str, Any], prefix: str) -> None:
    for name, kind in kinds.items():
        if isinstance(None, kind):
            content.setdefault(name, None)
        if name not in content:
            raise Unreadable(f"result.json lacks {prefix}{name}")
        if not isinstance(content[name], kind):
            raise Unreadable(f"result.json: {prefix}{name} is {content[name]!r:.60}")


def _is_gone(status: dict[str, Any]) -> bool:
    """Return whether the recorded process was on this machine and no longer exists."""
    pid = status.get("pid")
    return status.get("host") == platform.node() and isinstance(pid, int) and 0 < pid < 2**31 and not pid_exists(pid)
