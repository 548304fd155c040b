"""An Optuna search that can be continued: stored in a database, and completed by the same command.

Uses `_impl` of hydra-optuna-sweeper 1.3, because the public class only forwards its arguments to it, and
`_parse_sweeper_params_config`, which returns what the settings add to the search space.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
from omegaconf import DictConfig, open_dict
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import to_config
from resnet_lab.config.registry import TASKS
from resnet_lab.data.datamodule import ImageData
from resnet_lab.interrupts import RunFailed
from resnet_lab.training.log import log, show_on_terminal

MAX_NAME = 512  # characters for the name of a study in Optuna's tables
REPEATED = "repeated"  # attribute of a study: the number of its interrupted trials, which are repeated as new trials


class Searching(OptunaSweeperImpl):
    """The search of hydra-optuna-sweeper for the minimum of `objective`, or the Pareto front of several.

    The original would run `n_trials` more after a kill, and drop the trials in progress.
    """

    storage: str | None
    study_name: str | None
    n_trials: int
    n_jobs: int

    def __init__(self, **settings: Any) -> None:
        super().__init__(direction=None, search_space=None, custom_search_space=None, **settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the launcher and the study's storage. Raises ConfigError if there is nothing to minimise."""
        if config.dry_run:
            raise ConfigError("dry_run=true: a search cannot list its jobs, since each depends on earlier results")
        for name in ("n_trials", "n_jobs"):
            if not (isinstance(value := getattr(self, name), int) and value > 0):
                raise ConfigError(f"hydra.sweeper.{name} must be a whole number above 0, got {value}")
        score = TASKS.info(config.task).score
        if not config.objective and config.data.validation == 0:
            raise ConfigError(f"data.validation is 0, so there is no validation {score} to minimise")
        if not isinstance(self.sampler, BaseSampler):
            raise ConfigError("hydra/sweeper/sampler=grid is not a search: use hydra/sweeper=grid instead")
        show_on_terminal()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.objectives = list(config.objective) or [f"val_{score}"]
        if f"val_{score}" in self.objectives:
            _refuse_too_few_images(config)
        self.direction = ["minimize"] * len(self.objectives)
        self.output_dir = output_dir = Path(config.output_dir).expanduser()
        for folder in (output_dir, Path(config.hydra.sweep.dir)):  # the sweeper writes a summary to the latter
            folder.mkdir(parents=True, exist_ok=True)
        self.storage = self.storage or f"sqlite:///{output_dir}/searches.db"

    def sweep(self, arguments: list[str]) -> None:
        """Run the missing trials of the study, and log the best ones.

        Raises RunFailed if no trial succeeded, and ConfigError if another process works on the study.
        """
        self.study_name = self.study_name or _name([*self._parse_sweeper_params_config(), *arguments])
        with _alone(self.output_dir, f"{self.storage}, study {self.study_name}"):
            self._search(arguments)

    def _search(self, arguments: list[str]) -> None:
        try:
            study = optuna.create_study(
                study_name=self.study_name, storage=self.storage, directions=self.direction, load_if_exists=True
            )
        except (ImportError, SQLAlchemyError, StorageInternalError) as error:
            raise ConfigError(f"hydra.sweeper.storage={self.storage} cannot be opened: {error}") from error
        ended = _take_over(study)
        if ended:
            self.sampler.reseed_rng()  # else a seeded sampler would repeat its first proposals
        log.info("%s, study %s: %d of %d trials have ended", self.storage, self.study_name, ended, self.n_trials)
        wanted = self.n_trials
        self.n_trials = max(0, wanted - ended)
        try:
            super().sweep(arguments)
        except ValueError as error:
            failed = study.get_trials(deepcopy=False, states=[TrialState.FAIL])
            # If all trials failed, there is no best one. Any other ValueError means a wrong setting or search space.
            if len(failed) == len(study.trials) >= wanted:
                raise RunFailed(f"none of {wanted} trials succeeded") from error
            raise
        best = [
            _describe(trial, self.objectives) for trial in sorted(study.best_trials, key=lambda trial: trial.values)
        ]
        for line in dict.fromkeys(best):  # a trial may occur twice
            log.info("best: %s", line)


def _refuse_too_few_images(config: DictConfig) -> None:
    """Raise ConfigError if own images are too few to hold out a validation part."""
    composed = config.copy()
    with open_dict(composed):
        composed.pop("hydra")
    checked = to_config(composed)
    if checked.data.own_images and not len(ImageData(checked).validation_rows):
        raise ConfigError(f"{checked.data.folder} has too few images for the validation part that a search needs")


@contextmanager
def _alone(output_dir: Path, study: str) -> Iterator[None]:
    """Lock the study: a second process would mistake running trials for those of a killed search."""
    lock = FileLock(output_dir / f".search-{hashlib.sha256(study.encode()).hexdigest()[:16]}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(f"another process is running {study}: wait until it ends, then continue the search") from None
    try:
        yield
    finally:
        lock.release()


def _take_over(study: optuna.Study) -> int:
    """Return the number of ended trials; queue those that a killed search was running, with the same values."""
    interrupted = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    repeated: int = study.user_attrs.get(REPEATED, 0) + len(interrupted)
    study.set_user_attr(REPEATED, repeated)
    for trial in interrupted:
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)
    return len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.FAIL])) - repeated


def _describe(trial: optuna.trial.FrozenTrial, objectives: list[str]) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in zip(objectives, trial.values, strict=True))
    return f"{values} with {' '.join(f'{name}={value}' for name, value in trial.params.items())}"


def _name(overrides: list[str]) -> str:
    name = " ".join(sorted(overrides))
    return name if len(name) <= MAX_NAME else hashlib.sha256(name.encode()).hexdigest()
