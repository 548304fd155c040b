"""Decode the images of a folder once, and keep what is asked for in the user's cache folder.

If several jobs need the same images, one decodes them and the others wait.

An entry is a folder with what is kept, `pixels-…`, and `index.npz`, which names it and is replaced last, and now and
then before. A killed process leaves the images that were in the index, and perhaps a file that the next one removes.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from joblib import cpu_count
from PIL import UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from resnet_lab.config.checks import ConfigError
from resnet_lab.data import file_rows
from resnet_lab.data.decode import VERSION, decode_image
from resnet_lab.data.fit import Decoding
from resnet_lab.data.images import PixelArray
from resnet_lab.data.index import UNKNOWN, Index
from resnet_lab.data.kept import Keeper
from resnet_lab.data.listing import Files, Indices
from resnet_lab.rundir.files import write_atomically
from resnet_lab.text import printable

INDEX, LOCK, DAMAGED = "index.npz", ".lock", "damaged.txt"
MAX_LISTED = 10  # damaged images in a message
CHUNK = 64  # images that are decoded by a thread at a time
SECONDS = 30.0  # between two writes of the index, which is what a killed process has done

log = logging.getLogger("resnet_lab")

Cached = tuple[PixelArray, Index]  # (N, C, H, W)


def images_folder() -> Path:
    """Return the folder of the entries."""
    return file_rows.cache_folder() / "images"


def decoded(files: Files, keeper: Keeper, training: Indices) -> Cached:
    """Return the images (N, C, H, W), to be read only, and what is known of them. Damaged ones are not to be used.

    Only files that are new or changed are decoded. If `keeper.how.range` is None, black and white of images with more
    than 8 bits are the least and greatest value in the images at the rows `training`. Raises ConfigError when the cache
    cannot be written.
    """
    entry = _entry(files, keeper)
    try:
        if found := _opened(entry, files, keeper, training):
            return found
        _refuse_full_disk(entry, keeper.least_bytes(len(files.names)))
        with _locked(entry):  # another process may decode them in the meantime
            return _opened(entry, files, keeper, training) or _decode(entry, files, keeper, training)
    except OSError as error:
        raise ConfigError(
            f"cannot cache the decoded images of {files.root} in {entry.parent}: {error.strerror}. "
            "Set the environment variable XDG_CACHE_HOME to a folder with enough space"
            + (", or data.store=files, which keeps no pixels" if keeper.least_bytes(1) else "")
        ) from error


def _about(files: Files, keeper: Keeper) -> str:
    return json.dumps({"root": str(files.root), "version": VERSION, **keeper.described()})


def _entry(files: Files, keeper: Keeper) -> Path:
    return images_folder() / hashlib.sha256(_about(files, keeper).encode()).hexdigest()[:16]


def _opened(entry: Path, files: Files, keeper: Keeper, training: Indices) -> Cached | None:
    """Return the images of an entry; None if it lacks some of them."""
    found = _stored(entry, files, keeper)
    return found if found and found[1].holds(files, keeper.how, training) else None


def _stored(entry: Path, files: Files, keeper: Keeper) -> Cached | None:
    """Return the content of an entry, whichever files it was decoded from; None if it is empty or damaged."""
    index = Index.read(entry / INDEX)
    if index is None:
        return None
    try:
        return keeper.opened(entry / index.pixels, index, files), index
    except (FileNotFoundError, ValueError):
        return None


def _refuse_full_disk(entry: Path, needed: int) -> None:
    """Raise OSError if fewer than `needed` bytes are free: writing to a memory map on a full disk kills the process."""
    existing = next(parent for parent in entry.parents if parent.exists())
    if shutil.disk_usage(existing).free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB are needed, but less is free")


@contextmanager
def _locked(entry: Path) -> Iterator[None]:
    """Create and lock an entry. Before and after, remove the files that killed or failed processes left there."""
    entry.mkdir(parents=True, exist_ok=True)
    lock = FileLock(entry / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("waiting for another process that decodes the same images")
        lock.acquire()
    try:
        _remove_others(entry)
        yield
    finally:
        _remove_others(entry)
        lock.release()


def _remove_others(entry: Path) -> None:
    index = Index.read(entry / INDEX)
    kept = {LOCK, *([INDEX, index.pixels] if index else []), *([DAMAGED] if index and index.damaged else [])}
    for path in entry.iterdir():
        if path.name not in kept:
            with suppress(PermissionError):  # on Windows, if another process still reads it
                path.unlink()


def _decode(entry: Path, files: Files, keeper: Keeper, training: Indices) -> Cached:
    """Decode the images that are missing in the entry, and replace it."""
    how = keeper.how
    old = _stored(entry, files, keeper)
    new = Index.empty(_about(files, keeper), files, how.image_shape[0], keeper.suffix)
    path = entry / new.pixels
    keeper.create(path, new)

    def save() -> None:
        keeper.flush()
        with path.open("rb") as file:
            os.fsync(file.fileno())
        new.write(entry / INDEX)

    copied = _copy(entry, old[1], files, keeper, new) if old else np.zeros(0, np.int64)
    missing = np.setdiff1d(np.arange(len(files.names)), copied)
    _decode_rows(missing, files, replace(how, range=None), new, keeper, save)
    new.range = new.range_for(how, training)
    if new.range:  # known only after all images were decoded
        scaled = copied if old and old[1].range == new.range else copied[:0]
        wide = np.setdiff1d(new.wide, scaled)
        new.facts[wide] = UNKNOWN
        _decode_rows(wide, files, replace(how, range=new.range), new, keeper, save)
    save()
    return keeper.opened(path, new, files), new


def list_damaged(files: Files, keeper: Keeper, index: Index) -> str:
    """Name the damaged images and the reasons, ten at most; if there are more, write all of them to a file."""
    lines = [f"{printable(files.names[row])} ({why})" for row, why in sorted(index.damaged.items())]
    count = f"{len(lines):,} of {len(files.names):,} images in {printable(str(files.root))} cannot be decoded"
    if len(lines) <= MAX_LISTED:
        return f"{count}: {'; '.join(lines)}"
    full = _entry(files, keeper) / DAMAGED
    with suppress(OSError):
        write_atomically(full, lambda file: file.write("\n".join([*lines, ""]).encode()))
    return f"{count}: {'; '.join(lines[:MAX_LISTED])}; all are listed in {full}"


def _copy(entry: Path, before: Index, files: Files, keeper: Keeper, new: Index) -> Indices:
    """Copy the images of files that have not changed; return their rows."""
    old_rows = file_rows.unchanged(files, before.names, before.facts)
    rows = np.flatnonzero(old_rows >= 0)
    new.take(rows, before, old_rows[rows])
    keeper.copy(entry / before.pixels, before, old_rows[rows], rows, new)
    return rows


def _decode_rows(
    rows: Indices, files: Files, how: Decoding, index: Index, keeper: Keeper, save: Callable[[], None]
) -> None:
    """Decode the files of these rows in threads: Pillow releases the GIL while it decodes. Save now and then."""

    def fill(start: int) -> list[int]:
        return [row for row in rows[start : start + CHUNK].tolist() if _fill(row, files, how, index, keeper)]

    console = Console(stderr=True)
    starts = range(0, len(rows), CHUNK)
    pool = ThreadPoolExecutor(cpu_count())
    try:
        done = pool.map(fill, starts)
        what, saved = f"decoding {len(rows):,} images", time.monotonic()
        for read in track(done, what, total=len(starts), console=console, disable=not console.is_terminal):
            index.facts[read] = files.facts[read]
            if time.monotonic() > saved + SECONDS:
                save()
                saved = time.monotonic()
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(row: int, files: Files, how: Decoding, index: Index, keeper: Keeper) -> bool:
    """Decode and keep an image; return whether its file could be read, even if it is damaged."""
    try:
        found = decode_image(files.root / files.names[row], how)
    except Exception as error:  # Pillow raises anything from OSError to struct.error for a damaged file
        index.damaged[row] = _reason(error)
        return not (isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno))
    if found.image is not None:
        index.count(row, keeper.put(row, found.image, index))
    index.extremes[row] = found.low, found.high
    index.composited[row], index.reduced[row] = found.composited, found.reduced
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # whose message repeats the path
        return "in no format that Pillow decodes"
    return " ".join(str(error).split()) or type(error).__name__
