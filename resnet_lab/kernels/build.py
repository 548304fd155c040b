"""Compile the kernels, once for each processor and version of their source, into the user's cache."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from resnet_lab.data.file_rows import cache_folder

FOLDER = Path(__file__).parent
SOURCES = ("norm", "winograd")
FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
COMPILERS = ("gcc", "clang", "cc")


class Unavailable(Exception):
    """There are no kernels on this machine; the message says why."""


@cache
def libraries() -> dict[str, ctypes.CDLL]:
    """Return the compiled sources by name. Compiles them if the cache lacks them. Raises Unavailable.

    Compiled by gcc, they use the OpenMP library that torch has loaded, and so its threads.
    """
    if not sys.platform.startswith("linux"):
        raise Unavailable("they are for Linux")
    folder = cache_folder() / "kernels" / _key()
    with suppress(OSError):
        return _loaded(folder)
    compiler = next(filter(None, map(shutil.which, [os.environ.get("CC", ""), *COMPILERS])), None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            with suppress(OSError):  # by another process, in the meantime
                return _loaded(folder)
            _compile(compiler, folder)
        return _loaded(folder)
    except OSError as error:
        raise Unavailable(f"they cannot be loaded: {error}") from error


def _loaded(folder: Path) -> dict[str, ctypes.CDLL]:
    return {name: ctypes.CDLL(str(folder / f"{name}.so")) for name in SOURCES}


def _key() -> str:
    """Return a hash of all that compiled kernels depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    parts = [platform.machine(), *processor, *FLAGS]
    digest = hashlib.sha256("\n".join(parts).encode())
    for file in sorted(FOLDER.glob("*.[ch]")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _compile(compiler: str | None, folder: Path) -> None:
    """Compile the sources at the same time, each into a file that appears as a whole. Raises Unavailable."""
    if compiler is None:
        raise Unavailable("there is no C compiler: install gcc or clang")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        made = {name: Path(place, f"{name}.so") for name in SOURCES}
        commands = {name: [compiler, *FLAGS, "-o", str(made[name]), str(FOLDER / f"{name}.c")] for name in SOURCES}
        started = {name: subprocess.Popen(command, stderr=subprocess.PIPE) for name, command in commands.items()}
        said = {name: process.communicate()[1].decode(errors="replace") for name, process in started.items()}
        for name, process in started.items():
            if process.returncode or not made[name].exists():
                lines = said[name].strip().splitlines() or [f"status {process.returncode}"]
                why = next((line for line in lines if "error" in line), lines[0])
                raise Unavailable(f"{compiler} failed: {why:.200}")
        for name in SOURCES:
            made[name].replace(folder / f"{name}.so")
