"""What only the store on DynamoDB must keep: one task there is several records, and answers can be lost."""

from __future__ import annotations

import pytest
from pynamodb.expressions.operand import Path

from chalicelib import life
from chalicelib.errors import NotFound
from chalicelib.ports import Query
from chalicelib.store import EXAMINED, DynamoStore, Record, Row, lay_out
from chalicelib.task import Status, Task, Verdict, evolve
from tests.contract import aws
from tests.contract.samples import (
    DAY,
    GRACE,
    LEASE,
    NOW,
    RETENTION,
    VAULT,
    attempt,
    audit,
    channel,
    mention,
    request,
    task,
)

pytestmark = pytest.mark.emulator

LARGE = "x" * 5000
THERE = Row.task_id.exists()


@pytest.fixture
def store() -> DynamoStore:
    return DynamoStore(aws.table(aws.ministack()), VAULT)


def large(task_id: str | None = None, letter: str = "x") -> Task:
    return task(task_id, asked=request(body=letter * 5000))


def added(store: DynamoStore, new: Task) -> Task:
    assert store.add(new) is None
    return new


def claimed(store: DynamoStore, waiting: Task, now: float) -> Task:
    owned = store.claim(waiting.task_id, waiting.ticket, now=now, lease=LEASE)
    assert isinstance(owned, Task)
    return owned


def delivered(owned: Task, now: float, reply: str = "success") -> Task:
    ended = attempt(owned, Verdict.DELIVERED, reply=reply, reply_bytes=len(reply))
    return life.delivered(owned, ended, now=now, retention=RETENTION)


def records(store: DynamoStore, of: Task) -> dict[str, Record]:
    """Everything of the task beside its row, by sort key."""
    return {record.name: record for record in store._records(of.task_id) if record.name != "task"}


def drop(store: DynamoStore, of: Task, name: str) -> None:
    """Remove a record, as its expiry does."""
    deleting = store._table.deleting((of.task_id, name), Record.owner.exists())
    store._table.transact(deletes=[deleting])


# ── a request that lies beside its row ───────────────────────────────────────────────────────────


def test_a_second_submission_under_one_key_does_not_overwrite_the_body_of_the_first(store: DynamoStore) -> None:
    first = added(store, large(letter="a"))
    assert store.add(large(first.task_id, letter="b")) == first
    assert store.get(first.task_id) == first
    assert claimed(store, first, NOW + 1).request == first.request


def test_a_refused_body_is_removed_again(store: DynamoStore) -> None:
    first = added(store, large(letter="a"))
    small = added(store, task())
    own = records(store, first)
    for known in (first, small):
        assert store.add(large(known.task_id, letter="b")) == known
    assert records(store, first).keys() == own.keys()
    assert records(store, small) == {}


def test_the_same_submission_again_leaves_the_body_where_it_is(store: DynamoStore) -> None:
    first = added(store, large())
    assert store.add(large(first.task_id)) == first
    assert store.get(first.task_id) == first


def test_a_body_that_somebody_else_has_put_there_meanwhile_is_theirs(store: DynamoStore) -> None:
    first = added(store, large(letter="a"))
    (refused,) = lay_out(large(first.task_id, letter="b"), store._settings)[1]
    refused.version = 1
    store._table.put(Record(first.task_id, refused.name, text=refused.text, expires_at=refused.expires_at))
    store._take_back([refused], store._table.get((first.task_id, "task")))
    assert refused.name in records(store, first)


def without_its_body(store: DynamoStore, it: Task) -> Task:
    """As after a stop of all workers until its body expired."""
    for name in records(store, it):
        if name.startswith("request#"):
            drop(store, it, name)
    return it


def test_a_task_that_is_over_and_whose_body_has_expired_is_as_good_as_gone(store: DynamoStore) -> None:
    new = added(store, large())
    over = store.replace(new, life.cancel(new, now=NOW + 1, retention=RETENTION))
    without_its_body(store, over)
    assert store.get(over.task_id) is None
    assert store.page(Query(source_app="default"), None, 10).tasks == []


