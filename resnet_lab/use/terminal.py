"""What is said on the terminal: to stderr, since stdout is for results."""

import sys

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_lab.text import brief, plain_console


def progress_bar(with_data: bool = False) -> Progress:
    """Return a progress bar on stderr, hidden if stderr is not a terminal.

    With `with_data`, results go to stdout meanwhile: it is also hidden if stdout is a terminal.
    """
    console = plain_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal or (with_data and sys.stdout.isatty())
    return Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=False)


def say(line: str) -> None:
    """Print a line to stderr."""
    print(brief(line), file=sys.stderr)
