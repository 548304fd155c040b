"""All checks that need a GPU: `python -m benchmarks.gpu` writes a JSON file for each, and a summary. A failed check
does not stop the others. Without `--cifar10` or data in data/, the full training downloads CIFAR-10.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, load, write
from benchmarks.train import IMPLEMENTATIONS, NETWORKS, compare, passed_checks, usable

COMPILED = "lab:trainer.compile=inductor"
EPOCH_IMAGES = 50_000
EPOCH_SECONDS = {"cifar10_basic_56": 0.6, "cifar10_164": 1.8}  # upper limits
JOBS = "1,2,4,8"
NETWORK_TRAINED = "cifar10_56"
MOST_ERROR = 10.0  # percent; more indicates a bug, as even smaller networks of the papers stay below

Check = Callable[[], dict[str, Any]]  # returns the content of a file; "checks" holds the verdicts


def main() -> int:
    """Run all checks; return exit status 1 if there is no GPU or a check fails."""
    options = parser().parse_args()
    if not torch.cuda.is_available():
        print("torch finds no GPU here", file=sys.stderr)
        return 1
    return report(checks(options), options.out)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--steps", type=int, default=390, help="mini-batches per epoch")
    made.add_argument("--cifar10", metavar="DIR", help="CIFAR-10 as train/CLASS/* and test/CLASS/*, for full training")
    made.add_argument("--out", type=Path, default=RESULTS / "gpu")
    return made


def checks(options: argparse.Namespace) -> dict[str, Check]:
    """Return all checks by name, in order."""
    names, _ = usable([*IMPLEMENTATIONS, COMPILED])
    speeds = {name: (lambda name=name: speed(name, names, options.rounds, options.steps)) for name in NETWORKS}
    shared = {name: (lambda more=more: parallel(*more)) for name, more in (("jobs", ()), ("jobs_mps", ("--mps",)))}
    return {"checks": lambda: hold(names), **speeds, **shared, "training": lambda: training(options.cifar10)}


def report(named: Mapping[str, Check], out: Path) -> int:
    """Run all checks, write a file for each, then summary.json; return the exit status."""
    summary: dict[str, Any] = {}
    for name, check in named.items():
        try:
            content = facts("benchmarks.gpu") | check()
        except Exception as error:  # record it, and go on with the next check
            content = facts("benchmarks.gpu") | {"error": f"{type(error).__name__}: {error}", "checks": []}
        write(out / f"{name}.json", content)
        summary[name] = decide.passed(content["checks"])
        print(f"{name}: {'passed' if summary[name] else 'FAILED'} {content.get('error', '')}", flush=True)
        for verdict in content["checks"]:
            print(f"    {'' if verdict['passed'] else 'NOT '}{verdict['what']}: {verdict['value']}")
    write(out / "summary.json", facts("benchmarks.gpu") | {"passed": summary})
    return 0 if all(summary.values()) else 1


def hold(names: list[str]) -> dict[str, Any]:
    """Run the checks that must hold before any number counts."""
    return {"checks": passed_checks(names, "cuda")}


def speed(network: str, names: list[str], rounds: int, steps: int) -> dict[str, Any]:
    """Measure images/s of all implementations, the lab also compiled, and the seconds of an epoch of CIFAR-10."""
    compared = compare(network, names, rounds, steps, 2, "cuda")
    return compared | {"checks": [*compared["checks"], *epoch_checks(network, compared["images_per_second"])]}


def epoch_checks(network: str, speeds: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Check that the lab's epoch of 50,000 images is short enough, if the network has a limit."""
    if network not in EPOCH_SECONDS:
        return []
    limit, seconds = EPOCH_SECONDS[network], EPOCH_IMAGES / speeds["lab"]["median"]
    return [decide.verdict(f"an epoch of {network} takes at most {limit} s", seconds, limit, at_least=False)]


def parallel(*more: str) -> dict[str, Any]:
    """Measure the total throughput of parallel trainings."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "jobs.json"
        command = [sys.executable, "-m", "resnet_lab.bench", "+experiment=cifar10_20", "--jobs", JOBS, *more]
        succeed([*command, "--json", str(out)])
        measured = load(out)
    return {"bench": measured, "checks": [jobs_check(measured["jobs"])]}


def jobs_check(jobs: list[dict[str, float]]) -> dict[str, Any]:
    """Check that some number of parallel jobs has a higher total throughput than one job."""
    alone, *others = [job["images_per_second"] for job in jobs]
    return decide.verdict("several jobs at once ≥ 1.01 × one", max(others) / alone, 1.01)


def training(folder: str | None) -> dict[str, Any]:
    """Run one full training through the command line; return its result and the total wall time."""
    where = ["data=image_folder", f"data.root={folder}", "data.image_size=32"] if folder else []
    with tempfile.TemporaryDirectory() as outputs:
        start = time.perf_counter()
        overrides = [f"+experiment={NETWORK_TRAINED}", *where, f"output_dir={outputs}"]
        succeed([sys.executable, "-m", "resnet_lab", *overrides])
        seconds = time.perf_counter() - start
        [result] = [load(path) for path in Path(outputs).rglob("result.json")]
    what = f"{NETWORK_TRAINED} on CIFAR-10 has a test error of at most {MOST_ERROR:g} %"
    check = decide.verdict(what, result["last"]["test_error"], MOST_ERROR, at_least=False)
    return {"wall_seconds": seconds, "result": result, "checks": [check]}


def succeed(command: list[str]) -> None:
    """Run a command. Raises RuntimeError with the end of its output when it fails."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode:
        raise RuntimeError(ended.stdout[-3000:])


if __name__ == "__main__":
    sys.exit(main())
