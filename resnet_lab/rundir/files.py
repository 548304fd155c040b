"""Files appear whole or not at all: they are written to a temporary file, synced and renamed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


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
