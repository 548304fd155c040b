"""The content of the page: figures with captions, in sections."""

from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure with its caption; `name` is the stem of its file."""

    name: str
    figure: Figure
    caption: str


@dataclass(slots=True)
class Section:
    """A part of the page: figures with captions, the time they took, and the error, if any."""

    name: str
    title: str
    figures: list[tuple[Path, str]] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""
