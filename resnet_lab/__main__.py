"""The command line: `python -m resnet_lab OVERRIDES…`."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import hydra

from resnet_lab.command import run_command
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import prepare, with_numbers
from resnet_lab.config.groups import CONFIG_DIR
from resnet_lab.config.hydra_private import hand_on_errors
from resnet_lab.config.messages import COMPOSE_ERRORS, explain
from resnet_lab.job import train


def main() -> NoReturn:
    """The command, which is installed as `resnet-lab`."""
    run_command(_compose_and_train)


def _compose_and_train(arguments: Sequence[str]) -> int:
    """Hydra takes the arguments from the command line itself. Raises ConfigError, RunFailed and OSError."""
    hand_on_errors()
    try:
        sys.argv[1:] = prepare(arguments)
        with_numbers(hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(train))
    except (*COMPOSE_ERRORS, ValueError) as error:
        raise ConfigError(explain(error)) from error
    return 0


if __name__ == "__main__":
    main()
