"""What a job reports to its sweep, which can read it without Lightning."""

from dataclasses import dataclass

from resnet_lab.config.tasks import Scoring


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run, before its first epoch or after any epoch."""

    directory: str
    epoch: int
    max_epochs: int
    scoring: Scoring
    val_score: float | None
    images_per_second: float | None
    seconds_left: float | None  # at the speed of the last epoch
    things: str = "images"  # or series
