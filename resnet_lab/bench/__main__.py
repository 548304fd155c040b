"""`python -m resnet_lab.bench OVERRIDES… [--jobs 1,2,4]`: how fast a configuration trains, and how fast it could."""

import argparse
import json
import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from rich.table import Table

from resnet_lab.bench import roofs
from resnet_lab.bench.measure import FEWEST_STEPS, Speed, speed, trained
from resnet_lab.bench.parallel import together, when_told
from resnet_lab.command import run_command
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import load_config
from resnet_lab.config.schema import Config
from resnet_lab.rundir.files import write_json
from resnet_lab.sweep.mps import CONTROL
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.cost import measure
from resnet_lab.text import plain_console
from resnet_lab.training.log import console, show_on_terminal
from resnet_lab.training.result import git_commit, versions
from resnet_lab.training.runtime import Runtime, physical_cores

WIDTH = 120  # characters, where the output is not a terminal


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, write JSON. Raises ConfigError when a setting is wrong, RunFailed when a job fails."""
    options, overrides = parser().parse_known_args(arguments)
    show_on_terminal(logging.WARNING)
    config = load_config(*overrides)
    if options.worker:
        print(json.dumps(trained(config, options.worker, when_told)[0]))
        return 0
    jobs = _checked(options)
    with console.status("measuring", refresh_per_second=2):
        facts = report(config, options.seconds) | {"command": " ".join(["python -m resnet_lab.bench", *arguments])}
    counts = track(jobs, "several at once", console=console, transient=True, disable=not console.is_terminal)
    # The same work for each count, whatever a step takes beside others: jobs of other lengths would end alone.
    steps = facts["speed"]["steps"]
    facts["jobs"] = [asdict(together(overrides, n, max(FEWEST_STEPS, steps // n), options.mps)) for n in counts]
    plain_console(WIDTH).print(table(facts))
    if options.json:
        write_json(options.json, facts)
    return 0


def _checked(options: argparse.Namespace) -> list[int]:
    """How many jobs at once are to be measured. Raises ConfigError when an option is wrong, before any work."""
    if not 0 < options.seconds < math.inf:
        raise ConfigError(f"--seconds must be a number above 0, got {options.seconds:g}")
    counts = [] if options.jobs is None else options.jobs.split(",")
    if not all(count.isdecimal() and int(count) > 0 for count in counts):
        raise ConfigError(f"--jobs must be whole numbers above 0, as in 1,2,4, got {options.jobs}")
    if options.mps and not shutil.which(CONTROL):
        raise ConfigError(f"--mps: there is no {CONTROL} here, which starts NVIDIA's Multi-Process Service")
    if options.json and not options.json.resolve().parent.is_dir():
        raise ConfigError(f"--json: there is no folder {options.json.resolve().parent}")
    return [int(count) for count in counts]


def parser() -> argparse.ArgumentParser:
    """What the command takes, besides overrides."""
    made = argparse.ArgumentParser(prog="python -m resnet_lab.bench", usage="%(prog)s OVERRIDES… [options]")
    made.description = "How fast a configuration trains on random images, against what the machine could do."
    made.add_argument("--seconds", type=float, default=20, help="about how long to train for one measurement")
    made.add_argument("--jobs", metavar="1,2,4", help="measure as many trainings at once, too")
    made.add_argument("--mps", action="store_true", help="jobs share a GPU by NVIDIA's Multi-Process Service")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    made.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return made


def report(config: Config, seconds: float) -> dict[str, Any]:
    """Speed, and the shares of both roofs that it reaches."""
    cost = measure(config)
    runtime = Runtime.resolve(config, cost.macs)
    reached = speed(config, seconds)
    device = torch.device("cuda" if runtime.accelerator == "gpu" else "cpu")
    dtype = {"bf16-mixed": torch.bfloat16, "64-true": torch.float64}.get(runtime.precision, torch.float32)
    with runtime.set_up():
        peaks = {"macs": roofs.macs_per_second(device, dtype), "bytes": roofs.bytes_per_second(device)}
    net = task_of(config).network()
    needs = {
        "macs": 3 * cost.macs * config.optim.batch_size,  # forward, and two products for every one backward
        "bytes": roofs.step_bytes(net, config.data.image_shape, config.optim.batch_size, dtype.itemsize),
    }
    return {
        "network": cost.totals() | {"name": config.name, "batch_size": config.optim.batch_size},
        "machine": {"name": runtime.name, "cores": physical_cores(), "how": runtime.reasons, **versions()},
        "git_commit": git_commit(),
        "speed": asdict(reached) | {"host_share": reached.host_share},
        "roofs": {
            what: {"per_second": peaks[what], "per_step": needs[what], "share": _share(reached, needs, peaks, what)}
            for what in peaks
        },
    }


def table(facts: dict[str, Any]) -> Table:
    """The numbers for a person."""
    made = Table(show_header=False, box=None, pad_edge=False)
    reached, network = facts["speed"], facts["network"]
    made.add_row("network", f"{network['name']}, depth {network['depth']}, batches of {network['batch_size']}")
    made.add_row("machine", f"{facts['machine']['name']}: {facts['machine']['how']}")
    made.add_row("training", f"{reached['images_per_second']:,.0f} images/s, {reached['step_ms']:.2f} ms a step")
    made.add_row("the step alone", f"{reached['bare_ms']:.2f} ms, so that the host takes {reached['host_share']:.1%}")
    made.add_row("peak memory", f"{reached['peak_memory'] / 2**20:,.0f} MiB")
    for name, unit in (("macs", "MAC"), ("bytes", "B")):
        roof = facts["roofs"][name]
        limit = f"{roof['per_second'] / 1e9:,.0f} G{unit}/s"
        made.add_row(f"roof of {name}", f"{roof['share']:.1%} of {limit}, {roof['per_step'] / 1e9:,.2f} G{unit} a step")
    for job in facts["jobs"]:
        gain = f"{job['images_per_second'] / facts['jobs'][0]['images_per_second']:.2f} × the first line"
        made.add_row(f"{job['jobs']} at once", f"{job['images_per_second']:,.0f} images/s together, {gain}")
    return made


def _share(reached: Speed, needs: dict[str, int], peaks: dict[str, float], what: str) -> float:
    return needs[what] / peaks[what] / (reached.step_ms / 1000)


if __name__ == "__main__":
    run_command(main)
