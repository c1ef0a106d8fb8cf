"""What happens when several things happen at once. The world outside calls back into the house mid-attempt."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import life
from chalicelib.change import change
from chalicelib.delivery.reconcile import reconcile
from chalicelib.errors import Unavailable
from chalicelib.ports import Message, Outgoing, Queue, Reply
from chalicelib.task import Audit, Task
from tests.conftest import Lines
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
    house.pass_time(9)
    assert len(house.outside.sent) == 1, "the planned wait is kept"
    house.pass_time(2)
    task = house.look(task_id)
    assert [it["verdict"] for it in task["attempts"]] == ["failed", "delivered"], "and no longer one, such as the lease"


def test_a_task_that_waited_in_line_for_long_and_is_looked_after_in_its_attempt_is_tried_again_when_it_is_due() -> None:
    house = House(KKBIDA_GRACE="60")
    task_id = house.submit(PARTNER, retry={"schedule": [10]})
    house.clock.at += 70

    def looked_after_meanwhile(_: Outgoing) -> Reply:
        house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
        reconcile(house.world, seconds=5)
        return reply(500, "no")

    house.outside.answers[PARTNER] = looked_after_meanwhile
    house.work()
    house.pass_time(9)
    assert len(house.outside.sent) == 1, "the planned wait is kept"
    house.pass_time(2)
    assert house.look(task_id)["status"] == "delivered", "and does not last until the end of a lease"


def test_a_task_whose_process_died_in_its_attempt_is_looked_after_when_the_lease_is_over() -> None:
    house = House(KKBIDA_GRACE="60")
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER)
    [message] = house.world.queues.receive(Queue.TASKS)
    house.clock.at += 70
    lease = house.world.settings.lease
    house.world.store.claim(task_id, 1, now=house.clock.now(), lease=lease)
    house.world.queues.delete(Queue.TASKS, [message.receipt])
    reconcile(house.world, seconds=5)
    assert house.work() == 0, "nothing is sent for an attempt that may be under way"
    house.clock.at += lease + 1
    reconcile(house.world, seconds=5)
    house.work()
    assert house.look(task_id)["status"] == "delivered"


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


# ── when the world is unwell ──


class Unwell:
    """A port of which some calls raise; the rest goes to the real one."""

    def __init__(self, port: object, **failing: Exception) -> None:
        self._port = port
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            raise self.failing[name]
        return getattr(self._port, name)


def unwell(house: House, port: str, **failing: Exception) -> Unwell:
    there = Unwell(getattr(house.world, port), **failing)
    house.world = replace(house.world, **{port: there})  # type: ignore[arg-type]
    return there


@pytest.mark.parametrize("failure", [Unavailable("SQS is down"), PermissionError("no right to send")])
def test_a_task_is_accepted_although_the_queue_cannot_take_it_and_is_sent_once_it_can(failure: Exception) -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    queues = unwell(house, "queues", send=failure)
    task_id = house.submit(PARTNER)
    house.pass_time(6 * 3600, step=20)
    assert house.outside.sent == []
    queues.failing = {}
    house.pass_time(house.world.settings.grace + 61, step=20)
    assert house.look(task_id)["status"] == "delivered", "an outage of hours costs minutes once it is over"


@pytest.mark.parametrize("failure", [Unavailable("SQS is down"), PermissionError("no right to count")])
def test_an_attempt_is_recorded_although_nobody_can_say_how_full_the_queue_is(failure: Exception) -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"), reply(200, "ok"))
    unwell(house, "queues", in_flight=failure)
    task_id = house.submit(PARTNER, retry={"schedule": [5]})
    house.pass_time(6)
    assert [it["verdict"] for it in house.look(task_id)["attempts"]] == ["failed", "delivered"]


def test_a_task_that_cannot_be_woken_does_not_keep_the_others_asleep() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    first, second = house.submit(PARTNER), house.submit(PARTNER)
    for lost in house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [lost.receipt])
    store = house.world.store

    class Poisoned(Unwell):
        def replace(self, old: Task, new: Task, audit: Audit | None = None) -> Task:
            if old.task_id == first:
                raise ZeroDivisionError("a bug that this task brings out")
            return store.replace(old, new, audit)

    house.world = replace(house.world, store=Poisoned(store))
    house.pass_time(house.world.settings.grace + 61, step=20)
    assert house.look(second)["status"] == "delivered"
    assert house.look(first)["status"] == "pending"


def test_a_table_that_cannot_take_a_wake_is_no_fault_and_the_task_is_woken_later(logged: Lines) -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER)
    for lost in house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [lost.receipt])
    well = house.world

    class Throttled(Unwell):
        def replace(self, old: Task, new: Task, audit: Audit | None = None) -> Task:  # noqa: ARG002
            raise Unavailable("The table cannot serve this just now.")

    house.world = replace(well, store=Throttled(well.store))
    house.pass_time(well.settings.grace + 61, step=20)
    assert {line["level"] for line in logged()} == {"INFO"}
    house.world = well
    house.pass_time(60, step=20)
    assert house.look(task_id)["status"] == "delivered"


def test_a_lost_message_is_noticed_before_a_short_deadline_passes() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER, retry={"deadline": 300})
    for lost in house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [lost.receipt])
    house.pass_time(300)
    assert house.look(task_id)["status"] == "delivered"


def test_a_wait_begins_when_the_attempt_has_ended_and_not_with_the_end_of_the_batch() -> None:
    house = House()
    slow = "https://slow.example/"
    task_id = house.submit(PARTNER, retry={"schedule": [5]})
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"), reply(200, "ok"))
    hidden: list[float] = []
    hide = house.world.queues.hide

    def seen(queue: Queue, waits: Mapping[str, float]) -> None:
        hidden.extend(waits.values())
        hide(queue, waits)

    failed_first = threading.Event()

    def answer_late(_: Outgoing) -> Reply:
        assert failed_first.wait(10)
        assert hidden == [5], "its neighbour is hidden already"
        return reply(200, "ok")

    class Watched(Unwell):
        def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
            seen(queue, waits)
            failed_first.set()

    house.world = replace(house.world, queues=Watched(house.world.queues))
    house.outside.answers[slow] = answer_late
    house.submit(slow)
    house.work()
    assert hidden == [5]
    house.pass_time(6)
    assert house.look(task_id)["status"] == "delivered"
