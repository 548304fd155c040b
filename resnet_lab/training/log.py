"""Messages of a run: for the user on the terminal; everything, with time and traceback, in run.log."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.logging import RichHandler

from resnet_lab.config.tasks import Scoring
from resnet_lab.text import plain_console, visible

console = plain_console(stderr=True)  # shared with the progress bar, so that log lines appear above it
log = logging.getLogger("resnet_lab")
log.setLevel(logging.DEBUG)  # run.log gets everything, also from runs in a notebook

# Libraries whose warnings belong in run.log, not on the terminal. Below that level they name devices that are not
# there, repeat settings, and advertise other products.
LIBRARIES = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric", "py.warnings")


def show_on_terminal(level: int = logging.INFO) -> None:
    """Print the lab's messages of at least `level` to stderr, without time and level."""
    rich = RichHandler(console=console, show_time=False, show_level=False, show_path=False, markup=False)
    plain = logging.StreamHandler(sys.stderr)
    handler = rich if console.is_terminal else plain
    handler.setLevel(level)
    handler.setFormatter(_Visible())
    log.handlers = [handler]
    log.propagate = False
    logging.captureWarnings(True)
    for name in LIBRARIES:
        logging.getLogger(name).handlers = [logging.NullHandler()]
        logging.getLogger(name).propagate = False
    # Lightning calls functions that torch will remove; no user can change that.
    warnings.filterwarnings("ignore", category=FutureWarning, module="pytorch_lightning|lightning_fabric|torch")


def epoch_line(record: Mapping[str, float | None], epochs: int, scoring: Scoring, things: str) -> str:
    """Return one line for an epoch in the history of a run of `epochs`, with loss and score of each part.

    `things` are what the network is given: images or series.
    """
    parts = []
    for part in ("train", "val"):
        loss, score = record[f"{part}/loss"], record[f"{part}/{scoring.score}"]
        if loss is not None and score is not None:
            averaged = record.get(f"{part}/ema_{scoring.score}")
            ema = "" if averaged is None else f" (ema {scoring.text(averaged)})"
            parts.append(f"{part} loss {loss:.4g}, {part} {scoring.score} {scoring.text(score)}{ema}")
    speed = f"lr {record['lr']:.4g}, {record['images_per_second']:,.0f} {things}/s, {record['seconds']:.3g} s"
    return ", ".join([f"epoch {record['epoch']}/{epochs}: {parts[0]}", *parts[1:], speed])


class _Visible(logging.Formatter):
    """Escapes unprintable characters, such as those in the names of files."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record), keep="\n\t")


def _matters(record: logging.LogRecord) -> bool:
    """Keep all messages of the lab, and warnings of the libraries."""
    return record.name == log.name or record.levelno >= logging.WARNING


class _RunLog(logging.FileHandler):
    """A log that a full disk truncates silently: the run itself reports the error."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append everything that is logged within the context to the file at `path`."""
    handler = _RunLog(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(message)s"))
    loggers = [log, *(logging.getLogger(name) for name in LIBRARIES)]
    handler.addFilter(_matters)
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
    """Log at debug level only: TensorBoard's writer thread also raises its error in the code that calls it."""
    error = failed.exc_value or failed.exc_type()
    log.debug("a thread failed", exc_info=error)
