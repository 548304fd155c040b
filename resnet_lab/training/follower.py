"""Another process of a run on several devices: it trains as the first one does, and writes nothing."""

import json
import os
import signal
import sys
import threading
from typing import Any

import psutil
from torch import distributed as dist

from resnet_lab.config.stored import from_dict
from resnet_lab.interrupts import RunFailed
from resnet_lab.tasks.cost import measure
from resnet_lab.training.fit import prepare
from resnet_lab.training.lightning import LoadedImages
from resnet_lab.training.processes import FAILED, READY, WORK, joined, meeting
from resnet_lab.training.ranks import Ranks
from resnet_lab.training.runtime import Runtime


def follow(ranks: Ranks) -> None:
    """Wait for the work of the run, if there is any, and train with the other processes.

    Signals are left to the first process, with which this one ends. Raises RunFailed.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    store = meeting()
    work = json.loads(store.get(WORK))
    if work is None:
        return
    try:
        _train(ranks, store, **work)
    except Exception as error:
        why = f"device {ranks.rank}: {type(error).__name__}: {error}"
        if "Connection" in str(error):  # the first one says why it has ended, if it can
            raise RunFailed(f"device {ranks.rank}: another process of the run has ended") from error
        store.set(FAILED, why)
        raise RunFailed(why) from error


def _train(ranks: Ranks, store: dist.Store, settings: dict[str, Any], checkpoint: str | None) -> None:
    config = from_dict(settings)
    runtime = Runtime.resolve(config, measure(config).macs)
    data = LoadedImages(config, runtime.steps_per_call, ranks)
    with runtime.set_up():
        trainer, module = prepare(config, runtime, data)
        store.set(f"{READY} {ranks.rank}", "")
        with joined(ranks, store, runtime):
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)


def _end_with_parent() -> None:
    """Wait for the end of the input, which the process that started this one holds open."""
    os.read(sys.stdin.fileno(), 1)  # unlike a buffer, it holds no lock that Python waits for at its end
    psutil.Process().kill()


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    try:
        follow(Ranks(rank, size, local))
    except RunFailed as failed:
        sys.exit(str(failed))
