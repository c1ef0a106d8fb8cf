"""Meters what the product on the AWS adapters asks of DynamoDB and SQS, at an emulator that bills as DynamoDB does.

Each figure has a second opinion: DynamoDB's published rules, applied to the images of the table's stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from chalicelib.consume import consume
from chalicelib.delivery.deliver import deliver
from chalicelib.keyring import DerivedKeys
from chalicelib.ports import Queue, Reply
from chalicelib.queues import SqsQueues
from chalicelib.settings import load
from chalicelib.store import INDEXES, DynamoStore
from chalicelib.vault import MemoryVault
from infra.resources import make
from infra.stream import Stream
from tests.house import House, StoppedClock, in_turn, reply, sqs_event
from tests.item_size import Bill, read_units, write_units

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
    """Listens to the clients of the adapters: every call to DynamoDB with its bill, every call to SQS.

    `read_units`: by arithmetic. `looks`: reads of what is set of targets, which each process makes every few seconds,
    whatever it has to do.
    """

    writes: list[tuple[str, Bill]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    read_units: float = 0
    looks: int = 0
    sqs: Counter[str] = field(default_factory=Counter)

    def listen(self, store: DynamoStore, queues: SqsQueues) -> None:
        events = store._table._connection.connection.client.meta.events
        events.register("before-parameter-build.dynamodb", _ask_for_the_bill)
        events.register("after-call.dynamodb", self._note)
        for client in (queues._sqs, queues._receiver):
            client.meta.events.register("after-call.sqs", lambda model, **_: self.sqs.update([model.name]))

    def _note(self, model: Any, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        if model.name in WRITES:
            self.writes.append((model.name, _bill(parsed.get("ConsumedCapacity"))))
        elif context.get("looks"):
            self.looks += 1
        else:
            self.reads.append(model.name)
            self.read_units += read_units(context["asked"], parsed)

    @property
    def units(self) -> float:
        return sum(sum(bill.values()) for _, bill in self.writes)


def _ask_for_the_bill(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["ReturnConsumedCapacity"] = "INDEXES"
    context["asked"] = params
    context["looks"] = {"S": "targets"} in params.get("ExpressionAttributeValues", {}).values()


def _bill(capacity: Any) -> Bill:
    """The bill in a reply; a write that is refused is billed, and does not say so. A transaction's is one sum."""
    if isinstance(capacity, list):
        return {"table": sum(part["CapacityUnits"] for part in capacity)}
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


def metered(endpoint: str) -> Metered:
    """The product on tables and queues of its own at an emulator."""
    made = make(endpoint, prefix=str(uuid4()))
    settings = load({"KKBIDA_OPEN_API": "1", "KKBIDA_ENDPOINT": endpoint, **made})
    vault = MemoryVault()
    store, queues, meter, house = DynamoStore(settings, vault), SqsQueues(settings), Meter(), House()
    keyring = DerivedKeys(store, vault, StoppedClock())  # read once in some seconds, not once for each task
    house.world = replace(house.world, settings=settings, store=store, queues=queues, keyring=keyring)
    keyring.keys()
    meter.listen(store, queues)
    return Metered(house, meter, Stream(endpoint, settings.table))
