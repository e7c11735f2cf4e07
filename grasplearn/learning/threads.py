"""How many threads torch works with, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
