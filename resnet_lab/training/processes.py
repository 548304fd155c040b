"""The processes of a run on several devices, one for each.

The first does all that a run does. The others train with it and write nothing (`training.follower`). The first one
starts them, unless torchrun or srun has started all.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import IO, Any

import torch
from torch import distributed as dist

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Accelerator
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import exit_reason
from resnet_lab.text import plural
from resnet_lab.training.lightning import address_of_slurm
from resnet_lab.training.ranks import ALONE, Ranks
from resnet_lab.training.runtime import Runtime

HERE = "127.0.0.1"
LONGEST = timedelta(minutes=30)  # that one process waits for another, which may read images or write in the meantime
GLANCE = 0.05  # seconds between looks at whether all are still there
GRACE = 1.0  # seconds in which a process that fails ends

# Under these keys, the processes of a run leave word for each other.
WORK, READY, FAILED = "work", "ready", "failed"


class DeviceLost(Exception):
    """Another process of the run failed."""


def started_as(config: Config) -> Ranks:
    """Return which process of the run this is if torchrun or srun has started all of them; else ALONE.

    Raises ConfigError if they have started another number than `trainer.devices`.
    """
    size, devices = int(os.environ.get("WORLD_SIZE", 1)), config.trainer.devices
    by, names = "torchrun", ("RANK", "LOCAL_RANK")
    if size == 1 and devices > 1:  # for one device, srun may have started several runs
        size = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
        by, names = "srun", ("SLURM_PROCID", "SLURM_LOCALID")
    if size == 1:
        _refuse_too_many(config)
        return ALONE
    if size != devices:
        raise ConfigError(
            f"trainer.devices={devices}, but {by} has started {plural(size, 'process', 'processes')}, one for each "
            f"device: set trainer.devices={size}, or start the run without {by}, which it does not need"
        )
    rank, local = (int(os.environ[name]) for name in names)
    if by == "srun":
        os.environ |= address_of_slurm()
        os.environ |= {"WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(local)}  # as torch reads them
    return Ranks(rank, size, local)


def _refuse_too_many(config: Config) -> None:
    count, devices = torch.cuda.device_count(), config.trainer.devices
    if count and devices > count and config.trainer.accelerator is not Accelerator.cpu:
        raise ConfigError(f"trainer.devices={devices}, but this process may use {plural(count, 'GPU')}")


@cache
def meeting() -> dist.Store:
    """Return where the processes that the environment describes leave word for each other."""
    store, *_ = next(dist.rendezvous("env://", timeout=LONGEST))
    return store


@contextmanager
def together(config: Config, runtime: Runtime, work: dict[str, Any]) -> Iterator[None]:
    """Let the other processes of the run do their `work`; at the end, end those that were started here.

    Raises DeviceLost if one of them fails.
    """
    if runtime.devices == 1:
        yield
        return
    with ExitStack() as stack:
        size, store = runtime.devices, meeting() if started_as(config).size > 1 else None
        others = list[_Other]()
        if store is None:
            store = here = dist.TCPStore(HERE, 0, size, is_master=True, wait_for_workers=False, timeout=LONGEST)
            others = [stack.enter_context(_started(rank, size, here.port)) for rank in range(1, size)]
        store.set(WORK, json.dumps(work))
        _await(others, store, [f"{READY} {rank}" for rank in range(1, size)])
        try:
            with joined(Ranks(0, size), store, runtime):
                yield
        except RuntimeError as error:
            if why := _why(others, store):
                raise DeviceLost(why) from error
            raise


def dismiss(ranks: Ranks) -> None:
    """Tell processes that wait for work that there is none, now that this one has ended."""
    if ranks.size > 1:
        meeting().set(WORK, json.dumps(None))


@contextmanager
def joined(ranks: Ranks, store: dist.Store, runtime: Runtime) -> Iterator[None]:
    """Exchange tensors with the other processes of the run."""
    prefix = dist.PrefixStore("tensors", store)
    dist.init_process_group(runtime.backend, store=prefix, rank=ranks.rank, world_size=ranks.size, timeout=LONGEST)
    try:
        yield
    finally:
        dist.destroy_process_group()


@dataclass(frozen=True, slots=True)
class _Other:
    """Another process of the run, and the file with what it prints."""

    process: subprocess.Popen[bytes]
    printed: IO[bytes]

    def how_ended(self) -> str:
        """Return how the process has ended, with the last line that it printed; empty if it has not."""
        try:
            status = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return ""
        if status < 0:  # by a signal, of which it could not speak
            return exit_reason(status)
        self.printed.seek(0)
        *_, last = [b"", *self.printed.read().splitlines()]
        return ": ".join(filter(None, [exit_reason(status), last.decode(errors="replace")]))


@contextmanager
def _started(rank: int, size: int, port: int) -> Iterator[_Other]:
    """Start another process of the run, which ends with this context, or with this process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC")}
    environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    environment |= {"MASTER_ADDR": HERE, "MASTER_PORT": str(port), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "resnet_lab.training.follower"]
    with (
        tempfile.TemporaryFile() as printed,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=printed, stderr=printed, env=environment) as process,
    ):
        try:
            yield _Other(process, printed)
        finally:
            process.kill()


def _await(others: list[_Other], store: dist.Store, words: list[str]) -> None:
    """Wait until the other processes have loaded everything and left word. Raises DeviceLost if one fails before."""
    deadline = time.monotonic() + LONGEST.total_seconds()
    while not store.check(words):
        if time.monotonic() > deadline:
            raise DeviceLost(f"another process was not ready after {LONGEST}")
        if store.check([FAILED]) or any(other.process.poll() is not None for other in others):
            raise DeviceLost(_why(others, store))
        time.sleep(GLANCE)


def _why(others: list[_Other], store: dist.Store) -> str:
    """Return what another process of the run said when it failed, or how it ended; empty if none has."""
    if store.check([FAILED]):
        return store.get(FAILED).decode()
    for rank, other in enumerate(others, start=1):
        if how := other.how_ended():
            return f"the process of device {rank}: {how}"
    return ""
