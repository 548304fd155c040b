"""One implementation in a separate process: `measure` starts it and returns its speed."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.implementations import Stopwatch, implementation
from benchmarks.task import Task


class ImplementationFailed(Exception):
    """An implementation ended with an error."""


def measure(name: str, overrides: Sequence[str], steps: int, epochs: int, device: str) -> float:
    """Measure an implementation's images/s in a fresh process, over `epochs` epochs after a warm-up epoch.

    Raises ImplementationFailed with the end of the implementation's output.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "benchmarks.worker", name, str(steps), str(epochs), device, str(out)]
        ended = subprocess.run(
            [*command, *overrides], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        if ended.returncode:
            raise ImplementationFailed(f"{name} failed on {' '.join(overrides)}:\n{ended.stdout[-3000:]}")
        measured = json.loads(out.read_text())
    return float(measured["images"] / sum(measured["seconds"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("implementation")
    parser.add_argument("steps", type=int)
    parser.add_argument("epochs", type=int)
    parser.add_argument("device")
    parser.add_argument("out", type=Path)
    arguments, overrides = parser.parse_known_args()
    module, more = implementation(arguments.implementation)
    device = torch.device(arguments.device)
    task = Task([*overrides, *more], arguments.steps, 1 + arguments.epochs, device)
    stopwatch = Stopwatch(device)
    trained = module.train(task, stopwatch)
    seconds = (trained.seconds or stopwatch.seconds)[1:]
    images = task.steps * task.batch_size * len(seconds)
    arguments.out.write_text(json.dumps({"seconds": seconds, "images": images}))


if __name__ == "__main__":
    main()
