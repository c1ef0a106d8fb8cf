"""What a task costs on AWS: counted on the real adapters, at an emulator that bills as DynamoDB does.

Each figure has a second opinion: DynamoDB's published rules, applied to the images of the table's stream.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from chalicelib.consume import consume
from chalicelib.delivery.deliver import deliver
from chalicelib.ports import Queue, Reply
from chalicelib.queues import SqsQueues
from chalicelib.settings import load
from chalicelib.store import INDEXES, DynamoStore
from infra.resources import make
from infra.stream import Stream
from tests.contract import aws
from tests.house import House, in_turn, reply, sqs_event
from tests.item_size import Bill, write_units

pytestmark = pytest.mark.emulator

PARTNER = "https://partner.example/callback"
SAMPLE = {
    "headers": {"X-Order": "42"},
    "params": {"city": "上海"},
    "body": {"any": "json"},
    "content_type": "application/json",
    "expect": {"status": ["2xx"], "contains": "success"},
    "retry": {
        "max_attempts": 8,
        "backoff": "exponential",
        "initial": 1,
        "factor": 2,
        "cap": 3600,
        "jitter": 0,
        "give_up_on": ["4xx", "!408", "!429"],
        "deadline": 86400,
    },
    "timeout": 10,
    "source_app": "orders",
    "target_app": "billing",
    "labels": {"order": "42"},
}
"""The house's own example of a task, all of its members."""

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}
BUSY, GOOD = reply(503, "busy"), reply(200, '{"code": 0, "message": "success"}')


