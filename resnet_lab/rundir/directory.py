"""The directory of a run: its files and its lock."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import OnChange
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import from_dict, to_stored
from resnet_lab.rundir.files import write_atomically, write_json
from resnet_lab.rundir.identity import differences
from resnet_lab.rundir.images import DataFacts
from resnet_lab.rundir.json_schemas import read_images, read_result, read_status
from resnet_lab.rundir.safe import Unreadable, read_yaml
from resnet_lab.rundir.states import State

RUN_FILES = frozenset({"config.yaml", "status.json", "result.json"})  # any of these marks a run directory


class RunLocked(ConfigError):
    """Another process is working on the run; retry later."""


class RunDirectory:
    """Configuration, state, results, log and checkpoints of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.status_file = path / "status.json"
        self.result_file = path / "result.json"
        self.images_file = path / "images.json"
        self.predictions_file = path / "predictions.npz"
        self.log_file = path / "run.log"
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"

    def refuse_other_run(self, config: Config) -> None:
        """Raise ConfigError, listing the differing settings, if the directory holds another configuration."""
        if not self.config_file.exists():
            return
        if differing := differences(self.stored_config(), config):
            raise ConfigError(
                f"{self.path} holds a run with another configuration: {'; '.join(differing)}. "
                "Choose another name=… or move the directory away"
            )

    def refuse_irregular_files(self) -> None:
        """Raise ConfigError if one of the run's files is not a regular file, but a folder or a pipe, for example."""
        files = (self.config_file, self.status_file, self.result_file, self.images_file, self.log_file)
        for path in (*files, self.predictions_file, self.last, self.best):
            if os.path.lexists(path) and not os.path.isfile(path):
                raise ConfigError(f"{path} is not a regular file: move it away")

    def changed_images(self, now: DataFacts) -> str:
        """Describe how the images differ from the recorded ones; empty if they do not, or if there is no record."""
        if recorded := self.recorded_images():
            return recorded.changes(now)
        fingerprint = self.stored_config().data.fingerprint if self.config_file.exists() else None
        if fingerprint in (None, now.fingerprint):
            return ""
        return f"the fingerprint was {fingerprint}, and is {now.fingerprint} now"

    def adopt_images(self, root: str) -> bool:
        """Record where the images are now, if the recorded folder is gone; return whether that was necessary."""
        stored = self.stored_config()
        if stored.data.folder.exists():
            return False
        try:
            self.write_config(replace(stored, data=replace(stored.data, root=root)))
        except OSError:  # a run that cannot be written to can still be read
            return False
        return True

    def recorded_images(self) -> DataFacts | None:
        """Return the recorded facts of the images; None if the record is missing or damaged."""
        try:
            return DataFacts.from_dict(read_images(self.images_file))
        except (Unreadable, TypeError, ValueError):
            return None

    def refuse_changed_images(self, now: DataFacts, on_change: OnChange) -> None:
        """Raise ConfigError, listing the changes, if the run's images have changed, unless `on_change` is continue."""
        changes = self.changed_images(now)
        if not changes or on_change is OnChange["continue"]:
            return
        recorded = self.recorded_images()
        ways = ["undo the change", "choose another name=…"]
        if recorded and recorded.classes == now.classes:  # otherwise the network would be a different one
            ways.append("continue with the current images: data.on_change=continue")
        raise ConfigError(
            f"the images have changed since the run in {self.path} began: {changes}. You can {', or '.join(ways)}"
        )

    def image_changes(self) -> list[dict[str, Any]]:
        """Return the recorded changes of the images, each with the number of epochs that were trained before it."""
        try:
            return read_images(self.images_file)["changes"] or []
        except Unreadable:
            return []

    def write_images(self, record: dict[str, Any], now: DataFacts, epochs: int) -> None:
        """Write the record of the images that are used after `epochs`, with all changes since the run began."""
        changes = self.image_changes()
        if changed := self.changed_images(now):
            changes = [*changes, {"after_epoch": epochs, "what": changed}]
        write_json(self.images_file, {**record, **now.to_dict(), "changes": changes})

    def stored_config(self) -> Config:
        """Read config.yaml of this or an earlier version.

        Raises ConfigError if it is missing, damaged or from a newer version.
        """
        if not os.path.lexists(self.config_file):
            inside = next(self.path.glob("**/config.yaml"), None)
            why = "it has no config.yaml" if self.path.exists() else "there is no such folder"
            hint = f"{inside.parent} is one; " if inside else ""
            raise ConfigError(f"{self.path} is not a run directory: {why}; {hint}resnet-lab runs lists all")
        try:
            stored = read_yaml(self.config_file)
        except Unreadable as error:
            raise ConfigError(f"{self.path}: {error}; restore it, or move the directory away") from error
        try:
            return from_dict(stored)
        except ConfigError as error:
            raise ConfigError(f"{self.config_file}: {error}") from error

    def status(self) -> dict[str, Any]:
        """Return the content of status.json; {} if it is missing or damaged."""
        try:
            return read_status(self.status_file)
        except Unreadable:
            return {}

    def result(self) -> dict[str, Any]:
        """Return the content of result.json; {} unless the run is done."""
        try:
            return read_result(self.result_file) if self.status().get("state") == State.done else {}
        except Unreadable:
            return {}

    def set_status(self, state: State, why: str = "", epochs: int | None = None) -> None:
        """Write state, reason, number of trained epochs (None: as before), time, host and process id.

        If the disk is full, overwrite the old file in place, which needs no further space.
        """
        epochs = (self.status().get("epochs") or 0) if epochs is None else epochs
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"host": platform.node(), "pid": os.getpid()}
        status = {"state": state, "why": why, "epochs": epochs, "time": now, **who}
        try:
            write_json(self.status_file, status)
        except OSError:
            with self.status_file.open("r+") as file:
                file.write(json.dumps(status))
                file.truncate()

    def write_config(self, config: Config) -> None:
        """Write the resolved configuration, with absolute paths of own images and of a pretrained network."""
        values = to_stored(config)
        if config.data.own_images:
            values["data"]["root"] = str(config.data.folder.resolve())
        if config.pretrained.run is not None:
            values["pretrained"]["run"] = str(Path(config.pretrained.run).expanduser().resolve())
        text = yaml.safe_dump(values, sort_keys=False)
        write_atomically(self.config_file, lambda file: file.write(text.encode()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create and lock the directory. Raises ConfigError if it is not writable, RunLocked if it is locked."""
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            who = self.status()
            raise RunLocked(
                f"{self.path} is locked by process {who.get('pid')} on {who.get('host')}: wait until it ends"
            ) from None
        except OSError as error:
            raise ConfigError(f"output_dir: cannot write to {self.path}: {error.strerror}") from error
        try:
            for leftover in [*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")]:
                leftover.unlink()  # of a process that was killed while writing
            yield
        finally:
            lock.release()


def refuse_unwritable_file(path: Path, name: str) -> None:
    """Raise ConfigError, naming the option, if a file could not be written at `path`. Creates nothing."""
    refuse_unwritable(path.absolute().parent, name)
    if path.is_dir():
        raise ConfigError(f"{name} must be a file, but {path} is a folder")


def refuse_unwritable(path: Path, name: str = "output_dir") -> None:
    """Raise ConfigError, naming the option, if a directory could not be created at `path`. Creates nothing."""
    try:
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
    except OSError as error:
        raise ConfigError(f"{name}: cannot create {path}: {error.strerror}") from error
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        what = "cannot be written to" if existing.is_dir() else "is not a folder"
        raise ConfigError(f"{name}: cannot create {path}: {existing} {what}")
