"""Parallel trainings of one configuration: their total throughput."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from resnet_lab.interrupts import RunFailed
from resnet_lab.sweep.mps import service
from resnet_lab.training.runtime import physical_cores

READY = "ready"


def together(overrides: Sequence[str], jobs: int, steps: int, mps: bool) -> dict[str, float]:
    """Train `jobs` times in parallel for epochs of that many steps, each with its share of the cores.

    Return `jobs`, and the total `images_per_second` from the common start to the end of the last one. Raises RunFailed
    when a job fails.
    """
    command = [sys.executable, "-m", "resnet_lab.bench", f"--worker={steps}", *overrides]
    return {"jobs": jobs, "images_per_second": images_per_second(at_once([command] * jobs, mps))}


def images_per_second(ended: Sequence[Mapping[str, float]]) -> float:
    """Return the total throughput of jobs that began at the same time, by the `images` and `seconds` of each."""
    return sum(job["images"] for job in ended) / max(job["seconds"] for job in ended)


def at_once(commands: Sequence[Sequence[str]], mps: bool = False) -> list[dict[str, Any]]:
    """Start a process for each command, wait until all call `when_told`, and let them go on at the same time.

    Return what each printed then, as JSON. Several share a GPU by MPS if `mps`. Raises RunFailed when one fails.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        needs_service = mps and len(commands) > 1
        environment = stack.enter_context(service(folder)) if needs_service else {}
        if needs_service and not environment:
            raise RunFailed("--mps: NVIDIA's Multi-Process Service could not be started")
        threads = str(max(1, physical_cores() // len(commands)))
        environment = {**os.environ, **environment, "OMP_NUM_THREADS": threads}
        workers = [stack.enter_context(_worker(command, environment)) for command in commands]
        for worker in workers:
            assert worker.stdout
            if worker.stdout.readline().strip() != READY:
                raise RunFailed(f"a job failed: {worker.communicate()[1].strip()}")
        for worker in workers:
            print("go", file=worker.stdin, flush=True)
        ended = []
        for worker in workers:
            output, errors = worker.communicate()
            if worker.returncode:
                raise RunFailed(f"a job failed: {errors.strip()}")
            ended.append(json.loads(output))
    return ended


def when_told() -> None:
    """Report from a worker that it is ready, and wait until all are."""
    print(READY, flush=True)
    if not sys.stdin.readline():
        raise RunFailed("the process that started this job has ended")


@contextmanager
def _worker(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start one training in a separate process, which is killed if the context ends first."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as worker:
        try:
            yield worker
        finally:
            worker.kill()
