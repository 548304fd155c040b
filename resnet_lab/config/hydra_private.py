"""Everything the lab uses of Hydra 1.3 and OmegaConf beyond their documentation, with the reason.

`test_hydra_private.py` tests each use, so that a change in Hydra is noticed. The optional sweep engines subclass Hydra
plugins, which cannot be extended otherwise; `_search`, `_slurm` and `_ray` in `hydra_plugins.resnet_lab_sweep` say
what they use.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from hydra.core import utils
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, Sweep
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer

from resnet_lab.config.checks import ConfigError
from resnet_lab.text import Parser


def hand_on_errors() -> None:
    """Let Hydra raise errors instead of printing its own message and exiting."""
    os.environ["HYDRA_FULL_ERROR"] = "1"


def can_be_parsed(override: str) -> bool:
    """Return whether Hydra's grammar takes an override."""
    try:
        OverridesParser.create().parse_overrides([override])
    except HydraException:
        return False
    return True


def parsed_values(override: str) -> list[Any]:
    """Return the value of an override as Hydra reads it, or the listed values of a sweep; [] for anything else."""
    try:
        [parsed] = OverridesParser.create().parse_overrides([override])
    except HydraException:
        return []  # Hydra refuses it itself
    if parsed.is_delete():
        return []
    value = parsed.value()
    values: list[Any] = value.list if isinstance(value, ChoiceSweep) and value.list else [value]
    return [own.text if isinstance(own, QuotedString) else own for own in values if not isinstance(own, Sweep)]


def options_apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's options among the arguments of a command, and the overrides, wherever they stood.

    Hydra's own parser takes all overrides from the first group of them: an option in between would cut it off.
    Raises ConfigError for the option that would unpickle a file; argparse exits with status 2 at a wrong option.
    """
    usage = "resnet-lab [-m] [group=option] [setting=value] …"
    parser = Parser("resnet-lab", usage, parents=[get_args_parser()], add_help=False)
    given, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        hint = "settings have no dashes, as in trainer.max_epochs=5; resnet-lab --help lists groups and options"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}; {hint}")
    if given.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun loads a pickle file, which can run any code: to repeat a run, use the command that "
            "resnet-lab runs PATH --commands prints"
        )
    left = list(given.overrides)
    options = []
    for argument in arguments:
        if argument in left:
            left.remove(argument)
        else:
            options.append(argument)
    return options, given.overrides


@contextmanager
def apart() -> Iterator[None]:
    """Allow composing while Hydra is active: Hydra has one global instance and refuses a second one."""
    at_work = Singleton._instances.pop(GlobalHydra, None)
    try:
        yield
    finally:
        Singleton._instances.pop(GlobalHydra, None)
        if at_work is not None:
            Singleton._instances[GlobalHydra] = at_work


def app() -> HydraConf:
    """Return Hydra's own settings of the current run, which Hydra removes from the configuration of the job."""
    return HydraConfig.get()


def combinations(hydra_context: HydraContext, overrides: Sequence[str]) -> list[list[str]]:
    """Return all combinations of the listed values, each as the overrides of one job.

    Only Hydra's basic sweeper can combine values, and it also launches the jobs. Raises HydraException.
    """
    [jobs] = BasicSweeper.split_arguments(parsed(hydra_context, overrides), max_batch_size=None)
    return jobs


def parsed(hydra_context: HydraContext, overrides: Sequence[str]) -> list[Override]:
    """Return overrides as Hydra reads them, with choices, ranges and intervals. Raises HydraException."""
    return OverridesParser.create(config_loader=hydra_context.config_loader).parse_overrides(list(overrides))


def failure(returned: JobReturn) -> Exception | None:
    """Return the exception that a job raised, or None. The public `return_value` would print a line and raise it."""
    return returned._return_value if returned.status is JobStatus.FAILED else None


def failed(overrides: Sequence[str], error: Exception) -> JobReturn:
    """Return the result of a job that ended without returning one."""
    returned = JobReturn(overrides=overrides, status=JobStatus.FAILED)
    returned.return_value = error
    return returned


def global_state() -> Any:
    """Return Hydra's singletons and OmegaConf's resolvers, which launchers pass to the process of a job."""
    return Singleton.get_state()


def singletons() -> Any:
    """Return the picklable part of the global state; the resolvers are lambdas."""
    return global_state()["instances"]


def run_job(task_function: Callable[..., Any], config: DictConfig, hydra_context: HydraContext, sent: Any) -> JobReturn:
    """Run a sweep job in a fresh process, with the `singletons` sent by the sweep and the process's own resolvers."""
    Singleton.set_state({"instances": sent, "omegaconf_resolvers": BaseContainer._resolvers})
    utils.setup_globals()
    return utils.run_job(
        task_function,
        config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=hydra_context,
    )
