"""NVIDIA's Multi-Process Service (MPS): run kernels of several processes concurrently on one GPU."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from resnet_lab.sweep.slots import Slot
from resnet_lab.training.log import log

CONTROL = "nvidia-cuda-mps-control"
ANSWER_SECONDS = 30.0  # timeout to start or stop the daemon


def service_for(slots: Sequence[Slot], folder: Path) -> AbstractContextManager[dict[str, str]]:
    """Return `service` if two of the slots share a GPU; otherwise say that it is not needed, and return {} at once."""
    gpus = [slot.gpu for slot in slots if slot.gpu is not None]
    if len(set(gpus)) < len(gpus):
        return service(folder)
    log.info("hydra.launcher.mps: not started, since no two jobs share a GPU")
    return nullcontext({})


@contextmanager
def service(folder: Path) -> Iterator[dict[str, str]]:
    """Run a daemon with its files in `folder`. Yield the environment for its clients, {} if it cannot be started.

    Without MPS the jobs of a GPU take turns, which is slower but gives the same results.
    """
    environment = {"CUDA_MPS_PIPE_DIRECTORY": str(folder / "mps"), "CUDA_MPS_LOG_DIRECTORY": str(folder / "mps-log")}
    for path in environment.values():
        Path(path).mkdir()
    try:
        _control(["-d"], environment)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("hydra.launcher.mps: %s could not be started (%s); continuing without it", CONTROL, error)
        yield {}
        return
    try:
        yield environment
    finally:
        try:
            _control([], environment, "quit\n")
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("hydra.launcher.mps: %s did not stop (%s): stop it yourself", CONTROL, error)


def _control(arguments: list[str], environment: dict[str, str], said: str = "") -> None:
    subprocess.run(
        [CONTROL, *arguments],
        input=said,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=ANSWER_SECONDS,
    )
