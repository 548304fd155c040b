"""`python -m resnet_lab.summary [--json] OVERRIDES…`: the network as a tree, its size and what it costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.console import Console

from resnet_lab.compose import load_config
from resnet_lab.config import ConfigError
from resnet_lab.model.summary import measure, tree

USAGE = "usage: python -m resnet_lab.summary [--json] OVERRIDES…, for example +experiment=cifar10_56 bottleneck=half"
WIDTH = 110  # characters, where the output is not a terminal


def main(arguments: Sequence[str]) -> int:
    """Print the summary; the exit status is 1, with one message, when a setting is wrong."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    overrides = [argument for argument in arguments if argument != "--json"]
    try:
        config = load_config(*overrides)
        cost = measure(config, overrides)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    if "--json" in arguments:
        print(json.dumps(cost.totals()))
    else:
        console = Console()
        (console if console.is_terminal else Console(width=WIDTH)).print(tree(config, cost))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
