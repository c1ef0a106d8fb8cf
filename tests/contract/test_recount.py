"""A recount that takes many parts: on DynamoDB, where the rows are many and change meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pynamodb.expressions.operand import Path

from chalicelib import store as store_module
from chalicelib.errors import Unavailable
from chalicelib.ledger import Ledger
from chalicelib.store import DynamoStore
from chalicelib.task import Task
from infra.stream import Stream
from tests.conftest import Lines
from tests.contract import aws
from tests.contract.samples import DAY, HOUR, NOW, RETENTION, VAULT, audit, channel, mention, notice, request, task
from tests.contract.steps import added, cancelled, claimed, delivered, failed, resent

pytestmark = pytest.mark.emulator

LATER = NOW + 2 * HOUR
MINUTE = 60
ROWS_A_PAGE = 3


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> DynamoStore:
    """One that counts a few rows in a part."""
    monkeypatch.setattr(store_module, "PART", 1)
    return opened(DynamoStore(aws.table(aws.ministack()), VAULT))


def opened(store: DynamoStore) -> DynamoStore:
    events = store._table._connection.connection.client.meta.events
    events.register("before-parameter-build.dynamodb.Scan", lambda params, **_: params.update(Limit=ROWS_A_PAGE))
    return store


def another(store: DynamoStore) -> DynamoStore:
    """The store as another process has it."""
    return opened(DynamoStore(store._settings))


def settle(store: DynamoStore) -> None:
    """Count all that the table's stream says, from its beginning on: each change counts once."""
    Stream(store._settings.endpoint, store._settings.table).drain(store.count)


def parts(store: DynamoStore, between: Callable[[int], object], *, at: float = LATER, step: float = 0) -> Ledger:
    """A whole recount, with something between any two parts, each of them `step` seconds after the one before."""
    number = 0
    while store.recount(at + number * step, RETENTION):
        between(number)
        number += 1
    assert number > 1, "it took several parts"
    found = store.checked()
    assert found is not None
    return found


def nothing(_: int) -> None:
    """Between two parts."""


def test_it_is_the_same_in_many_parts(store: DynamoStore) -> None:
    for _ in range(10):
        added(store, task())
    settle(store)
    found = parts(store, nothing)
    assert (found.accepted, found.standing, found.balanced) == (10, {"pending": 10}, True)


def test_what_lies_beside_the_rows_is_not_looked_at(store: DynamoStore, logged: Lines) -> None:
    large = claimed(store, added(store, task(asked=request(body="x" * 5000))))
    delivered(store, claimed(store, failed(store, large), NOW + 100), NOW + 101)
    cancelled(store, added(store, task()))
    store.save_channel(channel(), audit("team"))
    store.mention(mention(large.task_id))
    store.settle(notice(), [mention(large.task_id)])
    settle(store)
    assert parts(store, nothing).standing == {"delivered": 1, "cancelled": 1}
    assert logged() == []


def test_a_task_that_is_not_entered_yet_is_no_fault_while_the_counters_may_lag(store: DynamoStore) -> None:
    for _ in range(6):
        added(store, task(at=LATER - MINUTE))
    assert parts(store, nothing).gap == 0
    assert parts(store, nothing, at=LATER + 2 * HOUR).gap == -6, "by then it is one"


def test_nothing_is_known_before_the_last_part(store: DynamoStore) -> None:
    for _ in range(10):
        added(store, task())
    settle(store)
    parts(store, lambda _: None if store.checked() is None else pytest.fail("it is not counted yet"))


def test_tasks_that_change_and_come_between_two_parts_are_counted_once_each(store: DynamoStore) -> None:
    tasks = [added(store, task()) for _ in range(12)]
    settle(store)

    def go_on(number: int) -> None:
        """One more step of every task, in another status each time; and a new one comes in."""
        added(store, task(at=LATER))
        for n, it in enumerate(tasks):
            tasks[n] = (resent, fail, deliver, resent, cancelled)[number % 5](store, it) if number else fail(store, it)

    found = parts(store, go_on)
    assert (found.entered, found.gap) == (12, 0)
    assert found.beside > 0, "new ones were seen"
    assert len(found.standing) > 1, "they were seen in several statuses"


def fail(store: DynamoStore, it: Task) -> Task:
    return failed(store, claimed(store, it, it.due_at), it.due_at)


