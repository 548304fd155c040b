"""Find a published file in `data.root` or a system folder, or download it. Checksums identify it."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from resnet_lab.config.checks import ConfigError
from resnet_lab.rundir.safe import Unreadable, refuse_irregular

LARGEST = 2**30  # bytes of a published file, unpacked
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 16  # bytes per write; with pooch's default of 1024, flushing dominates


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its authors publish it, with the checksums that identify it."""

    dataset: str  # name of the data set, and of its folder in data.root
    name: str
    url: str
    checksum: str  # of the file itself, as "md5:…" or "sha256:…"
    content_sha256: str | None = None  # of the unpacked .gz, which does not depend on how it was compressed

    folders: tuple[str, ...] = ()  # subfolders of data.root where other programs put the file

    @property
    def names(self) -> tuple[str, ...]:
        """The accepted file names: with a checksum of the content, the unpacked file's name is accepted too."""
        if self.content_sha256 is None:
            return (self.name,)
        spellings = (self.name, self.name.replace("-idx", ".idx"))
        return (*spellings, *(name.removesuffix(".gz") for name in spellings))


def find(root: Path, spec: RemoteFile, system: Sequence[Path] = ()) -> Path:
    """Return the path of a file with the right checksum; download it into `root/<dataset>` if it is not found.

    Searches `root/<dataset>`, `root`, its subfolders of other programs and the `system` folders, in this order. Raises
    ConfigError when a file found there is damaged, or when the file is missing and the download fails.
    """
    root = root.expanduser()
    home = root / spec.dataset
    found, note = local(root, spec, system)
    if found:
        return found
    try:
        _download(home, spec)
    except (OSError, ValueError) as error:
        for folder in (home, root):
            with suppress(OSError):
                folder.rmdir()  # remove the folder only if it is empty
        raise ConfigError(
            f"data={spec.dataset} needs {spec.name}, which is not in data.root={root}{note}, and downloading "
            f"{spec.url} failed: {_reason(error)}. Copy it to {home}, or set data.root to the folder that contains it"
        ) from error
    return home / spec.name


def local(root: Path, spec: RemoteFile, system: Sequence[Path] = ()) -> tuple[Path | None, str]:
    """Return the path of a file found on this machine; or None, and a note if a file of its name has other content."""
    note = ""
    shared = [root, *(root / name for name in spec.folders)]  # MNIST, Fashion-MNIST and KMNIST use the same file names
    for folder in (root / spec.dataset, *shared, *system):
        for path in (folder / name for name in spec.names):
            if not path.is_file():
                continue
            if _is_genuine(path, spec):
                return path, ""
            if folder not in shared or spec.content_sha256 is None:
                raise damaged(path, "wrong checksum: it is damaged, or a different file with the same name")
            note = f" ({path} has other content; for another data set in this format, use data=idx)"
    return None, note


def unpacked(path: Path, length: int = LARGEST) -> bytes:
    """Return the first `length` bytes of a file, decompressed if it is gzip data. A small one can unpack to gigabytes.

    Raises ConfigError when it is damaged, or not a regular file.
    """
    try:
        refuse_irregular(path, largest=math.inf)
        with path.open("rb") as file:
            is_packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        with gzip.open(path) if is_packed else path.open("rb") as stream:
            return stream.read(length)
    except (Unreadable, OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> ConfigError:
    """Return the error for a file that exists but cannot be used."""
    return ConfigError(f"{path} cannot be used ({reason}): replace it, or delete it if it was downloaded")


def _is_genuine(path: Path, spec: RemoteFile) -> bool:
    algorithm, _, known = spec.checksum.partition(":")
    try:
        if pooch.file_hash(str(path), algorithm) == known:
            return True
    except OSError as error:
        raise damaged(path, str(error)) from error
    return spec.content_sha256 is not None and hashlib.sha256(unpacked(path)).hexdigest() == spec.content_sha256


def _download(folder: Path, spec: RemoteFile) -> None:
    """Download into `folder`; pooch writes a temporary file, checks and renames it. Raises OSError or ValueError."""
    pooch.get_logger().setLevel("WARNING")  # the progress bar is enough
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        downloader = pooch.HTTPDownloader(progressbar=_Bar(progress, spec.name), chunk_size=_CHUNK)
        pooch.retrieve(spec.url, spec.checksum, fname=spec.name, path=folder, downloader=downloader)


class _Bar:
    """The progress-bar interface that pooch expects, drawn by rich. Pooch sets `total` in bytes, 0 if unknown."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.total = 0
        self._progress = progress
        self._task = progress.add_task(name, total=None)

    def update(self, size: int) -> None:
        self._progress.update(self._task, advance=size, total=self.total or None)

    def reset(self) -> None:
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        self._progress.stop()


def _reason(error: Exception) -> str:
    """Return the first line of the innermost exception; requests wraps it in three others."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "the downloaded file has the wrong checksum"
    cause: BaseException = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    return (str(cause) or type(cause).__name__).splitlines()[0]
