"""Threads: how many torch works with, two for independent work, one for what is needed next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, torch works with ``count`` threads.

    How many share a sum decides how it is rounded, and on a machine that is busy with other things
    several threads spend most of their time waiting for each other.
    """
    before = torch.get_num_threads()
    if before == count:  # to set it anew, even to the same, costs a pool of threads
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Returns what ``work`` makes of every item, two of them at a time.

    Each is worked on by one thread from end to end, as it would be alone: to the bit the same.
    """
    with _pool(2) as pool:
        return list(pool.map(work, items))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yields the same items, each made while the one before it is in use."""
    with _pool(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _pool(count: int) -> ThreadPoolExecutor:
    """Threads in each of which torch works with as many of its own as it does here."""
    start = partial(torch.set_num_threads, torch.get_num_threads())
    return ThreadPoolExecutor(count, initializer=start)
