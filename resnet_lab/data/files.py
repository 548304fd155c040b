"""Finding a published file: in `data.root`, where the system keeps it, or on the network. Checksums decide."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from resnet_lab.config.checks import ConfigError

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 16  # bytes written at a time; pooch's default of 1024 spends its time on flushing


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its authors publish it, and the checksums by which it is known."""

    dataset: str  # name of the data set, and of the folder in data.root that the file is kept in
    name: str
    url: str
    checksum: str  # of the file itself, as "md5:…" or "sha256:…"
    content_sha256: str | None = None  # of what a .gz unpacks to, the same whoever packed it

    @property
    def names(self) -> tuple[str, ...]:
        """The names it may have; where the content is known, also that of the unpacked file."""
        return (self.name, self.name.removesuffix(".gz")) if self.content_sha256 else (self.name,)


def find(root: Path, spec: RemoteFile, system: Sequence[Path] = ()) -> Path:
    """The path of a file that has the right checksum, downloaded into `root/<dataset>` if it is nowhere else.

    Looks in `root/<dataset>`, in `root` and in the `system` folders, in this order. Raises ConfigError when a file that
    is there is damaged, and when it is nowhere and cannot be fetched.
    """
    root = root.expanduser()
    home = root / spec.dataset
    passed_over = ""
    for folder in (home, root, *system):
        for path in (folder / name for name in spec.names):
            if not path.is_file():
                continue
            if _is_genuine(path, spec):
                return path
            if folder != root or spec.content_sha256 is None:
                raise damaged(path, "wrong checksum: it is damaged, or another file of this name")
            # MNIST and Fashion-MNIST name their files alike: in data.root itself it may be the other one's.
            passed_over = f" ({path} has other content)"
    try:
        _download(home, spec)
    except (OSError, ValueError) as error:
        for folder in (home, root):
            with suppress(OSError):
                folder.rmdir()  # leave nothing behind, if nothing is in it
        raise ConfigError(
            f"data={spec.dataset} needs {spec.name}, which is not in data.root={root}{passed_over}, and fetching "
            f"{spec.url} failed: {_reason(error)}. Put it into {home} by hand, or set data.root to the folder with it"
        ) from error
    return home / spec.name


def unpacked(path: Path) -> bytes:
    """The content of a file, unzipped if it is gzipped, whatever its name. Raises ConfigError when it is damaged."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> ConfigError:
    """The error for a file that is there but cannot be used."""
    return ConfigError(f"{path} cannot be used ({reason}): delete it to have it fetched again")


def _is_genuine(path: Path, spec: RemoteFile) -> bool:
    algorithm, _, known = spec.checksum.partition(":")
    try:
        if pooch.file_hash(str(path), algorithm) == known:
            return True
    except OSError as error:
        raise damaged(path, str(error)) from error
    return spec.content_sha256 is not None and hashlib.sha256(unpacked(path)).hexdigest() == spec.content_sha256


def _download(folder: Path, spec: RemoteFile) -> None:
    """Fetch into `folder`; pooch writes beside, checks, then renames. Raises OSError (also network) or ValueError."""
    pooch.get_logger().setLevel("WARNING")  # the bar says it all
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        downloader = pooch.HTTPDownloader(progressbar=_Bar(progress, spec.name), chunk_size=_CHUNK)
        pooch.retrieve(spec.url, spec.checksum, fname=spec.name, path=folder, downloader=downloader)


class _Bar:
    """What pooch asks of a progress bar, drawn by rich. Pooch sets `total`, in bytes; 0 when it is not known."""

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
    """One line from the bottom of what requests wraps in three exceptions."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "what came has another checksum"
    cause: BaseException = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    return (str(cause) or type(cause).__name__).splitlines()[0]
