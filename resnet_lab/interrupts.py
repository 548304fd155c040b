"""How a process ends other than well: by a signal, or by a failure of its own. All commands and jobs pass here."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class RunFailed(Exception):
    """A run ended badly; its status.json and run.log say how. The message is for a person."""


class Interrupted(BaseException):
    """A signal asked the process to end; passes through everything that handles ordinary exceptions.

    Who knows what is left of the work says so in `message`, for a person.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum  # as shells expect
        self.message = "interrupted"


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Around all that a process does: Ctrl-C and SIGTERM end it with one line and exit status 128 + signal."""
    raise_on_signals()
    try:
        yield
    except Interrupted as interrupted:
        print(interrupted.message, file=sys.stderr)
        sys.exit(interrupted.exit_status)


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
        for cause in causes(error):
            if isinstance(cause, Interrupted):
                raise cause from error
        raise


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that it was raised from or that was being handled then, each once."""
    found = [error]
    for each in found:
        yield each
        found += [one for one in (each.__cause__, each.__context__) if one is not None and one not in found]


def exit_reason(code: int) -> str:
    """What a process's exit code says: of minus a signal or 128 and a signal its name, where there is such a one."""
    signum = -code if code < 0 else code - 128
    name = signal.Signals(signum).name if signum in set(signal.Signals) else f"signal {signum}"
    if code < 0:
        return f"killed by {name}{'; the system does so when memory runs out' if signum == signal.SIGKILL else ''}"
    return f"ended by {name}" if signum in set(signal.Signals) else f"ended by itself with status {code}"
