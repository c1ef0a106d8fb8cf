"""After a failed attempt: how long to wait, where, or why to give up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from itertools import cycle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import submission
from chalicelib.delivery.retry import (
    Again,
    GiveUp,
    Place,
    base_wait,
    decide,
    longest_wait,
    place,
    planned_wait,
    retry_after,
)
from chalicelib.task import Json, Policy
from tests.cases import share
from tests.unit.makers import NOON, SETTINGS, AnyAddress, policy
from tests.unit.plainly import counts, own_longest_wait, wait_after
from tests.unit.strategies import RETRIES

FIXED = {"backoff": "fixed", "initial": 60, "factor": 1, "cap": 0}
SCHEDULE = {"backoff": "schedule", "waits": (15, 15, 30, 180), "initial": 0, "factor": 1, "cap": 0}


@pytest.mark.parametrize(
    ("rules", "waits"),
    [
        ({"initial": 5, "factor": 2, "cap": 60}, [5, 10, 20, 40, 60, 60]),
        ({"initial": 5, "factor": 3, "cap": 21_600}, [5, 15, 45, 135, 405, 1215, 3645, 10_935, 21_600]),
        ({"initial": 1, "factor": 1, "cap": 60}, [1, 1, 1]),
        ({"initial": 0.5, "factor": 1.5, "cap": 1}, [0.5, 0.75, 1]),
        ({"initial": 0, "factor": 2, "cap": 60}, [0, 0, 0]),
        ({"initial": 60, "factor": 2, "cap": 60}, [60, 60]),
        (FIXED, [60, 60, 60]),
        ({**FIXED, "initial": 0}, [0, 0]),
        (SCHEDULE, [15, 15, 30, 180, 180, 180]),
        ({**SCHEDULE, "waits": (1.5,)}, [1.5, 1.5]),
    ],
)
def test_the_waits_follow_the_formula_of_their_policy(rules: dict[str, Json], waits: list[float]) -> None:
    assert [base_wait(policy(**rules), number) for number in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize("factor", [100, 100.0, 1e300])
def test_a_wait_too_large_for_a_number_is_the_cap(factor: float) -> None:
    assert base_wait(policy(initial=604_800, factor=factor, cap=604_800), 99) == 604_800


def test_without_jitter_the_wait_is_exact() -> None:
    assert planned_wait(policy(jitter=0), 1, Random(7)) == 5


@given(st.floats(0, 1), st.integers(1, 99), st.integers())
def test_jitter_stays_within_its_share(jitter: float, number: int, seed: int) -> None:
    rules = policy(jitter=jitter)
    base = base_wait(rules, number)
    wait = planned_wait(rules, number, Random(seed))
    assert base * (1 - jitter) - 1e-9 <= wait <= base * (1 + jitter) + 1e-9


def test_jitter_makes_waits_shorter_and_longer() -> None:
    waits = [planned_wait(policy(initial=10, jitter=0.5), 1, Random(seed)) for seed in range(50)]
    assert min(waits) < 7
    assert max(waits) > 13


# ── what the receiver asks for ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("007", 7),
        ("9" * 400, 10**9),
        (formatdate(NOON + 90, usegmt=True), 90),
        (formatdate(NOON - 90, usegmt=True), 0),
        ("Mon, 01 Dec 2025 12:01:00 GMT", 60),
        ("Monday, 01-Dec-25 12:01:00 GMT", 60),
        ("Mon Dec  1 12:01:00 2025", 60),
        ("Mon, 01 Dec 2025 20:01:00 +0800", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251_637_710_399),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(header: str, seconds: float) -> None:
    assert retry_after(header, NOON) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "0x10",
        "１２",
        "soon",
        "60 seconds",
        "60, 120",
        "Mon, 99 Dec 2025 12:00:00 GMT",
    ],
)
def test_a_retry_after_that_is_neither_is_passed_over(header: str | None) -> None:
    assert retry_after(header, NOON) is None


def test_a_retry_after_date_without_a_zone_is_utc_whatever_the_zone_of_this_computer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert retry_after("Mon, 01 Dec 2025 12:01:00 -0000", NOON) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=40) | st.text(alphabet="MonDec, 0123456789:+-GMT", max_size=40))
def test_any_retry_after_is_seconds_or_nothing(header: str) -> None:
    seconds = retry_after(header, NOON)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("rules", "asked", "wait"),
    [
        ({}, None, 5),
        ({}, 0, 5),
        ({}, 4, 5),
        ({}, 120, 120),
        ({"initial": 0}, None, 0),
        ({}, 3600, 3600),
        ({}, 86_399, 3600),
        ({"cap": 7200}, 86_399, 7200),
        ({**FIXED, "initial": 7200}, 86_399, 7200),
        ({**FIXED, "initial": 60}, 10**9, 3600),
        ({**SCHEDULE, "waits": (1, 9000)}, 86_399, 9000),
        ({**SCHEDULE, "waits": (9000, 1)}, 10, 9000),
    ],
)
def test_retry_after_makes_a_wait_longer_up_to_the_longest_of_the_policy(
    rules: dict[str, Json], asked: float | None, wait: float
) -> None:
    assert step(policy(**rules), retry_after=asked) == Again(wait)


@pytest.mark.parametrize(
    ("rules", "seconds"),
    [
        ({"initial": 9000, "cap": 7200}, 7200),
        ({"cap": 60}, 3600),
        ({**FIXED, "initial": 7200}, 7200),
        ({**FIXED, "initial": 60}, 3600),
        ({**SCHEDULE, "waits": (9000, 1)}, 9000),
        (SCHEDULE, 3600),
    ],
)
def test_the_longest_wait_is_the_policys_own_or_an_hour(rules: dict[str, Json], seconds: float) -> None:
    assert longest_wait(policy(**rules)) == seconds


def step(rules: Policy, **facts: Json) -> Again | GiveUp:
    known = {"number": 1, "status": 500, "retry_after": None, "remaining": 86_400, "random": Random(7), **facts}
    return decide(rules, **known)


POLICIES = st.builds(
    policy,
    max_attempts=st.integers(1, 100),
    backoff=st.sampled_from(["exponential", "fixed", "schedule"]),
    initial=st.floats(0, 604_800),
    factor=st.floats(1, 100),
    cap=st.floats(0, 604_800),
    waits=st.lists(st.floats(0, 604_800), min_size=1, max_size=99).map(tuple),
    jitter=st.floats(0, 1),
)


@given(POLICIES, st.integers(1, 100), st.none() | st.floats(0, 1e12), st.floats(0, 2_592_000), st.integers())
def test_no_wait_is_shorter_than_planned_nor_longer_than_the_policy_and_none_passes_the_deadline(
    rules: Policy, number: int, asked: float | None, remaining: float, seed: int
) -> None:
    planned = planned_wait(rules, number, Random(seed))
    made = step(rules, number=number, retry_after=asked, remaining=remaining, random=Random(seed))
    if isinstance(made, Again):
        assert planned <= made.wait <= max(planned, longest_wait(rules))
        assert made.wait < remaining
        assert number < rules.max_attempts
    else:
        assert number >= rules.max_attempts or max(planned, min(asked or 0, longest_wait(rules))) >= remaining


# ── giving up ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "patterns", "because"),
    [
        (404, ("4xx", "!408", "!429"), "the policy gives up on status 404 (4xx, !408, !429)"),
        (429, ("4xx", "!408", "!429"), None),
        (408, ("4xx", "!408", "!429"), None),
        (503, ("4xx", "!408", "!429"), None),
        (200, ("200",), "the policy gives up on status 200 (200)"),
        (410, ("!5xx",), "the policy gives up on status 410 (!5xx)"),
        (503, ("!5xx",), None),
        (None, ("4xx", "5xx"), None),
        (None, ("!5xx",), None),
        (404, (), None),
    ],
)
def test_a_status_on_the_list_ends_the_round_at_once(
    status: int | None, patterns: tuple[str, ...], because: str | None
) -> None:
    made = step(policy(give_up_on=patterns), status=status)
    assert made == (GiveUp(because) if because else Again(5))


@pytest.mark.parametrize(
    ("most", "number", "made"),
    [
        (1, 1, GiveUp("its only attempt is used")),
        (2, 1, Again(5)),
        (2, 2, GiveUp("all 2 attempts are used")),
        (2, 3, GiveUp("all 2 attempts are used")),
        (100, 99, Again(100)),
        (100, 100, GiveUp("all 100 attempts are used")),
    ],
)
def test_a_round_makes_no_more_than_its_attempts(most: int, number: int, made: Again | GiveUp) -> None:
    assert step(policy(max_attempts=most), number=number) == made


@pytest.mark.parametrize(
    ("remaining", "asked", "wait"),
    [
        (5.1, None, 5),
        (5, None, None),
        (0, None, None),
        (-1, None, None),
        (60, 50, 50),
        (60, 59, 55),
        (60, 600, 55),
        (8, 600, 5),
    ],
)
def test_no_try_is_planned_at_or_after_the_deadline(remaining: float, asked: float | None, wait: float | None) -> None:
    made = step(policy(deadline=2_592_000), remaining=remaining, retry_after=asked)
    late = GiveUp("the next try would come after the deadline of 2592000 s")
    assert made == (late if wait is None else Again(wait))


# ── where to wait ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wait", "in_flight", "where"),
    [
        (0, 0, Place.HIDDEN),
        (42_300, 0, Place.HIDDEN),
        (42_300, 99, Place.HIDDEN),
        (42_300.1, 0, Place.PARKED),
        (86_400, 0, Place.PARKED),
        (0, 100, Place.DELAYED),
        (900, 100, Place.DELAYED),
        (900, 101, Place.DELAYED),
        (900.1, 100, Place.PARKED),
        (42_300, 100, Place.PARKED),
    ],
)
def test_a_task_waits_where_the_limits_of_sqs_allow(wait: float, in_flight: int, where: Place) -> None:
    assert place(wait, in_flight=in_flight, limit=100) is where


@pytest.mark.parametrize(
    ("wait", "where"),
    [(0, Place.DELAYED), (900, Place.DELAYED), (900.1, Place.HIDDEN), (42_300, Place.HIDDEN), (42_301, Place.PARKED)],
)
def test_a_message_with_a_turn_of_a_rate_is_replaced_unless_the_wait_is_too_long_for_a_delay(
    wait: float, where: Place
) -> None:
    assert place(wait, in_flight=0, limit=100, spent=True) is where


# ── a whole round ────────────────────────────────────────────────────────────────────────────────


def read(retry: Json) -> Policy:
    submitted = {"url": "https://partner.example/", "retry": retry}
    return submission.read(submitted, SETTINGS, AnyAddress(), NOON).retry


@dataclass(frozen=True, kw_only=True)
class Failed:
    """What happened to an attempt: what came back, what the receiver asked for, how long it took; and how many
    messages were in flight by then, of which there may be two."""

    status: int | None
    retry_after: float | None
    seconds: float
    in_flight: int


FAILURES = st.builds(
    Failed,
    status=st.none() | st.integers(100, 599),
    retry_after=st.none() | st.floats(0, 1e6) | st.integers(0, 7200),
    seconds=st.floats(0, 60),
    in_flight=st.integers(0, 3),
)


@share(2)
@given(RETRIES.filter(lambda retry: "preset" not in retry), st.lists(FAILURES, min_size=1, max_size=5), st.integers())
def test_a_round_keeps_to_its_policy_from_its_first_try_to_its_last(
    retry: Json, failures: list[Failed], seed: int
) -> None:
    rules, random, now = read(retry), Random(seed), 0.0
    for number, failure in enumerate(cycle(failures), 1):
        assert number <= rules.max_attempts
        assert now < rules.deadline, "no attempt begins at its deadline or after it"
        now += failure.seconds
        facts = {"number": number, "status": failure.status, "retry_after": failure.retry_after, "random": random}
        made = step(rules, remaining=rules.deadline - now, **facts)
        least, most = wait_after(retry, number) * (1 - rules.jitter), wait_after(retry, number) * (1 + rules.jitter)
        if isinstance(made, GiveUp):
            gives_up = failure.status is not None and counts(failure.status, rules.give_up_on)
            assert gives_up or number == rules.max_attempts or now + most >= rules.deadline
            break
        asked = min(failure.retry_after or 0, max(3600, own_longest_wait(retry)), rules.deadline - now - 5)
        assert max(least, asked) - 1e-6 <= made.wait <= max(most, asked) + 1e-6
        check_place(made.wait, failure.in_flight)
        now += made.wait


TWELVE_HOURS, QUARTER_OF_AN_HOUR = 43_200, 900
"""Seconds: how long SQS hides a message, in all, and how long it delays one."""


def check_place(wait: float, in_flight: int) -> None:
    """In its own message where SQS hides it for so long, and there is room; else in a new one, or in none."""
    where = place(wait, in_flight=in_flight, limit=2)
    assert (where is Place.HIDDEN) == (wait <= TWELVE_HOURS - QUARTER_OF_AN_HOUR and in_flight < 2)
    assert (where is Place.DELAYED) == (wait <= QUARTER_OF_AN_HOUR and in_flight >= 2)


@given(st.integers(0, 2**31), st.floats(0, 4e9))
def test_a_date_is_as_many_seconds_away_as_the_clock_says(at: int, now: float) -> None:
    assert retry_after(formatdate(at, usegmt=True), now) == max(0, at - now)


@given(st.integers(0, 10**9), st.sampled_from(["{}", " {} ", "00{}", "{}\t"]))
def test_seconds_are_taken_at_their_word(seconds: int, written: str) -> None:
    assert retry_after(written.format(seconds), NOON) == seconds
