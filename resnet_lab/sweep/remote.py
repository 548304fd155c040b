"""A job on another machine: what the local launcher does for its own jobs, and an engine does not."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed
from resnet_lab.rundir.directory import RunLocked
from resnet_lab.training.log import log

RETRY_SECONDS = 5.0  # between two looks whether another process has let go of a run


@dataclass(frozen=True)
class Remote:
    """A task function in the folder where the sweep was started, to which output_dir and data.root are relative.

    Waits for a run that another process works on. Raises ConfigError or RunFailed, which can pass to another process.
    """

    task_function: Callable[[DictConfig], Any]
    folder: Path = field(default_factory=Path.cwd)

    def __call__(self, composed: DictConfig) -> Any:
        """What the task function returns."""
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
