"""Signals and failed runs: how commands and jobs end before they are done."""

import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class RunFailed(Exception):
    """A run or a job failed. The message is shown to the user."""


class TimeUp(RunFailed):
    """A run has reached trainer.max_time. The same command continues it."""

    exit_status = 124  # as of timeout(1)


class Pruned(RunFailed):
    """The search that a run is part of has given it up. It could be continued."""


class Interrupted(BaseException):
    """A signal asked the process to end. Handlers of ordinary exceptions do not catch it.

    Code that knows how much work is left sets `message`, which is shown to the user.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum  # as shells expect
        self.message = "interrupted"


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Wrap everything a process does: Ctrl-C and SIGTERM end it with one line and exit status 128 + signal."""
    raise_on_signals()
    try:
        yield
    except Interrupted as interrupted:
        print(interrupted.message, file=sys.stderr)
        sys.exit(interrupted.exit_status)


def raise_on_signals() -> None:
    """Make Ctrl-C and SIGTERM raise `Interrupted`; with Lightning's handlers, Ctrl-C would give exit status 1.

    Only the first signal raises: a second one must not disturb the exit. Removing the handler would not be enough,
    since Lightning's teardown installs it again.
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
def keyboard_interrupts() -> Iterator[None]:
    """Wrap a run in someone else's process: Ctrl-C ends it as it ends a command, and then raises KeyboardInterrupt.

    Lightning alone would end the process. Handlers can only be set in the main thread; others leave them as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    raise_on_signals()
    try:
        yield
    except Interrupted as interrupted:
        if interrupted.exit_status == 128 + signal.SIGINT:
            raise KeyboardInterrupt(interrupted.message) from interrupted
        sys.exit(interrupted.exit_status)
    finally:
        for signum, handler in former.items():
            if handler is not None:  # None: C code installed it
                signal.signal(signum, handler)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Raise `Interrupted` again if another error has replaced it.

    C++ code that calls Python does that: `torch.save` complains about the file size when a write was interrupted.
    """
    try:
        yield
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, Interrupted):
                raise cause from error
        raise


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its direct and indirect causes and contexts, each once."""
    found = [error]
    for each in found:
        yield each
        found += [one for one in (each.__cause__, each.__context__) if one is not None and one not in found]


def exit_reason(code: int) -> str:
    """Describe the exit code of a process, where -n and 128 + n mean signal n."""
    signum = -code if code < 0 else code - 128
    name = signal.Signals(signum).name if signum in set(signal.Signals) else f"signal {signum}"
    if code < 0:
        return f"killed by {name}{'; the system does this when memory runs out' if signum == signal.SIGKILL else ''}"
    return f"ended by {name}" if signum in set(signal.Signals) else f"exited with status {code}"


def unexpected(error: Exception) -> str:
    """Write the traceback of an error that is a bug to a temporary file; return the message for the user."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="resnet-lab-", suffix=".txt", delete=False) as file:
            file.write(text)
    except OSError:
        return f"unexpected error: {said}\n{text}"
    return f"unexpected error: {said:.300}; this is a bug of resnet_lab, please report it with {file.name}"
