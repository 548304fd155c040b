"""Common parts of all commands: names, parsers, start and exit.

A command's module imports nothing heavy before its options are parsed, so that typos are reported at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Weights
from resnet_lab.interrupts import RunFailed, exit_on_signals, signals_kept, unexpected
from resnet_lab.text import Parser, brief

Main = Callable[[Sequence[str]], int]  # arguments -> exit status

# `resnet-lab <verb>` and `python -m resnet_lab.<verb>`; any other word is an override for training.
VERBS = {
    "summary": "print a network as a tree, with its size and cost",
    "runs": "list runs, and remove checkpoints that are no longer needed",
    "data": "list decoded images in the cache, and remove them",
    "report": "compare runs, with error bars",
    "dashboard": "open TensorBoard on runs, named by what varies among them",
    "inspect": "look inside a trained network",
    "predict": "classify images with a trained network",
    "evaluate": "test trained networks, also on other or corrupted images, and compare them",
    "export": "write a trained network to one file, for other programs",
    "find_lr": "find a learning rate, by training while it grows",
    "bench": "measure how fast a configuration trains, and how fast it could",
}


def parser(verb: str) -> argparse.ArgumentParser:
    """Return a parser with the name and description of a verb."""
    return Parser(prog=f"resnet-lab {verb}", description=VERBS[verb], allow_abbrev=False)


def add_checkpoint(made: argparse.ArgumentParser) -> None:
    """Add the option that chooses the weights of a run."""
    meaning = "; ".join(f"{weights.name}: {weights.value}" for weights in Weights)
    made.add_argument("--checkpoint", choices=Weights.__members__, default=Weights.last.name, help=meaning)


def confirmed(question: str, option: str, yes: bool) -> bool:
    """Return whether to go on: with --yes always, otherwise what the user answers.

    Raises ConfigError, naming the option that asks, if there is no terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(f"{option} asks before removing anything, but there is no terminal: add --yes")
    from rich.prompt import Confirm  # needed by few commands

    return Confirm.ask(question, default=False)


def main_of(verb: str) -> Main:
    """Return the `main` function of a verb."""
    module = import_module(f"resnet_lab.{verb}")
    return getattr(module, "main", None) or import_module(f"resnet_lab.{verb}.__main__").main


def run_command(main: Main) -> NoReturn:
    """Call `main` with the command-line arguments, and exit.

    Exit status: 0 on success, 1 after an error message, 2 for wrong usage (argparse), 128 + signal after Ctrl-C or
    SIGTERM.
    """
    with exit_on_signals():
        sys.exit(exit_status(main, sys.argv[1:]))


def exit_status(main: Main, arguments: Sequence[str]) -> int:
    """Return the status of `main`; for errors, print one message to stderr and return 1, for a closed pipe none.

    The traceback of an error that nobody expected goes to a file, which the message names. Raises Interrupted.
    """
    try:
        with signals_kept():
            status = main(arguments)
            sys.stdout.flush()
            return status
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # of what is flushed at the exit
        return 1
    except (ConfigError, RunFailed, OSError) as error:
        print(brief(str(error)), file=sys.stderr)
    except Exception as error:
        print(brief(unexpected(error)), file=sys.stderr)
    return 1
