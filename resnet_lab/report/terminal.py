"""A report on the terminal, which never takes more than a screenful or two."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnet_lab.report.analysis import Analysis, basis
from resnet_lab.report.collect import Collected
from resnet_lab.report.page_data import ranked
from resnet_lab.report.sentences import sentences
from resnet_lab.report.tables import cells, headings, troubles
from resnet_lab.text import plural

NOT_SHOWN = ("sd", "median", "validation, best", "test, best", "activations", "memory")
MOST_ROWS, MOST_SENTENCES, MOST_TROUBLES, MOST_LINES = 16, 14, 6, 56


def show(console: Console, found: Collected, analyses: Sequence[Analysis]) -> None:
    """Print the tables in at most MOST_LINES lines, without the less important columns."""
    lines: list[str] = []
    said = [f"! {trouble}" for trouble in troubles(found, analyses)]
    ending = _lines(console, *_shortened(said, MOST_TROUBLES), Text(basis(analyses), style="dim"))[: MOST_LINES // 2]
    room = MOST_LINES - len(ending)
    for number, analysis in enumerate(analyses):
        said_of = [f"- {sentence}" for sentence in [*sentences(analysis), *analysis.comparison.notes]]
        own = _lines(console, *_shortened(said_of, MOST_SENTENCES), "")
        own = (_fitting_table(console, analysis, max(room - len(own), room // 2)) + own)[:room]
        if lines and len(lines) + len(own) > room:
            more = plural(len(analyses) - number, "more comparison")
            lines += _lines(console, f"{more} in report.html and report.md")
            break
        lines += own
    for line in [*lines[: room + 1], *ending]:  # the last one may say how many comparisons follow
        console.file.write(line)


def _lines(console: Console, *parts: Any) -> list[str]:
    """Return what the console would print, line by line."""
    with console.capture() as captured:
        for part in parts:
            console.print(part, highlight=False)
    return captured.get().splitlines(keepends=True)


def _shortened(said: list[str], most: int) -> list[str]:
    """Return the first sentences, and how many more there are."""
    more = [f"… {len(said) - most} more in report.md"] if len(said) > most else []
    return [*said[:most], *more]


def _fitting_table(console: Console, analysis: Analysis, room: int) -> list[str]:
    """Return the lines of a comparison's table with as many rows as there is room for, at most MOST_ROWS."""
    for most in range(min(MOST_ROWS, len(analysis.rows)), 0, -1):
        lines = _lines(console, _table(analysis, most))
        if len(lines) <= room:
            return lines
    return _lines(console, analysis.comparison.title)


def _table(analysis: Analysis, most: int) -> Table:
    """Return a comparison's table; of more groups than `most` those with the best scores."""
    rows = analysis.rows
    title = analysis.comparison.title
    if len(rows) > most:
        rows = ranked(analysis)[:most]
        title += f"; the best {most} of {len(analysis.rows)} groups"
    table = Table(title=title, title_justify="left", header_style="bold")
    titles = headings(analysis)
    values = [cells(analysis, row) for row in rows]
    shown = [i for i, title in enumerate(titles) if title not in NOT_SHOWN and any(own[i][0] for own in values)]
    for i in shown:
        table.add_column(titles[i], justify="left" if titles[i] in ("group", "front") else "right")
    for row, own in zip(rows, values, strict=True):
        table.add_row(*(own[i][0] for i in shown), style="bold" if row is analysis.best else None)
    return table
