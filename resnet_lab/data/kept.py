"""What is kept of decoded images: their pixels, a packed file of smaller images, or nothing but what is known of them.

Each way writes rows one by one, from several threads, copies rows of an earlier file, and opens what it has written as
an array (N, C, H, W).
"""

import io
import math
import os
import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from resnet_lab.config.data import DataConfig
from resnet_lab.config.storage import Store
from resnet_lab.data.file_pixels import FilePixels, Originals, Pack
from resnet_lab.data.fit import BILINEAR, MODES, Decoding, as_array, fitted, shortened
from resnet_lab.data.images import PixelArray
from resnet_lab.data.index import Index
from resnet_lab.data.listing import Files, Indices

CHUNK = 64  # images that are copied at a time


class Keeper(ABC):
    """A way to keep images that are decoded as `how` says."""

    suffix: ClassVar[str]  # of the file

    def __init__(self, how: Decoding) -> None:
        self.how = how

    def described(self) -> dict[str, object]:
        """Return all that changes what is kept, as plain values."""
        return self.how.described()

    def least_bytes(self, count: int) -> int:
        """Return how many bytes `count` images need at least."""
        return 0

    @abstractmethod
    def create(self, path: Path, index: Index) -> None:
        """Begin a file."""

    @abstractmethod
    def put(self, row: int, image: Image.Image, index: Index) -> Image.Image:
        """Keep an image; return what counts in the mean. Raises OSError."""

    @abstractmethod
    def copy(self, old: Path, before: Index, old_rows: Indices, rows: Indices, index: Index) -> None:
        """Keep rows of an earlier file. Raises OSError."""

    @abstractmethod
    def flush(self) -> None:
        """Hand what was put to the system."""

    @abstractmethod
    def opened(self, path: Path, index: Index, files: Files) -> PixelArray:
        """Return the images of a file. Raises OSError or ValueError if it is none of these."""


class Arrays(Keeper):
    """All pixels, in the shape that the network takes."""

    suffix = ".npy"

    def least_bytes(self, count: int) -> int:
        return count * math.prod(self.how.image_shape)

    def create(self, path: Path, index: Index) -> None:
        shape = (len(index.names), *self.how.image_shape)
        self.pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)

    def put(self, row: int, image: Image.Image, index: Index) -> Image.Image:
        small = fitted(image, self.how)
        self.pixels[row] = as_array(small)
        return small

    def copy(self, old: Path, before: Index, old_rows: Indices, rows: Indices, index: Index) -> None:
        old_pixels = self._map(old, before)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            self.pixels[rows[part]] = old_pixels[old_rows[part]]

    def flush(self) -> None:
        self.pixels.flush()

    def opened(self, path: Path, index: Index, files: Files) -> PixelArray:
        return self._map(path, index)

    def _map(self, path: Path, index: Index) -> npt.NDArray[Any]:
        pixels: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        if pixels.shape != (len(index.names), *self.how.image_shape):
            raise ValueError(f"{path} has the shape {pixels.shape}")
        return pixels


class Nothing(Keeper):
    """Nothing: the files are decoded whenever they are needed."""

    suffix = ".none"

    def described(self) -> dict[str, object]:
        return super().described() | {"kept": "nothing"}

    def create(self, path: Path, index: Index) -> None:
        path.touch()

    def put(self, row: int, image: Image.Image, index: Index) -> Image.Image:
        index.sizes[row] = image.size[::-1]
        return fitted(image, self.how)

    def copy(self, old: Path, before: Index, old_rows: Indices, rows: Indices, index: Index) -> None:
        pass

    def flush(self) -> None:
        pass

    def opened(self, path: Path, index: Index, files: Files) -> PixelArray:
        how = replace(self.how, range=index.range)
        return FilePixels(Originals(files.root, np.array([*map(os.fsencode, files.names)]), how), how, index.sizes)


class Packed(Keeper):
    """Images whose shorter side is `side` pixels, or less if their files have less, one after the other in a file.

    They are JPEG data of a quality, or pixels if that is None.
    """

    suffix = ".pack"

    def __init__(self, how: Decoding, side: int, quality: int | None) -> None:
        super().__init__(how)
        self.side, self.quality = side, quality
        self.lock = threading.Lock()

    def described(self) -> dict[str, object]:
        """Return what changes the file: not the size in which its images will be read."""
        whole = super().described()
        used = {name: whole[name] for name in ("background", "max_pixels", "crop")}
        return {"channels": self.how.image_shape[0], **used, "kept": [self.side, self.quality]}

    def create(self, path: Path, index: Index) -> None:
        self.file = path.open("wb")

    def put(self, row: int, image: Image.Image, index: Index) -> Image.Image:
        if min(image.size) > self.side:
            image = image.resize(shortened(image.size, self.side), BILINEAR)
        data = image.tobytes()
        if self.quality:
            stream = io.BytesIO()
            image.save(stream, "JPEG", quality=self.quality)
            data = stream.getvalue()
        index.sizes[row] = image.size[::-1]
        self._append(row, data, index)
        return image

    def copy(self, old: Path, before: Index, old_rows: Indices, rows: Indices, index: Index) -> None:
        data = np.memmap(old, np.uint8, mode="r")
        for row, (start, length) in zip(rows.tolist(), before.places[old_rows].tolist(), strict=True):
            self._append(row, data[start : start + length].tobytes(), index)

    def flush(self) -> None:
        with self.lock:
            self.file.flush()

    def opened(self, path: Path, index: Index, files: Files) -> PixelArray:
        mode = MODES[self.how.image_shape[0]]
        if path.stat().st_size < index.places[index.known].sum(axis=1).max(initial=0):
            raise ValueError(f"{path} is too short")
        return FilePixels(Pack(path, mode, index.places, index.sizes, bool(self.quality)), self.how, index.sizes)

    def _append(self, row: int, data: bytes, index: Index) -> None:
        with self.lock:
            index.places[row] = self.file.tell(), len(data)
            self.file.write(data)


def keeper_of(data: DataConfig, count: int) -> Keeper:
    """Return how `count` images are kept, as `data.store` and `data.pack` say.

    If they say nothing, pixels are kept unless they would fill more than the host's memory.
    """
    how = Decoding.of(data)
    if data.pack.side:
        return Packed(how, data.pack.side, data.pack.quality)
    kept = Arrays(how)
    too_large = kept.least_bytes(count) > psutil.virtual_memory().total
    if data.store is Store.files or data.whole or (data.store is Store.auto and too_large):
        return Nothing(how)
    return kept
