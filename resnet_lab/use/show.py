"""The results of an evaluation as tables for the terminal, and as one HTML page."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from resnet_lab.inspect.figures import confusion_figure, reliability_figure
from resnet_lab.page import render
from resnet_lab.rundir.files import write_atomically
from resnet_lab.text import literal_text
from resnet_lab.use.corrupt import STRENGTHS
from resnet_lab.use.grid import MOST_ROWS, Grid
from resnet_lab.use.mean_scores import MeanContrast, MeanScores, mean_contrasts, mean_grids
from resnet_lab.use.scores import Contrast, Scores, contrasts

DPI = 110


@dataclass(frozen=True, slots=True)
class Compared:
    """The results of networks on the same images, as tables and sentences."""

    grids: list[Grid]
    contrasts: Sequence[Contrast | MeanContrast]

    @classmethod
    def of(cls, found: Sequence[Scores | MeanScores]) -> Self:
        """Compare networks of one task."""
        if classified := [one for one in found if isinstance(one, Scores)]:
            return cls([*grids(classified)], contrasts(classified))
        means = [one for one in found if isinstance(one, MeanScores)]
        return cls([*mean_grids(means)], mean_contrasts(means))


def grids(found: Sequence[Scores]) -> Iterator[Grid]:
    """Yield the tables: all runs; errors by class, the worst first; for each corruption, the errors by strength."""
    header = ["run", "error", "95 % interval", "ECE", "NLL"]
    yield Grid(header, [[one.run, *_cells(one)] for one in found])
    errors = [one.class_errors for one in found]
    worst = sorted(errors[0], key=lambda name: -max(own[name] for own in errors))[:MOST_ROWS]
    count = len(errors[0])
    title = "class" if len(worst) == count else f"class (the worst {len(worst)} of {count})"
    rows = [[name, *(percent(own[name]) for own in errors)] for name in worst]
    yield Grid([title, *(f"error of {one.run}" if len(found) > 1 else "error" for one in found)], rows)
    for kind in found[0].corrupted:
        rows = [[one.run, *map(percent, one.corrupted[kind])] for one in found]
        yield Grid([f"error with {kind}", *(f"{strength:g}" for strength in STRENGTHS[kind])], rows)


def _cells(one: Scores) -> list[str]:
    low, high = one.interval
    ece = percent(100 * one.mistakes.calibration_error)
    return [percent(one.error), f"{low:.2f} – {high:.2f} %", ece, f"{one.nll:.4g}"]


def percent(value: float) -> str:
    """Format a percentage with 2 decimals, as in papers."""
    return f"{value:.2f} %"


def write_page(file: Path, found: Sequence[Scores | MeanScores], compared: Compared, how: str) -> None:
    """Write a page with all tables, and of classes each run's confusion matrix and calibration.

    `how` says how they were tested.
    """
    with tempfile.TemporaryDirectory() as folder, literal_text():
        figures = []
        for number, one in enumerate(one for one in found if isinstance(one, Scores)):
            title = f"{one.run}: error {percent(one.error)} on {one.count:,} images"
            for name, draw in (("confusion", confusion_figure), ("reliability", reliability_figure)):
                figures.append(image := Path(folder, f"{name}-{number}.png"))
                draw(one.mistakes, one.classes, title).savefig(image, dpi=DPI)
        values = {"images": found[0].images, "grids": compared.grids, "compared": compared.contrasts, "how": how}
        page = render("use/evaluate.html", **values, figures=figures)
    write_atomically(file, lambda opened: opened.write(page))
