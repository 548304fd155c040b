"""The command line: `python -m resnet_lab OVERRIDES…`."""

from __future__ import annotations

import os
import sys

import hydra

from resnet_lab.compose import COMPOSE_ERRORS, CONFIG_DIR, explain
from resnet_lab.ending import Interrupted, RunFailed, raise_on_signals
from resnet_lab.job import train


def main() -> None:
    """Run; exit status 1 with one message where a person should act, 128 + signal after a signal."""
    raise_on_signals()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on, instead of printing them
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(train)()
    except Interrupted as interrupted:
        sys.exit(interrupted.exit_status)
    except RunFailed as failed:
        sys.exit(str(failed))
    except (*COMPOSE_ERRORS, ValueError, OSError) as error:
        sys.exit(explain(error))


if __name__ == "__main__":
    main()
