"""The verdict must find whatever is wrong: evidence that is right, spoilt in each way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.verdict import PROMISES, Act, Evidence, Seen, Told, is_settled, judge

BREAK = {"verdict": "interrupted", "kind": "interrupted", "status_code": None}
FAIL = {"verdict": "failed", "kind": "reply", "status_code": 503}
DONE = {"verdict": "delivered", "kind": None, "status_code": 200}


def shown(task_id: str, status: str, *attempts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A task of one round, as the API shows it."""
    numbered = [{"round": 1, "number": number, **attempt} for number, attempt in enumerate(attempts, 1)]
    plain = {"task_id": task_id, "status": status, "round": 1, "max_attempts": 3, "notices": [], "audit": []}
    return {**plain, "attempts": numbered, **changes}


def right() -> Evidence:
    """Four tasks: delivered after one that died, exhausted and told, cancelled, cancelled and delivered when resent."""
    again = [{"round": 1, "number": 1, **BREAK}, {"round": 2, "number": 1, **DONE}]
    tasks = [
        shown("a", "delivered", FAIL, BREAK, DONE),
        shown("e", "exhausted", FAIL, FAIL, FAIL, notices=[{"round": 1, "status": "delivered", "tries": 2}]),
        shown("c", "cancelled", BREAK, audit=[{"action": "cancel"}]),
        shown("r", "delivered", round=2, audit=[{"action": "cancel"}, {"action": "resend"}]) | {"attempts": again},
    ]
    return Evidence(
        accepted=frozenset("aecr"),
        listed=frozenset("aecr"),
        shown={task["task_id"]: task for task in tasks},
        seen=[
            Seen("a", 1, 1, began=0, ended=1, status=503),
            Seen("a", 1, 2, began=2, ended=3, status=200),
            Seen("a", 1, 3, began=3, ended=4, status=200),
            *(Seen("e", 1, number, began=number, ended=number + 0.5, status=503) for number in (1, 2, 3)),
            Seen("c", 1, 1, began=0, ended=1, status=None),
            Seen("r", 1, 1, began=0, ended=1, status=None),
            Seen("r", 2, 1, began=5, ended=6, status=200),
        ],
        told=[Told("e", 1), Told("e", 1)],
        acts=[Act("cancel", "c", 1), Act("cancel", "r", 1), Act("resend", "r", 2), Act("deliver-now", "a", None)],
        totals={
            "accepted": 4, "pending": 0, "retrying": 0, "delivered": 2, "exhausted": 1, "cancelled": 1,
            "failed_attempts": 4,
        },
        answers={200: 9, 202: 4, 503: 1},
    )  # fmt: skip


Spoil = Callable[[Evidence], Evidence]


def without(task_id: str) -> Spoil:
    return lambda it: replace(it, shown={key: task for key, task in it.shown.items() if key != task_id})


def task(task_id: str, **changes: Any) -> Spoil:
    return lambda it: replace(it, shown={**it.shown, task_id: {**it.shown[task_id], **changes}})


def attempt(task_id: str, place: int, **changes: Any) -> Spoil:
    def spoil(it: Evidence) -> Evidence:
        attempts = [dict(one) for one in it.shown[task_id]["attempts"]]
        attempts[place] |= changes
        return task(task_id, attempts=attempts)(it)

    return spoil


def request(which: tuple[str, int, int], **changes: Any) -> Spoil:
    return lambda it: replace(it, seen=[replace(one, **changes) if one.which == which else one for one in it.seen])


def more(*requests: Seen) -> Spoil:
    return lambda it: replace(it, seen=[*it.seen, *requests])


def told(*notices: Told) -> Spoil:
    return lambda it: replace(it, told=notices)


