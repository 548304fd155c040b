"""Where the time of a training step goes, on one CPU thread: `python -m benchmarks.profiles` writes profile-cpu.json.

On a GPU, `python -m benchmarks.gpu --only fast/kernels` measures the same.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.bench.profile import HOST, profile
from resnet_lab.config.compose import load_config

NETWORKS = ("cifar10_v1_20", "cifar10_20", "cifar10_56", "cifar10_164")
# Threads wait for each other whenever another process runs on a core, which distorts the shares.
ON_ONE_THREAD = ("trainer=cpu", "trainer.num_threads=1")
LEAST_BUSY = 0.9  # share of a step in which operations run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seconds", type=float, default=20, help="approximate training time for each network")
    parser.add_argument("--out", type=Path, default=RESULTS / "profile-cpu.json")
    options = parser.parse_args()
    networks = {}
    for network in options.networks:
        networks[network] = profiled(network, options.seconds, *ON_ONE_THREAD)
        print(f"{network}: {networks[network]['step_ms']:.0f} ms per step", flush=True)
    write(options.out, facts("benchmarks.profiles") | {"networks": networks, "checks": checks(networks)})


def profiled(network: str, seconds: float, *overrides: str) -> dict[str, Any]:
    """Profile the training step of an experiment on random images."""
    return profile(load_config(f"+experiment={network}", "data=fake", *overrides), seconds)


def checks(networks: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check that the host leaves most of a step to operations."""
    what = f"operations run for at least {LEAST_BUSY:g} of a step of {{}}"
    return [
        decide.verdict(what.format(name), 1 - found["kinds"][HOST]["share"], LEAST_BUSY)
        for name, found in networks.items()
    ]


if __name__ == "__main__":
    main()
