"""`python -m benchmarks.gpu`: all checks and measurements that need a GPU, each written to a JSON file.

It runs in pieces of minutes: `--only` names parts or pieces, `--seconds` ends before a step that would not fit. What is
finished is not repeated, and what is not continues where it stopped; an empty `--out` folder starts again. It needs no
installation: only the dependencies of pyproject.toml on the path. Full training takes CIFAR-10 from `--cifar10`, or
downloads it.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, load, write
from benchmarks.gpu import Content, Part, fast, promise, right
from benchmarks.train import NETWORKS, usable

COMPILED, EAGER = "lab:trainer.compile=inductor", "lab:trainer.graphs=false"
IMPLEMENTATIONS = ("roof", "floor", "lab", EAGER, COMPILED, "strong", "plain")


def main() -> int:
    """Run the chosen parts; return exit status 1 if there is no GPU, or a check fails or is not finished."""
    options = parser().parse_args()
    if not torch.cuda.is_available():
        print("torch finds no GPU here", file=sys.stderr)
        return 1
    chosen = parts(options)
    if unknown := sorted(set(options.only) - {*chosen, *(name.partition("/")[0] for name in chosen)}):
        print(f"--only: there is no {', '.join(unknown)}; use some of {', '.join(chosen)}", file=sys.stderr)
        return 2
    wanted = {n: part for n, part in chosen.items() if not options.only or {n, n.partition("/")[0]} & {*options.only}}
    return perform(wanted, options.out, time.monotonic() + options.seconds)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    made.add_argument("--only", nargs="+", default=[], metavar="NAME", help="right, fast, promise, or PIECE/PART")
    made.add_argument(
        "--implementations", nargs="+", default=list(IMPLEMENTATIONS), help="for the comparisons of speed"
    )
    made.add_argument("--seconds", type=float, default=float("inf"), help="end before a step that would not fit")
    made.add_argument("--rounds", type=int, default=2)
    made.add_argument("--steps", type=int, default=200, help="mini-batches per epoch")
    made.add_argument("--cifar10", metavar="DIR", help="CIFAR-10 as train/CLASS/* and test/CLASS/*, for full training")
    made.add_argument("--out", type=Path, default=RESULTS / "gpu")
    return made


def parts(options: argparse.Namespace) -> dict[str, Part]:
    """Return all parts by PIECE/PART, in order."""
    names, _ = usable(options.implementations)
    speeds: dict[str, Part] = {
        f"fast/{network}": partial(fast.speed, network, names, options.rounds, options.steps) for network in NETWORKS
    }
    return {
        "right/graphs": right.graphs,
        "right/resume": right.resume,
        "right/checks": right.checks,
        **speeds,
        "fast/kernels": fast.kernels,
        "fast/epochs": fast.epochs,
        "fast/jobs": fast.jobs,
        "promise/too_large": promise.too_large,
        "promise/seeds": promise.seeds,
        "promise/training": partial(promise.training, options.cifar10),
    }


def perform(chosen: Mapping[str, Part], out: Path, end: float) -> int:
    """Run the parts until `end`, on the monotonic clock; write a file for each, and return the exit status."""
    passed = {}
    for name, part in chosen.items():
        content = finished(part, out / f"{name.replace('/', '-')}.json", end)
        passed[name] = decide.passed(content.get("checks", []))
        said = "passed" if passed[name] else "FAILED" if "checks" in content else "not finished"
        print(f"{name}: {said} {content.get('error', '')}", flush=True)
        for verdict in content.get("checks", []):
            print(f"    {'' if verdict['passed'] else 'NOT '}{verdict['what']}: {verdict['value']}", flush=True)
    return 0 if all(passed.values()) else 1


def finished(part: Part, file: Path, end: float) -> Content:
    """Run a part, or what is left of it; stop before a step that would end after `end` if it took as long as the last.

    An error is written like a result, and the part runs again at the next start.
    """
    content: Content = load(file) if file.exists() else {}
    if "checks" in content and "error" not in content:
        return content
    began, last = time.monotonic(), 0.0
    try:
        if began >= end:
            return content
        for made in part(content):
            content = facts("benchmarks.gpu") | made
            write(file, content)
            now = time.monotonic()
            began, last = now, now - began
            if now + last > end and "checks" not in content:
                break
    except Exception as error:  # write it, and go on with the next part
        output = error.output if isinstance(error, subprocess.CalledProcessError) else ""
        content = facts("benchmarks.gpu") | {"error": f"{type(error).__name__}: {error} {output}"[-3000:], "checks": []}
        write(file, content)
    return content


if __name__ == "__main__":
    sys.exit(main())
