"""Loops whose next items are under way while one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def delayed(items: Iterable[Item], count: int = 1) -> Iterator[Item]:
    """Yield all items, each when the next `count` have been taken, so that these can have been started."""
    pending = deque[Item]()
    for item in items:
        pending.append(item)
        if len(pending) > count:
            yield pending.popleft()
    yield from pending


def ahead(compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `compute(item)` of each item in order, where a thread is one item ahead.

    `compute` should leave torch alone: next to a thread with OpenMP, those of a training step sleep where they would
    spin.
    """
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        for future in delayed(thread.submit(compute, item) for item in items):
            yield future.result()
    finally:
        thread.shutdown(wait=False, cancel_futures=True)
