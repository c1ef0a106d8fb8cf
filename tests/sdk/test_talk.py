"""How a client goes about it: what it sends again, how long it waits, when it gives up. Nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kkbida import Changes, LockedOut, NotFinalYet, Patience, Task, Unavailable, Unintelligible, Unreachable, operations
from kkbida.credentials import Nobody
from kkbida.errors import Conflict, Forbidden, IdempotencyConflict, InvalidRequest, NotFound, Refused, Unauthorized
from kkbida.operations import Operation
from kkbida.talk import Outcome, Send, Sleep, Speaker, Talk, World, asked_to_wait
from kkbida.wire import Reply, Request
from tests.sdk.conftest import shown_task, whole_task

NOON = 1_764_590_400.0
LOST = Unreachable("the connection broke")
NEVER_SENT = Unreachable("nobody listens", never_sent=True)
TASK = Task("https://partner.example/callback")
SUBMIT = operations.submit(TASK)
CANCEL = operations.cancel("id-1")


def said(status: int, body: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, b"" if body is None else json.dumps(body).encode())


ACCEPTED = said(202, shown_task())
DEEP = b"[" * 100_000
DOWN = said(503, {"code": "unavailable", "detail": "the store is away"})


@dataclass
class Stage:
    """Plays a talk: the outside answers in turn, and with the last answer for ever; time passes by sleeping only."""

    patience: Patience = field(default_factory=Patience)
    sending_takes: float = 0
    at: float = 0
    sent: list[Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    @property
    def speaker(self) -> Speaker:
        world = World(now=lambda: NOON + self.at, passed=lambda: self.at, chance=lambda: 0.0, nonce=lambda: "n")
        return Speaker("", Nobody(), self.patience, world)

    def play(self, talk: Talk[Any], *answers: Outcome) -> Any:
        left, outcome = list(answers), None
        while True:
            try:
                step = talk.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = self.take(step, left)

    def take(self, step: Send | Sleep, left: list[Outcome]) -> Outcome | None:
        if isinstance(step, Sleep):
            self.slept.append(step.seconds)
            self.at += step.seconds
            return None
        self.sent.append(step.request)
        self.at += self.sending_takes
        return left.pop(0) if len(left) > 1 else left[0]

    def perform(self, operation: Operation[Any], *answers: Outcome) -> Any:
        return self.play(self.speaker.perform(operation), *answers)


# ── again, or not ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trouble", [LOST, NEVER_SENT, *(said(status) for status in (429, 502, 503, 504))])
def test_a_submission_is_sent_again_until_it_is_taken(trouble: Outcome) -> None:
    stage = Stage()
    task = stage.perform(SUBMIT, trouble, trouble, trouble, ACCEPTED)
    assert task.task_id == shown_task()["task_id"]
    assert stage.slept == [0.25, 0.5, 1]
    assert {it.headers["idempotency-key"] for it in stage.sent} == {TASK.idempotency_key}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 500, 501])
def test_what_is_refused_is_not_sent_again(status: int) -> None:
    stage = Stage()
    with pytest.raises(Refused):
        stage.perform(SUBMIT, said(status, {"code": "x"}), ACCEPTED)
    assert (len(stage.sent), stage.slept) == (1, [])


@pytest.mark.parametrize("operation", [CANCEL, operations.deliver_now("i"), operations.resend("i", Changes())])
def test_what_must_not_be_done_twice_is_sent_again_only_if_it_was_not_done(operation: Operation[Any]) -> None:
    for certain in (NEVER_SENT, said(429)):
        stage = Stage()
        stage.perform(operation, certain, ACCEPTED)
        assert len(stage.sent) == 2
    for doubtful, raised in ((LOST, Unreachable), (said(502), Unavailable), (said(503), Unavailable)):
        stage = Stage()
        with pytest.raises(raised):
            stage.perform(operation, doubtful, ACCEPTED)
        assert len(stage.sent) == 1


def test_it_gives_up_when_the_next_try_would_begin_too_late() -> None:
    stage = Stage(Patience(total=10, first=1, factor=2, most=4), sending_takes=0.5)
    with pytest.raises(Unavailable) as raised:
        stage.perform(SUBMIT, DOWN)
    assert stage.slept == [1, 2, 4]  # the next would begin after 0.5 * 4 + 7 + 4 seconds
    assert (raised.value.code, raised.value.detail) == ("unavailable", "the store is away")


def test_patience_of_nothing_tries_once() -> None:
    stage = Stage(Patience(total=0))
    with pytest.raises(Unreachable):
        stage.perform(SUBMIT, NEVER_SENT)
    assert len(stage.sent) == 1


def test_it_waits_as_long_as_it_is_asked_to_and_not_beyond_its_patience() -> None:
    stage = Stage(Patience(total=60))
    stage.perform(SUBMIT, said(503, retry_after="7"), said(429, retry_after="0"), ACCEPTED)
    assert stage.slept == [7, 0.5]
    with pytest.raises(Unavailable):
        Stage(Patience(total=60)).perform(SUBMIT, said(503, retry_after="3600"), ACCEPTED)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("Mon, 01 Dec 2025 12:00:30 GMT", 30),
        ("Mon, 01 Dec 2025 11:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
        ("٣", 0),
    ],
)
def test_a_wait_may_be_asked_for_in_seconds_or_by_a_date(header: str, seconds: float) -> None:
    assert asked_to_wait(said(503, retry_after=header), NOON) == seconds


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 100), st.floats(0, 1))
def test_a_wait_is_within_its_bounds(tries: int, elapsed: float, asked: float, chance: float) -> None:
    wait = Patience(total=60).wait(tries, elapsed=elapsed, asked=asked, chance=chance)
    if wait is None:
        assert elapsed + max(asked, 10) >= 60
    else:
        assert max(asked, 0.125) <= wait <= max(asked, 10)
        assert elapsed + wait < 60


def test_a_login_that_is_locked_out_is_told_at_once() -> None:
    stage = Stage()
    with pytest.raises(LockedOut):
        stage.perform(operations.login("ann", "x"), said(429, {"code": "locked_out"}, retry_after="1"))
    assert stage.slept == []


# ── what a reply means ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (400, "invalid_request", InvalidRequest),
        (401, "signature_stale", Unauthorized),
        (403, "wrong_network", Forbidden),
        (404, "not_found", NotFound),
        (409, "idempotency_conflict", IdempotencyConflict),
        (409, "too_many", Conflict),
        (413, "too_large", InvalidRequest),
        (500, "internal_error", Refused),
        (418, "", Refused),
    ],
)
def test_a_problem_is_raised_by_its_kind_and_carries_all_that_was_said(
    status: int, code: str, raised: type[Refused]
) -> None:
    shown = {"status": status, "code": code, "detail": "so", "errors": [{"pointer": "/url", "detail": "is missing"}]}
    with pytest.raises(raised) as error:
        Stage().perform(SUBMIT, said(status, shown))
    problem = error.value
    assert type(problem) is raised
    assert (problem.status, problem.code, problem.detail, problem.shown) == (status, code, "so", shown)
    assert [(fault.pointer, fault.detail) for fault in problem.faults] == [("/url", "is missing")]
    assert "so; /url: is missing" in str(problem)


@pytest.mark.parametrize(
    "body", [b"<html>Bad Gateway</html>", b"", b"[]", b"\xff", b'"text"', b'{"errors": [1, {}]}', DEEP]
)
@pytest.mark.parametrize("status", [302, 401, 403, 404, 409, 418])
def test_a_refusal_by_something_in_between_is_not_taken_for_one_of_kkbidas(status: int, body: bytes) -> None:
    stage = Stage()
    headers = {"content-type": "text/html; charset=utf-8", "location": "https://login.example/"}
    with pytest.raises(Unintelligible) as error:
        stage.perform(SUBMIT, Reply(status, headers, body, "https://kkbida.example/v1/tasks"))
    assert (error.value.status, error.value.url, len(stage.sent)) == (status, "https://kkbida.example/v1/tasks", 1)
    said = str(error.value)
    assert f"https://kkbida.example/v1/tasks answered {status} with " in said
    assert ("text/html that begins" if body else "no body") in said
    assert ("a redirect to https://login.example/" in said) == (status == 302)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
def test_what_is_not_possible_just_now_in_between_is_sent_again(status: int) -> None:
    html = Reply(status, {"content-type": "text/html"}, b"<html>Bad Gateway</html>", "https://kkbida.example/v1/tasks")
    stage = Stage()
    stage.perform(SUBMIT, html, ACCEPTED)
    assert len(stage.sent) == 2
    with pytest.raises(Unavailable, match=r"https://kkbida\.example/v1/tasks answered .* text/html") as error:
        Stage(Patience(total=0)).perform(SUBMIT, html)
    assert (error.value.status, error.value.code) == (status, "")


@pytest.mark.parametrize("status", [413, 414, 431])
def test_what_is_too_large_for_something_in_between_is_refused(status: int) -> None:
    with pytest.raises(InvalidRequest, match="Request Too Long"):
        Stage().perform(SUBMIT, said(status, {"message": "Request Too Long"}))


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[]", b"null", b"{}", b'{"task_id": 1}', json.dumps(shown_task(created_at="x")).encode(), DEEP],
)
def test_a_good_status_with_anything_else_is_not_taken_for_an_acceptance(body: bytes) -> None:
    with pytest.raises(Unintelligible):
        Stage().perform(SUBMIT, Reply(202, {}, body))


def test_a_redirect_is_no_answer() -> None:
    with pytest.raises(Unintelligible, match=r"redirect to https://elsewhere\.example"):
        Stage().perform(SUBMIT, Reply(302, {"location": "https://elsewhere.example"}, b""))


def test_what_a_newer_kkbida_adds_is_passed_over_and_kept_as_shown() -> None:
    task = Stage().perform(SUBMIT, said(202, shown_task(novelty=1, status="frozen")))
    assert (task.status, task.is_final, task.shown["novelty"]) == ("frozen", False, 1)


# ── waiting for the end ──────────────────────────────────────────────────────────────────────────


def test_wait_looks_often_at_first_and_then_less_often() -> None:
    stage = Stage()
    answers = [said(200, whole_task())] * 14 + [said(200, whole_task(status="delivered"))]
    assert stage.play(stage.speaker.until_final("id-1", 300), *answers).status == "delivered"
    assert stage.slept[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert (max(stage.slept), len(stage.slept)) == (10, 14)


def test_wait_ends_in_time_and_tells_how_the_task_stands() -> None:
    stage = Stage()
    with pytest.raises(NotFinalYet) as raised:
        stage.play(stage.speaker.until_final("id-1", 1), said(200, whole_task(status="retrying", attempts_made=2)))
    assert sum(stage.slept) == pytest.approx(1)
    assert raised.value.task.attempts_made == 2
    assert isinstance(raised.value, TimeoutError)


# ── many ─────────────────────────────────────────────────────────────────────────────────────────


def results(*members: Any) -> Reply:
    return said(207, {"results": list(members)})


TAKEN = {"status": 202, "task": shown_task()}
AWAY = {"status": 503, "problem": {"code": "unavailable"}}
BAD = {"status": 400, "problem": {"code": "invalid_request", "errors": [{"pointer": "/url", "detail": "is missing"}]}}


def test_of_a_batch_only_what_could_not_be_taken_is_handed_over_again() -> None:
    stage, tasks = Stage(), [Task(f"https://partner.example/{number}") for number in range(3)]
    found = stage.play(stage.speaker.submit_all(tasks), results(AWAY, BAD, TAKEN), results(TAKEN))
    assert [it.task for it in found] == tasks
    assert [it.accepted is not None for it in found] == [True, False, True]
    with pytest.raises(InvalidRequest):
        _ = found[1].task_id
    first, second = (json.loads(it.body or b"")["tasks"] for it in stage.sent)
    assert [it["idempotency_key"] for it in first] == [it.idempotency_key for it in tasks]
    assert second == first[:1]


def test_a_batch_that_stays_away_is_told_as_such() -> None:
    stage = Stage(Patience(total=1))
    [found] = stage.play(stage.speaker.submit_all([TASK]), results(AWAY))
    assert isinstance(found.problem, Unavailable)


def test_many_tasks_go_a_hundred_at_a_time() -> None:
    stage = Stage()
    stage.play(
        stage.speaker.submit_all([TASK] * 250), results(*[TAKEN] * 100), results(*[TAKEN] * 100), results(*[TAKEN] * 50)
    )
    assert [len(json.loads(it.body or b"")["tasks"]) for it in stage.sent] == [100, 100, 50]


def test_no_tasks_are_no_request() -> None:
    stage = Stage()
    assert stage.play(stage.speaker.submit_all([]), ACCEPTED) == []
    assert stage.sent == []


def test_a_batch_with_too_few_answers_is_not_believed() -> None:
    stage = Stage()
    with pytest.raises(Unintelligible):
        stage.play(stage.speaker.submit_all([TASK, TASK]), results(TAKEN))


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


def body_of(operation: Operation[Any]) -> Any:
    return json.loads(operation.request("").body or b"null")


def test_only_what_was_given_is_sent() -> None:
    assert body_of(SUBMIT) == {"url": "https://partner.example/callback"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_refused_before_they_are_sent(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        operations.submit(Task("https://partner.example", body=number)).request("")


def test_a_moment_without_a_zone_is_refused() -> None:
    from datetime import datetime  # noqa: PLC0415 - nobody else here reads a clock

    with pytest.raises(ValueError, match="no time zone"):
        Task("https://partner.example", deliver_at=datetime(2026, 12, 1)).as_json()  # noqa: DTZ001 - that is the point


def test_a_moment_is_sent_in_utc() -> None:
    from datetime import datetime, timezone  # noqa: PLC0415 - as above

    at = datetime(2026, 12, 1, 16, tzinfo=timezone(timedelta(hours=8)))
    assert Task("https://partner.example", deliver_at=at).as_json()["deliver_at"] == "2026-12-01T08:00:00.000Z"


def test_two_tasks_have_two_keys_and_one_task_has_one() -> None:
    make: Callable[[], Task] = lambda: Task("https://partner.example")  # noqa: E731
    assert make().idempotency_key != make().idempotency_key
    assert make() == make()


def test_an_id_with_odd_characters_stays_one_segment_of_the_path() -> None:
    assert operations.get("../a b/c?d").request("/prod").path == "/prod/v1/tasks/..%2Fa%20b%2Fc%3Fd"
