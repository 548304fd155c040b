"""Jobs on a SLURM cluster, via submitit; a job that is preempted or out of time is requeued and continues.

Uses `BaseSubmititLauncher` of hydra-submitit-launcher 1.2, whose `__call__` runs in the job.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from omegaconf import DictConfig
from submitit.core.utils import FailedJobError, UncompletedJobError

from hydra_plugins.resnet_lab_sweep._remote import Remote, gather
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.hydra_private import global_state
from resnet_lab.interrupts import RunFailed
from resnet_lab.sweep.composer import fixed
from resnet_lab.sweep.worker import sendable
from resnet_lab.training.log import log

OF_ALL_CLUSTERS = ("name", "timeout_min", "gpus_per_node", "cpus_per_task", "mem_gb")  # the others only SLURM has


class SlurmLaunch(BaseSubmititLauncher):
    """The launcher of hydra-submitit-launcher, but a lost job does not end the whole sweep."""

    def __init__(self, cluster: str, submitit_folder: str, max_num_timeout: int, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.cluster, self.folder, self.max_num_timeout = cluster, Path(submitit_folder).expanduser(), max_num_timeout

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings. Raises ConfigError if SLURM is missing or a setting is invalid."""
        super().setup(hydra_context=hydra_context, task_function=Remote(task_function), config=config)
        self._executor()

    def _executor(self) -> submitit.AutoExecutor:
        try:
            executor = submitit.AutoExecutor(
                self.folder.resolve(), self.cluster, **{f"{self.cluster}_max_num_timeout": self.max_num_timeout}
            )
            executor.update_parameters(
                **{name if name in OF_ALL_CLUSTERS else f"slurm_{name}": value for name, value in self.params.items()}
            )
        except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"hydra/launcher=slurm: {error}") from error
        return executor

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Return the result of every job, in order. The jobs continue if this process ends."""
        state = global_state()
        arguments = [
            (list(overrides), "hydra.sweep.dir", number, str(number), state)
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        ]
        jobs = self._executor().map_array(self, *zip(*arguments, strict=True))
        log.info("%d jobs in %s: %s", len(jobs), self.cluster, " ".join(job.job_id for job in jobs))
        assert self.hydra_context
        assert self.config
        return gather(jobs, _result, job_overrides, fixed(self.hydra_context, self.config))

    def __call__(self, *arguments: Any) -> JobReturn:
        return sendable(super().__call__(*arguments))


def _result(job: submitit.Job[JobReturn]) -> JobReturn:
    try:
        return job.results()[0]
    except (UncompletedJobError, FailedJobError) as error:
        raise RunFailed(
            f"job {job.job_id} ended without a result, {job.state}; see {job.paths.stderr}; "
            "run the same command again to continue after its last full epoch"
        ) from error
