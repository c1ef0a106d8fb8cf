"""A batch: up to a hundred tasks, each accepted or refused for itself."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.api import MOST_BATCH_BYTES
from chalicelib.errors import Unavailable
from chalicelib.ports import Queue
from tests.house import House, reply

PARTNER = "https://partner.example/callback"


def batch(house: House, *tasks: Any) -> list[dict[str, Any]]:
    status, body = house.call("submit_batch", {"tasks": list(tasks)})
    assert status == 207, body
    return list(body["results"])


def test_every_task_of_a_batch_is_delivered() -> None:
    house = House()
    house.outside.answers[PARTNER] = lambda _: reply(200, "success")
    results = batch(house, *({"url": f"{PARTNER}/{n}"} for n in range(100)))
    house.pass_time(10)
    assert {it["status"] for it in results} == {202}
    assert [house.look(it["task"]["task_id"])["url"] for it in results] == [f"{PARTNER}/{n}" for n in range(100)]
    assert len(house.outside.sent) == 100
    assert house.call("ledger")[1]["delivered"] == 100


def test_what_is_wrong_with_one_task_is_no_matter_of_the_others() -> None:
    house = House()
    good, bad, none, keyless = batch(
        house, {"url": PARTNER}, {"url": "ftp://x", "delay": -1}, "task", {"url": PARTNER, "idempotency_key": ""}
    )
    assert good["status"] == 202
    assert {it["pointer"] for it in bad["problem"]["errors"]} == {"/url", "/delay"}
    assert none["problem"]["code"] == "invalid_request"
    assert [it["pointer"] for it in keyless["problem"]["errors"]] == ["/idempotency_key"]
    assert len(house.call("list_tasks")[1]["tasks"]) == 1


def test_each_task_has_its_own_key_which_is_the_key_of_a_single_one_too() -> None:
    house = House()
    _, alone = house.call("submit", {"url": PARTNER}, headers={"idempotency-key": "order-1"})
    first, again, other, changed = batch(
        house,
        {"url": PARTNER, "idempotency_key": "order-1"},
        {"url": PARTNER, "idempotency_key": "order-1"},
        {"url": PARTNER, "idempotency_key": "order-2"},
        {"url": f"{PARTNER}/other", "idempotency_key": "order-2"},
    )
    assert first["task"]["task_id"] == again["task"]["task_id"] == alone["task_id"]
    assert sorted([other["status"], changed["status"]]) == [202, 409]
    assert len(house.call("list_tasks")[1]["tasks"]) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/tasks"),
        ({"tasks": []}, "/tasks"),
        ({"tasks": [{"url": PARTNER}] * 101}, "/tasks"),
        ({"tasks": {"url": PARTNER}}, "/tasks"),
        ({"tasks": [{"url": PARTNER}], "url": PARTNER}, "/url"),
    ],
)
def test_a_batch_that_is_none_is_refused_whole(body: dict[str, Any], pointer: str) -> None:
    house = House()
    status, problem = house.call("submit_batch", body)
    assert (status, [it["pointer"] for it in problem["errors"]]) == (400, [pointer])
    assert house.call("list_tasks")[1]["tasks"] == []


def test_a_batch_may_be_larger_than_one_task_but_not_too_large() -> None:
    house = House()
    assert [it["status"] for it in batch(house, *[{"url": PARTNER, "body": "x" * 200_000}] * 20)] == [202] * 20
    assert house.call("submit_batch", raw=b" " * (MOST_BATCH_BYTES + 1))[0] == 413


def test_a_task_of_a_batch_that_cannot_be_stored_just_now_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    add = house.world.store.add

    def sometimes(task: Any, audit: Any = None) -> Any:
        if task.request.url.endswith("/2"):
            raise Unavailable("The table is busy.")
        if task.request.url.endswith("/3"):
            raise RuntimeError("nobody expected this")
        return add(task, audit)

    monkeypatch.setattr(house.world.store, "add", sometimes)
    results = batch(house, *({"url": f"{PARTNER}/{n}"} for n in range(1, 5)))
    assert [it["status"] for it in results] == [202, 503, 500, 202]
    assert "nobody expected this" not in str(results)


def test_tasks_of_a_batch_whose_messages_cannot_be_sent_are_delivered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    house.outside.answers[PARTNER] = lambda _: reply(200, "success")

    def full(*_: Any) -> None:
        raise Unavailable("The queue is away.")

    with monkeypatch.context() as away:
        away.setattr(house.world.queues, "send_all", full)
        results = batch(house, {"url": PARTNER}, {"url": PARTNER})
    assert [it["status"] for it in results] == [202, 202]
    assert house.world.queues.receive(Queue.TASKS) == []
    house.pass_time(700)
    assert house.call("ledger")[1]["delivered"] == 2
