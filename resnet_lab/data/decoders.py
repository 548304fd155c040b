"""Worker processes that decode images ahead of their use."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait

import numpy as np
import numpy.typing as npt
import psutil

from resnet_lab.data.ahead import delayed
from resnet_lab.data.file_pixels import FilePixels, Parts
from resnet_lab.data.listing import Indices

AHEAD = 3  # chunks that each worker may be ahead

Chunk = tuple[Indices, Parts | None]  # rows of images, and which parts of them
Decoded = npt.NDArray[np.uint8]
Decode = Callable[[Sequence[Chunk]], Iterator[Decoded]]

_images: FilePixels  # of a worker


@contextmanager
def decoders(images: FilePixels, num_workers: int) -> Iterator[Decode]:
    """Start worker processes; yield a function that decodes chunks in order. Without workers, it decodes by itself."""
    if not num_workers:
        yield lambda chunks: (images.read(rows, parts) for rows, parts in chunks)
        return
    pool = ProcessPoolExecutor(num_workers, initializer=_begin, initargs=(images,))
    try:
        pool.submit(os.getpid)  # start all workers here, and not in the thread that waits for the first chunk
        yield lambda chunks: _results((pool.submit(_read, *chunk) for chunk in chunks), num_workers * AHEAD)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _results(futures: Iterable[Future[Decoded]], count: int) -> Iterator[Decoded]:
    """Yield all results in order, with `count` futures ahead."""
    for future in delayed(futures, count):
        yield future.result()


def _begin(images: FilePixels) -> None:
    """Prepare a worker. It ends with the process that reads, and not by signals, which often go to all processes."""
    global _images
    _images = images
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    psutil.Process().kill()


def _read(rows: Indices, parts: Parts | None) -> Decoded:
    return _images.read(rows, parts)
