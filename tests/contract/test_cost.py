"""What a task costs on AWS: counted on the real adapters, see `tests/meter.py`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from chalicelib import life
from chalicelib.at_once import all_at_once
from chalicelib.consume import ComeBack, Finished, Outcome
from chalicelib.notify.notify import tell
from chalicelib.ports import Message, Outgoing
from chalicelib.store import INDEXES
from chalicelib.task import Task
from tests import meter as meters
from tests.contract import aws
from tests.contract.samples import request, task
from tests.house import in_turn, reply
from tests.meter import BUSY, GOOD, PARTNER, SAMPLE, Meter, Metered
from tests.signer import Signer

pytestmark = pytest.mark.emulator


@pytest.fixture
def metered() -> Metered:
    return meters.metered(aws.ministack())


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
    assert meter.read_units == 2 * 5, "of 4 KB"
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


def test_a_batch_costs_the_same_writes_and_a_tenth_of_the_sends(metered: Metered) -> None:
    tasks = [{"url": PARTNER, **SAMPLE} for _ in range(100)]
    assert metered.house.call("submit_batch", {"tasks": tasks})[0] == 207
    assert (metered.meter.units, metered.meter.reads) == (300, [])
    assert metered.meter.sqs == {"SendMessageBatch": 10}


def test_knowing_who_submits_costs_no_write_and_a_read_in_some_seconds(metered: Metered) -> None:
    made = metered.house.call("create_caller", {"source_app": "orders"})[1]
    before = metered.meter.units
    signer = Signer(key_id=made["key_id"], secret=made["secret"])
    for number in range(20):
        body = json.dumps({"url": PARTNER, **SAMPLE}).encode()
        now = metered.house.clock.at
        headers = signer.sign("POST", "/v1/tasks", body=body, created=now, nonce=f"n-{number}")
        assert metered.house.call("submit", raw=body, headers=headers, url_path="/v1/tasks")[0] == 202
    assert metered.meter.units - before == 20 * 3
    assert metered.meter.reads == ["Query", "Query"], "all callers: once to make one, once to know them"


def test_what_an_ordering_key_costs_is_paid_by_tasks_that_have_one(metered: Metered, show: Any) -> None:
    meter = metered.run([GOOD], ordering_key="order-42")
    show(meter)
    assert meter.units == 17
    assert Counter(meter.reads) == {"GetItem": 3, "BatchGetItem": 2, "Query": 2}
    assert meter.read_units == 7


def test_a_task_for_later_costs_an_entry_in_the_list_of_those_that_are_scheduled(metered: Metered, show: Any) -> None:
    meter = metered.run([GOOD], delay=1)
    show(meter)
    assert meter.units == 8
    assert meter.reads == []


def test_what_a_bulk_resend_costs_for_each_of_its_tasks(metered: Metered) -> None:
    """In a transaction, what is written costs twice as much."""
    house, meter, tasks = metered.house, metered.meter, 5
    house.outside.answers[PARTNER] = in_turn(BUSY)
    for _ in range(tasks):
        house.submit(PARTNER, **{**SAMPLE, "retry": {"max_attempts": 1}})
        metered.deliver_next()
    metered.second_opinion()
    meter.writes.clear()
    meter.reads.clear()
    assert house.call("start_resend", {"filter": {"source_app": "orders"}})[0] == 202
    assert Counter(name for name, _ in meter.writes) == {"TransactWriteItems": 1 + tasks, "PutItem": 2}
    assert meter.reads.count("GetItem") == tasks
    rounds = [sum(bill.values()) for bill in metered.second_opinion() if "by_status" in bill]
    assert sorted(rounds) == [4, 5, 5, 5, 5], "twice that, and two for the audit; one of them is not due at once"


def test_what_is_set_of_targets_is_read_once_in_a_few_seconds_and_never_for_a_task(metered: Metered) -> None:
    house = metered.house
    house.outside.answers[PARTNER] = in_turn(GOOD)
    house.submit(PARTNER, **SAMPLE)
    house.work()  # of a process that knows nothing yet, each thread reads it
    for _ in range(12):
        house.submit(PARTNER, **SAMPLE)
    for _ in range(12):
        house.work()
    assert len(house.outside.sent) == 13
    assert (metered.meter.units, metered.meter.reads, metered.meter.looks) == (13 * 6, [], 1)


def change(metered: Metered, **changes: Any) -> None:
    """Change what is set of the partner's target, at no cost of the task's."""
    metered.house.call("change_target", changes, query={"target": ["https://partner.example:443"]})
    metered.house.work()
    metered.meter.writes.clear()
    metered.meter.reads.clear()


@pytest.mark.parametrize(
    ("limits", "units", "reads"),
    [({"rate_per_second": 5}, 7, 1), ({"breaker": {}}, 7, 2), ({"max_concurrency": 2}, 8, 2)],
    ids=["rate", "breaker", "places"],
)
def test_what_a_limit_costs_is_paid_by_tasks_for_targets_that_have_one(
    metered: Metered, show: Any, limits: Any, units: int, reads: int
) -> None:
    change(metered, **limits)
    meter = metered.run([GOOD])
    show(meter)
    assert meter.units == units
    assert meter.reads == ["GetItem"] * reads


def test_what_it_costs_to_be_held_and_released(metered: Metered, show: Any) -> None:
    house = metered.house
    change(metered, paused=True)
    task_id = house.submit(PARTNER, **SAMPLE)
    metered.deliver_next()
    assert house.call("look", path={"task_id": task_id})[1]["held"] == "paused"
    show(metered.meter)
    assert metered.meter.units == 3 + 3
    assert [bill for _, bill in metered.meter.writes][-1] == {"table": 1, "wake": 2}
    change(metered, paused=False)
    assert metered.second_opinion().count({"table": 1, "wake": 2}) == 2, "held, and released"


# ── telling ──────────────────────────────────────────────────────────────────────────────────────

ROBOT = "https://oapi.dingtalk.com/robot/send?access_token=hush"


def exhausted(metered: Metered, number: int) -> Task:
    """A task that is out of tries since now, and owed to one channel that gathers for a minute."""
    it, now = metered.house.world, metered.house.clock.at
    live = task(f"task-{number}", at=now, asked=request(source_app="orders"))
    over = life.exhausted(live, None, "no try is left", now=now, grace=600, retention=86_400)
    assert it.store.add(over) is None
    return over


def tell_all(metered: Metered, tasks: Sequence[Task]) -> list[Outcome]:
    return all_at_once(tasks, lambda it: tell(metered.house.world, Message(it.task_id, it.ticket)), most=8)


@pytest.fixture
def robot(metered: Metered) -> list[Outgoing]:
    """One DingTalk robot that takes everything: what it was sent. It is now, not the house's year: the emulator
    removes what has expired by its own clock."""
    metered.house.clock.at = time.time()
    metered.house.outside.answers[ROBOT] = in_turn(reply(200, '{"errcode":0}'))
    metered.house.call("create_channel", {"kind": "dingtalk", "url": ROBOT})
    return metered.house.outside.sent


def test_telling_of_one_task_costs_ten_write_units(metered: Metered, robot: list[Outgoing], show: Any) -> None:
    alone = exhausted(metered, 0)
    metered.meter.writes.clear()
    assert tell_all(metered, [alone]) == [Finished()]
    assert len(robot) == 1
    show(metered.meter)
    assert metered.meter.units == 10


def test_telling_of_a_thousand_tasks_costs_little_more_than_four_write_units_each(
    metered: Metered, robot: list[Outgoing], capsys: pytest.CaptureFixture[str]
) -> None:
    tell_all(metered, [exhausted(metered, 0)])
    many = [exhausted(metered, number) for number in range(1, 1001)]
    metered.meter.writes.clear()
    assert all(isinstance(outcome, ComeBack) for outcome in tell_all(metered, many))
    metered.house.clock.at += 61
    assert tell_all(metered, many[:1]) == [Finished()]
    assert set(tell_all(metered, many[1:])) == {Finished()}
    assert len(robot) == 2
    with capsys.disabled():
        sys.stdout.write(f"\n{metered.meter.units / 1000} write units for each of a thousand tasks told together\n")
    assert 4 <= metered.meter.units / 1000 < 4.5
