"""Decode the images of a folder once, into the user's cache folder.

If several jobs need the same images, one decodes them and the others wait.

An entry is a folder with the decoded images, `pixels-….npy`, and `index.npz`, which names them and is replaced last. A
killed process leaves the previous entry intact, and perhaps a file that the next process removes.
"""

import errno
import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from joblib import cpu_count
from PIL import UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from resnet_lab.config.checks import ConfigError
from resnet_lab.data import store
from resnet_lab.data.decode import VERSION, Decoding, decode_image
from resnet_lab.data.index import Index
from resnet_lab.data.listing import Files, Indices
from resnet_lab.rundir.files import write_atomically
from resnet_lab.text import printable

INDEX, LOCK, DAMAGED = "index.npz", ".lock", "damaged.txt"
MAX_LISTED = 10  # damaged images in a message
CHUNK = 64  # images that are decoded by a thread, or copied, at a time
UNKNOWN = np.full(3, -1)  # stored as the facts of a file that could not be read, so that it is tried again

log = logging.getLogger("resnet_lab")

Cached = tuple[npt.NDArray[np.uint8], Index]  # (N, C, H, W)


def images_folder() -> Path:
    """Return the folder of the entries."""
    return store.cache_folder() / "images"


def decoded(files: Files, how: Decoding, training: Indices) -> Cached:
    """Return the images (N, C, H, W), a read-only memory map, and what is known of them. Damaged ones are black.

    Only files that are new or changed are decoded. If `how.range` is None, black and white of images with more than 8
    bits are the least and greatest value in the images at the rows `training`. Raises ConfigError when the cache cannot
    be written.
    """
    entry = _entry(files, how)
    try:
        if found := _opened(entry, files, how, training):
            return found
        _refuse_full_disk(entry, len(files.names) * math.prod(how.image_shape))
        with _locked(entry):  # another process may decode them in the meantime
            return _opened(entry, files, how, training) or _decode(entry, files, how, training)
    except OSError as error:
        raise ConfigError(
            f"cannot cache the decoded images of {files.root} in {entry.parent}: {error.strerror}. "
            "Set the environment variable XDG_CACHE_HOME to a folder with enough space"
        ) from error


def _about(files: Files, how: Decoding) -> str:
    return json.dumps({"root": str(files.root), "version": VERSION, **how.described()})


def _entry(files: Files, how: Decoding) -> Path:
    return images_folder() / hashlib.sha256(_about(files, how).encode()).hexdigest()[:16]


def _opened(entry: Path, files: Files, how: Decoding, training: Indices) -> Cached | None:
    """Return the images of an entry; None if it lacks some of them."""
    found = _stored(entry, how)
    return found if found and found[1].holds(files, how, training) else None


def _stored(entry: Path, how: Decoding) -> Cached | None:
    """Return the content of an entry, whichever files it was decoded from; None if it is empty or damaged."""
    index = Index.read(entry / INDEX)
    if index is None:
        return None
    try:
        pixels = np.lib.format.open_memmap(entry / index.pixels, mode="r")
    except (FileNotFoundError, ValueError):
        return None
    return (pixels, index) if pixels.shape == (len(index.names), *how.image_shape) else None


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


def _decode(entry: Path, files: Files, how: Decoding, training: Indices) -> Cached:
    """Decode the images that are missing in the entry, and replace it."""
    old, new = _stored(entry, how), Index.empty(_about(files, how), files)
    shape = (len(files.names), *how.image_shape)
    pixels = np.lib.format.open_memmap(entry / new.pixels, mode="w+", dtype=np.uint8, shape=shape)
    copied = _copy(old, files, new, pixels) if old else np.zeros(0, np.int64)
    missing = np.setdiff1d(np.arange(len(files.names)), copied)
    _decode_rows(missing, files, replace(how, range=None), new, pixels)
    new.range = new.range_for(how, training)
    if new.range:  # known only after all images were decoded
        scaled = copied if old and old[1].range == new.range else copied[:0]
        _decode_rows(np.setdiff1d(new.wide, scaled), files, replace(how, range=new.range), new, pixels)
    pixels.flush()
    with (entry / new.pixels).open("rb") as file:
        os.fsync(file.fileno())
    new.write(entry / INDEX)
    return np.lib.format.open_memmap(entry / new.pixels, mode="r"), new


def list_damaged(files: Files, how: Decoding, index: Index) -> str:
    """Name the damaged images and the reasons, ten at most; if there are more, write all of them to a file."""
    lines = [f"{printable(files.names[row])} ({why})" for row, why in sorted(index.damaged.items())]
    count = f"{len(lines):,} of {len(files.names):,} images in {printable(str(files.root))} cannot be decoded"
    if len(lines) <= MAX_LISTED:
        return f"{count}: {'; '.join(lines)}"
    full = _entry(files, how) / DAMAGED
    with suppress(OSError):
        write_atomically(full, lambda file: file.write("\n".join([*lines, ""]).encode()))
    return f"{count}: {'; '.join(lines[:MAX_LISTED])}; all are listed in {full}"


def _copy(old: Cached, files: Files, new: Index, pixels: npt.NDArray[np.uint8]) -> Indices:
    """Copy the images of files that have not changed; return their rows."""
    old_pixels, before = old
    old_rows = store.unchanged(files, before.names, before.facts)
    rows = np.flatnonzero(old_rows >= 0)
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        pixels[part] = old_pixels[old_rows[part]]
    for name in ("extremes", "composited", "reduced"):
        getattr(new, name)[rows] = getattr(before, name)[old_rows[rows]]
    new.damaged = {int(row): before.damaged[int(old_rows[row])] for row in rows if int(old_rows[row]) in before.damaged}
    return rows


def _decode_rows(rows: Indices, files: Files, how: Decoding, index: Index, pixels: npt.NDArray[np.uint8]) -> None:
    """Decode the files of these rows in threads: Pillow releases the GIL while it decodes."""

    def fill(start: int) -> None:
        for row in rows[start : start + CHUNK].tolist():
            _fill(row, files.root / files.names[row], how, index, pixels)

    console = Console(stderr=True)
    starts = range(0, len(rows), CHUNK)
    pool = ThreadPoolExecutor(cpu_count())
    try:
        done = pool.map(fill, starts)
        what = f"decoding {len(rows):,} images"
        for _ in track(done, what, total=len(starts), console=console, disable=not console.is_terminal):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(row: int, path: Path, how: Decoding, index: Index, pixels: npt.NDArray[np.uint8]) -> None:
    try:
        image = decode_image(path, how)
    except Exception as error:  # Pillow raises anything from OSError to struct.error for a damaged file
        index.damaged[row] = _reason(error)
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):  # not the file's fault
            index.facts[row] = UNKNOWN
        return
    if image.pixels is not None:
        pixels[row] = image.pixels
    index.extremes[row] = image.low, image.high
    index.composited[row], index.reduced[row] = image.composited, image.reduced


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # whose message repeats the path
        return "in no format that Pillow decodes"
    return " ".join(str(error).split()) or type(error).__name__
