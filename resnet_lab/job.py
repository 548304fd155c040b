"""What Hydra calls for a run, be it alone or a job of a sweep: from what it composed to what a search minimises."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from resnet_lab.compose import refuse_several_options, to_config
from resnet_lab.config import Config, ConfigError
from resnet_lab.ending import RunFailed

if TYPE_CHECKING:
    from pytorch_lightning import Callback

Objective = float | tuple[float, ...] | None


def train(composed: DictConfig, progress: Callback | None = None) -> Objective:
    """Train, continue, or look up what is configured; `progress` shows it in place of the bar on the terminal.

    Returns `config.objective` of the result. A run that cannot be or that fails ends a command with its message; as a
    job of a sweep it raises ConfigError or RunFailed.
    """
    try:
        return _train(composed, progress)
    except (ConfigError, RunFailed) as error:
        if HydraConfig.get().mode is RunMode.RUN:
            sys.exit(str(error))  # Hydra would add lines of its own
        raise


def _train(composed: DictConfig, progress: Callback | None) -> Objective:
    overrides = list(HydraConfig.get().overrides.task)
    refuse_several_options(overrides)
    config = to_config(composed)

    from resnet_lab.training.log import show_on_terminal  # torch takes seconds, which --help need not wait for
    from resnet_lab.training.run import headline, run

    show_on_terminal()
    result = run(config, overrides, callbacks(config, progress))
    if not result:
        return None
    print(headline(result))
    return objective(result, config.objective)


def callbacks(config: Config, progress: Callback | None = None) -> list[Callback]:
    """What accompanies a run from the command line; `progress` in place of the bar on the terminal."""
    from resnet_lab.callbacks.dashboard import Dashboard
    from resnet_lab.callbacks.diagnostics import diagnostics
    from resnet_lab.callbacks.progress import ProgressBar

    return [Dashboard(config), *diagnostics(config), progress or ProgressBar()]


def objective(result: dict[str, Any], names: list[str]) -> Objective:
    """The numbers of a result that are to be minimised: one, or several as a tuple; by default the validation error."""
    numbers = result | {"val_error": result["last"]["val_error"]}
    chosen = tuple(numbers[name] for name in names or ["val_error"])
    return chosen if len(chosen) > 1 else chosen[0]
