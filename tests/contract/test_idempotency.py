"""The same request accepted twice is one task, on every store, however many submit it and whatever became of it.

The whole way from the API to the store; the queues and the world outside are those of `tests/house.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import accept
from chalicelib.ports import Outgoing, Query, Reply
from chalicelib.task import Json, Task
from tests.contract.backends import StoreBackend
from tests.contract.samples import NOW, at_once
from tests.house import House, in_turn, reply

LONG_AFTER = 10**10
"""Seconds since the epoch, when every task has expired."""

PARTNER = "https://partner.example/callback"
KEY = "order-42"
SMALL = {"order": 42}
LARGE = {"order": 42, "rows": ["上海" * 500] * 3}
"""It lies beside its row in DynamoDB."""


@pytest.fixture
def house(store_backend: StoreBackend) -> House:
    """A house on the store under test, in which every delivery succeeds."""
    house = House()
    house.clock.at = NOW
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    house.world = replace(house.world, store=store_backend.store)
    return house


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def body(request: pytest.FixtureRequest) -> Json:
    return request.param


def submit(house: House, body: Json, key: str = KEY) -> tuple[int, Any]:
    return house.call("submit", {"url": PARTNER, "body": body}, headers={"idempotency-key": key})


def stored(house: House, task_id: str) -> Task:
    task = house.world.store.get(task_id)
    assert task is not None
    return task


def deliver(house: House) -> None:
    while house.work():
        continue


def accepted(store_backend: StoreBackend) -> int:
    store_backend.settle()
    return store_backend.store.totals()["accepted"]


def check_it_is_all_there_is(store_backend: StoreBackend, house: House, task: Task) -> None:
    """It is the only task, counted once, and made of no more records than one that nobody contended for."""
    assert accepted(store_backend) == 1
    assert list(house.world.store.page(Query(), None, 10).tasks) == [task]
    status, alone = submit(house, json.loads(task.request.body.text), "nobody else's")
    assert status == 202
    assert store_backend.records(task.task_id) == store_backend.records(alone["task_id"])


# ── one after the other ──────────────────────────────────────────────────────────────────────────


def test_a_repetition_is_answered_with_the_task_there_is(store_backend: StoreBackend, house: House, body: Json) -> None:
    first, again = submit(house, body), submit(house, body)
    assert first[0] == 202
    assert again == first
    check_it_is_all_there_is(store_backend, house, stored(house, first[1]["task_id"]))


@pytest.mark.parametrize("other", [{"order": 43}, {**LARGE, "order": 43}], ids=["small other", "large other"])
def test_other_content_under_the_key_is_a_conflict_and_changes_nothing(
    store_backend: StoreBackend, house: House, body: Json, other: Json
) -> None:
    task_id = submit(house, body)[1]["task_id"]
    before = stored(house, task_id)
    status, problem = submit(house, other)
    assert (status, problem["code"]) == (409, "idempotency_conflict")
    assert task_id in problem["detail"]
    assert stored(house, task_id) == before
    check_it_is_all_there_is(store_backend, house, before)


def test_a_repetition_while_the_task_is_being_tried_neither_claims_nor_enqueues(house: House) -> None:
    task_id = submit(house, SMALL)[1]["task_id"]
    repetitions: list[tuple[int, Any]] = []

    def repeated_meanwhile(_: Outgoing) -> Reply:
        repetitions.append(submit(house, SMALL))
        return reply(200, "ok")

    house.outside.answers[PARTNER] = repeated_meanwhile
    deliver(house)
    [(status, task)] = repetitions
    assert (status, task["task_id"], task["attempts_made"]) == (202, task_id, 1)
    assert len(house.outside.sent) == 1


def test_a_key_still_names_its_task_once_that_is_final(store_backend: StoreBackend, house: House, body: Json) -> None:
    task_id = submit(house, body)[1]["task_id"]
    deliver(house)
    before, records = stored(house, task_id), store_backend.records(task_id)
    status, task = submit(house, body)
    assert (status, task["task_id"], task["status"]) == (202, task_id, "delivered")
    assert submit(house, "other")[0] == 409
    assert house.work() == 0
    assert stored(house, task_id) == before
    assert (accepted(store_backend), store_backend.records(task_id)) == (1, records)


def test_a_key_names_what_was_submitted_and_not_what_a_resend_made_of_it(house: House) -> None:
    task_id = submit(house, LARGE)[1]["task_id"]
    deliver(house)
    assert house.call("resend", {"body": {**LARGE, "order": 43}}, path={"task_id": task_id})[0] == 202
    deliver(house)
    resent = stored(house, task_id)
    assert submit(house, {**LARGE, "order": 43})[0] == 409
    status, task = submit(house, LARGE)
    assert (status, task["task_id"], task["round"]) == (202, task_id, 2)
    assert stored(house, task_id) == resent
    assert json.loads(resent.request.body.text)["order"] == 43


def test_a_key_is_free_again_once_its_task_is_gone(store_backend: StoreBackend, house: House) -> None:
    task_id = submit(house, LARGE)[1]["task_id"]
    deliver(house)
    store_backend.expire(LONG_AFTER)
    assert store_backend.records(task_id) == 0
    house.clock.at += house.world.settings.retention + 1
    status, task = submit(house, {"order": 43})
    assert (status, task["task_id"], task["status"]) == (202, task_id, "pending"), "the id is made of caller and key"
    deliver(house)
    shown = house.look(task_id)
    assert (shown["status"], shown["body"], len(shown["attempts"])) == ("delivered", {"order": 43}, 1)
    assert accepted(store_backend) == 2


def test_one_key_of_two_callers_is_two_tasks(store_backend: StoreBackend, house: House) -> None:
    submitted = {"url": PARTNER, "body": SMALL}
    callers = ("orders", "billing", "orders")
    tasks = [accept.accept(house.world, submitted, by=accept.Submitter(caller=caller), key=KEY) for caller in callers]
    assert tasks[0] == tasks[2]
    assert tasks[0].task_id != tasks[1].task_id
    assert [stored(house, task.task_id).caller for task in tasks[:2]] == ["orders", "billing"]
    assert accepted(store_backend) == 2


# ── at the same time ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def crowded(store_backend: StoreBackend) -> StoreBackend:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    return store_backend


def test_of_many_who_submit_one_request_at_once_each_gets_the_one_task(
    crowded: StoreBackend, house: House, body: Json
) -> None:
    answers = at_once(8, lambda _: submit(house, body))
    assert {status for status, _ in answers} == {202}
    [task_id] = {task["task_id"] for _, task in answers}
    check_it_is_all_there_is(crowded, house, stored(house, task_id))
    deliver(house)
    shown = house.look(task_id)
    assert (shown["status"], len(shown["attempts"])) == ("delivered", 1)
    assert len([sent for sent in house.outside.sent if sent.headers["webhook-id"] == task_id]) == 1


def test_of_many_who_submit_two_contents_under_one_key_one_content_wins(
    crowded: StoreBackend, house: House, body: Json
) -> None:
    contents = [body, {**body, "order": 43}]
    answers = at_once(8, lambda number: submit(house, contents[number % 2]))
    [task_id] = {task["task_id"] for status, task in answers if status == 202}
    task = stored(house, task_id)
    winner = contents.index(json.loads(task.request.body.text))
    assert [status for status, _ in answers] == [202 if number % 2 == winner else 409 for number in range(8)]
    assert {problem["code"] for status, problem in answers if status == 409} == {"idempotency_conflict"}
    check_it_is_all_there_is(crowded, house, task)


def test_many_keys_at_once_are_as_many_tasks(crowded: StoreBackend, house: House) -> None:
    answers = at_once(8, lambda number: submit(house, LARGE, f"order-{number % 3}"))
    ids = [task["task_id"] for _, task in answers]
    assert [ids[number] == ids[number % 3] for number in range(8)] == [True] * 8
    assert len(set(ids)) == 3
    assert accepted(crowded) == 3
