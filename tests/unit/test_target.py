"""Who is admitted at a target, who waits for a turn and who is held: the decisions alone, without a store."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.delivery.target import (
    AHEAD,
    ON_ITS_WAY,
    PUNCTUAL,
    SOON,
    Admission,
    Go,
    Keep,
    Moved,
    Turn,
    admit,
    closed,
    invite,
    leave,
)
from chalicelib.task import Breaker, Gate, Held, Target, Verdict
from tests.cases import share
from tests.unit.makers import NOON

LEASE = 105
BREAKER = Breaker(failure_share=0.5, window=60, least_attempts=4, open_seconds=30)
HALF_OPEN = Gate(opened_at=NOON - 31, open_until=NOON - 1)


def target(**changes: Any) -> Target:
    return Target(name="https://partner.example:443", **changes)


def ask(it: Target, gate: Gate, who: str = "a", *, turn: float | None = None, now: float = NOON) -> Any:
    return admit(it, gate, who=who, turn=turn, now=now, lease=LEASE)


def ended(it: Target, gate: Gate, who: str = "a", *, verdict: Verdict | None, now: float = NOON) -> Any:
    return leave(it, gate, who=who, verdict=verdict, now=now)


# ── places ───────────────────────────────────────────────────────────────────────────────────────


def test_a_place_is_free_when_whoever_had_it_has_left_or_its_time_is_over() -> None:
    one = target(max_concurrency=1)
    gate, admitted = ask(one, Gate(), "a")
    assert admitted == Go(entered=True)
    gate, admitted = ask(one, gate, "b")
    assert admitted == Keep(Held.CONCURRENCY, first=True)
    assert ask(one, gate, "c")[1] == Keep(Held.CONCURRENCY, first=False)
    assert ask(one, gate, "b", now=NOON + LEASE + 1)[1] == Go(entered=True)
    left, moved = ended(one, gate, "a", verdict=Verdict.DELIVERED)
    assert (left.inside, left.waits, moved) == ({}, True, None)
    assert ask(one, left, "b")[1] == Go(entered=True)


def test_a_copy_of_a_message_takes_no_second_place() -> None:
    one = target(max_concurrency=1)
    gate, _ = ask(one, Gate(), "a")
    assert ask(one, gate, "a")[1] == Go(entered=False)


def test_whoever_is_invited_has_a_place_and_nobody_who_comes_meanwhile_gets_it() -> None:
    two = target(max_concurrency=2)
    gate, _ = ask(two, Gate(), "a")
    gate, guests = invite(two, gate, ["b", "c"], now=NOON)
    assert (guests, gate.waits) == ({"b": NOON}, True)
    assert ask(two, gate, "c")[1] == Keep(Held.CONCURRENCY)
    assert ask(two, gate, "b")[1] == Go(entered=False)
    assert ask(two, gate, "c", now=NOON + ON_ITS_WAY)[1] == Go(entered=True), "it did not come"


def test_of_two_who_invite_at_the_same_time_each_invites_another() -> None:
    two = target(max_concurrency=2)
    gate, first = invite(two, Gate(), ["a"], now=NOON)
    _, second = invite(two, gate, ["a", "b"], now=NOON)
    assert (first, second) == ({"a": NOON}, {"b": NOON})


# ── turns ────────────────────────────────────────────────────────────────────────────────────────


def test_turns_are_given_one_after_the_other_for_a_while_and_then_nobody_waits_in_the_queue() -> None:
    slow, gate, admitted = target(rate_per_second=0.25), Gate(), list[Admission]()
    for who in "abcde":
        gate, answer = ask(slow, gate, who)
        admitted.append(answer)
    assert admitted == [
        Go(entered=True),
        Turn(NOON + 4),
        Turn(NOON + 8),
        Keep(Held.RATE, first=True),
        Keep(Held.RATE, first=False),
    ]


@pytest.mark.parametrize(("late", "good"), [(0, True), (-300, True), (PUNCTUAL, True), (PUNCTUAL + 1, False)])
def test_a_turn_is_good_at_its_time_and_a_little_after_it_and_for_clocks_that_are_behind(
    late: float, good: bool
) -> None:
    busy = Gate(next_at=NOON + 900)
    assert isinstance(ask(target(rate_per_second=1), busy, turn=NOON - late)[1], Go) is good


def test_held_tasks_get_turns_further_ahead_than_whoever_comes() -> None:
    slow = target(rate_per_second=0.1)
    gate, guests = invite(slow, Gate(), [str(n) for n in range(20)], now=NOON)
    assert list(guests.values()) == [NOON + 10 * n for n in range(8)]
    assert (gate.next_at, gate.waits) == (NOON + 80, True)
    assert ask(slow, gate, "late")[1] == Keep(Held.RATE)
    assert invite(slow, gate, ["x"], now=NOON + 1)[1] == {}


@share(0.5)
@given(
    rate=st.sampled_from([0.01, 0.5, 1, 7, 300]),
    steps=st.lists(st.tuples(st.sampled_from([0, 0, 0.1, 3, 61]), st.integers(0, 5)), max_size=40),
)
def test_no_two_turns_are_nearer_to_each_other_than_the_rate_says(rate: float, steps: list[tuple[float, int]]) -> None:
    it, gate, now, turns = target(rate_per_second=rate), Gate(), NOON, list[float]()
    for number, (seconds, held) in enumerate(steps):
        now += seconds
        if held:
            gate, guests = invite(it, gate, [f"{number}-{n}" for n in range(held)], now=now)
            turns += guests.values()
            assert all(at <= now + AHEAD for at in guests.values())
        else:
            gate, answer = ask(it, gate, str(number), now=now)
            turns += {Go: [now], Turn: [getattr(answer, "at", 0)]}.get(type(answer), [])
            assert not isinstance(answer, Turn) or answer.at <= now + SOON
    assert all(later - earlier >= 1 / rate - 1e-5 for earlier, later in pairwise(turns))


# ── the breaker ──────────────────────────────────────────────────────────────────────────────────


def tried(it: Target, verdicts: str, *, apart: float = 0) -> tuple[Gate, list[Moved | None]]:
    """A gate after attempts that failed (-) or did not (+), one after the other."""
    gate, moves = Gate(), list[Moved | None]()
    for number, sign in enumerate(verdicts):
        verdict = Verdict.FAILED if sign == "-" else Verdict.DELIVERED
        gate, moved = ended(it, gate, verdict=verdict, now=NOON + number * apart)
        moves.append(moved)
    return gate, moves


@pytest.mark.parametrize(
    ("verdicts", "opens"), [("---", False), ("----", True), ("+-+-", True), ("++-+", False), ("+++--+--", True)]
)
def test_it_opens_when_enough_were_tried_and_the_share_of_failures_is_reached(verdicts: str, opens: bool) -> None:
    gate, moves = tried(target(breaker=BREAKER), verdicts)
    assert (moves[-1] is Moved.OPENED) is opens
    assert gate.open_until == (NOON + 30 if opens else None)


def test_attempts_that_are_older_than_the_window_are_forgotten() -> None:
    assert tried(target(breaker=BREAKER), "----", apart=25)[1] == [None] * 4
    assert tried(target(breaker=BREAKER), "----", apart=14)[1][-1] is Moved.OPENED


def test_a_part_of_the_window_is_forgotten_as_soon_as_the_whole_window_has_passed() -> None:
    gate, _ = ended(target(breaker=BREAKER), Gate(), verdict=Verdict.FAILED, now=NOON)
    gate, _ = ended(target(breaker=BREAKER), gate, verdict=Verdict.FAILED, now=NOON + BREAKER.window)
    assert list(gate.tried.values()) == list(gate.failed.values()) == [1]


def test_while_it_is_open_nobody_goes_and_what_began_before_changes_nothing() -> None:
    it = target(breaker=BREAKER)
    gate, _ = tried(it, "----")
    assert ask(it, gate)[1] == Keep(Held.BREAKER)
    assert invite(it, gate, ["a"], now=NOON + 29)[1] == {}
    for verdict in (Verdict.DELIVERED, Verdict.FAILED):
        assert ended(it, gate, "late", verdict=verdict) == (gate, None)


def test_half_open_it_lets_one_through_who_decides() -> None:
    it = target(breaker=BREAKER)
    gate, admitted = ask(it, HALF_OPEN, "a")
    assert admitted == Go(entered=True)
    assert ask(it, gate, "b")[1] == Keep(Held.BREAKER)
    assert invite(it, gate, ["b"], now=NOON)[1] == {}
    assert ended(it, gate, "b", verdict=Verdict.DELIVERED) == (gate, None)
    again, moved = ended(it, gate, "a", verdict=Verdict.FAILED)
    assert (moved, again.open_until, again.opened_at) == (Moved.REOPENED, NOON + 30, NOON - 31)
    assert ended(it, gate, "a", verdict=Verdict.DELIVERED) == (closed(gate), Moved.CLOSED)
    assert ask(it, gate, "b", now=NOON + LEASE)[1] == Go(entered=True), "whoever was to decide has died"
    assert ask(it, ended(it, gate, "a", verdict=None)[0], "b")[1] == Go(entered=True), "it made no attempt"


def test_half_open_one_of_those_who_are_held_is_invited() -> None:
    gate, guests = invite(target(breaker=BREAKER), HALF_OPEN, ["a", "b", "c"], now=NOON)
    assert (guests, gate.probe) == ({"a": NOON}, "a")


@share(0.5)
@given(st.data())
def test_however_they_come_and_go_never_more_than_may_are_inside_and_never_two_decide(data: st.DataObject) -> None:
    """Many workers, messages that come twice, tasks that are released, processes that die."""
    it = target(
        max_concurrency=data.draw(st.none() | st.integers(1, 3)), breaker=data.draw(st.none() | st.just(BREAKER))
    )
    gate, now = Gate(), NOON
    running = dict[str, tuple[float, bool]]()  # who -> since when, and whether it decides
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from([0, 1, 29, 31]))
        running = {who: at for who, at in running.items() if at[0] > now - LEASE}
        who = data.draw(st.sampled_from("abcdef"))
        step = data.draw(st.sampled_from(["come", "come", "end", "die", "call"]))
        if step == "come":
            gate, answer = ask(it, gate, who, now=now)
            if isinstance(answer, Go):
                running.setdefault(who, (now, gate.open_until is not None and it.breaker is not None))
        elif step == "call":
            gate, _ = invite(it, gate, [one for one in "abcdef" if one not in running], now=now)
        elif who in running and step == "end":
            verdict = data.draw(st.sampled_from([Verdict.DELIVERED, Verdict.FAILED]))
            gate, _ = ended(it, gate, who, verdict=verdict, now=now)
            running.pop(who)
        elif who in running:
            running.pop(who)
        assert it.max_concurrency is None or len(running) <= it.max_concurrency
        assert sum(decides for _, decides in running.values()) <= 1
