"""Facts of own images, from the names and contents of their files. A content is read again only when it changes."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.extending import imported
from resnet_lab.config.registry import DATASETS
from resnet_lab.config.schema import Config
from resnet_lab.data import file_rows
from resnet_lab.data.listing import Files, Indices, Listing, list_images
from resnet_lab.data.split import are_classes
from resnet_lab.rundir.images import DataFacts

Digests = npt.NDArray[np.uint8]  # (N, 16)

SIZE = 16  # bytes of a digest
WHOLE = 2**20  # bytes: of a larger file, samples at even distances are read, so that large folders stay quick
SAMPLE, NUM_SAMPLES = 2**14, 64
CHUNK = 256  # files that a thread reads at a time


_known: dict[str, DataFacts] = {}  # by the settings of the data, until `look_again`


def look_again() -> None:
    """Forget all listings and facts, since files may have changed; otherwise a plan looks once for all its jobs."""
    _known.clear()
    list_images.cache_clear()


def identified(config: Config) -> tuple[Config, DataFacts | None]:
    """Return a configuration with the fingerprint of its images, and their facts; own images only.

    Raises ConfigError when the folder cannot be used, or `data.fingerprint` is set and the images have another one.
    """
    if not config.data.own_images:
        return config, None
    key = repr(config.data)
    if key not in _known:
        _known[key] = imported(DATASETS.info(config.data.name).facts)(config.data)
    facts, asked = _known[key], config.data.fingerprint
    if asked not in (None, facts.fingerprint):
        raise ConfigError(
            f"data.fingerprint={asked}, but the images in {config.data.folder} have fingerprint {facts.fingerprint}: "
            "they are other images. Omit data.fingerprint to use them"
        )
    return replace(config, data=replace(config.data, fingerprint=facts.fingerprint)), facts


def facts_of(listing: Listing) -> DataFacts:
    """Return the facts of listed images: by class, or of all in a part with their labels, if these are not classes.

    Raises ConfigError when a file cannot be read.
    """
    try:
        digests = _digests(listing.files)
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from error
    parts = {}
    for part, rows in listing.parts.items():
        labels = listing.labels[rows]
        if not are_classes(labels):
            parts[part] = {"": _of(listing.files, digests, rows, labels.tobytes())}
            continue
        by_class = np.split(rows, np.flatnonzero(np.diff(labels)) + 1) if len(rows) else []
        parts[part] = {listing.classes[listing.labels[own[0]]]: _of(listing.files, digests, own) for own in by_class}
    return DataFacts(listing.classes, parts)


def copies(files: Files, rows: Indices, among: Indices) -> Indices:
    """Return those rows whose files have the same content as one of the files in the rows of `among`."""
    digests = _digests(files).view(f"V{SIZE}").ravel()
    return rows[np.isin(digests[rows], digests[among])]


def _of(files: Files, digests: Digests, rows: Indices, labels: bytes = b"") -> tuple[int, str]:
    names = "\0".join(files.names[row] for row in rows.tolist())
    text = names.encode(errors="surrogateescape") + digests[rows].tobytes() + labels
    return len(rows), hashlib.sha256(text).hexdigest()[:16]


def _digests(files: Files) -> Digests:
    """Return a digest of each file: as stored, unless its size or one of its times has changed since."""
    place = file_rows.cache_folder() / "digests" / f"{hashlib.sha256(os.fsencode(files.root)).hexdigest()[:16]}.npz"
    digests = np.zeros((len(files.names), SIZE), np.uint8)
    missing = np.arange(len(files.names))
    if stored := file_rows.load(place):
        rows = file_rows.unchanged(files, stored["names"], stored["facts"])
        digests[rows >= 0] = stored["digests"][rows[rows >= 0]]
        missing = np.flatnonzero(rows < 0)

    def fill(start: int) -> None:
        for row in missing[start : start + CHUNK].tolist():
            digests[row] = np.frombuffer(_digest(files.root / files.names[row]), np.uint8)

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, range(0, len(missing), CHUNK)))
    if len(missing):
        with suppress(OSError):  # without a cache folder, the files are read again next time
            place.parent.mkdir(parents=True, exist_ok=True)
            file_rows.save(place, files.names, files.facts, digests=digests)
    return digests


def _digest(path: Path) -> bytes:
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        whole = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=SIZE)
        starts = [0] if size <= WHOLE else np.linspace(0, size - SAMPLE, NUM_SAMPLES).astype(int).tolist()
        length = size if size <= WHOLE else SAMPLE
        for start in starts:
            file.seek(start)
            whole.update(file.read(length))
    return whole.digest()
