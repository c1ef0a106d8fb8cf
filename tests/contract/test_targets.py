"""What every store keeps of the promises about targets, their gates, and the tasks that are held for them."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import Any

import pytest

from chalicelib import life
from chalicelib.life import Stale
from chalicelib.ports import Store
from chalicelib.task import Breaker, Gate, Held, Target, Task, evolve
from tests.contract.backends import StoreBackend
from tests.contract.samples import DAY, GRACE, LEASE, NOW, RETENTION, at_once, audit, request, task
from tests.contract.steps import added, cancelled, delivered, replaced

NAME = "https://partner.example:443"


def target(name: str = NAME, **changes: Any) -> Target:
    breaker = Breaker(failure_share=0.5, window=60, least_attempts=10, open_seconds=30)
    return evolve(
        Target(name=name, paused_at=NOW, breaker=breaker, version=1, updated_at=NOW, updated_by="晓明"), **changes
    )


def held(store: Store, waiting: Task, now: float = NOW + 1) -> Task:
    return replaced(store, waiting, life.hold(waiting, Held.PAUSED, now=now))


def released(store: Store, waiting: Task, now: float = NOW + 100) -> Task:
    return replaced(store, waiting, life.release(waiting, now=now, at=now, grace=GRACE))


# ── what is set ──────────────────────────────────────────────────────────────────────────────────


def test_targets_read_back_by_name_and_each_change_is_audited(store: Store) -> None:
    second, first = target("https://b.example:443"), target("http://a.example:80", paused_at=None, max_concurrency=3)
    assert store.targets() == []
    assert store.save_target(second, audit(second.name, action="change-target"))
    assert store.save_target(first, audit(first.name, action="change-target"))
    assert store.targets() == [first, second]
    assert [it.action for it in store.audits(first.name)] == ["change-target"]


def test_a_target_is_changed_by_whoever_saw_it_last_and_nobody_else(store: Store) -> None:
    assert store.save_target(target(), audit(NAME, action="first"))
    newer = target(version=2, paused_at=None, breaker=None)
    assert store.save_target(newer, audit(NAME, at=NOW + 1, action="second"))
    for late in (target(version=1), target(version=2), target(version=4)):
        assert not store.save_target(late, audit(NAME, action="never"))
    assert store.targets() == [newer]
    assert [it.action for it in store.audits(NAME)] == ["first", "second"]


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────


def entered(who: str) -> Any:
    def decide(gate: Gate) -> tuple[Gate, int]:
        return evolve(gate, inside={**gate.inside, who: 1}), len(gate.inside)

    return decide


def test_a_gate_that_nobody_has_passed_is_a_new_one(store: Store) -> None:
    assert store.gate(NAME) == Gate()
    assert store.pass_gate(NAME, lambda gate: (gate, gate)) == Gate()
    assert store.gate(NAME) == Gate()


def test_whoever_passes_a_gate_finds_it_as_the_one_before_has_left_it(store: Store) -> None:
    assert [store.pass_gate(NAME, entered(who)) for who in ("a", "b", "b")] == [0, 1, 2]
    whole = Gate(
        inside={"a": 1}, next_at=NOW + 0.25, tried={"1": 2}, failed={"1": 1}, opened_at=NOW, open_until=NOW + 0.5,
        probe="b", probe_until=NOW, waits=True,
    )  # fmt: skip
    store.pass_gate(NAME, lambda _: (whole, None))
    assert store.gate(NAME) == whole
    assert store.gate("https://other.example:443") == Gate()


def test_of_many_who_pass_at_the_same_time_none_is_forgotten(store_backend: StoreBackend) -> None:
    if not store_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    store = store_backend.store
    found = at_once(12, lambda number: store.pass_gate(NAME, entered(str(number))))
    assert sorted(found) == list(range(12))
    assert len(store.gate(NAME).inside) == 12


# ── held tasks ───────────────────────────────────────────────────────────────────────────────────


def test_held_tasks_stand_in_a_line_of_their_own_by_when_they_were_due(store: Store) -> None:
    tasks = [added(store, task(at=NOW + n)) for n in (2, 0, 1)]
    other = added(store, task(at=NOW, asked=request(url="https://other.example/")))
    line = [held(store, one, NOW + 10) for one in tasks]
    elsewhere = held(store, other, NOW + 10)
    free = added(store, task(at=NOW))
    assert store.held(NAME, 10) == sorted(line, key=lambda one: one.due_at)
    assert store.held(NAME, 2) == sorted(line, key=lambda one: one.due_at)[:2]
    assert store.held("https://other.example:443", 10) == [elsewhere]
    assert (store.count_held(NAME, 10), store.count_held(NAME, 2), store.count_held("x", 10)) == (3, 2, 0)
    assert store.due(NOW + DAY, 10) == [free], "the reconciler does not see them"


def test_a_released_task_is_held_no_more_and_is_looked_after_again(store: Store) -> None:
    free = released(store, held(store, added(store, task())))
    assert store.held(NAME, 10) == []
    assert store.count_held(NAME, 10) == 0
    assert store.due(NOW + DAY, 10) == [free]
    assert store.get(free.task_id) == free


def test_a_held_task_that_is_cancelled_is_held_no_more(store: Store) -> None:
    gone = cancelled(store, held(store, added(store, task())))
    assert store.get(gone.task_id) == gone
    assert (store.held(NAME, 10), store.due(NOW + DAY, 10)) == ([], [])


def test_no_message_from_before_claims_a_task_that_is_held_or_was(store: Store) -> None:
    waiting = added(store, task())
    kept = held(store, waiting)
    assert store.claim(kept.task_id, waiting.ticket, now=NOW + 2, lease=LEASE) == Stale()
    free = released(store, kept)
    for old in (waiting.ticket, kept.ticket):
        assert store.claim(kept.task_id, old, now=NOW + 200, lease=LEASE) == Stale()
    assert isinstance(store.claim(free.task_id, free.ticket, now=NOW + 200, lease=LEASE), Task)


def test_the_time_for_which_a_task_was_held_does_not_count_against_its_deadline(store: Store) -> None:
    waiting = added(store, task())
    free = released(store, held(store, waiting, NOW + 100), NOW + 100 + 30 * DAY)
    assert free.deadline_at == waiting.deadline_at + 30 * DAY
    claimed = store.claim(free.task_id, free.ticket, now=free.deadline_at - 1, lease=LEASE)
    assert isinstance(claimed, Task)


@pytest.mark.parametrize("body", ["x" * 20_000, {"order": 42}], ids=["large", "small"])
def test_whatever_belongs_to_a_task_outlives_any_time_for_which_it_is_held(
    store_backend: StoreBackend, body: object
) -> None:
    store = store_backend.store
    asked = request(body=body)
    kept = held(store, added(store, task(asked=asked)))
    later = NOW + 3 * RETENTION
    store_backend.expire(later)
    free = released(store, kept, later)
    owned = store.claim(free.task_id, free.ticket, now=later, lease=LEASE)
    assert isinstance(owned, Task)
    assert owned.request == asked
    store_backend.expire(later + RETENTION)
    assert delivered(store, owned, later + 5).request == asked
    store_backend.expire(later + 3 * RETENTION)
    assert store.get(free.task_id) is None
    assert store_backend.records(free.task_id) == 0


def test_an_attempt_that_ends_after_its_task_was_held_ends_that_too(store: Store) -> None:
    waiting = added(store, task())
    owned = store.claim(waiting.task_id, waiting.ticket, now=NOW, lease=LEASE)
    assert isinstance(owned, Task)
    kept = held(store, owned, NOW + LEASE + 1)
    ended = delivered(store, changed(kept), NOW + LEASE + 2)
    assert (ended.held, ended.held_at) == (None, None)
    assert (store.held(NAME, 10), store.count_held(NAME, 10)) == ([], 0)
