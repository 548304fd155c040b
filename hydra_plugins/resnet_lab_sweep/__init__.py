"""Launchers and sweepers of the lab, where Hydra looks for plugins.

Hydra imports this file at every start, but not the modules next to it, whose names begin with an underscore. Engines
are imported when a multirun starts: the lab's own engine is `resnet_lab.sweep`; those for SLURM, Ray and Optuna are in
this folder, extend other Hydra plugins, and are optional extras.
"""

import multiprocessing
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import GROUPS
from resnet_lab.config.hydra_private import combinations, parsed
from resnet_lab.config.messages import needs_extra
from resnet_lab.sweep.axes import split
from resnet_lab.sweep.composer import Composer, changed

TOTALS = ("macs", "params", "activations")  # of a network: what a budget keeps

if TYPE_CHECKING:
    from resnet_lab.sweep.launch import Judge


class LocalLauncher(Launcher):
    """Run jobs in parallel on this machine, each in a fresh process with its share of GPUs and CPU threads."""

    judge: "Judge | None" = None  # set by a search that stops jobs

    def __init__(
        self, jobs: int | None, jobs_per_gpu: int, gpus_per_job: int, time_limit: float | None, mps: bool
    ) -> None:
        self.jobs, self.jobs_per_gpu, self.gpus_per_job = jobs, jobs_per_gpu, gpus_per_job
        self.time_limit, self.mps = time_limit, mps

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings. Raises ConfigError."""
        if "forkserver" not in multiprocessing.get_all_start_methods():
            raise ConfigError("-m needs Linux or macOS: on this system, start each run separately")
        _refuse_unless_positive(self.jobs, self.jobs_per_gpu, self.gpus_per_job, self.time_limit)
        if not isinstance(self.mps, bool):
            raise ConfigError(f"hydra.launcher.mps must be true or false, got {self.mps}")
        self.sweep = (hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Return the result of every job, in order."""
        from resnet_lab.sweep.launch import Launch

        places = self.jobs, self.jobs_per_gpu, self.gpus_per_job
        launching = Launch(*self.sweep, *places, self.time_limit, self.mps, self.judge)
        return launching.run([list(overrides) for overrides in job_overrides], initial_job_idx)


