"""What the wall time of a run is spent on."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PARTS = {
    "start_up": "from the first check to the first epoch, without the images",
    "data": "identifying, reading and preparing the images",
    "compile": "the first step of a compiled network",
    "steps": "training, from the first mini-batch of an epoch to its last",
    "validation": "validation",
    "checkpoints": "copying weights and optimiser state after epochs, and waiting for the disk at the end",
    "diagnostics": "diagnostics, dashboard and progress, at the ends of epochs",
    "test": "the test, and the predictions for validation images",
    "other": "Lightning, between epochs",
}


class Clock:
    """Assigns each moment of a run to one of PARTS, so that their seconds add up to the wall time."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.part, self.since = "start_up", time.perf_counter()

    def switch(self, part: str) -> str:
        """Assign the time from now on to `part`; return the part before."""
        now = time.perf_counter()
        self.seconds[self.part] += now - self.since
        before, self.part, self.since = self.part, part, now
        return before

    @contextmanager
    def during(self, part: str) -> Iterator[None]:
        """Assign the time within the context to `part`."""
        before = self.switch(part)
        try:
            yield
        finally:
            self.switch(before)

    def read(self) -> dict[str, float]:
        """Return the seconds of each part so far."""
        self.switch(self.part)
        return dict(self.seconds)

    def add(self, former: Mapping[str, float]) -> None:
        """Add the seconds that an interrupted run had spent up to the checkpoint from which it continues."""
        for part, seconds in former.items():
            self.seconds[part] += seconds
