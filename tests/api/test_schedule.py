"""Tasks whose first try is put off: by a delay, or to a moment."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import show
from chalicelib.ports import Queue
from tests.house import NOON, House, reply

PARTNER = "https://partner.example/callback"
DAY = 86_400


def house_with_partner() -> House:
    house = House()
    house.outside.answers[PARTNER] = lambda _: reply(200, "success")
    return house


def scheduled(house: House, **filters: str) -> list[str]:
    query = {"status": ["scheduled"], **{name: [value] for name, value in filters.items()}}
    return [it["task_id"] for it in house.call("list_tasks", query=query)[1]["tasks"]]


@pytest.mark.parametrize("delay", [0.5, 30, 899, 900, 901, 1100, 1201, 3600, DAY, 366 * DAY])
def test_a_task_that_is_put_off_starts_within_a_second_of_its_time(delay: float) -> None:
    house = house_with_partner()
    task_id = house.submit(PARTNER, delay=delay)
    house.clock.at = max(NOON, NOON + delay - 400)  # nothing happens until then
    house.pass_time(NOON + delay - house.clock.at - 0.25, step=0.25)
    assert house.outside.sent == []
    house.pass_time(1.25, step=0.25)
    assert len(house.outside.sent) == 1
    assert house.look(task_id)["attempts"][0]["started_at"] <= (show.time(NOON + delay + 1) or "")


def test_a_moment_may_be_given_instead_of_a_delay_and_one_that_is_over_means_at_once() -> None:
    house = house_with_partner()
    later = house.submit(PARTNER, deliver_at="2025-12-01T12:10:00Z")
    over = house.submit(PARTNER, deliver_at="2025-12-01T11:00:00+00:00")
    house.pass_time(5)
    assert (house.look(later)["status"], house.look(over)["status"]) == ("pending", "delivered")
    assert house.look(later)["next_try_at"] == "2025-12-01T12:10:00.000Z"
    house.pass_time(596)
    assert house.look(later)["status"] == "delivered"


def test_a_task_is_listed_as_scheduled_until_its_time() -> None:
    house = house_with_partner()
    soon, late = house.submit(PARTNER, delay=60, source_app="a"), house.submit(PARTNER, delay=DAY, source_app="b")
    house.submit(PARTNER)
    assert scheduled(house) == [late, soon]
    assert scheduled(house, source_app="a") == [soon]
    assert house.look(late)["scheduled"]
    house.pass_time(62)
    assert scheduled(house) == [late]
    assert not house.look(soon)["scheduled"]


def test_a_scheduled_task_can_be_cancelled() -> None:
    house = house_with_partner()
    task_id = house.submit(PARTNER, delay=60)
    assert house.call("cancel", path={"task_id": task_id})[0] == 200
    house.pass_time(2000)
    assert house.outside.sent == []
    assert scheduled(house) == []


@pytest.mark.parametrize("delay", [60, DAY])
def test_a_scheduled_task_can_be_delivered_now_and_is_delivered_once(delay: float) -> None:
    house = house_with_partner()
    task_id = house.submit(PARTNER, delay=delay)
    assert house.call("deliver_now", path={"task_id": task_id})[0] == 202
    house.pass_time(3)
    assert house.look(task_id)["status"] == "delivered"
    house.pass_time(2000)
    assert len(house.outside.sent) == 1


def test_the_deadline_counts_from_the_time_that_the_task_is_put_off_to() -> None:
    house = House()
    retry = {"backoff": "fixed", "initial": 30, "max_attempts": 10, "deadline": 100}
    task_id = house.submit(PARTNER, delay=1800, retry=retry)
    house.pass_time(1801)
    assert house.look(task_id)["status"] == "retrying"
    house.pass_time(100)
    assert (house.look(task_id)["status"], len(house.outside.sent)) == ("exhausted", 4)


def test_the_deadline_of_a_task_that_is_delivered_before_its_time_counts_from_then() -> None:
    house = House()
    retry = {"backoff": "fixed", "initial": 30, "max_attempts": 10, "deadline": 100}
    task_id = house.submit(PARTNER, delay=DAY, retry=retry)
    house.call("deliver_now", path={"task_id": task_id})
    house.pass_time(110)
    assert (house.look(task_id)["status"], len(house.outside.sent)) == ("exhausted", 4)


def test_whoever_submits_a_scheduled_task_again_neither_hurries_nor_doubles_it() -> None:
    house = house_with_partner()

    def submit() -> Any:
        return house.call("submit", {"url": PARTNER, "delay": 2000}, headers={"idempotency-key": "k"})[1]["task_id"]

    assert submit() == submit()
    assert house.world.queues.receive(Queue.TASKS) == []
    house.pass_time(1999)
    assert house.outside.sent == []
    house.pass_time(3)
    assert len(house.outside.sent) == 1
