"""Autoencoders: `python -m benchmarks.reconstruction` measures their training steps next to a classifier's."""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from benchmarks.steps import compared
from resnet_lab.config.compose import load_config

NETWORK = "fashion_mnist_autoencoder_28"
CLASSIFIER = "classifier"
STEPS = {
    CLASSIFIER: ["task=classification"],  # the same encoder
    "decoder=plain": ["decoder=plain"],
    **{f"upsample={name}": [f"upsample={name}"] for name in ("nearest", "bilinear", "transposed", "pixel_shuffle")},
    "reconstruction.loss=ssim": ["reconstruction.loss=ssim"],
    "task=vae": ["task=vae"],
}
MOST = 1.6  # times the classifier's time for each MAC


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconstruction", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "reconstruction.json")
    options = parser.parse_args()
    content = facts("benchmarks.reconstruction") | report(options.rounds)
    for name, ratio in content["ratio"].items():
        print(
            f"{name}: {content['macs'][name] / 1e6:.1f} M MACs, {ratio['median']:.2f} × the classifier's time per MAC"
        )
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(rounds: int) -> dict[str, Any]:
    """Measure every step in each round, on one mini-batch of random images and one thread."""
    configs = {
        name: load_config(f"+experiment={NETWORK}", "trainer=cpu", "trainer.num_threads=1", *changes)
        for name, changes in STEPS.items()
    }
    content = compared(configs, CLASSIFIER, rounds)
    nearest = content["ratio"]["upsample=nearest"]
    check = decide.verdict("upsample=nearest, time per MAC", nearest["median"], MOST, at_least=False)
    return {"network": NETWORK, "rounds": rounds, **content, "checks": [check]}


if __name__ == "__main__":
    sys.exit(main())
