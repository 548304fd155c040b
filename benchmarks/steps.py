"""Training steps of several configurations, measured next to one of them, by MACs."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks import decide
from benchmarks.augment import seconds
from resnet_lab.bench.measure import bare_step
from resnet_lab.config.schema import Config
from resnet_lab.tasks.cost import measure


def compared(configs: Mapping[str, Config], reference: str, rounds: int) -> dict[str, Any]:
    """Measure the step of every configuration in each round, each on one mini-batch of random images.

    Returns, by configuration, the MACs of an image, the milliseconds of a step, and the ratio of its time for each
    MAC to that of the reference in the same round; times and ratios with their spread over rounds.
    """
    macs = {name: measure(config).macs for name, config in configs.items()}
    measured: list[dict[str, float]] = []
    with ExitStack() as stack:
        steps = {name: stack.enter_context(bare_step(config))[0] for name, config in configs.items()}
        for step in steps.values():
            step()  # warm-up
        for number in range(rounds):
            measured.append({name: seconds(steps[name]) for name in decide.order([*steps], number)})
    per_mac = [{name: own[name] / macs[name] for name in own} for own in measured]
    return {
        "macs": macs,
        "milliseconds": {name: decide.spread([1000 * own[name] for own in measured]) for name in configs},
        "ratio": {name: decide.spread([own[name] / own[reference] for own in per_mac]) for name in configs},
    }
