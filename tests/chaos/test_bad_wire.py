"""The whole product on the AWS adapters, when calls are throttled or get lost: refused whole, or done in the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import boto3
import pytest

from chalicelib import api, aws, call, consume, life
from chalicelib.delivery.reconcile import reconcile
from chalicelib.ports import Queue
from chalicelib.queues import SqsQueues
from chalicelib.settings import Settings
from chalicelib.store import DynamoStore
from chalicelib.vault import MemoryVault
from tests.conftest import Lines
from tests.contract import aws as emulated
from tests.house import House, in_turn, reply
from tests.wire import THROTTLED, Answer, Call, Fate, Rule, Wire, clear, refusal, wire

pytestmark = pytest.mark.emulator

PARTNER = "https://partner.example/callback"
LARGE = {"note": "必达" * 1000}
"""A body that does not fit into the row."""

PATIENCE = 20
"""Seconds until what must happen has happened."""


@dataclass
class Far:
    """The product in this process, its table and queues at the end of a wire. `settings` lead past the wire."""

    house: House
    wire: Wire
    settings: Settings

    def items(self) -> Sequence[Mapping[str, Any]]:
        """All that is in the table."""
        way = {"region_name": "us-east-1", **aws.credentials(self.settings.endpoint)}
        dynamodb = boto3.client("dynamodb", endpoint_url=self.settings.endpoint, **way)
        return dynamodb.scan(TableName=self.settings.table)["Items"]

    def messages(self) -> int:
        """How many messages there are to receive."""
        return len(SqsQueues(self.settings).receive(Queue.TASKS))

    def submit(self, **members: Any) -> api.Answer:
        """What the API answers to a submission under the key `order-42`."""
        body = json.dumps({"url": PARTNER, **members}).encode()
        return api.answer(self.house.world, "submit", call.Call(body=body, headers={"idempotency-key": "order-42"}))

    def work_until(self, done: Callable[[int], bool]) -> None:
        """Let the consumers work until that is true of the number of messages that they have handled."""
        until, handled = time.monotonic() + PATIENCE, 0
        while not done(handled):
            assert time.monotonic() < until
            handled += self.house.work()

    def delivered(self, task_id: str) -> dict[str, Any]:
        """The task, once the consumers have brought it that far."""
        self.work_until(lambda _: self.house.look(task_id)["status"] == "delivered")
        return self.house.look(task_id)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    monkeypatch.setattr(consume, "WAIT_FOR_A_PORT", 1)
    monkeypatch.setattr(life, "LOOK_AGAIN", 1)
    endpoint = emulated.ministack()
    with wire(clear, endpoint) as between:
        table, queues = emulated.table(endpoint), emulated.queues(endpoint)
        settings = replace(
            table, task_queue_url=queues.task_queue_url, exhausted_queue_url=queues.exhausted_queue_url, open_api=True
        )
        behind = replace(settings, endpoint=between.url)
        house = House()
        house.clock.at = time.time()  # the emulator removes what has expired
        house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
        house.world = replace(
            house.world, settings=behind, store=DynamoStore(behind, MemoryVault()), queues=SqsQueues(behind)
        )
        yield Far(house, between, settings)


def every(operation: str, fate: Answer | Fate, *, that: Callable[[Call], bool] = lambda _: True) -> Rule:
    """This becomes of every such call."""
    return lambda call: fate if call.operation == operation and that(call) else Fate.PASSES


def first(operation: str, fate: Answer | Fate) -> Rule:
    """This becomes of the first such call."""
    before = count()
    return every(operation, fate, that=lambda _: next(before) == 0)


def is_row(call: Call) -> bool:
    return bool(call.body["Item"]["sk"]["S"] == "task")


# ── submissions ──────────────────────────────────────────────────────────────────────────────────


def test_a_throttled_table_refuses_a_submission_and_nothing_of_it_is_there(far: Far) -> None:
    far.wire.rule = every("PutItem", THROTTLED)
    refused = far.submit()
    assert (refused.status, refused.headers["Retry-After"], refused.body["code"]) == (503, "5", "unavailable")
    assert far.items() == []
    assert far.messages() == 0

    far.wire.rule = clear
    accepted = far.submit()
    assert accepted.status == 202
    far.delivered(accepted.body["task_id"])
    assert len(far.house.outside.sent) == 1


def test_a_large_body_whose_row_is_throttled_leaves_only_what_expires_and_the_repetition_uses_it(far: Far) -> None:
    far.wire.rule = every("PutItem", THROTTLED, that=is_row)
    assert far.submit(body=LARGE).status == 503
    [record] = far.items()
    assert record["sk"]["S"].startswith("request#"), (
        "it cannot be known that no row refers to it: an answer may be lost"
    )
    assert float(record["expires_at"]["N"]) > far.house.clock.at
    assert far.house.call("list_tasks")[1]["tasks"] == []
    assert far.messages() == 0

    far.wire.rule = clear
    task_id = far.submit(body=LARGE).body["task_id"]
    assert Counter(item["sk"]["S"].partition("#")[0] for item in far.items()) == {"request": 1, "task": 1}
    assert far.house.look(task_id)["body"] == LARGE


def test_a_submission_whose_answers_are_lost_is_refused_and_its_repetition_is_the_same_task(far: Far) -> None:
    far.wire.rule = every("PutItem", Fate.ANSWER_LOST)
    assert far.submit(body=LARGE).status == 503
    far.wire.rule = clear
    accepted = far.submit(body=LARGE)
    assert accepted.status == 202
    far.delivered(accepted.body["task_id"])
    assert len(far.house.outside.sent) == 1
    assert Counter(item["sk"]["S"].partition("#")[0] for item in far.items()) == {"request": 1, "task": 1}


def test_a_write_whose_answer_is_lost_once_is_recognised_when_it_is_sent_again(far: Far) -> None:
    far.wire.rule = first("PutItem", Fate.ANSWER_LOST)
    accepted = far.submit()
    assert accepted.status == 202
    assert far.wire.asked.count("PutItem") == 2
    far.delivered(accepted.body["task_id"])


@pytest.mark.parametrize("fate", [refusal(500, "InternalFailure"), Fate.REQUEST_LOST])
def test_a_task_that_is_stored_is_accepted_though_the_queue_is_down_and_the_reconciler_finds_it(
    far: Far, fate: Answer | Fate, logged: Lines
) -> None:
    far.wire.rule = every("SendMessage", fate)
    accepted = far.submit()
    assert accepted.status == 202
    assert "queue.unavailable" in [line["message"] for line in logged()]
    assert far.messages() == 0

    far.wire.rule = clear
    far.house.clock.at += far.settings.grace + 1
    assert reconcile(far.house.world, seconds=5).count == 1
    far.delivered(accepted.body["task_id"])
    assert len(far.house.outside.sent) == 1


def test_a_message_that_was_sent_twice_because_its_answer_got_lost_makes_one_attempt(far: Far) -> None:
    far.wire.rule = first("SendMessage", Fate.ANSWER_LOST)
    task_id = far.submit().body["task_id"]
    assert far.wire.asked.count("SendMessage") == 2
    far.work_until(lambda handled: handled == 2)
    assert far.house.look(task_id)["attempts_made"] == len(far.house.outside.sent) == 1


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


def test_a_batch_that_cannot_be_claimed_is_put_off_and_delivered_later(far: Far) -> None:
    task_ids = [far.house.submit(PARTNER) for _ in range(3)]
    far.wire.rule = every("UpdateItem", THROTTLED)
    far.work_until(lambda handled: handled >= 3)
    assert far.house.outside.sent == []

    far.wire.rule = clear
    assert [far.delivered(task_id)["attempts_made"] for task_id in task_ids] == [1, 1, 1]


@pytest.mark.parametrize("fate", [THROTTLED, Fate.REQUEST_LOST, Fate.ANSWER_LOST])
def test_an_attempt_whose_result_cannot_be_recorded_is_interrupted_or_recorded_and_never_lost(
    far: Far, fate: Answer | Fate
) -> None:
    task_id = far.house.submit(PARTNER)

    def reply_and_fail(_: object) -> Any:
        far.house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
        far.wire.rule = every("UpdateItem", fate)
        return reply(200, "ok")

    far.house.outside.answers[PARTNER] = reply_and_fail
    far.work_until(lambda _: bool(far.house.outside.sent))
    far.wire.rule = clear
    far.house.clock.at += far.settings.lease + 1
    verdicts = [attempt["verdict"] for attempt in far.delivered(task_id)["attempts"]]
    assert verdicts == (["delivered"] if fate is Fate.ANSWER_LOST else ["interrupted", "delivered"])
    assert len(far.house.outside.sent) == len(verdicts)


def test_a_claim_whose_answer_is_lost_counts_and_the_next_one_delivers(far: Far) -> None:
    task_id = far.house.submit(PARTNER)
    far.wire.rule = first("UpdateItem", Fate.ANSWER_LOST)
    far.work_until(lambda _: far.house.look(task_id)["attempts_made"] == 1)
    far.house.clock.at += far.settings.lease + 1
    assert [attempt["verdict"] for attempt in far.delivered(task_id)["attempts"]] == ["interrupted", "delivered"]
    assert len(far.house.outside.sent) == 1


# ── operators ────────────────────────────────────────────────────────────────────────────────────


def test_an_act_that_is_throttled_is_refused_and_neither_done_nor_audited(far: Far) -> None:
    task_id = far.house.submit(PARTNER)
    far.wire.rule = every("TransactWriteItems", THROTTLED)
    status, problem = far.house.call("cancel", path={"task_id": task_id})
    assert (status, problem["code"]) == (503, "unavailable")
    task = far.house.look(task_id)
    assert (task["status"], task["audit"]) == ("pending", [])


def test_an_act_whose_answer_is_lost_once_is_done_once(far: Far) -> None:
    task_id = far.house.submit(PARTNER)
    far.wire.rule = first("TransactWriteItems", Fate.ANSWER_LOST)
    assert far.house.call("cancel", path={"task_id": task_id})[0] == 200
    far.house.clock.at += 1
    far.wire.rule = first("TransactWriteItems", Fate.ANSWER_LOST)
    assert far.house.call("resend", path={"task_id": task_id})[0] == 202
    task = far.delivered(task_id)
    assert (task["round"], [audit["action"] for audit in task["audit"]]) == (2, ["cancel", "resend"])
    assert len(far.house.outside.sent) == 1
