"""Every claim of a task's life shows in its history, whatever became of it."""

from collections.abc import Sequence

import pytest

from chalicelib import life
from chalicelib.task import Attempt, Expectation, Policy, Request, Status, Task, Verdict, evolve

REQUEST = Request(
    url="https://a.example/",
    expect=Expectation(),
    retry=Policy(max_attempts=9, backoff="fixed", initial=1, deadline=3600),
    timeout=10,
)


def task(fence: int, number: int, round_: int = 1, *, lease_until: float = 0, last: Attempt | None = None) -> Task:
    begun = life.begin(REQUEST, task_id="t", caller="c", digest="d", now=1000, grace=600)
    times = {"claimed_at": 1000.0 + fence, "claimed_before": 999.0 + fence} if fence else {}
    return evolve(
        begun, fence=fence, number=number, round=round_, lease_until=lease_until, last=last, ticket=round_, **times
    )


def failed(fence: int, number: int, round_: int = 1) -> Attempt:
    return Attempt(number=number, round=round_, fence=fence, started_at=1000.0 + fence, verdict=Verdict.FAILED)


def shown(attempts: Sequence[Attempt]) -> list[str]:
    return [f"{a.fence}: round {a.round} number {a.number} {a.verdict}" for a in attempts]


@pytest.mark.parametrize(
    ("now", "kept", "expected"),
    [
        pytest.param(task(0, 0), [], [], id="nothing yet"),
        pytest.param(task(1, 1, lease_until=2000), [], ["1: round 1 number 1 None"], id="the first one runs"),
        pytest.param(task(1, 1), [], ["1: round 1 number 1 interrupted"], id="its process is dead"),
        pytest.param(task(1, 1, last=failed(1, 1)), [], ["1: round 1 number 1 failed"], id="only the last one"),
        pytest.param(
            task(1, 1, last=failed(1, 1)), [failed(1, 1)], ["1: round 1 number 1 failed"], id="kept, and the last one"
        ),
        pytest.param(
            task(3, 3, last=failed(3, 3)),
            [failed(2, 2), failed(1, 1)],
            ["1: round 1 number 1 failed", "2: round 1 number 2 failed", "3: round 1 number 3 failed"],
            id="oldest first, in whatever order they were kept",
        ),
        pytest.param(
            task(4, 4, last=failed(4, 4)),
            [failed(1, 1)],
            [
                "1: round 1 number 1 failed",
                "2: round 1 number 2 interrupted",
                "3: round 1 number 3 interrupted",
                "4: round 1 number 4 failed",
            ],
            id="a gap of two",
        ),
        pytest.param(
            task(3, 0, 2, last=failed(3, 3)),
            [failed(1, 1)],
            ["1: round 1 number 1 failed", "2: round 1 number 2 interrupted", "3: round 1 number 3 failed"],
            id="a gap in the round before, nothing yet in this one",
        ),
        pytest.param(
            task(5, 3, 2, lease_until=2000, last=failed(2, 2)),
            [failed(1, 1)],
            [
                "1: round 1 number 1 failed",
                "2: round 1 number 2 failed",
                "3: round 2 number 1 interrupted",
                "4: round 2 number 2 interrupted",
                "5: round 2 number 3 None",
            ],
            id="gaps at the beginning of a round, and one runs",
        ),
    ],
)
def test_the_history_has_every_claim(now: Task, kept: list[Attempt], expected: list[str]) -> None:
    assert shown(life.history(now, kept)) == expected


def test_a_final_task_has_no_attempt_that_still_runs() -> None:
    cancelled = evolve(task(1, 1, lease_until=2000), status=Status.CANCELLED)
    assert shown(life.history(cancelled, [])) == ["1: round 1 number 1 interrupted"]


def test_the_task_still_knows_when_its_two_newest_claims_began() -> None:
    assert [attempt.started_at for attempt in life.history(task(3, 3), [])] == [None, 1002, 1003]


def test_an_interrupted_attempt_says_so_and_one_that_runs_does_not() -> None:
    interrupted, running = life.history(task(2, 2, lease_until=2000), [])
    assert (interrupted.kind, bool(interrupted.reason)) == ("interrupted", True)
    assert (running.kind, running.reason) == (None, None)
