"""`python -m resnet_lab.inspect RUN_DIR [WHAT…]`: look inside a trained network; figures and one page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from resnet_lab.config import Config, ConfigError
from resnet_lab.inspect.page import Section, page
from resnet_lab.inspect.sections import PARTS
from resnet_lab.inspect.subject import Choices, Subject, subject
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.training.record import load_run

DPI = 110


def main(arguments: Sequence[str]) -> int:
    """Write figures/ and inspect.html; the exit status is 1, with a message, when anything could not be made."""
    options = parser().parse_args(arguments)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        try:
            looked_at = _subject(options, progress)
            out: Path = options.out or options.run_dir
            (out / "figures").mkdir(parents=True, exist_ok=True)
        except (ConfigError, OSError) as error:
            progress.stop()
            print(error, file=sys.stderr)
            return 1
        sections = []
        what = options.what or list(PARTS)
        whole = progress.add_task("looking inside", total=len(what))
        for name in what:
            progress.update(whole, description=name)
            sections.append(_made(name, looked_at, out / "figures"))
            progress.advance(whole)
            failed = f"[red]failed: {sections[-1].failure}" if sections[-1].failure else ""
            progress.console.print(f"{name:<10} {sections[-1].seconds:6.1f} s  {failed}", highlight=False)
    (out / "inspect.html").write_text(page(looked_at.name, _facts(looked_at, options), sections))
    print(f"written to {out}: inspect.html, figures/")
    return int(any(section.failure for section in sections))


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
