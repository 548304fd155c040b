"""A web server on this machine, and files in the real formats."""

import functools
import gzip
import io
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

Serve = Callable[..., str]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class BreaksOff(_Quiet):
    """Announces the whole file, sends half of it and closes the connection."""

    def copyfile(self, source: io.BufferedReader, outputfile: io.BufferedWriter) -> None:
        data = source.read()
        outputfile.write(data[: len(data) // 2])


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """`serve(folder)` → the URL of the folder, until the test ends; `serve(folder, BreaksOff)` breaks off downloads."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(folder: Path, handler: type[SimpleHTTPRequestHandler] = _Quiet) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port(serve: Serve, tmp_path: Path) -> str:
    """A URL at which nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}"


def idx(array: np.ndarray) -> bytes:
    """A uint8 array as an IDX file."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def gzipped(data: bytes, level: int = 9) -> bytes:
    """A .gz file without a time stamp, so that equal content makes equal files."""
    return gzip.compress(data, level, mtime=0)


def cifar_archive(path: Path, folder: str, files: dict[str, bytes]) -> Path:
    """A .tar.gz with a folder of files, as CIFAR's are published."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def cifar_copy(path: Path, folder: str, files: dict[str, bytes], unpack: bool) -> Path:
    """A folder of files in `path`: as an archive, or unpacked."""
    if not unpack:
        return cifar_archive(path / "archive.tar.gz", folder, files)
    (path / folder).mkdir()
    for name, data in files.items():
        (path / folder / name).write_bytes(data)
    return path / folder


def cifar_records(pixels: np.ndarray, *labels: np.ndarray) -> bytes:
    """Images (N, 3, 32, 32) and their columns of labels, as records of the binary version."""
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    return np.concatenate([*columns, pixels.reshape(len(pixels), -1)], axis=1).tobytes()
