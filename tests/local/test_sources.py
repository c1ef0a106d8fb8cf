"""Local event sources: what a handler is fed, and what becomes of its messages, by Lambda's rules."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from chalice.app import Chalice, CloudWatchEvent, SQSEvent

from chalicelib.errors import Unavailable
from chalicelib.ports import Message, News, Parcel, Queue, Received
from infra.local import sources
from infra.local.context import Context, Invoke, function

BATCH = [Received("m1", "r1", '{"task_id": "t1"}', 1), Received("m2", "r2", "必达", 3)]


class Hand:
    """Queues with some messages to give, that remember what was deleted, and who asked at the same time."""

    def __init__(self, messages: Sequence[Received], *, fails: int = 0) -> None:
        self.messages = list(messages)
        self.fails = fails
        self.deleted: list[str] = []
        self.empty = Event()
        self.asking = self.most_at_once = 0

    def receive(self, queue: Queue, *, limit: int = 10, wait: float = 0) -> list[Received]:
        assert (queue, wait <= 20) == (Queue.TASKS, True)
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        if self.fails:
            self.fails, self.asking = self.fails - 1, self.asking - 1
            raise Unavailable
        if not self.messages:
            self.empty.set()
            self.empty.wait(0.01)
        given, self.messages = self.messages[:limit], self.messages[limit:]
        self.asking -= 1
        return given

    def delete(self, queue: Queue, receipts: Sequence[str]) -> None:
        assert queue is Queue.TASKS
        self.deleted += receipts

    def send(self, queue: Queue, message: Message | News, *, group: str, delay: float = 0) -> None:
        raise NotImplementedError

    def send_all(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        raise NotImplementedError

    def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
        raise NotImplementedError

    def in_flight(self, queue: Queue) -> int:
        raise NotImplementedError


def many(count: int) -> list[Received]:
    return [Received(f"m{n}", f"r{n}", "", 1) for n in range(count)]


def failures(*identifiers: object) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


# ── what becomes of the messages ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("response", [None, {}, "", failures(), {"batchItemFailures": None}])
def test_a_handler_that_reports_no_failure_has_finished_all(response: object) -> None:
    assert sources.finished(BATCH, response) == ["r1", "r2"]


@pytest.mark.parametrize(
    ("failed", "left"), [(["m1"], ["r2"]), (["m2"], ["r1"]), (["m1", "m2"], []), (["m1"] * 2, ["r2"])]
)
def test_what_is_reported_as_failed_stays_in_the_queue(failed: list[str], left: list[str]) -> None:
    assert sources.finished(BATCH, failures(*failed)) == left


@pytest.mark.parametrize(
    "response",
    [
        failures(""),
        failures(None),
        failures("m1", ""),
        failures("m1", "somebody-else"),
        {"batchItemFailures": [{"id": "m1"}]},
        {"batchItemFailures": ["m1"]},
        "done",
        ["m1"],
    ],
)
def test_a_report_that_makes_no_sense_fails_the_whole_batch(response: object) -> None:
    assert sources.finished(BATCH, response) == []


def poll(queues: Hand, invoke: Invoke, *, runs: int = 1) -> None:
    """Poll until all is handed over and handled."""
    with sources.running(sources.pollers(queues, Queue.TASKS, invoke, runs=runs)):
        assert queues.empty.wait(10)


def test_a_batch_is_received_handled_and_deleted() -> None:
    queues = Hand(BATCH)
    poll(queues, lambda _event: failures("m1"))
    assert queues.deleted == ["r2"]


def test_a_batch_has_ten_messages_at_most() -> None:
    sizes: list[int] = []
    poll(Hand(many(12)), lambda event: sizes.append(len(event["Records"])))
    assert sizes == [10, 2]


def test_an_empty_queue_runs_no_handler() -> None:
    runs: list[object] = []
    poll(Hand([]), runs.append)
    assert runs == []


def test_a_handler_that_raises_finishes_nothing_and_the_next_batch_is_polled() -> None:
    queues, sizes = Hand(many(12)), list[int]()

    def handler(event: Mapping[str, Any]) -> None:
        sizes.append(len(event["Records"]))
        if len(sizes) == 1:
            raise RuntimeError("a bug")

    poll(queues, handler)
    assert (sizes, queues.deleted) == ([10, 2], ["r10", "r11"])


def test_a_queue_that_cannot_be_read_is_read_again() -> None:
    queues = Hand(BATCH, fails=1)
    poll(queues, lambda _event: None)
    assert queues.deleted == ["r1", "r2"]


def test_a_batch_that_takes_long_does_not_hold_up_the_next() -> None:
    both_run = Barrier(2, timeout=10)
    queues = Hand(many(20))
    poll(queues, lambda _event: both_run.wait() * 0, runs=2)
    assert sorted(queues.deleted) == sorted(message.receipt for message in many(20))


def test_only_one_of_many_pollers_waits_at_the_queue() -> None:
    queues = Hand(many(40))
    poll(queues, lambda _event: None, runs=8)
    assert queues.most_at_once == 1


def test_the_turn_goes_to_whoever_began_to_wait_last() -> None:
    """So of hundreds of pollers only as many ever work as there is work for at a time."""
    turn, order = sources._Turn(), list[int]()

    def take(number: int) -> None:
        with turn:
            order.append(number)

    with ThreadPoolExecutor(3) as pool, turn:
        for number in range(3):
            pool.submit(take, number)
            while len(turn._waiting) <= number:
                time.sleep(0.001)  # nothing tells when a thread begins to wait
    assert order == [2, 1, 0]


# ── what the handler is fed ──────────────────────────────────────────────────────────────────────


def test_a_chalice_handler_understands_the_queue_event() -> None:
    app = Chalice("small")
    seen: list[tuple[str, str]] = []

    @app.on_sqs_message(queue="tasks")
    def deliver(event: SQSEvent) -> dict[str, Any]:
        seen.extend((record.body, record.receipt_handle) for record in event)
        return failures(event.to_dict()["Records"][0]["messageId"])

    queues = Hand(BATCH)
    poll(queues, function("deliver", deliver, 10))
    assert seen == [('{"task_id": "t1"}', "r1"), ("必达", "r2")]
    assert queues.deleted == ["r2"]


def test_a_record_has_what_lambda_puts_into_it() -> None:
    record = sources.sqs_event(Queue.TASKS, BATCH)["Records"][1]
    assert (record["messageId"], record["attributes"]["ApproximateReceiveCount"]) == ("m2", "3")
    assert record["md5OfBody"] == "c1b5d9109114d2369058170b23421354"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(":tasks")


def test_a_chalice_handler_understands_the_schedule() -> None:
    app = Chalice("small")
    seen: list[tuple[str, str]] = []

    @app.schedule("rate(1 minute)")
    def reconcile(event: CloudWatchEvent) -> None:
        seen.append((event.source, event.detail_type))

    function("reconcile", reconcile, 10)(sources.scheduled_event())
    assert seen == [("aws.events", "Scheduled Event")]


def test_each_run_has_a_context_of_its_own() -> None:
    contexts: list[Context] = []
    run = function("deliver", lambda _event, context: contexts.append(context), 10)
    run({})
    run({})
    assert contexts[0].aws_request_id != contexts[1].aws_request_id
    assert 0 < contexts[0].get_remaining_time_in_millis() <= 10_000
    assert contexts[0].invoked_function_arn.endswith(":function:deliver")


def test_a_context_never_has_less_than_no_time() -> None:
    assert Context("deliver", -1).get_remaining_time_in_millis() == 0


# ── starting and stopping ────────────────────────────────────────────────────────────────────────


def test_a_schedule_runs_at_the_start_and_then_again_and_again() -> None:
    runs, thrice = [], Event()

    def step(_stop: Event) -> None:
        runs.append(1)
        if len(runs) == 3:
            thrice.set()

    with sources.running([sources.steady(step, pause=0.01)]):
        assert thrice.wait(10)


def test_stopping_waits_for_the_handler_that_runs() -> None:
    running, ended = Event(), Event()

    def step(_stop: Event) -> None:
        running.set()
        ended.wait(0.2)
        ended.set()

    with sources.running([sources.steady(step)]):
        assert running.wait(10)
    assert ended.is_set()


def test_stopping_does_not_wait_for_the_next_turn_of_a_schedule() -> None:
    ran = Event()
    with sources.running([sources.steady(lambda _stop: ran.set(), pause=3600)]):
        assert ran.wait(10)
