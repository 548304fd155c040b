"""The report on 600 groups of 5 seeds: `python -m benchmarks.large_report` measures its time and memory."""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.facts import RESULTS, facts, write
from resnet_lab.rundir.stored_runs import walk

UNITS, FILTERS, SHORTCUTS = range(1, 21), (8, 16, 24, 32, 48, 64), ("none", "projection", "conv", "dropout", "zero_pad")
SEEDS, EPOCHS = 5, 100
OVERRIDES = ("units=n1", "filters=w8", "trainer.max_epochs=1", "name=large")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_report", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "large_report.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        template = trained(Path(folder))
        runs = Path(folder) / "runs"
        for number, (units, filters, shortcut) in enumerate(product(UNITS, FILTERS, SHORTCUTS)):
            for seed in range(SEEDS):
                copied(template, runs / str(number) / f"seed-{seed}", units, filters, shortcut, seed)
        started = time.perf_counter()
        command = [sys.executable, "-m", "resnet_lab.report", str(runs)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        lines = len(process.stdout.readlines())
        _, status, usage = os.wait4(process.pid, 0)
        content = {
            "groups": number + 1,
            "runs": (number + 1) * SEEDS,
            "seconds": time.perf_counter() - started,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_memory": usage.ru_maxrss * 1024,
            "page_bytes": (runs / "report" / "report.html").stat().st_size,
            "lines_on_the_terminal": lines,
            "exit_status": status,
        }
    print(json.dumps(content, indent=2))
    write(options.out, facts("benchmarks.large_report") | content)


def trained(folder: Path) -> Path:
    """Train one run, whose files are then copied with other settings and scores."""
    command = [sys.executable, "-m", "resnet_lab", *OVERRIDES, f"output_dir={folder / 'trained'}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(path for path, is_run in walk(folder) if is_run)


def copied(template: Path, path: Path, units: int, filters: int, shortcut: str, seed: int) -> None:
    """Write a run directory with these settings; scores and curves are made up."""
    path.mkdir(parents=True)
    config = yaml.safe_load((template / "config.yaml").read_text())
    result: dict[str, Any] = copy.deepcopy(json.loads((template / "result.json").read_text()))
    axes = {"units": [units] * 3, "filters": [filters, 2 * filters, 4 * filters], "shortcut": shortcut}
    config["model"] |= axes
    config["seed"] = result["seed"] = seed
    config["trainer"]["max_epochs"] = result["epochs"] = EPOCHS
    result["axes"] |= axes
    size = units * filters**2
    result |= {"params": 100 * size, "macs": 3000 * size, "activations": 50 * units * filters, "depth": 9 * units + 2}
    rng = np.random.default_rng([units, filters, SHORTCUTS.index(shortcut), seed])
    error = 4 + 2 * SHORTCUTS.index(shortcut) + 20 / np.log2(4 + size) + 0.4 * rng.standard_normal()
    for when in ("last", "best"):
        result[when] |= {"epoch": EPOCHS, "val_error": error + 0.2, "test_error": error}
    record = result["history"][0]
    curve = error + 80 * np.exp(-np.arange(1, EPOCHS + 1) / 12)
    result["history"] = [
        record | {"epoch": epoch, "step": 21 * epoch, "train/error": float(value) / 2, "val/error": float(value)}
        for epoch, value in enumerate(curve, 1)
    ]
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "result.json").write_text(json.dumps(result))
    (path / "status.json").write_text((template / "status.json").read_text())


if __name__ == "__main__":
    main()
