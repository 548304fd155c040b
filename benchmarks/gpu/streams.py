"""Training steps of several seeds in one process; on a GPU, each seed has a stream, a graph and its memory of its own.

`python -m benchmarks.gpu.streams STEPS SEED,SEED… OVERRIDES…` waits like a job of `resnet-lab bench --jobs` and prints
`images`, `seconds`, and the mean loss of each seed as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from resnet_lab.bench import roofs
from resnet_lab.bench.measure import bare_step
from resnet_lab.bench.parallel import when_told
from resnet_lab.config.compose import load_config
from resnet_lab.training.graphs import WARM_UP
from resnet_lab.training.step import Totals


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.streams", description=__doc__)
    parser.add_argument("steps", type=int)
    parser.add_argument("seeds", type=lambda words: [int(word) for word in words.split(",")])
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    print(json.dumps(trained(options.seeds, options.steps, options.overrides, when_told)))


def command(seeds: Sequence[int], steps: int, overrides: Sequence[str]) -> list[str]:
    """Return the command line of a process that trains these seeds."""
    return [sys.executable, "-m", __name__, str(steps), ",".join(map(str, seeds)), *overrides]


def trained(
    seeds: Sequence[int], steps: int, overrides: Sequence[str], begin: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Take `steps` steps of every seed, one of each in turn, after warming up and calling `begin`."""
    with ExitStack() as stack:
        trainings = [stack.enter_context(training(seed, overrides)) for seed in seeds]
        totals = [total for _, total in trainings]
        device = totals[0].loss.device
        for step, _ in trainings:
            roofs.wait(device)  # while one records its graph, nothing else may run
            for _ in range(WARM_UP + 1):
                step()
        roofs.wait(device)
        begin()
        start = time.perf_counter()
        for _ in range(steps):
            for step, _ in trainings:
                step()
        roofs.wait(device)
        seconds = time.perf_counter() - start
        images = steps * len(seeds) * load_config(*overrides).optim.batch_size
        return {"images": images, "seconds": seconds, "losses": [total.means()[0] for total in totals]}


@contextmanager
def training(seed: int, overrides: Sequence[str]) -> Iterator[tuple[Callable[[], None], Totals]]:
    """Yield the step of a seed, on its own stream if there is a GPU, and what it adds its loss to."""
    torch.manual_seed(seed)
    with bare_step(load_config(*overrides, f"seed={seed}")) as (step, totals):
        if totals.loss.device.type == "cpu":
            yield step, totals
            return
        stream = torch.cuda.Stream()

        def on_stream() -> None:
            with torch.cuda.stream(stream):
                step()

        yield on_stream, totals


if __name__ == "__main__":
    main()
