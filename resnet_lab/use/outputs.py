"""What becomes of predictions: a table, CSV, JSON, images sorted into folders."""

import csv
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

from PIL import Image
from rich.table import Table

from resnet_lab.config.checks import require
from resnet_lab.data.fit import MODES
from resnet_lab.rundir.files import replacing
from resnet_lab.text import printable
from resnet_lab.use.forms import Form, Prediction

NAMES = ("class", "runners-up", "on")  # headings of columns that have no numbers
Add = Callable[[Prediction], object]  # takes one prediction


@contextmanager
def _text(place: str) -> Iterator[IO[str]]:
    """Open stdout, or a file that appears once it is complete."""
    if place == "-":
        yield sys.stdout
        return
    Path(place).absolute().parent.mkdir(parents=True, exist_ok=True)
    with replacing(Path(place)) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


@contextmanager
def csv_rows(place: str, form: Form) -> Iterator[Add]:
    """Write a row for each prediction. `place` is a file, or "-" for stdout."""
    with _text(place) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", *form.columns])

        def add(made: Prediction) -> None:
            writer.writerow([printable(str(made.file)), *form.cells(made)])

        yield add


@contextmanager
def json_list(place: str, form: Form) -> Iterator[Add]:
    """Write a list of objects, each on a line of its own. `place` is a file, or "-" for stdout."""
    with _text(place) as file:
        is_empty = True

        def add(made: Prediction) -> None:
            nonlocal is_empty
            entry = {"file": str(made.file), **form.entry(made)}
            file.write(("[\n" if is_empty else ",\n") + json.dumps(entry))
            is_empty = False

        yield add
        file.write("[]\n" if is_empty else "\n]\n")


@contextmanager
def table(show: Callable[[Table], object], form: Form) -> Iterator[Add]:
    """Show a table of all predictions at the end; names to the left, numbers to the right."""
    made = Table("file", box=None, pad_edge=False, header_style="bold")
    for heading in form.headings:
        made.add_column(heading, justify="left" if heading in NAMES else "right")

    def add(one: Prediction) -> None:
        made.add_row(printable(str(one.file)), *form.texts(one))

    yield add
    if made.row_count:
        show(made)


@contextmanager
def sorted_into(folder: Path, classes: Sequence[str], inputs: Sequence[Path], copy: bool) -> Iterator[Add]:
    """Link or copy each image into the folder of its class. Nothing is overwritten: equal names get a number.

    Raises ConfigError if the folder is an input or inside one, since the next call would classify its images, too.
    """
    _refuse_inside("--sort-into", folder, inputs)
    places = dict(zip(classes, map(folder.joinpath, folder_names(classes)), strict=True))

    def add(made: Prediction) -> None:
        place = places[made.ranking[0][0]]
        place.mkdir(parents=True, exist_ok=True)
        put(made.file, place, copy)

    yield add


@contextmanager
def saved_into(folder: Path, inputs: Sequence[Path]) -> Iterator[Add]:
    """Save each picture as a PNG file under the name of its image. Nothing is overwritten: equal names get a number.

    Raises ConfigError if the folder is an input or inside one.
    """
    _refuse_inside("--save-into", folder, inputs)
    folder.mkdir(parents=True, exist_ok=True)

    def add(made: Prediction) -> None:
        assert made.picture is not None
        channels = len(made.picture)
        pixels = made.picture[0] if channels == 1 else made.picture.transpose(1, 2, 0)
        picture = Image.fromarray(pixels, MODES[channels])
        for target in _free_names(folder, made.file.with_suffix(".png").name):
            with suppress(FileExistsError), open(target, "xb") as file:
                picture.save(file, "PNG")
                return

    yield add


def _refuse_inside(option: str, folder: Path, inputs: Sequence[Path]) -> None:
    """Raise ConfigError if an output folder is an input or inside one: the next call would read what was written."""
    for given in inputs:
        require(
            not (given.is_dir() and folder.resolve().is_relative_to(given.resolve())),
            f"{option} {folder}: it is inside {given}, whose images are read: choose a folder elsewhere",
        )


def _free_names(folder: Path, name: str) -> Iterator[Path]:
    """Yield a name in a folder, then the name with numbers from 2 on."""
    path = Path(name)
    yield folder / name
    yield from (folder / f"{path.stem}-{number}{path.suffix}" for number in count(2))


def put(file: Path, folder: Path, copy: bool) -> Path:
    """Link or copy a file into a folder under its name, or under `name-2` if that is taken; return the new path."""
    for target in _free_names(folder, file.name):
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
