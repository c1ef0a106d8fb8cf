"""How a task lies in the DynamoDB table: a row of under 1 KB, and beside it what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import life
from chalicelib.ports import Query
from chalicelib.records import to_json
from chalicelib.settings import load
from chalicelib.store import BARE, IN_LINE, INDEXES, LISTED, Record, Row, lay_out, shard_of, task_of
from chalicelib.task import Attempt, Expectation, Held, Policy, Request, Status, Task, Verdict, evolve
from infra.resources import template
from tests.item_size import UNIT, item_size

SETTINGS = load({})
NOW = 1764000000.1234567
RETRY = Policy(
    max_attempts=8,
    backoff="exponential",
    initial=5,
    factor=2,
    cap=3600,
    jitter=0.2,
    give_up_on=("4xx", "!408", "!429"),
    deadline=86400,
)
SAMPLE = Request(
    url="https://partner.example/callback",
    headers={"X-Order": "42"},
    params={"city": "上海"},
    body={"any": "json"},
    content_type="application/json",
    expect=Expectation(contains="success"),
    retry=RETRY,
    timeout=10,
    source_app="orders",
    target_app="billing",
    labels={"order": "42"},
)
DELIVERED = Attempt(
    number=1,
    round=1,
    fence=1,
    started_at=NOW,
    verdict=Verdict.DELIVERED,
    duration_ms=123,
    status_code=200,
    reply='{"code": 0, "message": "success"}',
    reply_bytes=33,
    phases=(12, 11, 25, 123, 10),
)


def task(request: Request = SAMPLE, **changes: Any) -> Task:
    begun = life.begin(
        request,
        task_id="0b0e1a6e-7d3f-4bb0-9a53-2f8e1f0d3c11",
        caller="key_0123456789",
        digest="0123456789abcdef" * 2,
        now=NOW,
        grace=600,
    )
    return evolve(begun, **changes)


def grown(request: Request = SAMPLE, **changes: Any) -> Task:
    """A task whose numbers are as long as they get."""
    longest = {
        **dict.fromkeys(("version", "ticket", "fence"), 99_999),
        **dict.fromkeys(("number", "round", "wakes"), 999),
        **dict.fromkeys(("due_at", "lease_until", "claimed_at", "claimed_before", "wake_at"), NOW),
        "expires_at": 1_999_999_999,
        **({"place": 999_999, "behind": True} if request.ordering_key else {}),
        "status": Status.CANCELLED,
    }
    return task(request, **{**longest, **changes})


def laid_out(it: Task) -> tuple[Row, list[Record]]:
    return lay_out(it, SETTINGS)


def size(it: Task) -> int:
    return item_size(laid_out(it)[0].serialize())


def found(it: Task) -> Task:
    """The task as it is read again."""
    row, beside = laid_out(it)
    read = Row.from_raw_data(row.serialize())
    return task_of(read, {(record.owner, record.name): record.text for record in beside})


def test_the_room_that_is_reckoned_with_holds_the_longest_numbers() -> None:
    row, beside = laid_out(grown(last=evolve(DELIVERED, reply="failure"), because="all 8 attempts are used"))
    texts = (row.task_id, row.task_id, row.caller, row.digest, row.app_shard, row.request, row.last, row.because)
    assert beside == []
    assert item_size(row.serialize()) - sum(len(text.encode()) for text in texts) <= BARE


def test_a_place_in_a_line_takes_no_more_than_is_reckoned_with() -> None:
    ordered = grown(evolve(SAMPLE, ordering_key="order-42"))
    row = laid_out(ordered)[0].serialize()
    assert item_size({name: row[name] for name in ("pl", "bh")}) <= IN_LINE
    assert size(ordered) <= UNIT


def test_the_houses_own_example_lies_in_one_row_from_its_first_day_to_its_last() -> None:
    delivered = task(status=Status.DELIVERED, last=DELIVERED, wake_at=None, expires_at=1766592000)
    for moment in (task(), grown(status=Status.PENDING), delivered):
        assert laid_out(moment)[1] == []
        assert size(moment) <= UNIT


@pytest.mark.parametrize("status", [Status.PENDING, Status.RETRYING])
def test_a_held_task_lies_as_it_did_before(status: Status) -> None:
    last = evolve(DELIVERED, verdict=Verdict.FAILED, status_code=503, reason="status 503 not in 2xx", wait=3600.123)
    waiting = grown(status=status, last=last, lease_until=0, expires_at=None)
    kept = evolve(waiting, held=Held.CONCURRENCY, held_at=NOW)
    (row, beside), before = laid_out(kept), laid_out(waiting)[1]
    assert found(kept) == kept
    assert [(it.name, it.text) for it in beside] == [(it.name, it.text) for it in before]
    assert {it.expires_at for it in beside} <= {None}
    assert size(kept) <= UNIT
    assert row.wake_shard not in {str(shard) for shard in range(SETTINGS.shards)}


@given(
    body=st.text(max_size=900) | st.integers(0, 400).map("x".__mul__),
    labels=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5),
    reply=st.none() | st.text(max_size=900),
    reason=st.none() | st.text(alphabet=st.characters(max_codepoint=0x7FF), max_size=300),
    because=st.none() | st.sampled_from(["all 8 attempts are used", "the policy gives up on status 404 (4xx, !408)"]),
)
def test_no_row_outgrows_a_write_unit_and_nothing_is_lost_beside_it(
    body: str, labels: dict[str, str], reply: str | None, reason: str | None, because: str | None
) -> None:
    long = {"number": 999, "round": 999, "fence": 99_999, "verdict": Verdict.INTERRUPTED}
    last = evolve(DELIVERED, reply=reply, reason=reason, **long)
    it = grown(evolve(SAMPLE, body=body, labels=labels), last=last, because=because)
    assert size(it) <= UNIT
    assert found(it) == it


@pytest.mark.parametrize("status", list(Status))
def test_a_task_is_read_as_it_was_written(status: Status) -> None:
    for it in (task(status=status), grown(status=status, last=DELIVERED), task(evolve(SAMPLE, body="x" * 5000))):
        assert found(it) == it


def test_a_request_that_does_not_fit_lies_beside_under_its_digest() -> None:
    (one,) = laid_out(task(evolve(SAMPLE, body="a" * 5000)))[1]
    (other,) = laid_out(task(evolve(SAMPLE, body="b" * 5000)))[1]
    assert one.name != other.name
    assert one.text == to_json(evolve(SAMPLE, body="a" * 5000))


def test_what_lies_beside_outlives_the_longest_round() -> None:
    (record,) = laid_out(task(evolve(SAMPLE, body="a" * 5000)))[1]
    latest_end = NOW + RETRY.deadline + SETTINGS.lease
    assert record.expires_at > latest_end + SETTINGS.retention


def test_where_a_request_lies_does_not_change_while_the_task_does() -> None:
    for length in range(600):
        request = evolve(SAMPLE, body="x" * length)
        places = {laid_out(it)[0].request_at for it in (task(request), grown(request, last=DELIVERED))}
        assert len(places) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(target="https://partner.example:443"), True),
        (Query(target_app="billing", source_app="orders"), True),
        (Query(q="/callback"), True),
        (Query(q="/other"), False),
        (Query(status=Status.PENDING), True),
        (Query(until=NOW), False),
    ],
)
def test_the_lists_can_filter_by_the_row_alone(query: Query, expected: bool) -> None:
    row, beside = laid_out(task(evolve(SAMPLE, body="x" * 5000)))
    assert beside
    assert query.matches(task_of(row, {})) is expected


def test_a_claim_can_be_refused_by_the_row_alone() -> None:
    spent = task(evolve(SAMPLE, body="x" * 5000), number=8)
    row, _ = laid_out(spent)
    assert isinstance(life.refusal(task_of(row, {}), 1, NOW), life.Spent)
    assert (row.max_attempts, row.deadline_at) == (8, spent.deadline_at)


@pytest.mark.parametrize("verdict", [Verdict.DELIVERED, Verdict.FAILED])
def test_the_counters_can_count_by_the_row_alone(verdict: Verdict) -> None:
    before = life.claim(task(), now=NOW, lease=75)
    after = evolve(before, status=Status.EXHAUSTED, last=evolve(DELIVERED, verdict=verdict, reply="x" * 5000))
    row, beside = laid_out(after)
    assert beside
    assert life.tally(before, task_of(row, {})) == life.tally(before, after)


def test_only_a_task_in_trouble_is_listed_by_status() -> None:
    listed = {status for status in Status if laid_out(task(status=status))[0].status_shard}
    assert listed == LISTED == {Status.RETRYING, Status.EXHAUSTED, Status.CANCELLED}


def test_only_a_task_that_is_owed_something_is_in_the_index_of_the_reconciler() -> None:
    assert laid_out(task())[0].wake_shard is not None
    assert laid_out(task(wake_at=None))[0].wake_shard is None


def test_every_attribute_of_a_row_has_a_name_of_its_own() -> None:
    names = [attribute.attr_name for attribute in Row.get_attributes().values()]
    assert len(names) == len(set(names))


def test_every_shard_gets_its_share() -> None:
    shards = [shard_of(f"task-{n}", 4) for n in range(4000)]
    assert all(800 < shards.count(shard) < 1200 for shard in range(4))


def test_the_keys_are_those_of_the_template() -> None:
    table = template()["Resources"]["Table"]["Properties"]
    declared = {
        index["IndexName"]: tuple(key["AttributeName"] for key in index["KeySchema"])
        for index in table["GlobalSecondaryIndexes"]
    }
    names = {attribute.attr_name: attribute.attr_type for attribute in Row.get_attributes().values()}
    assert declared == INDEXES
    assert {
        key["AttributeName"]: key["AttributeType"] for key in table["AttributeDefinitions"]
    }.items() <= names.items()
    assert table["TimeToLiveSpecification"]["AttributeName"] == Row.expires_at.attr_name == Record.expires_at.attr_name
