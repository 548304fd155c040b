"""The run directory: the only thing that passes from training to comparing.

Files appear whole or not at all: they are written beside, synced and renamed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import torch
import yaml
from filelock import FileLock, Timeout

from resnet_lab.choices import DataName
from resnet_lab.compose import plain, revive
from resnet_lab.config import Config, ConfigError
from resnet_lab.model.resnet import ResNetV2

# Settings that do not change a run's numbers: where it writes, where known files lie, on which device it runs.
NOT_IDENTITY = (
    "name",
    "output_dir",
    "dry_run",
    "objective",
    "diagnostics",
    "data.root",
    "trainer.accelerator",
    "trainer.graphs",
    "trainer.compile",
    "trainer.channels_last",
    "trainer.steps_per_call",
    "trainer.eval_batch_size",
    "trainer.num_threads",
)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file that is at `path` afterwards, complete and on disk; on any failure the old one stays."""
    beside = _beside(path)
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def copy_whole(source: Path, path: Path) -> None:
    """The file `source` also as `path`: as a second name where the file system can, since no file is ever changed."""
    beside = _beside(path)
    try:
        os.link(source, beside)
    except OSError:
        write_whole(path, lambda file: file.write(source.read_bytes()))
    else:
        beside.replace(path)
        beside.unlink(missing_ok=True)  # both were the same file already, which leaves it


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def decisive(values: dict[str, Any]) -> dict[str, Any]:
    """The settings that change a run's numbers, by dotted name, of those in `plain`'s nested dictionaries."""
    flat = dict(_flat(values))
    kept = {name: value for name, value in flat.items() if name not in NOT_IDENTITY}
    if flat.get("data.name") == DataName.image_folder.name:  # another folder holds other images
        kept["data.root"] = str(Path(str(flat.get("data.root"))).expanduser().resolve())
    return kept


def identity(config: Config) -> str:
    """A hash over the settings that change a run's numbers."""
    return hashlib.sha256(json.dumps(decisive(plain(config)), sort_keys=True).encode()).hexdigest()[:16]


class Held(ConfigError):
    """Another process works on the run; it may be tried again later."""


class RunDirectory:
    """Where one run keeps its configuration, state, numbers, log and checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.status_file = path / "status.json"
        self.result_file = path / "result.json"
        self.log_file = path / "run.log"
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"

    def refuse_other(self, config: Config) -> None:
        """Raise ConfigError, listing the settings that differ, when the directory holds another configuration."""
        if not self.config_file.exists():
            return
        there, asked = decisive(self.stored_config()), decisive(plain(config))
        differing = [
            f"{name} is {there.get(name)} there, {asked.get(name)} now"
            for name in sorted(there.keys() | asked.keys())
            if there.get(name) != asked.get(name)
        ]
        if differing:
            raise ConfigError(
                f"{self.path} holds a run of another configuration: {'; '.join(differing)}. "
                "Choose another name=… or move that directory away"
            )

    def stored_config(self) -> dict[str, Any]:
        """What config.yaml says. Raises ConfigError when it is missing or damaged."""
        try:
            stored = yaml.safe_load(self.config_file.read_text())
        except FileNotFoundError as error:
            raise ConfigError(f"{self.path} is not a run directory: it has no config.yaml") from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{self.config_file} is damaged: move {self.path} away") from error
        if not isinstance(stored, dict):
            raise ConfigError(f"{self.config_file} is damaged: move {self.path} away")
        return stored

    def status(self) -> dict[str, Any]:
        """What status.json says; empty when there is none, or none that can be read."""
        return _read_json(self.status_file)

    def result(self) -> dict[str, Any]:
        """The stored numbers; empty as long as the run has not ended well."""
        result = _read_json(self.result_file) if self.status().get("state") == "done" else {}
        return result if "last" in result else {}

    def set_status(self, state: str, why: str = "") -> None:
        """Record running, done, failed, diverged or interrupted, why, when and by whom."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"host": platform.node(), "pid": os.getpid()}
        write_json(self.status_file, {"state": state, "why": why, "time": now, **who})

    def write_config(self, config: Config) -> None:
        """Record what is run, resolved; where the images of a folder lie, from wherever that is read."""
        values = plain(config)
        values["data"]["root"] = decisive(values).get("data.root", config.data.root)
        text = yaml.safe_dump(values, sort_keys=False)
        write_whole(self.config_file, lambda file: file.write(text.encode()))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make and hold the directory. Raises ConfigError when it is not writable, Held when another process has it."""
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            who = self.status()
            raise Held(
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


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU, by torch's safe loading. Raises ConfigError when it is missing or damaged."""
    if not path.exists():
        raise ConfigError(f"{path} does not exist; a run writes it at the end of its first epoch")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(f"{path} is damaged: remove the run's directory to begin anew") from error
    facts = checkpoint.get("resnet_lab") if isinstance(checkpoint, dict) else None
    if not isinstance(facts, dict) or not {"identity", "mean", "std"} <= facts.keys() or "state_dict" not in checkpoint:
        raise ConfigError(f"{path} is not a checkpoint of resnet_lab: move it away")
    return checkpoint


def load_run(run_dir: str | Path, checkpoint: str = "last") -> tuple[Config, ResNetV2]:
    """The configuration and the trained network of a run, in eval mode on the CPU.

    `checkpoint` is "last" or "best" (lowest validation error). The configuration's `data.mean` and `data.std` are those
    that the images were normalised with. Raises ConfigError when there is no such run.
    """
    directory = RunDirectory(Path(run_dir))
    config = revive(directory.stored_config())
    stored = load_checkpoint(directory.checkpoints / f"{checkpoint}.ckpt")
    data = dataclasses.replace(config.data, mean=stored["resnet_lab"]["mean"], std=stored["resnet_lab"]["std"])
    net = ResNetV2(config.model)
    net.load_state_dict(
        {name.removeprefix("net."): tensor for name, tensor in stored["state_dict"].items() if name.startswith("net.")}
    )
    return dataclasses.replace(config, data=data), net.eval()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # not JSON, or not text
        return {}
    return content if isinstance(content, dict) else {}
