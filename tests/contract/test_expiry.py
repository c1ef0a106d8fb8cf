"""Nothing of a task expires before the task does: each change of a task, and everything that lies beside its row.

A live task, a held one, and one whose notification is owed do not expire at all.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import getmembers, isfunction, signature

import pytest

from chalicelib import life
from chalicelib.ports import Store
from chalicelib.task import FINAL, HOLD, Attempt, Held, NoticeStatus, Policy, Request, Task, Verdict, evolve
from tests.contract.backends import StoreBackend
from tests.contract.samples import (
    DAY,
    GRACE,
    HOUR,
    LEASE,
    NOW,
    RETENTION,
    attempt,
    audit,
    mention,
    notice,
    request,
    task,
)
from tests.contract.steps import added, claimed, replaced

DEADLINE = 40 * DAY
LONG = "x" * 5000
FOR_EVER = 20 * 365 * DAY
"""Seconds of which the test says that they have passed where something must not expire."""

Change = Callable[[Task, float], Task]

# ── each change ──────────────────────────────────────────────────────────────────────────────────


def whole(**changes: object) -> Request:
    """A request that does not fit into a row, for a round of forty days."""
    return request(body=LONG, retry=Policy(max_attempts=99, backoff="fixed", initial=60, deadline=DEADLINE), **changes)


def large(of: Task, verdict: Verdict = Verdict.FAILED) -> Attempt:
    """An attempt whose reply does not fit into a row."""
    return attempt(of, verdict, reply=LONG, reply_bytes=len(LONG))


def delivered(it: Task, now: float) -> Task:
    return life.delivered(it, large(it, Verdict.DELIVERED), now=now, retention=RETENTION)


def retry_later(it: Task, now: float) -> Task:
    return life.retry_later(it, large(it), now=now, grace=GRACE, parked=False)


def exhausted(it: Task, now: float) -> Task:
    return life.exhausted(it, large(it), "used", now=now, grace=GRACE, retention=RETENTION)


def told(it: Task, now: float) -> Task:
    return life.told(it, now=now, retention=RETENTION)


def cancel(it: Task, now: float) -> Task:
    return life.cancel(it, now=now, retention=RETENTION)


def resend(it: Task, now: float) -> Task:
    return life.resend(it, it.request, now=now, grace=GRACE, due_at=now + HOUR)


def hurry(it: Task, now: float) -> Task:
    return life.hurry(it, now=now, grace=GRACE)


def hold(it: Task, now: float) -> Task:
    return life.hold(it, Held.PAUSED, now=now)


def release(it: Task, now: float) -> Task:
    return life.release(it, now=now, at=now + 60, grace=GRACE)


def watch(it: Task, now: float) -> Task:
    return life.watch(evolve(it, lease_until=now + LEASE), now=now, lease=LEASE)


def rebase(it: Task, now: float) -> Task:
    return life.rebase(it, now=now)


def wait_on(it: Task, now: float) -> Task:
    return life.wait_on(it, now=now, grace=GRACE)


def wake(it: Task, now: float) -> Task:
    return life.wake(it, now=now, grace=GRACE)


def set_aside(it: Task, now: float) -> Task:
    return life.set_aside(it, now=now)


def put_off(it: Task, now: float) -> Task:
    return life.put_off(it, it, now=now, grace=GRACE)


LIVE = (wake, set_aside, put_off, hurry, hold, cancel, rebase)
CHAINS: tuple[tuple[Change, ...], ...] = (
    *((retry_later, change) for change in LIVE),
    *((retry_later, hold, release, change) for change in (wake, cancel, hold)),
    (retry_later, hold, cancel),
    (retry_later, hold, cancel, resend),
    (delivered,),
    (delivered, resend),
    (retry_later, cancel, resend, hold, release),
    (exhausted,),
    (exhausted, wake),
    (exhausted, set_aside),
    (exhausted, told),
    (exhausted, resend),
    (exhausted, told, resend),
    (exhausted, wake, told),
    (watch, delivered),
    (watch, wake),
    (wait_on, wake),
)
"""Changes, one after the other, of a task that is claimed."""

STEP = (HOUR, 25 * DAY)
"""Seconds between two changes: all within the first deadline, and each of them far behind it."""

BEGINNINGS = {"begin", "line_up", "call_up", "claim", "brought", "ended_elsewhere"}
"""Changes that are no part of a chain: each has a test of its own here, or stands at the start of all chains."""


def test_every_change_of_a_task_is_tried() -> None:
    takes = {name for name, it in getmembers(life, isfunction) if signature(it).return_annotation == "Task"}
    tried = {change.__name__ for chain in CHAINS for change in chain} | BEGINNINGS
    assert {name for name in takes if not name.startswith("_")} == tried


# ── what lies beside a task ──────────────────────────────────────────────────────────────────────


def furnished(store: Store, new: Task) -> Task:
    """The task, claimed, with everything that can lie beside one."""
    old = added(store, new)
    first = claimed(store, old)
    first = replaced(store, first, life.retry_later(first, large(first), now=NOW + 2, grace=GRACE, parked=False))
    second = claimed(store, first, NOW + HOUR)
    store.mention(mention(second.task_id, "notice"))
    stands = replaced(store, second, hurry(second, NOW + HOUR))
    assert store.replace(stands, evolve(stands, version=stands.version + 1), audit(second.task_id)) is not None
    owned = store.get(second.task_id)
    assert owned is not None
    return owned


def stays_until(it: Task) -> float:
    """The moment up to which everything of the task must be there."""
    if it.expires_at is not None:
        return it.expires_at - 1
    if it.held or it.status in FINAL:
        return NOW + FOR_EVER
    return max(it.deadline_at, it.wake_at or 0) + RETENTION  # had it ended then, or at the next look at it


def assert_everything_is_there(backend: StoreBackend, it: Task) -> None:
    backend.expire(stays_until(it))
    store = backend.store
    assert store.get(it.task_id) == it, "the row, with its body and its newest reply"
    assert all(one.reply in (LONG, None) for one in store.attempts(it) if one.verdict is Verdict.FAILED)
    assert [one.fence for one in store.attempts(it) if one.reply == LONG][:1] == [1]
    assert len(store.mentions(it.task_id)) == len(store.audits(it.task_id)) == 1


@pytest.mark.parametrize("step", STEP, ids=["soon", "late"])
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: " ".join(change.__name__ for change in chain))
def test_nothing_of_a_task_expires_before_it(
    store_backend: StoreBackend, chain: tuple[Change, ...], step: float
) -> None:
    store = store_backend.store
    it, now = furnished(store, task(asked=whole())), NOW + HOUR
    for change in chain:
        now += step
        it = replaced(store, it, change(it, now))
    assert_everything_is_there(store_backend, it)


@pytest.mark.parametrize("waits", [HOUR, 12 * DAY, 39 * DAY, 200 * DAY])
def test_nothing_of_a_task_expires_that_has_waited_in_line_for_long(store_backend: StoreBackend, waits: float) -> None:
    store = store_backend.store
    asked = whole(ordering_key="k")
    first, second = added(store, task(asked=asked)), added(store, task(asked=asked))
    now = NOW
    while now < NOW + waits:
        now = min(now + 20 * DAY, NOW + waits)
        waiting = store.get(second.task_id)
        assert waiting is not None
        replaced(store, waiting, wait_on(waiting, now))
    standing = store.get(first.task_id)
    assert standing is not None
    replaced(store, standing, cancel(standing, now))
    called = store.get(second.task_id)
    assert called is not None
    assert (called.behind, called.round_started_at) == (False, now)
    store_backend.expire(stays_until(called))
    assert store.get(second.task_id) == called


def test_nothing_of_a_task_expires_whose_line_was_mended(store_backend: StoreBackend) -> None:
    store = store_backend.store
    asked = whole(ordering_key="k", on_exhausted=HOLD)
    gone, second = added(store, task(asked=asked)), added(store, task(asked=asked))
    store_backend.lose(gone.task_id)
    called = store.whose_turn(second.line, NOW + 12 * DAY)
    assert called is not None
    assert called.updated_at == NOW + 12 * DAY, "by which callers know that they called it up"
    assert store.whose_turn(second.line, NOW + 13 * DAY) == called
    store_backend.expire(stays_until(called))
    assert store.get(second.task_id) == called


def test_nothing_of_a_task_expires_that_was_brought_over(store_backend: StoreBackend) -> None:
    store = store_backend.store
    begun = task(asked=whole())
    attempts = [attempt(evolve(begun, fence=fence, number=fence, claimed_at=NOW), reply=LONG) for fence in (1, 2)]
    live = life.brought(begun, attempts, number=2, created_at=NOW - 300 * DAY)
    ended = life.ended_elsewhere(live, cancel(live, NOW).status, None, at=NOW - DAY, now=NOW, retention=RETENTION)
    assert store.add(ended, audit(ended.task_id)) is None
    store.keep(ended.task_id, attempts[0])
    store_backend.expire(stays_until(ended))
    assert store.get(ended.task_id) == ended
    assert [one.reply for one in store.attempts(ended)] == [LONG, LONG]


# ── what is owed ─────────────────────────────────────────────────────────────────────────────────


def test_an_exhausted_task_leaves_only_its_retention_after_its_notification_was_settled(
    store_backend: StoreBackend,
) -> None:
    store = store_backend.store
    owed = replaced(store, owned := claimed(store, added(store, task())), exhausted(owned, NOW + 2))
    store_backend.expire(NOW + FOR_EVER)
    store_backend.settle()
    assert store.due(NOW + FOR_EVER, 10) == [owed]
    ended = replaced(store, owed, told(owed, NOW + FOR_EVER))
    store_backend.expire(NOW + FOR_EVER + RETENTION - 1)
    assert store.get(owed.task_id) == ended
    store_backend.expire(NOW + FOR_EVER + RETENTION + 1)
    assert store.get(owed.task_id) is None


def test_a_notice_that_is_owed_does_not_expire(store_backend: StoreBackend) -> None:
    store = store_backend.store
    said = mention("t-1", "n-1")
    assert store.mention(said)
    store_backend.expire(NOW + RETENTION + 89 * DAY)
    assert store.gathered("n-1", 10) == [said]
    settled = store.settle(notice("n-1"), [said])
    assert settled is not None
    store_backend.expire(NOW + RETENTION + 89 * DAY)
    assert store.notice("n-1") == settled
    assert store.names(settled, said)


def test_a_notice_that_has_ended_stays_until_each_of_its_tasks_knows(embedded_backend: StoreBackend) -> None:
    """On DynamoDB the task would be told once more: its own mention does not expire."""
    store = embedded_backend.store
    owed = replaced(store, owned := claimed(store, added(store, task())), exhausted(owned, NOW + 2))
    store.mention(said := mention(owed.task_id, "n-1"))
    settled = store.settle(notice("n-1"), [said])
    assert settled is not None
    ended = evolve(settled, version=2, status=NoticeStatus.DELIVERED, ended_at=NOW + 9, expires_at=int(NOW + DAY))
    assert store.save_notice(ended)
    embedded_backend.expire(NOW + 2 * DAY)
    assert store.notice("n-1") == ended
    replaced(store, owed, told(owed, NOW + 2 * DAY))
    embedded_backend.expire(NOW + 2 * DAY)
    assert store.notice("n-1") is None