@dataclass
class Meter:
    """Listens to the clients of the adapters: every call to DynamoDB with its bill, every call to SQS."""

    writes: list[tuple[str, Bill]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    sqs: Counter[str] = field(default_factory=Counter)

    def listen(self, store: DynamoStore, queues: SqsQueues) -> None:
        events = store._table._connection.connection.client.meta.events
        events.register("before-parameter-build.dynamodb", _ask_for_the_bill)
        events.register("after-call.dynamodb", self._note)
        for client in (queues._sqs, queues._receiver):
            client.meta.events.register("after-call.sqs", lambda model, **_: self.sqs.update([model.name]))

    def _note(self, model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
        if model.name in WRITES:
            self.writes.append((model.name, _bill(parsed.get("ConsumedCapacity"))))
        else:
            self.reads.append(model.name)

    @property
    def units(self) -> float:
        return sum(sum(bill.values()) for _, bill in self.writes)


def _ask_for_the_bill(params: dict[str, Any], **_: Any) -> None:
    params["ReturnConsumedCapacity"] = "INDEXES"


def _bill(capacity: Mapping[str, Any] | None) -> Bill:
    """The bill in a reply; a write that is refused is billed, and does not say so."""
    if capacity is None:
        return {}
    indexes = capacity.get("GlobalSecondaryIndexes", {})
    parts = {"table": capacity["Table"], **indexes}
    return {name: part["CapacityUnits"] for name, part in parts.items() if part["CapacityUnits"]}


@dataclass
class Metered:
    """The product on the AWS adapters, metered."""

    house: House
    meter: Meter
    stream: Stream

    def deliver_next(self) -> None:
        """Wait for a message, and handle it as Lambda does."""
        queues = self.house.world.queues
        received = queues.receive(Queue.TASKS, wait=10)
        assert received, "no message came"
        self.house.clock.at += 60
        response = consume(self.house.world, Queue.TASKS, sqs_event(received), deliver)
        stay = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
        queues.delete(Queue.TASKS, [it.receipt for it in received if it.message_id not in stay])

    def run(self, replies: Sequence[Reply], **members: Any) -> Meter:
        """Submit a task and deliver it, which takes as many attempts as there are replies."""
        self.house.outside.answers[PARTNER] = in_turn(*replies)
        task_id = self.house.submit(PARTNER, **{**SAMPLE, **members})
        for _ in replies:
            self.deliver_next()
        spent = deepcopy(self.meter)
        assert self.house.look(task_id)["status"] == "delivered"
        return spent

    def second_opinion(self) -> list[Bill]:
        """What each write to the table costs by DynamoDB's rules."""
        records: list[Mapping[str, Any]] = []
        self.stream.drain(records.extend)
        images = [record["dynamodb"] for record in records]
        return [write_units(image.get("OldImage"), image.get("NewImage"), INDEXES) for image in images]


@pytest.fixture
def metered() -> Metered:
    endpoint = aws.ministack()
    made = make(endpoint, prefix=str(uuid4()))
    settings = load({"KKBIDA_OPEN_API": "1", "KKBIDA_ENDPOINT": endpoint, **made})
    store, queues, meter, house = DynamoStore(settings), SqsQueues(settings), Meter(), House()
    house.world = replace(house.world, settings=settings, store=store, queues=queues)
    meter.listen(store, queues)
    return Metered(house, meter, Stream(endpoint, settings.table))


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Any:
    """Prints where the units went."""

    def table(meter: Meter) -> None:
        places = ("table", *INDEXES)
        lines = [f"\n{request.node.name}", f"{'':20}" + "".join(f"{place:>10}" for place in places) + f"{'sum':>10}"]
        for name, bill in meter.writes:
            figures = [bill.get(place, 0) for place in places]
            lines.append(f"{name:20}" + "".join(f"{n or '.':>10}" for n in (*figures, sum(figures))))
        lines.append(f"{meter.units} write units; reads: {meter.reads or 'none'}; SQS: {dict(meter.sqs)}\n")
        with capsys.disabled():
            sys.stdout.write("\n".join(lines))

    return table


def test_a_first_try_success_costs_six_write_units_and_no_read(metered: Metered, show: Any) -> None:
    meter = metered.run([GOOD])
    show(meter)
    assert meter.writes == [
        ("PutItem", {"table": 1, "wake": 1, "by_app": 1}),
        ("UpdateItem", {"table": 1}),
        ("UpdateItem", {"table": 1, "wake": 1}),
    ]
    assert meter.reads == []
    assert meter.sqs == {"SendMessage": 1, "ReceiveMessage": 1, "DeleteMessageBatch": 1}
    assert metered.second_opinion() == [bill for _, bill in meter.writes]


def test_each_failed_attempt_costs_a_few_units_more(metered: Metered, show: Any) -> None:
    meter = metered.run([BUSY, BUSY, GOOD])
    show(meter)
    assert meter.units == 18
    assert meter.sqs["SendMessage"] == 1
    assert metered.second_opinion() == [bill for _, bill in meter.writes]


def test_a_large_body_is_written_once_and_read_at_each_attempt(metered: Metered, show: Any) -> None:
    meter = metered.run([BUSY, GOOD], body="x" * 19_900)
    show(meter)
    large = [bill for _, bill in meter.writes if bill["table"] > 1]
    assert large == [{"table": 20}]
    assert meter.reads == ["BatchGetItem", "BatchGetItem"]
    assert metered.second_opinion() == [bill for _, bill in meter.writes]


def test_a_long_reply_is_written_once_however_many_attempts_follow(metered: Metered, show: Any) -> None:
    meter = metered.run([reply(503, "no " * 2000), BUSY, GOOD])
    show(meter)
    large = [bill for _, bill in meter.writes if bill["table"] > 1]
    assert large == [{"table": 7}]
    assert metered.second_opinion() == [bill for _, bill in meter.writes]


def test_whoever_submits_again_costs_the_one_conditional_write_that_recognises_the_task(metered: Metered) -> None:
    submission = {"url": PARTNER, **SAMPLE}
    submit = partial(metered.house.call, "submit", headers={"idempotency-key": "order-42"})
    assert submit(submission)[0] == 202
    first = [name for name, _ in metered.meter.writes]
    assert submit(submission)[0] == 202
    assert submit({**submission, "method": "PUT"})[0] == 409
    assert first == ["PutItem"]
    assert [name for name, _ in metered.meter.writes] == ["PutItem"] * 3
    assert metered.meter.reads == []
