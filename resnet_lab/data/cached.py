"""List what is in the cache of decoded images, and remove it."""

import json
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.filesize import decimal
from rich.table import Table

from resnet_lab.data import file_rows
from resnet_lab.data.cache import INDEX, LOCK, images_folder
from resnet_lab.data.index import Index
from resnet_lab.text import printable


def entries() -> list[Path]:
    """Return the folders of all entries."""
    folder = images_folder()
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def table(found: list[Path]) -> Table:
    """Return a table of entries: where the images come from, how many, what is kept, size on disk and entry."""
    made = Table(title=f"decoded images in {images_folder()}", box=None, pad_edge=False, title_justify="left")
    for name in ("images of", "number", "kept", "size", "folder"):
        made.add_column(name, justify="right" if name in ("number", "size") else "left", no_wrap=True)
    for entry in found:
        index = Index.read(entry / INDEX)
        about: dict[str, Any] = json.loads(index.about) if index else {"root": "unfinished"}
        count = f"{len(index.names):,}" if index else ""
        size = sum(path.stat().st_size for path in entry.iterdir())
        made.add_row(printable(about["root"]), count, _kept(about), decimal(size), entry.name)
    return made


def _kept(about: dict[str, Any]) -> str:
    """Say in which form images are kept, and of which part if that is not all of each."""
    match about.get("kept"):
        case [side, quality]:
            kept = f"shorter side {side}, {f'JPEG {quality}' if quality else 'pixels'}"
        case "nothing":
            kept = "facts only"
        case _:
            kept = "x".join(map(str, about.get("image_shape", [])))
    crop = about.get("crop")
    return f"{kept} of {crop[0]}x{crop[1]}" if crop else kept


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
    shutil.rmtree(file_rows.cache_folder() / "digests", ignore_errors=True)
