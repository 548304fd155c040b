"""`python -m benchmarks.gpu`: all checks and measurements that need a GPU, each written to a JSON file.

It runs in pieces of minutes: `--only` names parts or pieces, `--seconds` ends before a step that would not fit. What is
finished is not repeated, and what is not continues where it stopped; an empty `--out` folder starts again. The summary
at the end is that of all files, also of earlier starts. It needs no
installation: only the dependencies of pyproject.toml on the path. Full training takes CIFAR-10 from `--cifar10`, or
downloads it.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import torch

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, load, write
from benchmarks.gpu import Content, Part, fast, packing, promise, right
from benchmarks.train import NETWORKS, usable

COMPILED, EAGER = "lab:trainer.compile=inductor", "lab:trainer.graphs=false"
PASSED, FAILED = "passed", "FAILED"
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
    status = perform(wanted, options.out, time.monotonic() + options.seconds)
    print(*["", *(f"{name}: {state(content)}" for name, content in written(chosen, options.out).items())], sep="\n")
    return status


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    made.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="right, fast, packing, promise, or PIECE/PART"
    )
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
    packed: dict[str, Part] = {
        f"packing/{network}": partial(packing.packed, [f"+experiment={network}", *packing.FAKE], options.rounds)
        for network in packing.NETWORKS
    }
    return {
        "right/graphs": right.graphs,
        "right/resume": right.resume,
        "right/checks": right.checks,
        **speeds,
        "fast/kernels": fast.kernels,
        "fast/epochs": fast.epochs,
        "fast/jobs": fast.jobs,
        **packed,
        "promise/too_large": promise.too_large,
        "promise/seeds": promise.seeds,
        "promise/training": partial(promise.training, options.cifar10),
    }


def perform(chosen: Mapping[str, Part], out: Path, end: float) -> int:
    """Run the parts until `end`, on the monotonic clock; write a file for each, and return the exit status."""
    longest = 0.0
    for name, part in chosen.items():
        [content] = written([name], out).values()
        if not done(content):
            content = finished(part, file_of(name, out), end, longest)
            longest = content.get("longest_step", longest)
        print(f"{name}: {state(content)} {content.get('error', '')}", flush=True)
        for verdict in content.get("checks", []):
            print(f"    {'' if verdict['passed'] else 'NOT '}{verdict['what']}: {verdict['value']}", flush=True)
    return 0 if all(state(content) == PASSED for content in written(chosen, out).values()) else 1


def finished(part: Part, file: Path, end: float, longest: float = 0.0) -> Content:
    """Run a part, or what is left of it; stop before a step that would end after `end`, if it took as long as any yet.

    Until a part has run, `longest` is the seconds of the longest step of another. An error is written with what was
    measured before it, and the part continues from there at the next start.
    """
    content: Content = load(file) if file.exists() else {}
    began = time.monotonic()
    if began + content.get("longest_step", longest) > end:
        return content
    longest = content.get("longest_step", 0.0)
    try:
        for made in part(content):
            now = time.monotonic()
            began, longest = now, max(longest, now - began)
            content = facts("benchmarks.gpu") | made | {"longest_step": longest}
            write(file, content)
            if time.monotonic() + longest > end and not done(content):
                break
    except Exception as error:  # write it, and go on with the next part
        output = error.output if isinstance(error, subprocess.CalledProcessError) else ""
        message = f"{type(error).__name__}: {error} {output}"[-3000:]
        content = content | facts("benchmarks.gpu") | {"error": message, "checks": []}
        write(file, content)
    return content


def done(content: Content) -> bool:
    return "checks" in content and "error" not in content


def state(content: Content) -> str:
    """Describe how far a part is, by what it has written."""
    if not content:
        return "not started"
    if "error" in content:
        return FAILED
    if "checks" not in content:
        return "not finished"
    return PASSED if decide.passed(content["checks"]) else FAILED


def written(names: Iterable[str], out: Path) -> dict[str, Content]:
    """Read what the parts have written, also at earlier starts."""
    return {name: load(file_of(name, out)) if file_of(name, out).exists() else {} for name in names}


def file_of(name: str, out: Path) -> Path:
    return out / f"{name.replace('/', '-')}.json"


if __name__ == "__main__":
    sys.exit(main())
