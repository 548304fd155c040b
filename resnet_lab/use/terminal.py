"""What is said on the terminal: to stderr, since stdout is for results."""

import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_lab.rundir.stored_runs import unfinished
from resnet_lab.text import brief, plain_console, printable


def progress_bar(with_data: bool = False) -> Progress:
    """Return a progress bar on stderr, hidden if stderr is not a terminal.

    With `with_data`, results go to stdout meanwhile: it is also hidden if stdout is a terminal.
    """
    console = plain_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal or (with_data and sys.stdout.isatty())
    return Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=False)


def say_if_unfinished(run_dir: Path) -> None:
    """Say so if a run is not done, whose network is that of a stored epoch before the end."""
    if state := unfinished(run_dir):
        say(f"note: {printable(str(run_dir))} is {state}: this is its network after the last stored epoch")


def say(line: str) -> None:
    """Print a line to stderr."""
    print(brief(line), file=sys.stderr)
