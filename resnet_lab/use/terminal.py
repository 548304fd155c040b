"""What is said on the terminal: to stderr, since stdout is for results."""

import sys

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_lab.text import brief, plain_console


def progress_bar() -> Progress:
    """Return a progress bar on the terminal, which shows nothing if there is none."""
    console = plain_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=False)


def say(line: str) -> None:
    """Print a line to stderr."""
    print(brief(line), file=sys.stderr)
