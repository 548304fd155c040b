"""Command line: `resnet-lab OVERRIDES…` trains, `resnet-lab <verb>` runs another command."""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from resnet_lab.command import VERBS, main_of, run_command
from resnet_lab.config.checks import ConfigError
from resnet_lab.version import __version__


def main() -> NoReturn:
    """Run the command line; installed as `resnet-lab`."""
    run_command(_main)


def _main(arguments: Sequence[str]) -> int:
    """Run a verb, or compose and train, for which Hydra reads `sys.argv`. Raises ConfigError, RunFailed and OSError."""
    if arguments and arguments[0] in VERBS:
        return main_of(arguments[0])(arguments[1:])
    if list(arguments) == ["--version"]:
        print(f"resnet-lab {__version__}")
        return 0

    if arguments and (close := get_close_matches(arguments[0], VERBS, n=1, cutoff=0.75)):
        raise ConfigError(f"there is no command {arguments[0]}; did you mean resnet-lab {close[0]}?")

    import hydra

    from resnet_lab.config.compose import prepare, with_numbered_options
    from resnet_lab.config.groups import CONFIG_DIR
    from resnet_lab.config.hydra_private import hand_on_errors, options_apart
    from resnet_lab.config.messages import COMPOSE_ERRORS, explain
    from resnet_lab.job import train

    hand_on_errors()
    try:
        options, overrides = options_apart(arguments)
        sys.argv = ["resnet-lab", *options, *prepare(overrides)]
        with_numbered_options(hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(train))
    except (*COMPOSE_ERRORS, ValueError) as error:
        raise ConfigError(explain(error)) from error
    return 0


if __name__ == "__main__":
    main()
