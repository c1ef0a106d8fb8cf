"""What every store keeps of the promises in `ports.Store`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import life
from chalicelib.errors import InvalidRequest, Kind, NotFound
from chalicelib.life import NotYet, Spent, Stale
from chalicelib.ports import Query, Store
from chalicelib.task import (
    Channel,
    Desk,
    Held,
    Json,
    Mention,
    Notice,
    NoticeStatus,
    Robot,
    Status,
    Task,
    Verdict,
    evolve,
)
from tests.cases import share
from tests.contract.backends import StoreBackend
from tests.contract.samples import (
    DAY,
    GRACE,
    HOUR,
    LEASE,
    NOW,
    RETENTION,
    at_once,
    attempt,
    audit,
    caller,
    channel,
    mention,
    notice,
    request,
    resend,
    signing_secret,
    task,
)
from tests.contract.steps import added, cancelled, claimed, delivered, exhausted, failed, replaced, told


def fences(store: Store, of: Task) -> list[tuple[int, str | None]]:
    return [(one.fence, one.verdict) for one in store.attempts(of)]


# ── add and get ──────────────────────────────────────────────────────────────────────────────────


def test_a_task_reads_back_as_it_was_added(store: Store) -> None:
    new = added(store, task())
    assert store.get(new.task_id) == new


def test_there_is_no_task_that_nobody_added(store: Store) -> None:
    assert store.get("3f1e9a52-0000-4000-8000-000000000000") is None


def test_adding_an_id_again_gives_the_task_that_has_it_and_changes_nothing(store: Store) -> None:
    first = claimed(store, added(store, task()))
    other = task(first.task_id, asked=request(url="https://other.example/"))
    assert store.add(other) == first
    assert store.get(first.task_id) == first


def test_of_many_who_add_the_same_id_one_is_first(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    twins = [task("4c7d2b10-0000-4000-8000-000000000000", digest=str(n)) for n in range(8)]
    known = at_once(8, lambda n: store_backend.store.add(twins[n]))
    (first,) = (twin for twin, there in zip(twins, known, strict=True) if there is None)
    assert [there for there in known if there is not None] == [first] * 7


# ── what is stored stays what it is ──────────────────────────────────────────────────────────────


BODIES: Mapping[str, Json] = {
    "nothing": None,
    "null inside": [None],
    "false": False,
    "empty text": "",
    "empty object": {},
    "Chinese": {"城市": "上海", "备注": "必达"},
    "beyond the BMP": "𠮷野家 👩‍👩‍👧 ☃",
    "controls and quotes": 'a\x00b\x7f\u2028"\\\n\ud7ff',
    "half a surrogate pair": "\ud800",
    "combining marks stay apart": "e\u0301 \u00e9",
    "floats": [0.1, 1e308, 5e-324, 1.0, -0.0, 123456789.123456789],
    "big integers": [2**53 + 1, 2**64, -(10**40)],
    "numbers as text": ["007", "1e5"],
    "a large one": {"rows": ["上海" * 500] * 66},
}


def test_bodies_come_back_exactly(store: Store) -> None:
    for name, body in BODIES.items():
        new = added(store, task(asked=request(body=body)))
        ended = delivered(store, claimed(store, new))
        again = store.get(new.task_id)
        assert again == ended, name
        assert again.request.body == new.request.body, name


def test_every_part_of_a_request_comes_back(store: Store) -> None:
    asked = request(
        url="https://partner.example:8443/回调?a=1&b=%20",
        method="PUT",
        headers={"X-Order": "42", "x-ключ": "значение"},
        params={"city": "上海", "n": 1.5, "list": [1, None]},
        content_type="text/plain; charset=utf-8",
        expect=evolve(request().expect, status=("2xx", "!204"), regex="^ok$", json={"$.code": 0}),
        retry=evolve(request().retry, backoff="schedule", waits=(15, 15.5, 1800), give_up_on=("4xx", "!408")),
        timeout=2.5,
        source_app="订单",
        target_app="结算",
        labels={"order": "42", "标签": "值"},
    )
    new = added(store, task(asked=asked))
    assert store.get(new.task_id) == new


def test_times_keep_every_digit(store: Store) -> None:
    new = added(store, task(at=NOW + 0.1234567))
    assert store.get(new.task_id) == new


def test_a_reply_of_sixty_kilobytes_is_kept_through_the_next_attempts(store: Store) -> None:
    large = "忙" * 20_000
    owned = claimed(store, added(store, task()))
    first = attempt(owned, reply=large, reply_bytes=len(large.encode()))
    now = replaced(store, owned, life.retry_later(owned, first, now=NOW + 2, grace=GRACE, parked=False))
    assert store.get(now.task_id) == now
    now = failed(store, claimed(store, now, NOW + 100), NOW + 101)
    assert store.attempts(now) == [first, now.last]


# ── claim ────────────────────────────────────────────────────────────────────────────────────────


def test_a_claim_counts_fences_and_leases(store: Store) -> None:
    waiting = added(store, task())
    owned = store.claim(waiting.task_id, 1, now=NOW + 1, lease=LEASE)
    assert owned == life.claim(waiting, now=NOW + 1, lease=LEASE)
    assert store.get(waiting.task_id) == owned


def test_a_second_claim_knows_when_the_first_began(store: Store) -> None:
    waiting = failed(store, claimed(store, added(store, task()), NOW + 1))
    owned = store.claim(waiting.task_id, 1, now=NOW + 90, lease=LEASE)
    assert owned == life.claim(waiting, now=NOW + 90, lease=LEASE)
    assert isinstance(owned, Task)
    assert owned.claimed_before == NOW + 1


def no_change(it: Task) -> Task:
    return it


def as_leased(it: Task) -> Task:
    return life.claim(it, now=NOW + 1, lease=LEASE)


def as_delivered(it: Task) -> Task:
    return life.delivered(as_leased(it), attempt(as_leased(it), Verdict.DELIVERED), now=NOW + 2, retention=RETENTION)


def as_exhausted(it: Task) -> Task:
    return life.exhausted(it, None, "gave up", now=NOW + 2, grace=GRACE, retention=RETENTION)


def as_cancelled(it: Task) -> Task:
    return life.cancel(it, now=NOW + 2, retention=RETENTION)


def as_waiting(it: Task) -> Task:
    leased = as_leased(it)
    return life.retry_later(leased, attempt(leased), now=NOW + 2, grace=GRACE, parked=False)


def as_timed_out(it: Task) -> Task:
    leased = as_leased(it)
    silent = evolve(attempt(leased), kind=Kind.READ_TIMEOUT, reason="nothing came within 10 s", status_code=None)
    return life.retry_later(leased, silent, now=NOW + 2, grace=GRACE, parked=False)


def as_held(it: Task) -> Task:
    return life.hold(it, Held.PAUSED, now=NOW + 2)


def as_used_up(it: Task) -> Task:
    return evolve(as_waiting(it), number=3, fence=3)


REFUSALS: Mapping[str, tuple[Callable[[Task], Task], int, float, object]] = {
    # how the task stands, the message's ticket, seconds after NOW, what it must come to
    "a ticket of the past": (lambda it: life.hurry(it, now=NOW + 1, grace=GRACE), 1, 5, Stale()),
    "a ticket of the future": (no_change, 2, 5, Stale()),
    "delivered": (as_delivered, 1, 5, Stale()),
    "exhausted": (as_exhausted, 2, 5, Stale()),
    "cancelled": (as_cancelled, 1, 5, Stale()),
    "leased": (as_leased, 1, 5, NotYet(NOW + 10)),
    "leased for one moment more": (as_leased, 1, 75.999, NotYet(NOW + 76)),
    "not due": (as_waiting, 1, 5, NotYet(NOW + 62)),
    "due in a moment": (as_waiting, 1, 61.999, NotYet(NOW + 62)),
    "every claim used": (as_used_up, 1, 100, Spent),
    "every claim used, and not due": (as_used_up, 1, 5, Spent),
    "every claim used, and leased": (lambda it: evolve(as_used_up(it), lease_until=NOW + 90), 1, 5, NotYet(NOW + 10)),
    "the deadline has come": (no_change, 1, DAY, Spent),
    "the deadline has passed while it waited": (as_waiting, 1, DAY + 1, Spent),
}


def standing(store: Store, become: Callable[[Task], Task]) -> Task:
    """A stored task that was made to stand so."""
    new = added(store, task())
    stands = become(new)
    return new if stands is new else replaced(store, new, stands)


def test_a_claim_is_refused_for_its_reason_and_changes_nothing(store: Store) -> None:
    for name, (become, ticket, after, expected) in REFUSALS.items():
        stands = standing(store, become)
        refused = store.claim(stands.task_id, ticket, now=NOW + after, lease=LEASE)
        assert refused == (Spent(stands) if expected is Spent else expected), name
        assert store.get(stands.task_id) == stands, name


def test_a_claim_of_an_unknown_task_is_stale(store: Store) -> None:
    assert store.claim("3f1e9a52-0000-4000-8000-000000000000", 1, now=NOW, lease=LEASE) == Stale()


EDGES: Mapping[str, tuple[Callable[[Task], Task], float]] = {
    # how the task stands, seconds after NOW
    "due this moment": (no_change, 0),
    "the wait ends this moment": (as_waiting, 62),
    "the lease ends this moment": (as_leased, 76),
    "a moment before the deadline": (no_change, DAY - 0.001),
    "the last claim of the round": (lambda it: evolve(as_waiting(it), number=2, fence=2), 100),
}


def test_a_claim_at_the_very_edge_is_granted(store: Store) -> None:
    for name, (become, after) in EDGES.items():
        stands = standing(store, become)
        owned = store.claim(stands.task_id, 1, now=NOW + after, lease=LEASE)
        assert owned == life.claim(stands, now=NOW + after, lease=LEASE), name


def test_of_two_who_claim_a_task_one_wins(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    store = store_backend.store
    waiting = [added(store, task()) for _ in range(50)]

    def claim_all(number: int) -> list[str]:
        mine = waiting[number:] + waiting[:number]
        claims = (store.claim(one.task_id, 1, now=NOW + 1, lease=LEASE) for one in mine)
        return [claim.task_id for claim in claims if isinstance(claim, Task)]

    wins = [task_id for winner in at_once(8, claim_all) for task_id in winner]
    assert sorted(wins) == sorted(one.task_id for one in waiting)
    assert [stored and stored.fence for stored in (store.get(one.task_id) for one in waiting)] == [1] * 50


# ── replace ──────────────────────────────────────────────────────────────────────────────────────


def test_a_change_is_written_and_given_back(store: Store) -> None:
    old = added(store, task())
    new = life.hurry(old, now=NOW + 5, grace=GRACE)
    assert store.replace(old, new) is new
    assert store.get(old.task_id) == new


def test_a_change_of_what_has_changed_meanwhile_gives_what_stands_and_writes_nothing(store: Store) -> None:
    seen = failed(store, claimed(store, added(store, task())))
    stands = claimed(store, seen, NOW + 100)
    late = life.cancel(seen, now=NOW + 101, retention=RETENTION)
    assert store.replace(seen, late, audit(seen.task_id)) == stands
    assert store.get(seen.task_id) == stands
    assert store.audits(seen.task_id) == []
    assert fences(store, stands) == [(1, "failed"), (2, None)]


def test_a_change_of_a_task_that_is_gone_is_not_found(store: Store) -> None:
    never_added = task()
    with pytest.raises(NotFound):
        store.replace(never_added, life.hurry(never_added, now=NOW, grace=GRACE))
    assert store.get(never_added.task_id) is None


def test_a_change_and_its_audit_are_written_together(store: Store) -> None:
    old = added(store, task())
    what = audit(old.task_id, reason="测试", n=2**60)
    store.replace(old, life.cancel(old, now=NOW + 1, retention=RETENTION), what)
    assert store.audits(old.task_id) == [what]


def test_of_many_who_change_one_version_one_wins(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    store = store_backend.store
    old = added(store, task())
    changes = [life.hurry(old, now=NOW + n, grace=GRACE) for n in range(8)]
    stored = at_once(8, lambda n: store.replace(old, changes[n]))
    (winner,) = (change for change, there in zip(changes, stored, strict=True) if there is change)
    assert stored == [winner] * 8


def test_a_resend_replaces_the_request_and_keeps_the_attempts(store: Store) -> None:
    old = delivered(store, claimed(store, added(store, task())))
    asked = request(url="http://other.example/new", body={"rows": ["上海" * 500] * 20}, source_app="resent")
    new = replaced(store, old, life.resend(old, asked, now=NOW + 10, grace=GRACE))
    assert store.get(old.task_id) == new
    again = delivered(store, claimed(store, new, NOW + 11), NOW + 12)
    assert [(one.round, one.number) for one in store.attempts(again)] == [(1, 1), (2, 1)]
    assert store.get(old.task_id) == again


# ── the history ──────────────────────────────────────────────────────────────────────────────────


def test_every_attempt_is_kept_and_shown_oldest_first(store: Store) -> None:
    now = added(store, task())
    ended = []
    for n in range(3):
        now = failed(store, claimed(store, now, NOW + 100 * n), NOW + 100 * n + 1)
        ended.append(now.last)
    assert store.attempts(now) == ended


def test_a_task_that_nobody_claimed_has_no_attempts(store: Store) -> None:
    assert store.attempts(added(store, task())) == []


def test_the_attempt_that_runs_is_shown_without_a_verdict(store: Store) -> None:
    owned = claimed(store, failed(store, claimed(store, added(store, task()))), NOW + 100)
    _, running = store.attempts(owned)
    assert (running.fence, running.number, running.verdict, running.started_at) == (2, 2, None, NOW + 100)


def test_an_attempt_whose_process_died_shows_as_interrupted(store: Store) -> None:
    lost = claimed(store, added(store, task()), NOW)
    now = failed(store, claimed(store, lost, NOW + 100), NOW + 101)
    assert fences(store, now) == [(1, "interrupted"), (2, "failed")]


def test_an_attempt_put_into_the_history_twice_is_there_once(store: Store) -> None:
    owned = claimed(store, claimed(store, added(store, task()), NOW), NOW + 100)
    lost = life.interrupted_before(owned)
    assert lost is not None
    store.keep(owned.task_id, lost)
    store.keep(owned.task_id, lost)
    assert store.attempts(owned)[:-1] == [lost]


def test_an_attempt_cut_off_by_a_cancel_is_kept_when_the_task_is_resent(store: Store) -> None:
    ended = cancelled(store, claimed(store, added(store, task())))
    again = replaced(store, ended, life.resend(ended, ended.request, now=NOW + 100, grace=GRACE))
    now = delivered(store, claimed(store, again, NOW + 101), NOW + 102)
    assert fences(store, now) == [(1, "interrupted"), (2, "delivered")]


def test_histories_of_two_tasks_are_apart(store: Store) -> None:
    one = failed(store, claimed(store, failed(store, claimed(store, added(store, task()))), NOW + 100))
    other = failed(store, claimed(store, added(store, task())))
    assert [len(store.attempts(it)) for it in (one, other)] == [2, 1]


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


def pages(store: Store, query: Query, limit: int) -> Iterator[Sequence[Task]]:
    cursor, more = None, True
    while more:
        page = store.page(query, cursor, limit)
        yield page.tasks
        more, cursor = page.cursor is not None, page.cursor


def walked(store: Store, query: Query, limit: int) -> list[str]:
    return [one.task_id for tasks in pages(store, query, limit) for one in tasks]


def newest_first(tasks: Sequence[Task], query: Query) -> list[str]:
    matching = [one for one in tasks if query.matches(one)]
    return [one.task_id for one in sorted(matching, key=lambda one: (one.created_at, one.task_id), reverse=True)]


def test_the_list_of_nothing_is_one_empty_page(store: Store) -> None:
    assert list(pages(store, Query(), 10)) == [[]]


def test_pages_lead_through_hundreds_of_tasks_newest_first_though_many_share_a_moment(
    store_backend: StoreBackend,
) -> None:
    tasks = [added(store_backend.store, task(at=NOW + n // 25)) for n in range(210)]
    store_backend.settle()
    assert walked(store_backend.store, Query(), 20) == newest_first(tasks, Query())


def test_a_page_is_never_longer_than_asked_for(store_backend: StoreBackend) -> None:
    for n in range(5):
        added(store_backend.store, task(at=NOW + n))
    store_backend.settle()
    assert all(len(tasks) <= 2 for tasks in pages(store_backend.store, Query(), 2))


QUERIES: Mapping[str, Query] = {
    "pending": Query(status=Status.PENDING),
    "retrying": Query(status=Status.RETRYING),
    "delivered": Query(status=Status.DELIVERED),
    "exhausted": Query(status=Status.EXHAUSTED),
    "cancelled": Query(status=Status.CANCELLED),
    "scheduled": Query(status=Status.PENDING, due_after=NOW + 6),
    "scheduled, of an app": Query(status=Status.PENDING, due_after=NOW, source_app="default"),
    "a source app": Query(source_app="订单"),
    "a target app": Query(target_app="billing"),
    "a target": Query(target="https://b.example:8443"),
    "from a moment on": Query(since=NOW + 3),
    "before a moment": Query(until=NOW + 3),
    "between two moments": Query(since=NOW + 2, until=NOW + 4),
    "an empty span": Query(since=NOW + 4, until=NOW + 4),
    "until the year 2300": Query(since=NOW + 3, until=10_413_792_000),
    "since before there was time": Query(since=-1e300, until=NOW + 3),
    "since the end of time": Query(since=1e300),
    "a part of the URL": Query(q="/callback/7?"),
    "a part of the URL, in the right case": Query(q="/CallBack"),
    "a part of the URL with wildcards of SQL": Query(q="%_"),
    "status and source app": Query(status=Status.DELIVERED, source_app="订单"),
    "status and target": Query(status=Status.EXHAUSTED, target="https://a.example:443"),
    "everything at once": Query(
        status=Status.DELIVERED,
        source_app="default",
        target_app="billing",
        target="https://a.example:443",
        since=NOW + 1,
        until=NOW + 9,
        q="callback",
    ),
    "a rule that failed": Query(error="status 503 not in 2xx"),
    "a kind of failure": Query(error="read_timeout"),
    "a kind of failure, beside others": Query(error="read_timeout", status=Status.RETRYING, source_app="default"),
    "why a round was given up": Query(error="gave up"),
    "held": Query(held=Held.PAUSED),
    "held for another reason": Query(held=Held.RATE),
    "an app that has no tasks": Query(source_app="nobody"),
}

LIVES = (no_change, as_waiting, as_delivered, as_exhausted, as_cancelled, as_timed_out, as_held, as_delivered)


def population(store: Store) -> list[Task]:
    """Forty-eight tasks of every status and kind, some scheduled or held; those of one status are not all alike."""
    tasks = []
    for n in range(48):
        base = "https://a.example/callback" if n % 3 else "https://b.example:8443/100%_/callback"
        asked = request(
            url=f"{base}/{n}?x={n}",
            source_app="订单" if n % 4 == 1 else "default",
            target_app="billing" if n % 5 else "crm",
        )
        accepted = task(at=NOW + n // 8, asked=asked)
        new = added(store, evolve(accepted, due_at=NOW + n) if n % 24 in (12, 13) else accepted)
        become = LIVES[n // 2 % len(LIVES)]
        tasks.append(new if become is no_change else replaced(store, new, become(new)))
    return tasks


def test_each_filter_finds_its_tasks_and_no_others(store_backend: StoreBackend) -> None:
    tasks = population(store_backend.store)
    store_backend.settle()
    found = {name: walked(store_backend.store, query, 5) for name, query in QUERIES.items()}
    assert found == {name: newest_first(tasks, query) for name, query in QUERIES.items()}


def test_the_population_tells_the_filters_apart() -> None:
    """A filter that finds nothing, or everything, proves nothing."""

    class Nowhere:
        def add(self, _: Task) -> None: ...

        def replace(self, _: Task, new: Task) -> Task:
            return new

    tasks = population(Nowhere())  # type: ignore[arg-type]
    found = {name: len(newest_first(tasks, query)) for name, query in QUERIES.items()}
    empty = {name for name, count in found.items() if count == 0}
    assert empty == {
        "an empty span",
        "since the end of time",
        "a part of the URL, in the right case",
        "an app that has no tasks",
        "held for another reason",
    }
    assert max(found.values()) < len(tasks)


def either(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, None, None, *values])


ANY_QUERIES = st.builds(
    Query,
    due_after=st.none() | st.floats(NOW - 1, NOW + 60),
    status=either(*Status),
    source_app=either("default", "订单", "nobody"),
    target_app=either("billing", "crm"),
    target=either("https://a.example:443", "https://b.example:8443"),
    since=st.none() | st.floats(NOW - 1, NOW + 7) | st.integers(int(NOW) - 1, int(NOW) + 7),
    until=st.none() | st.floats(NOW - 1, NOW + 7) | st.integers(int(NOW) - 1, int(NOW) + 7),
    q=either("/callback/1", "x=7", "%_", "example"),
    error=either("read_timeout", "gave up"),
    held=either(*Held),
).map(lambda query: query if query.due_after is None else evolve(query, status=Status.PENDING))


@pytest.fixture
def populated(store_backend: StoreBackend) -> tuple[Store, list[Task]]:
    tasks = population(store_backend.store)
    store_backend.settle()
    return store_backend.store, tasks


@share(0.12, fixtures_last=True)
@given(query=ANY_QUERIES, limit=st.integers(4, 60))
def test_whatever_is_asked_for_is_found_page_by_page(
    populated: tuple[Store, list[Task]], query: Query, limit: int
) -> None:
    store, tasks = populated
    assert walked(store, query, limit) == newest_first(tasks, query)


def as_cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


ANY_CURSORS = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=60).map(base64.urlsafe_b64encode).map(bytes.decode),
    st.text(max_size=40).map(as_cursor),
    st.tuples(st.integers(0, 10**13), st.text(max_size=20)).map("{0[0]:013d}#{0[1]}".format).map(as_cursor),
    st.lists(st.none() | st.integers() | st.floats() | st.text(max_size=9), max_size=3).map(json.dumps).map(as_cursor),
)


@share(0.3, fixtures_last=True)
@given(cursor=ANY_CURSORS)
def test_any_text_is_a_place_in_the_list_or_no_cursor(store: Store, cursor: str) -> None:
    with suppress(InvalidRequest):
        assert store.page(Query(), cursor, 10).tasks == []


def test_a_task_is_listed_as_what_it_is_now(store_backend: StoreBackend) -> None:
    store = store_backend.store
    old = added(store, task())
    spent = exhausted(store, claimed(store, old))
    asked = request(url="https://moved.example/", source_app="moved")
    resent = replaced(store, spent, life.resend(spent, asked, now=NOW + 10, grace=GRACE))
    store_backend.settle()
    before, after = Query(status=Status.EXHAUSTED), Query(source_app="moved", target="https://moved.example:443")
    assert walked(store, before, 10) == []
    assert walked(store, Query(source_app="default"), 10) == []
    assert list(pages(store, after, 10)) == [[resent]]


def test_what_is_added_meanwhile_does_not_disturb_the_pages(store_backend: StoreBackend) -> None:
    store = store_backend.store
    tasks = [added(store, task(at=NOW + n)) for n in range(6)]
    store_backend.settle()
    first = store.page(Query(), None, 3)
    added(store, task(at=NOW + 100))
    store_backend.settle()
    rest = store.page(Query(), first.cursor, 10)
    assert [*first.tasks, *rest.tasks] == tasks[::-1]


def test_a_page_holds_whole_tasks(store_backend: StoreBackend) -> None:
    store = store_backend.store
    large = added(store, task(asked=request(body={"rows": ["上海" * 500] * 20})))
    now = exhausted(store, claimed(store, large))
    store_backend.settle()
    assert list(store.page(Query(status=Status.EXHAUSTED), None, 10).tasks) == [now]


CURSORS = (
    "nonsense",
    "é",
    "AAAA",
    "W10=",
    "WzEsMl0=",
    "bnVsbA==",
    "eyJhIjoxfQ==",
    "[" * 5000,
    "WzFlOTk5OSwiXHVkODAwIl0=",
)


def test_a_cursor_that_is_none_is_the_callers_fault(store: Store) -> None:
    for cursor in CURSORS:
        with pytest.raises(InvalidRequest) as refused:
            store.page(Query(), cursor, 10)
        assert [fault.pointer for fault in refused.value.faults] == ["query:cursor"], cursor


def test_a_cursor_that_is_far_too_long_is_none(store_backend: StoreBackend) -> None:
    """Both stores' shapes of one, padded beyond what DynamoDB takes as a key."""
    for place in (f"1900000000000#{'x' * 5000}", json.dumps([NOW, "x" * 5000])):
        with pytest.raises(InvalidRequest):
            store_backend.store.page(Query(), base64.urlsafe_b64encode(place.encode()).decode(), 10)


