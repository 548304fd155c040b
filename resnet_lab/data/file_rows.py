"""Arrays with a row for each image file, kept in the user's cache folder, each row valid until its file changes."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from resnet_lab.data.listing import Files, Indices
from resnet_lab.rundir.files import write_atomically


def cache_folder() -> Path:
    """Return the folder of all that is cached: `$XDG_CACHE_HOME/resnet_lab`, by default `~/.cache/resnet_lab`."""
    return Path(pooch.os_cache("resnet_lab"))


def save(file: Path, names: tuple[str, ...], facts: Indices, **arrays: Any) -> None:
    """Write names, facts and other arrays or texts. Raises OSError."""
    encoded = np.frombuffer("\0".join(names).encode(errors="surrogateescape"), np.uint8)
    write_atomically(file, lambda stream: np.savez(stream, names=encoded, facts=facts, **arrays))


def load(file: Path) -> dict[str, Any] | None:
    """Return what `save` wrote; None if there is nothing, or something else."""
    try:
        with np.load(file) as stored:
            values: dict[str, Any] = dict(stored)
        values["names"] = tuple(bytes(values["names"]).decode(errors="surrogateescape").split("\0"))
        whole = all(
            value.ndim == 0 or len(value) == len(values["names"])
            for value in values.values()
            if not isinstance(value, tuple)
        )
        return values if whole and values["facts"].shape[1:] == (3,) else None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def unchanged(files: Files, names: tuple[str, ...], facts: Indices) -> Indices:
    """Return for each file its row among stored `names` and `facts`, or -1 if it is new or has changed."""
    if names == files.names:
        rows = np.arange(len(names))
    else:
        known = {name: row for row, name in enumerate(names)}
        rows = np.array([known.get(name, -1) for name in files.names], np.int64)
    return np.where((facts[rows] == files.facts).all(axis=1), rows, -1)
