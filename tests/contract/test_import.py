"""What every store keeps of tasks that have lived elsewhere, and were brought over."""

from __future__ import annotations

from chalicelib import life
from chalicelib.ports import Query, Store
from chalicelib.task import Attempt, Status, Task, Verdict, evolve
from tests.contract.backends import StoreBackend
from tests.contract.samples import DAY, HOUR, LEASE, NOW, RETENTION, attempt, audit, task
from tests.contract.steps import claimed, failed
from tests.contract.test_ledger import LATER, check, figures


def tried(n: int, *, at: float, last: Verdict = Verdict.FAILED) -> list[Attempt]:
    """The attempts of a task that was claimed `n` times elsewhere."""
    made = [attempt(evolve(task(), number=i, fence=i, claimed_at=at + 60 * i)) for i in range(1, n + 1)]
    return [evolve(it, verdict=last) if it.fence == n else it for it in made]


def live(n: int = 2, *, at: float = NOW - DAY) -> Task:
    return life.brought(task(), tried(n, at=at), number=n, created_at=at)


def ended(status: Status = Status.EXHAUSTED, *, at: float = NOW - DAY) -> Task:
    last = Verdict.DELIVERED if status is Status.DELIVERED else Verdict.FAILED
    begun = life.brought(task(), tried(3, at=at, last=last), number=3, created_at=at)
    return life.ended_elsewhere(begun, status, "all used", at=at + HOUR, now=NOW, retention=RETENTION)


def brought(store: Store, came: Task, attempts: list[Attempt]) -> Task:
    assert store.add(came, audit(came.task_id, action="import")) is None
    for one in attempts[:-1]:
        store.keep(came.task_id, one)
    return came


def test_a_finished_task_reads_back_with_all_its_attempts_and_who_brought_it(store: Store) -> None:
    attempts = tried(3, at=NOW - DAY)
    came = brought(store, ended(), attempts)
    assert store.get(came.task_id) == came
    assert store.attempts(came) == attempts
    assert [it.action for it in store.audits(came.task_id)] == ["import"]


def test_bringing_it_again_changes_nothing_and_is_not_audited_twice(store: Store) -> None:
    came = brought(store, ended(), tried(3, at=NOW - DAY))
    again = evolve(came, because="something else")
    assert store.add(again, audit(came.task_id, action="import", n=2)) == came
    assert store.get(came.task_id) == came
    assert len(store.audits(came.task_id)) == 1


def test_nobody_looks_after_a_finished_one_and_a_live_one_is_found_when_it_is_due(store: Store) -> None:
    over, going_on = ended(), live()
    for came in (over, going_on):
        assert store.add(came, audit(came.task_id)) is None
    assert [it.task_id for it in store.due(NOW + DAY, 10)] == [going_on.task_id]


def test_it_is_listed_by_when_it_was_made_and_by_where_it_stands(store_backend: StoreBackend) -> None:
    old, new = ended(at=NOW - 9 * DAY), ended(Status.DELIVERED, at=NOW - DAY)
    for came in (old, new):
        store_backend.store.add(came, audit(came.task_id))
    store_backend.settle()
    listed = store_backend.store.page(Query(), None, 10).tasks
    assert [it.task_id for it in listed] == [new.task_id, old.task_id]
    until = store_backend.store.page(Query(until=NOW - 5 * DAY, status=Status.EXHAUSTED), None, 10).tasks
    assert [it.task_id for it in until] == [old.task_id]


def test_a_live_one_goes_on_with_the_tries_that_are_left(store: Store) -> None:
    came = live(2)
    assert store.add(came, audit(came.task_id)) is None
    store.keep(came.task_id, tried(2, at=NOW - DAY)[0])
    owned = claimed(store, came)
    assert (owned.number, owned.fence) == (3, 3)
    spent = failed(store, owned, NOW + 2)
    assert isinstance(store.claim(came.task_id, came.ticket, now=NOW + HOUR, lease=LEASE), life.Spent)
    assert [(it.fence, it.number) for it in store.attempts(spent)] == [(1, 1), (2, 2), (3, 3)]


def test_they_count_as_accepted_when_they_were_made_and_the_ledger_adds_up(store_backend: StoreBackend) -> None:
    """Some are older than any book, some were made in the hours of the book, and ended in another one."""
    store = store_backend.store
    store.add(task())
    for days in (400, 40, 29, 3, 1, 0.2):
        for came in (ended(at=NOW - days * DAY), ended(Status.DELIVERED, at=NOW - days * DAY)):
            store.add(came, audit(came.task_id))
        store.add(live(at=NOW - days * DAY), None)
    found = check(store_backend, LATER)
    assert found.balanced, found
    assert figures(found) == {"accepted": 19, "pending": 1, "retrying": 6, "delivered": 6, "exhausted": 6}
    assert found.entered < 19, "some are too old for the book"
    totals = store.totals()
    assert (totals["accepted"], totals["exhausted"], totals["delivered"]) == (19, 6, 6)
    midnight = (NOW - 3 * DAY) // DAY * DAY
    assert dict(store.series("day", midnight, midnight + DAY))[midnight]["accepted"] == 3


def test_one_that_is_lost_is_missed_like_any_other(store_backend: StoreBackend) -> None:
    came = ended(at=NOW - 3 * DAY)
    store_backend.store.add(came, audit(came.task_id))
    assert check(store_backend, LATER).balanced
    store_backend.lose(came.task_id)
    assert check(store_backend, LATER + HOUR).gap == 1
