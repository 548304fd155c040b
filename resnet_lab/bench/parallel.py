"""Parallel trainings of one configuration: their total throughput."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from resnet_lab.interrupts import RunFailed
from resnet_lab.sweep.mps import service
from resnet_lab.training.runtime import physical_cores

READY = "ready"


@dataclass(frozen=True, slots=True)
class Together:
    """A number of parallel jobs, and their total images/s from the common start to the end of the last one."""

    jobs: int
    images_per_second: float


def together(overrides: Sequence[str], jobs: int, steps: int, mps: bool) -> Together:
    """Train `jobs` times in parallel for epochs of that many steps, each with its share of the cores.

    Raises RunFailed when a job fails.
    """
    command = [sys.executable, "-m", "resnet_lab.bench", f"--worker={steps}", *overrides]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = stack.enter_context(service(folder)) if mps else {}
        if mps and not environment:
            raise RunFailed("--mps: NVIDIA's Multi-Process Service could not be started")
        environment = {**os.environ, **environment, "OMP_NUM_THREADS": str(max(1, physical_cores() // jobs))}
        workers = [stack.enter_context(_Worker(command, environment)) for _ in range(jobs)]
        for worker in workers:
            worker.wait_until_ready()
        for worker in workers:
            worker.go()
        ended = [worker.result() for worker in workers]
    images = sum(job["images"] for job in ended)
    return Together(jobs, images / max(job["seconds"] for job in ended))


def when_told() -> None:
    """Report from a worker that it is ready, and wait until all are."""
    print(READY, flush=True)
    if not sys.stdin.readline():
        raise RunFailed("the process that started this job has ended")


class _Worker(subprocess.Popen[str]):
    """One training in a separate process, which is killed if the context ends first."""

    stdin: IO[str]
    stdout: IO[str]

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        super().__init__(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def __exit__(self, *error: object) -> None:
        self.kill()
        super().__exit__(*error)  # type: ignore[arg-type]

    def wait_until_ready(self) -> None:
        if self.stdout.readline().strip() != READY:
            raise RunFailed(f"a job failed: {self.communicate()[1].strip()}")

    def go(self) -> None:
        self.stdin.write("go\n")
        self.stdin.flush()

    def result(self) -> dict[str, Any]:
        output, errors = self.communicate()
        if self.returncode:
            raise RunFailed(f"a job failed: {errors.strip()}")
        return json.loads(output)
