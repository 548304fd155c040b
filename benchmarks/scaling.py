"""Scaling: `python -m benchmarks.scaling` measures time per image with more images, and per MAC with more layers."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from benchmarks.worker import ImplementationFailed, measure
from resnet_lab.config.compose import load_config
from resnet_lab.tasks.cost import measure as cost

# Small images, so that work per image dominates: loading, augmentation, counting.
SMALL = ("+experiment=cifar10_20", "data.image_size=8")
IMAGES = (1_000, 4_000, 16_000, 60_000)
BATCH = 125  # divides them
# Depths of one kind of unit, so that a MAC is the same work at each.
DEPTHS = {20: "units=n2", 56: "units=n6", 110: "units=n12", 164: "units=n18"}
MOST = 1.3  # slowest / fastest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="mini-batches per epoch at each depth")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    options = parser.parse_args()
    try:
        content = facts("benchmarks.scaling") | report(options.rounds, options.steps, options.device)
    except ImplementationFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    for check in content["checks"]:
        print(f"{check['what']}: {check['value']:.2f}")
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(rounds: int, steps: int, device: str) -> dict[str, Any]:
    """Measure µs per image by the number of images and ps per MAC by depth, and check that neither changes much."""
    by_images: dict[str, list[float]] = {str(images): [] for images in IMAGES}
    by_depth: dict[str, list[float]] = {str(depth): [] for depth in DEPTHS}
    for number in range(rounds):
        for images in decide.order([*by_images], number):
            small = [*SMALL, f"optim.batch_size={BATCH}"]
            speed = measure("lab", small, int(images) // BATCH, 1, device)
            by_images[images].append(1e6 / speed)
            print(f"{images} images: {by_images[images][-1]:.1f} µs each", flush=True)
        for depth in decide.order([*by_depth], number):
            network = ["+experiment=cifar10_20", DEPTHS[int(depth)]]
            step_macs = 3 * cost(load_config(*network)).macs  # one product forward, two backward
            by_depth[depth].append(1e12 / (measure("lab", network, steps, 1, device) * step_macs))
            print(f"{depth} layers: {by_depth[depth][-1]:.1f} ps per MAC", flush=True)
    spreads = {
        "microseconds_per_image": {name: decide.spread(values) for name, values in by_images.items()},
        "picoseconds_per_mac": {name: decide.spread(values) for name, values in by_depth.items()},
    }
    return spreads | {
        "checks": [
            decide.verdict(
                "time per image, 1,000 to 60,000 images: slowest / fastest",
                unevenness(spreads["microseconds_per_image"]),
                MOST,
                at_least=False,
            ),
            decide.verdict(
                "time per MAC, 20 to 164 layers: slowest / fastest",
                unevenness(spreads["picoseconds_per_mac"]),
                MOST,
                at_least=False,
            ),
        ]
    }


def unevenness(spreads: Mapping[str, Mapping[str, float]]) -> float:
    """Return the largest median over the smallest."""
    medians = [spread["median"] for spread in spreads.values()]
    return max(medians) / min(medians)


if __name__ == "__main__":
    sys.exit(main())
