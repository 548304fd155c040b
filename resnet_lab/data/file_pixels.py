"""Images that are decoded when they are asked for, as an array (N, C, H, W) that fits nowhere."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import cpu_count
from PIL import Image

from resnet_lab.data.decode import decode_image
from resnet_lab.data.fit import Decoding, as_array, fitted, part
from resnet_lab.data.listing import Indices

CHUNK = 16  # images that are decoded by a thread at a time

Parts = npt.NDArray[np.float64]  # (B, 4): left, top, right and bottom edge in pixels; NaN: the image as `fit` says


class FilePixels:
    """Images as uint8, each decoded by a function of its row whenever it is used."""

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, decode: Callable[[int], Image.Image], how: Decoding, sizes: Indices) -> None:
        self.decode, self.how = decode, how
        self.sizes = sizes  # (N, 2): height and width of each before it is made to fit
        self.shape = (len(sizes), *how.image_shape)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, rows: int | slice | Indices | list[int]) -> npt.NDArray[np.uint8]:
        """Return images in the order of `rows`, decoded in threads: Pillow releases the GIL."""
        chosen = np.arange(len(self))[rows]
        if chosen.ndim == 0:
            return self.read(chosen[None])[0]
        with ThreadPoolExecutor(cpu_count()) as pool:
            parts = pool.map(self.read, np.split(chosen, range(CHUNK, len(chosen), CHUNK)))
            return np.concatenate(list(parts))

    def read(self, rows: Indices, parts: Parts | None = None) -> npt.NDArray[np.uint8]:
        """Return images, or parts of them in the same shape (B, C, H, W), decoded one by one. Raises OSError."""
        pixels = np.empty((len(rows), *self.how.image_shape), np.uint8)
        for place, row in enumerate(rows.tolist()):
            image = self.decode(row)
            if parts is None or np.isnan(parts[place, 0]):
                pixels[place] = as_array(fitted(image, self.how))
            else:
                left, top, right, bottom = parts[place].tolist()
                pixels[place] = as_array(part(image, (left, top, right, bottom), self.how))
        return pixels

    def __array__(self, *_: Any, **__: Any) -> npt.NDArray[np.uint8]:
        raise TypeError("these images do not fit into memory: choose rows")


@dataclass(frozen=True, slots=True)
class Originals:
    """Image files as a function of their row.

    Their names are one array, since each process that uses a Python object copies the memory around it.
    """

    root: Path
    names: npt.NDArray[np.bytes_]
    how: Decoding

    def __call__(self, row: int) -> Image.Image:
        """Decode an image. Raises OSError if that fails, though it was possible before."""
        path = self.root / os.fsdecode(self.names[row])
        try:
            image = decode_image(path, self.how).image
        except Exception as error:  # Pillow raises anything from OSError to struct.error for a damaged file
            raise OSError(f"{path} has changed, and cannot be decoded any more: {error}") from error
        if image is None:
            raise OSError(f"{path} has changed, and has more than 8 bits per value")
        return image


@dataclass
class Pack:
    """The images of a packed file as a function of their row."""

    path: Path
    mode: str
    places: Indices
    sizes: Indices
    is_jpeg: bool

    def __post_init__(self) -> None:
        assert self.data is not None  # open now: another process may replace the file

    @cached_property
    def data(self) -> npt.NDArray[np.uint8]:
        """The whole file, mapped."""
        if not self.path.stat().st_size:
            return np.zeros(0, np.uint8)
        return np.memmap(self.path, np.uint8, mode="r")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped file out: another process opens it again."""
        return {name: value for name, value in self.__dict__.items() if name != "data"}

    def __call__(self, row: int) -> Image.Image:
        """Decode an image."""
        start, length = self.places[row].tolist()
        data = self.data[start : start + length].tobytes()
        if self.is_jpeg:
            return Image.open(io.BytesIO(data), formats=("JPEG",))
        height, width = self.sizes[row].tolist()
        return Image.frombytes(self.mode, (width, height), data)
