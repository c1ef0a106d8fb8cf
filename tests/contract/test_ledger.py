"""The ledger at every store: its two sides are equal whatever befalls the tasks, and are not once one is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.ledger import Ledger
from chalicelib.ports import Store
from chalicelib.task import Task
from tests.contract.backends import STORES, FakeClock, StoreBackend
from tests.contract.samples import DAY, HOUR, LEASE, NOW, RETENTION, at_once, task
from tests.contract.steps import added, cancelled, claimed, delivered, exhausted, failed, resent

MINUTE = 60

LATER = NOW + 2 * HOUR
"""When whatever was accepted at NOW is settled everywhere."""


def check(backend: StoreBackend, now: float = LATER, retention: float = RETENTION) -> Ledger:
    """What a check finds once all that was accepted is entered."""
    backend.settle()
    return recounted(backend.store, now, retention)


def recounted(store: Store, now: float, retention: float) -> Ledger:
    """Count everything again. No store is asked for two checks at one moment."""
    while store.recount(now, retention):
        continue
    found = store.checked()
    assert found is not None
    assert found.checked_at == now, "it has counted again"
    return found


def figures(found: Ledger) -> dict[str, int]:
    return {"accepted": found.accepted, **{status: n for status, n in found.standing.items() if n}}


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_before_the_first_check_there_is_none(store: Store) -> None:
    assert store.checked() is None


def test_of_nothing_the_ledger_adds_up(store_backend: StoreBackend) -> None:
    found = check(store_backend)
    assert (figures(found), found.balanced, found.balanced_at) == ({"accepted": 0}, True, LATER)


def a_whole_story(store: Store) -> None:
    """Tasks in every status, of which some have been in others."""
    added(store, task())
    delivered(store, claimed(store, added(store, task())))
    delivered(store, claimed(store, failed(store, claimed(store, added(store, task()))), NOW + 100), NOW + 101)
    failed(store, claimed(store, added(store, task())))
    exhausted(store, claimed(store, added(store, task())))
    cancelled(store, added(store, task()))
    cancelled(store, claimed(store, added(store, task())))
    claimed(store, resent(store, exhausted(store, claimed(store, added(store, task())))), NOW + 11)


STORY = {"accepted": 8, "pending": 2, "retrying": 1, "delivered": 2, "exhausted": 1, "cancelled": 2}


def test_after_a_whole_story_each_task_stands_where_it_stands(store_backend: StoreBackend) -> None:
    a_whole_story(store_backend.store)
    found = check(store_backend)
    assert (figures(found), found.entered, found.balanced) == (STORY, 8, True)


def test_the_last_check_is_kept_and_is_what_anybody_is_shown(store_backend: StoreBackend) -> None:
    a_whole_story(store_backend.store)
    found = check(store_backend)
    assert store_backend.store.ledger(LATER, RETENTION) == store_backend.store.checked() == found


def test_a_task_that_was_refused_is_in_no_figure(store_backend: StoreBackend) -> None:
    new = added(store_backend.store, task())
    store_backend.store.add(task(new.task_id))
    assert figures(check(store_backend)) == {"accepted": 1, "pending": 1}


def test_a_task_that_was_just_accepted_is_in_the_figures(store_backend: StoreBackend) -> None:
    added(store_backend.store, task(at=LATER - 1))
    found = check(store_backend)
    assert (figures(found), found.balanced) == ({"accepted": 1, "pending": 1}, True)


# ── it does not add up ───────────────────────────────────────────────────────────────────────────


def test_a_row_that_is_deleted_behind_our_back_is_missed_and_it_is_known_when_it_last_added_up(
    store_backend: StoreBackend,
) -> None:
    a_whole_story(store_backend.store)
    lost = added(store_backend.store, task())
    assert check(store_backend).balanced
    store_backend.lose(lost.task_id)
    found = check(store_backend, LATER + HOUR)
    assert (found.balanced, found.gap, found.balanced_at) == (False, 1, LATER)
    assert figures(found) == {**STORY, "accepted": 9}
    assert check(store_backend, LATER + 2 * HOUR).balanced_at == LATER, "it is known for as long as it lasts"


@pytest.mark.parametrize("n", [1, -1])
def test_a_counter_that_was_tampered_with_is_noticed(store_backend: StoreBackend, n: int) -> None:
    a_whole_story(store_backend.store)
    store_backend.settle()
    store_backend.miscount(NOW, n)
    found = check(store_backend)
    assert (found.balanced, found.gap, found.balanced_at) == (False, n, None)


def test_a_counter_of_an_earlier_day_that_was_tampered_with_is_noticed(store_backend: StoreBackend) -> None:
    a_whole_story(store_backend.store)
    store_backend.settle()
    store_backend.miscount(NOW - 10 * DAY, 1)
    assert check(store_backend).gap == 1


def test_once_it_adds_up_again_that_is_said(store_backend: StoreBackend) -> None:
    store_backend.miscount(NOW, 1)
    assert not check(store_backend).balanced
    store_backend.miscount(NOW, -1)
    found = check(store_backend, LATER + HOUR)
    assert (found.balanced, found.balanced_at) == (True, LATER + HOUR)


# ── tasks that leave ─────────────────────────────────────────────────────────────────────────────


SHORT = 2 * DAY
"""Seconds of a retention that a test can wait for."""


def days_pass(backend: StoreBackend, days: int, retention: Callable[[float], float]) -> Iterator[Ledger]:
    """A check every eight hours: each time a task was delivered at once, one stays, and what has expired left."""
    for now in (NOW + n * 8 * HOUR for n in range(days * 3)):
        delivered(backend.store, claimed(backend.store, added(backend.store, task(at=now)), now), now, retention(now))
        added(backend.store, task(at=now))
        backend.expire(now + 1)
        yield check(backend, now + 2 * HOUR, retention(now))


def test_tasks_whose_retention_is_over_leave_and_are_not_missed(store_backend: StoreBackend) -> None:
    checks = list(days_pass(store_backend, 4, lambda _: SHORT))
    assert [found.gap for found in checks] == [0] * len(checks)
    assert checks[-1].standing["delivered"] < checks[-1].standing["pending"] == len(checks), "they have left"
    assert checks[-1].entered > 0, "there is a book"


def test_a_task_that_is_lost_is_missed_though_others_leave(store_backend: StoreBackend) -> None:
    checks = days_pass(store_backend, 4, lambda _: SHORT)
    assert [next(checks).gap for _ in range(9)] == [0] * 9
    lost = added(store_backend.store, task(at=NOW + 3 * DAY))
    assert next(checks).balanced
    store_backend.lose(lost.task_id)
    assert [found.gap for found in checks] == [1, 1]


@pytest.mark.parametrize(("before", "after"), [(SHORT, 6 * DAY), (6 * DAY, SHORT)], ids=["raised", "lowered"])
def test_another_retention_is_no_false_alarm_and_hides_no_loss(
    store_backend: StoreBackend, before: float, after: float
) -> None:
    changed_at = NOW + 3 * DAY
    checks = days_pass(store_backend, 8, lambda now: before if now < changed_at else after)
    assert [next(checks).gap for _ in range(18)] == [0] * 18, "whatever was to leave by the old one has left"
    lost = added(store_backend.store, task(at=NOW + 6 * DAY))
    assert next(checks).balanced
    store_backend.lose(lost.task_id)
    assert next(checks).gap == 1


def test_what_is_older_than_the_book_is_shown_and_is_not_judged(store_backend: StoreBackend) -> None:
    old = added(store_backend.store, task(at=NOW - RETENTION - DAY))
    found = check(store_backend)
    assert (figures(found), found.entered) == ({"accepted": 1, "pending": 1}, 0)
    store_backend.lose(old.task_id)
    assert check(store_backend, LATER + HOUR).balanced


# ── under load ───────────────────────────────────────────────────────────────────────────────────


def live(store: Store, new: Task, n: int) -> Task:
    """What becomes of a task: one of five lives, by its number."""
    at = new.created_at
    match n % 5:
        case 0:
            return cancelled(store, new, at)
        case 1:
            return delivered(store, claimed(store, new, at), at)
        case 2:
            return delivered(store, claimed(store, failed(store, claimed(store, new, at), at), at + 60), at + 60)
        case 3:
            return resent(store, exhausted(store, claimed(store, new, at), at), at)
        case _:
            return new


def test_while_tasks_come_and_go_no_check_finds_that_it_does_not_add_up(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    store, clock, stands_still, enough = store_backend.store, FakeClock(LATER), Lock(), Event()
    old = [added(store, task()) for _ in range(40)]

    def accept() -> Task:
        with stands_still:  # it takes less than a quarter of an hour
            return added(store, task(at=clock.at))

    def work(number: int) -> list[Task]:
        mine = iter(old[number::4])
        lived: list[Task] = []
        while not enough.is_set():
            lived += [live(store, it, len(lived)) for it in (accept(), *islice(mine, 1))]
        return [*lived, *mine]

    checks: list[Ledger] = []
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(at_once, 4, work)
        while len({found.accepted for found in checks}) < 12 and not working.done():
            with stands_still:
                clock.move(MINUTE)
                store_backend.settle()
            checks.append(recounted(store, clock.at, RETENTION))
        enough.set()
        stand = Counter(str(it.status) for lived in working.result() for it in lived)
    assert [found.gap for found in checks] == [0] * len(checks)
    last = check(store_backend, clock.at + 2 * HOUR)
    assert figures(last) == {"accepted": stand.total(), **stand}
    assert last.entered == stand.total(), "all of them are judged"


# ── whatever happens ─────────────────────────────────────────────────────────────────────────────


def another(store: Store, it: Task | None, way: int, at: float) -> Task:
    """The next step of a task, in one of several ways; of none: a new one."""
    if it is None:
        return added(store, task(at=at))
    if it.is_final:
        return resent(store, it, at)
    owned = store.claim(it.task_id, it.ticket, now=at, lease=LEASE)
    if way == 0 or not isinstance(owned, Task):
        return cancelled(store, store.get(it.task_id) or it, at)
    return (failed, delivered, exhausted)[way % 3](store, owned, at)


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 5 * HOUR)), max_size=30)
"""Each: which of ten tasks, in what way, how many seconds later."""


@pytest.mark.parametrize("name", ["memory", pytest.param("ministack", marks=pytest.mark.emulator)])
@given(steps=STEPS)
@settings(max_examples=20, deadline=None)
def test_the_figures_are_those_of_whoever_asks_for_each_task(name: str, steps: list[tuple[int, int, int]]) -> None:
    tasks: dict[int, str] = {}
    with TemporaryDirectory() as folder, STORES[name](Path(folder)) as backend:
        store, at = backend.store, NOW
        for which, way, seconds in steps:
            at += seconds
            backend.expire(at)
            tasks[which] = another(store, store.get(tasks.get(which, "none")), way, at).task_id
        there = [it.status for it in map(store.get, tasks.values()) if it is not None]
        found = check(backend, at + 2 * HOUR)
        assert found.balanced
        assert figures(found) == {"accepted": len(there), **Counter(map(str, there))}
