"""What becomes of predictions: a table, CSV, JSON, images sorted into folders."""

import csv
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

from rich.table import Table

from resnet_lab.config.checks import require
from resnet_lab.rundir.files import replacing
from resnet_lab.text import printable


@dataclass(frozen=True, slots=True)
class Prediction:
    """The classes of an image with their probabilities, the most probable first; or why it could not be read."""

    file: Path
    ranking: tuple[tuple[str, float], ...] = ()
    failure: str = ""


Add = Callable[[Prediction], object]  # takes one prediction


@contextmanager
def _text(place: str) -> Iterator[IO[str]]:
    """Open stdout, or a file that appears once it is complete."""
    if place == "-":
        yield sys.stdout
        return
    with replacing(Path(place)) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


@contextmanager
def csv_rows(place: str, top: int) -> Iterator[Add]:
    """Write a row for each prediction; the columns `class_2`, `probability_2`, … have the next most probable classes.

    `place` is a file, or "-" for stdout.
    """
    with _text(place) as file:
        writer = csv.writer(file, lineterminator="\n")
        more = (f"{name}_{rank}" for rank in range(2, top + 1) for name in ("class", "probability"))
        writer.writerow(["file", "class", "probability", *more])

        def add(made: Prediction) -> None:
            writer.writerow([printable(str(made.file)), *(cell for pair in made.ranking for cell in pair)])

        yield add


@contextmanager
def json_list(place: str) -> Iterator[Add]:
    """Write a list of objects, each on a line of its own. `place` is a file, or "-" for stdout."""
    with _text(place) as file:
        is_empty = True

        def add(made: Prediction) -> None:
            nonlocal is_empty
            ranking = [{"class": name, "probability": value} for name, value in made.ranking]
            entry = {"file": str(made.file), **ranking[0], "runners_up": ranking[1:]}
            file.write(("[\n" if is_empty else ",\n") + json.dumps(entry))
            is_empty = False

        yield add
        file.write("[]\n" if is_empty else "\n]\n")


@contextmanager
def table(show: Callable[[Table], object], top: int) -> Iterator[Add]:
    """Show a table of all predictions at the end."""
    made = Table("file", "class", box=None, pad_edge=False, header_style="bold")
    made.add_column("probability", justify="right")
    if top > 1:
        made.add_column("runners-up")

    def add(one: Prediction) -> None:
        (name, value), *others = one.ranking
        runners_up = ", ".join(f"{other} {probability(its)}" for other, its in others)
        made.add_row(printable(str(one.file)), name, probability(value), *([runners_up] if top > 1 else []))

    yield add
    if made.row_count:
        show(made)


def probability(share: float) -> str:
    """Format a probability in percent, with one decimal."""
    return f"{100 * share:.1f} %"


@contextmanager
def sorted_into(folder: Path, classes: Sequence[str], inputs: Sequence[Path], copy: bool) -> Iterator[Add]:
    """Link or copy each image into the folder of its class. Nothing is overwritten: equal names get a number.

    Raises ConfigError if the folder is an input or inside one, since the next call would classify its images, too.
    """
    for given in inputs:
        require(
            not (given.is_dir() and folder.resolve().is_relative_to(given.resolve())),
            f"--sort-into {folder}: it is inside {given}, whose images are sorted: choose a folder elsewhere",
        )
    places = dict(zip(classes, map(folder.joinpath, folder_names(classes)), strict=True))

    def add(made: Prediction) -> None:
        place = places[made.ranking[0][0]]
        place.mkdir(parents=True, exist_ok=True)
        put(made.file, place, copy)

    yield add


def put(file: Path, folder: Path, copy: bool) -> Path:
    """Link or copy a file into a folder under its name, or under `name-2` if that is taken; return the new path."""
    for number in count(1):
        target = folder / (file.name if number == 1 else f"{file.stem}-{number}{file.suffix}")
        try:
            if not copy:
                os.symlink(file.resolve(), target)
                return target
            with open(target, "xb") as new, open(file, "rb") as old:
                shutil.copyfileobj(old, new)
            shutil.copystat(file, target)
            return target
        except FileExistsError:
            continue
    raise AssertionError("count never ends")


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return a folder name for each class: its own, made valid, with its label in front if empty, hidden or taken."""
    names: list[str] = []
    for label, own in enumerate(classes):
        name = re.sub(r"[/\\\0]", "_", printable(own))[:60]  # at most 240 bytes; file systems allow 255
        while name in names or name.startswith(".") or not name:
            name = f"{label}_{name.lstrip('.')}"
        names.append(name)
    return names
