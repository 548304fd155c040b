"""Sweeps of the tiny network as real processes, which may be killed as a whole."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resnet_lab.rundir.directory import RunDirectory
from support.lab import TINY

DEADLINE = 240  # seconds, on a machine that does much else


class Sweep(subprocess.Popen[str]):
    """`python -m resnet_lab -m` on the tiny network, in a process group of its own, in `folder`."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        command = [sys.executable, "-m", "resnet_lab", "-m", *TINY, "name=swept", *overrides]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
        super().__init__(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def read_until(self, words: str) -> None:
        """Read what it says until a line has these words."""
        assert self.stderr
        said = []
        for line in self.stderr:
            said.append(line)
            if words in line:
                return
        pytest.fail("".join(said))

    def signal_group(self, signum: int) -> None:
        """To all of its processes, as the terminal does with Ctrl-C."""
        os.killpg(self.pid, signum)

    def end(self) -> tuple[int, str]:
        """Its exit status and what else it said."""
        said = self.communicate(timeout=DEADLINE)[1]
        return self.returncode, said


def states(folder: Path) -> dict[str, str]:
    """The state of every run below a folder, by the run's path."""
    return {path: RunDirectory(folder / path).status()["state"] for path in runs(folder)}


def runs(folder: Path) -> list[str]:
    """The run directories below a folder."""
    return sorted(str(file.parent.relative_to(folder)) for file in folder.rglob("status.json"))


def group_members(group: int) -> Iterator[int]:
    """The processes of a process group that still run."""
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = process.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # ended meanwhile
        if int(its_group) == group and state != "Z":
            yield int(process.parent.name)


def parent(process: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def ends(process: int) -> bool:
    """Whether a process ends by itself, soon."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], DEADLINE)[0])
    finally:
        os.close(handle)