def test_a_live_task_whose_body_has_expired_is_still_exhausted_and_told(store: DynamoStore) -> None:
    lost = without_its_body(store, added(store, large()))
    (due,) = store.due(NOW + 40 * DAY, 10)
    assert due == store.get(lost.task_id)
    woken = store.replace(due, life.wake(due, now=NOW + 40 * DAY, grace=GRACE))
    spent = store.claim(woken.task_id, woken.ticket, now=NOW + 40 * DAY, lease=LEASE)
    assert isinstance(spent, life.Spent)
    ended = life.exhausted(spent.task, None, "the deadline", now=NOW + 40 * DAY, grace=GRACE, retention=RETENTION)
    store.replace(spent.task, ended)
    assert store.due(NOW + 41 * DAY, 10) == [ended]
    assert ended.request.url == lost.request.url
    told = store.replace(ended, life.told(ended, now=NOW + 40 * DAY, retention=RETENTION))
    assert store.due(NOW + 41 * DAY, 10) == []
    assert store.get(told.task_id) is None


def test_a_request_that_is_no_longer_whole_is_never_sent(store: DynamoStore) -> None:
    live = without_its_body(store, added(store, large()))
    with pytest.raises(NotFound):
        store.claim(live.task_id, 1, now=NOW + 1, lease=LEASE)
    stands = store.get(live.task_id)
    assert stands is not None
    ended = life.exhausted(stands, None, "gave up", now=NOW + 2, grace=GRACE, retention=RETENTION)
    store.replace(stands, ended)
    with pytest.raises(NotFound):
        store.replace(ended, life.resend(ended, ended.request, now=NOW + 3, grace=GRACE))
    assert store.get(live.task_id) == ended


def test_everything_of_a_task_that_ends_late_is_kept_for_as_long_as_its_row(store: DynamoStore) -> None:
    owned = claimed(store, added(store, large()), NOW + 1)
    waiting = life.retry_later(owned, attempt(owned, reply=LARGE), now=NOW + 2, grace=GRACE, parked=False)
    store.replace(owned, waiting)
    again = claimed(store, waiting, NOW + 100)
    late = NOW + 20 * DAY
    ended = life.exhausted(again, None, "the deadline", now=late, grace=GRACE, retention=RETENTION)
    store.replace(again, ended, audit(ended.task_id))
    kept = {name.partition("#")[0]: record.expires_at for name, record in records(store, ended).items()}
    assert kept.keys() == {"attempt", "audit", "reply", "request"}
    assert set(kept.values()) == {None}, "a notification is owed"
    told = store.replace(ended, life.told(ended, now=late + DAY, retention=RETENTION))
    kept = {name.partition("#")[0]: record.expires_at for name, record in records(store, told).items()}
    assert told.expires_at is not None
    assert all(expires_at > told.expires_at for expires_at in kept.values())


def test_a_resend_keeps_everything_of_the_task_for_as_long_as_its_new_round(store: DynamoStore) -> None:
    owned = claimed(store, added(store, large("mine")), NOW + 1)
    ended = delivered(owned, NOW + 2, reply=LARGE)
    store.replace(owned, ended)
    store.mention(mention("mine", expires_at=int(NOW + 2 + RETENTION)))
    late = NOW + 29 * DAY
    again = life.resend(ended, ended.request, now=late, grace=GRACE)
    store.replace(ended, again, audit("mine"))
    latest_expiry = late + DAY + LEASE + RETENTION
    kept = {name.partition("#")[0]: record.expires_at for name, record in records(store, again).items()}
    assert kept.keys() == {"audit", "mention", "reply", "request"}
    assert all(expires_at >= latest_expiry for expires_at in kept.values())


