"""The process of a job, forked from a server that has imported everything, so that it starts at once.

Jobs share no random state, compiled code, GPU memory, memory peaks or thread counts.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from hydra.core.utils import JobReturn
from hydra.types import HydraContext
from omegaconf import DictConfig

from resnet_lab.callbacks.message import Progress
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.hydra_private import failure, run_job
from resnet_lab.interrupts import RunFailed, exit_on_signals
from resnet_lab.sweep.slots import Slot

PRELOADED = "resnet_lab.sweep.preload"


@dataclass(frozen=True)
class Work:
    """Everything that a process needs from Hydra to run a job."""

    hydra_context: HydraContext
    task_function: Callable[..., Any]  # Hydra's own type lacks `progress`
    config: DictConfig  # composed, including Hydra's own part
    singletons: Any
    environment: dict[str, str]
    asks: bool  # before each epoch, whether to go on


def forks() -> multiprocessing.context.ForkServerContext:
    """Return the fork server of the jobs; it starts importing what they need immediately."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    multiprocessing.forkserver.ensure_running()  # type: ignore[attr-defined]
    return context


def work(connection: Connection, printed: Path, slot: Slot, job: Work) -> None:
    """Run the job. Send every `Progress`, then Hydra's JobReturn. Redirect stdout and stderr to the file `printed`.

    A job that asks also sends the validation scores of all epochs so far, and waits for the answer.
    """
    _divert(printed)
    with exit_on_signals():
        threading.Thread(target=_end_with_parent, daemon=True).start()
        os.environ.update(job.environment)
        if slot.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu
        torch.set_num_threads(slot.num_threads)
        os.environ["LOKY_MAX_CPU_COUNT"] = str(slot.num_threads)  # what joblib counts, for those that decode images
        from resnet_lab.callbacks.reporter import Reporter  # preloaded here; the sweep itself does without Lightning

        reporter = Reporter(partial(tell, connection), partial(ask, connection) if job.asks else None)
        task = partial(job.task_function, progress=reporter)
        tell(connection, sendable(run_job(task, job.config, job.hydra_context, job.singletons)))


def tell(connection: Connection, message: Progress | list[float] | JobReturn) -> None:
    """Send a message to the sweep. A job does not fail if its sweep was killed; `_end_with_parent` ends it."""
    with suppress(BrokenPipeError):
        connection.send(message)


def ask(connection: Connection, val_scores: list[float]) -> str:
    """Return the sweep's reason why the job has to stop; empty if it may go on, or if the sweep was killed."""
    tell(connection, val_scores)
    try:
        answer: str = connection.recv()
    except (EOFError, ConnectionError):
        return ""
    return answer


def sendable(returned: JobReturn) -> JobReturn:
    """Make a result picklable: drop configurations, and convert unexpected errors to RunFailed."""
    returned.cfg = returned.hydra_cfg = None
    error = failure(returned)
    if error and not isinstance(error, (ConfigError, RunFailed)):
        traceback.print_exception(error)
        returned.return_value = RunFailed(f"{type(error).__name__}: {error}")
    return returned


def _end_with_parent() -> None:
    """Terminate this job when its sweep has died."""
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _divert(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.close(file)
