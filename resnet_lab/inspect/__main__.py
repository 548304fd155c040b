"""`python -m resnet_lab.inspect RUN_DIR [WHAT…]`: look inside a trained network; figures and one page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from resnet_lab.choices import Accelerator
from resnet_lab.config import Config, ConfigError
from resnet_lab.inspect.page import Section, page
from resnet_lab.inspect.sections import PARTS
from resnet_lab.inspect.subject import Choices, Subject, subject
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.model.summary import measure
from resnet_lab.training.machine import Machine
from resnet_lab.training.record import load_run, write_whole

DPI = 110
INTERRUPTED = 130  # exit status, as shells expect


def main(arguments: Sequence[str]) -> int:
    """Write figures/ and inspect.html; the exit status is 1, with a message, when anything could not be made.

    On Ctrl-C the page has what was made until then.
    """
    options = parser().parse_intermixed_args(arguments)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    try:
        with progress:
            looked_at = _subject(options, progress)
            sections = _sections(looked_at, options, progress)
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return int(any(section.failure for section in sections)) if _is_whole(options, sections) else INTERRUPTED


def _sections(looked_at: Subject, options: argparse.Namespace, progress: Progress) -> list[Section]:
    """All parts, and the page with them. Raises OSError when it cannot be written."""
    out: Path = options.out or options.run_dir
    (out / "figures").mkdir(parents=True, exist_ok=True)
    what = _what(options)
    whole = progress.add_task("looking inside", total=len(what))
    sections: list[Section] = []
    try:
        with _machine(looked_at.config).set_up():
            for name in what:
                progress.update(whole, description=name)
                sections.append(_made(name, looked_at, out / "figures"))
                progress.advance(whole)
                failed = f"[red]failed: {escape(sections[-1].failure)}" if sections[-1].failure else ""
                progress.console.print(f"{name:<10} {sections[-1].seconds:6.1f} s  {failed}", highlight=False)
    except KeyboardInterrupt:
        print(f"interrupted after {len(sections)} of {len(what)} parts", file=sys.stderr)
    html = page(looked_at.name, _facts(looked_at, options), sections)
    write_whole(out / "inspect.html", lambda file: file.write(html.encode()))
    print(f"written to {out}: inspect.html, figures/")
    return sections


def _what(options: argparse.Namespace) -> list[str]:
    return options.what or list(PARTS)


def _is_whole(options: argparse.Namespace, sections: Sequence[Section]) -> bool:
    return len(sections) == len(_what(options))


def _machine(config: Config) -> Machine:
    """This machine, wherever the run was trained: with as many threads as pay for its network."""
    here = replace(config.trainer, accelerator=Accelerator.auto, graphs=None, num_threads=None)
    return Machine.choose(replace(config, trainer=here), measure(config).macs)


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = argparse.ArgumentParser(prog="python -m resnet_lab.inspect", description="Look inside a trained network.")
    made.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a run directory")
    made.add_argument("what", nargs="*", metavar="WHAT", help=f"some of {', '.join(PARTS)} (default: all)")
    made.add_argument("--images", nargs="+", default=[], metavar="IMAGE", help="numbers of validation images, or files")
    made.add_argument(
        "--class", dest="class_name", metavar="CLASS", help="patterns of the maps that this class excites"
    )
    made.add_argument("--layers", nargs="+", default=[], metavar="LAYER", help="stem, stacks.0.units.1, innermost, …")
    made.add_argument("--maps", nargs="+", default=[], type=int, metavar="MAP", help="numbers of maps in these layers")
    made.add_argument("--beside", nargs="+", default=[], type=Path, metavar="DIR", help="runs to draw beside this one")
    made.add_argument("--checkpoint", choices=["last", "best"], default="last")
    made.add_argument("--seed", type=int, default=0, help="of the noise that patterns begin with")
    made.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: RUN_DIR)")
    return made


def _subject(options: argparse.Namespace, progress: Progress) -> Subject:
    if unknown := [name for name in options.what if name not in PARTS]:
        raise ConfigError(f"there is nothing called {unknown[0]} to look at; there are {', '.join(PARTS)}")

    def track(steps: Iterable[int]) -> Iterable[int]:
        return progress.track(steps, description="  steps")

    choices = Choices(options.images, options.layers, options.maps, options.class_name, options.seed)
    config, net = _loaded(options.run_dir, options.checkpoint)
    beside = [(_name(directory), _loaded(directory, options.checkpoint)[1]) for directory in options.beside]
    return subject(config, net, choices, beside, track)


def _loaded(directory: Path, checkpoint: str) -> tuple[Config, ResNetV2]:
    config, net = load_run(directory, checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return config, net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _name(directory: Path) -> str:
    """The end of a run's path, which tells it from others: name, overrides, seed."""
    return "/".join(directory.resolve().parts[-3:])


def _made(name: str, looked_at: Subject, folder: Path) -> Section:
    """The figures of a part as files; whatever goes wrong is noted and does not take the other parts along."""
    make = PARTS[name]
    section = Section(name, (make.__doc__ or name).rstrip("."))
    start = time.perf_counter()
    try:
        with matplotlib.rc_context({"text.parse_math": False}):  # a dollar in a class name is a dollar
            for shown in make(looked_at):
                file = folder / f"{shown.name}.png"
                shown.figure.savefig(file, dpi=DPI)
                section.figures.append((file, shown.caption))
    except Exception as error:
        section.failure = f"{type(error).__name__}: {error}"
    section.seconds = time.perf_counter() - start
    return section


def _facts(looked_at: Subject, options: argparse.Namespace) -> list[str]:
    epoch = "with the lowest validation error" if options.checkpoint == "best" else "the last one"
    return [
        str(options.run_dir.resolve()),
        f"checkpoint of the epoch: {epoch}",
        f"{len(looked_at.images):,} {looked_at.part} images of {looked_at.config.data.name.name}",
        f"chosen images: {', '.join(looked_at.chosen_names)}",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
