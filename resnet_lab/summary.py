"""`python -m resnet_lab.summary [--json] OVERRIDES…`: the network as a tree, its size and what it costs."""

import json
import sys
from collections.abc import Sequence

from resnet_lab.command import run_command
from resnet_lab.config.compose import load_config
from resnet_lab.tasks.cost import measure, tree
from resnet_lab.text import plain_console

USAGE = "usage: python -m resnet_lab.summary [--json] OVERRIDES…, for example +experiment=cifar10_56 bottleneck=half"
WIDTH = 110  # characters, where the output is not a terminal


def main(arguments: Sequence[str]) -> int:
    """Print the summary. Raises ConfigError when a setting is wrong."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    overrides = [argument for argument in arguments if argument != "--json"]
    config = load_config(*overrides)
    cost = measure(config)
    if "--json" in arguments:
        print(json.dumps(cost.totals()))
        print(*(f"{warning}\n" for warning in cost.warnings()), sep="", end="", file=sys.stderr)
    else:
        plain_console(WIDTH).print(tree(config, cost))
    return 0


if __name__ == "__main__":
    run_command(main)
