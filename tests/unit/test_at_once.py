"""Things that are done at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from chalicelib.at_once import all_at_once


def meeting(count: int) -> Callable[[int], int]:
    """Work that ends when so many are at it at the same time."""
    barrier = threading.Barrier(count)
    return lambda thing: barrier.wait(10) * 0 + thing * 2


def test_all_are_done_at_the_same_time_and_their_order_is_kept() -> None:
    assert all_at_once(range(20), meeting(20)) == [thing * 2 for thing in range(20)]


def test_one_alone_needs_no_other_thread() -> None:
    assert all_at_once(["x"], lambda _: threading.current_thread()) == [threading.current_thread()]
    assert all_at_once([], len) == []


def test_no_more_are_done_at_a_time_than_may() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work(thing: int) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        paired.wait(10)
        with lock:
            inside -= 1
        return thing

    paired = threading.Barrier(2)
    assert all_at_once(range(8), work, most=2) == list(range(8))
    assert most == 2


def test_threads_stay_and_are_used_again() -> None:
    barrier = threading.Barrier(5)
    seen = [all_at_once(range(5), lambda _: (barrier.wait(10), threading.current_thread())[1]) for _ in range(50)]
    threads = {thread for used in seen for thread in used}
    assert all(thread.is_alive() for thread in threads)
    assert len(threads) < 100, "of 250, if each time there were five more"


def test_what_begins_others_waits_for_them() -> None:
    met = meeting(100)
    assert all_at_once(range(10), lambda outer: sum(all_at_once(range(10), met)) + outer) == [
        90 + outer for outer in range(10)
    ]


def test_a_failure_is_raised_when_all_the_others_have_ended() -> None:
    failed, ended = threading.Event(), list[int]()

    def work(thing: int) -> None:
        if thing == 0:
            failed.set()
            raise ValueError("the first")
        failed.wait(10)
        threading.Event().wait(0.05)  # time in which a failure that did not wait would be heard
        ended.append(thing)

    with pytest.raises(ValueError, match="the first"):
        all_at_once(range(4), work)
    assert sorted(ended) == [1, 2, 3]
