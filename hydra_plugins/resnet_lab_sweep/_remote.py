"""Jobs on other machines: what the local launcher does for its jobs and cluster engines do not."""

import os
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.hydra_private import failed, failure
from resnet_lab.interrupts import RunFailed
from resnet_lab.rundir.directory import RunLocked
from resnet_lab.sweep.launch import RETRY_SECONDS
from resnet_lab.sweep.plan import labels
from resnet_lab.training.log import log


@dataclass(frozen=True)
class Remote:
    """A task function that runs in the folder of the sweep, to which output_dir and data.root are relative.

    Waits while another process has locked the run. Raises ConfigError or RunFailed, which can be pickled.
    """

    task_function: Callable[[DictConfig], Any]
    folder: Path = field(default_factory=Path.cwd)

    def __call__(self, composed: DictConfig) -> Any:
        os.chdir(self.folder)
        while True:
            try:
                return self.task_function(composed)
            except RunLocked as held:
                log.info(held)
                time.sleep(RETRY_SECONDS)
            except (ConfigError, RunFailed):
                raise
            except Exception as error:
                raise RunFailed(f"{type(error).__name__}: {error}") from error


def gather(
    jobs: Sequence[Any], result: Callable[[Any], JobReturn], overrides: Sequence[Sequence[str]], fixed: Set[str]
) -> list[JobReturn]:
    """Wait for all jobs and log how each ended. `result` waits for one job, and raises RunFailed if it was lost."""
    returns: list[JobReturn] = []
    for job, label, own in zip(jobs, labels(overrides, fixed), overrides, strict=True):
        try:
            returns.append(result(job))
        except RunFailed as lost:
            returns.append(failed(own, lost))
        log.info("[%d/%d] %s: %s", len(returns), len(jobs), label, failure(returns[-1]) or "done")
    return returns