def test_a_task_id_of_any_length_is_that_of_no_task(store: Store) -> None:
    for length in (101, 5000):
        assert store.get("x" * length) is None
        assert store.claim("x" * length, 1, now=NOW, lease=LEASE) == Stale()
        assert not store.remove_channel("x" * length, audit("team"))


# ── what is due ──────────────────────────────────────────────────────────────────────────────────


def test_what_is_due_comes_longest_overdue_first(store_backend: StoreBackend) -> None:
    store = store_backend.store
    for late in (30, 10, 50, 20, 40):
        added(store, task(f"late-{late}", wake_at=NOW - late))
    added(store, task("this-moment", wake_at=NOW))
    added(store, task("not-yet", wake_at=NOW + 0.001))
    store_backend.settle()
    expected = ["late-50", "late-40", "late-30", "late-20", "late-10", "this-moment"]
    assert [one.task_id for one in store.due(NOW, 10)] == expected
    assert [one.task_id for one in store.due(NOW, 4)] == expected[:4]


def test_what_is_over_is_never_due(store_backend: StoreBackend) -> None:
    store = store_backend.store
    delivered(store, claimed(store, added(store, task())))
    cancelled(store, added(store, task()))
    owed = exhausted(store, claimed(store, added(store, task())))
    told(store, owed)
    store_backend.settle()
    assert store.due(NOW + 10 * DAY, 100) == []


