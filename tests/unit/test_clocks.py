"""A clock that was ahead for a moment: what it has stored freezes nothing for long."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import ledger, life
from chalicelib.clocks import TOLERANCE_SECONDS, is_ahead
from chalicelib.database_file import MEMORY
from chalicelib.delivery.target import Go, Turn, admit, invite
from chalicelib.embedded import open_embedded
from chalicelib.ledger import DAY, Ledger, Recount
from chalicelib.notify.channels import KINDS
from chalicelib.notify.notify import sane
from chalicelib.notify.pace import resting, told, wait_for
from chalicelib.ports import Message, Queue
from chalicelib.settings import load
from chalicelib.task import Breaker, Gate, Held, Notice, Robot, Status, Target, Verdict, evolve
from tests.contract import samples
from tests.contract.backends import FakeClock
from tests.unit.makers import GRACE, LEASE, NOON, RETENTION, claimed, failed, task

AHEAD = 60 * DAY
"""Seconds by which a clock was ahead, for a moment."""


@pytest.mark.parametrize(("moment", "ahead"), [(NOON + 60 + TOLERANCE_SECONDS, False), (NOON + 961, True)])
def test_a_moment_is_of_a_wrong_clock_beyond_all_that_a_right_one_writes(moment: float, ahead: bool) -> None:
    assert is_ahead(moment, NOON, 60) is ahead


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────


def test_a_lease_of_a_clock_that_was_ahead_is_over_a_lease_after_the_reconciler_has_looked() -> None:
    owned = claimed(task(), at=NOON + AHEAD)
    watched = life.watch(owned, now=NOON, lease=LEASE)
    assert (watched.lease_until, watched.wake_at) == (NOON + LEASE, NOON + LEASE)
    assert life.refusal(watched, watched.ticket, NOON + LEASE) is None


def test_a_lease_of_a_clock_that_is_a_little_ahead_stands() -> None:
    owned = claimed(task(), at=NOON + 300)
    assert life.watch(owned, now=NOON, lease=LEASE).lease_until == owned.lease_until


def test_a_wait_that_a_clock_that_was_ahead_has_begun_begins_now() -> None:
    wrong = NOON + AHEAD
    owned = claimed(task(), at=NOON)
    waiting = life.retry_later(owned, failed(owned, wait=3600), now=wrong, grace=GRACE, parked=True)
    again = life.rebase(waiting, now=NOON)
    assert (again.due_at, again.wake_at) == (NOON + 3600, NOON + 3600 - life.LOOKAHEAD)
    assert again.deadline_at == waiting.deadline_at


def test_a_task_accepted_by_a_clock_that_was_ahead_is_due_now() -> None:
    begun = evolve(task(), created_at=NOON + AHEAD, updated_at=NOON + AHEAD, round_started_at=NOON + AHEAD)
    begun = evolve(begun, due_at=NOON + AHEAD, wake_at=NOON + AHEAD + GRACE)
    again = life.rebase(begun, now=NOON)
    assert (again.due_at, again.round_started_at, again.wake_at) == (NOON, NOON, NOON + GRACE)


def test_a_task_that_was_put_off_to_a_moment_stays_where_it_was_put() -> None:
    put_off = evolve(task(), updated_at=NOON + 7200, due_at=NOON + DAY, wake_at=NOON + DAY - 300)
    again = life.rebase(put_off, now=NOON)
    assert again.due_at == NOON + DAY


def test_a_task_put_off_by_a_clock_that_was_ahead_is_parked_and_its_message_is_of_no_use() -> None:
    wrong = NOON + AHEAD
    woken = life.wake(evolve(task(), updated_at=wrong, due_at=wrong + 899), now=wrong, grace=GRACE)
    again = life.rebase(woken, now=NOON)
    assert (again.due_at, again.wake_at) == (wrong + 899, wrong + 899 - life.LOOKAHEAD)
    assert isinstance(life.refusal(again, woken.ticket, NOON), life.Stale)


def test_a_delay_that_a_clock_that_was_ahead_has_begun_begins_now() -> None:
    wrong = NOON + AHEAD
    delayed = evolve(task(), request=evolve(task().request, delay=899), updated_at=wrong, due_at=wrong + 899)
    again = life.rebase(evolve(delayed, wake_at=wrong + 899 + GRACE), now=NOON)
    assert (again.due_at, again.wake_at) == (NOON + 899, NOON + 899 + GRACE)


def test_a_task_in_line_that_was_put_off_by_a_clock_that_was_ahead_is_looked_after_as_before() -> None:
    wrong = NOON + AHEAD
    behind = evolve(task(), updated_at=wrong, due_at=wrong + 899, behind=True, wake_at=NOON + GRACE)
    again = life.rebase(behind, now=NOON)
    assert (again.ticket, again.wake_at) == (behind.ticket, NOON + GRACE)


def test_a_round_of_a_bulk_resend_is_planned_again_with_the_wait_of_its_rate() -> None:
    ended = life.cancel(task(), now=NOON, retention=RETENTION)
    resent = life.resend(ended, ended.request, now=NOON + AHEAD, grace=GRACE, due_at=NOON + AHEAD + 90)
    again = life.rebase(resent, now=NOON + 60)
    assert again.due_at == again.round_started_at == NOON + 150
    assert again.wake_at is not None
    assert NOON + 150 < again.wake_at <= NOON + 150 + GRACE


def test_a_task_that_a_clock_that_was_ahead_has_woken_is_looked_after_now() -> None:
    woken = life.wake(task(), now=NOON + AHEAD, grace=GRACE)
    assert life.is_planned_ahead(woken, NOON)
    assert life.rebase(woken, now=NOON).wake_at == NOON
    assert not life.is_planned_ahead(life.wake(task(), now=NOON, grace=GRACE), NOON)


# ── targets ──────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_a_clock_that_was_ahead_has_held_is_due_when_it_is_released() -> None:
    ahead = NOON + 100 * DAY
    resent = life.resend(evolve(task(), status=Status.EXHAUSTED), task().request, now=ahead, grace=GRACE)
    held = life.hold(resent, Held.PAUSED, now=ahead)
    free = life.release(held, now=NOON, at=NOON, grace=GRACE)
    assert (free.due_at, free.round_started_at) == (NOON, NOON)
    assert free.wake_at is not None
    assert free.wake_at <= NOON + GRACE


@pytest.mark.parametrize(
    ("limits", "gate"),
    [
        ({"max_concurrency": 1}, Gate(inside={"other": int(NOON + AHEAD)})),
        ({"rate_per_second": 0.1}, Gate(next_at=NOON + AHEAD)),
    ],
)
def test_a_target_is_not_shut_by_a_clock_that_was_ahead(limits: dict[str, Any], gate: Gate) -> None:
    it = Target(name="t", **limits)
    assert admit(it, gate, who="a", turn=None, now=NOON, lease=LEASE)[1] == Go(entered=True)
    assert invite(it, gate, ["a"], now=NOON)[1] == {"a": NOON}


def test_a_breaker_is_half_open_once_the_clock_that_opened_it_was_ahead() -> None:
    breaker = Breaker(failure_share=0.5, window=60, least_attempts=4, open_seconds=30)
    it = Target(name="t", breaker=breaker)
    gate = Gate(opened_at=NOON + AHEAD, open_until=NOON + AHEAD + 30, probe="other", probe_until=NOON + AHEAD)
    gate, admitted = admit(it, gate, who="a", turn=None, now=NOON, lease=LEASE)
    assert (admitted, gate.probe) == (Go(entered=True), "a")


def test_turns_that_are_given_a_little_ahead_stand() -> None:
    it = Target(name="t", rate_per_second=1)
    assert admit(it, Gate(next_at=NOON + 5), who="a", turn=None, now=NOON, lease=LEASE)[1] == Turn(NOON + 5)


# ── robots and notices ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("robot", [{"busy_until": NOON + AHEAD}, {"rests_until": NOON + AHEAD}])
def test_a_robot_is_told_though_a_clock_that_was_ahead_has_let_it_rest(robot: dict[str, float]) -> None:
    it, pace = Robot(robot_id="r", **robot), KINDS["slack"].pace  # type: ignore[arg-type]
    assert wait_for(it, pace, NOON) == 0
    assert told(it, pace, NOON).busy_until == NOON + pace.every


def test_a_long_rest_of_a_robot_stands() -> None:
    robot = resting(Robot(robot_id="r"), NOON + 9 * 3600)
    assert wait_for(robot, KINDS["slack"].pace, NOON) == 9 * 3600


def test_a_notice_is_due_though_a_clock_that_was_ahead_has_put_it_off() -> None:
    it: Notice = samples.notice(at=NOON + AHEAD, lease_until=NOON + AHEAD)
    assert (sane(it, NOON).due_at, sane(it, NOON).lease_until) == (NOON, 0)
    right = evolve(it, due_at=NOON + 9 * 3600, lease_until=NOON + 30)
    assert sane(right, NOON) == right


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def test_a_message_is_received_though_a_clock_that_was_ahead_has_delayed_it() -> None:
    clock = FakeClock(NOON + AHEAD)
    _, queues = open_embedded(MEMORY, load({}), clock)
    queues.send(Queue.TASKS, Message("t", 1), group="g", delay=60)
    clock.at = NOON
    [received] = queues.receive(Queue.TASKS)
    assert received.body == '{"task_id":"t","ticket":1}'
    assert queues.receive(Queue.TASKS) == [], "and then it is hidden as any other"


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────


def found(now: float, last: Ledger | None, retention: float = RETENTION, *, gap: int = 0) -> Ledger:
    since = ledger.opens(last, retention=retention, now=now)
    book = Ledger(
        since=since,
        until=now,
        retention=retention,
        entered=5 + gap,
        beside=0,
        standing={Status.PENDING: 5},
        checked_at=now,
    )
    return ledger.close(last, book)


def test_a_check_by_a_clock_that_was_ahead_does_not_count() -> None:
    first = found(NOON, None)
    wrong = found(NOON + AHEAD, first)
    again = found(NOON + 300, wrong, gap=1)
    assert wrong.since > NOON > again.since == first.since
    assert again.balanced_at == NOON + 300, "no moment of the future is kept"


def test_a_book_that_was_opened_for_a_longer_retention_is_not_opened_earlier_by_such_a_check() -> None:
    raised = found(NOON, found(NOON - DAY, None, DAY), RETENTION)
    wrong = found(NOON + AHEAD, raised)
    assert found(NOON + 300, wrong).since == raised.since == raised.raised_since


def test_a_retention_that_a_clock_that_was_ahead_has_seen_raised_opens_a_book_now() -> None:
    wrong = found(NOON + AHEAD, found(NOON, None, DAY), RETENTION)
    again = found(NOON + 300, wrong)
    assert again.since == (NOON // DAY + 1) * DAY == again.raised_since
    assert found(NOON + 600, again).since == again.since


@pytest.mark.parametrize(("until", "rests"), [(NOON + 60, True), (NOON + DAY, True), (NOON + AHEAD, False)])
def test_no_recount_rests_for_longer_than_a_day(until: float, rests: bool) -> None:
    assert ledger.rests(Recount(rests_until=until), NOON) is rests


def test_a_recount_that_a_clock_that_was_ahead_has_begun_is_not_gone_on_with() -> None:
    page = ledger.add(ledger.begin(NOON + AHEAD), [("pending", NOON)], ("id", "task"))
    assert not ledger.goes_on(page, NOON)
    assert ledger.goes_on(ledger.add(ledger.begin(NOON), [], ("id", "task")), NOON + 60)


def test_a_delivered_attempt_is_recorded_though_its_lease_was_shortened() -> None:
    owned = claimed(task(), at=NOON + AHEAD)
    watched = life.watch(owned, now=NOON, lease=LEASE)
    ended = life.delivered(watched, evolve(failed(owned), verdict=Verdict.DELIVERED), now=NOON, retention=RETENTION)
    assert ended.status is Status.DELIVERED
