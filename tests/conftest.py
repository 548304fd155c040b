"""For all tests: networks are tiny, and a second thread costs more than it brings."""

import gc
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.command import command
from support.lab import Lab

from resnet_lab.callbacks.dashboard import Dashboard
from resnet_lab.callbacks.progress import ProgressBar
from resnet_lab.training.log import LIBRARIES

__all__ = ["command"]  # a fixture

os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
if "PYTEST_XDIST_WORKER" not in os.environ:  # whose processes share the cache of the first one
    CACHE = tempfile.TemporaryDirectory(prefix="resnet_lab-cache-")  # not the user's; it is gone at exit
    os.environ["XDG_CACHE_HOME"] = CACHE.name
torch.set_num_threads(1)


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores, since some tests wait for the processes that they start."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what takes minutes and has shorter relatives, unless it is asked for."""
    if "RESNET_LAB_LONG" not in os.environ:
        skipped = pytest.mark.skip(reason="takes minutes: RESNET_LAB_LONG=1 runs it")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(skipped)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the collector of garbage need not look at it again and again."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@pytest.fixture(autouse=True)
def own_loggers() -> Iterator[None]:
    """What a test does to the loggers, as every command does, is no other test's."""
    loggers = [logging.getLogger(name) for name in ("resnet_lab", *LIBRARIES)]
    before = [(logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A laboratory of the test's own."""
    return Lab(tmp_path / "outputs")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A laboratory with one finished run, as the command line makes it, to look at and not to change."""
    lab = Lab(tmp_path_factory.mktemp("finished"))
    lab.run(callbacks=[Dashboard(lab.config()), ProgressBar()])
    return lab


@pytest.fixture
def handlers() -> Iterator[None]:
    """Whatever a test does to the handlers of signals is undone."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)
