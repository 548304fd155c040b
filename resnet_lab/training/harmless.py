"""What only looks never hurts: where a picture fails, the run goes on without it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from resnet_lab.interrupts import signals_kept
from resnet_lab.training.log import log


def harmless(method: Callable[..., None]) -> Callable[..., None]:
    """A method whose failure is one warning, with its traceback in run.log, after which its object does nothing more.

    Interrupts pass, also those in whose place another error came.
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
            log.warning("%s failed and is switched off; the run goes on without it: %s", name, what)
            log.debug("%s failed", name, exc_info=True)

    return guarded
