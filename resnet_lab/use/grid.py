"""A table of an evaluation, for the terminal and for the HTML page."""

from dataclasses import dataclass

from rich.table import Table

MOST_ROWS = 20  # classes or attributes in a table


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table."""

    header: list[str]
    rows: list[list[str]]

    def table(self) -> Table:
        """Return the table for a terminal."""
        made = Table(box=None, pad_edge=False, header_style="bold")
        for name in self.header:
            made.add_column(name, justify="right" if made.columns else "left", overflow="fold")
        for row in self.rows:
            made.add_row(*row)
        return made
