"""The edge to Hydra 1.3: all that the lab uses of it and of OmegaConf beyond their documentation, with the reason.

`test_hydra_private.py` has a test for each that fails when Hydra changes it. The engines for sweeps that are extras
extend classes of Hydra's own plugins, which have no other door: `_search`, `_slurm` and `_ray` beside
`hydra_plugins.resnet_lab_sweep` say what they use of these.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.conf import HydraConf
from hydra.core import utils
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer


def hand_on_errors() -> None:
    """Let Hydra raise what goes wrong; it would print it in its own words, and exit."""
    os.environ["HYDRA_FULL_ERROR"] = "1"


@contextmanager
def apart() -> Iterator[None]:
    """Compose something else, also while Hydra is at work: it has one global instance, and refuses a second one."""
    at_work = Singleton._instances.pop(GlobalHydra, None)
    try:
        yield
    finally:
        Singleton._instances.pop(GlobalHydra, None)
        if at_work is not None:
            Singleton._instances[GlobalHydra] = at_work


def app() -> HydraConf:
    """Hydra's own settings of the run that is going on, which the run itself is not given."""
    return HydraConfig.get()


def combinations(hydra_context: HydraContext, overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values that overrides list, each as the overrides of a job.

    Only Hydra's basic sweeper knows how to combine them, and it launches them as well. Raises HydraException.
    """
    parser = OverridesParser.create(config_loader=hydra_context.config_loader)
    [jobs] = BasicSweeper.split_arguments(parser.parse_overrides(list(overrides)), max_batch_size=None)
    return jobs


def failure(returned: JobReturn) -> Exception | None:
    """What a job raised, if it did; the public `return_value` would print a line of its own, and raise it."""
    return returned._return_value if returned.status is JobStatus.FAILED else None


def failed(overrides: Sequence[str], error: Exception) -> JobReturn:
    """What a job returns that ended without a word of its own."""
    returned = JobReturn(overrides=overrides, status=JobStatus.FAILED)
    returned.return_value = error
    return returned


def global_state() -> Any:
    """Hydra's singletons and OmegaConf's resolvers, as launchers pass them to the process of a job."""
    return Singleton.get_state()


def singletons() -> Any:
    """The part of the global state that pickle can send; the resolvers are functions without a name."""
    return global_state()["instances"]


def run_job(task_function: Callable[..., Any], config: DictConfig, hydra_context: HydraContext, sent: Any) -> JobReturn:
    """Run a job of a sweep in a fresh process, with the `singletons` that the sweep sent, and resolvers of its own."""
    Singleton.set_state({"instances": sent, "omegaconf_resolvers": BaseContainer._resolvers})
    utils.setup_globals()
    return utils.run_job(
        task_function,
        config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=hydra_context,
    )