def test_a_row_laid_out_by_another_release_keeps_its_request_and_its_reply(store: DynamoStore) -> None:
    """What fits into a row is decided by numbers that may change; rows that were written before must not suffer."""
    old = evolve(task(), last=attempt(life.claim(task(), now=NOW, lease=LEASE)))
    row, beside = lay_out(old, store._settings)
    assert beside == []
    store._table.put(Record(old.task_id, "request#by-hand", text=row.request))
    store._table.put(Record(old.task_id, "reply#by-hand", text=row.last))
    row.request_at, row.reply_at, row.last = "request#by-hand", "reply#by-hand", "null"
    store._table.put(row)
    assert store.get(old.task_id) == old

    hurried = life.hurry(old, now=NOW + 1, grace=GRACE)
    assert store.replace(old, hurried) is hurried
    assert store.get(old.task_id) == hurried
    over = evolve(life.cancel(hurried, now=NOW, retention=RETENTION), last=attempt(hurried, reply="later"))
    resent = life.resend(over, request(body="another"), now=NOW + 2, grace=GRACE)
    assert store.replace(hurried, resent) is resent
    assert store.get(old.task_id) == resent


# ── replies ──────────────────────────────────────────────────────────────────────────────────────


def test_the_long_reply_of_a_claim_that_lost_its_lease_is_no_part_of_the_history(store: DynamoStore) -> None:
    slow = claimed(store, added(store, task()), NOW + 1)
    quick = claimed(store, slow, NOW + 1 + LEASE)
    assert store.replace(slow, delivered(slow, NOW + 80, reply=LARGE)) == quick
    assert "reply#1" in records(store, quick)
    store.keep(quick.task_id, life.interrupted_before(quick) or attempt(quick))
    ended = delivered(quick, NOW + 90)
    store.replace(quick, ended)
    assert [(one.verdict, one.reply) for one in store.attempts(ended)] == [
        (Verdict.INTERRUPTED, None),
        (Verdict.DELIVERED, "success"),
    ]


def test_a_reply_whose_record_is_gone_leaves_the_attempt_without_one(store: DynamoStore) -> None:
    owned = claimed(store, added(store, task()), NOW + 1)
    ended = delivered(owned, NOW + 2, reply=LARGE)
    store.replace(owned, ended)
    drop(store, ended, "reply#1")
    (left,) = store.attempts(store.get(ended.task_id) or ended)
    assert (left.verdict, left.reply) == (Verdict.DELIVERED, None)


# ── answers that were lost ───────────────────────────────────────────────────────────────────────


def test_a_change_whose_answer_was_lost_is_recognised_when_it_is_sent_again(store: DynamoStore) -> None:
    old = added(store, task())
    new = life.hurry(old, now=NOW + 1, grace=GRACE)
    assert store.replace(old, new) is new
    assert store.replace(old, new) is new


def test_an_audited_change_that_somebody_else_made_in_the_same_words_is_theirs(store: DynamoStore) -> None:
    old = added(store, task())
    new = life.hurry(old, now=NOW + 1, grace=GRACE)
    assert store.replace(old, new, audit(old.task_id)) is new
    other = evolve(new)
    assert store.replace(old, other, audit(old.task_id, n=2)) is not other
    assert len(store.audits(old.task_id)) == 1


def test_a_process_that_died_between_the_records_and_the_row_has_done_no_harm(store: DynamoStore) -> None:
    owned = claimed(store, added(store, task()), NOW + 1)
    waiting = life.retry_later(owned, attempt(owned), now=NOW + 2, grace=GRACE, parked=False)
    store.replace(owned, waiting)
    again = claimed(store, waiting, NOW + 100)
    ended = delivered(again, NOW + 101, reply=LARGE)
    store._put_aside(again, ended, lay_out(ended, store._settings)[1])
    assert store.get(again.task_id) == again
    assert [(one.fence, one.verdict) for one in store.attempts(again)] == [(1, Verdict.FAILED), (2, None)]
    assert store.replace(again, ended) is ended
    assert store.attempts(ended) == [waiting.last, ended.last]


# ── the lists ────────────────────────────────────────────────────────────────────────────────────


def test_a_page_looks_at_a_bounded_number_of_rows_however_rare_the_matches_are(store: DynamoStore) -> None:
    rare = added(store, task(at=NOW, asked=request(target_app="rare")))
    for n in range(EXAMINED):
        added(store, task(at=NOW + 1 + n))
    first = store.page(Query(source_app="default", target_app="rare"), None, 10)
    assert (first.tasks, first.cursor is None) == ([], False)
    second = store.page(Query(source_app="default", target_app="rare"), first.cursor, 10)
    assert (second.tasks, second.cursor) == ([rare], None)


