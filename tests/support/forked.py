"""The command as a process of its own, which need not import the lab: forked from the server of the jobs of sweeps.

It takes signals, limits and a full disk as `python -m resnet_lab` does, of whose seven seconds six are imports.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from resnet_lab.__main__ import main
from resnet_lab.sweep.worker import forks

DEADLINE = 240  # seconds, on a machine that does much else


class Forked:
    """`resnet_lab ARGUMENTS`, whose output goes to files in `folder`; `before` is called in the process first."""

    def __init__(self, folder: Path, *arguments: str, before: Callable[[], object] | None = None) -> None:
        self.printed = (folder / "stdout.txt", folder / "stderr.txt")
        self.process = forks().Process(target=_run, args=(self.printed, arguments, before))
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        return self.process.exitcode is not None

    def kill(self, signum: int = signal.SIGKILL) -> None:
        os.kill(self.pid, signum)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; the exit status, -N after signal N, and what it printed to stdout and stderr."""
        self.process.join(DEADLINE)
        status = self.process.exitcode
        if status is None:
            self.process.kill()
            raise TimeoutError(self.printed[1].read_text())
        stdout, stderr = (file.read_text() for file in self.printed)
        return status, stdout, stderr


def _run(printed: tuple[Path, Path], arguments: tuple[str, ...], before: Callable[[], object] | None) -> None:
    for descriptor, file in enumerate(printed, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["resnet_lab", *arguments]
    if before:
        before()
    main()
