"""Protect a run from failures in code that only observes it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from resnet_lab.interrupts import signals_kept
from resnet_lab.training.log import log


def harmless(method: Callable[..., None]) -> Callable[..., None]:
    """Wrap a method: a failure logs one warning, with the traceback in run.log, and disables the method's object.

    Interrupts pass through, including those hidden by another error.
    """

    @wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "has_failed", False):
            return
        try:
            with signals_kept():
                method(self, *args, **kwargs)
        except Exception as error:
            self.has_failed = True
            name, what = type(self).__name__, " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("%s failed and is disabled; the run continues without it: %s", name, what)
            log.debug("%s failed", name, exc_info=True)

    return guarded