SPOILT: list[tuple[str, Spoil, str]] = [
    ("lost", without("a"), "a was accepted and is not there"),
    ("lost", task("a", status="retrying"), "a is still retrying"),
    ("lost", lambda it: replace(it, listed=frozenset("aec")), "r is not in the list"),
    ("exhausted and nobody told", told(), "e is exhausted, and the robot does not know"),
    ("exhausted and nobody told", told(Told("e", 2)), "e is exhausted, and the robot"),
    ("exhausted and nobody told", task("e", notices=[]), "its notice does not say so"),
    (
        "exhausted and nobody told",
        task("e", notices=[{"round": 1, "status": "failed", "tries": 10}]),
        "its notice does not say so",
    ),
    ("told more often than tried", told(*[Told("e", 1)] * 3), "e was told 3 times in round 1, in 2 tries"),
    (
        "recorded otherwise than the receiver saw",
        lambda it: replace(it, seen=[one for one in it.seen if one.which != ("a", 1, 3)]),
        "a round 1 attempt 3 is delivered, and the witness did not take it",
    ),
    (
        "recorded otherwise than the receiver saw",
        request(("e", 1, 2), status=200),
        "e round 1 attempt 2 recorded status 503; the witness says 200",
    ),
    ("recorded otherwise than the receiver saw", request(("r", 2, 1), status=503), "recorded status 200"),
    ("sent or shown, and never recorded or accepted", more(Seen("x", 1, 1, 0, 1, 200)), "x round 1 attempt 1"),
    (
        "sent or shown, and never recorded or accepted",
        lambda it: replace(it, listed=it.listed | {"x"}),
        "x is in the list, and was not accepted",
    ),
    ("overlapping attempts", request(("a", 1, 2), ended=3.5), "a round 1 attempt 3 began 0.500 s before"),
    ("overlapping attempts", request(("r", 1, 1), ended=float("inf")), "r round 2 attempt 1 began"),
    ("overlapping attempts", request(("e", 1, 1), ended=3.2), "e round 1 attempt 3 began 0.200 s before"),
    ("attempt numbers with gaps, or twice", attempt("a", 1, number=5), "a has attempts [1, 5, 3] in round 1"),
    ("attempt numbers with gaps, or twice", attempt("a", 1, number=1), "a has attempts [1, 1, 3] in round 1"),
    ("attempt numbers with gaps, or twice", more(Seen("a", 1, 1, 9, 10, 503)), "a round 1 attempt 1 was sent 2"),
    ("more attempts than allowed", task("a", max_attempts=2), "a has 3 attempts in round 1; 2 are allowed"),
    ("more attempts than allowed", lambda it: task("a", max_attempts=2)(replace(it, seen=it.seen[3:])), "a has 3"),
    ("more attempts than allowed", more(Seen("e", 1, 4, 9, 10, 503)), "e has 4 attempts in round 1"),
    ("duplicates without an explanation", attempt("a", 1, **FAIL), "a round 1 attempt 2 was taken, beside another"),
    ("duplicates without an explanation", attempt("a", 1, **DONE), "a round 1 attempt 2 was taken, beside another"),
    ("duplicates without an explanation", more(Seen("a", 1, 4, 9, 10, 200)), "a round 1 attempt 4 was taken"),
    ("acts of the clerk undone", task("c", status="delivered"), "c does not show the cancel of round 1"),
    ("acts of the clerk undone", task("r", round=1), "r does not show the resend of round 2"),
    ("acts of the clerk undone", task("c", audit=[]), "c: cancel was asked for 1 times, done 1, audited 0"),
    ("acts of the clerk undone", lambda it: replace(it, acts=it.acts[:2]), "r: resend was asked for 0 times"),
    ("acts of the clerk undone", without("c"), "c does not show the cancel of round 1"),
    ("totals that do not add up", lambda it: replace(it, totals={**it.totals, "accepted": 5}), "accepted is 4"),
    (
        "totals that do not add up",
        lambda it: replace(it, totals={**it.totals, "failed_attempts": 3}),
        "failed_attempts",
    ),
    ("totals that do not add up", lambda it: replace(it, totals={**it.totals, "pending": 1}), "pending is 0"),
    ("faults of our own", lambda it: replace(it, answers={**it.answers, 500: 2}), "2 answers of 500"),
    ("faults of our own", lambda it: replace(it, faults={"message.failed": 1}), "1 times message.failed in the log"),
]
"""The promise, what breaks it, and what the verdict must say."""


def test_evidence_that_is_right_breaks_no_promise() -> None:
    report = judge(right())
    assert report.broken == {}
    assert report.figures["tasks accepted"] == 4
    assert report.figures["of them interrupted"] == 3
    assert report.figures["of them a second time"] == 1


@pytest.mark.parametrize(("promise", "spoil", "said"), SPOILT)
def test_evidence_that_is_wrong_is_found_and_named(promise: str, spoil: Spoil, said: str) -> None:
    report = judge(spoil(right()))
    assert any(said in breach for breach in report.broken[promise]), report.broken
    assert said in str(report)


def test_every_promise_is_one_that_some_evidence_breaks() -> None:
    assert {promise for promise, _, _ in SPOILT} == PROMISES.keys()


def test_what_was_taken_twice_is_counted_with_its_reason() -> None:
    assert judge(right()).duplicates == {"it was taken, and the attempt was cut off before that was recorded": 1}
    late = attempt("a", 1, verdict="failed", kind="read_timeout", status_code=None)(right())
    assert judge(late).duplicates == {"the reply came too late": 1}


def test_a_single_reply_that_nobody_recorded_is_no_duplicate() -> None:
    report = judge(request(("c", 1, 1), status=200)(right()))
    assert not report.broken
    assert sum(report.duplicates.values()) == 1, "only that of the other task"


TWO_CHANNELS = ("delivered", "pending")


@pytest.mark.parametrize(
    ("spoil", "settled"),
    [
        (task("a"), True),
        (task("a", status="pending"), False),
        (task("a", status="exhausted"), False),
        (task("a", status="exhausted", notices=[{"round": 1, "status": "delivered", "tries": 1}]), True),
        (task("a", status="exhausted", notices=[{"round": 1, "status": "pending", "tries": 1}]), False),
        (task("a", status="exhausted", notices=[{"round": 1, "status": it, "tries": 1} for it in TWO_CHANNELS]), False),
        (task("a", status="exhausted", round=2, notices=[{"round": 1, "status": "delivered", "tries": 1}]), False),
    ],
)
def test_a_task_is_settled_when_it_is_final_and_an_exhausted_one_is_told(spoil: Spoil, settled: bool) -> None:
    assert is_settled(spoil(right()).shown["a"]) is settled
