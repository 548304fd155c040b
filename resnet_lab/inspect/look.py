"""Look at a stored run: figures as files, and one page with all of them."""

import argparse
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Accelerator
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.inspect.context import Choices, InspectContext, context
from resnet_lab.inspect.sections import PARTS
from resnet_lab.inspect.shown import Section
from resnet_lab.interrupts import Interrupted, signals_kept
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.page import render
from resnet_lab.rundir.files import write_whole
from resnet_lab.tasks.cost import measure
from resnet_lab.tasks.load import load_run
from resnet_lab.text import literal_text, plain_console, printable
from resnet_lab.training.runtime import Runtime

DPI = 110


def look(options: argparse.Namespace) -> list[Section]:
    """Write figures/ and inspect.html as the command line asks for.

    Raises ConfigError when there is nothing to look at, OSError when the page cannot be written, and Interrupted, after
    which the page has what was made until then.
    """
    console = plain_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return _sections(_subject(options, progress), options, progress)


def _sections(looked_at: InspectContext, options: argparse.Namespace, progress: Progress) -> list[Section]:
    """All parts, and the page with them."""
    out: Path = options.out or options.run_dir
    (out / "figures").mkdir(parents=True, exist_ok=True)
    what = options.what
    whole = progress.add_task("looking inside", total=len(what))
    sections: list[Section] = []
    machine = _machine(looked_at.config)
    try:
        with machine.set_up():
            for name in what:
                progress.update(whole, description=name)
                sections.append(_made(name, looked_at, out / "figures"))
                progress.advance(whole)
                _report(sections[-1], progress.console)
    except Interrupted as interrupted:
        interrupted.message = f"interrupted after {len(sections)} of {len(what)} parts"
        raise
    finally:
        facts = _facts(looked_at, options)
        page = render("inspect/inspect.html", name=looked_at.name, facts=facts, sections=sections)
        write_whole(out / "inspect.html", lambda file: file.write(page))
        print(f"written to {printable(str(out))}: inspect.html, figures/")
    return sections


def _report(section: Section, console: Console) -> None:
    line = Text(f"{section.name:<10} {section.seconds:6.1f} s  ")
    console.print(line.append(f"failed: {section.failure}" if section.failure else "", style="red"))


def _machine(config: Config) -> Runtime:
    """This machine, wherever the run was trained: with as many threads as pay for its network."""
    here = replace(config.trainer, accelerator=Accelerator.auto, graphs=None, num_threads=None)
    return Runtime.resolve(replace(config, trainer=here), measure(config).macs)


def _subject(options: argparse.Namespace, progress: Progress) -> InspectContext:
    def track(steps: Iterable[int]) -> Iterable[int]:
        return progress.track(steps, description="  steps")

    choices = Choices(options.images, options.layers, options.maps, options.class_name, options.seed)
    config, net = _loaded(options.run_dir, options.checkpoint)
    options.what = _parts(options.what, config.task)
    beside = []
    for directory in options.beside:
        other, its_net = _loaded(directory, options.checkpoint)
        if other.task != config.task:
            raise ConfigError(f"--beside: {directory} is a run of task={other.task}, and not of task={config.task}")
        beside.append((_name(directory), its_net))
    return context(config, net, choices, beside, track)


def _parts(asked: list[str], task: str) -> list[str]:
    """The parts that were asked for, or all that say something of a task. Raises ConfigError when one does not."""
    figures = TASKS.info(task).figures
    for name in asked:
        if name not in figures:
            whose = f" for task={task}" if name in PARTS else ""
            raise ConfigError(f"there is nothing called {name} to look at{whose}; there are {', '.join(figures)}")
    return asked or [name for name in PARTS if name in figures]


def _loaded(directory: Path, checkpoint: str) -> tuple[Config, ResNetV2]:
    config, net = load_run(directory, checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return config, net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _name(directory: Path) -> str:
    """The end of a run's path, which tells it from others: name, overrides, seed."""
    return "/".join(directory.resolve().parts[-3:])


def _made(name: str, looked_at: InspectContext, folder: Path) -> Section:
    """The figures of a part as files; whatever goes wrong is noted and does not take the other parts along."""
    make = PARTS[name]
    section = Section(name, (make.__doc__ or name).rstrip("."))
    start = time.perf_counter()
    try:
        with signals_kept(), literal_text():
            for shown in make(looked_at):
                file = folder / f"{shown.name}.png"
                shown.figure.savefig(file, dpi=DPI)
                section.figures.append((file, shown.caption))
    except Exception as error:
        section.failure = f"{type(error).__name__}: {error}"
    section.seconds = time.perf_counter() - start
    return section


def _facts(looked_at: InspectContext, options: argparse.Namespace) -> list[str]:
    score = TASKS.info(looked_at.config.task).score
    epoch = f"with the lowest validation {score}" if options.checkpoint == "best" else "the last one"
    return [
        printable(str(options.run_dir.resolve())),
        f"checkpoint of the epoch: {epoch}",
        f"{len(looked_at.images):,} {looked_at.part} images of {looked_at.config.data.name}",
        f"chosen images: {', '.join(looked_at.chosen_names)}",
    ]
