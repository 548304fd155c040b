"""Inspect a stored run: write figures, and one page with all of them."""

import argparse
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.enums import ReconstructionLoss
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.data.fingerprint import identified
from resnet_lab.inspect.context import Choices, InspectContext, context
from resnet_lab.inspect.sections import PARTS
from resnet_lab.inspect.wording import reword
from resnet_lab.interrupts import Interrupted, signals_kept
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.page import render
from resnet_lab.rundir.directory import RunDirectory, refuse_unwritable
from resnet_lab.rundir.files import write_atomically
from resnet_lab.rundir.identity import without_fingerprint
from resnet_lab.tasks.cost import measure
from resnet_lab.tasks.load import load_run
from resnet_lab.text import literal_text, plain_console, printable, visible, worded
from resnet_lab.training.runtime import Runtime

DPI = 110


@dataclass(slots=True)
class Section:
    """A part of the page: figures with captions, the time they took, and the error, if any."""

    name: str
    title: str
    figures: list[tuple[Path, str]] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""


def look(options: argparse.Namespace) -> list[Section]:
    """Write figures/ and inspect.html according to the command line.

    Raises ConfigError for a wrong run or option, OSError when the page cannot be written, and Interrupted; the page
    then has the parts completed so far.
    """
    require(0 <= options.seed < 2**63, f"--seed must be 0 to {2**63 - 1}, got {options.seed}")
    if options.run_dir.is_file() and not options.out:
        raise ConfigError(f"{printable(str(options.run_dir))} is a file: name a folder for the page with --out")
    refuse_unwritable((options.out or options.run_dir).absolute(), "--out")
    console = plain_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return _sections(_subject(options, progress), options, progress)


def _sections(inspected: InspectContext, options: argparse.Namespace, progress: Progress) -> list[Section]:
    """Make all parts, and write the page with them."""
    out: Path = options.out or options.run_dir
    (out / "figures").mkdir(parents=True, exist_ok=True)
    what = options.what
    whole = progress.add_task("inspecting", total=len(what))
    sections: list[Section] = []
    machine = Runtime.here(inspected.config, measure(inspected.config).macs)
    try:
        with machine.set_up():
            for name in what:
                progress.update(whole, description=name)
                section = _made(name, inspected, out / "figures")
                sections.append(section)
                progress.advance(whole)
                line = Text(f"{section.name:<16} {section.seconds:6.1f} s  ")
                line.append(visible(f"failed: {section.failure}") if section.failure else "", style="red")
                progress.console.print(line)
    except Interrupted as interrupted:
        interrupted.message = f"interrupted after {len(sections)} of {len(what)} parts"
        raise
    finally:
        run_dir = printable(str(options.run_dir.resolve()))
        values = {"run_dir": run_dir, "checkpoint": options.checkpoint, "inspected": inspected, "sections": sections}
        page = render("inspect/inspect.html", **values)
        write_atomically(out / "inspect.html", lambda file: file.write(page))
        print(f"written to {printable(str(out))}: inspect.html, figures/")
    return sections


def _subject(options: argparse.Namespace, progress: Progress) -> InspectContext:
    choices = Choices(options.images, options.layers, options.maps, options.class_name, options.pairs, options.seed)
    config, net = _loaded(options.run_dir, options.checkpoint)
    _refuse_changed_images(options.run_dir, config)
    options.what = _parts(options.what, config.task)
    compared = []
    for directory in options.compare:
        other, its_net = _loaded(directory, options.checkpoint)
        if other.task != config.task:
            raise ConfigError(f"--compare: {directory} is a run of task={other.task}, not task={config.task}")
        losses = config.reconstruction.loss, other.reconstruction.loss
        if (losses[0] is ReconstructionLoss.bce) != (losses[1] is ReconstructionLoss.bce):
            kinds = " and ".join(f"reconstruction.loss={loss.name}" for loss in losses)
            raise ConfigError(f"--compare: {directory}: networks with {kinds} do not return the same kind of pixels")
        label = "/".join(directory.resolve().parts[-3:])  # the distinctive end of a run's path: name, overrides, seed
        compared.append((label, its_net))
    return context(config, net, choices, compared, partial(progress.track, description="  steps"))


def _refuse_changed_images(run_dir: Path, config: Config) -> None:
    """Raise ConfigError if own images have changed since the run: validation images may have been trained on."""
    _, facts = identified(without_fingerprint(config))
    if facts and (changes := RunDirectory(run_dir).changed_images(facts)):
        raise ConfigError(f"the images in {config.data.folder} have changed since the run: {changes}")


def _parts(asked: list[str], task: str) -> list[str]:
    """Return the requested parts, or all parts for the task. Raises ConfigError for a part that it lacks."""
    figures = TASKS.info(task).figures
    for name in asked:
        if name not in figures:
            whose = f" for task={task}" if name in PARTS else ""
            raise ConfigError(f"unknown part {name}{whose}; choose from {', '.join(figures)}")
    return asked or [name for name in PARTS if name in figures]


def _loaded(directory: Path, checkpoint: str) -> tuple[Config, ResNetV2]:
    config, net = load_run(directory, checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return config, net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _made(name: str, inspected: InspectContext, folder: Path) -> Section:
    """Write the figures of a part. Record any error in the section, so that the other parts are still made."""
    make, dims = PARTS[name], inspected.config.data.dims
    section = Section(name, worded((make.__doc__ or name).rstrip("."), dims))
    start = time.perf_counter()
    try:
        with signals_kept(), literal_text():
            for shown in make(inspected):
                file = folder / f"{shown.name}.png"
                reword(shown.figure, dims)
                shown.figure.savefig(file, dpi=DPI)
                section.figures.append((file, worded(shown.caption, dims)))
    except Exception as error:
        section.failure = f"{type(error).__name__}: {error}"
    section.seconds = time.perf_counter() - start
    return section
