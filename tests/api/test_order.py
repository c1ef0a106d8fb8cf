"""Tasks with the same ordering key: one after another, in the order accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.change import change
from chalicelib.errors import Unavailable
from chalicelib.ports import Outgoing
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/"
DAY = 86_400


def house_with_partner(*failing: str) -> House:
    """The partner takes everything, but for what goes to the paths that fail."""
    house = House()
    house.outside.answers[PARTNER] = lambda out: reply(500 if paths(out)[0] in failing else 200, "success")
    return house


def paths(*sent: Outgoing) -> list[str]:
    return [out.url.removeprefix(PARTNER) for out in sent]


def in_line(house: House, *names: str, **members: Any) -> dict[str, str]:
    """Submit a task for each name, to the path of that name, all with one ordering key: name -> id."""
    retry = {"backoff": "fixed", "initial": 60, "max_attempts": 3}
    members = {"ordering_key": "order-42", "retry": retry, **members}
    return {name: house.submit(PARTNER + name, **members) for name in names}


def test_tasks_with_one_key_arrive_in_the_order_in_which_they_were_accepted() -> None:
    house = house_with_partner()
    ids = in_line(house, *"abcdef")
    assert [house.look(it)["waits_in_line"] for it in ids.values()] == [False, True, True, True, True, True]
    assert house.look(ids["b"])["next_try_at"] is None
    house.pass_time(5)
    assert paths(*house.outside.sent) == list("abcdef")


def test_a_failing_task_holds_those_behind_it_and_nothing_else() -> None:
    house = house_with_partner("a")
    ids = in_line(house, "a", "b")
    house.submit(PARTNER + "other-key", ordering_key="order-43")
    house.submit(PARTNER + "no-key")
    house.pass_time(70)
    assert sorted(paths(*house.outside.sent)) == ["a", "a", "no-key", "other-key"]
    house.pass_time(60)
    assert paths(*house.outside.sent)[4:] == ["a", "b"]
    assert [house.look(it)["status"] for it in ids.values()] == ["exhausted", "delivered"]


def test_an_exhausted_task_may_go_on_to_hold_those_behind_it_until_it_is_resent() -> None:
    house = House()
    house.outside.answers[PARTNER + "a"] = in_turn(reply(500, ""), reply(500, ""), reply(500, ""), reply(200, ""))
    house.outside.answers[PARTNER + "b"] = lambda _: reply(200, "")
    ids = in_line(house, "a", "b", on_exhausted="hold")
    house.pass_time(DAY)
    assert paths(*house.outside.sent) == ["a", "a", "a"]
    assert (house.look(ids["a"])["status"], house.look(ids["b"])["waits_in_line"]) == ("exhausted", True)
    assert house.call("resend", {}, path={"task_id": ids["a"]})[0] == 202
    house.pass_time(5)
    assert paths(*house.outside.sent)[3:] == ["a", "b"]


def test_what_holds_a_line_can_be_called_off_by_a_resend_and_a_cancel() -> None:
    house = house_with_partner("a")
    ids = in_line(house, "a", "b", on_exhausted="hold")
    house.pass_time(200)
    assert house.call("resend", {}, path={"task_id": ids["a"]})[0] == 202
    assert house.call("cancel", path={"task_id": ids["a"]})[0] == 200
    house.pass_time(5)
    assert house.look(ids["b"])["status"] == "delivered"


def test_a_cancelled_task_lets_those_behind_it_go_on_at_once() -> None:
    house = house_with_partner("a")
    ids = in_line(house, "a", "b", "c")
    house.pass_time(5)
    assert house.call("cancel", path={"task_id": ids["a"]})[0] == 200
    house.pass_time(5)
    assert paths(*house.outside.sent) == ["a", "b", "c"]


def test_a_task_that_waits_in_line_can_be_cancelled_but_not_delivered_now() -> None:
    house = house_with_partner()
    ids = in_line(house, "a", "b", "c")
    status, problem = house.call("deliver_now", path={"task_id": ids["b"]})
    assert (status, problem["code"]) == (409, "wrong_status")
    assert house.call("cancel", path={"task_id": ids["b"]})[0] == 200
    house.pass_time(5)
    assert paths(*house.outside.sent) == ["a", "c"]


def test_the_deadline_counts_from_the_turn_of_a_task() -> None:
    house = House()
    retry = {"backoff": "fixed", "initial": 60, "max_attempts": 5, "deadline": 300}
    ids = in_line(house, "a", "b", retry=retry)
    house.pass_time(2000)
    assert paths(*house.outside.sent) == ["a"] * 5 + ["b"] * 5
    assert [house.look(it)["status"] for it in ids.values()] == ["exhausted", "exhausted"]


def test_a_scheduled_task_holds_the_line_until_its_time() -> None:
    house = house_with_partner()
    in_line(house, "a", delay=2000)
    in_line(house, "b")
    house.pass_time(1990)
    assert house.outside.sent == []
    house.pass_time(15)
    assert paths(*house.outside.sent) == ["a", "b"]


def test_those_of_a_batch_are_in_line_as_they_stand_there() -> None:
    house = house_with_partner()
    tasks = [{"url": f"{PARTNER}{n}", "ordering_key": "k" if n % 2 else None} for n in range(60)]
    assert house.call("submit_batch", {"tasks": tasks})[0] == 207
    house.pass_time(60)
    assert [int(path) for path in paths(*house.outside.sent) if int(path) % 2] == list(range(1, 60, 2))
    assert len(house.outside.sent) == 60


def test_a_lost_call_costs_minutes_and_not_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    house = house_with_partner()
    ids = in_line(house, "a", "b", "c")
    send = house.world.queues.send

    def lossy(queue: Any, message: Any, **more: Any) -> None:
        if message.task_id != ids["b"] or message.ticket > 2:
            send(queue, message, **more)
            return
        raise Unavailable("The queue is away.")

    monkeypatch.setattr(house.world.queues, "send", lossy)
    house.pass_time(200)
    assert paths(*house.outside.sent) == ["a"]
    house.pass_time(200)
    assert paths(*house.outside.sent) == ["a", "b", "c"]


def test_a_line_whose_first_is_forgotten_goes_on_by_itself() -> None:
    house = house_with_partner("a")
    ids = in_line(house, "a", "b", on_exhausted="hold")
    house.pass_time(200)
    house.clock.at += 31 * DAY
    assert house.world.store.sweep(house.clock.at, 10) == 1  # type: ignore[attr-defined]
    house.pass_time(60)
    assert house.look(ids["b"])["status"] == "delivered"


def test_the_next_of_a_line_whose_first_is_forgotten_goes_at_once_whoever_is_looked_after() -> None:
    """A look at the last of a line calls up the second, whose message nobody else sends."""
    house = house_with_partner("a")
    store = house.world.store
    ids = in_line(house, "a", "b", "c", on_exhausted="hold")
    house.pass_time(200)
    house.clock.at += 31 * DAY
    assert store.sweep(house.clock.at, 10) == 1  # type: ignore[attr-defined]
    second = store.get(ids["b"])
    assert second is not None
    assert second.behind
    change(store, second, lambda it: replace(it, version=it.version + 1, wake_at=house.clock.at + DAY))
    house.pass_time(60)
    assert paths(*house.outside.sent)[3:] == ["b", "c"]


def test_a_look_at_tasks_that_wait_in_line_sends_no_message_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    house = house_with_partner("a")
    in_line(house, "a", "b", "c", retry={"backoff": "fixed", "initial": 250, "max_attempts": 20})
    house.pass_time(1)
    sent: list[Any] = []
    monkeypatch.setattr(house.world.queues, "send", lambda *message, **_: sent.append(message))
    house.pass_time(3600)
    assert sent == []


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"ordering_key": ""}, "/ordering_key"),
        ({"ordering_key": "x" * 201}, "/ordering_key"),
        ({"ordering_key": 42}, "/ordering_key"),
        ({"ordering_key": "a", "on_exhausted": "stop"}, "/on_exhausted"),
        ({"on_exhausted": "hold"}, "/on_exhausted"),
    ],
)
def test_what_says_nothing_about_order_is_refused(members: dict[str, Any], pointer: str) -> None:
    status, problem = House().call("submit", {"url": PARTNER, **members})
    assert (status, [it["pointer"] for it in problem["errors"]]) == (400, [pointer])
