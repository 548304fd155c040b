"""Hydra's entry point: `python -m resnet_lab OVERRIDES…`."""

from __future__ import annotations

import os
import sys
import traceback

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from resnet_lab.compose import COMPOSE_ERRORS, CONFIG_DIR, explain, refuse_several_options, to_config
from resnet_lab.config import ConfigError
from resnet_lab.ending import Interrupted, RunFailed, raise_on_signals

jobs: list[str] = []  # the overrides of every job that was begun
failures: dict[str, str] = {}  # of those that failed, why


@hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")
def train(composed: DictConfig) -> float | None:
    """One run; the last validation error in percent, for sweepers that search. A failed job lets the others go on."""
    jobs.append(" ".join(HydraConfig.get().overrides.task))
    try:
        return _train(composed)
    except (ConfigError, RunFailed) as error:
        failures[jobs[-1]] = str(error)
        print(error, file=sys.stderr)
    except Exception as error:  # a mistake of the lab's, for whoever mends it
        failures[jobs[-1]] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    return None


def _train(composed: DictConfig) -> float | None:
    overrides = list(HydraConfig.get().overrides.task)
    refuse_several_options(overrides)
    config = to_config(composed)

    from resnet_lab.callbacks.dashboard import Dashboard  # torch takes seconds, which --help need not wait for
    from resnet_lab.callbacks.progress import ProgressBar
    from resnet_lab.training.log import show_on_terminal
    from resnet_lab.training.run import headline, run

    show_on_terminal()
    result = run(config, overrides, [Dashboard(config), ProgressBar()])
    if not result:
        return None
    print(headline(result))
    val_error: float | None = result["last"]["val_error"]
    return val_error


def main() -> None:
    """Run; exit status 1 with one message where a person should act, 128 + signal after a signal."""
    raise_on_signals()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on, instead of printing them
    try:
        train()
    except Interrupted as interrupted:
        sys.exit(interrupted.exit_status)
    except (*COMPOSE_ERRORS, ValueError, OSError) as error:  # of Hydra itself; `train` lets none of a job's pass
        sys.exit(explain(error))
    if failures and len(jobs) > 1:
        print(f"\n{len(failures)} of {len(jobs)} jobs failed:", file=sys.stderr)
        for overrides, why in failures.items():
            print(f"  {overrides}: {why}", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
