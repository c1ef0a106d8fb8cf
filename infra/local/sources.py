"""Local event sources: they feed the handlers what Lambda feeds them, and take their answers as Lambda does.

A queue's messages arrive in batches of up to ten; whatever the handler does not report as failed is deleted,
the rest comes back when its visibility ends. A schedule calls its handler again and again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any
from uuid import uuid4

from chalicelib import log
from chalicelib.ports import Queue, Queues, Received
from infra.local import context
from infra.local.context import ACCOUNT, REGION, Invoke

BATCH = 10
"""Messages in one event: what SQS gives in one receive, at most."""

WAIT = 1.0
"""Seconds that a poller waits for a first message, and so at most until it notices that it must stop."""

AFTER_FAILURE = 1.0
"""Seconds until a source that failed goes on."""

STOP_SECONDS = 5.0
"""How long running handlers may take to end when the process stops. Then their leases run out, as in a crash."""

Loop = Callable[[Event], None]
"""A source at work, in a thread of its own: it ends soon after the event is set."""


@contextmanager
def running(loops: Sequence[Loop]) -> Iterator[None]:
    """Run the sources while the block runs, and then let their handlers end."""
    stop = Event()
    threads = [Thread(target=loop, args=(stop,), name=f"source-{n}", daemon=True) for n, loop in enumerate(loops)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        end = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def steady(step: Callable[[Event], object], *, pause: float = 0) -> Loop:
    """Take one step after another, `pause` seconds apart. A step that raises is logged and ends nothing."""

    def loop(stop: Event) -> None:
        while not stop.is_set():
            stop.wait(pause if _went_well(step, stop) else max(pause, AFTER_FAILURE))

    return loop


def _went_well(step: Callable[[Event], object], stop: Event) -> bool:
    try:
        step(stop)
    except Exception:  # noqa: BLE001 - Lambda's own pollers outlive everything, too
        log.failure("source.failed")
        return False
    return True


# ── a queue ──────────────────────────────────────────────────────────────────────────────────────


def pollers(queues: Queues, queue: Queue, invoke: Invoke, *, runs: int) -> list[Loop]:
    """Loops for a queue, so that up to `runs` batches are handled at once.

    They take turns at the queue: one waits for messages while the others handle theirs, so that an idle queue
    is asked by one only. When a handler raises, its whole batch comes back, as on Lambda.
    """
    turn = _Turn()

    def step(stop: Event) -> None:
        with turn:
            batch = _receive(queues, queue, stop)
        if batch:
            queues.delete(queue, finished(batch, invoke(sqs_event(queue, batch))))

    return [steady(step)] * runs


class _Turn:
    """A lock that goes to whoever began to wait last: the same few do all the work until there is more of it.

    The others may be hundreds, and take little memory: the stack of a thread that has never worked is empty.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_taken = False
        self._waiting: list[Event] = []

    def __enter__(self) -> None:
        mine = Event()
        with self._lock:
            if self._is_taken:
                self._waiting.append(mine)
            else:
                self._is_taken = True
                mine.set()
        mine.wait()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.pop().set()
            else:
                self._is_taken = False


def _receive(queues: Queues, queue: Queue, stop: Event) -> list[Received]:
    """One batch. A queue that cannot be read is left alone for a while, by whoever's turn it is."""
    if stop.is_set():
        return []
    try:
        return queues.receive(queue, limit=BATCH, wait=WAIT)
    except Exception:  # noqa: BLE001 - as above
        log.failure("source.failed", queue=queue)
        stop.wait(AFTER_FAILURE)
        return []


def sqs_event(queue: Queue, batch: Sequence[Received]) -> context.Event:
    """The event that Lambda makes of messages."""
    return {"Records": [_record(queue, message) for message in batch]}


def _record(queue: Queue, message: Received) -> dict[str, Any]:
    now = str(round(time.time() * 1000))  # the port does not carry when it was sent: now is when it can be no later
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.count),
            "SentTimestamp": now,
            "ApproximateFirstReceiveTimestamp": now,
            "SenderId": ACCOUNT,
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        "awsRegion": REGION,
    }


def finished(batch: Sequence[Received], response: object) -> list[str]:
    """The receipts to delete, by Lambda's rules for a partial batch response.

    No response, or one without failures: all. A response that cannot be understood, or a failure that names
    no message of the batch: none.
    """
    if not response:
        return [message.receipt for message in batch]
    failures = response.get("batchItemFailures") if isinstance(response, Mapping) else [response]
    failed = {_identifier(failure) for failure in failures or ()}
    if not failed <= {message.message_id for message in batch}:
        log.event("batch.misreported", failed=sorted(map(str, failed)))
        return []
    return [message.receipt for message in batch if message.message_id not in failed]


def _identifier(failure: object) -> object:
    return failure.get("itemIdentifier") if isinstance(failure, Mapping) else None


# ── a schedule ───────────────────────────────────────────────────────────────────────────────────


def schedule(invoke: Invoke, *, pause: float) -> Loop:
    """A loop that calls the handler again and again, `pause` seconds apart."""
    return steady(lambda _stop: invoke(scheduled_event()), pause=pause)


def scheduled_event() -> context.Event:
    """The event that EventBridge makes when a schedule is due."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [],
        "detail": {},
    }
