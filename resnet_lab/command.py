"""What all commands share: their names, their parsers, how one begins, and how it ends.

A command's module imports nothing heavy until its options are parsed, so that a mistyped one is answered at once.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed, exit_on_signals, signals_kept

Main = Callable[[Sequence[str]], int]  # from arguments to an exit status

# `resnet-lab <verb>` and `python -m resnet_lab.<verb>`; every other word is an override of a training.
VERBS = {
    "summary": "print a network as a tree, with its size and its cost",
    "runs": "list runs, and remove checkpoints that nobody needs",
    "report": "compare runs, with error bars",
    "inspect": "look inside a trained network",
    "bench": "measure how fast a configuration trains, and how fast it could",
}


def parser(verb: str) -> argparse.ArgumentParser:
    """A parser with the name and the description of a verb."""
    return argparse.ArgumentParser(prog=f"resnet-lab {verb}", description=VERBS[verb], allow_abbrev=False)


def main_of(verb: str) -> Main:
    """The function that does what a verb says."""
    module = import_module(f"resnet_lab.{verb}")
    return getattr(module, "main", None) or import_module(f"resnet_lab.{verb}.__main__").main


def run_command(main: Main, arguments: Sequence[str] | None = None) -> NoReturn:
    """Call `main` with the arguments of the command line, and exit.

    The exit status is 0 when all is done, 1 after a message for a person, 2 for wrong usage (argparse), and
    128 + signal after Ctrl-C or SIGTERM.
    """
    with exit_on_signals():
        sys.exit(exit_status(main, sys.argv[1:] if arguments is None else arguments))


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
