"""States of a run, as stored in `status.json`."""

from enum import StrEnum


class State(StrEnum):
    """What a run is doing, or how it ended."""

    running = "running"
    done = "done"
    failed = "failed"
    diverged = "diverged"
    interrupted = "interrupted"
    pruned = "pruned"  # given up by the search that it was part of
