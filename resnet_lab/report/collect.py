"""Finds run directories and reads them; whatever cannot be read is named, and the rest goes on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PLANS = ".sweeps"  # where a sweep leaves what it consists of
RUN_FILES = {"status.json", "config.yaml", "result.json"}
STATES = ("running", "done", "failed", "diverged", "interrupted")
SCHEMA_VERSION = 1  # of result.json, as resnet_lab.training.result writes it
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one where PyYAML was built with it

# What the report reads of result.json, and as what.
RESULT: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "seed": int,
    "axes": dict,
    "data": dict,
    "optim": dict,
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
}


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory: its state and why, its configuration, and its numbers once it is done."""

    path: Path
    state: str
    why: str
    config: dict[str, Any]
    result: dict[str, Any]  # empty unless `state` is done


@dataclass(frozen=True, slots=True)
class Damaged:
    """A run directory that cannot be read, and why not."""

    path: Path
    why: str


@dataclass(slots=True)
class Collected:
    """Everything that lies under some directories."""

    done: list[Run] = field(default_factory=list)
    unfinished: list[Run] = field(default_factory=list)  # failed, diverged, interrupted or running
    damaged: list[Damaged] = field(default_factory=list)
    unbegun: list[str] = field(default_factory=list)  # jobs of sweeps that have no run directory, and why if known

    @property
    def empty(self) -> bool:
        """Whether no run directory was found at all."""
        return not (self.done or self.unfinished or self.damaged or self.unbegun)


class _Unreadable(Exception):
    pass


def collect(directories: Iterable[Path]) -> Collected:
    """Read every run directory under `directories`, each once, in the order of their paths."""
    found, directories = Collected(), list(directories)
    for path in sorted({path for directory in directories for path in _run_directories(directory)}):
        try:
            run = read(path)
        except _Unreadable as error:
            found.damaged.append(Damaged(path, str(error)))
        else:
            (found.done if run.state == "done" else found.unfinished).append(run)
    for plan in sorted({plan for directory in directories for plan in _plans(directory)}):
        try:
            found.unbegun += _unbegun(plan)
        except _Unreadable as error:
            found.damaged.append(Damaged(plan, str(error)))
    return found


def _run_directories(directory: Path) -> Iterator[Path]:
    return (folder for folder, _, files in _walk(directory) if RUN_FILES & set(files))


def _plans(directory: Path) -> Iterator[Path]:
    return (file for folder, _, _ in _walk(directory) for file in (folder / PLANS).glob("*.json"))


def _walk(directory: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for folder, folders, files in os.walk(directory.resolve()):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if RUN_FILES & set(files):
            folders.clear()  # a run holds no runs
        yield Path(folder), folders, files


def _begun(path: Path) -> bool:
    return any((path / name).exists() for name in RUN_FILES)


def _unbegun(plan: Path) -> list[str]:
    """The jobs of a sweep's plan without a run directory."""
    jobs = _mapping(plan, _parse_json).get("jobs")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) and "label" in job for job in jobs):
        raise _Unreadable(f"{plan.name} holds no jobs")
    missing = [job for job in jobs if not (job.get("path") and _begun(plan.parents[1] / str(job["path"])))]
    return [f"{plan}: {job['label']} was not begun" + (f" ({job['why']})" if job.get("why") else "") for job in missing]


def read(path: Path) -> Run:
    """The run in a directory. Raises when it is damaged or half-written, with the reason."""
    status = _mapping(path / "status.json", _parse_json)
    config = _mapping(path / "config.yaml", lambda text: yaml.load(text, Loader=LOADER))
    state, why = status.get("state"), str(status.get("why", ""))
    if state not in STATES:
        raise _Unreadable(f"status.json: unknown state {state!r}")
    if state == "running" and _gone(status):
        return Run(path, "interrupted", f"process {status['pid']} is gone without a word: killed?", config, {})
    return Run(path, state, why, config, _result(path) if state == "done" else {})


def _parse_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)  # NaN and Infinity, which Python would let pass


def _mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        content = parse(path.read_text())
    except FileNotFoundError as error:
        raise _Unreadable(f"{path.name} is missing") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise _Unreadable(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise _Unreadable(f"{path.name} holds no settings")
    return content


def _result(path: Path) -> dict[str, Any]:
    result = _mapping(path / "result.json", _parse_json)
    if result.get("schema_version") != SCHEMA_VERSION:
        version = result.get("schema_version")
        raise _Unreadable(f"result.json has schema version {version}; this report reads {SCHEMA_VERSION}")
    for name, kind in RESULT.items():
        if isinstance(None, kind):
            result.setdefault(name, None)
        if name not in result:
            raise _Unreadable(f"result.json lacks {name}")
        if not isinstance(result[name], kind):
            raise _Unreadable(f"result.json: {name} is {result[name]!r:.60}")
    error = result["last"].get("test_error", "missing")
    if isinstance(error, bool) or not isinstance(error, int | float | None):
        raise _Unreadable(f"result.json: last.test_error is {error!r:.60}")
    if not all(isinstance(record, dict) for record in result["history"]):
        raise _Unreadable("result.json: history is not a list of epochs")
    return result


def _gone(status: dict[str, Any]) -> bool:
    """Whether the process that says it is running was on this machine, and is no more."""
    pid = status.get("pid")
    if status.get("host") != platform.node() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
