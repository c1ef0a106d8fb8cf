"""Targets: pause and resume, limits across workers, a breaker; and that held tasks lose nothing by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from chalicelib.consume import ComeBack, Finished
from chalicelib.delivery.deliver import Tried, _deliver, deliver
from chalicelib.delivery.reconcile import reconcile
from chalicelib.delivery.target import FRESH, through
from chalicelib.ports import Known, Message, Outgoing, Queue, Received, Reply, World, encode, read
from chalicelib.task import Audit, Json, Target
from tests.conftest import Lines
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"
TARGET = "https://partner.example:443"
OTHER = "https://other.example/"
OK, BUSY = reply(200, "ok"), reply(503, "busy")


def change(house: House, changes: Json, target: str = TARGET) -> dict[str, Any]:
    status, body = house.call("change_target", changes, query={"target": [target]})
    assert status == 200, body
    return dict(body)


def standing(house: House, target: str = TARGET) -> dict[str, Any]:
    status, body = house.call("list_targets")
    assert status == 200
    return next(it for it in body["targets"] if it["target"] == target)


def visits(house: House) -> int:
    return len(house.outside.sent_to(PARTNER))


def drain(house: House) -> None:
    """Let the consumers work until there is nothing to do at this moment."""
    while house.work():
        continue


@pytest.fixture
def house() -> House:
    house = House()
    house.outside.answers = {PARTNER: in_turn(OK), OTHER: in_turn(OK)}
    return house


def other_worker(house: House) -> World:
    """Another process at the same store: it remembers for itself."""
    return replace(house.world, known=Known())


# ── pause and resume ─────────────────────────────────────────────────────────────────────────────


def test_a_task_for_a_paused_target_is_held_and_says_so_and_nobody_else_waits(house: House) -> None:
    assert change(house, {"paused": True})["paused_at"] == "2025-12-01T12:00:00.000Z"
    held, other = house.submit(PARTNER), house.submit(OTHER)
    house.pass_time(3 * 86_400, step=600)
    task = house.look(held)
    assert (task["status"], task["held"], task["next_try_at"], task["attempts_made"]) == ("pending", "paused", None, 0)
    assert house.look(other)["status"] == "delivered"
    assert visits(house) == 0
    assert standing(house)["held"] == 1
    assert house.world.queues.receive(Queue.TASKS) == [], "it does not circle in the queue"


def test_a_resumed_target_gets_its_tasks_at_once_with_all_their_tries_and_all_their_time(house: House) -> None:
    change(house, {"paused": True})
    house.outside.answers[PARTNER] = in_turn(BUSY, BUSY, OK)
    task_id = house.submit(PARTNER, retry={"schedule": [60, 60], "max_attempts": 3, "deadline": 300})
    house.pass_time(10_000, step=50)
    change(house, {"paused": False})
    drain(house)
    assert visits(house) == 1
    house.pass_time(130)
    task = house.look(task_id)
    assert (task["status"], task["attempts_made"], task["held"]) == ("delivered", 3, None)


def test_a_pause_between_two_tries_holds_the_next_one_and_loses_none(house: House) -> None:
    house.outside.answers[PARTNER] = in_turn(BUSY, OK)
    task_id = house.submit(PARTNER, retry={"schedule": [30], "max_attempts": 2})
    house.work()
    change(house, {"paused": True})
    assert house.look(task_id)["held"] is None, "it is not due yet"
    house.pass_time(40)
    assert (house.look(task_id)["held"], house.look(task_id)["status"]) == ("paused", "retrying")
    change(house, {"paused": False})
    house.pass_time(1)
    assert [it["verdict"] for it in house.look(task_id)["attempts"]] == ["failed", "delivered"]


def test_another_worker_learns_of_a_pause_and_of_its_end_within_seconds(house: House) -> None:
    house.submit(PARTNER)
    house.work()
    worker, here = other_worker(house), house.world
    house.world = worker
    house.submit(PARTNER)
    house.work()
    house.world = here
    change(house, {"paused": True})
    house.world = worker
    house.clock.at += FRESH
    held = house.submit(PARTNER)
    house.work()
    assert visits(house) == 2
    house.world = here
    change(house, {"paused": False})
    house.world = worker  # what it remembers says that the target is paused
    house.pass_time(1)
    assert house.look(held)["status"] == "delivered"


def test_ten_thousand_held_tasks_go_page_by_page_without_waiting_for_the_reconciler(house: House) -> None:
    change(house, {"paused": True})
    for _ in range(250):
        house.submit(PARTNER)
    drain(house)
    assert standing(house)["held"] == 250
    change(house, {"paused": False})
    drain(house)
    assert (visits(house), house.call("list_targets")[1]) == (250, {"targets": [], "cursor": None})


def test_a_call_that_is_lost_is_made_again_by_the_reconciler(house: House) -> None:
    change(house, {"paused": True})
    task_id = house.submit(PARTNER)
    house.work()
    change(house, {"paused": False})
    [lost] = house.world.queues.receive(Queue.TASKS)
    house.world.queues.delete(Queue.TASKS, [lost.receipt])
    house.work()
    assert house.look(task_id)["held"] == "paused"
    reconcile(house.world, seconds=45)
    drain(house)
    assert house.look(task_id)["status"] == "delivered"


def test_lost_messages_are_replaced_although_held_tasks_cannot_be_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = house.submit(PARTNER)
    [lost] = house.world.queues.receive(Queue.TASKS)
    house.world.queues.delete(Queue.TASKS, [lost.receipt])

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no held task can be looked at")

    monkeypatch.setattr(type(house.world.store), "targets", fails)
    house.clock.at += house.world.settings.grace + 1
    assert reconcile(house.world, seconds=45).count == 1
    monkeypatch.undo()
    drain(house)
    assert house.look(task_id)["status"] == "delivered"


def test_a_held_task_can_be_cancelled_and_sent_again_but_not_hurried(house: House) -> None:
    change(house, {"paused": True})
    task_id = house.submit(PARTNER)
    house.work()
    status, problem = house.call("deliver_now", path={"task_id": task_id})
    assert (status, problem["code"]) == (409, "wrong_status")
    assert "held (paused)" in problem["detail"]
    assert house.call("cancel", path={"task_id": task_id})[0] == 200
    assert (house.look(task_id)["status"], house.look(task_id)["held"]) == ("cancelled", None)
    assert house.call("resend", path={"task_id": task_id})[0] == 202
    house.work()
    assert house.look(task_id)["held"] == "paused"
    change(house, {"paused": False})
    house.pass_time(1)
    assert house.look(task_id)["status"] == "delivered"


def test_a_copy_that_finds_the_attempt_under_way_does_not_free_its_place(house: House) -> None:
    change(house, {"max_concurrency": 1})
    first, second = house.submit(PARTNER), house.submit(PARTNER)
    messages = {it.task_id: it for it in map(task_message, house.world.queues.receive(Queue.TASKS))}
    sent, over = Event(), Event()

    def slow(_: Outgoing) -> Reply:
        sent.set()
        over.wait(10)
        return OK

    house.outside.answers[PARTNER] = slow
    quick = Thread(target=deliver, args=(house.world, messages[first]))

    def late() -> Tried:
        """The copy that was admitted first, and claims when the other one has."""
        quick.start()
        assert sent.wait(10)
        return _deliver(house.world, messages[first])

    assert isinstance(through(house.world, messages[first], late), ComeBack)
    assert deliver(house.world, messages[second]) == Finished()
    assert house.look(second)["held"] == "concurrency"
    over.set()
    quick.join(10)
    house.pass_time(120)
    assert [house.look(it)["status"] for it in (first, second)] == ["delivered", "delivered"]


def task_message(received: Received) -> Message:
    message = read(received.body)
    assert isinstance(message, Message)
    return message


def test_a_copy_of_the_message_of_a_held_task_does_nothing(house: House) -> None:
    change(house, {"paused": True})
    task_id = house.submit(PARTNER)
    house.world.queues.send(Queue.TASKS, Message(task_id, 1, TARGET), group="g")
    drain(house)
    house.world.queues.send(Queue.TASKS, Message(task_id, 1, TARGET), group="g")
    change(house, {"paused": False})
    drain(house)
    assert (visits(house), house.look(task_id)["attempts_made"]) == (1, 1)


def test_a_message_of_an_older_release_which_does_not_name_the_target_is_held_too(house: House) -> None:
    change(house, {"paused": True})
    task_id = house.submit(PARTNER)
    [it] = house.world.queues.receive(Queue.TASKS)
    house.world.queues.delete(Queue.TASKS, [it.receipt])
    assert encode(Message(task_id, 1)) == f'{{"task_id":"{task_id}","ticket":1}}', "as that release has written it"
    house.world.queues.send(Queue.TASKS, Message(task_id, 1), group="g")
    house.work()
    assert house.look(task_id)["held"] == "paused"


# ── how many at a time ───────────────────────────────────────────────────────────────────────────


def test_no_more_attempts_run_at_a_time_than_may_and_each_that_ends_lets_the_next_one_in(house: House) -> None:
    change(house, {"max_concurrency": 2})
    running: list[int] = []
    depth = 0

    def nested(_: Outgoing) -> Reply:
        """Meanwhile another worker handles what else there is."""
        nonlocal depth
        depth += 1
        running.append(depth)
        drain(house)
        depth -= 1
        return OK

    house.outside.answers[PARTNER] = nested
    tasks = [house.submit(PARTNER) for _ in range(12)]
    drain(house)
    house.pass_time(60)  # two that meet at the gate may have sent a third away for some seconds
    assert max(running) == 2
    assert {house.look(task_id)["status"] for task_id in tasks} == {"delivered"}
    assert standing(house)["running"] == 0


def test_a_place_whose_process_died_is_free_again_after_a_while(house: House) -> None:
    change(house, {"max_concurrency": 1})

    def dies(_: Outgoing) -> Reply:
        raise KeyboardInterrupt

    house.outside.answers[PARTNER] = dies
    house.submit(PARTNER)
    with pytest.raises(KeyboardInterrupt):
        house.work()
    house.outside.answers[PARTNER] = in_turn(OK)
    waiting = house.submit(PARTNER)
    house.work()
    assert house.look(waiting)["held"] == "concurrency"
    house.pass_time(house.world.settings.lease + 120)
    assert house.look(waiting)["status"] == "delivered"


# ── how many in a second ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rate", [0.5, 4, 20])
def test_attempts_begin_at_the_rate_that_is_set_and_not_much_below_it(house: House, rate: float) -> None:
    began: list[float] = []

    def at_a_moment(_: Outgoing) -> Reply:
        began.append(house.clock.at)
        return OK

    house.outside.answers[PARTNER] = at_a_moment
    change(house, {"rate_per_second": rate})
    amount = int(rate * 200)
    for _ in range(amount):
        house.submit(PARTNER)
    house.pass_time(230, step=0.25)
    assert len(began) == amount
    busiest = max(sum(start <= at < start + 10 for at in began) for start in began)
    assert busiest <= 10 * rate + 1 + rate * 0.25
    assert began[-1] - began[0] <= amount / rate * 1.1


def test_a_turn_serves_for_one_attempt_and_not_for_the_next_one_too(house: House) -> None:
    house.outside.answers[PARTNER] = in_turn(BUSY)
    change(house, {"rate_per_second": 1})
    for _ in range(4):
        house.submit(PARTNER, retry={"backoff": "fixed", "initial": 0, "max_attempts": 8})
    house.pass_time(20, step=0.5)
    assert 15 <= visits(house) <= 21


def test_whoever_is_far_behind_is_held_and_nobody_who_comes_later_overtakes_him(house: House) -> None:
    change(house, {"rate_per_second": 1})
    first = [house.submit(PARTNER) for _ in range(100)]
    drain(house)
    assert house.look(first[-1])["held"] == "rate"
    house.pass_time(20)
    last = house.submit(PARTNER)
    house.pass_time(100)
    order = [outgoing.headers["webhook-id"] for outgoing in house.outside.sent_to(PARTNER)]
    assert (len(order), order[-1]) == (101, last)


def test_a_rate_that_is_raised_holds_at_once(house: House) -> None:
    change(house, {"rate_per_second": 0.01})
    tasks = [house.submit(PARTNER) for _ in range(5)]
    drain(house)
    assert visits(house) == 1
    change(house, {"rate_per_second": 100})
    house.pass_time(2, step=0.1)
    assert {house.look(task_id)["status"] for task_id in tasks} == {"delivered"}


# ── the breaker ──────────────────────────────────────────────────────────────────────────────────

BREAKER = {"failure_share": 0.5, "window": 60, "least_attempts": 4, "open_seconds": 30}


def broken(house: House) -> list[str]:
    """A target whose breaker has just opened, and tasks that wait for it."""
    change(house, {"breaker": BREAKER})
    house.outside.answers[PARTNER] = in_turn(BUSY)
    tasks = [house.submit(PARTNER, retry={"backoff": "fixed", "initial": 1, "max_attempts": 3}) for _ in range(4)]
    house.work()
    assert standing(house)["breaker"]["state"] == "open"
    return tasks


def test_a_breaker_opens_when_too_many_attempts_fail_and_waiting_for_it_is_no_attempt(house: House) -> None:
    tasks = broken(house)
    house.pass_time(20)
    assert visits(house) == 4
    assert {(house.look(it)["held"], house.look(it)["attempts_made"]) for it in tasks} == {("breaker", 1)}
    shown = standing(house)
    assert (shown["held"], shown["breaker"]["opened_at"]) == (4, "2025-12-01T12:00:00.000Z")


def test_one_attempt_is_let_through_and_opens_it_again_or_closes_it_for_all(house: House, logged: Lines) -> None:
    tasks = broken(house)
    house.pass_time(32)
    assert visits(house) == 5, "one probe"
    assert standing(house)["breaker"]["state"] == "open"
    house.outside.answers[PARTNER] = in_turn(OK)
    house.pass_time(40)
    assert visits(house) == 9
    assert {house.look(it)["status"] for it in tasks} == {"delivered"}
    assert standing(house)["breaker"] == {**BREAKER, "state": "closed", "opened_at": None, "open_until": None}
    assert [line["message"] for line in logged() if line["message"].startswith("breaker.")] == [
        "breaker.opened",
        "breaker.reopened",
        "breaker.closed",
    ]


def test_a_channel_that_wants_it_is_told_when_a_breaker_opens_and_when_it_closes(house: House) -> None:
    robot = "https://robot.example/hook"
    house.outside.answers[robot] = in_turn(OK)
    events = ["breaker_opened", "breaker_closed"]
    assert house.call("create_channel", {"kind": "webhook", "url": robot, "events": events})[0] == 201
    broken(house)
    house.pass_time(32)
    house.outside.answers[PARTNER] = in_turn(OK)
    house.pass_time(200)
    told = [(it.body or b"").decode() for it in house.outside.sent_to(robot)]
    assert len(told) == 2, "the probe that failed in between is no news"
    assert all(TARGET in text for text in told)


def test_while_one_attempt_decides_about_the_breaker_nobody_else_is_let_through(house: House) -> None:
    broken(house)

    def alone(_: Outgoing) -> Reply:
        before = visits(house)
        house.submit(PARTNER)
        drain(house)
        assert visits(house) == before
        house.outside.answers[PARTNER] = in_turn(OK)
        return OK

    house.pass_time(29)
    house.outside.answers[PARTNER] = alone
    house.pass_time(5)
    assert visits(house) == 9


def test_a_probe_whose_process_died_is_followed_by_another_one(house: House) -> None:
    tasks = broken(house)

    def dies(_: Outgoing) -> Reply:
        raise KeyboardInterrupt

    house.pass_time(20)
    house.outside.answers[PARTNER] = dies
    with pytest.raises(KeyboardInterrupt):
        house.pass_time(20)
    house.outside.answers[PARTNER] = in_turn(OK)
    house.pass_time(700)
    assert {house.look(it)["status"] for it in tasks} == {"delivered"}


def test_an_attempt_that_ends_after_its_breaker_was_taken_away_opens_none(house: House) -> None:
    change(house, {"breaker": {**BREAKER, "least_attempts": 1}})

    def taken_away(_: Outgoing) -> Reply:
        change(house, {"breaker": None})
        return BUSY

    house.outside.answers[PARTNER] = taken_away
    house.submit(PARTNER, retry={"backoff": "fixed", "initial": 600, "max_attempts": 2})
    house.work()
    assert visits(house) == 1
    assert house.world.store.gate(TARGET).opened_at is None


def test_a_breaker_that_is_taken_away_holds_nobody(house: House) -> None:
    tasks = broken(house)
    house.outside.answers[PARTNER] = in_turn(OK)
    house.pass_time(5)
    change(house, {"breaker": None})
    house.pass_time(1)
    assert {house.look(it)["status"] for it in tasks} == {"delivered"}


# ── the settings themselves ──────────────────────────────────────────────────────────────────────


def test_what_is_left_out_stays_and_null_takes_it_away(house: House) -> None:
    assert house.call("list_targets") == (200, {"targets": [], "cursor": None})
    change(house, {"paused": True, "max_concurrency": 3, "rate_per_second": 2.5, "breaker": {}})
    shown = change(house, {"paused": False, "breaker": {"window": 10}, "max_concurrency": None})
    assert (shown["paused"], shown["max_concurrency"], shown["rate_per_second"]) == (False, None, 2.5)
    assert (shown["breaker"]["window"], shown["breaker"]["failure_share"], shown["running"]) == (10, 0.5, None)
    assert (shown["updated_by"], shown["updated_at"]) == ("anyone", "2025-12-01T12:00:00.000Z")
    change(house, {"rate_per_second": None, "breaker": None})
    assert house.call("list_targets") == (200, {"targets": [], "cursor": None})


def test_a_change_is_audited_with_all_that_it_changed(house: House) -> None:
    change(house, {"paused": True, "breaker": None})
    [audit] = house.world.store.audits(TARGET)
    assert (audit.actor, audit.action, audit.address) == ("anyone", "change-target", "192.0.2.7")
    assert audit.detail == {"changes": {"paused": {"from": False, "to": True}}}


def test_a_target_may_be_named_as_a_url_has_it(house: House) -> None:
    for name in ("https://Partner.example", "https://partner.example/", TARGET):
        assert change(house, {"paused": True}, name)["target"] == TARGET
    assert change(house, {"paused": True}, "http://[2606:4700::1111]")["target"] == "http://[2606:4700::1111]:80"


def refusals() -> Iterator[tuple[str | None, Json, list[str]]]:
    yield None, {"paused": True}, ["query:target"]
    yield "partner.example", {}, ["query:target"]
    yield PARTNER, {}, ["query:target"]
    yield "https://partner.example?x=1", {}, ["query:target"]
    yield "https://a:b@partner.example", {}, ["query:target"]
    yield TARGET, {"paused": "yes", "colour": 1}, ["/paused", "/colour"]
    yield TARGET, {"max_concurrency": 0, "rate_per_second": 0}, ["/max_concurrency", "/rate_per_second"]
    yield TARGET, {"breaker": {"failure_share": 2, "window": 0}}, ["/breaker/failure_share", "/breaker/window"]


@pytest.mark.parametrize(("name", "changes", "pointers"), list(refusals()), ids=json.dumps)
def test_bad_input_is_refused_whole(house: House, name: str | None, changes: Json, pointers: list[str]) -> None:
    status, problem = house.call("change_target", changes, query={"target": [name]} if name else {})
    assert (status, problem["code"]) == (400, "invalid_request")
    assert [fault["pointer"] for fault in problem["errors"]] == pointers
    assert house.world.store.targets() == []


def test_of_two_who_change_a_target_at_the_same_time_both_are_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, meanwhile = house.world.store.save_target, monkeypatch

    def beaten(target: Target, audit: Audit) -> bool:
        meanwhile.undo()
        change(house, {"max_concurrency": 5})
        return save(target, audit)

    meanwhile.setattr(house.world.store, "save_target", beaten)
    change(house, {"rate_per_second": 7})
    assert (standing(house)["max_concurrency"], standing(house)["rate_per_second"]) == (5, 7)
