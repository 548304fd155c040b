"""Several trainings of one configuration at the same time: what they reach together."""

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
    """So many jobs at once, and the images a second of all of them, from the common start to the last one's end."""

    jobs: int
    images_per_second: float


def together(overrides: Sequence[str], jobs: int, steps: int, mps: bool) -> Together:
    """Train `jobs` times at once for epochs of so many steps, each with its share of the cores.

    Raises RunFailed when one of them fails.
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
    """In a worker: say that it is ready, and wait until all are."""
    print(READY, flush=True)
    if not sys.stdin.readline():
        raise RunFailed("whoever started this is gone")


class _Worker(subprocess.Popen[str]):
    """One training in a process of its own, which is killed where the context ends before it does."""

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
