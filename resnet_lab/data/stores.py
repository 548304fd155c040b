"""Where the pixels of a run are kept while it trains, and how those of a batch get to the device."""

import itertools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from joblib import cpu_count
from rich.filesize import decimal
from torch import Tensor

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.storage import Store
from resnet_lab.data.ahead import ahead, delayed
from resnet_lab.data.decoders import decoders
from resnet_lab.data.file_pixels import FilePixels, Parts
from resnet_lab.data.images import PixelArray
from resnet_lab.data.listing import Indices
from resnet_lab.data.sources import Images

SHARE = 0.5  # of the free memory of a GPU that pixels may fill, if nothing else is asked for
CHUNK = 64  # images that a worker decodes at a time
CHUNK_BYTES = 2**22  # of their pixels at most


class ImageStore(ABC):
    """Images and their labels, which are handed out in batches on a device."""

    def __init__(self, images: Images, device: torch.device) -> None:
        self.device = device
        self.labels_N = torch.from_numpy(images.labels).to(device)

    def batches(self, rows_N: Indices, size: int, parts_N4: Parts | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pixels (B, C, H, W) and labels (B,) of `size` images at a time, of the whole images or of parts."""
        batches = torch.from_numpy(rows_N).to(self.device).split(size)  # at once: the GPU waits for each such copy
        for rows_B, pixels_BCHW in zip(batches, self.pixels(rows_N, batches, parts_N4), strict=True):
            yield pixels_BCHW, self.labels_N[rows_B]

    def sizes(self, rows_N: Indices) -> Indices:
        """Return height and width of images (N, 2), before any cut. Raises TypeError if they are cut already."""
        raise TypeError("these images are cut already")

    @abstractmethod
    def pixels(self, rows_N: Indices, batches: Sequence[Tensor], parts_N4: Parts | None) -> Iterator[Tensor]:
        """Yield pixels on the device for the rows of each batch, which are there already."""


class OnDevice(ImageStore):
    """All pixels are on the device."""

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(images, device)
        self.pixels_NCHW = _tensor(images.pixels).to(device)

    def pixels(self, rows_N: Indices, batches: Sequence[Tensor], parts_N4: Parts | None) -> Iterator[Tensor]:
        for rows_B in batches:
            yield self.pixels_NCHW[rows_B]


class OnHost(ImageStore):
    """All pixels are in the host's memory, or mapped from a file; the next batch is gathered while one is used."""

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(images, device)
        self.pixels_NCHW = images.pixels

    def pixels(self, rows_N: Indices, batches: Sequence[Tensor], parts_N4: Parts | None) -> Iterator[Tensor]:
        on_host = np.split(rows_N, np.cumsum([len(rows_B) for rows_B in batches])[:-1])
        return copied(ahead(lambda rows_B: self.pixels_NCHW[rows_B], on_host), self.device)


class InFiles(ImageStore):
    """Pixels are decoded by worker processes whenever they are used, some batches ahead."""

    def __init__(self, images: Images, device: torch.device, num_workers: int) -> None:
        super().__init__(images, device)
        assert isinstance(images.pixels, FilePixels)
        self.images = images.pixels
        self.num_workers = num_workers

    def sizes(self, rows_N: Indices) -> Indices:
        return self.images.sizes[rows_N]

    def pixels(self, rows_N: Indices, batches: Sequence[Tensor], parts_N4: Parts | None) -> Iterator[Tensor]:
        by_batch = self._chunks([len(rows_B) for rows_B in batches])
        chunks = [(rows_N[chunk], None if parts_N4 is None else parts_N4[chunk]) for own in by_batch for chunk in own]
        with decoders(self.images, self.num_workers) as decode:
            decoded = decode(chunks)
            joined = ahead(lambda own: np.concatenate([next(decoded) for _ in own]), by_batch)
            yield from copied(joined, self.device)

    def _chunks(self, sizes: Sequence[int]) -> list[list[slice]]:
        """Return for batches of these sizes the slices that workers decode at a time."""
        step = max(1, min(CHUNK, CHUNK_BYTES // math.prod(self.images.shape[1:])))
        ends = itertools.accumulate(sizes)
        return [
            [slice(first, min(first + step, end)) for first in range(end - size, end, step)]
            for size, end in zip(sizes, ends, strict=True)
        ]


def copied(on_host: Iterable[npt.NDArray[Any]], device: torch.device) -> Iterator[Tensor]:
    """Yield arrays as tensors on a device. If it is a GPU, the next one is copied meanwhile, on a stream of its own."""
    if device.type != "cuda":
        yield from map(_tensor, on_host)
        return
    stream = torch.cuda.Stream(device)

    def started() -> Iterator[tuple[Tensor, torch.cuda.Event]]:
        for pixels in on_host:
            with torch.cuda.stream(stream):
                copy = _tensor(pixels).pin_memory().to(device, non_blocking=True)
            yield copy, stream.record_event()

    for copy, event in delayed(started()):
        current = torch.cuda.current_stream(device)
        current.wait_event(event)
        copy.record_stream(current)  # its memory is not used again before this stream has read it
        yield copy


def store_of(
    images: Images, data: DataConfig, device: torch.device, on_host: bool = False, num_processes: int = 1
) -> ImageStore:
    """Return the store for images, as `data.store` says, but not on the device if they have to stay `on_host`.

    The cores are shared by `num_processes`. Raises ConfigError if the images do not fit on the device.
    """
    store, _ = choice(images, data, on_gpu=device.type == "cuda")
    if store is Store.files:
        return InFiles(images, device, max(1, cpu_count() // num_processes) if data.workers is None else data.workers)
    return OnHost(images, device) if on_host or store is Store.host else OnDevice(images, device)


def choice(images: Images, data: DataConfig, on_gpu: bool) -> tuple[Store, str]:
    """Return where pixels are kept, and why. Raises ConfigError if `data.store` asks for what is impossible."""
    needed = images.pixels.dtype.itemsize * math.prod(images.pixels.shape)
    size = decimal(needed)
    if isinstance(images.pixels, FilePixels):
        asked = {"store=files": data.store is Store.files, "pack.side": data.pack.side, "whole=true": data.whole}
        reasons = [f"data.{name}" for name, does in asked.items() if does]
        return Store.files, reasons[0] if reasons else f"{size} do not fit into memory"
    free = torch.cuda.mem_get_info()[0] if on_gpu else math.inf
    if data.store is Store.device and needed > free:
        left = f"the pixels need {size}, but the GPU has only {decimal(int(free))} left"
        raise ConfigError(f"data.store=device: {left}: choose auto, host or files")
    if data.store is not Store.auto:
        return data.store, f"data.store={data.store.name}"
    if needed > SHARE * free:
        return Store.host, f"{size} would fill more than half of the GPU's free memory"
    return Store.device, f"{size} fit"


SAID = {
    Store.device: "kept on the device",
    Store.host: "kept on the host, a call ahead",
    Store.files: "decoded from their files by worker processes",
}


def _tensor(pixels: PixelArray) -> Tensor:
    assert isinstance(pixels, np.ndarray)
    with warnings.catch_warnings():  # a memory-mapped cache is read-only; nothing here writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)
