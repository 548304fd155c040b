"""What is known of decoded images: which files they are, and what was done to each."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from resnet_lab.data import file_rows
from resnet_lab.data.fit import Decoding, as_array
from resnet_lab.data.images import Sums
from resnet_lab.data.listing import Files, Indices

UNKNOWN = -1  # stands for the facts of a file that was not read, so that it is tried again
BY_ROW = ("extremes", "composited", "reduced", "sizes", "totals", "squares", "counts", "places")


@dataclass(slots=True)
class Index:
    """What is known of N decoded images, in the order of their rows."""

    about: str  # JSON: the folder, and how its images were decoded
    pixels: str  # name of the file with what is kept of the images
    names: tuple[str, ...]
    facts: Indices  # (N, 3), as in `Files`; UNKNOWN for those that are still to be decoded
    extremes: npt.NDArray[np.float64]  # (N, 2): least and greatest value, NaN for images of 8 bits
    composited: npt.NDArray[np.bool_]  # (N,): whether transparent pixels were put on the background
    reduced: npt.NDArray[np.bool_]  # (N,): whether Pillow dropped the lower 8 of 16 bits
    sizes: Indices  # (N, 2): height and width of images that are decoded when they are used
    totals: Indices  # (N, C): sums of the pixels that count in the mean
    squares: Indices  # (N, C): sums of their squares
    counts: Indices  # (N,): their number
    places: Indices  # (N, 2): first byte and length in a packed file
    damaged: dict[int, str]  # row → reason
    range: tuple[float, float] | None  # that became black and white, in images with more than 8 bits

    @classmethod
    def empty(cls, about: str, files: Files, channels: int, suffix: str) -> Self:
        count = len(files.names)
        return cls(
            about=about,
            pixels=f"pixels-{uuid.uuid4().hex[:8]}{suffix}",
            names=files.names,
            facts=np.full_like(files.facts, UNKNOWN),
            extremes=np.full((count, 2), np.nan),
            composited=np.zeros(count, bool),
            reduced=np.zeros(count, bool),
            sizes=np.zeros((count, 2), np.int64),
            totals=np.zeros((count, channels), np.int64),
            squares=np.zeros((count, channels), np.int64),
            counts=np.zeros(count, np.int64),
            places=np.zeros((count, 2), np.int64),
            damaged={},
            range=None,
        )

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Read an index; None if there is none, or something else."""
        values = file_rows.load(file)
        try:
            texts = json.loads(str(values.pop("texts"))) if values else {}
            texts["damaged"] = {int(row): why for row, why in texts["damaged"].items()}
            texts["range"] = texts["range"] and tuple(texts["range"])
            return cls(**texts, **values) if values else None
        except (ValueError, KeyError, TypeError):
            return None

    def take(self, rows: Indices, before: Self, old_rows: Indices) -> None:
        """Take over what an earlier index knows of some images."""
        for name in ("facts", *BY_ROW):
            getattr(self, name)[rows] = getattr(before, name)[old_rows]
        pairs = zip(rows.tolist(), old_rows.tolist(), strict=True)
        self.damaged |= {row: before.damaged[old] for row, old in pairs if old in before.damaged}

    def count(self, row: int, image: Image.Image) -> None:
        """Add up the pixels of an image."""
        sums = Sums.of(as_array(image)[None])
        self.totals[row], self.squares[row], self.counts[row] = sums.totals[0], sums.squares[0], sums.counts[0]

    @property
    def sums(self) -> Sums:
        """The sums of each image, for mean and standard deviation."""
        return Sums(self.totals, self.squares, self.counts)

    def write(self, file: Path) -> None:
        """Write all fields. Raises OSError."""
        texts = {name: getattr(self, name) for name in ("about", "pixels", "damaged", "range")}
        arrays = {name: getattr(self, name) for name in BY_ROW}
        file_rows.save(file, self.names, self.facts, texts=json.dumps(texts), **arrays)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which images have been decoded, (N,)."""
        return (self.facts != UNKNOWN).all(axis=1)

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