def test_what_is_owed_is_due(store_backend: StoreBackend) -> None:
    store = store_backend.store
    lost = added(store, task(at=NOW))
    untold = exhausted(store, claimed(store, added(store, task())))
    died = claimed(store, added(store, task(at=NOW + 100)), NOW + 100)
    store_backend.settle()
    assert store.due(NOW + DAY, 100) == [lost, untold, died]


def test_a_task_that_was_woken_is_due_later(store_backend: StoreBackend) -> None:
    store = store_backend.store
    lost = added(store, task())
    woken = replaced(store, lost, life.wake(lost, now=NOW + GRACE, grace=GRACE))
    store_backend.settle()
    assert store.due(NOW + GRACE + 1, 10) == []
    assert store.due(NOW + 2 * GRACE, 10) == [woken]


# ── notices, channels, audits ────────────────────────────────────────────────────────────────────


def settled(store: Store, *mentions: Mention, **changes: Any) -> Notice:
    """A notice that names these."""
    found = store.settle(notice(**changes), mentions)
    assert found is not None
    return found


def test_a_notice_gathers_what_is_mentioned_to_it_and_a_task_knows_its_mentions(store: Store) -> None:
    mine = [mention("t-1"), mention("t-1", "n-ops", channel_id="ops"), mention("t-1", "n-2", round=2, at=NOW + 9)]
    for one in (mine[2], mine[0], mention("t-2"), mine[1]):
        assert store.mention(one)
    assert store.mentions("t-1") == [mine[1], mine[0], mine[2]]
    assert store.mentions("t-3") == []
    assert {it.subject for it in store.gathered("n-1", 10)} == {"t-1", "t-2"}
    assert len(store.gathered("n-1", 1)) == 1
    assert store.gathered("n-3", 10) == []


