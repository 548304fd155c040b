"""`resnet-lab data [--clear]`: list the decoded images in the user's cache folder, and remove them."""

import argparse
from collections.abc import Sequence

from resnet_lab import command

WIDTH = 200  # characters, if the output is not a terminal


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("data")
    made.add_argument("--clear", action="store_true", help="remove all of them; asks first")
    made.add_argument("--yes", action="store_true", help="remove without asking")
    return made


def main(arguments: Sequence[str]) -> int:
    """List the cache or clear it. Raises ConfigError if it cannot ask."""
    made = parser()
    options = made.parse_args(arguments)
    if options.yes and not options.clear:
        made.error("--yes needs --clear")

    from resnet_lab.data import cached
    from resnet_lab.text import plain_console

    entries = cached.entries()
    plain_console(WIDTH).print(cached.table(entries))
    if options.clear and entries and command.confirmed("remove all of them?", "--clear", options.yes):
        for entry in entries:
            if not cached.remove(entry):
                print(f"skipped: another process is decoding into {entry}")
        cached.remove_digests()
    return 0


if __name__ == "__main__":
    command.run_command(main)
