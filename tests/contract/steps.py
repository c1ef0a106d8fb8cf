"""Steps of a task's life, each taken in a store."""

from __future__ import annotations

from chalicelib import life
from chalicelib.ports import Store
from chalicelib.task import Task, Verdict
from tests.contract.samples import GRACE, LEASE, NOW, RETENTION, attempt


def added(store: Store, new: Task) -> Task:
    assert store.add(new) is None
    return new


def claimed(store: Store, waiting: Task, now: float = NOW + 1) -> Task:
    owned = store.claim(waiting.task_id, waiting.ticket, now=now, lease=LEASE)
    assert isinstance(owned, Task)
    return owned


def replaced(store: Store, old: Task, new: Task) -> Task:
    assert store.replace(old, new) is new
    return new


def failed(store: Store, owned: Task, now: float = NOW + 2) -> Task:
    """Record that the claimed attempt failed; the next one is due in a minute."""
    return replaced(store, owned, life.retry_later(owned, attempt(owned), now=now, grace=GRACE, parked=False))


def delivered(store: Store, owned: Task, now: float = NOW + 2, retention: float = RETENTION) -> Task:
    ended = attempt(owned, Verdict.DELIVERED)
    return replaced(store, owned, life.delivered(owned, ended, now=now, retention=retention))


def exhausted(store: Store, owned: Task, now: float = NOW + 2) -> Task:
    ended = attempt(owned, wait=None)
    spent = life.exhausted(owned, ended, "all 3 attempts are used", now=now, grace=GRACE, retention=RETENTION)
    return replaced(store, owned, spent)


def told(store: Store, owed: Task, now: float = NOW + 3) -> Task:
    return replaced(store, owed, life.told(owed, now=now, retention=RETENTION))


def cancelled(store: Store, open_task: Task, now: float = NOW + 2) -> Task:
    return replaced(store, open_task, life.cancel(open_task, now=now, retention=RETENTION))


def resent(store: Store, over: Task, now: float = NOW + 10) -> Task:
    return replaced(store, over, life.resend(over, over.request, now=now, grace=GRACE))