def test_a_mention_is_changed_by_whoever_knows_its_version(store: Store) -> None:
    first = mention("t-1")
    assert store.mention(first)
    assert not store.mention(evolve(first, notice_id="somebody else's"))
    second = evolve(first, version=2, notice_id="n-2")
    assert store.mention(second)
    assert not store.mention(second)
    assert not store.mention(mention("t-2", version=2)), "a later version does not begin anything"
    assert store.mentions("t-1") == [second]
    assert store.gathered("n-2", 10) == [second]


def test_a_notice_is_settled_once_and_names_just_those_that_it_was_settled_with(store: Store) -> None:
    early, late = mention("t-1"), mention("t-2")
    store.mention(early)
    mine = settled(store, early)
    store.mention(late)
    assert store.settle(notice(reason="somebody else's"), [early, late]) is None
    assert store.notice("n-1") == mine
    assert [store.names(mine, it) for it in (early, late, evolve(early, round=2))] == [True, False, False]


def test_a_notice_of_hundreds_names_each_of_them(store: Store) -> None:
    gathered = [mention(f"t-{number}") for number in range(300)]
    for one in gathered:
        store.mention(one)
    mine = settled(store, *gathered[:250])
    assert [store.names(mine, one) for one in gathered] == [number < 250 for number in range(300)]


