"""What happens when several things happen at once. The world outside calls back into the house mid-attempt."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import life
from chalicelib.change import change
from chalicelib.ports import Message, Outgoing, Queue, Reply
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"


def test_a_cancel_during_an_attempt_makes_its_late_success_change_nothing() -> None:
    house = House()
    task_id = house.submit(PARTNER)

    def cancelled_meanwhile(_: Outgoing) -> Reply:
        assert house.call("cancel", path={"task_id": task_id})[0] == 200
        return reply(200, "ok")

    house.outside.answers[PARTNER] = cancelled_meanwhile
    house.work()
    task = house.look(task_id)
    assert task["status"] == "cancelled"
    assert [it["verdict"] for it in task["attempts"]] == ["interrupted"]


def test_a_resend_after_such_a_cancel_waits_until_the_old_attempt_cannot_run_any_more() -> None:
    house = House()
    task_id = house.submit(PARTNER)

    def cancelled_and_resent(_: Outgoing) -> Reply:
        house.outside.answers[PARTNER] = in_turn(reply(200, "second round"))
        house.call("cancel", path={"task_id": task_id})
        house.call("resend", path={"task_id": task_id})
        house.work()
        assert len(house.outside.sent) == 1, "nothing overlaps with the attempt that runs here"
        return reply(200, "first round")

    house.outside.answers[PARTNER] = cancelled_and_resent
    house.work()
    house.pass_time(house.world.settings.lease + 1)
    task = house.look(task_id)
    assert task["status"] == "delivered"
    assert [(it["round"], it["number"], it["verdict"], it["reply"]) for it in task["attempts"]] == [
        (1, 1, "interrupted", None),
        (2, 1, "delivered", "second round"),
    ]


def test_deliver_now_brings_the_next_try_forward_and_the_old_message_does_nothing() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"), reply(500, "no"), reply(200, "ok"))
    task_id = house.submit(PARTNER, retry={"schedule": [3600, 7200]})
    house.work()
    assert house.call("deliver_now", path={"task_id": task_id})[0] == 202
    house.work()
    assert len(house.outside.sent) == 2
    house.pass_time(3700, step=10)
    assert len(house.outside.sent) == 2, "the first message came back, and was stale"
    house.pass_time(3600, step=10)
    assert house.look(task_id)["status"] == "delivered"


def test_deliver_now_during_an_attempt_makes_no_second_one_beside_it() -> None:
    house = House()
    task_id = house.submit(PARTNER, retry={"schedule": [10]})

    def hurried_meanwhile(_: Outgoing) -> Reply:
        house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
        assert house.call("deliver_now", path={"task_id": task_id})[0] == 202
        house.work()
        return reply(500, "no")

    house.outside.answers[PARTNER] = hurried_meanwhile
    house.work()
    assert len(house.outside.sent) == 1
    house.pass_time(house.world.settings.lease + 11)
    task = house.look(task_id)
    assert [it["verdict"] for it in task["attempts"]] == ["failed", "delivered"]


def test_the_same_message_twice_makes_one_attempt() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER)
    task = house.world.store.get(task_id)
    assert task is not None
    house.world.queues.send(Queue.TASKS, Message(task_id, task.ticket), group="g")
    house.work()
    assert len(house.outside.sent) == 1


def test_a_submission_that_is_repeated_because_the_process_died_before_enqueueing_is_delivered_at_once() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    keyed: dict[str, Any] = {"headers": {"idempotency-key": "order-42"}}
    task_id = house.call("submit", {"url": PARTNER}, **keyed)[1]["task_id"]
    for lost in house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [lost.receipt])
    assert house.call("submit", {"url": PARTNER}, **keyed)[0] == 202
    house.work()
    assert house.look(task_id)["status"] == "delivered"
    house.call("submit", {"url": PARTNER}, **keyed)
    assert house.work() == 0, "a task that was tried needs no further message"


def test_a_process_that_dies_in_an_attempt_leaves_it_interrupted_and_the_next_one_counts_on() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER)
    task = house.world.store.get(task_id)
    assert task is not None
    house.world.store.claim(task_id, task.ticket, now=house.clock.now(), lease=house.world.settings.lease)

    assert house.look(task_id)["attempts"][0]["verdict"] is None, "it is on its way, as far as anybody knows"
    house.pass_time(house.world.settings.lease + 2)
    task_shown = house.look(task_id)
    assert [(it["number"], it["verdict"]) for it in task_shown["attempts"]] == [(1, "interrupted"), (2, "delivered")]


def test_a_task_whose_attempts_all_died_is_exhausted_and_never_exceeds_its_tries() -> None:
    house = House()
    task_id = house.submit(PARTNER, retry={"schedule": [5]})
    for _ in range(2):
        task = house.world.store.get(task_id)
        assert task is not None
        house.world.store.claim(task_id, task.ticket, now=house.clock.now(), lease=house.world.settings.lease)
        house.clock.at += house.world.settings.lease + 1
    house.pass_time(5)
    task_shown = house.look(task_id)
    assert task_shown["status"] == "exhausted"
    assert [it["verdict"] for it in task_shown["attempts"]] == ["interrupted", "interrupted"]
    assert house.outside.sent == []


def test_a_round_past_its_deadline_ends_without_another_attempt() -> None:
    house = House()
    task_id = house.submit(PARTNER, retry={"schedule": [5], "deadline": 60})
    for lost in house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [lost.receipt])
    house.pass_time(700)
    task = house.look(task_id)
    assert (task["status"], task["because"]) == ("exhausted", "the deadline of 60 s has passed")


@pytest.mark.parametrize("action", ["cancel", "deliver_now"])
def test_a_final_task_refuses_what_only_a_live_one_takes(action: str) -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER)
    house.work()
    status, problem = house.call(action, path={"task_id": task_id})
    assert (status, problem["code"]) == (409, "wrong_status")
    assert house.look(task_id)["status"] == "delivered"


def test_a_live_task_refuses_a_resend() -> None:
    house = House()
    status, problem = house.call("resend", path={"task_id": house.submit(PARTNER)})
    assert (status, problem["code"]) == (409, "wrong_status")


def test_a_write_that_was_sent_twice_is_recognised_as_our_own() -> None:
    house = House()
    task = house.world.store.get(house.submit(PARTNER))
    assert task is not None

    class Doubled:
        def replace(self, old: object, new: object, audit: object = None) -> object:
            house.world.store.replace(old, new, audit)  # type: ignore[arg-type]
            return house.world.store.replace(old, new, audit)  # type: ignore[arg-type]

    hurried = change(
        Doubled(),  # type: ignore[arg-type]
        task,
        lambda it: life.hurry(it, now=house.clock.now() + 1, grace=60),
    )
    assert hurried == house.world.store.get(task.task_id)
    assert hurried.version == task.version + 1
