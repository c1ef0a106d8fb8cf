"""The backends that the contract suite runs against, by name. To add one, add a function to a dict.

Each function is given an empty folder and yields a backend with nothing in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.database_file import MEMORY
from chalicelib.embedded import MOST_RECEIVES, EmbeddedStore, open_embedded
from chalicelib.ports import Queues, Store, Vault
from chalicelib.queues import COUNT_FRESH, SqsQueues
from chalicelib.settings import load
from chalicelib.store import DynamoStore, Row
from chalicelib.vault import MemoryVault
from infra.stream import Stream
from tests.contract import aws
from tests.contract.samples import NOW


@dataclass(frozen=True, kw_only=True)
class StoreBackend:
    """A store under test. `settle` waits until lists and counters show what was written.

    `records` counts those that a task is made of. `expire` removes what has expired by then, as time does. `lose`
    removes the row of a task, and `miscount` adds to the tasks accepted in an hour, both behind kkbida's back.
    `parallel`: it bears callers on several threads at a time. `vault` has its master keys, `stored` gives all bytes
    that it keeps, and `with_vault` the same store with other master keys.
    """

    store: Store
    records: Callable[[str], int]
    expire: Callable[[float], None]
    lose: Callable[[str], None]
    miscount: Callable[[float, int], None]
    vault: Vault
    stored: Callable[[], bytes]
    with_vault: Callable[[Vault], Store]
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
    vault = MemoryVault()
    store, _ = open_embedded(path, load({}), FakeClock(), vault)

    def records(task_id: str) -> int:
        """Requests have no id but their task's: one that is nobody's is found by having none."""
        rows = "SELECT count(*) FROM requests LEFT JOIN tasks USING (id) WHERE ifnull(task_id, ?1) = ?1"
        return int(store._rows(rows, task_id)[0][0])

    def expire(now: float) -> None:
        store.sweep(now, 1000)

    def lose(task_id: str) -> None:
        store.database.write(lambda tx: tx.execute("DELETE FROM tasks WHERE task_id = ?", (task_id,)))

    yield StoreBackend(
        store=store,
        records=records,
        expire=expire,
        lose=lose,
        miscount=lambda at, n: store.database.write(lambda tx: tx.count(at, {"accepted": n})),
        vault=vault,
        stored=partial(_stored_in, path, store),
        with_vault=lambda other: EmbeddedStore(store.database, store._audit_retention, other),
    )
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


def _stored_in(path: str, store: EmbeddedStore) -> bytes:
    """All bytes of the database file and its write-ahead log; in memory, all rows."""
    if path == MEMORY:
        return store.database.read(lambda connection: "\n".join(connection.iterdump()).encode())
    return b"".join(file.read_bytes() for file in sorted(Path(path).parent.glob(f"{Path(path).name}*")))


# ── AWS ──────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _dynamo(server: AbstractContextManager[str], **traits: Any) -> Iterator[StoreBackend]:
    """DynamoDB; the stream of its table is counted when the test asks for it to settle."""
    with server as endpoint:
        settings = aws.table(endpoint)
        vault = MemoryVault()
        store, stream = DynamoStore(settings, vault), Stream(endpoint, settings.table)
        yield StoreBackend(
            store=store,
            records=lambda task_id: len(store._records(task_id)),
            expire=partial(aws.expire, store),
            lose=lambda task_id: store._table.delete((task_id, "task"), Row.task_id.exists()),
            miscount=partial(aws.miscount, store),
            vault=vault,
            stored=lambda: json.dumps(aws.everything(settings)).encode(),
            with_vault=lambda other: DynamoStore(settings, other),
            settle=lambda: stream.drain(store.count),
            **traits,
        )


@contextmanager
def _sqs(server: AbstractContextManager[str], **traits: Any) -> Iterator[QueuesBackend]:
    """SQS, whose time is the real one."""
    clock = FakeClock()
    with server as endpoint:
        yield QueuesBackend(
            queues=SqsQueues(aws.queues(endpoint), clock.now),
            pass_time=time.sleep,
            settle=lambda: clock.move(COUNT_FRESH + 1),
            most_receives=aws.MOST_RECEIVES,
            **traits,
        )


# ── all of them ──────────────────────────────────────────────────────────────────────────────────


STORES: Mapping[str, Callable[[Path], AbstractContextManager[StoreBackend]]] = {
    "file": lambda folder: _embedded_store(str(folder / "kkbida.db")),
    "memory": lambda _: _embedded_store(MEMORY),
    "moto": lambda _: _dynamo(aws.moto(), parallel=False),
    "ministack": lambda _: _dynamo(nullcontext(aws.ministack())),
}

QUEUES: Mapping[str, Callable[[Path], AbstractContextManager[QueuesBackend]]] = {
    "file": lambda folder: _embedded_queues(str(folder / "kkbida.db")),
    "memory": lambda _: _embedded_queues(MEMORY),
    "moto": lambda _: _sqs(aws.moto(), parallel=False, stale_receipts=False),
    "ministack": lambda _: _sqs(nullcontext(aws.ministack()), patience=2),
    "localstack": lambda _: _sqs(nullcontext(aws.localstack()), patience=3, stale_receipts=False),
}

MARKS: Mapping[str, pytest.MarkDecorator] = {
    "ministack": pytest.mark.emulator,
    "localstack": pytest.mark.localstack,
}
"""Backends that need something started."""
