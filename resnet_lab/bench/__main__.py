"""`resnet-lab bench OVERRIDES… [--jobs 1,2,4]`: measure training speed, and its share of the hardware limits.

With `--profile`, measure instead where the time of a training step goes.
"""

import argparse
import json
import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_lab import command
from resnet_lab.config.checks import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from resnet_lab.config.schema import Config

WIDTH = 120  # characters, if the output is not a terminal


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    made = command.parser("bench")
    made.add_argument("overrides", nargs="*", default=[], metavar="OVERRIDES", help="as for training")
    made.add_argument("--seconds", type=float, default=20, help="approximate training time per measurement")
    made.add_argument("--profile", action="store_true", help="show instead where the time of a training step goes")
    made.add_argument("--jobs", metavar="1,2,4", help="also measure these numbers of parallel jobs")
    made.add_argument("--mps", action="store_true", help="let jobs share a GPU by NVIDIA's Multi-Process Service")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    made.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return made


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, write JSON. Raises ConfigError for a wrong setting, RunFailed when a job fails."""
    options = parser().parse_intermixed_args(arguments)
    jobs = _checked(options)

    from resnet_lab.config.compose import load_config

    config = load_config(*options.overrides)
    config.trainer.refuse_several_devices("bench")

    from resnet_lab.bench.measure import trained
    from resnet_lab.bench.parallel import when_told
    from resnet_lab.rundir.files import write_json
    from resnet_lab.text import plain_console
    from resnet_lab.training.log import show_on_terminal

    show_on_terminal(logging.WARNING)
    if options.worker:
        print(json.dumps(trained(config, options.worker, when_told)[0]))
        return 0
    facts, tables = _profiled(config, options) if options.profile else _measured(config, options, jobs)
    facts["command"] = " ".join(["resnet-lab bench", *arguments])
    plain_console(WIDTH).print(*tables)
    if options.json:
        write_json(options.json, facts)
    return 0


def _measured(config: "Config", options: argparse.Namespace, jobs: list[int]) -> tuple[dict[str, Any], list["Table"]]:
    """Measure the speed of one job, and of those numbers of parallel jobs."""
    from rich.progress import track

    from resnet_lab.bench.measure import FEWEST_STEPS
    from resnet_lab.bench.parallel import together
    from resnet_lab.bench.report import report, table
    from resnet_lab.training.log import console

    with console.status("measuring", refresh_per_second=2):
        facts = report(config, options.seconds)
    counts = track(jobs, "parallel jobs", console=console, transient=True, disable=not console.is_terminal)
    # The total number of steps is the same for each count, however much parallel jobs slow each other down.
    steps = facts["speed"]["steps"]
    facts["jobs"] = [together(options.overrides, n, max(FEWEST_STEPS, steps // n), options.mps) for n in counts]
    return facts, [table(facts)]


def _profiled(config: "Config", options: argparse.Namespace) -> tuple[dict[str, Any], list["Table"]]:
    """Profile training steps."""
    from resnet_lab.bench.profile import profile
    from resnet_lab.bench.report import profile_tables, subject
    from resnet_lab.training.log import console

    with console.status("profiling", refresh_per_second=2):
        facts = subject(config) | {"profile": profile(config, options.seconds)}
    return facts, [*profile_tables(facts)]


def _checked(options: argparse.Namespace) -> list[int]:
    """Return the numbers of parallel jobs to measure. Raises ConfigError for a wrong option, before any work."""
    if not 0 < options.seconds < math.inf:
        raise ConfigError(f"--seconds must be a number above 0, got {options.seconds:g}")
    if options.profile and (options.jobs is not None or options.mps):
        raise ConfigError("--profile looks at one step of one job: leave out --jobs and --mps, or --profile")
    counts = [] if options.jobs is None else options.jobs.split(",")
    if not all(count.isdecimal() and int(count) > 0 for count in counts):
        raise ConfigError(f"--jobs must be whole numbers above 0, as in 1,2,4, got {options.jobs}")
    from resnet_lab.sweep.mps import CONTROL

    if options.mps and not shutil.which(CONTROL):
        raise ConfigError(f"--mps needs {CONTROL} on the PATH, which starts NVIDIA's Multi-Process Service")
    if options.json and not options.json.resolve().parent.is_dir():
        raise ConfigError(f"--json: there is no folder {options.json.resolve().parent}")
    return [int(count) for count in counts]


if __name__ == "__main__":
    command.run_command(main)
