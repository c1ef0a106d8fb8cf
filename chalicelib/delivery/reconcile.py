"""Reconcile: find what is past its `wake_at` and enqueue it again. The net under the queue.

It catches lost messages, parked waits, tasks whose process died, and exhausted tasks whose notice is still owed.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib import life, log
from chalicelib.accept import enqueue
from chalicelib.change import change
from chalicelib.errors import NotFound
from chalicelib.ports import MOST_DELAY, World
from chalicelib.task import Task

PAGE = 100
"""Tasks that are read at a time."""


@dataclass(frozen=True, slots=True)
class Woken:
    """What a pass did: how many tasks it enqueued again, and whether more were waiting when its time was up."""

    count: int
    more: bool


def reconcile(world: World, *, seconds: float) -> Woken:
    """One pass of at most about `seconds`. Says that it ran, so that its silence alarms."""
    until = world.clock.now() + seconds
    count = 0
    more = True
    while more and world.clock.now() < until:
        woken_now = sum(_wake(world, task) for task in world.store.due(world.clock.now(), PAGE))
        count += woken_now
        more = woken_now > 0  # an index that lags shows tasks that are looked after already
    woken = Woken(count, more)
    log.event("reconcile.ended", metrics={"ReconcilePasses": 1, "Woken": count}, woken=count, more=woken.more)
    return woken


class _NotDueError(Exception):
    """Somebody else looked after the task meanwhile."""


def _wake(world: World, task: Task) -> bool:
    now = world.clock.now()

    def wake(it: Task) -> Task:
        if it.wake_at is None or it.wake_at > now:
            raise _NotDueError
        return life.wake(it, now=now, grace=world.settings.grace)

    try:
        woken = change(world.store, task, wake)
    except (_NotDueError, NotFound):
        return False
    log.event("task.woken", metrics={"TasksWoken": 1}, task_id=task.task_id, status=task.status, wakes=woken.wakes)
    enqueue(world, woken, delay=min(max(life.ready_at(woken, now) - now, 0), MOST_DELAY))
    return True
