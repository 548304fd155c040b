"""Own kernels: `python -m benchmarks.kernels` measures training steps with them next to steps with torch's."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from benchmarks.steps import compared
from resnet_lab.bench.measure import native_share
from resnet_lab.config.compose import load_config
from resnet_lab.training.runtime import physical_cores

# How many times as fast a step has to be on one thread.
LEAST = {
    "cifar10_v1_20": 1.4,
    "cifar10_basic_56": 1.4,
    "cifar10_20": 1.15,
    "cifar10_56": 1.15,
    "cifar10_164": 1.15,
}
DIGITS = "digits"  # the network of the defaults, too small for the kernels to pay off
NETWORKS = (*LEAST, DIGITS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--out", type=Path, default=RESULTS / "kernels.json")
    options = parser.parse_args()
    content = facts("benchmarks.kernels") | report(options.rounds, options.networks)
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(rounds: int, networks: Sequence[str], fixed: Sequence[str] = ()) -> dict[str, Any]:
    """Measure the step of each network with both kinds of kernels in every round, on one thread and on all cores."""
    measured: dict[str, dict[str, Any]] = {}
    for network in networks:
        measured[network] = {}
        for threads in dict.fromkeys((1, physical_cores())):
            measured[network][f"{threads}"] = found = faster(network, threads, rounds, fixed)
            print(f"{network}, threads: {threads}, {found['ratio']['median']:.2f} × torch's speed", flush=True)
    checks = [
        decide.verdict(f"{network}: {least:g} × torch's speed, on one thread", own["ratio"]["median"], least)
        for network, least in LEAST.items()
        if network in networks and (own := measured[network]["1"])
    ]
    return {"rounds": rounds, "networks": measured, "checks": checks}


def faster(network: str, threads: int, rounds: int, fixed: Sequence[str]) -> dict[str, Any]:
    """Return the milliseconds of a step with each kind of kernels, how many times as fast the own ones make it, and
    their share of such a step."""
    experiment = [] if network == DIGITS else [f"+experiment={network}"]
    settings = (*experiment, "trainer=cpu", f"trainer.num_threads={threads}", *fixed)
    configs = {kind: load_config(*settings, f"trainer.kernels={kind}") for kind in ("torch", "native")}
    steps = compared(configs, "native", rounds)
    return {
        "milliseconds": steps["milliseconds"],
        "ratio": steps["ratio"]["torch"],
        "native_share": native_share(configs["native"]),
    }


if __name__ == "__main__":
    sys.exit(main())
