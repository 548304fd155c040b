"""A report on the terminal, which never takes more than a screenful or two."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnet_lab.report.analysis import Analysis
from resnet_lab.report.collect import Collected
from resnet_lab.report.page_data import ranked
from resnet_lab.report.sentences import basis, sentences
from resnet_lab.report.tables import cells, headings, troubles
from resnet_lab.text import plural

NOT_SHOWN = ("sd", "median", "validation, best", "test, best", "activations", "memory")
LEFT_OUT_FIRST = (
    "front", "depth", "seconds", "MACs", "published", "test, last", "validation, last", "params", "n",
)  # fmt: skip
SEVERAL_WORDS, LONG_WORD = 16, 24  # characters of a column: cells of several words get as many, a word no more
BORDER = 3  # characters between two columns
MOST_ROWS, MOST_SENTENCES, MOST_TROUBLES, MOST_LINES = 16, 14, 6, 56


def show(console: Console, found: Collected, analyses: Sequence[Analysis]) -> None:
    """Print the tables in at most MOST_LINES lines, without the less important columns."""
    lines: list[str] = []
    said = [f"! {trouble}" for trouble in troubles(found, analyses)]
    ending = _lines(console, *_shortened(said, MOST_TROUBLES), Text(basis(analyses), style="dim"))[: MOST_LINES // 2]
    room = MOST_LINES - len(ending)
    for number, analysis in enumerate(analyses):
        said_of = [f"- {sentence}" for sentence in [*sentences(analysis), *analysis.comparison.notes]]
        all_said = _fitting_sentences(console, said_of, room)
        table = _fitting_table(console, analysis, max(room - len(all_said), room // 2))
        own = table + _fitting_sentences(console, said_of, room - len(table))
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


def _fitting_sentences(console: Console, said: list[str], room: int) -> list[str]:
    """Return the lines of as many sentences as there is room for, at most MOST_SENTENCES, and how many follow."""
    for most in range(min(MOST_SENTENCES, len(said)), -1, -1):
        lines = _lines(console, *_shortened(said, most), "")
        if len(lines) <= room:
            return lines
    return []


def _fitting_table(console: Console, analysis: Analysis, room: int) -> list[str]:
    """Return the lines of a comparison's table with as many rows as there is room for, at most MOST_ROWS."""
    for most in range(min(MOST_ROWS, len(analysis.rows)), 0, -1):
        lines = _lines(console, _table(analysis, most, console.width))
        if len(lines) <= room:
            return lines
    return _lines(console, analysis.comparison.title)


def _table(analysis: Analysis, most: int, room: int) -> Table:
    """Return a comparison's table; of more groups than `most` those with the best scores.

    It is at most `room` characters wide, without the columns for which it is too narrow; its caption names them.
    """
    rows = analysis.rows
    title = analysis.comparison.title
    if len(rows) > most:
        rows = ranked(analysis)[:most]
        title += f"; the best {most} of {len(analysis.rows)} groups"
    table = Table(title=title, title_justify="left", header_style="bold")
    titles = headings(analysis)
    values = [cells(analysis, row) for row in rows]
    shown = [i for i, title in enumerate(titles) if title not in NOT_SHOWN and any(own[i][0] for own in values)]
    texts = {titles[i]: [titles[i], *(own[i][0] for own in values)] for i in shown}
    widths = _widths(texts, room)
    if left_out := [title for title in texts if title not in widths]:
        table.caption, table.caption_justify = f"in report.md and on wider terminals: {'; '.join(left_out)}", "left"
    for title, width in widths.items():
        table.add_column(title, justify="left" if title in ("group", "front") else "right", width=width)
    for number, row in enumerate(rows, 1):
        table.add_row(*(texts[title][number] for title in widths), style="bold" if row is analysis.best else None)
    return table


def _widths(texts: Mapping[str, Sequence[str]], room: int) -> dict[str, int]:
    """Return the widths of the columns that there is room for, so that cells break between words alone.

    `texts` are the heading and the cells of each column. What is left of the room goes to the first columns.
    """
    widths = {}
    for title, (_, *below) in texts.items():
        word = max(cell_len(word) for text in texts[title] for word in text.split() or [""])
        widths[title] = max(min(word, LONG_WORD), min(max(map(cell_len, below)), SEVERAL_WORDS))

    def left() -> int:
        return room - 1 - sum(width + BORDER for width in widths.values())

    for title in LEFT_OUT_FIRST:
        if left() < 0:
            widths.pop(title, None)
    for title in widths:
        widths[title] += max(0, min(left(), max(map(cell_len, texts[title])) - widths[title]))
    return widths
