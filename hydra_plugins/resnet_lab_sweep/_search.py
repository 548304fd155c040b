"""An Optuna search that can be continued: stored in a database, and completed by the same command.

Uses `_impl` of hydra-optuna-sweeper 1.3, because the public class only forwards its arguments to it: the search space
from overrides, `_parse_sweeper_params_config`, which returns what the settings add to it, and `_configure_trials`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_class
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from omegaconf import DictConfig, open_dict
from optuna.exceptions import StorageInternalError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import to_config
from resnet_lab.config.hydra_private import failure
from resnet_lab.config.registry import TASKS
from resnet_lab.config.tasks import Scoring
from resnet_lab.data.datamodule import ImageData
from resnet_lab.interrupts import Pruned, RunFailed, TimeUp
from resnet_lab.sweep.grid import shared
from resnet_lab.training.log import log, show_on_terminal

MAX_NAME = 512  # characters for the name of a study in Optuna's tables
REPEATED = "repeated"  # attribute of a study: the number of its interrupted trials, which are repeated as new trials


class Searching(OptunaSweeperImpl):
    """The search of hydra-optuna-sweeper for the minimum of `objective`, or the Pareto front of several.

    The original would run `n_trials` more after a kill, drop the trials in progress, and know no pruner.
    """

    storage: str | None
    study_name: str | None
    n_trials: int
    n_jobs: int
    max_failure_rate: float

    def __init__(self, pruner: BasePruner | None, **settings: Any) -> None:
        super().__init__(direction=None, search_space=None, custom_search_space=None, **settings)
        self.pruner = pruner

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the launcher and the study's storage. Raises ConfigError if there is nothing to minimise."""
        if config.dry_run:
            raise ConfigError("dry_run=true: a search cannot list its jobs, since each depends on earlier results")
        for name in ("n_trials", "n_jobs"):
            if not (isinstance(value := getattr(self, name), int) and value > 0):
                raise ConfigError(f"hydra.sweeper.{name} must be a whole number above 0, got {value}")
        self.scoring = TASKS.info(config.task).scoring
        score = self.scoring.score
        if not config.objective and config.data.validation == 0:
            raise ConfigError(f"data.validation is 0, so there is no validation {score} to minimise")
        if not isinstance(self.sampler, BaseSampler):
            raise ConfigError("hydra/sweeper/sampler=grid is not a search: use hydra/sweeper=grid instead")
        self.objectives = list(config.objective) or [f"val_{score}"]
        if self.pruner is not None:
            self._refuse_pruner_unless_possible(f"val_{score}", config.hydra.launcher["_target_"])
        show_on_terminal()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        if f"val_{score}" in self.objectives:
            _refuse_too_few_images(config)
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
        directions = ["minimize"] * len(self.objectives)
        options = {"sampler": self.sampler, "pruner": self.pruner, "directions": directions, "load_if_exists": True}
        try:
            study = optuna.create_study(study_name=self.study_name, storage=self.storage, **options)
        except (ImportError, SQLAlchemyError, StorageInternalError) as error:
            raise ConfigError(f"hydra.sweeper.storage={self.storage} cannot be opened: {error}") from error
        ended = _take_over(study)
        if ended:
            self.sampler.reseed_rng()  # else a seeded sampler would repeat its first proposals
        log.info("%s, study %s: %d of %d trials have ended", self.storage, self.study_name, ended, self.n_trials)
        stopped = self._run_trials(study, self.n_trials - ended, arguments)
        best = [
            _describe(trial, self.objectives) for trial in sorted(study.best_trials, key=lambda trial: trial.values)
        ]
        for line in dict.fromkeys(best):  # a trial may occur twice
            log.info("best: %s", line)
        if stopped:
            raise RunFailed("\n".join(shared(stopped, self.n_trials, "stopped, to be continued")))
        if not best:
            raise RunFailed(f"none of {self.n_trials} trials succeeded")

    def _run_trials(self, study: optuna.Study, wanted: int, arguments: list[str]) -> dict[str, str]:
        """Run trials, `n_jobs` at once. Return those that have reached trainer.max_time, each with the reason.

        Raises RunFailed if more than `max_failure_rate` of the trials that ran at once failed.
        """
        space, fixed = create_params_from_overrides([*self._parse_sweeper_params_config(), *arguments])
        space = {name: values for name, values in space.items() if name not in fixed}  # as in the original
        stopped: dict[str, str] = {}
        for first in range(0, wanted, self.n_jobs):
            trials = [study.ask() for _ in range(min(self.n_jobs, wanted - first))]
            jobs = self._configure_trials(trials, space, fixed)
            if self.pruner is not None:
                self.launcher.judge = Judge(trials, self.scoring)
            returns = self.launcher.launch(jobs, initial_job_idx=first)
            num_failed = 0
            for trial, returned in zip(trials, returns, strict=True):
                error = failure(returned)
                if isinstance(error, TimeUp):  # for Optuna it still runs, so that the next call repeats it
                    stopped[_values(trial)] = str(error)
                else:
                    num_failed += not _tell(study, trial, returned)
            if num_failed > self.max_failure_rate * len(trials):
                limit = f"hydra.sweeper.max_failure_rate={self.max_failure_rate:g}"
                raise RunFailed(f"{num_failed} of {len(trials)} parallel trials failed, more than {limit} allows")
        return stopped

    def _refuse_pruner_unless_possible(self, val_score: str, launcher: str) -> None:
        if not isinstance(self.pruner, BasePruner):
            raise ConfigError("a pruner is chosen as hydra/sweeper/pruner=median, or halving")
        if self.objectives != [val_score]:
            raise ConfigError(
                f"hydra/sweeper/pruner compares validation scores: it needs objective=[{val_score}], got "
                f"[{','.join(self.objectives)}]"
            )
        if not hasattr(get_class(launcher), "judge"):  # it is not made yet: SLURM's creates a folder
            raise ConfigError(
                "hydra/sweeper/pruner needs hydra/launcher=local: jobs elsewhere do not tell the search of their epochs"
            )


