"""The command line in this process, which need not import torch again."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from resnet_lab import __main__ as entry_point
from resnet_lab.training.log import LIBRARIES


@dataclass
class Ended:
    status: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command in this process, which need not import torch again, in an empty folder."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    loggers = [logging.getLogger(name) for name in ("resnet_lab", *LIBRARIES)]
    logged = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as main() does, so that it is taken back

    def run(*arguments: str) -> Ended:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["resnet_lab", *arguments])
        capsys.readouterr()
        code: str | int | None = None
        try:
            entry_point.main()
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        if isinstance(code, str):  # the interpreter prints it, and exits with 1
            return Ended(1, printed.out, f"{printed.err}{code}\n")
        return Ended(code or 0, printed.out, printed.err)

    yield run
    for signum, handler in handlers.items():
        signal.signal(signum, handler)
    for logger, handlers_before, propagate in logged:
        logger.handlers, logger.propagate = handlers_before, propagate
    logging.captureWarnings(False)
