"""Accept: check, store, enqueue. Once `accept` has returned, it is our duty that the task arrives.

    submitted JSON --submission.read--> Request --life.begin--> Task --store.add--> on disk --enqueue--> queue

The message is the fast path only: when it cannot be sent, or is lost, the reconciler finds the task by
its `wake_at`. So it does when the task is due later than a message can wait.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib import json_text, life, log, submission
from chalicelib.at_once import all_at_once
from chalicelib.changes import made
from chalicelib.enqueue import enqueue, enqueue_all, parcel, wait_of
from chalicelib.errors import Forbidden, IdempotencyConflict, InternalError, Refusal
from chalicelib.ports import MOST_DELAY, World
from chalicelib.shape import Record
from chalicelib.task import Audit, Json, Status, Task

AT_ONCE = 20
"""Tasks of a batch that are stored at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Who submits. `caller`: whose idempotency and ordering keys they are; of a user, its name in the audit trail.

    `source_app`: the only app that its tasks may come from. `user_address`: of a user, where the request came from:
    the submission is then in the audit trail, with the same write as the task.
    """

    caller: str
    source_app: str | None = None
    user_address: str | None = None


def accept(world: World, submitted: Json, *, by: Submitter, key: str | None) -> Task:
    """Take on a task, or recognise it: the same caller, key and content is the same task.

    Raises InvalidRequest with every fault, Forbidden when it
    comes from another app, IdempotencyConflict when the key belongs to other content, Unavailable when it could not be
    stored.
    """
    task = _store(world, submitted, submission.TASK, by=by, key=key)
    if _wants_message(task) and (wait := wait_of(task, world.clock.now())) <= MOST_DELAY:
        enqueue(world, task, delay=wait)
    return task


def accept_batch(world: World, batch: Sequence[Json], *, by: Submitter) -> list[Task | Refusal]:
    """Of each task, in the order given, what `accept` returns or raises; each has its `idempotency_key` among its
    members. Their messages travel together. Those with the same ordering key are stored in the order given."""
    answers: dict[int, Task | Refusal] = {}

    def store_in_order(numbers: Sequence[int]) -> None:
        for number in numbers:
            answers[number] = _stored_or_refused(world, batch[number], by)

    all_at_once(_in_lines(batch), store_in_order, most=AT_ONCE)
    _enqueue_all(world, [task for task in answers.values() if isinstance(task, Task) and _wants_message(task)])
    return [answers[number] for number in range(len(batch))]


def _in_lines(batch: Sequence[Json]) -> list[list[int]]:
    """The numbers of the tasks of a batch: those with the same ordering key together."""
    lines: dict[object, list[int]] = {}
    for number, submitted in enumerate(batch):
        key = submitted.get("ordering_key") if isinstance(submitted, dict) else None
        lines.setdefault(key if isinstance(key, str) else number, []).append(number)
    return list(lines.values())


def _stored_or_refused(world: World, submitted: Json, by: Submitter) -> Task | Refusal:
    """One task of a batch, whatever becomes of the others."""
    key = submitted.get("idempotency_key") if isinstance(submitted, dict) else None
    try:
        return _store(world, submitted, submission.BATCHED, by=by, key=key)
    except Refusal as refusal:
        return refusal
    except Exception:  # noqa: BLE001 - as the docstring says; the log has it
        log.failure("task.not_stored")
        return InternalError("The log has it.")


def _coming_from(source_app: str | None, submitted: Json) -> Json:
    """The submission with its app written out, where there is only one that it may come from. Raises Forbidden."""
    if source_app is None or not isinstance(submitted, dict):
        return submitted
    if submitted.get("source_app") not in (None, source_app):
        raise Forbidden(f"This key acts for {source_app} only: leave source_app out, or let it be {source_app}.")
    return {**submitted, "source_app": source_app}


def _store(world: World, given: Json, shape: Record, *, by: Submitter, key: str | None) -> Task:
    """The task as it is stored by now: a new one, or one that is recognised."""
    now, submitted = world.clock.now(), _coming_from(by.source_app, given)
    request = submission.read(submitted, world.settings, world.http, now, shape=shape)
    due_at = submission.due_at(submitted, now)
    content = {name: value for name, value in submitted.items() if name != "idempotency_key"}
    task = life.begin(
        request,
        task_id=_task_id(world, by.caller, key),
        caller=by.caller,
        digest=digest(content),
        now=now,
        grace=world.settings.grace,
        due_at=due_at,
        parked=due_at - now > MOST_DELAY,
    )
    known = world.store.add(task, _audit(task, by))
    if known is not None:
        return _recognised(known, content, key)
    log.event("task.accepted", task_id=task.task_id, target=request.target)
    return task if request.ordering_key is None else world.store.get(task.task_id) or task


def _audit(task: Task, by: Submitter) -> Audit | None:
    """The entry of a user's submission; None for that of a program, whose task says whose it is."""
    if by.user_address is None:
        return None
    request = task.request
    told = {"url": request.url, "source_app": request.source_app, "target_app": request.target_app}
    return Audit(
        at=task.created_at,
        actor=by.caller,
        action="submit",
        subject=task.task_id,
        address=by.user_address,
        detail=made(told),
    )


def _recognised(known: Task, content: Json, key: str | None) -> Task:
    if not is_content_of(known, content):
        raise IdempotencyConflict(f'Idempotency-Key "{key}" was used for task {known.task_id} with other content.')
    return known


def _wants_message(task: Task) -> bool:
    """Whether nothing was tried yet. Of a task accepted before, the first message may have been lost: send another.

    One that is held, or stands behind others in its line, must not have any.
    """
    return task.status is Status.PENDING and task.number == 0 and not task.behind and not task.held


def _task_id(world: World, caller: str, key: str | None) -> str:
    """A UUID; with a key always the same one, so that one conditional write decides who was first."""
    if key is None:
        return str(uuid.UUID(int=world.random.getrandbits(128), version=4))
    seed = json.dumps([caller, key]).encode()
    return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=5))


DIGEST = "2."
"""The beginning of a digest that covers the text of numbers and of the body."""


def digest(submitted: Json) -> str:
    """32 characters that two submissions share only when their content is the same.

    The body counts byte for byte, as it is delivered; elsewhere the text of numbers counts, and the order of members
    and the blanks between them do not.
    """
    return DIGEST + _hash(json_text.canonical(submitted))[:30]


def is_content_of(known: Task, submitted: Json) -> bool:
    """Whether a task was accepted with this content. Of one from before `DIGEST`, numbers were rounded to doubles."""
    if known.digest.startswith(DIGEST):
        return known.digest == digest(submitted)
    rounded = json.dumps(json_text.as_doubles(submitted), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return known.digest == _hash(rounded)[:32]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _enqueue_all(world: World, tasks: Sequence[Task]) -> None:
    """`enqueue` for many new tasks at once, but for those that are due later than a message can wait."""
    now = world.clock.now()
    soon = [(task, wait) for task in tasks if (wait := wait_of(task, now)) <= MOST_DELAY]
    enqueue_all(world, [parcel(task, delay=wait) for task, wait in soon])
