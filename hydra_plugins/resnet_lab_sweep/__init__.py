"""Launchers and sweepers of the lab, where Hydra looks for plugins.

Hydra imports this file at every start, but not the modules next to it, whose names begin with an underscore. Engines
are imported when a multirun starts: the lab's own engine is `resnet_lab.sweep`; those for SLURM, Ray and Optuna are in
this folder, extend other Hydra plugins, and are optional extras.
"""

import multiprocessing
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import with_numbered_options
from resnet_lab.config.groups import GROUPS
from resnet_lab.config.hydra_private import combinations
from resnet_lab.config.messages import needs_extra

if TYPE_CHECKING:
    from resnet_lab.sweep.launch import Judge


class LocalLauncher(Launcher):
    """Run jobs in parallel on this machine, each in a fresh process with its share of GPUs and CPU threads."""

    judge: "Judge | None" = None  # set by a search that stops jobs

    def __init__(self, jobs: int | None, jobs_per_gpu: int, time_limit: float | None, mps: bool) -> None:
        self.jobs, self.jobs_per_gpu, self.time_limit, self.mps = jobs, jobs_per_gpu, time_limit, mps

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings. Raises ConfigError."""
        if "forkserver" not in multiprocessing.get_all_start_methods():
            raise ConfigError("-m needs Linux or macOS: on this system, start each run separately")
        _refuse_unless_positive(jobs=self.jobs, jobs_per_gpu=self.jobs_per_gpu, time_limit=self.time_limit)
        if not isinstance(self.mps, bool):
            raise ConfigError(f"hydra.launcher.mps must be true or false, got {self.mps}")
        self.sweep = (hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Return the result of every job, in order."""
        from resnet_lab.sweep.launch import Launch

        launching = Launch(*self.sweep, self.jobs, self.jobs_per_gpu, self.time_limit, self.mps, self.judge)
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


class Grid(Sweeper):
    """Run every combination of the given values. Skip runs that are done; a failure does not stop the rest."""

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the launcher. Raises ConfigError."""
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
        jobs = combinations(self.hydra_context, [*params, *arguments])
        compose = self.hydra_context.config_loader.load_sweep_config
        for overrides in _each_option_once(jobs):  # report typos before importing torch
            with_numbered_options(partial(compose, self.config, overrides))

        from resnet_lab.sweep.grid import sweep

        return sweep(self.hydra_context, self.config, self.launcher, jobs)


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


def _refuse_unless_positive(jobs: object, jobs_per_gpu: object, time_limit: object) -> None:
    for name, value, kinds, kind, optional in (
        ("jobs", jobs, int, "a whole number", True),
        ("jobs_per_gpu", jobs_per_gpu, int, "a whole number", False),
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
