"""Augmentations: `python -m benchmarks.augment` measures the images a second of each, and its share of a step."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.bench.measure import bare_step
from resnet_lab.config.compose import load_config
from resnet_lab.config.groups import options
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.data.augment import active_augmentations, augmented
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import memory_format

NETWORK = "cifar10_20"
MOST = 0.15  # of a training step
CHOICES = [*(name for name in options("augment") if name in AUGMENTATIONS), "crop,reflect"]
SLOWEST = {"erasing": ["augment.erasing.value=noise"]}  # of the values that an option can have


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augment", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "augmentations.json")
    options = parser.parse_args()
    content = facts("benchmarks.augment") | report(options.rounds)
    for name, share in content["share"].items():
        speed = content["images_per_second"][name]["median"]
        print(f"{name}: {speed:,.0f} images/s, {share['median']:.1%} of a step")
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(rounds: int) -> dict[str, Any]:
    """Measure every augmentation next to a training step in each round, on one mini-batch, and check the shares."""
    config = load_config(f"+experiment={NETWORK}", "trainer=cpu", "trainer.num_threads=1")
    measured: list[dict[str, float]] = []
    with bare_step(config) as (step, _):
        actions = {"step": step} | {name: augmenting(name) for name in CHOICES}
        for action in actions.values():
            action()  # warm-up
        for number in range(rounds):
            measured.append({name: seconds(actions[name]) for name in decide.order([*actions], number)})
    shares = {name: decide.spread([own[name] / own["step"] for own in measured]) for name in CHOICES}
    speeds = {name: decide.spread([config.optim.batch_size / own[name] for own in measured]) for name in actions}
    slowest = max(CHOICES, key=lambda name: shares[name]["median"])
    check = decide.verdict(f"share of a step of {NETWORK}, {slowest}", shares[slowest]["median"], MOST, at_least=False)
    return {"network": NETWORK, "rounds": rounds, "images_per_second": speeds, "share": shares, "checks": [check]}


def augmenting(choice: str) -> Callable[[], object]:
    """Return what draws and applies an augmentation, alone, to a mini-batch of random images of the network's shape."""
    config = load_config(f"+experiment={NETWORK}", f"augment=[none,{choice}]", *SLOWEST.get(choice, []))
    channels = config.data.channels
    [augmentation] = active_augmentations(config, Normalisation((0.5,) * channels, (0.25,) * channels))
    size, rng = config.optim.batch_size, np.random.default_rng(0)
    images = torch.randn(size, *config.data.image_shape).contiguous(memory_format=memory_format(config))
    labels = torch.arange(size) % config.model.num_classes
    return lambda: augmented(augmentation, images, labels, list(augmentation.draw(rng, size)), size)


def seconds(action: Callable[[], object], repetitions: int = 3) -> float:
    """Return the median time of an action."""
    taken = []
    for _ in range(repetitions):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