def deliver(store: DynamoStore, it: Task) -> Task:
    return delivered(store, claimed(store, it, it.due_at), it.due_at)


def test_tasks_that_leave_between_two_parts_are_not_missed_however_long_it_takes(store: DynamoStore) -> None:
    """A part comes six hours after the one before it, and the oldest tasks, whose retention ends meanwhile, last."""
    for n in range(40):
        at = LATER - RETENTION + n * 12 * HOUR
        delivered(store, claimed(store, added(store, task(f"{99 - n}", at=at)), at), at)
    settle(store)
    time = DynamoStore(store._settings)
    found = parts(store, lambda number: aws.expire(time, LATER + number * 6 * HOUR), step=6 * HOUR)
    assert found.checked_at > LATER + 3 * DAY
    assert 20 < found.entered < found.accepted < 36, "some have left before they were seen"
    assert found.gap == 0


def test_a_part_goes_on_though_the_row_where_the_one_before_ended_has_left(store: DynamoStore) -> None:
    for _ in range(12):
        added(store, task())
    settle(store)

    left: list[str] = []

    def leave(_: int) -> None:
        pk, sk = state(store)["place"]
        if sk == "task":
            left.append(pk)
            store._table.delete((pk, sk), Path("pk").exists())

    assert parts(store, leave).standing == {"pending": 12}
    assert left


def state(store: DynamoStore) -> dict[str, Any]:
    record = store._record("recount")
    assert record is not None
    return dict(json.loads(record.text))


def test_of_two_who_count_at_one_moment_one_is_heard(store: DynamoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        added(store, task())
    settle(store)
    other, scan = another(store), store._table.scan
    more: list[bool] = []

    def overtaken(*arguments: Any) -> Any:
        page = scan(*arguments)
        more.append(other.recount(LATER, RETENTION))
        return page

    with monkeypatch.context() as patch:
        patch.setattr(store._table, "scan", overtaken)
        assert not store.recount(LATER, RETENTION), "it was not heard"
    assert more == [True]
    assert parts(other, nothing).standing == {"pending": 12}


def test_a_part_that_fails_is_done_again(store: DynamoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        added(store, task())
    settle(store)
    scan, put = store._table.scan, store._table.put
    for name, broken in (("scan", scan), ("put", put)):

        def fails(*arguments: Any, broken: Callable[..., Any] = broken) -> Any:
            broken(*arguments)
            raise Unavailable("the answer was lost")

        assert store.recount(LATER, RETENTION)
        with monkeypatch.context() as patch, suppress(Unavailable):
            patch.setattr(store._table, name, fails)
            store.recount(LATER, RETENTION)
    while store.recount(LATER, RETENTION):
        continue
    assert store.checked() == store.ledger(LATER, RETENTION)
    found = store.checked()
    assert found is not None
    assert found.standing == {"pending": 12}


def test_each_page_buys_a_minute_of_rest(store: DynamoStore) -> None:
    for _ in range(9):
        added(store, task())
    settle(store)
    pages: list[int] = [1]
    parts(store, lambda _: pages.append(state(store)["pages"] + 1))
    rested = LATER + pages[-1] * MINUTE
    assert not store.recount(rested - 1, RETENTION)
    assert state(store) == {"rests_until": rested}, "it rests"
    assert store.recount(rested, RETENTION), "and begins again"


def test_a_row_that_cannot_be_read_stands_nowhere_and_is_logged(store: DynamoStore, logged: Lines) -> None:
    broken = added(store, task())
    for _ in range(9):
        added(store, task())
    settle(store)
    store._table.update((broken.task_id, "task"), [Path("st").remove()], Path("pk").exists())
    found = parts(store, nothing)
    assert (found.gap, found.standing) == (1, {"pending": 9})
    assert [(line["message"], line["task_id"]) for line in logged()] == [("row.unreadable", broken.task_id)]


def test_a_status_that_nobody_knows_is_none(store: DynamoStore) -> None:
    """As of a later release, before it was rolled back."""
    odd = added(store, task())
    for _ in range(9):
        added(store, task())
    settle(store)
    store._table.update((odd.task_id, "task"), [Path("st").set("paused")], Path("pk").exists())
    assert parts(store, nothing).gap == 1