class _Engine(Launcher):
    """A launcher that wraps one from an optional extra; the wrapped launcher is imported when a sweep starts."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def engine(self) -> Any:
        """Import the launcher, and make it with the settings. Raises ConfigError without the extra."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings. Raises ConfigError."""
        self.launching = self.engine()
        self.launching.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Return the result of every job, in order."""
        return self.launching.launch(job_overrides, initial_job_idx)


class Slurm(_Engine):
    """Run jobs on a SLURM cluster; needs the extra `slurm`."""

    def engine(self) -> Any:
        with _extra("slurm"):
            from hydra_plugins.resnet_lab_sweep._slurm import SlurmLaunch
        return SlurmLaunch(**self.settings)


class Ray(_Engine):
    """Run jobs on a Ray cluster; needs the extra `ray`."""

    def engine(self) -> Any:
        with _extra("ray"):
            from hydra_plugins.resnet_lab_sweep._ray import RayLaunch
        return RayLaunch(**self.settings)


class _Jobs(Sweeper):
    """Run a list of jobs. Skip runs that are done; a failure does not stop the rest."""

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings and set up the launcher. Raises ConfigError."""
        self.check()
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, and launch unfinished jobs, longest first. Raises RunFailed with a list of failures."""
        assert self.hydra_context
        assert self.config
        assert self.launcher
        params = [f"{name}={values}" for name, values in self.params.items()]
        composer = Composer(self.hydra_context, self.config)
        jobs = self.jobs(composer, [*params, *arguments])

        from resnet_lab.sweep.grid import sweep  # imports torch

        return sweep(composer, self.launcher, jobs)

    @abstractmethod
    def check(self) -> None:
        """Check the settings. Raises ConfigError."""

    @abstractmethod
    def jobs(self, composer: Composer, overrides: list[str]) -> list[list[str]]:
        """Return the overrides of each job. Raises ConfigError, or an error of Hydra for typos."""


class Grid(_Jobs):
    """Run every combination of the given values; with a budget, with the filters that keep the cost."""

    def __init__(self, params: dict[str, str], budget: str | None, budget_of: str | None) -> None:
        super().__init__(params)
        self.budget, self.budget_of = budget, budget_of

    def check(self) -> None:
        """Check the budget. Raises ConfigError."""
        if self.budget not in (None, *TOTALS):
            raise ConfigError(f"hydra.sweeper.budget can be {', '.join(TOTALS)} or null, got {self.budget}")
        if self.budget_of is not None and self.budget is None:
            raise ConfigError("hydra.sweeper.budget_of names the reference of a budget: add hydra.sweeper.budget=macs")

    def jobs(self, composer: Composer, overrides: list[str]) -> list[list[str]]:
        """Return all combinations. Raises ConfigError, or an error of Hydra for typos."""
        jobs = combinations(composer.hydra_context, overrides)
        for job in _each_option_once(jobs):  # report typos before importing torch
            composer(job)
        if self.budget is None:
            return jobs
        references = combinations(composer.hydra_context, str(self.budget_of or "").split())
        if len(references) > 1:
            raise ConfigError(f"hydra.sweeper.budget_of must be the overrides of one network, got {self.budget_of}")

        from resnet_lab.sweep.budget import matched

        return matched(composer, jobs, self.budget, references[0])


class Population(_Jobs):
    """Run architectures that are drawn at random, each with every seed."""

    def __init__(self, params: dict[str, str], n: int, seed: int, limits: dict[str, Sequence[float] | None]) -> None:
        super().__init__(params)
        self.n, self.seed = n, seed
        self.limits = {name: bounds for name, bounds in limits.items() if bounds is not None}

    def check(self) -> None:
        """Check the settings. Raises ConfigError."""
        for name, value, least in (("n", self.n, 1), ("seed", self.seed, 0)):
            if type(value) is not int or value < least:
                raise ConfigError(f"hydra.sweeper.{name} must be a whole number of at least {least}, got {value}")
        for name, bounds in self.limits.items():
            numbers = [*bounds] if isinstance(bounds, Sequence) and not isinstance(bounds, str) else []
            if not (len(numbers) == 2 and all(type(n) in (int, float) for n in numbers) and numbers[0] <= numbers[1]):
                raise ConfigError(f"hydra.sweeper.limits.{name} must be [least,most], as in [20e6,40e6], got {bounds}")

    def jobs(self, composer: Composer, overrides: list[str]) -> list[list[str]]:
        """Draw the architectures. Raises ConfigError, or an error of Hydra for typos."""
        axes, others = split(parsed(composer.hydra_context, overrides))
        repetitions = combinations(composer.hydra_context, others)
        composer(changed(repetitions[0], [f"{axis.name}={axis.value(0)}" for axis in axes]))  # typos, before torch

        from resnet_lab.sweep.population import population

        limits = {name: (bounds[0], bounds[1]) for name, bounds in self.limits.items()}
        drawn = population(composer, repetitions[0], axes, self.n, self.seed, limits)
        return [changed(repetition, architecture) for architecture in drawn for repetition in repetitions]


class Search(Sweeper):
    """Let Optuna choose what to try next; needs the extra `optuna`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings and set up the launcher. Raises ConfigError."""
        with _extra("optuna"):
            from hydra_plugins.resnet_lab_sweep._search import Searching
        self.searching = Searching(**self.settings)
        self.searching.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Start or continue the search. Raises ConfigError or RunFailed."""
        return self.searching.sweep(arguments)


def _each_option_once(jobs: Sequence[list[str]]) -> Iterator[list[str]]:
    """Yield enough jobs to include every group option and every setting name at least once; values are not checked."""
    seen: set[str] = set()
    for job in jobs:
        parts = [override.lstrip("+").partition("=") for override in job]
        if new := {f"{name}={value}" if name in GROUPS else name for name, _, value in parts} - seen:
            seen |= new
            yield job


def _refuse_unless_positive(jobs: object, jobs_per_gpu: object, gpus_per_job: object, time_limit: object) -> None:
    for name, value, kinds, kind, optional in (
        ("jobs", jobs, int, "a whole number", True),
        ("jobs_per_gpu", jobs_per_gpu, int, "a whole number", False),
        ("gpus_per_job", gpus_per_job, int, "a whole number", False),
        ("time_limit", time_limit, (int, float), "a number of minutes", True),
    ):
        given = isinstance(value, kinds) and not isinstance(value, bool) and value > 0
        if not (given or (value is None and optional)):
            raise ConfigError(f"hydra.launcher.{name} must be {kind} above 0, got {value}")


@contextmanager
def _extra(name: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(needs_extra(name)) from error
