"""The backends that the contract suite runs against, by name. To add one, add a function to a dict.

Each function is given an empty folder and yields a backend with nothing in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chalicelib.embedded import MEMORY, MOST_RECEIVES, open_embedded
from chalicelib.ports import Queues, Store
from chalicelib.settings import load
from tests.contract.samples import NOW


@dataclass(frozen=True, kw_only=True)
class StoreBackend:
    """A store under test. `settle` waits until lists and counters show what was written.

    `parallel`: it bears callers on several threads at a time.
    """

    store: Store
    settle: Callable[[], None] = lambda: None
    parallel: bool = True


@dataclass(frozen=True, kw_only=True)
class QueuesBackend:
    """Queues under test, and what this backend does not do as SQS does.

    `pass_time` lets that many seconds pass, by a fake clock or by waiting. `settle` waits until `in_flight`
    shows what is there. `patience`: seconds that a message may take to show after it is due.
    `most_receives`: after how many receives a task's message goes to the exhausted queue, None when that takes
    too long to try.
    """

    queues: Queues
    pass_time: Callable[[float], None]
    settle: Callable[[], None] = lambda: None
    patience: float = 0
    most_receives: int | None = None
    parallel: bool = True  # it bears callers on several threads at a time
    fair: bool = False  # it serves groups in turn
    twelve_hours: bool = False  # it refuses a visibility beyond 12 hours in all
    stale_receipts: bool = True  # it tells a receipt from one of an earlier receive
    may_double: bool = True  # several consumers may get one message


@dataclass(slots=True)
class FakeClock:
    """A clock that stands still until it is told to move."""

    at: float = NOW

    def now(self) -> float:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += seconds


# ── embedded ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _embedded_store(path: str) -> Iterator[StoreBackend]:
    store, _ = open_embedded(path, load({}), FakeClock())
    yield StoreBackend(store=store)
    store.close()


@contextmanager
def _embedded_queues(path: str) -> Iterator[QueuesBackend]:
    clock = FakeClock()
    store, queues = open_embedded(path, load({}), clock)
    yield QueuesBackend(
        queues=queues,
        pass_time=clock.move,
        settle=lambda: clock.move(1),
        most_receives=MOST_RECEIVES if path == MEMORY else None,  # two thousand fsyncs prove nothing more
        fair=True,
        twelve_hours=True,
        may_double=False,
    )
    store.close()


# ── all of them ──────────────────────────────────────────────────────────────────────────────────


STORES: Mapping[str, Callable[[Path], AbstractContextManager[StoreBackend]]] = {
    "file": lambda folder: _embedded_store(str(folder / "kkbida.db")),
    "memory": lambda _: _embedded_store(MEMORY),
}

QUEUES: Mapping[str, Callable[[Path], AbstractContextManager[QueuesBackend]]] = {
    "file": lambda folder: _embedded_queues(str(folder / "kkbida.db")),
    "memory": lambda _: _embedded_queues(MEMORY),
}

MARKS: Mapping[str, pytest.MarkDecorator] = {
    "ministack": pytest.mark.emulator,
    "localstack": pytest.mark.localstack,
}
"""Backends that need something started."""
