"""Reconcile: find what is past its `wake_at` and enqueue it again. The net under the queue.

It catches lost messages, parked waits, tasks whose process died, and exhausted tasks whose notice is still owed;
and it calls the tasks that are held for targets which may take them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalicelib import life, log
from chalicelib.at_once import all_at_once
from chalicelib.change import change
from chalicelib.delivery import target
from chalicelib.enqueue import enqueue, send_turn
from chalicelib.errors import LostLease, NotFound, Unavailable
from chalicelib.ports import MOST_DELAY, DuePlace, World
from chalicelib.task import Task

PAGE = 100
"""Tasks that are read at a time."""

AT_ONCE = 20
"""Tasks that are woken at the same time: each waits for the table and for the queue."""

LATEST = 100
"""Tasks at the far end of what is to be looked after that a pass looks at, for those of a clock that was ahead."""

HELD_SHARE = 0.25
"""The share of a pass that is left for held tasks, however much is due."""


@dataclass(frozen=True, slots=True)
class Woken:
    """What a pass did: how many tasks it enqueued again, or found owned by an attempt; whether more were waiting."""

    count: int
    more: bool


def reconcile(world: World, *, seconds: float) -> Woken:
    """One pass of at most about `seconds`. Says that it ran, so that its silence alarms.

    A page that cannot be woken costs its own turn: the pass goes on with the next one. Held tasks have a share of the
    time of their own, whatever is due.
    """
    began = world.clock.now()
    _rebase_latest(world)
    count, more = _wake_due(world, until=began + seconds * (1 - HELD_SHARE))
    _call_held(world, until=began + seconds)
    log.event("reconcile.ended", metrics={"ReconcilePasses": 1, "Woken": count}, woken=count, more=more)
    return Woken(count, more)


def _wake_due(world: World, until: float) -> tuple[int, bool]:
    """Wake what is due, page by page, as long as there is time: how many tasks, and whether more were waiting."""
    count, more = 0, True
    place: DuePlace | None = None
    while more and world.clock.now() < until:
        page = world.store.due_page(world.clock.now(), place, PAGE)
        count += sum(_wake_page(world, page.tasks, until))
        place, more = page.place, page.place is not None
    return count, more


def _rebase_latest(world: World) -> None:
    """Of the tasks that are to be looked after last, take back those that a clock that was ahead has put there."""
    now = world.clock.now()
    try:
        ahead = [it for it in world.store.latest_due(LATEST) if life.is_planned_ahead(it, now)]
        all_at_once(ahead, lambda task: _rebase(world, task), most=AT_ONCE)
    except Exception:  # noqa: BLE001 - what is due must not wait for it; it is logged, and tried again in a minute
        log.failure("tasks.not_rebased")


def _rebase(world: World, task: Task) -> None:
    def rebased(it: Task) -> Task:
        if it.held or it.wake_at is None or not life.is_planned_ahead(it, world.clock.now()):
            raise _NotDueError
        return life.rebase(it, now=world.clock.now())

    try:
        change(world.store, task, rebased)
    except (_NotDueError, NotFound):
        return
    log.event("task.rebased", task_id=task.task_id, ahead=round((task.wake_at or 0) - world.clock.now()))


def _call_held(world: World, until: float) -> None:
    """See to held tasks. Whatever is wrong with targets, the pass has looked after lost messages before."""
    try:
        target.call_held(world, until)
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged, and tried again in a minute
        log.failure("held.not_called")


def _wake_page(world: World, page: Sequence[Task], until: float) -> Iterator[bool]:
    """Wake the tasks of a page, some at a time, as long as there is time: which were enqueued."""
    for begin in range(0, len(page), AT_ONCE):
        if world.clock.now() < until:
            yield from all_at_once(page[begin : begin + AT_ONCE], lambda task: _wake_or_log(world, task))


def _wake_or_log(world: World, task: Task) -> bool:
    """One task that cannot be woken must not keep the others from it."""
    try:
        return _wake(world, task)
    except (_NotDueError, LostLease, NotFound):
        return False
    except Unavailable as unavailable:
        log.event("store.unavailable", task_id=task.task_id, why=unavailable.detail)
        return False
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged, and the task is due again in a minute
        log.failure("task.not_woken", task_id=task.task_id)
        _set_aside(world, task)
        return False


def _set_aside(world: World, task: Task) -> None:
    """Let a task that cannot be woken stand behind others. Where that fails as well, the next page is read anyway."""

    def aside(it: Task) -> Task:
        if it.wake_at != task.wake_at:
            raise _NotDueError
        return life.set_aside(it, now=world.clock.now())

    try:
        change(world.store, task, aside)
    except Exception:  # noqa: BLE001 - as the docstring says; why it cannot be woken is in the log
        log.event("task.not_set_aside", task_id=task.task_id)


class _NotDueError(Exception):
    """Somebody else looked after the task meanwhile."""


def _wake(world: World, task: Task) -> bool:
    now, grace = world.clock.now(), world.settings.grace

    def look_after(it: Task) -> Task:
        if it.held or it.wake_at is None or it.wake_at > now:
            raise _NotDueError
        if it.behind:
            return life.wait_on(it, now=now, grace=grace)
        if life.is_owned(it, now):
            return life.watch(it, now=now, lease=world.settings.lease)
        return life.wake(it, now=now, grace=grace)

    woken = change(world.store, task, look_after)
    if woken.behind:
        return _look_at_line(world, woken)
    if life.is_owned(woken, now):
        return True
    log.event("task.woken", metrics={"TasksWoken": 1}, task_id=task.task_id, status=task.status, wakes=woken.wakes)
    if enqueue(world, woken, delay=min(max(life.ready_at(woken, now) - now, 0), MOST_DELAY)):
        return True
    change(world.store, woken, lambda it: life.put_off(it, woken, now=now, grace=grace))
    return False


def _look_at_line(world: World, task: Task) -> bool:
    """The first in the line of `task` may be gone for ever; then the store calls up the next one, any of the line."""
    now = world.clock.now()
    first = world.store.whose_turn(task.line, now)
    if first is not None and first.updated_at == now:  # called up by this look, so nobody else sends its message
        send_turn(world, first)
    return True
