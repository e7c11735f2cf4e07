"""Threads: how many torch works with, and one that makes what is needed next."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

T = TypeVar("T")


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


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yields the same items, each made while the one before it is in use."""
    start = partial(torch.set_num_threads, torch.get_num_threads())
    with ThreadPoolExecutor(1, initializer=start) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
