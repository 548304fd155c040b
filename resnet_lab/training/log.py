"""What a run says: to a person on the terminal, and everything, with time and traceback, to its run.log."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.logging import RichHandler

from resnet_lab.text import plain_console

console = plain_console(stderr=True)  # shared with the progress bar, which lines of the log then pass above
log = logging.getLogger("resnet_lab")
log.setLevel(logging.DEBUG)  # all of it belongs in run.log, also of a run that a notebook starts

# Libraries whose messages belong in run.log, not on the terminal.
LIBRARIES = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric", "py.warnings")


def show_on_terminal(level: int = logging.INFO) -> None:
    """Messages of the lab, from a level on, go to stderr, without the trimmings of a log."""
    rich = RichHandler(console=console, show_time=False, show_level=False, show_path=False, markup=False)
    plain = logging.StreamHandler(sys.stderr)
    handler = rich if console.is_terminal else plain
    handler.setLevel(level)
    log.handlers = [handler]
    log.propagate = False
    logging.captureWarnings(True)
    for name in LIBRARIES:
        logging.getLogger(name).handlers = [logging.NullHandler()]
        logging.getLogger(name).propagate = False


class _RunLog(logging.FileHandler):
    """A log that a full disk cuts short, silently: the run itself says what is wrong."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lose the line."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append everything that is logged meanwhile to the file at `path`."""
    handler = _RunLog(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [log, *(logging.getLogger(name) for name in LIBRARIES)]
    for logger in loggers:
        logger.addHandler(handler)
    before, threading.excepthook = threading.excepthook, _thread_failed
    try:
        yield
    finally:
        threading.excepthook = before
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """TensorBoard writes in a thread, and who asks it to write is told as well: the terminal need not be."""
    error = failed.exc_value or failed.exc_type()
    log.debug("a thread failed", exc_info=error)
