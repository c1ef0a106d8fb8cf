"""Consume: a batch of messages becomes a partial batch response. The one place where an outcome turns into
an acknowledgement or a later return.

A message that is finished is left out of the response, and Lambda (or the local source) deletes it. One that
must come back gets its wait as visibility timeout and is reported as failed, which leaves it in the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import log
from chalicelib.at_once import all_at_once
from chalicelib.errors import Unavailable
from chalicelib.ports import MOST_HIDDEN, News, Queue, World, read

WAIT_FOR_A_PORT = 30
"""Seconds after which a message returns that met a store or queue that could not serve."""

WAIT_AFTER_A_FAULT = 60
"""Seconds after which a message returns whose handling raised something nobody expected."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The message has done its work."""


@dataclass(frozen=True, slots=True)
class ComeBack:
    """The message is to be received again after `wait` seconds."""

    wait: float


Outcome = Finished | ComeBack
Handle = Callable[[World, Any], Outcome]
"""Each handler takes what is sent to its queue: tasks' messages, and on the exhausted queue news as well."""


def consume(world: World, queue: Queue, event: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
    """Handle every record of an SQS event at the same time; `{"batchItemFailures": [...]}` for those that stay."""
    records = event["Records"]
    stays = all_at_once(records, lambda record: _stays(world, queue, record, handle))
    stay = [record for record, staying in zip(records, stays, strict=True) if staying]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in stay]}


def _stays(world: World, queue: Queue, record: Mapping[str, Any], handle: Handle) -> bool:
    """Handle one message. One that must come back is hidden at once: its neighbours may take much longer."""
    outcome = _outcome(world, queue, record, handle)
    if isinstance(outcome, ComeBack):
        _hide(world, queue, record["receiptHandle"], outcome.wait)
    return isinstance(outcome, ComeBack)


def _outcome(world: World, queue: Queue, record: Mapping[str, Any], handle: Handle) -> Outcome:
    """What becomes of one message, whatever happens while it is handled: a batch never fails as a whole."""
    try:
        message = read(record["body"])
    except ValueError:
        log.failure("message.unreadable", queue=queue, message_id=record["messageId"])
        return Finished()
    about = {"target": message.target} if isinstance(message, News) else {"task_id": message.task_id}
    try:
        return handle(world, message)
    except Unavailable as unavailable:
        log.event("port.unavailable", metrics={"PutOff": 1}, **about, why=unavailable.detail)
        return ComeBack(WAIT_FOR_A_PORT)
    except Exception:  # noqa: BLE001 - one message's fault must not become its neighbours'; it is logged and returns
        log.failure("message.failed", queue=queue, **about)
        return ComeBack(WAIT_AFTER_A_FAULT)


def _hide(world: World, queue: Queue, receipt: str, wait: float) -> None:
    """Set the wait. Where that fails, the message returns at the queue's own visibility: early, or minutes late."""
    try:
        world.queues.hide(queue, {receipt: min(max(wait, 0), MOST_HIDDEN)})
    except Unavailable as unavailable:
        log.event("queue.unavailable", metrics={"HidesPutOff": 1}, queue=queue, why=unavailable.detail)
