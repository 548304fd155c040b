"""Whole trainings with either kind of kernels: `python -m benchmarks.trained RUNS --fashion-mnist FOLDER`.

RUNS keeps the run directories; the same command continues what was interrupted. The lab's own sweeps train five seeds
of each, and its report compares their test errors.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write

SEEDS = 5
KINDS = ("torch", "native")
DIGITS, FASHION_MNIST = "digits", "fashion_mnist"
SETTINGS = {
    DIGITS: (),
    FASHION_MNIST: (
        "+experiment=cifar10_v1_20",
        "data=fashion_mnist",
        "data.num_train=10000",
        "trainer.max_epochs=3",
        "trainer.predictions_mb=0",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trained", description=__doc__)
    parser.add_argument("runs", type=Path, metavar="RUNS")
    parser.add_argument("--fashion-mnist", type=Path, required=True, metavar="FOLDER", help="with its four files")
    parser.add_argument("--out", type=Path, default=RESULTS / "trained.json")
    options = parser.parse_args()
    own = {DIGITS: (), FASHION_MNIST: (f"data.root={options.fashion_mnist}",)}
    settings = {name: (*SETTINGS[name], *own[name]) for name in SETTINGS}
    content = facts("benchmarks.trained") | report(options.runs, settings, SEEDS)
    content["command"] = "python -m benchmarks.trained RUNS --fashion-mnist FOLDER"
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(runs: Path, settings: dict[str, tuple[str, ...]], seeds: int) -> dict[str, Any]:
    """Train what is missing, and compare: test errors by kind of kernels, and the difference that the report states."""
    sets, checks = {}, []
    for name, own in settings.items():
        folder = runs / name
        for kind in KINDS:
            sweep = ["-m", f"name={kind}", f"trainer.kernels={kind}", f"seed=range({seeds})", f"output_dir={folder}"]
            subprocess.run([sys.executable, "-m", "resnet_lab", *sweep, "trainer=cpu", *own], check=True)
        sets[name] = found = compared(folder)
        told = float(found["difference"]["resolved"])
        checks.append(decide.verdict(f"{name}: kinds of kernels told from each other", told, 0, at_least=False))
    return {"seeds": seeds, "sets": sets, "checks": checks}


def compared(folder: Path) -> dict[str, Any]:
    """Return the report's comparison of the kinds by their test error: errors of each, and the difference."""
    with tempfile.TemporaryDirectory() as out:
        question = ["--by", "name", "--by-test", "--baseline", f"name={KINDS[0]}", "--out", out]
        subprocess.run([sys.executable, "-m", "resnet_lab.report", str(folder), *question], check=True)
        [comparison] = json.loads(Path(out, "report.json").read_text())["comparisons"]
    [difference] = comparison["differences"]
    return {
        "title": comparison["title"],
        "errors": {group["group"]: group["errors"]["test_last"] for group in comparison["groups"]},
        "difference": difference,
    }


if __name__ == "__main__":
    sys.exit(main())
