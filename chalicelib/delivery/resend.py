"""Resend: one action that resends all tasks of a filter, or those that were named, at a rate, a page at a time.

    the page in hand --each is resent, or passed over--> counted --the next page is taken in hand--> saved --> ...

The record is saved after each page, if nobody else has changed it. So any process may go on with it at any moment, and
one that dies costs a page at most: whoever does that page again finds in the audit trail of a task that this action has
resent it. Those are resent that were final and matched when the action began, each once, whatever becomes of them then.

The record holds the round in which each task in hand was found. A round that is over stays as it is, and the next one
is another round for good, so all workers at a page come to the same end. A list that lags is walked again, until a walk
finds no task that those before it have missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import takewhile

from chalicelib import life, log
from chalicelib.at_once import all_at_once
from chalicelib.change import change
from chalicelib.clocks import is_ahead
from chalicelib.enqueue import enqueue
from chalicelib.errors import NotFound, Unavailable
from chalicelib.ports import MOST_DELAY, Query, World, query_of
from chalicelib.task import FINAL, Audit, Resend, ResendStatus, Status, Task, evolve

PAGE = 100
"""Tasks that are in hand at a time."""

WALKS, MAX_WALKS = 3, 20
"""Walks through a list that lags, at least and at most."""

NEW_SECONDS = 3600
"""Seconds before the action began in which a task was accepted that a list of all tasks may have missed."""

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
    first = world.random.randrange(len(moving)) if moving else 0  # each has its turn, though there be no time for all
    moving = moving[first:] + moving[:first]
    while moving and world.clock.now() < until:
        in_time = takewhile(lambda _: world.clock.now() < until, moving)
        moving = [moved for it in in_time if (moved := _step_or_log(world, it)) is not None]


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
    if _waits(resend, world.clock.now()):
        return None
    saved = _with_next_page(world, _with_page_done(world, resend))
    if not world.store.save_resend(saved):
        return None  # somebody else is at it, or has stopped it
    _told_of(resend, saved)
    return None if saved.is_over else saved


# ── the next page ────────────────────────────────────────────────────────────────────────────────


def _waits(resend: Resend, now: float) -> bool:
    """Whether it has nothing to do now. A moment that only a clock that was ahead can have written is none."""
    rate_waits = resend.next_at > now + AHEAD and not is_ahead(resend.next_at, now, AHEAD + 1 / resend.rate)
    walk_waits = resend.walk_at > now and not resend.hand and not is_ahead(resend.walk_at, now)
    return resend.status is not ResendStatus.STOPPING and (rate_waits or walk_waits)


def _with_next_page(world: World, resend: Resend) -> Resend:
    """The resend with the next page in hand. It is over when there is none, or when somebody has stopped it."""
    if resend.hand:
        return resend  # what could not be done comes first: it may be done, and its answer lost
    if resend.status is ResendStatus.STOPPING:
        return _over(world, evolve(resend, named=()), ResendStatus.STOPPED)
    room = _room(world, resend)
    if resend.named:
        tasks = all_at_once(resend.named[:room], world.store.get, most=AT_ONCE)
        return _with_in_hand(world, evolve(resend, named=resend.named[room:]), tasks)
    if not resend.walked:
        page = world.store.page(_query(resend), resend.cursor, room)
        resend = evolve(resend, cursor=page.cursor, walked=page.cursor is None)
        resend = _with_in_hand(world, resend, page.tasks)
    if resend.hand or not resend.walked:
        return resend
    return _on_the_next_walk(world, resend) if _walks_again(world, resend) else _over(world, resend, ResendStatus.DONE)


def _with_in_hand(world: World, resend: Resend, tasks: Sequence[Task | None]) -> Resend:
    """The resend with those of a page in hand that it is about to resend; the others are passed over."""
    wanted = [it for it in tasks if it is not None and _is_wanted(resend, it)]
    passed_over = len(tasks) - len(wanted) if resend.walk == 1 else 0
    if resend.walk > 1:
        resent = all_at_once(wanted, lambda it: _has_resent(world, resend, it), most=AT_ONCE)
        wanted = [it for it, known in zip(wanted, resent, strict=True) if not known]
    return evolve(
        resend,
        hand=tuple(it.task_id for it in wanted),
        rounds=tuple(it.round for it in wanted),
        found=resend.found + len(wanted),
        passed_over=resend.passed_over + passed_over,
    )


def _query(resend: Resend) -> Query:
    """The tasks of the filter. What a list of all tasks has missed is new: the later walks look only at such."""
    query = query_of(resend.filter)
    if resend.walk == 1 or query.status is not Status.DELIVERED:
        return query
    return evolve(query, since=max(query.since or 0, resend.started_at - NEW_SECONDS))


def _walks_again(world: World, resend: Resend) -> bool:
    """Whether the list may have missed a task: until two walks of it, one after the other, find no other one."""
    if not world.store.list_lag or not resend.filter:
        return False
    return resend.walk < WALKS or (resend.found > 0 and resend.walk < MAX_WALKS)


def _on_the_next_walk(world: World, resend: Resend) -> Resend:
    walk_at = world.clock.now() + world.store.list_lag
    return evolve(resend, walk=resend.walk + 1, walk_at=walk_at, found=0, cursor=None, walked=False)


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
    now, hand = world.clock.now(), resend.hand
    first = now if is_ahead(resend.next_at, now, AHEAD + 1 / resend.rate) else max(resend.next_at, now)
    rounds = resend.rounds if len(resend.rounds) == len(hand) else [None] * len(hand)  # one of an older release
    slots = [(it, at, first + number / resend.rate) for number, (it, at) in enumerate(zip(hand, rounds, strict=True))]
    found = all_at_once(slots, lambda slot: _resend_or_log(world, resend, *slot), most=AT_ONCE)
    left = [(task_id, at) for (task_id, at, _), outcome in zip(slots, found, strict=True) if outcome is None]
    if hand and len(left) == len(hand):
        raise Unavailable("None of the tasks in hand could be resent just now.")
    outcomes = Counter(found)
    return evolve(
        resend,
        version=resend.version + 1,
        hand=tuple(task_id for task_id, _ in left),
        rounds=tuple(at for _, at in left if at is not None),
        next_at=first + (len(hand) - len(left)) / resend.rate,
        resent=resend.resent + outcomes[Outcome.RESENT],
        passed_over=resend.passed_over + outcomes[Outcome.PASSED_OVER],
        failed=resend.failed + outcomes[Outcome.FAILED],
    )


def _resend_or_log(world: World, resend: Resend, task_id: str, round_: int | None, due_at: float) -> Outcome | None:
    """One task that cannot be resent must not keep the others from it. None: not just now, it stays in hand."""
    try:
        resent = _resent(world, resend, task_id, round_, due_at)
    except Unavailable as unavailable:
        log.event("store.unavailable", task_id=task_id, resend_id=resend.resend_id, why=unavailable.detail)
        return None
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


def _resent(world: World, resend: Resend, task_id: str, round_: int | None, due_at: float) -> Task | None:
    """The task in the round that this action has opened, now or before; None when it is passed over."""

    def again(it: Task) -> Task:
        is_same = _is_wanted(resend, it) if round_ is None else it.round == round_ and it.is_final
        if not is_same or _has_resent(world, resend, it):
            raise _PassedOverError
        return life.resend(it, it.request, now=world.clock.now(), grace=world.settings.grace, due_at=due_at)

    task = world.store.get(task_id)
    try:
        return change(world.store, task, again, _audit(world, resend, task)) if task else None
    except (_PassedOverError, NotFound):
        stands = world.store.get(task_id)
        return stands if stands and _has_resent(world, resend, stands) else None


def _is_wanted(resend: Resend, task: Task) -> bool:
    """Whether the task is over and one of the filter, and has not changed since the action began.

    Its change and the beginning are moments of two clocks. It is asked once: from then on the round decides.
    """
    is_resent = task.round > 1 and task.round_started_at > resend.started_at
    is_older = not is_resent and not is_ahead(task.updated_at, resend.started_at)
    return is_older and task.status in FINAL and query_of(resend.filter).matches(task)


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
        detail={"round": task.round + 1, "changes": {}, "resend_id": resend.resend_id},
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
