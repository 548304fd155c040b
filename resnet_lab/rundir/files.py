"""Write files atomically (to a temporary file, fsync, rename), and use temporary folders."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

LOCK = ".lock"
NEW_SECONDS = 60.0  # a younger folder may be about to be locked


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file, then move it to `path`. If anything fails, the old file stays."""
    with replacing(path) as file:
        write(file)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file, and move it to `path` at the end. If anything fails, the old file stays."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def copy_atomically(source: Path, path: Path) -> None:
    """Copy `source` to `path`, as a hard link if possible: files are replaced, never modified."""
    temporary = _temporary(path)
    try:
        os.link(source, temporary)
    except OSError:
        write_atomically(path, lambda file: file.write(source.read_bytes()))
    else:
        temporary.replace(path)
        temporary.unlink(missing_ok=True)  # a rename between links to the same file leaves both


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Create a folder below the system's temporary one, and remove it at the end.

    Folders of the same prefix that killed processes have left are removed first: those that nobody has locked.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError, Timeout):
            if time.time() - left.stat().st_mtime > NEW_SECONDS:
                with FileLock(left / LOCK, timeout=0):
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, FileLock(Path(folder, LOCK)):
        yield Path(folder)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically. Raises ValueError for NaN and infinity."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
