"""The lab compared with other implementations: `python -m benchmarks.train`; README.md has the protocol.

First the checks, then rounds in which each trains once, in a fresh process; ratios are computed within rounds.
"""

import argparse
import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import decide
from benchmarks.checks import all_checks
from benchmarks.facts import RESULTS, facts, write
from benchmarks.implementations import timm
from benchmarks.worker import ImplementationFailed, measure
from resnet_lab.training.log import show_on_terminal

NETWORKS = ("cifar10_20", "cifar10_56", "cifar10_basic_56", "cifar10_164")
IMPLEMENTATIONS = ("roof", "floor", "lab", "plain", "template", "strong", "timm")


def main() -> int:
    """Run the comparison; return exit status 1 if a check or an implementation fails, or the lab is too slow."""
    options = parser().parse_args()
    device = options.device.replace("auto", "cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        print("torch finds no GPU here", file=sys.stderr)
        return 1
    try:
        if options.self_check:
            return self_check(options.networks[0], options.rounds, options.steps, options.epochs, device)
        names, left_out = usable(options.implementations)
        for why in left_out:
            print(why)
        checks = passed_checks(names, device)
        protocol = {name: getattr(options, name) for name in ("rounds", "steps", "epochs")}
        content = facts("benchmarks.train") | {"device": device, "protocol": protocol, "left_out": left_out}
        content |= {"checks": checks, "networks": {}}
        for network in options.networks:
            content["networks"][network] = compare(
                network, names, options.rounds, options.steps, options.epochs, device
            )
    except ImplementationFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    write(options.out or RESULTS / f"train-{device}.json", content)
    return 0 if all(decide.passed(network["checks"]) for network in content["networks"].values()) else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__)
    made.add_argument("--networks", nargs="+", default=["cifar10_20"], choices=NETWORKS)
    known = f"some of {', '.join(IMPLEMENTATIONS)}, or lab:SETTING=VALUE"
    made.add_argument("--implementations", nargs="+", default=list(IMPLEMENTATIONS), help=known)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--steps", type=int, default=25, help="mini-batches per epoch")
    made.add_argument("--epochs", type=int, default=2, help="measured epochs, after a warm-up epoch")
    made.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    made.add_argument("--out", type=Path, help="default: benchmarks/results/train-DEVICE.json")
    made.add_argument("--self-check", action="store_true", help="check that a lab that wastes a third is detected")
    return made


def usable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the implementations that can be used here, and why others cannot."""
    why = timm.missing() if "timm" in names else ""
    return [name for name in names if not (why and name == "timm")], [why] if why else []


def passed_checks(names: Sequence[str], device: str) -> list[dict[str, Any]]:
    """Run all checks. Raises ImplementationFailed when one fails: no number counts then."""
    show_on_terminal(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):  # some print while they train
        checks = all_checks(names, torch.device(device))
    failed = [check for check in checks if not check["passed"]]
    if failed:
        raise ImplementationFailed("\n".join(f"check failed: {check['what']} ({check['value']})" for check in failed))
    print(f"{len(checks)} checks passed")
    return checks


def compare(network: str, names: Sequence[str], rounds: int, steps: int, epochs: int, device: str) -> dict[str, Any]:
    """Measure images/s of all in all rounds, the ratios of the lab to the others, and whether these suffice."""
    measured: list[dict[str, float]] = []
    for _ in rounds_measured(measured, network, names, rounds, steps, epochs, device):
        pass
    return comparison(network, device, measured)


def rounds_measured(
    measured: list[dict[str, float]],
    network: str,
    names: Sequence[str],
    rounds: int,
    steps: int,
    epochs: int,
    device: str,
) -> Iterator[None]:
    """Measure what the rounds of `measured` lack, add it there, and yield after each measurement."""
    names = [name for name in names if name != "timm" or "basic" not in network]  # timm has bottleneck units only
    for number in range(rounds):
        measured += [{}] if number == len(measured) else []
        for name in decide.order(names, number):
            if name not in measured[number]:
                speed = measured[number][name] = measure(name, [f"+experiment={network}"], steps, epochs, device)
                print(f"{network}, round {number + 1}: {name} {speed:,.0f} images/s", flush=True)
                yield


def comparison(network: str, device: str, measured: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the speeds in finished rounds, the ratios of the lab to the others, and whether these suffice."""
    compared = decide.ratios(measured)
    checks = decide.verdicts(compared, decide.limits(network, device))
    for other, ratio in compared.items():
        print(f"{network}: lab/{other} {ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})")
    speeds_of = {name: decide.spread([speeds[name] for speeds in measured]) for name in measured[0]}
    return {"rounds": list(measured), "images_per_second": speeds_of, "ratios": compared, "checks": checks}


def self_check(network: str, rounds: int, steps: int, epochs: int, device: str) -> int:
    """Return exit status 0 if, in the same rounds, the lab passes the check against the roof and a slowed lab fails."""
    measured = compare(network, ["roof", "lab", "slowed"], rounds, steps, epochs, device)["rounds"]
    roof = {"roof": decide.limits(network, device)["roof"]}
    lab, slowed = (decide.passed(decide.verdicts(decide.ratios(measured, name), roof)) for name in ("lab", "slowed"))
    print(f"the lab {'passes' if lab else 'FAILS'} the check, the slowed lab {'PASSES' if slowed else 'fails'} it")
    return 0 if lab and not slowed else 1


if __name__ == "__main__":
    sys.exit(main())
