"""What all commands share: how one begins, and how it ends."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed, exit_on_signals, signals_kept

Main = Callable[[Sequence[str]], int]  # from arguments to an exit status


def run_command(main: Main) -> NoReturn:
    """Do what the command line asks `main` for, and exit: 128 + signal after Ctrl-C and SIGTERM, with one line."""
    with exit_on_signals():
        sys.exit(exit_status(main, sys.argv[1:]))


def exit_status(main: Main, arguments: Sequence[str]) -> int:
    """What `main` returns; 1, with one message in stderr, where it raises what a person can mend.

    Raises Interrupted.
    """
    try:
        with signals_kept():
            return main(arguments)
    except (ConfigError, RunFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