def test_a_notice_without_anybody_names_nobody(store: Store) -> None:
    store.mention(mention("t-1"))
    assert not store.names(settled(store), mention("t-1"))


def test_a_notice_is_saved_by_whoever_knows_its_version(store: Store) -> None:
    one = mention("t-1")
    store.mention(one)
    assert not store.save_notice(notice(version=2)), "a later version does not begin anything"
    assert store.notice("n-1") is None
    first = settled(store, one)
    second = evolve(first, version=2, status=NoticeStatus.DELIVERED, ended_at=NOW + 1.5, reason="已送达", tries=1)
    assert not store.save_notice(first)
    assert store.save_notice(second)
    assert not store.save_notice(second)
    assert not store.save_notice(evolve(second, version=4))
    assert store.notice("n-1") == second
    assert store.names(second, one)


def test_desks_and_robots_are_saved_by_whoever_knows_their_version(store: Store) -> None:
    desk = Desk(channel_id="team", version=1, notice_id="n-1", opened_at=NOW, due_at=NOW + 60)
    robot = Robot(robot_id="team", version=1, busy_until=NOW + 4)
    assert (store.desk("team"), store.robot("team")) == (None, None)
    assert store.save_desk(desk)
    assert store.save_robot(robot)
    assert not store.save_desk(evolve(desk, notice_id="n-2"))
    assert not store.save_robot(evolve(robot, version=3))
    assert store.save_desk(evolve(desk, version=2, notice_id="n-2"))
    assert (store.desk("team"), store.robot("team")) == (evolve(desk, version=2, notice_id="n-2"), robot)


