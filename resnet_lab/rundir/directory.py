"""One run's directory: its files, its lock, and who may work in it."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import from_dict, to_stored
from resnet_lab.config.tasks import OF_0_1
from resnet_lab.rundir.files import write_json, write_whole
from resnet_lab.rundir.identity import differences
from resnet_lab.rundir.states import State

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one where PyYAML was built with it
CONFIG, STATUS, RESULT = "config.yaml", "status.json", "result.json"
RUN_FILES = frozenset({CONFIG, STATUS, RESULT})  # any of which makes a folder a run directory


class RunLocked(ConfigError):
    """Another process works on the run; it may be tried again later."""


class RunDirectory:
    """Where one run keeps its configuration, state, numbers, log and checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / CONFIG
        self.status_file = path / STATUS
        self.result_file = path / RESULT
        self.log_file = path / "run.log"
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"

    def refuse_other_run(self, config: Config) -> None:
        """Raise ConfigError, listing the settings that differ, when the directory holds another configuration."""
        if not self.config_file.exists():
            return
        if differing := differences(self.stored_config(), config):
            raise ConfigError(
                f"{self.path} holds a run of another configuration: {'; '.join(differing)}. "
                "Choose another name=… or move that directory away"
            )

    def stored_config(self) -> Config:
        """What config.yaml says, by this version or a former one.

        Raises ConfigError when it is missing, damaged, or of a newer version of the lab.
        """
        try:
            stored = yaml.load(self.config_file.read_text(), Loader=LOADER)
        except FileNotFoundError as error:
            raise ConfigError(f"{self.path} is not a run directory: it has no config.yaml") from error
        except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError(f"{self.config_file} is damaged: move {self.path} away") from error
        if not isinstance(stored, dict):
            raise ConfigError(f"{self.config_file} is damaged: move {self.path} away")
        try:
            return from_dict(stored)
        except ConfigError as error:
            raise ConfigError(f"{self.config_file}: {error}") from error

    def status(self) -> dict[str, Any]:
        """What status.json says; empty when there is none, or none that can be read."""
        return _read_json(self.status_file)

    def result(self) -> dict[str, Any]:
        """The stored numbers; empty as long as the run has not ended well."""
        result = _read_json(self.result_file) if self.status().get("state") == State.done else {}
        return OF_0_1 | result if "last" in result else {}

    def set_status(self, state: State, why: str = "", epochs: int | None = None) -> None:
        """Record the state, why, how many epochs have been trained (None: as before), when and by whom."""
        epochs = self.status().get("epochs", 0) if epochs is None else epochs
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"host": platform.node(), "pid": os.getpid()}
        write_json(self.status_file, {"state": state, "why": why, "epochs": epochs, "time": now, **who})

    def write_config(self, config: Config) -> None:
        """Record what is run, resolved; where the images of a folder lie, from wherever that is read."""
        values = to_stored(config)
        if config.data.own_images:
            values["data"]["root"] = str(config.data.folder.resolve())
        text = yaml.safe_dump(values, sort_keys=False)
        write_whole(self.config_file, lambda file: file.write(text.encode()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the directory and lock it. Raises ConfigError when it is not writable, RunLocked when it is locked."""
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            who = self.status()
            raise RunLocked(
                f"{self.path} is being worked on by process {who.get('pid')} on {who.get('host')}: wait until it ends"
            ) from None
        except OSError as error:
            raise ConfigError(f"output_dir: cannot write to {self.path}: {error.strerror}") from error
        try:
            for leftover in [*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")]:
                leftover.unlink()  # of a process that was killed while it wrote
            yield
        finally:
            lock.release()


def refuse_unwritable(path: Path) -> None:
    """Raise ConfigError when a directory could not be made at `path`; creates nothing."""
    try:
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
    except OSError as error:
        raise ConfigError(f"output_dir: cannot make {path}: {error.strerror}") from error
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        what = "cannot be written to" if existing.is_dir() else "is not a folder"
        raise ConfigError(f"output_dir: cannot make {path}: {existing} {what}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # not JSON, or not text
        return {}
    return content if isinstance(content, dict) else {}
