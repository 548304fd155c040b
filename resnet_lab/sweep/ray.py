"""Jobs on a Ray cluster; a job whose process or node is lost is begun again elsewhere, and goes on."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_ray_launcher._core import launch
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig
from ray.exceptions import RayError

from resnet_lab.ending import RunFailed
from resnet_lab.sweep.plan import labels
from resnet_lab.sweep.remote import Remote
from resnet_lab.training.log import log


class RayLaunch(RayLauncher):
    """hydra-ray-launcher's, with jobs that find the sweep's folder."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Only take in what there is."""
        super().setup(hydra_context=hydra_context, task_function=Remote(task_function), config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """What became of every job, in their order. Raises RunFailed when the cluster, or a job for good, is lost."""
        try:
            returns: Sequence[JobReturn] = launch(self, job_overrides, initial_job_idx)
        except (RayError, ConnectionError) as error:
            raise RunFailed(f"Ray: {error}; the same command goes on with what is left") from error
        for number, (returned, label) in enumerate(zip(returns, labels(job_overrides), strict=True), start=1):
            ended = returned._return_value if returned.status is JobStatus.FAILED else "done"
            log.info("[%d/%d] %s: %s", number, len(returns), label, ended)
        return returns
