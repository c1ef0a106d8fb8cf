"""What every store keeps of the promises about lines: tasks with the same ordering key, one after another."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from chalicelib import life
from chalicelib.life import Stale
from chalicelib.ports import Store
from chalicelib.store import DynamoStore
from chalicelib.task import HOLD, Task, Verdict, evolve
from tests.contract.backends import StoreBackend
from tests.contract.samples import DAY, GRACE, LEASE, NOW, RETENTION, at_once, attempt, audit, request, task
from tests.contract.steps import claimed, exhausted, told


def key() -> str:
    return f"order-{uuid4()}"


def lined_up(store: Store, ordering_key: str, **changes: Any) -> Task:
    """A new task in the line of a key, as it is stored."""
    new = task(asked=request(ordering_key=ordering_key, **changes))
    assert store.add(new) is None
    return stored(store, new)


def stored(store: Store, one: Task) -> Task:
    found = store.get(one.task_id)
    assert found is not None
    return found


def delivered(store: Store, one: Task) -> Task:
    owned = claimed(store, one, now=max(one.due_at, NOW + 10))
    done = life.delivered(owned, attempt(owned, Verdict.DELIVERED), now=NOW + 11, retention=RETENTION)
    assert store.replace(owned, done) == done
    return done


def turn(store: Store, one: Task) -> str | None:
    first = store.whose_turn(one.line, NOW + 9)
    return first.task_id if first else None


def test_the_first_of_a_line_may_be_tried_and_the_others_wait(store: Store) -> None:
    ordering_key = key()
    tasks = [lined_up(store, ordering_key) for _ in range(3)]
    assert [(one.place, one.behind) for one in tasks] == [(1, False), (2, True), (3, True)]
    claim = [store.claim(one.task_id, one.ticket, now=NOW + 1, lease=LEASE) for one in tasks]
    assert [isinstance(answer, Task) for answer in claim] == [True, False, False]
    assert claim[1:] == [Stale(), Stale()]


def test_a_task_that_is_delivered_calls_up_the_next(store: Store) -> None:
    ordering_key = key()
    first, second, third = (lined_up(store, ordering_key) for _ in range(3))
    assert delivered(store, first).place is None
    called = stored(store, second)
    assert called == life.call_up(second, now=NOW + 11)
    assert not called.behind
    assert stored(store, third).behind
    assert turn(store, first) == second.task_id


def test_a_line_has_an_end_and_begins_anew(store: Store) -> None:
    ordering_key = key()
    first = lined_up(store, ordering_key)
    delivered(store, first)
    assert turn(store, first) is None
    again = lined_up(store, ordering_key)
    assert not again.behind
    assert turn(store, first) == again.task_id


def test_lines_of_other_keys_and_other_callers_are_apart(store: Store) -> None:
    ordering_key = key()
    lined_up(store, ordering_key)
    other = evolve(task(asked=request(ordering_key=ordering_key)), caller="somebody else")
    assert store.add(other) is None
    assert not stored(store, other).behind
    assert not lined_up(store, key()).behind


def test_a_task_without_a_key_stands_in_no_line(store: Store) -> None:
    plain = task()
    store.add(plain)
    assert stored(store, plain) == plain


def test_whoever_is_cancelled_while_it_waits_leaves_a_gap_that_nobody_notices(store: Store) -> None:
    ordering_key = key()
    first, second, third = (lined_up(store, ordering_key) for _ in range(3))
    gone = life.cancel(second, now=NOW + 1, retention=RETENTION)
    assert store.replace(second, gone, audit(second.task_id)) == gone
    assert (stored(store, first).behind, stored(store, third).behind) == (False, True)
    delivered(store, first)
    assert not stored(store, third).behind
    assert turn(store, first) == third.task_id
    assert len(store.audits(second.task_id)) == 1


def test_an_exhausted_task_lets_the_others_continue_or_holds_them(store: Store) -> None:
    for on_exhausted, goes_on in (("continue", True), (HOLD, False)):
        ordering_key = key()
        first, second = (lined_up(store, ordering_key, on_exhausted=on_exhausted) for _ in range(2))
        exhausted(store, claimed(store, first))
        assert stored(store, second).behind is not goes_on
        assert turn(store, first) == (second if goes_on else first).task_id


def test_a_task_that_holds_its_line_goes_first_when_it_is_resent(store: Store) -> None:
    ordering_key = key()
    first, second = (lined_up(store, ordering_key, on_exhausted=HOLD) for _ in range(2))
    spent = exhausted(store, claimed(store, first))
    resent = life.resend(spent, spent.request, now=NOW + 3, grace=GRACE)
    assert store.replace(spent, resent) == resent
    assert stored(store, second).behind
    delivered(store, resent)
    assert not stored(store, second).behind


def test_a_task_that_has_left_its_line_does_not_go_back(store: Store) -> None:
    ordering_key = key()
    first, second = (lined_up(store, ordering_key) for _ in range(2))
    done = delivered(store, first)
    resent = life.resend(done, done.request, now=NOW + 3, grace=GRACE)
    assert store.replace(done, resent) == resent
    assert (resent.place, stored(store, second).behind) == (None, False)
    delivered(store, resent)
    assert turn(store, first) == second.task_id


def test_the_line_of_a_task_that_is_gone_goes_on(store: Store) -> None:
    ordering_key = key()
    first, second, third = (lined_up(store, ordering_key, on_exhausted=HOLD) for _ in range(3))
    told(store, exhausted(store, claimed(store, first)))
    removed(store, first)
    assert stored(store, second).behind
    assert turn(store, second) == second.task_id
    assert [stored(store, one).behind for one in (second, third)] == [False, True]


def removed(store: Any, one: Task) -> None:
    """As the retention removes it."""
    if hasattr(store, "sweep"):
        assert store.sweep(NOW + 2 * RETENTION, 100) == 1
    else:
        store._table._connection.delete_item(one.task_id, "task")


def test_a_change_that_comes_too_late_leaves_the_line_as_it_is(store: Store) -> None:
    ordering_key = key()
    first, second = (lined_up(store, ordering_key) for _ in range(2))
    claimed(store, first)
    late = life.cancel(first, now=NOW + 1, retention=RETENTION)
    assert store.replace(first, late) == stored(store, first) != late
    assert stored(store, second).behind
    assert turn(store, first) == first.task_id


def test_adding_a_task_twice_gives_it_one_place(store: Store) -> None:
    ordering_key = key()
    first, second = (lined_up(store, ordering_key) for _ in range(2))
    assert store.add(task(second.task_id, asked=request(ordering_key=ordering_key))) == second
    delivered(store, first)
    delivered(store, stored(store, second))
    assert turn(store, first) is None


@pytest.mark.parametrize("body", ["", "上海" * 4000])
def test_many_who_join_and_leave_at_once_are_served_one_after_another(store_backend: StoreBackend, body: str) -> None:
    if not store_backend.parallel:
        pytest.skip("it takes one call at a time")
    store, ordering_key = store_backend.store, key()
    tasks = at_once(6, lambda _: lined_up(store, ordering_key, body=body))
    assert sorted(one.place or 0 for one in tasks) == [1, 2, 3, 4, 5, 6]
    assert [one.place for one in tasks if not one.behind] == [1]
    served: list[int] = []
    while (first := store.whose_turn(tasks[0].line, NOW + 9)) is not None:
        assert sum(not stored(store, one).behind and not stored(store, one).is_final for one in tasks) == 1
        served.append(first.place or 0)
        assert first.request.body == body
        delivered(store, first)
    assert served == [1, 2, 3, 4, 5, 6]


def test_who_joins_while_another_does_stands_behind_that_one(store: Store) -> None:
    """Between the look at the line and the write: the second joins, when the first is about to."""
    if not isinstance(store, DynamoStore):
        pytest.skip("it makes one change at a time")
    ordering_key, inside = key(), []
    events = store._table._connection.connection.client.meta.events

    def slip_in(**_: Any) -> None:
        events.unregister(WRITE, slip_in)
        inside.append(lined_up(store, ordering_key))

    lined_up(store, ordering_key)
    events.register(WRITE, slip_in)
    last = lined_up(store, ordering_key)
    assert [it.place for it in (*inside, last)] == [2, 3]


WRITE = "before-call.dynamodb.TransactWriteItems"


def test_the_next_is_due_when_it_was_put_off_to(store: Store) -> None:
    ordering_key = key()
    first = lined_up(store, ordering_key)
    later = evolve(task(asked=request(ordering_key=ordering_key)), due_at=NOW + DAY)
    assert store.add(later) is None
    delivered(store, first)
    called = stored(store, later)
    assert (called.behind, called.due_at, called.deadline_at) == (False, NOW + DAY, NOW + 2 * DAY)
