"""How far a run is, as `status.json` says it."""

from enum import StrEnum


class State(StrEnum):
    """What became of a run, so far."""

    running = "running"
    done = "done"
    failed = "failed"
    diverged = "diverged"
    interrupted = "interrupted"
