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
    return {
        "network": cost.totals() | {"name": config.name, "batch_size": config.optim.batch_size},
        "machine": {"name": runtime.name, "cores": physical_cores(), "how": runtime.reasons, **versions()},
        "git_commit": git_commit(),
        "speed": asdict(reached) | {"host_share": reached.host_share},
        "roofs": {
            what: {"per_second": peak, "per_step": needs[what], "share": needs[what] / peak / seconds_per_step}
            for what, peak in peaks.items()
        },
    }


def table(facts: dict[str, Any]) -> Table:
    """Format the numbers for the terminal."""
    made = Table(show_header=False, box=None, pad_edge=False)
    reached, network = facts["speed"], facts["network"]
    made.add_row("network", f"{network['name']}, depth {network['depth']}, batches of {network['batch_size']}")
    made.add_row("machine", f"{facts['machine']['name']}: {facts['machine']['how']}")
    made.add_row("training", f"{reached['images_per_second']:,.0f} images/s, {reached['step_ms']:.2f} ms per step")
    made.add_row("step alone", f"{reached['bare_ms']:.2f} ms; the host takes {reached['host_share']:.1%}")
    made.add_row("peak memory", f"{reached['peak_memory'] / 2**20:,.0f} MiB")
    for name, unit in (("macs", "MAC"), ("bytes", "B")):
        roof = facts["roofs"][name]
        limit = f"{roof['per_second'] / 1e9:,.0f} G{unit}/s"
        made.add_row(f"limit of {name}", f"{roof['share']:.1%} of {limit}, {roof['per_step'] / 1e9:,.2f} G{unit}/step")
    for job in facts["jobs"]:
        gain = f"{job['images_per_second'] / facts['jobs'][0]['images_per_second']:.2f} × the first row"
        made.add_row(f"{job['jobs']} at once", f"{job['images_per_second']:,.0f} images/s in total, {gain}")
    return made
