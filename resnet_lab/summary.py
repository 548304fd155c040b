"""`resnet-lab summary [--json] OVERRIDES…`: print a network as a tree, with its size and cost."""

import argparse
import json
import sys
from collections.abc import Sequence

from resnet_lab import command

WIDTH = 110  # characters, if the output is not a terminal


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("summary")
    made.add_argument("overrides", nargs="*", default=[], metavar="OVERRIDES", help="as for training")
    made.add_argument("--json", action="store_true", help="print the totals as JSON")
    return made


def main(arguments: Sequence[str]) -> int:
    """Print the summary. Raises ConfigError when a setting is wrong."""
    options = parser().parse_intermixed_args(arguments)

    from resnet_lab.config.compose import load_config

    config = load_config(*options.overrides)

    from resnet_lab.tasks.cost import measure, parts, tree  # imports torch, which takes seconds
    from resnet_lab.text import plain_console

    cost = measure(config)
    if options.json:
        print(json.dumps(cost.totals() | parts(config, cost)))
        print(*(f"{warning}\n" for warning in cost.warnings()), sep="", end="", file=sys.stderr)
    else:
        plain_console(WIDTH).print(tree(config, cost))
    return 0


if __name__ == "__main__":
    command.run_command(main)
