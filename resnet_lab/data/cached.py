"""List what is in the cache of decoded images, and remove it."""

import json
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.filesize import decimal
from rich.table import Table

from resnet_lab.data import store
from resnet_lab.data.cache import INDEX, LOCK, images_folder
from resnet_lab.data.index import Index
from resnet_lab.text import printable


def entries() -> list[Path]:
    """Return the folders of all entries."""
    folder = images_folder()
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def table(found: list[Path]) -> Table:
    """Return a table of entries: where the images come from, how many, their shape, size on disk and entry."""
    made = Table(title=f"decoded images in {images_folder()}", box=None, pad_edge=False, title_justify="left")
    for name in ("images of", "number", "shape", "size", "folder"):
        made.add_column(name, justify="right" if name in ("number", "size") else "left", no_wrap=True)
    for entry in found:
        index = Index.read(entry / INDEX)
        about: dict[str, Any] = json.loads(index.about) if index else {"root": "unfinished", "image_shape": []}
        count = f"{len(index.names):,}" if index else ""
        size = sum(path.stat().st_size for path in entry.iterdir())
        shape = "x".join(map(str, about["image_shape"]))
        if crop := about.get("crop"):
            shape += f" of {crop[0]}x{crop[1]}"
        made.add_row(printable(about["root"]), count, shape, decimal(size), entry.name)
    return made


def remove(entry: Path) -> bool:
    """Remove an entry, unless another process works on it. Runs that have it open keep it until they end."""
    try:
        with FileLock(entry / LOCK, timeout=0):
            shutil.rmtree(entry, ignore_errors=True)
    except Timeout:
        return False
    shutil.rmtree(entry, ignore_errors=True)  # the lock file, where the system removes no open files
    return True


def remove_digests() -> None:
    """Remove the digests of files by which changes are noticed; they are computed again when they are needed."""
    shutil.rmtree(store.cache_folder() / "digests", ignore_errors=True)
