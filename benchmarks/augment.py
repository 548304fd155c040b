"""Augmentations: `python -m benchmarks.augment` measures the speed of each, and its share of a training step."""

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

NETWORKS = {  # of images and of series, with the length of GunPoint's
    2: ["+experiment=cifar10_20"],
    1: [
        *("+experiment=ucr_resnet", "data=fake", "data.dims=1", "data.channels=1", "data.image_size=150"),
        *("data.num_classes=2", "data.num_images=640"),
    ],
}
MOST = 0.15  # of a training step
SLOWEST = {"erasing": ["augment.erasing.value=noise"]}  # of the values that an option can have


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augment", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "augmentations.json")
    options = parser.parse_args()
    content = facts("benchmarks.augment") | report(options.rounds)
    for measured in content["networks"].values():
        for name, share in measured["share"].items():
            print(f"{name}: {measured['per_second'][name]['median']:,.0f}/s, {share['median']:.1%} of a step")
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(rounds: int) -> dict[str, Any]:
    """Measure every augmentation next to a training step of its network, and check the shares."""
    networks, checks = {}, []
    for dims, network in NETWORKS.items():
        name = network[0].removeprefix("+experiment=")
        networks[name] = measured = compared(network, choices(dims), rounds)
        slowest, share = max(measured["share"].items(), key=lambda item: item[1]["median"])
        checks.append(decide.verdict(f"share of a step of {name}, {slowest}", share["median"], MOST, at_least=False))
    return {"rounds": rounds, "networks": networks, "checks": checks}


def choices(dims: int) -> list[str]:
    """Return the options for series (1) or images (2)."""
    own = [
        name for name in options("augment") if name in AUGMENTATIONS and AUGMENTATIONS.info(name).dims in (None, dims)
    ]
    return [*own, "crop,reflect"]


def compared(network: list[str], names: list[str], rounds: int) -> dict[str, Any]:
    """Measure augmentations next to a training step in each round, on one mini-batch."""
    config = load_config(*network, "trainer=cpu", "trainer.best_by=train/loss", "trainer.num_threads=1")
    measured: list[dict[str, float]] = []
    with bare_step(config) as (step, _):
        actions = {"step": step} | {name: augmenting(network, name) for name in names}
        for action in actions.values():
            action()  # warm-up
        for number in range(rounds):
            measured.append({name: seconds(actions[name]) for name in decide.order([*actions], number)})
    return {
        "batch_size": config.optim.batch_size,
        "per_second": {
            name: decide.spread([config.optim.batch_size / own[name] for own in measured]) for name in actions
        },
        "share": {name: decide.spread([own[name] / own["step"] for own in measured]) for name in names},
    }


def augmenting(network: list[str], choice: str) -> Callable[[], object]:
    """Return what draws and applies an augmentation, alone, to a mini-batch of random inputs of the network."""
    config = load_config(*network, f"augment=[none,{choice}]", *SLOWEST.get(choice, []))
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
