"""How far a run is, as `status.json` says it."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What became of a run, so far."""

    running = "running"
    done = "done"
    failed = "failed"
    diverged = "diverged"
    interrupted = "interrupted"
