"""Enqueue: send the message that wakes a task. The fast path only: a queue that cannot take it costs minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalicelib import life, log
from chalicelib.errors import Unavailable
from chalicelib.ports import Message, Parcel, Queue, World
from chalicelib.task import FINAL, Task


def enqueue(world: World, task: Task, *, delay: float = 0) -> bool:
    """Send the message that wakes `task`, to the queue of its status, to be received after `delay` seconds.

    Whether it was sent. A queue that cannot take it costs minutes, not the task: `wake_at` stands already.
    """
    queue, it = Queue.EXHAUSTED if task.status in FINAL else Queue.TASKS, parcel(task, delay=delay)
    return _sends([task.task_id], lambda: world.queues.send(queue, it.message, group=it.group, delay=it.delay))


def enqueue_all(world: World, parcels: Sequence[Parcel]) -> bool:
    """Send messages that wake tasks to the task queue, together. Whether they were sent."""
    ids = [it.message.task_id for it in parcels if isinstance(it.message, Message)]
    return not parcels or _sends(ids, lambda: world.queues.send_all(Queue.TASKS, parcels))


def pass_turn(world: World, old: Task, new: Task) -> None:
    """Where `old` was the first in its line and `new` has left it: send the message of the one whose turn it is now."""
    if old.place is None or old.behind or new.place is not None:
        return
    following = world.store.whose_turn(old.line, world.clock.now())
    if following is not None:
        send_turn(world, following)


def send_turn(world: World, task: Task) -> None:
    """Send the message of a task that is the first in its line now. One that is due late is woken by the reconciler."""
    if (wait := wait_of(task, world.clock.now())) <= life.LOOKAHEAD:
        enqueue(world, task, delay=wait)


def parcel(task: Task, *, delay: float = 0, turn: float | None = None) -> Parcel:
    """The message that wakes `task`, to be received after `delay` seconds.

    `turn`: the moment that the rate of its target has set aside for it.
    """
    target = task.request.target
    return Parcel(Message(task.task_id, task.ticket, target, turn), group=target, delay=delay)


def wait_of(task: Task, now: float) -> float:
    """Seconds until a message of the task is of use."""
    return life.ready_at(task, now) - now


def _sends(task_ids: Sequence[str], send: Callable[[], None]) -> bool:
    """Whether the queue took it. Of what it did not take, the first ids are logged; the reconciler finds them all."""
    try:
        send()
    except Unavailable as unavailable:
        why = unavailable.detail
        log.event("queue.unavailable", metrics={"SendsPutOff": len(task_ids)}, task_id=task_ids[0], why=why)
        return False
    except Exception:  # noqa: BLE001 - the tasks are stored: whatever is wrong with the queue, callers have the promise
        log.failure("queue.failed", task_id=task_ids[0])
        return False
    return True
