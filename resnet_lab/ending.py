"""How a run can end other than well: a signal, or a failure of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class RunFailed(Exception):
    """A run ended badly; its status.json and run.log say how. The message is for a person."""


class Interrupted(BaseException):
    """A signal asked the process to end; passes through everything that handles ordinary exceptions."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum  # as shells expect


def raise_on_signals() -> None:
    """From now on Ctrl-C and SIGTERM raise `Interrupted`; Lightning would turn the former into exit status 1.

    Once: a second signal must not disturb the way out, on which Lightning gives its handler back to SIGTERM.
    """
    asked = False

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise Interrupted(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, handle)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Raise `Interrupted` again where another error has taken its place.

    C++ code that calls Python ends so: `torch.save` finds its file of the wrong size when a write was interrupted.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause:
            if isinstance(cause, Interrupted):
                raise cause from error
            cause = cause.__context__
        raise
