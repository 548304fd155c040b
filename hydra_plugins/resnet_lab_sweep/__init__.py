"""The lab's launchers and sweepers, where Hydra looks for plugins.

Hydra imports this file at every start, and none whose name begins with an underscore. What is done is imported when a
multirun begins: the lab's own engine is `resnet_lab.sweep`; beside this file stand those for SLURM, Ray and Optuna,
which build on other plugins of Hydra and are extras.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import GROUPS
from resnet_lab.config.hydra_private import combinations
from resnet_lab.config.messages import needs_extra


class LocalLauncher(Launcher):
    """Jobs on this machine, several at once, each in a fresh process with its share of the GPUs and CPU threads."""

    def __init__(self, jobs: int | None, jobs_per_gpu: int, time_limit: float | None, mps: bool) -> None:
        self.jobs, self.jobs_per_gpu, self.time_limit, self.mps = jobs, jobs_per_gpu, time_limit, mps

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings. Raises ConfigError."""
        _refuse_unless_positive(jobs=self.jobs, jobs_per_gpu=self.jobs_per_gpu, time_limit=self.time_limit)
        if not isinstance(self.mps, bool):
            raise ConfigError(f"hydra.launcher.mps must be true or false, got {self.mps}")
        self.sweep = (hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """What became of every job, in their order."""
        from resnet_lab.sweep.launch import Launch

        launching = Launch(*self.sweep, self.jobs, self.jobs_per_gpu, self.time_limit, self.mps)
        return launching.run([list(overrides) for overrides in job_overrides], initial_job_idx)


class Slurm(Launcher):
    """Jobs on a SLURM cluster; the extra `slurm`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings. Raises ConfigError."""
        with _extra("slurm"):
            from hydra_plugins.resnet_lab_sweep._slurm import SlurmLaunch
        self.launching = SlurmLaunch(**self.settings)
        self.launching.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """What became of every job, in their order."""
        return self.launching.launch(job_overrides, initial_job_idx)


class Ray(Launcher):
    """Jobs on a Ray cluster; the extra `ray`."""

    def __init__(self, ray: DictConfig) -> None:
        self.settings = ray

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take in what there is. Raises ConfigError without the extra."""
        with _extra("ray"):
            from hydra_plugins.resnet_lab_sweep._ray import RayLaunch
        self.launching = RayLaunch(self.settings)
        self.launching.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """What became of every job, in their order."""
        return self.launching.launch(job_overrides, initial_job_idx)


class Grid(Sweeper):
    """Every combination of the values given. What is done is not begun again; what fails does not stop the rest."""

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the launcher. Raises ConfigError."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, launch what is left to do, the longest first. Raises RunFailed with a list of what failed."""
        assert self.hydra_context
        assert self.config
        assert self.launcher
        params = [f"{name}={values}" for name, values in self.params.items()]
        jobs = combinations(self.hydra_context, [*params, *arguments])
        for overrides in _each_option_once(jobs):  # what is mistyped is said at once, before torch is imported
            self.hydra_context.config_loader.load_sweep_config(self.config, overrides)

        from resnet_lab.sweep.grid import sweep

        return sweep(self.hydra_context, self.config, self.launcher, jobs)


class Search(Sweeper):
    """Optuna chooses what to try next; the extra `optuna`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings, and set up the launcher. Raises ConfigError."""
        with _extra("optuna"):
            from hydra_plugins.resnet_lab_sweep._search import Searching
        self.searching = Searching(**self.settings)
        self.searching.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Begin or continue the search. Raises RunFailed when no trial ended well."""
        return self.searching.sweep(arguments)


def _each_option_once(jobs: Sequence[list[str]]) -> Iterator[list[str]]:
    """As many jobs as it takes to have every option of a group, and every name of a setting."""
    seen: set[str] = set()
    for job in jobs:
        named = {name if name not in GROUPS else f"{name}={value}" for name, _, value in map(_parted, job)}
        if not named <= seen:
            seen |= named
            yield job


def _parted(override: str) -> tuple[str, str, str]:
    return override.lstrip("+").partition("=")


def _refuse_unless_positive(jobs: object, jobs_per_gpu: object, time_limit: object) -> None:
    for name, value, kinds, kind, optional in (
        ("jobs", jobs, int, "a whole number", True),
        ("jobs_per_gpu", jobs_per_gpu, int, "a whole number", False),
        ("time_limit", time_limit, (int, float), "minutes", True),
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