def test_of_many_who_settle_one_notice_one_does(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one thread at a time")
    store, mine = store_backend.store, mention("t-1")
    store.mention(mine)
    won = at_once(8, lambda number: store.settle(notice(reason=str(number)), [mine]))
    [settled] = [it for it in won if it is not None]
    assert store.notice("n-1") == settled


def test_a_channel_is_saved_by_whoever_knows_its_version(store: Store) -> None:
    first = channel()
    assert store.save_channel(first, audit("team", action="channel.create"))
    assert not store.save_channel(first, audit("team", action="channel.create", at=NOW + 1))
    second = evolve(first, version=2, memo="值班", enabled=False, source_apps=())
    assert store.save_channel(second, audit("team", action="channel.change", at=NOW + 2))
    assert not store.save_channel(second, audit("team", action="channel.change", at=NOW + 3))
    assert store.channels() == [second]
    assert [one.action for one in store.audits("team")] == ["channel.create", "channel.change"]


def test_channels_come_oldest_first(store: Store) -> None:
    made: list[Channel] = [channel("z", at=NOW), channel("m", at=NOW + 1), channel("a", at=NOW + 2)]
    for one in (made[1], made[2], made[0]):
        assert store.save_channel(one, audit(one.channel_id))
    assert store.channels() == made


def test_a_channel_is_removed_once(store: Store) -> None:
    store.save_channel(channel(), audit("team"))
    assert store.remove_channel("team", audit("team", action="channel.remove", at=NOW + 1))
    assert not store.remove_channel("team", audit("team", action="channel.remove", at=NOW + 2))
    assert store.channels() == []
    assert [one.at for one in store.audits("team")] == [NOW, NOW + 1]


def test_a_channel_that_was_removed_is_not_changed_back_into_being(store: Store) -> None:
    store.save_channel(channel(), audit("team"))
    store.remove_channel("team", audit("team", at=NOW + 1))
    assert not store.save_channel(channel(version=2), audit("team", at=NOW + 2))
    assert store.channels() == []


def test_an_audit_trail_is_oldest_first_and_each_subject_has_its_own(store: Store) -> None:
    now = added(store, task())
    for n in range(3):
        new = life.hurry(now, now=NOW + n, grace=GRACE)
        store.replace(now, new, audit(now.task_id, at=NOW + n, action="task.hurry", n=n))
        now = new
    assert [one.detail for one in store.audits(now.task_id)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert store.audits("somebody-else") == []


# ── the counters ─────────────────────────────────────────────────────────────────────────────────


def nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}


def test_the_counters_tell_the_lives_of_the_tasks(store_backend: StoreBackend) -> None:
    store = store_backend.store
    added(store, task())
    delivered(store, claimed(store, failed(store, claimed(store, added(store, task()))), NOW + 100), NOW + 101)
    exhausted(store, claimed(store, added(store, task())))
    cancelled(store, added(store, task()))
    failed(store, claimed(store, added(store, task())))
    store_backend.settle()
    assert nonzero(store.totals()) == {
        "accepted": 5,
        "delivered": 1,
        "exhausted": 1,
        "cancelled": 1,
        "failed_attempts": 3,
        "in_pending": 1,
        "in_retrying": 1,
        "in_delivered": 1,
        "in_exhausted": 1,
        "in_cancelled": 1,
    }


def test_a_resend_moves_a_task_and_does_not_count_it_as_accepted_again(store_backend: StoreBackend) -> None:
    store = store_backend.store
    ended = delivered(store, claimed(store, added(store, task())))
    replaced(store, ended, life.resend(ended, ended.request, now=NOW + 10, grace=GRACE))
    store_backend.settle()
    assert nonzero(store.totals()) == {"accepted": 1, "delivered": 1, "in_pending": 1}


def test_what_was_not_written_is_not_counted(store_backend: StoreBackend) -> None:
    store = store_backend.store
    old = added(store, task())
    store.add(task(old.task_id))
    stands = claimed(store, old)
    assert store.replace(old, as_cancelled(old)) == stands
    store_backend.settle()
    assert nonzero(store.totals()) == {"accepted": 1, "in_pending": 1}


def test_parallel_changes_are_all_counted(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    store = store_backend.store
    at_once(8, lambda _: [delivered(store, claimed(store, added(store, task()))) for _ in range(10)])
    store_backend.settle()
    assert nonzero(store.totals()) == {"accepted": 80, "delivered": 80, "in_delivered": 80}


MIDNIGHT = datetime(2030, 3, 31, tzinfo=UTC).timestamp()
"""The night in which the clocks of Europe change: hours and days here are those of UTC."""


def test_the_series_is_by_the_hour_and_the_day_of_utc(store_backend: StoreBackend) -> None:
    store = store_backend.store
    moments = (-HOUR, -0.5, 0, 59.5, HOUR - 0.5, HOUR, 5 * HOUR, DAY)
    for moment in moments:
        added(store, task(at=MIDNIGHT + moment))
    store_backend.settle()

    def accepted(unit: str, since: float, until: float) -> list[tuple[float, int]]:
        found = store.series(unit, MIDNIGHT + since, MIDNIGHT + until)
        return [(start - MIDNIGHT, counts["accepted"]) for start, counts in found]

    every_hour = [(-HOUR, 2), (0, 3), (HOUR, 1), (5 * HOUR, 1), (DAY, 1)]
    assert accepted("hour", -DAY, 2 * DAY) == every_hour
    assert accepted("day", -DAY, 2 * DAY) == [(-DAY, 2), (0, 5), (DAY, 1)]
    assert accepted("hour", 0, 5 * HOUR) == every_hour[1:3], "since is in it, until is not"
    assert accepted("hour", 0.5, 5 * HOUR + 0.5) == every_hour[2:4], "an hour belongs where it begins"
    assert accepted("day", 1, DAY) == []


def test_each_event_counts_in_the_hour_in_which_it_happened(store_backend: StoreBackend) -> None:
    store = store_backend.store
    new = added(store, task(at=MIDNIGHT))
    waiting = failed(store, claimed(store, new, MIDNIGHT + 10), MIDNIGHT + 20)
    delivered(store, claimed(store, waiting, MIDNIGHT + HOUR), MIDNIGHT + HOUR + 5)
    store_backend.settle()
    events = ("accepted", "failed_attempts", "delivered")
    found = store.series("hour", MIDNIGHT, MIDNIGHT + DAY)
    assert [(start, {name: counts[name] for name in events if counts.get(name)}) for start, counts in found] == [
        (MIDNIGHT, {"accepted": 1, "failed_attempts": 1}),
        (MIDNIGHT + HOUR, {"delivered": 1}),
    ]


def test_a_store_with_nothing_in_it_has_counted_nothing(store_backend: StoreBackend) -> None:
    store_backend.settle()
    assert nonzero(store_backend.store.totals()) == {}
    assert store_backend.store.series("hour", 0, NOW) == []


def test_a_store_that_can_serve_answers(store: Store) -> None:
    store.ping()


# ── bulk resends ─────────────────────────────────────────────────────────────────────────────────


def test_a_bulk_resend_is_saved_by_whoever_knows_its_version(store: Store) -> None:
    first = resend()
    assert store.save_resend(first, audit("again", action="start-resend"))
    assert not store.save_resend(first, audit("again", action="start-resend", at=NOW + 1))
    second = evolve(first, version=2, hand=("a", "b"), cursor="c", next_at=NOW + 0.25, resent=3)
    assert store.save_resend(second)
    assert not store.save_resend(second)
    assert not store.save_resend(evolve(second, version=2, resent=99), audit("again", action="stop-resend"))
    assert store.resends() == [second]
    assert [one.action for one in store.audits("again")] == ["start-resend"]


def test_bulk_resends_come_newest_first(store: Store) -> None:
    made = [resend("m", at=NOW + 1), resend("z", at=NOW), resend("a", at=NOW)]
    for one in made:
        assert store.save_resend(one)
    assert [one.resend_id for one in store.resends()] == ["m", "a", "z"]


def test_a_bulk_resend_that_is_over_leaves_when_it_expires(store_backend: StoreBackend) -> None:
    store = store_backend.store
    over, runs = resend("over", expires_at=int(NOW + DAY)), resend("runs")
    for one in (over, runs):
        assert store.save_resend(one)
    store_backend.expire(NOW + DAY - 1)
    assert len(store.resends()) == 2
    store_backend.expire(NOW + DAY + 1)
    assert store.resends() == [runs]


# ── signing secrets ──────────────────────────────────────────────────────────────────────────────


def test_callers_come_oldest_first_and_leave_when_they_are_removed(store: Store) -> None:
    assert store.callers() == []
    made = [caller("z", at=NOW), caller("a", at=NOW + 1, networks=(), memo="ERP")]
    for one in reversed(made):
        store.add_caller(one, audit(one.key_id, action="create-caller"))
    assert store.callers() == made
    assert store.remove_caller("z", audit("z", action="remove-caller", at=NOW + 2))
    assert not store.remove_caller("z", audit("z", action="remove-caller", at=NOW + 3))
    assert store.callers() == made[1:]
    assert [it.action for it in store.audits("z")] == ["create-caller", "remove-caller"]


def test_a_name_is_taken_once(store: Store) -> None:
    assert store.use_once("key:n-1", NOW + 600)
    assert not store.use_once("key:n-1", NOW + 900)
    assert store.use_once("key:n-2", NOW + 600)


def test_a_name_is_free_again_once_its_time_is_over(store_backend: StoreBackend) -> None:
    store = store_backend.store
    store.use_once("key:n-1", NOW + 600)
    store_backend.expire(NOW + 599)
    assert not store.use_once("key:n-1", NOW + 600)
    store_backend.expire(NOW + 601)
    assert store.use_once("key:n-1", NOW + 1200)


def test_of_many_who_take_a_name_at_once_one_gets_it(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("bears one caller at a time")
    taken = at_once(8, lambda _: store_backend.store.use_once("key:n-1", NOW + 600))
    assert sorted(taken) == [False] * 7 + [True]


def test_signing_secrets_come_oldest_first_and_leave_when_they_are_removed(store: Store) -> None:
    assert store.signing_secrets() == []
    made = [signing_secret("z", at=NOW), signing_secret("a", at=NOW + 1)]
    for one in reversed(made):
        store.add_signing_secret(one, audit(one.secret_id, action="create-signing-secret"))
    assert store.signing_secrets() == made
    assert store.remove_signing_secret("z", audit("z", action="remove-signing-secret", at=NOW + 2))
    assert not store.remove_signing_secret("z", audit("z", action="remove-signing-secret", at=NOW + 3))
    assert store.signing_secrets() == made[1:]
    assert [one.action for one in store.audits("z")] == ["create-signing-secret", "remove-signing-secret"]


# ── how many there are ───────────────────────────────────────────────────────────────────────────


def _counted(store: Store, query: Query) -> int:
    total, cursor = store.size(query, None)
    while cursor is not None:
        more, cursor = store.size(query, cursor)
        total += more
    return total


def _all(store: Store, query: Query) -> list[str]:
    page = store.page(query, None, 7)
    tasks = [*page.tasks]
    while page.cursor is not None:
        page = store.page(query, page.cursor, 7)
        tasks += page.tasks
    return [one.task_id for one in tasks]


@pytest.mark.parametrize("part", [3, 10_000])
def test_the_size_of_a_list_is_the_number_of_its_tasks(
    store_backend: StoreBackend, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """However small the parts are in which it is counted."""
    monkeypatch.setattr("chalicelib.store.COUNTED_KEYS", part)
    monkeypatch.setattr("chalicelib.store.EXAMINED", min(part, 100))
    monkeypatch.setattr("chalicelib.embedded.MOST_COUNTED", part)
    store = store_backend.store
    for n in range(12):
        asked = request(source_app="orders" if n % 2 else "parcels", target_app="billing" if n % 3 else "stock")
        new = added(store, task(at=NOW + n // 2, asked=asked))
        if n % 4:
            cancelled(store, new, NOW + 20)
    store_backend.settle()
    queries = [
        Query(status=Status.CANCELLED),
        Query(status=Status.CANCELLED, since=NOW + 2, until=NOW + 5),
        Query(status=Status.CANCELLED, source_app="orders"),
        Query(status=Status.CANCELLED, target_app="billing", q="callback"),
        Query(status=Status.PENDING),
        Query(source_app="orders", until=NOW + 3),
        Query(status=Status.EXHAUSTED),
        Query(q="callback"),
        Query(q="elsewhere"),
        Query(),
    ]
    assert [_counted(store, query) for query in queries] == [len(_all(store, query)) for query in queries]
    assert _counted(store, Query(status=Status.CANCELLED)) == 9


def test_the_size_of_a_list_asked_for_with_a_cursor_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRequest):
        store.size(Query(), "no cursor")
