"""A few things that wait for the world outside, done at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import NoReturn, TypeVar

A = TypeVar("A")
B = TypeVar("B")

MOST_HANDS = 2048
"""Threads of a process, at most: several times as many as it has messages at a time, since some begin others."""


def all_at_once(things: Sequence[A], work: Callable[[A], B], *, most: int | None = None) -> list[B]:
    """What `work` makes of each, in their order, with a thread for each, or for `most` of them at a time.

    All have ended when it returns, and when it raises what the first of them raised that failed.
    """
    if len(things) <= 1:
        return [work(thing) for thing in things]
    if most is not None and most < len(things):
        with ThreadPoolExecutor(most) as pool:
            return list(pool.map(work, things))
    outcomes = list(_hands().map(partial(caught, work), things))
    return [outcome() for outcome in outcomes]


@cache
def _hands() -> ThreadPoolExecutor:
    """Threads that stay, and wait for more: to start one for each message took as long as the rest of its delivery."""
    return ThreadPoolExecutor(MOST_HANDS, thread_name_prefix="hand")


def caught(work: Callable[[A], B], thing: A) -> Callable[[], B]:
    """Something that returns what the work returned, or raises what it raised."""
    try:
        answer = work(thing)
    except Exception as failure:  # noqa: BLE001 - it is raised where the work was asked for
        return partial(_raise, failure)
    return lambda: answer


def _raise(failure: Exception) -> NoReturn:
    raise failure
