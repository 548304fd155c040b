"""Parallel and sequential jobs of a sweep: `python -m benchmarks.sweep` prints the ratio of their wall times.

Four trainings on digits, through the command line, with everything that a sweep does; the two ways alternate.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

JOBS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    ratios = []
    for number in range(arguments.rounds):
        alone, together = (seconds(at_once, arguments.epochs) for at_once in (1, JOBS))
        ratios.append(together / alone)
        print(f"round {number + 1}: sequential {alone:.1f} s, {JOBS} at once {together:.1f} s, ratio {ratios[-1]:.2f}")
    print(
        f"{JOBS} at once take {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
        f"of the sequential time, on {os.cpu_count()} cores"
    )


def seconds(at_once: int, epochs: int) -> float:
    """Return the wall time of the sweep with that many parallel jobs, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "resnet_lab", "-m", f"seed=range({JOBS})", f"trainer.max_epochs={epochs}"]
        command += ["trainer=cpu", f"output_dir={folder}", f"hydra.launcher.jobs={at_once}"]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
