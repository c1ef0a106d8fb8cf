"""Resend: one action that resends all tasks of a filter, or those that were named, at a rate, a page at a time.

    the page in hand --each is resent, or passed over--> counted --the next page is taken in hand--> saved --> ...

The record is saved after each page, if nobody else has changed it. So any process may go on with it at any moment, and
one that dies costs a page at most: whoever does that page again finds in the audit trail of a task that this action has
resent it. Those are resent that were final and matched when the action began, each once, whatever becomes of them then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from chalicelib import life, log
from chalicelib.at_once import all_at_once
from chalicelib.change import change
from chalicelib.enqueue import enqueue
from chalicelib.errors import NotFound, Unavailable
from chalicelib.ports import MOST_DELAY, World, query_of
from chalicelib.task import FINAL, Audit, Resend, ResendStatus, Status, Task, evolve

PAGE = 100
"""Tasks that are in hand at a time."""

AT_ONCE = 20
"""Tasks that are resent at the same time: each waits for the table and for the queue."""

AHEAD = 120
"""Seconds by which tasks are resent before they are due, each with a delayed message: so the rate holds in each second,
though a pass comes once in a minute. Not more than `MOST_DELAY`."""


def go_on(world: World, *, seconds: float) -> None:
    """Go on with every bulk resend that is not over, for about `seconds`."""
    advance(world, world.store.resends(), seconds=seconds)


def advance(world: World, resends: Sequence[Resend], *, seconds: float) -> None:
    """Go on with these for about `seconds`: a page of each in turn, as long as one has a page to do."""
    until = world.clock.now() + seconds
    moving = [it for it in resends if not it.is_over]
    while moving and world.clock.now() < until:
        moving = [moved for it in moving if (moved := _step_or_log(world, it)) is not None]


def _step_or_log(world: World, resend: Resend) -> Resend | None:
    """One that cannot go on must not keep the others from it."""
    try:
        return _step(world, resend)
    except Unavailable as unavailable:
        log.event("store.unavailable", resend_id=resend.resend_id, why=unavailable.detail)
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged, and tried again in a minute
        log.failure("resend.failed", resend_id=resend.resend_id)
    return None


def _step(world: World, resend: Resend) -> Resend | None:
    """The resend when it has done a page more; None when there is nothing to do for it now."""
    if resend.next_at > world.clock.now() + AHEAD:
        return None
    saved = _with_next_page(world, _with_page_done(world, resend))
    if not world.store.save_resend(saved):
        return None  # somebody else is at it, or has stopped it
    _told_of(resend, saved)
    return None if saved.is_over else saved


# ── the next page ────────────────────────────────────────────────────────────────────────────────


def _with_next_page(world: World, resend: Resend) -> Resend:
    """The resend with the next page in hand. It is over when there is none, or when somebody has stopped it."""
    if resend.status is ResendStatus.STOPPING:
        return _over(world, evolve(resend, named=()), ResendStatus.STOPPED)
    room = _room(world, resend)
    if resend.named:
        return evolve(resend, hand=resend.named[:room], named=resend.named[room:])
    if not resend.walked:
        page = world.store.page(query_of(resend.filter), resend.cursor, room)
        hand = tuple(task.task_id for task in page.tasks)
        resend = evolve(resend, hand=hand, cursor=page.cursor, walked=page.cursor is None)
    return _over(world, resend, ResendStatus.DONE) if resend.walked and not resend.hand else resend


def _room(world: World, resend: Resend) -> int:
    """Tasks that can be resent before the last of them would be due too far ahead."""
    seconds = world.clock.now() + AHEAD - resend.next_at
    return max(1, min(PAGE, int(seconds * resend.rate)))


def _over(world: World, resend: Resend, status: ResendStatus) -> Resend:
    now = world.clock.now()
    return evolve(resend, status=status, ended_at=now, expires_at=int(now + world.settings.retention))


# ── the page in hand ─────────────────────────────────────────────────────────────────────────────


class Outcome(StrEnum):
    """What became of a task in hand."""

    RESENT = "resent"  # it has a new round
    PASSED_OVER = "passed over"  # it is no longer what it was when the action began
    FAILED = "failed"  # something went wrong that nobody expected, and the log says what; a round may have begun


def _with_page_done(world: World, resend: Resend) -> Resend:
    """The resend after its tasks in hand: nothing in hand, and the outcomes counted."""
    first, hand = max(resend.next_at, world.clock.now()), resend.hand
    slots = [(task_id, first + number / resend.rate) for number, task_id in enumerate(hand)]
    outcomes = Counter(all_at_once(slots, lambda slot: _resend_or_log(world, resend, *slot), most=AT_ONCE))
    return evolve(
        resend,
        version=resend.version + 1,
        hand=(),
        next_at=first + len(hand) / resend.rate,
        resent=resend.resent + outcomes[Outcome.RESENT],
        passed_over=resend.passed_over + outcomes[Outcome.PASSED_OVER],
        failed=resend.failed + outcomes[Outcome.FAILED],
    )


def _resend_or_log(world: World, resend: Resend, task_id: str, due_at: float) -> Outcome:
    """One task that cannot be resent must not keep the others from it. Raises Unavailable: the page is done again."""
    try:
        resent = _resent(world, resend, task_id, due_at)
    except Unavailable:
        raise
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged, and counted
        log.failure("task.not_resent", task_id=task_id, resend_id=resend.resend_id)
        return Outcome.FAILED
    if resent is None:
        return Outcome.PASSED_OVER
    if resent.status is Status.PENDING and resent.number == 0:
        enqueue(world, resent, delay=min(max(resent.due_at - world.clock.now(), 0), MOST_DELAY))
    return Outcome.RESENT


class _PassedOverError(Exception):
    """The task is not one that the action resends, or not any more."""


def _resent(world: World, resend: Resend, task_id: str, due_at: float) -> Task | None:
    """The task in the round that this action has opened, now or before; None when it is passed over."""

    def again(it: Task) -> Task:
        if not _is_wanted(resend, it) or _has_resent(world, resend, it):
            raise _PassedOverError
        return life.resend(it, it.request, now=world.clock.now(), grace=world.settings.grace, due_at=due_at)

    task = world.store.get(task_id)
    try:
        return change(world.store, task, again, _audit(world, resend, task)) if task else None
    except (_PassedOverError, NotFound):
        stands = world.store.get(task_id)
        return stands if stands and _has_resent(world, resend, stands) else None


def _is_wanted(resend: Resend, task: Task) -> bool:
    """Whether the task is over and one of the filter, and has not changed since the action began."""
    return task.status in FINAL and task.updated_at <= resend.started_at and query_of(resend.filter).matches(task)


def _has_resent(world: World, resend: Resend, task: Task) -> bool:
    """Whether this action has opened a round of the task. One in its first round was never resent: nothing is read."""
    return task.round > 1 and any(
        audit.detail.get("resend_id") == resend.resend_id for audit in world.store.audits(task.task_id)
    )


def _audit(world: World, resend: Resend, task: Task) -> Audit:
    return Audit(
        at=world.clock.now(),
        actor=resend.actor,
        action="resend",
        subject=task.task_id,
        address=resend.address,
        detail={"round": task.round + 1, "changed": [], "resend_id": resend.resend_id},
        part=True,
    )


def _told_of(before: Resend, after: Resend) -> None:
    log.event(
        "resend.ended" if after.is_over else "resend.went_on",
        metrics={"Resent": after.resent - before.resent},
        resend_id=after.resend_id,
        status=after.status,
        resent=after.resent,
        passed_over=after.passed_over,
        failed=after.failed,
    )
