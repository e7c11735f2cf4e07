"""What is needed next is made meanwhile, what is independent side by side; it is the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from grasplearn.learning.threads import ahead, side_by_side, threads


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    got = []
    for number in ahead(items()):
        if number < 2:
            assert made[number + 1].wait(10), "it waits until this one is done with"
        got.append(number)
    assert got == [0, 1, 2]


def test_what_goes_wrong_meanwhile_is_told() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more samples")

    with pytest.raises(ValueError, match="no more samples"):
        list(ahead(items()))


def test_it_works_with_as_many_threads_as_the_one_that_waits() -> None:
    def items() -> Iterator[int]:
        yield torch.get_num_threads()

    for count in (1, 2):
        with threads(count):
            assert list(ahead(items())) == [count]


def test_two_items_are_worked_on_at_once_and_come_in_order() -> None:
    both_there = threading.Barrier(2)

    def work(number: int) -> int:
        both_there.wait(10)
        return number * number

    assert side_by_side(work, range(4)) == [0, 1, 4, 9]


def test_each_item_has_as_many_threads_as_it_would_have_alone() -> None:
    for count in (1, 2):
        with threads(count):
            assert side_by_side(lambda _: torch.get_num_threads(), range(3)) == [count] * 3


def test_what_goes_wrong_side_by_side_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda number: 1 / number, (1, 0, 2))


def test_stopping_early_ends_its_thread() -> None:
    before = threading.active_count()
    waiting = ahead(iter(range(1, 9)))
    assert next(waiting) == 1
    waiting.close()
    assert threading.active_count() == before
