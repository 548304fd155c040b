"""What is known of decoded images: which files they are, and what was done to each."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from resnet_lab.data import store
from resnet_lab.data.decode import Decoding
from resnet_lab.data.listing import Files, Indices


@dataclass(slots=True)
class Index:
    """What is known of N decoded images, in the order of their rows."""

    about: str  # JSON: the folder, and how its images were decoded
    pixels: str  # name of the file with the images
    names: tuple[str, ...]
    facts: Indices  # (N, 3), as in `Files`
    extremes: npt.NDArray[np.float64]  # (N, 2): least and greatest value, NaN for images of 8 bits
    composited: npt.NDArray[np.bool_]  # (N,): whether transparent pixels were put on the background
    reduced: npt.NDArray[np.bool_]  # (N,): whether Pillow dropped the lower 8 of 16 bits
    damaged: dict[int, str]  # row → reason
    range: tuple[float, float] | None  # that became black and white, in images with more than 8 bits

    @classmethod
    def empty(cls, about: str, files: Files) -> Self:
        count = len(files.names)
        return cls(
            about=about,
            pixels=f"pixels-{uuid.uuid4().hex[:8]}.npy",
            names=files.names,
            facts=files.facts.copy(),
            extremes=np.full((count, 2), np.nan),
            composited=np.zeros(count, bool),
            reduced=np.zeros(count, bool),
            damaged={},
            range=None,
        )

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Read an index; None if there is none, or something else."""
        values = store.load(file)
        try:
            texts = json.loads(str(values.pop("texts"))) if values else {}
            texts["damaged"] = {int(row): why for row, why in texts["damaged"].items()}
            texts["range"] = texts["range"] and tuple(texts["range"])
            return cls(**texts, **values) if values else None
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Write all fields. Raises OSError."""
        texts = {name: getattr(self, name) for name in ("about", "pixels", "damaged", "range")}
        arrays = {name: getattr(self, name) for name in ("extremes", "composited", "reduced")}
        store.save(file, self.names, self.facts, texts=json.dumps(texts), **arrays)

    @property
    def wide(self) -> Indices:
        """The rows of images with more than 8 bits."""
        return np.flatnonzero(~np.isnan(self.extremes[:, 0]))

    def range_over(self, rows: Indices) -> tuple[float, float] | None:
        """Return the least and greatest value in the images `rows`; None if none of them has more than 8 bits."""
        own = self.extremes[np.intersect1d(rows, self.wide)]
        return (float(own[:, 0].min()), float(own[:, 1].max())) if len(own) else None

    def range_for(self, how: Decoding, training: Indices) -> tuple[float, float] | None:
        """Return the values that become black and white in the images with more than 8 bits; None if unknown."""
        return (how.range or self.range_over(training)) if len(self.wide) else None

    def holds(self, files: Files, how: Decoding, training: Indices) -> bool:
        """Whether these are the decoded images of `files`, with the right range."""
        same = self.names == files.names and np.array_equal(self.facts, files.facts)
        return same and self.range == self.range_for(how, training)
