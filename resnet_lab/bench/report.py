"""The results of a benchmark: speed, and its share of the machine's limits."""

from dataclasses import asdict
from typing import Any

import torch
from rich.table import Table

from resnet_lab.bench import roofs
from resnet_lab.bench.measure import speed
from resnet_lab.config.schema import Config
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.cost import measure
from resnet_lab.training.result import git_commit, versions
from resnet_lab.training.runtime import Runtime, physical_cores


def report(config: Config, seconds: float) -> dict[str, Any]:
    """Measure the speed, and its share of both limits: arithmetic and memory traffic."""
    cost = measure(config)
    runtime = Runtime.resolve(config, cost.macs)
    reached = speed(config, seconds)
    device = torch.device("cuda" if runtime.accelerator == "gpu" else "cpu")
    dtype = {"bf16-mixed": torch.bfloat16, "64-true": torch.float64}.get(runtime.precision, torch.float32)
    with runtime.set_up():
        peaks = {"macs": roofs.macs_per_second(device, dtype), "bytes": roofs.bytes_per_second(device)}
    net, seconds_per_step = task_of(config).network(), reached.step_ms / 1000
    needs = {
        "macs": 3 * cost.macs * config.optim.batch_size,  # one product forward, two backward
        "bytes": roofs.step_bytes(net, config.data.image_shape, config.optim.batch_size, dtype.itemsize),
    }
    return subject(config) | {
        "speed": asdict(reached) | {"host_share": reached.host_share},
        "roofs": {
            what: {"per_second": peak, "per_step": needs[what], "share": needs[what] / peak / seconds_per_step}
            for what, peak in peaks.items()
        },
    }


def subject(config: Config) -> dict[str, Any]:
    """Describe what is measured: network, machine and version."""
    cost = measure(config)
    runtime = Runtime.resolve(config, cost.macs)
    return {
        "network": cost.totals() | {"name": config.name, "batch_size": config.optim.batch_size},
        "machine": {"name": runtime.name, "cores": physical_cores(), "how": runtime.reasons, **versions()},
        "git_commit": git_commit(),
    }


def table(facts: dict[str, Any]) -> Table:
    """Format the numbers for the terminal."""
    made = _subject_table(facts)
    reached = facts["speed"]
    made.add_row("training", f"{reached['images_per_second']:,.0f} images/s, {reached['step_ms']:.2f} ms per step")
    made.add_row("step alone", f"{reached['bare_ms']:.2f} ms; the host takes {reached['host_share']:.1%}")
    if share := reached["native_share"]:
        made.add_row("own kernels", f"{share:.1%} of the step alone")
    made.add_row("peak memory", f"{reached['peak_memory'] / 2**20:,.0f} MiB")
    for name, unit in (("macs", "MAC"), ("bytes", "B")):
        roof = facts["roofs"][name]
        limit = f"{roof['per_second'] / 1e9:,.0f} G{unit}/s"
        made.add_row(f"limit of {name}", f"{roof['share']:.1%} of {limit}, {roof['per_step'] / 1e9:,.2f} G{unit}/step")
    for job in facts["jobs"]:
        gain = f"{job['images_per_second'] / facts['jobs'][0]['images_per_second']:.2f} × the first row"
        made.add_row(f"{job['jobs']} at once", f"{job['images_per_second']:,.0f} images/s in total, {gain}")
    return made


def profile_tables(facts: dict[str, Any]) -> tuple[Table, Table]:
    """Format what was profiled, and a line for each kind of operation."""
    profile = facts["profile"]
    about = _subject_table(facts)
    about.add_row("step", f"{profile['step_ms']:.2f} ms under the profiler, {profile['bare_ms']:.2f} ms without it")
    shares = Table(box=None, pad_edge=False, show_footer=True)
    shares.add_column("of a step", "sum")
    columns = {"share": "100.0%", "ms": f"{profile['step_ms']:.2f}", "operations": ""}
    for heading, total in columns.items():
        shares.add_column(heading, total, justify="right")
    for name, of_kind in profile["kinds"].items():
        operations = f"{of_kind['operations']:,.0f}" if of_kind["operations"] else ""
        shares.add_row(name, f"{of_kind['share']:.1%}", f"{of_kind['ms']:.2f}", operations)
    return about, shares


def _subject_table(facts: dict[str, Any]) -> Table:
    made, network = Table(show_header=False, box=None, pad_edge=False), facts["network"]
    made.add_row("network", f"{network['name']}, depth {network['depth']}, batches of {network['batch_size']}")
    made.add_row("machine", f"{facts['machine']['name']}: {facts['machine']['how']}")
    return made
