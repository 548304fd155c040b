"""Threads that wait: `python -m benchmarks.waiting` trains alone and in as many jobs as cores, by number of threads.

Threads that have done their part of an operation wait for the others. By default, GNU OpenMP lets them spin on their
cores; with OMP_WAIT_POLICY=passive they sleep. The variables take effect only if they are set before torch is imported.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.bench.measure import bare_step
from resnet_lab.bench.parallel import at_once, images_per_second, when_told
from resnet_lab.config.compose import load_config
from resnet_lab.training.runtime import physical_cores

NETWORKS = ("cifar10_v1_20", "cifar10_20")
ONE, SPINNING, SLEEPING = "1 thread", "all cores", "all cores, passive"
ALONE, TOGETHER = "alone", "as many jobs as cores"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8, help="of training, for each measurement")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS / "waiting.json")
    options = parser.parse_args()
    if options.worker:
        train(options.worker, options.seconds)
        return
    write(options.out, facts("benchmarks.waiting") | report(options.rounds, options.seconds))


def train(network: str, seconds: float) -> None:
    """Take training steps for that long, with all threads that the environment allows, and print their images/s."""
    config = load_config(f"+experiment={network}", "trainer=cpu")
    with bare_step(config) as (step, _):
        step()
        when_told()
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            step()
            steps += 1
        elapsed = time.perf_counter() - start
    print(json.dumps({"images": steps * config.optim.batch_size, "seconds": elapsed}))


def report(rounds: int, seconds: float) -> dict[str, Any]:
    """Measure all jobs with each setting in every round. Ratios are to one thread for each job, in the same round."""
    networks = {}
    for network in NETWORKS:
        networks[network] = {
            which: measured(network, jobs, rounds, seconds)
            for which, jobs in ((ALONE, 1), (TOGETHER, physical_cores()))
        }
    return {"rounds": rounds, "cores": physical_cores(), "networks": networks, "checks": []}


def measured(network: str, jobs: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the total images/s of all jobs with each setting, and how many times as fast as with one thread each."""
    worker = [sys.executable, "-m", "benchmarks.waiting", f"--worker={network}", f"--seconds={seconds}"]
    cores = f"OMP_NUM_THREADS={physical_cores()}"
    settings = {
        ONE: ["OMP_NUM_THREADS=1"],
        SPINNING: [cores],
        SLEEPING: [cores, "OMP_WAIT_POLICY=passive"],
    }
    found: list[dict[str, float]] = []
    for number in range(rounds):
        names = decide.order([*settings], number)
        found.append({name: images_per_second(at_once([["env", *settings[name], *worker]] * jobs)) for name in names})
        print(f"{network}, jobs: {jobs}, round {number + 1}: {found[-1]}", flush=True)
    return {
        "images_per_second": {name: decide.spread([own[name] for own in found]) for name in settings},
        "ratio": {name: decide.spread([own[name] / own[ONE] for own in found]) for name in settings},
    }


if __name__ == "__main__":
    main()
