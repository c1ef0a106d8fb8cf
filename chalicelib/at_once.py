"""A few things that wait for the world outside, done at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def all_at_once(things: Sequence[A], work: Callable[[A], B], *, most: int | None = None) -> list[B]:
    """What `work` makes of each, in their order, with a thread for each, or for `most` of them at a time."""
    if len(things) <= 1:
        return [work(thing) for thing in things]
    with ThreadPoolExecutor(min(len(things), most or len(things))) as pool:
        return list(pool.map(work, things))
