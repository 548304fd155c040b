"""Start-up time: `python -m benchmarks.startup` measures the time from a command to its help or the first step."""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write

LAB = [sys.executable, "-m", "resnet_lab"]
ONE_STEP = ["+experiment=cifar10_20", "data=fake", "data.num_images=50000", "trainer.max_epochs=1"]
LIMITS = {"help": 2.0, "first_step": 10.0}  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    options = parser.parse_args()
    content = facts("benchmarks.startup") | report(options.rounds)
    for check in content["checks"]:
        print(f"{check['what']}: {check['value']:.2f} s")
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(rounds: int) -> dict[str, Any]:
    """Measure the seconds in every round, and check their medians; a first start, with cold caches, is left out."""
    help_seconds()
    seconds: dict[str, list[float]] = {"help": [], "first_step": []}
    for _ in range(rounds):
        seconds["help"].append(help_seconds())
        seconds["first_step"].append(first_step_seconds())
    spreads = {name: decide.spread(values) for name, values in seconds.items()}
    what = {"help": "--help", "first_step": "from the command to the first step of cifar10_20"}
    checks = [decide.verdict(what[name], spreads[name]["median"], LIMITS[name], at_least=False) for name in LIMITS]
    return {"seconds": seconds, "spread": spreads, "checks": checks}


def help_seconds() -> float:
    """Measure the time of the whole `--help` command."""
    start = time.perf_counter()
    subprocess.run([*LAB, "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


def first_step_seconds() -> float:
    """Measure the time from the command's start to the end of an epoch of one step, as logged by the run."""
    with tempfile.TemporaryDirectory() as folder:
        one_step = [*ONE_STEP, "trainer.max_batches=1", "data.validation=0", f"output_dir={folder}"]
        start = datetime.now()
        subprocess.run([*LAB, *one_step], check=True, capture_output=True)
        [log] = Path(folder).rglob("run.log")
        return (epoch_logged(log.read_text()) - start).total_seconds()


def epoch_logged(log: str) -> datetime:
    """Return the time at which the first epoch was logged."""
    [line, *_] = [line for line in log.splitlines() if " epoch 1: " in line]
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")


if __name__ == "__main__":
    sys.exit(main())
