"""The counters are made from the table's stream: each change counts once, however its batch comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib import life
from chalicelib.ports import Query
from chalicelib.settings import load
from chalicelib.store import TRANSACTION, DynamoStore, lay_out
from chalicelib.task import Attempt, Expectation, Policy, Request, Task, Verdict, evolve
from tests.cases import share
from tests.contract import aws

pytestmark = pytest.mark.emulator

NOW = 1764000000.0
HOUR = 3600
SETTINGS = load({})
REQUEST = Request(
    url="https://partner.example/",
    expect=Expectation(),
    retry=Policy(max_attempts=3, backoff="fixed", initial=1, deadline=86400),
    timeout=10,
    source_app="orders",
)
Change = Mapping[str, Any]


@pytest.fixture
def store() -> DynamoStore:
    return DynamoStore(aws.table(aws.ministack()))


def begun(task_id: str, at: float = NOW, request: Request = REQUEST) -> Task:
    return life.begin(request, task_id=task_id, caller="c", digest="d", now=at, grace=600)


def a_life(task_id: str, at: float = NOW) -> list[Task]:
    """A task that fails once and is then delivered."""
    first = life.claim(begun(task_id, at), now=at, lease=75)
    failed = Attempt(number=1, round=1, fence=1, started_at=at, verdict=Verdict.FAILED, wait=1)
    retrying = life.retry_later(first, failed, now=at, grace=600, parked=False)
    second = life.claim(retrying, now=at + 1, lease=75)
    success = Attempt(number=2, round=1, fence=2, started_at=at, verdict=Verdict.DELIVERED)
    return [begun(task_id, at), first, retrying, second, life.delivered(second, success, now=at + 1, retention=86400)]


LIFE = {"accepted": 1, "failed_attempts": 1, "delivered": 1, "in_pending": 0, "in_retrying": 0, "in_delivered": 1}


def streamed(*lives: Sequence[Task]) -> list[Change]:
    """What the table's stream says of these lives, one after the other."""
    return [record(str(uuid4()), old, new) for tasks in lives for old, new in [(None, tasks[0]), *pairwise(tasks)]]


def record(event_id: str, old: Task | None, new: Task) -> Change:
    images = {"NewImage": image(new), **({"OldImage": image(old)} if old else {})}
    keys = {"pk": {"S": new.task_id}, "sk": {"S": "task"}}
    return {
        "eventID": event_id,
        "eventName": "MODIFY" if old else "INSERT",
        "dynamodb": {"Keys": keys, **images},
    }


def image(task: Task) -> dict[str, Any]:
    return dict(lay_out(task, SETTINGS)[0].serialize())


def times(n: int) -> dict[str, int]:
    return {name: n * one for name, one in LIFE.items()}


def test_a_life_adds_up(store: DynamoStore) -> None:
    store.count(streamed(a_life("one"), a_life("two")))
    assert store.totals() == times(2)


def test_a_batch_that_comes_twice_counts_once(store: DynamoStore) -> None:
    batch = streamed(a_life("one"))
    store.count(batch)
    store.count(batch)
    assert store.totals() == LIFE


@given(batches=st.lists(st.tuples(st.integers(1, 10), st.booleans()), max_size=8))
@example(batches=[(10, False), (1, True)])
@share(0.5, fixtures_last=True)
def test_however_often_a_reader_dies_each_change_counts_once(
    store: DynamoStore, batches: list[tuple[int, bool]]
) -> None:
    """One that dies before it has noted how far it came begins again there, with a longer or a shorter batch."""
    stream = streamed(*(a_life(f"task-{n}") for n in range(2)))
    before = Counter(store.totals())
    place = 0
    for length, survives in batches:
        store.count(stream[place : place + length])
        place += length if survives else 0
    store.count(stream[place:])
    before.update(times(2))
    assert store.totals() == before


def test_a_batch_of_more_hours_than_one_transaction_takes_is_counted_whole(store: DynamoStore) -> None:
    batch = streamed(*(a_life(f"task-{n}", NOW + n * HOUR) for n in range(TRANSACTION)))
    store.count(batch)
    store.count(batch)
    assert store.totals() == times(TRANSACTION)
    assert len(store.series("hour", 0, NOW * 2)) == TRANSACTION


def test_sums_below_zero_in_one_shard_are_part_of_the_whole(store: DynamoStore) -> None:
    """What one batch adds to a counter another one takes away, and they may be kept in different shards."""
    for change in streamed(*(a_life(f"task-{n}") for n in range(8))):
        store.count([change])
    assert store.totals() == times(8)


def test_a_claim_writes_nothing_to_the_counters(store: DynamoStore) -> None:
    first, claimed, *_ = a_life("one")
    store.count([record("event", first, claimed)])
    assert store.totals() == {}


def test_what_is_no_change_of_a_task_is_passed_over(store: DynamoStore) -> None:
    (insert,) = streamed([begun("one")])
    removed = {"eventName": "REMOVE", "dynamodb": {"Keys": insert["dynamodb"]["Keys"], "OldImage": {}}}
    counter = {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": "counters#1"}, "sk": {"S": "total"}}}}
    store.count([{"eventID": "a", **removed}, {"eventID": "b", **counter}])
    assert store.totals() == {}


def test_a_task_of_a_new_source_app_is_listed_once_its_change_is_counted(store: DynamoStore) -> None:
    task = begun("one", request=evolve(REQUEST, source_app="a#new#app"))
    store.add(task)
    assert store.page(Query(), None, 10).tasks == []
    store.count(streamed([task]))
    assert store.page(Query(), None, 10).tasks == [task]
