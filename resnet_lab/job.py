"""The function that Hydra calls for a single run or a sweep job; returns what a search minimises."""

import sys
from typing import TYPE_CHECKING, Any

from hydra.types import RunMode
from omegaconf import DictConfig

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import to_config, use_config_dirs
from resnet_lab.config.enums import EpochLog
from resnet_lab.config.hydra_private import app
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed, TimeUp, unexpected
from resnet_lab.text import brief, visible

if TYPE_CHECKING:
    from pytorch_lightning import Callback

Objective = float | tuple[float, ...] | None


def train(composed: DictConfig, progress: "Callback | None" = None) -> Objective:
    """Train, continue or look up the configured run; `progress` replaces the progress bar.

    Return the numbers that `config.objective` names; None after a dry run. If the run fails or cannot start, a command
    exits with the message, and a sweep job raises ConfigError or RunFailed.
    """
    try:
        use_config_dirs(app())
        config = to_config(composed)
        if app().mode is RunMode.MULTIRUN:
            config.trainer.refuse_devices_of_others(app().launcher)

        from resnet_lab.callbacks.progress import ProgressBar  # imports torch, for which --help must not wait
        from resnet_lab.training.log import show_on_terminal
        from resnet_lab.training.result import format_result
        from resnet_lab.training.run import run

        show_on_terminal()
        shown = config.trainer.log
        if app().mode is RunMode.MULTIRUN and shown is EpochLog.auto:  # a job on a cluster writes its epochs to run.log
            shown = EpochLog.off
        result = run(config, callbacks(config, progress or ProgressBar(shown)), sweeper())
    except Exception as error:
        if app().mode is not RunMode.RUN:
            raise
        if isinstance(error, TimeUp):
            print(brief(str(error)), file=sys.stderr)
            sys.exit(TimeUp.exit_status)
        # If the error were raised, Hydra would print more lines.
        sys.exit(brief(str(error) if isinstance(error, (ConfigError, RunFailed, OSError)) else unexpected(error)))
    if not result:
        return None
    print(visible(format_result(result)))
    return objective(result, config.objective)


def sweeper() -> str | None:
    """Return the sweeper that started this job, as in `hydra/sweeper=search`; None for a single run."""
    return app().runtime.choices["hydra/sweeper"] if app().mode is RunMode.MULTIRUN else None


def callbacks(config: Config, progress: "Callback | None" = None) -> list["Callback"]:
    """Return the callbacks of a command-line run; `progress` replaces the progress bar."""
    from resnet_lab.callbacks.dashboard import Dashboard
    from resnet_lab.callbacks.diagnostics import diagnostics
    from resnet_lab.callbacks.progress import ProgressBar

    return [Dashboard(config), *diagnostics(config), progress or ProgressBar(config.trainer.log)]


def objective(result: dict[str, Any], names: list[str]) -> Objective:
    """Return the numbers to minimise, as a tuple if there are several. Default: the validation score."""
    score = f"val_{result['task']['score']}"
    numbers = result | {score: result["last"][score]}
    chosen = tuple(numbers[name] for name in names or [score])
    return chosen if len(chosen) > 1 else chosen[0]
