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
from typing import Any

from resnet_lab.config.checks import ConfigError
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
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = stack.enter_context(service(folder)) if mps else {}
        if mps and not environment:
            raise RunFailed("--mps: NVIDIA's Multi-Process Service could not be started")
        environment = {**os.environ, **environment, "OMP_NUM_THREADS": str(max(1, physical_cores() // jobs))}
        workers = [stack.enter_context(_Worker(overrides, steps, environment)) for _ in range(jobs)]
        for worker in workers:
            worker.wait_until_ready()
        for worker in workers:
            worker.go()
        ended = [worker.result() for worker in workers]
    images = sum(job["images"] for job in ended)
    return Together(jobs, images / max(job["seconds"] for job in ended))


class _Worker(subprocess.Popen[str]):
    """One training in a process of its own, which is killed where the context ends before it does."""

    def __init__(self, overrides: Sequence[str], steps: int, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "resnet_lab.bench", f"--worker={steps}", *overrides]
        pipe = subprocess.PIPE
        super().__init__(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def __exit__(self, *error: object) -> None:
        self.kill()
        super().__exit__(*error)  # type: ignore[arg-type]

    def wait_until_ready(self) -> None:
        """Raises RunFailed when it ends before."""
        assert self.stdout
        if self.stdout.readline().strip() != READY:
            raise RunFailed(f"a job failed: {self.communicate()[1].strip()}")

    def go(self) -> None:
        """Let it begin."""
        assert self.stdin
        self.stdin.write("go\n")
        self.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What it measured. Raises RunFailed when it failed."""
        output, errors = self.communicate()
        if self.returncode:
            raise RunFailed(f"a job failed: {errors.strip()}")
        return json.loads(output)


def numbers(text: str) -> list[int]:
    """How many jobs at once, from words such as 1,2,4. Raises ConfigError."""
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ConfigError(f"--jobs must be whole numbers above 0, as in 1,2,4, got {text}")
    return counts
