"""Activation checkpointing: `python -m benchmarks.recompute` measures memory and time of training with and without it.

Each training is a process of its own, whose peak memory the lab records, on one CPU thread and on random images.
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
from resnet_lab.config.enums import Recompute

NETWORK, BATCH_SIZE, SIZE = "imagenet_50", 32, 160
TASK = (
    f"+experiment={NETWORK}",
    "data=fake",
    "data.channels=3",
    f"data.image_size={SIZE}",
    "data.num_images=96",
    "data.validation=0",
    f"optim.batch_size={BATCH_SIZE}",
    "trainer=cpu",
    "trainer.num_threads=1",
    "trainer.max_epochs=2",
    "trainer.max_batches=3",
    "trainer.best_by=train/loss",
    "diagnostics=off",
)


def trained(which: Recompute, task: tuple[str, ...] = TASK) -> dict[str, float]:
    """Return the peak memory in bytes of a process that trains, and the seconds of its last epoch."""
    with tempfile.TemporaryDirectory() as folder:
        settings = (*task, f"trainer.checkpoint_activations={which.name}", f"output_dir={folder}")
        subprocess.run([sys.executable, "-m", "resnet_lab", *settings], check=True, capture_output=True)
        [file] = Path(folder).rglob("result.json")
        result = json.loads(file.read_text())
    return {"memory": result["peak_memory"], "seconds": result["history"][-1]["seconds"]}


def report(rounds: int, task: tuple[str, ...] = TASK) -> dict[str, Any]:
    """Measure all in every round, in turn."""
    names = [which.name for which in Recompute]
    measured: list[dict[str, dict[str, float]]] = []
    for number in range(rounds):
        measured.append({name: trained(Recompute[name], task) for name in decide.order(names, number)})
    return {
        "network": NETWORK,
        "batch_size": BATCH_SIZE,
        "image_size": SIZE,
        "rounds": measured,
        "memory": {name: decide.spread([own[name]["memory"] for own in measured]) for name in names},
        "time": {
            name: decide.spread([own[name]["seconds"] / own["none"]["seconds"] for own in measured]) for name in names
        },
        "checks": [],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recompute", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "recompute.json")
    options = parser.parse_args()
    content = facts("benchmarks.recompute") | report(options.rounds)
    for name, memory in content["memory"].items():
        print(f"{name}: {memory['median'] / 1e9:.2f} GB, {content['time'][name]['median']:.2f} × the time")
    write(options.out, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
