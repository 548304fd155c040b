"""Find the image files that a command line names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from resnet_lab.data.decode import is_readable
from resnet_lab.data.listing import kinds
from resnet_lab.data.walk import HIDDEN, walk
from resnet_lab.text import printable


@dataclass(slots=True)
class Found:
    """Image files, in the order of the inputs and by name within a folder; notes on inputs; inputs without images."""

    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # files left out of a folder, and series that are cut or filled
    failed: list[str] = field(default_factory=list)  # a message for each input without images


def find_images(inputs: Iterable[Path]) -> Found:
    """Find the images: inputs that are files, whatever their names; in folders, files with the suffix of an image."""
    found = Found()
    for path in inputs:
        if path.is_dir():
            _look_into(path, found)
        elif path.is_file():
            found.files.append(path)
        else:  # opening a pipe would wait for ever
            there = "is not a regular file" if path.exists() else "does not exist"
            found.failed.append(f"{printable(str(path))} {there}")
    return found


def _look_into(folder: Path, found: Found) -> None:
    images: list[str] = []
    others: dict[str, list[str]] = {}
    try:
        for name, _, why in sorted(walk(str(folder))):
            reason = why or ("" if is_readable(name) else Path(name).suffix or "without suffix")
            if not reason:
                images.append(name)
            elif reason != HIDDEN or is_readable(name) or name.endswith("/"):  # other hidden files are no loss
                others.setdefault(reason, []).append(name)
    except OSError as error:
        found.failed.append(f"cannot read {printable(str(error.filename))}: {error.strerror}")
        return
    where, count = printable(str(folder)), sum(map(len, others.values()))
    if not images:
        found.failed.append(f"{where} has no images{f': {kinds(others)}' if others else ''}")
    elif others:
        found.notes.append(f"{where}: {count:,} of {count + len(images):,} files left out: {kinds(others)}")
    found.files += (folder / name for name in images)