class Judge:
    """Asks the study's pruner after each epoch of its trials, which have the numbers of their jobs."""

    def __init__(self, trials: Sequence[Trial], scoring: Scoring) -> None:
        self.trials, self.scoring = trials, scoring
        self.reported = Counter[int]()  # epochs of each trial

    def __call__(self, number: int, val_scores: list[float]) -> str:
        """Return why a trial has to stop; empty if it may go on.

        Of a run that continues, the pruner sees one epoch after the other, as of any run.
        """
        trial = self.trials[number]
        while (epoch := self.reported[number]) < len(val_scores):
            score = val_scores[epoch]
            self.reported[number] += 1
            trial.report(score, epoch + 1)
            if trial.should_prune():
                name = type(trial.study.pruner).__name__
                return f"stopped after epoch {epoch + 1} by {name}: val {self.scoring.score} {self.scoring.text(score)}"
        return ""


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
    ended = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    return len(study.get_trials(deepcopy=False, states=ended)) - repeated


def _tell(study: optuna.Study, trial: Trial, returned: JobReturn) -> bool:
    """Tell Optuna how a trial has ended; return whether it did not fail."""
    error = failure(returned)
    if isinstance(error, Pruned):
        study.tell(trial, state=TrialState.PRUNED)
        return True
    if not error:
        try:
            study.tell(trial, returned.return_value)
            return True
        except ValueError as no_number:
            log.warning("%s: %s", _values(trial), no_number)
    study.tell(trial, state=TrialState.FAIL)
    return False


def _describe(trial: optuna.trial.FrozenTrial, objectives: list[str]) -> str:
    scores = ", ".join(f"{name} {value:g}" for name, value in zip(objectives, trial.values, strict=True))
    return f"{scores} with {_values(trial)}"


def _values(trial: optuna.trial.BaseTrial) -> str:
    return " ".join(f"{name}={value}" for name, value in trial.params.items())


def _name(overrides: list[str]) -> str:
    name = " ".join(sorted(overrides))
    return name if len(name) <= MAX_NAME else hashlib.sha256(name.encode()).hexdigest()
