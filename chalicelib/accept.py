"""Accept: check, store, enqueue. Once `accept` has returned, it is our duty that the task arrives.

    submitted JSON --submission.read--> Request --life.begin--> Task --store.add--> on disk --enqueue--> queue

The message is the fast path only: when it cannot be sent, or is lost, the reconciler finds the task by
its `wake_at`.
"""

from __future__ import annotations

import hashlib
import json
import uuid

from chalicelib import life, log, submission
from chalicelib.errors import IdempotencyConflict, Unavailable
from chalicelib.ports import Message, Queue, World
from chalicelib.task import FINAL, Json, Status, Task


def accept(world: World, submitted: Json, *, caller: str, key: str | None) -> Task:
    """Take on a task, or recognise it: the same caller, key and content is the same task.

    Raises InvalidRequest with every fault, IdempotencyConflict when the key belongs to other content,
    Unavailable when it could not be stored.
    """
    request = submission.read(submitted, world.settings, world.http)
    task = life.begin(
        request,
        task_id=_task_id(world, caller, key),
        caller=caller,
        digest=digest(submitted),
        now=world.clock.now(),
        grace=world.settings.grace,
    )
    known = world.store.add(task)
    if known is not None:
        return _recognise(world, known, task.digest, key)
    enqueue(world, task)
    log.event("task.accepted", metrics={"Accepted": 1}, task_id=task.task_id, target=request.target)
    return task


def _recognise(world: World, known: Task, digest: str, key: str | None) -> Task:
    """The task that was accepted before. Where nothing was tried yet, its message may have been lost: send another."""
    if known.digest != digest:
        raise IdempotencyConflict(f'Idempotency-Key "{key}" was used for task {known.task_id} with other content.')
    if known.status is Status.PENDING and known.number == 0:
        enqueue(world, known)
    return known


def _task_id(world: World, caller: str, key: str | None) -> str:
    """A UUID; with a key always the same one, so that one conditional write decides who was first."""
    if key is None:
        return str(uuid.UUID(int=world.random.getrandbits(128), version=4))
    seed = json.dumps([caller, key]).encode()
    return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=5))


def digest(submitted: Json) -> str:
    """32 hex digits that two submissions share only when their content is the same."""
    text = json.dumps(submitted, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def enqueue(world: World, task: Task, *, delay: float = 0) -> bool:
    """Send the message that wakes `task`, to the queue of its status, to be received after `delay` seconds.

    Whether it was sent. A queue that cannot take it costs minutes, not the task: `wake_at` stands already.
    """
    queue = Queue.EXHAUSTED if task.status in FINAL else Queue.TASKS
    try:
        world.queues.send(queue, Message(task.task_id, task.ticket), group=task.request.target, delay=delay)
    except Unavailable as unavailable:
        why = unavailable.detail
        log.event("queue.unavailable", metrics={"SendsPutOff": 1}, task_id=task.task_id, queue=queue, why=why)
        return False
    except Exception:  # noqa: BLE001 - the task is stored: whatever is wrong with the queue, the caller has its promise
        log.failure("queue.failed", task_id=task.task_id, queue=queue)
        return False
    return True
