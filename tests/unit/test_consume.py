"""A batch never fails as a whole, and nothing is acknowledged that is not finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.consume import WAIT_AFTER_A_FAULT, WAIT_FOR_A_PORT, ComeBack, Finished, Outcome, consume
from chalicelib.errors import Unavailable
from chalicelib.ports import MOST_HIDDEN, Message, Queue, World, decode, encode
from tests.conftest import Lines
from tests.house import House, sqs_event
from tests.unit.strategies import JSON

BEHAVIOURS: dict[str, Outcome | Exception] = {
    "finished": Finished(),
    "waits": ComeBack(40),
    "waits too long": ComeBack(10**9),
    "is overdue": ComeBack(-5),
    "no store": Unavailable("the table is busy"),
    "fault": ZeroDivisionError("a bug"),
}


def behave(_: World, message: Message) -> Outcome:
    outcome = BEHAVIOURS[message.task_id]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def with_messages(*names: str) -> tuple[House, Mapping[str, Any]]:
    house = House()
    for name in names:
        house.world.queues.send(Queue.TASKS, Message(name, 1), group=name)
    return house, sqs_event(house.world.queues.receive(Queue.TASKS))


def back_after(house: House, most: float) -> dict[str, float]:
    """When each message that was not acknowledged can be received again, in seconds from now."""
    found: dict[str, float] = {}
    began = house.clock.at
    while house.clock.at - began <= most:
        for received in house.world.queues.receive(Queue.TASKS):
            found[decode(received.body).task_id] = house.clock.at - began
            house.world.queues.delete(Queue.TASKS, [received.receipt])
        house.clock.at += 1
    return found


def test_what_is_finished_is_acknowledged_and_what_is_not_stays_for_its_wait() -> None:
    house, event = with_messages(*BEHAVIOURS)
    response = consume(house.world, Queue.TASKS, event, behave)
    failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    names = {record["messageId"]: decode(record["body"]).task_id for record in event["Records"]}
    assert {names[message_id] for message_id in failed} == set(BEHAVIOURS) - {"finished"}
    finished = [it["receiptHandle"] for it in event["Records"] if it["messageId"] not in failed]
    house.world.queues.delete(Queue.TASKS, finished)
    assert back_after(house, 100) == {
        "is overdue": 0,
        "no store": WAIT_FOR_A_PORT,
        "waits": 40,
        "fault": WAIT_AFTER_A_FAULT,
    }
    house.clock.at += MOST_HIDDEN - 101
    assert back_after(house, 1) == {"waits too long": 0}


def test_a_body_that_is_no_message_is_finished_and_logged(logged: Lines) -> None:
    house, event = with_messages("finished", "waits")
    event["Records"][0]["body"] = "hello"
    response = consume(house.world, Queue.TASKS, event, behave)
    assert len(response["batchItemFailures"]) == 1
    assert [line["message"] for line in logged()] == ["message.unreadable"]


def test_a_batch_of_which_everything_stays_is_reported_message_by_message() -> None:
    house, event = with_messages("waits", "fault")
    response = consume(house.world, Queue.TASKS, event, behave)
    assert len(response["batchItemFailures"]) == 2


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"task_id":1,"ticket":1}', '{"task_id":"a","ticket":true}'])
def test_only_messages_are_read_as_messages(body: str) -> None:
    with pytest.raises(ValueError, match="no message"):
        decode(body)


@given(st.builds(Message, st.text(max_size=20), st.integers()))
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert decode(encode(message)) == message
    assert json.loads(encode(message)) == {"task_id": message.task_id, "ticket": message.ticket}


@given(
    st.text(max_size=30)
    | JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from(["task_id", "ticket", "more"]), JSON).map(json.dumps)
)
def test_any_body_is_a_message_or_none_and_nothing_else(body: str) -> None:
    with suppress(ValueError):
        message = decode(body)
        assert decode(encode(message)) == message
        assert type(message.ticket) is int
