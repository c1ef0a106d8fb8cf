"""Local event sources: what a handler is fed, and what becomes of its messages, by Lambda's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import pytest
from chalice.app import Chalice, CloudWatchEvent, SQSEvent

from chalicelib.ports import Message, Queue, Received
from infra.local import sources
from infra.local.context import Context, function

BATCH = [Received("m1", "r1", '{"task_id": "t1"}', 1), Received("m2", "r2", "必达", 3)]


class Hand:
    """Queues with one batch to give, that remember what was deleted."""

    def __init__(self, batch: Sequence[Received]) -> None:
        self.batch = list(batch)
        self.deleted: list[str] = []

    def receive(self, queue: Queue, *, limit: int = 10, wait: float = 0) -> list[Received]:  # noqa: ARG002
        given, self.batch = self.batch[:limit], self.batch[limit:]
        return given

    def delete(self, queue: Queue, receipts: Sequence[str]) -> None:  # noqa: ARG002
        self.deleted += receipts

    def send(self, queue: Queue, message: Message, *, group: str, delay: float = 0) -> None:
        raise NotImplementedError

    def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
        raise NotImplementedError

    def in_flight(self, queue: Queue) -> int:
        raise NotImplementedError


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


def test_a_batch_is_received_handled_and_deleted() -> None:
    queues = Hand(BATCH)
    sources.poll(queues, Queue.TASKS, lambda _event: failures("m1"))
    assert queues.deleted == ["r2"]


def test_a_batch_has_ten_messages_at_most() -> None:
    sizes: list[int] = []
    queues = Hand([Received(f"m{n}", f"r{n}", "", 1) for n in range(12)])
    for _ in range(2):
        sources.poll(queues, Queue.TASKS, lambda event: sizes.append(len(event["Records"])))
    assert sizes == [10, 2]


def test_an_empty_queue_runs_no_handler() -> None:
    sources.poll(Hand([]), Queue.TASKS, lambda _event: pytest.fail("it ran"))


def test_a_handler_that_raises_finishes_nothing_and_the_next_batch_is_polled() -> None:
    queues, second = Hand([*BATCH, *BATCH * 5]), Event()
    runs: list[int] = []

    def handler(event: Mapping[str, Any]) -> None:
        runs.append(len(event["Records"]))
        if len(runs) == 1:
            raise RuntimeError("a bug")
        second.set()

    with sources.running([sources.steady(lambda: sources.poll(queues, Queue.TASKS, handler), after_failure=0)]):
        assert second.wait(10)
    assert (runs[:2], len(queues.deleted)) == ([10, 2], 2)


# ── what the handler is fed ──────────────────────────────────────────────────────────────────────


def test_a_chalice_handler_understands_the_queue_event() -> None:
    app = Chalice("small")
    seen: list[tuple[str, str]] = []

    @app.on_sqs_message(queue="tasks")
    def deliver(event: SQSEvent) -> dict[str, Any]:
        seen.extend((record.body, record.receipt_handle) for record in event)
        return failures(event.to_dict()["Records"][0]["messageId"])

    queues = Hand(BATCH)
    sources.poll(queues, Queue.TASKS, function("deliver", deliver, 10))
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

    def step() -> None:
        runs.append(1)
        if len(runs) == 3:
            thrice.set()

    with sources.running([sources.steady(step, pause=0.01)]):
        assert thrice.wait(10)


def test_stopping_waits_for_the_handler_that_runs() -> None:
    running, ended = Event(), Event()

    def step() -> None:
        running.set()
        ended.wait(0.2)
        ended.set()

    with sources.running([sources.steady(step)]):
        assert running.wait(10)
    assert ended.is_set()


def test_stopping_does_not_wait_for_the_next_turn_of_a_schedule() -> None:
    ran = Event()
    with sources.running([sources.steady(ran.set, pause=3600)]):
        assert ran.wait(10)
