"""NVIDIA's Multi-Process Service (MPS): run kernels of several processes concurrently on one GPU."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from resnet_lab.sweep.slots import Slot
from resnet_lab.training.log import log

CONTROL = "nvidia-cuda-mps-control"
ANSWER_SECONDS = 30.0  # timeout to start or stop the daemon
CLIENT = (sys.executable, "-c", "import torch; torch.zeros(1, device='cuda')")
CLIENT_SECONDS = 120.0  # timeout for it; importing torch from a network drive may take a minute


def service_for(slots: Sequence[Slot], folder: Path) -> AbstractContextManager[dict[str, str]]:
    """Return `service` if two of the slots share a GPU; otherwise say that it is not needed, and return {} at once."""
    gpus = [slot.gpu for slot in slots if slot.gpu is not None]
    if len(set(gpus)) < len(gpus):
        return service(folder)
    log.info("hydra.launcher.mps: not started, since no two jobs share a GPU")
    return nullcontext({})


@contextmanager
def service(folder: Path) -> Iterator[dict[str, str]]:
    """Run a daemon with its files in `folder`. Yield the environment for its clients, {} if it cannot be used.

    Without MPS the jobs of a GPU take turns, which is slower but gives the same results. One client connects first: if
    it cannot, every job would find no GPU.
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
        yield environment if _connects(environment) else {}
    finally:
        try:
            _control([], environment, "quit\n")
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("hydra.launcher.mps: %s did not stop (%s): stop it yourself", CONTROL, error)


def _connects(environment: dict[str, str]) -> bool:
    """Return whether a process can use a GPU through the daemon; warn if it cannot."""
    try:
        subprocess.run(
            CLIENT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
            timeout=CLIENT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "Error" in line]
        reason = lines[-1] if lines else str(error)
    except subprocess.TimeoutExpired as error:
        reason = str(error)
    else:
        return True
    log.warning("hydra.launcher.mps: no client can use the GPU through %s (%s); continuing without it", CONTROL, reason)
    return False


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
