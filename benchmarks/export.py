"""How fast exported networks are, on one CPU thread: `python -m benchmarks.export` writes export-cpu.json.

All ways compute the same probabilities from the same uint8 pixels; each round measures them one after the other. The
clock is the CPU time of the process, which other processes disturb less than the wall time.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.config.compose import load_config
from resnet_lab.data.loader import memory_format
from resnet_lab.tasks.base import task_of
from resnet_lab.use.export import difference
from resnet_lab.use.formats import FORMATS, Function
from resnet_lab.use.parts import PARTS
from resnet_lab.use.trained import Trained

NETWORKS = ("cifar10_20", "cifar10_56")
BATCHES = (1, 64)
EAGER = "the lab"
MOST = 1e-5  # difference of a probability


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement, at least")
    parser.add_argument("--out", type=Path, default=RESULTS / "export-cpu.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks, checks = {}, []
    for network in options.networks:
        networks[network], verdicts = measured(network, options.rounds, options.seconds)
        checks += verdicts
    write(options.out, facts("benchmarks.export") | {"networks": networks, "checks": checks})


def measured(network: str, rounds: int, seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return images/s and ratios by batch size, and the checks of what was computed."""
    trained = untrained(network)
    ways: dict[str, Function] = {EAGER: lambda pixels: trained.final(pixels).numpy()}
    checks, found = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("onnx", "pt2"):
            file = Path(folder, name)
            file.write_bytes(FORMATS[name].content(trained, {}, PARTS["whole"]))
            ways[name] = FORMATS[name].load(file)
            largest = difference(ways[name], trained, random_pixels(trained, 8))
            checks.append(decide.verdict(f"{network}: largest difference of {name}", largest, MOST, at_least=False))
    for batch in BATCHES:
        pixels = random_pixels(trained, batch)
        speeds = [
            {name: images_per_second(ways[name], pixels, seconds) for name in decide.order(list(ways), number)}
            for number in range(-1, rounds)
        ][1:]  # the first round warms up
        found[str(batch)] = {
            "images_per_second": {name: decide.spread([one[name] for one in speeds]) for name in ways},
            "ratios": {
                name: decide.spread([one[name] / one[EAGER] for one in speeds]) for name in ways if name != EAGER
            },
        }
        print(network, batch, {name: f"{ratio['median']:.2f}" for name, ratio in found[str(batch)]["ratios"].items()})
    return found, checks


def untrained(network: str) -> Trained:
    """Build the network of an experiment, with initial weights, and the statistics of random images in BatchNorm."""
    config = load_config(f"+experiment={network}", "data=fake", "trainer=cpu")
    data = replace(config.data, mean=[0.5] * config.data.channels, std=[0.25] * config.data.channels)
    config = replace(config, data=data)
    net = task_of(config).network().to(memory_format=memory_format(config))  # type: ignore[call-overload]
    trained = Trained(config, net, tuple(map(str, range(config.data.num_classes or 0))))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # one mini-batch is enough
    trained.outputs(random_pixels(trained, 64))
    net.eval()
    return trained


def random_pixels(trained: Trained, count: int) -> npt.NDArray[np.uint8]:
    shape = (count, *trained.config.data.image_shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def images_per_second(function: Function, pixels: npt.NDArray[np.uint8], seconds: float) -> float:
    """Measure the CPU time of one call or more, for at least `seconds`."""
    calls, start = 0, time.process_time()
    while not calls or time.process_time() - start < seconds:
        function(pixels)
        calls += 1
    return calls * len(pixels) / (time.process_time() - start)


if __name__ == "__main__":
    main()
