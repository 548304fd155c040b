"""Jobs on a Ray cluster; a job whose process or node is lost restarts elsewhere and continues.

Uses `_launcher_util` of hydra-ray-launcher 1.2, which starts Ray and packs a job. Its launcher's own `launch` is not
used: it waits for all jobs in one call, in which a single lost job discards the results of the others.
"""

from collections.abc import Sequence
from typing import Any

import ray
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray, start_ray
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, open_dict
from ray.exceptions import RayError

from hydra_plugins.resnet_lab_sweep._remote import Remote, gather
from resnet_lab.config.hydra_private import global_state
from resnet_lab.interrupts import RunFailed
from resnet_lab.sweep.composer import fixed


class RayLaunch(RayLauncher):
    """The launcher of hydra-ray-launcher, but a job that is lost for good does not end the whole sweep."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=Remote(task_function), config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Return the result of every job, in order. Raises RunFailed if there is no cluster."""
        try:
            start_ray(self.ray_cfg.init)
        except (RayError, ConnectionError) as error:
            raise RunFailed(f"Ray: {error}; run the same command again to continue") from error
        jobs = [self._submit(overrides, number) for number, overrides in enumerate(job_overrides, initial_job_idx)]
        assert self.hydra_context
        assert self.config
        return gather(jobs, _result, job_overrides, fixed(self.hydra_context, self.config))

    def _submit(self, overrides: Sequence[str], number: int) -> Any:
        assert self.hydra_context
        assert self.task_function
        assert self.config
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return launch_job_on_ray(self.hydra_context, self.ray_cfg.remote, config, self.task_function, global_state())


def _result(job: Any) -> JobReturn:
    try:
        return ray.get(job)
    except RayError as error:
        reason = str(error).partition("\n")[0]
        raise RunFailed(
            f"lost by Ray, {type(error).__name__}: {reason}; run the same command again to continue it"
        ) from error
