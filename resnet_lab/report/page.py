"""One self-contained page: every table, figure and number in a single file that needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from resnet_lab.page import fill, inline
from resnet_lab.report.analysis import BASIS, COSTS, ERRORS, MEASURE, Analysis, Row
from resnet_lab.report.collect import Collected
from resnet_lab.report.tables import HEADINGS, cells, link, spread, troubles


def page(found: Collected, analyses: Sequence[Analysis], figures: Sequence[Path], out: Path) -> str:
    """The text of report.html, to be written to `out`."""
    data = {
        "axes": COSTS | {"depth": "depth"} | {name: f"{title} (%)" for name, title in ERRORS.items()},
        "errors": list(ERRORS),
        "start": ["params", MEASURE],
        "comparisons": {str(analysis.number): [_point(row) for row in analysis.rows] for analysis in analyses},
    }
    filled = {
        "BASIS": escape(BASIS),
        "DATA": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),  # no text can end the script element
        "COMPARISONS": "\n".join(_section(analysis, figures, out) for analysis in analyses),
        "TROUBLES": _list("Not there", troubles(found, analyses)),
    }
    template = files(__package__).joinpath("template.html").read_text()
    return fill(template, filled)


def _point(row: Row) -> dict[str, Any]:
    """What the scatter knows of a group; errors as [mean, half of the interval]."""
    errors = {name: [summary.mean, summary.half] for name, summary in row.errors.items() if summary}
    return (
        {"label": row.group.label, "n": len(row.group.runs), "depth": [row.depth, None]}
        | errors
        | {name: [value, None] for name, value in row.costs.items()}
    )


def _section(analysis: Analysis, figures: Iterable[Path], out: Path) -> str:
    number, title = analysis.number, escape(analysis.comparison.title)
    own = [figure for figure in figures if figure.stem.endswith(f"-{number}") and figure.suffix == ".svg"]
    return "\n".join(
        [
            f'<section data-comparison="{number}">',
            f"<h2>{title}</h2>",
            _table(analysis, out),
            _list("", [*analysis.sentences(), *analysis.comparison.notes]),
            '<div class="scatter"></div>' if len(analysis.rows) > 1 else "",
            *(f'<img alt="{escape(figure.stem)}: {title}" src="{inline(figure)}">' for figure in own),
            "</section>",
        ]
    )


def _table(analysis: Analysis, out: Path) -> str:
    heads = "".join(f'<th scope="col"><button>{escape(name)}</button></th>' for name in [*HEADINGS, "runs"])
    rows = "\n".join(_row(row, out, row is analysis.best) for row in analysis.rows)
    search = '<input type="search" placeholder="filter groups" aria-label="filter groups">'
    return (
        f'{search}\n<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )


def _row(row: Row, out: Path, best: bool) -> str:
    """Cells with the number that they are sorted by; the last links to the run directories."""
    first, *others = [summary.mean if summary else None for summary in row.errors.values()]
    costs = [row.costs.get(cost) for cost in COSTS]
    keys = [None, len(row.group.runs), first, *spread(row), *others, row.published, row.depth, *costs, None]
    shown = "".join(
        f"<td{'' if key is None else f' data-key={chr(34)}{key!r}{chr(34)}'}>{escape(cell)}</td>"
        for key, cell in zip(keys, cells(row), strict=True)
    )
    links = " ".join(
        f'<a href="{escape(link(run.path, out))}">{escape(block.removeprefix("seed="))}</a>'
        for block, run in row.group.runs.items()
    )
    return f"<tr{' class=best' if best else ''}>{shown}<td>{links}</td></tr>"


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    heading = f"<h2>{escape(title)}</h2>\n" if title else ""
    return heading + "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"
