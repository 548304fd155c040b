"""How fast is it: images/s in comparison, the kernels of a step, time outside of the steps, several runs at once."""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import decide, profiles
from benchmarks.facts import load
from benchmarks.gpu import Content
from benchmarks.gpu.command import lab, result_of
from benchmarks.train import comparison, rounds_measured

EPOCH_IMAGES = 50_000
EPOCH_SECONDS = {"cifar10_basic_56": 0.6, "cifar10_164": 1.8}  # upper limits
PROFILED = ("cifar10_56", "cifar10_164")
PROFILE_SECONDS = 5

SHARE_OF_STEPS = 0.95  # of an epoch's wall time, at least
EPOCHS = 5
JOBS = "1,2,4,8"


def speed(network: str, names: Sequence[str], rounds: int, steps: int, earlier: Content) -> Iterator[Content]:
    """Measure images/s of all implementations, and the seconds of an epoch of CIFAR-10."""
    measured: list[dict[str, float]] = earlier.get("rounds", [])
    for _ in rounds_measured(measured, network, names, rounds, steps, 2, "cuda"):
        yield {"rounds": measured}
    compared = comparison(network, "cuda", measured)
    yield compared | {"checks": [*compared["checks"], *epoch_checks(network, compared["images_per_second"])]}


def epoch_checks(network: str, speeds: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Check that the lab's epoch of 50,000 images is short enough, if the network has a limit."""
    if network not in EPOCH_SECONDS:
        return []
    limit, seconds = EPOCH_SECONDS[network], EPOCH_IMAGES / speeds["lab"]["median"]
    return [decide.verdict(f"an epoch of {network} takes at most {limit} s", seconds, limit, at_least=False)]


def kernels(earlier: Content) -> Iterator[Content]:
    """Profile replays of the bare step: the share of each kind of kernel, and of the time in which none runs."""
    networks: dict[str, Any] = dict(earlier.get("networks", {}))
    for network in PROFILED:
        if network not in networks:
            networks[network] = profiles.profiled(network, PROFILE_SECONDS, "trainer=gpu")
            yield {"networks": networks}
    yield {"networks": networks, "checks": profiles.checks(networks)}


def epochs(earlier: Content) -> Iterator[Content]:
    """Train cifar10_56 on 50,000 random images, with diagnostics and without: the share of steps in an epoch."""
    runs: dict[str, Any] = dict(earlier.get("runs", {}))
    for diagnostics in ("light", "off"):
        if diagnostics not in runs:
            changes = ["data=fake", f"data.num_images={EPOCH_IMAGES}", f"trainer.max_epochs={EPOCHS}"]
            start = time.perf_counter()
            result = run(f"+experiment={PROFILED[0]}", *changes, f"diagnostics={diagnostics}")
            runs[diagnostics] = {"wall_seconds": time.perf_counter() - start, "result": result}
            yield {"runs": runs}
    checks = []
    for name, measured in runs.items():
        images = measured["result"]["images"]["images"]["train"]
        history = measured["result"]["history"][1:]  # the first epoch records the graphs
        share = statistics.median(images / epoch["images_per_second"] / epoch["seconds"] for epoch in history)
        checks.append(decide.verdict(f"steps take most of an epoch, diagnostics={name}", share, SHARE_OF_STEPS))
    yield {"runs": runs, "checks": checks}


def run(*overrides: str) -> dict[str, Any]:
    """Train by the command line; return the content of result.json."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(lab(*overrides, f"output_dir={folder}"), check=True, capture_output=True, text=True)
        return load(result_of(Path(folder)))


def jobs(earlier: Content) -> Iterator[Content]:
    """Measure the total throughput of parallel trainings, without and with MPS."""
    bench: dict[str, Any] = dict(earlier.get("bench", {}))
    for name, more in {"processes": [], "processes with MPS": ["--mps"]}.items():
        if name not in bench:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder, "bench.json")
                words = ["+experiment=cifar10_20", "--seconds", "5", "--jobs", JOBS, *more, "--json", str(out)]
                subprocess.run(lab(*words, module="resnet_lab.bench"), check=True, capture_output=True, text=True)
                bench[name] = load(out)
            yield {"bench": bench}
    yield {"bench": bench, "checks": [jobs_check(name, found["jobs"]) for name, found in bench.items()]}


def jobs_check(name: str, jobs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Check that some number of parallel jobs has a higher total throughput than one job."""
    alone, *others = [job["images_per_second"] for job in jobs]
    return decide.verdict(f"several {name} at once ≥ 1.01 × one", max(others) / alone, 1.01)