def test_more_shards_than_there_were_lose_nothing(store: DynamoStore) -> None:
    tasks = [added(store, task(at=NOW + n)) for n in range(12)]
    waiting = {one.task_id for one in tasks}
    wider = DynamoStore(evolve(store._settings, shards=16))
    page = wider.page(Query(source_app="default"), None, 20)
    assert {one.task_id for one in page.tasks} == waiting
    assert {one.task_id for one in wider.due(NOW + DAY, 20)} == waiting
    for one in tasks:
        wider.replace(one, life.cancel(one, now=NOW + 20, retention=RETENTION))
    assert len(wider.page(Query(status=Status.CANCELLED), None, 20).tasks) == 12
    assert wider.due(NOW + DAY, 20) == []


def break_row(store: DynamoStore, of: Task, **changes: str) -> None:
    """Write attributes that this release cannot read."""
    store._table.update((of.task_id, "task"), [Path(name).set(text) for name, text in changes.items()], THERE)


def test_rows_that_cannot_be_read_hide_no_others(store: DynamoStore) -> None:
    broken = [added(store, task(at=NOW + n)) for n in range(3)]
    break_row(store, broken[0], st="paused")
    break_row(store, broken[1], rq="{")
    break_row(store, broken[2], c="yesterday")
    beside = added(store, large())
    (name,) = records(store, beside)
    store._table.put(Record(beside.task_id, name, text="[]"))
    whole = added(store, task(at=NOW + 10))
    assert store.due(NOW + DAY, 1) == [whole]
    assert store.page(Query(source_app="default"), None, 10).tasks == [whole]


def test_what_is_due_is_found_behind_a_page_of_rows_that_cannot_be_read(store: DynamoStore) -> None:
    for n in range(25):
        break_row(store, added(store, task(at=NOW + n)), st="paused")
    whole = [added(store, task(at=NOW + 100 + n)) for n in range(3)]
    assert store.due(NOW + DAY, 2) == whole[:2]


def test_a_page_reads_of_each_app_little_more_than_it_shows(store: DynamoStore) -> None:
    store = DynamoStore(evolve(store._settings, shards=1))
    tasks = []
    for app in (f"app-{n}" for n in range(10)):
        store._table.put(Record("apps", app))
        at = NOW if app == "app-7" else NOW - DAY
        tasks += [added(store, task(at=at + n, asked=request(source_app=app))) for n in range(60)]
    newest = sorted(tasks, key=lambda one: (one.created_at, one.task_id), reverse=True)
    read: list[int] = []
    client = store._table._connection.connection.client
    client.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: read.append(len(parsed["Items"])))
    first = store.page(Query(), None, 70)
    assert first.tasks == newest[:70]
    assert sum(read) < len(tasks) / 1.5
    assert store.page(Query(), first.cursor, 100).tasks == newest[70:170]


def test_a_key_that_dynamodb_would_not_take_is_that_of_nothing(store: DynamoStore) -> None:
    calls: list[str] = []
    client = store._table._connection.connection.client
    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    for key in ("x" * 2049, "忙" * 700, ""):
        long = evolve(large(), task_id=key)
        assert store.get(long.task_id) is None
        assert store.claim(long.task_id, 1, now=NOW, lease=LEASE) == life.Stale()
        with pytest.raises(NotFound):
            store.replace(long, life.resend(as_over(long), long.request, now=NOW, grace=GRACE), audit("x"))
        assert (store.attempts(long), store.mentions(long.task_id), store.audits(long.task_id)) == ([], [], [])
        store.keep(long.task_id, attempt(long))
    assert not store.remove_channel("x" * 1025, audit("x"))
    assert not store.save_channel(channel("x" * 1025), audit("x"))
    assert store.page(Query(source_app="x" * 2049), None, 10).tasks == []
    assert calls == []


def as_over(it: Task) -> Task:
    return life.cancel(it, now=NOW, retention=RETENTION)
