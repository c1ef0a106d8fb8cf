"""Operators, their sessions, tries to log in, and the list of all audits."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.errors import InvalidRequest
from chalicelib.ports import Acts, Store
from chalicelib.task import Audit, Role, Roster, Tries, evolve
from tests.contract.backends import StoreBackend
from tests.contract.samples import DAY, HOUR, NOW, at_once, audit, operator, session, task

# ── operators ────────────────────────────────────────────────────────────────────────────────────


def test_the_roster_has_all_operators_by_name_and_counts_their_changes(store: Store) -> None:
    assert store.roster() == Roster()
    assert store.save_operator(operator("li.lei"), 1, audit("operator:li.lei"))
    assert store.save_operator(operator("anna", role=Role.VIEWER, disabled=True), 2, audit("operator:anna"))
    assert store.roster() == Roster(2, (operator("anna", role=Role.VIEWER, disabled=True), operator("li.lei")))
    assert store.operator("li.lei") == operator("li.lei")
    assert store.operator("nobody") is None
    assert [it.action for it in store.audits("operator:anna")] == ["task.cancel"]


def test_an_operator_is_changed_by_whoever_knows_the_roster_as_it_is(store: Store) -> None:
    assert store.save_operator(operator(), 1, audit("operator:小王"))
    for version in (1, 3):
        assert not store.save_operator(operator(disabled=True), version, audit("operator:小王", at=NOW + 1))
        assert not store.remove_operator("小王", version, audit("operator:小王", at=NOW + 1))
    assert store.roster() == Roster(1, (operator(),))
    assert len(store.audits("operator:小王")) == 1
    assert store.remove_operator("小王", 2, audit("operator:小王", at=NOW + 2))
    assert store.roster() == Roster(2, ())


def test_of_many_who_change_different_operators_at_once_one_gets_through(store_backend: StoreBackend) -> None:
    """Else two admins might each remove the other."""
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    store = store_backend.store
    names = [f"admin-{number}" for number in range(4)]
    for number, name in enumerate(names, 1):
        assert store.save_operator(operator(name), number, audit(f"operator:{name}"))
    removed = at_once(4, lambda number: store.remove_operator(names[number], 5, audit(f"operator:{names[number]}")))
    assert sorted(removed) == [False, False, False, True]
    assert len(store.roster().operators) == 3


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def test_a_session_is_found_with_its_operator(store: Store) -> None:
    assert store.session("hash", "小王") == (None, None)
    store.save_operator(operator(), 1, audit("operator:小王"))
    store.add_session(session(), audit("operator:小王", action="login", at=NOW + 1))
    assert store.session("hash", "小王") == (session(), operator())
    assert store.session("other", "小王") == (None, operator())
    assert store.session("hash", "other") == (session(), None)
    assert store.session("", "") == (None, None)
    assert [it.action for it in store.audits("operator:小王")] == ["task.cancel", "login"]


def test_a_session_that_was_ended_is_not_brought_back_by_its_use(store: Store) -> None:
    store.add_session(session())
    later = session(seen_at=NOW + 300, expires_at=NOW + 2 * HOUR, version=2)
    assert store.save_session(later)
    assert not store.save_session(later)
    assert store.session("hash", "小王")[0] == later
    assert store.end_session("hash", audit("operator:小王", action="logout"))
    assert not store.end_session("hash", audit("operator:小王", action="logout", at=NOW + 1))
    assert not store.save_session(evolve(later, version=3))
    assert store.session("hash", "小王")[0] is None
    assert [it.action for it in store.audits("operator:小王")] == ["logout"]


def test_a_session_leaves_when_it_expires(store_backend: StoreBackend) -> None:
    store_backend.store.add_session(session())
    store_backend.expire(NOW + HOUR - 1)
    assert store_backend.store.session("hash", "小王")[0] == session()
    store_backend.expire(NOW + HOUR + 1)
    assert store_backend.store.session("hash", "小王")[0] is None


# ── tries ────────────────────────────────────────────────────────────────────────────────────────


def test_tries_are_counted_by_whoever_knows_their_version(store_backend: StoreBackend) -> None:
    store = store_backend.store
    assert store.tries("name:x") == Tries(of="name:x")
    first = Tries(of="name:x", failed=1, last_at=NOW, expires_at=NOW + DAY, version=1)
    assert store.save_tries(first)
    assert not store.save_tries(first)
    second = evolve(first, failed=2, version=2)
    assert store.save_tries(second)
    assert not store.save_tries(second)
    assert store.tries("name:x") == second
    store_backend.expire(NOW + DAY + 1)
    assert store.tries("name:x") == Tries(of="name:x")
    assert store.save_tries(first)


# ── the list of all audits ───────────────────────────────────────────────────────────────────────


def note(store: Store, *audits: Audit) -> None:
    for it in audits:
        store.note(it)


def listed(store: Store, limit: int = 100, now: float = NOW + HOUR, **acts: Any) -> list[Audit]:
    """All pages; of a week, unless it is said since when: a day without audits costs a look as well."""
    acts = {"since": NOW - 7 * DAY, **acts}
    found: list[Audit] = []
    cursor = None
    while True:
        page = store.acts(Acts(**acts), cursor, limit, now=now)
        assert len(page.audits) <= limit
        found += page.audits
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_all_audits_are_listed_newest_first(store: Store, limit: int) -> None:
    made = [audit(f"s-{n % 3}", at=NOW - n * 7 * HOUR, n=n) for n in range(12)]
    note(store, *made[::-1])
    assert listed(store, limit) == made


def test_audits_of_one_moment_are_all_listed(store: Store) -> None:
    note(store, *(audit("s", n=n) for n in range(9)))
    assert sorted(it.detail["n"] for it in listed(store, 2)) == [*range(9)]


def test_the_list_is_searched_by_actor_subject_and_time(store: Store) -> None:
    made = [
        evolve(audit(f"s-{n % 2}", at=NOW - n * HOUR, n=n), actor=f"operator:{'ab'[n % 3 == 0]}") for n in range(40)
    ]
    note(store, *made)
    for acts in (
        {"actor": "operator:b"},
        {"subject": "s-1"},
        {"subject": "s-1", "actor": "operator:a"},
        {"since": NOW - 5 * HOUR},
        {"until": NOW - 5 * HOUR},
        {"since": NOW - 30 * HOUR, "until": NOW - 3 * HOUR, "subject": "s-0"},
        {"actor": "nobody"},
        {"since": NOW, "until": NOW - 1},
    ):
        assert listed(store, 7, **acts) == [it for it in made if Acts(**acts).matches(it)], acts


def test_an_audit_of_long_ago_is_found_after_a_stretch_in_which_nothing_happened(store: Store) -> None:
    old, new = audit("s", at=NOW - 100 * DAY), audit("s", at=NOW)
    note(store, old, new)
    assert listed(store, 1, since=None) == [new, old]


def test_no_more_is_listed_than_is_kept_and_what_is_asked_for_beyond_costs_no_pages(store: Store) -> None:
    kept, over = audit("s", at=NOW - 364 * DAY), audit("s", at=NOW - 366 * DAY)
    note(store, over, kept)
    assert listed(store, now=NOW, since=0) == listed(store, now=NOW, since=0, subject="s") == [kept]
    assert listed(store, now=NOW, since=NOW + DAY) == listed(store, now=NOW, since=None, until=NOW - 400 * DAY) == []


def test_what_was_done_to_a_task_is_listed_and_stays_when_the_task_leaves(store_backend: StoreBackend) -> None:
    store = store_backend.store
    store.add(old := task())
    new = evolve(old, version=old.version + 1)
    store.replace(old, new, done := audit(old.task_id))
    assert store.audits(old.task_id) == [done]
    store_backend.lose(old.task_id)
    assert listed(store) == [done]


def test_a_part_of_an_action_on_many_is_in_its_own_trail_only(store: Store) -> None:
    store.add(old := task())
    part = evolve(audit(old.task_id, resend_id="r"), part=True)
    store.replace(old, evolve(old, version=old.version + 1), part)
    assert store.audits(old.task_id) == [part]
    assert listed(store, subject=old.task_id) == [part]
    assert listed(store) == []


def test_what_was_refused_is_listed_and_is_no_part_of_what_was_done(store: Store) -> None:
    refused = evolve(audit("team"), result="forbidden")
    note(store, refused, done := audit("team", at=NOW - 1))
    assert store.audits("team") == [done]
    assert listed(store) == listed(store, subject="team") == [refused, done]


@pytest.mark.parametrize("subject", ["channels", "operators", "callers", "targets", "roster", "", "a#b"])
def test_a_refused_action_on_what_there_is_not_disturbs_nobody(store: Store, subject: str) -> None:
    note(store, evolve(audit(subject), result="not_found"))
    assert (store.channels(), store.callers(), store.targets(), store.roster()) == ([], [], [], Roster())
    assert [it.subject for it in listed(store, subject=subject)] == [subject]


def test_an_audit_leaves_after_its_retention(store_backend: StoreBackend) -> None:
    store = store_backend.store
    note(store, audit("s"), evolve(audit("s"), result="forbidden"))
    store_backend.expire(NOW + 365 * DAY - 1)
    assert len(listed(store)) == 2
    store_backend.expire(NOW + 365 * DAY + 1)
    assert listed(store) == listed(store, subject="s") == store.audits("s") == []


@pytest.mark.parametrize("cursor", ["", "x", "é", "YQ==", "W10=", "MTIz", "A" * 300])
def test_what_is_no_cursor_of_the_list_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        store.acts(Acts(), cursor, 10, now=NOW)
