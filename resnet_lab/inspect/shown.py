"""What there is to see: figures with captions, in sections."""

from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure, the name of its file, and what it says."""

    name: str
    figure: Figure
    caption: str


@dataclass(slots=True)
class Section:
    """A part of the page: figures with captions, how long they took, and what went wrong, if anything."""

    name: str
    title: str
    figures: list[tuple[Path, str]] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""
