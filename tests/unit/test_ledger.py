"""The pure part of the ledger: from when on it judges, until when, and what its figures come to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib import ledger, life
from chalicelib.ledger import DAY, HOUR, SETTLED, Ledger, Recount
from chalicelib.records import from_json, to_json
from chalicelib.task import evolve
from tests.contract.samples import attempt, task


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def found(*, entered: int = 3, beside: int = 0, since: float = 0, retention: float = DAY, **standing: int) -> Ledger:
    return Ledger(
        since=since,
        until=since,
        retention=retention,
        entered=entered,
        beside=beside,
        standing=standing,
        checked_at=1000,
    )


# ── whether it adds up ───────────────────────────────────────────────────────────────────────────


def test_it_adds_up_when_each_task_stands_in_one_of_the_five_statuses() -> None:
    it = found(entered=9, beside=6, pending=1, retrying=2, delivered=3, exhausted=4, cancelled=5)
    assert (it.accepted, it.gap, it.balanced) == (15, 0, True)


@pytest.mark.parametrize(
    ("standing", "gap"),
    [({"pending": 2}, 1), ({"pending": 4}, -1), ({}, 3), ({"pending": 2, "paused": 1}, 1)],
    ids=["one is lost", "one was not entered", "all are lost", "one stands where nothing stands"],
)
def test_it_does_not_add_up_when_a_task_is_missing_or_too_many(standing: dict[str, int], gap: int) -> None:
    it = found(**standing)
    assert (it.gap, it.balanced) == (gap, False)


def test_when_it_last_added_up_is_known_for_as_long_as_it_does_not() -> None:
    good = ledger.close(None, found(pending=3))
    assert good.balanced_at == 1000
    bad = ledger.close(good, evolve(found(pending=2), checked_at=2000))
    assert bad.balanced_at == 1000
    assert ledger.close(bad, evolve(found(pending=3), checked_at=3000)).balanced_at == 3000
    assert ledger.close(None, found()).balanced_at is None


def test_it_is_kept_as_it_is() -> None:
    it = ledger.close(None, found(pending=1, delivered=2))
    assert from_json(Ledger, to_json(it)) == it


# ── from when on, and until when ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2026-03-31 12:00:00", "2026-03-02 00:00:00"),
        ("2026-03-31 23:44:59", "2026-03-02 00:00:00"),
        ("2026-03-31 23:45:00", "2026-03-03 00:00:00"),
    ],
)
def test_the_book_begins_with_the_first_day_of_which_nothing_leaves_yet(now: str, since: str) -> None:
    assert ledger.opens(None, retention=30 * DAY, now=at(now)) == at(since)


def test_the_book_never_goes_back() -> None:
    last = found(since=at("2026-03-10 00:00:00"), retention=30 * DAY)
    assert ledger.opens(last, retention=30 * DAY, now=at("2026-03-31 12:00:00")) == last.since
    assert ledger.opens(last, retention=30 * DAY, now=at("2026-04-10 12:00:00")) == at("2026-03-12 00:00:00")
    assert ledger.opens(last, retention=7 * DAY, now=at("2026-03-31 12:00:00")) == at("2026-03-25 00:00:00")


def test_a_raised_retention_begins_a_new_book_with_the_next_day() -> None:
    last = found(since=at("2026-03-10 00:00:00"), retention=7 * DAY)
    raised = ledger.opens(last, retention=30 * DAY, now=at("2026-03-16 12:00:00"))
    assert raised == at("2026-03-17 00:00:00")
    assert ledger.opens(last, retention=30 * DAY, now=at("2026-03-16 23:50:00")) == at("2026-03-18 00:00:00")
    known = found(since=raised, retention=30 * DAY)
    assert ledger.opens(known, retention=30 * DAY, now=at("2026-04-12 12:00:00")) == raised


@given(
    now=st.floats(1.7e9, 2e9),
    days=st.integers(1, 3650),
    age=st.floats(0, 3650 * DAY),
    lived=st.floats(0, 30 * DAY),
)
@example(now=1_900_022_400.0, days=1, age=DAY, lived=0)
@example(now=1_900_022_400.0 - SETTLED, days=1, age=DAY - SETTLED, lived=0)
def test_no_task_of_the_book_can_have_left(now: float, days: int, age: float, lived: float) -> None:
    accepted_at = now - age
    over = life.cancel(task(at=accepted_at), now=accepted_at + lived, retention=days * DAY)
    since = ledger.opens(None, retention=days * DAY, now=now)
    assert over.expires_at is not None
    assert accepted_at < since or over.expires_at > now + SETTLED - 1


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-31 12:14:59", "2026-03-31 11:00:00"),
        ("2026-03-31 12:15:00", "2026-03-31 12:00:00"),
        ("2026-03-31 13:00:00", "2026-03-31 12:00:00"),
    ],
)
def test_an_hour_is_judged_a_quarter_of_an_hour_after_its_end(now: str, until: str) -> None:
    assert ledger.settled(at(now)) == at(until)


# ── a recount in parts ───────────────────────────────────────────────────────────────────────────


MIDNIGHT = at("2026-03-31 00:00:00")


def counted() -> Recount:
    """Rows of three days, the last of them after `until`."""
    recount = ledger.begin(MIDNIGHT + 2 * HOUR)
    first = [("pending", MIDNIGHT - DAY - 1), ("pending", MIDNIGHT - 1), ("delivered", MIDNIGHT)]
    recount = ledger.add(recount, first, ("id", "task"))
    return ledger.add(recount, [("delivered", recount.until - 0.001), ("retrying", recount.until)], None)


def test_a_recount_adds_page_to_page() -> None:
    it = counted()
    assert it.standing == {"pending": 2, "delivered": 2, "retrying": 1}
    assert (it.pages, it.place) == (2, None)


@pytest.mark.parametrize(
    ("since", "beside"), [(MIDNIGHT - 2 * DAY, 1), (MIDNIGHT - DAY, 2), (MIDNIGHT, 3), (MIDNIGHT + DAY, 5)]
)
def test_what_is_older_than_the_book_or_not_yet_settled_stands_beside_it(since: float, beside: int) -> None:
    assert ledger.beside(counted(), since) == beside


def test_a_recount_under_way_is_kept_as_it_is() -> None:
    page = ledger.add(ledger.begin(MIDNIGHT), [("pending", MIDNIGHT - DAY)], ("id", "task"))
    for it in (page, counted(), ledger.rest(counted()), Recount()):
        assert from_json(Recount, to_json(it)) == it


@pytest.mark.parametrize(("pages", "rest"), [(1, 60), (2, 120), (1440, DAY), (100_000, DAY)])
def test_a_recount_rests_a_minute_for_each_page_and_a_day_at_most(pages: int, rest: float) -> None:
    assert ledger.rest(Recount(began_at=MIDNIGHT, pages=pages)) == Recount(rests_until=MIDNIGHT + rest)


def test_a_sample_that_is_over_expires() -> None:
    """What the property above relies on."""
    begun = task(at=MIDNIGHT)
    owned = life.claim(begun, now=MIDNIGHT, lease=75)
    owed = life.exhausted(owned, attempt(owned), "no", now=MIDNIGHT, grace=600, retention=DAY)
    over = life.told(owed, now=MIDNIGHT, retention=DAY)
    assert over.expires_at == MIDNIGHT + DAY
