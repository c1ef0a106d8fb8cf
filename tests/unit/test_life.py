"""Every way in which a task can change, and those in which it cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib import life
from chalicelib.errors import LostLease, WrongStatus
from chalicelib.life import LOOK_AGAIN, LOOKAHEAD, MOST_GRACE, NotYet, Spent, Stale
from chalicelib.ports import MOST_DELAY
from chalicelib.task import FINAL, TRANSITIONS, Attempt, Held, Request, Status, Task, Verdict, evolve
from tests.cases import share
from tests.unit.makers import GRACE, LEASE, NOON, RETENTION, claimed, failed, policy, request, task

LATER = NOON + 1000
ONE_TRY = request(retry=policy(max_attempts=1))


# Each change as the tests make it. A result is that of the attempt that owns the task, or the one of `by`.


def delivered(it: Task, by: Task | None = None) -> Task:
    won = failed(by or it, verdict=Verdict.DELIVERED, wait=None)
    return life.delivered(it, won, now=LATER, retention=RETENTION)


def hidden(it: Task, by: Task | None = None) -> Task:
    return life.retry_later(it, failed(by or it), now=LATER, grace=GRACE, parked=False)


def delayed(it: Task, by: Task | None = None) -> Task:
    return life.retry_later(it, failed(by or it), now=LATER, grace=GRACE, parked=False, renew=True)


def parked(it: Task, by: Task | None = None) -> Task:
    return life.retry_later(it, failed(by or it, wait=50_000), now=LATER, grace=GRACE, parked=True)


def exhausted(it: Task, by: Task | None = None) -> Task:
    lost = failed(by or it, wait=None)
    return life.exhausted(it, lost, "why", now=LATER, grace=GRACE, retention=RETENTION)


def spent(it: Task) -> Task:
    return life.exhausted(it, None, "why", now=LATER, grace=GRACE, retention=RETENTION)


def cancelled(it: Task) -> Task:
    return life.cancel(it, now=LATER, retention=RETENTION)


def resent(it: Task) -> Task:
    return life.resend(it, it.request, now=LATER, grace=GRACE)


def told(it: Task) -> Task:
    return life.told(it, now=LATER, retention=RETENTION)


def hurried(it: Task) -> Task:
    return life.hurry(it, now=LATER, grace=GRACE)


def woken(it: Task) -> Task:
    return life.wake(it, now=LATER, grace=GRACE)


Change = Callable[..., Task]
Outcomes = dict[Change, Status | type[Exception]]

IN_FLIGHT = {
    Status.PENDING: claimed(task()),
    Status.RETRYING: claimed(hidden(claimed(task())), at=LATER + 30),
    Status.DELIVERED: delivered(claimed(task())),
    Status.EXHAUSTED: exhausted(claimed(task())),
    Status.CANCELLED: cancelled(claimed(task())),
}
"""A task of each status; of the live ones an attempt is on its way."""

LIVE: Outcomes = {
    delivered: Status.DELIVERED,
    hidden: Status.RETRYING,
    delayed: Status.RETRYING,
    parked: Status.RETRYING,
    exhausted: Status.EXHAUSTED,
    spent: Status.EXHAUSTED,
    cancelled: Status.CANCELLED,
    resent: WrongStatus,
}
DONE: Outcomes = {
    **dict.fromkeys((delivered, hidden, delayed, parked, exhausted), LostLease),
    **dict.fromkeys((spent, cancelled, hurried), WrongStatus),
    resent: Status.PENDING,
}
TABLE: dict[Status, Outcomes] = {
    Status.PENDING: {**LIVE, hurried: Status.PENDING},
    Status.RETRYING: {**LIVE, hurried: Status.RETRYING},
    Status.DELIVERED: {**DONE},
    Status.EXHAUSTED: {**DONE},
    Status.CANCELLED: {**DONE},
}
CASES = [
    pytest.param(status, change, outcome, id=f"{status} {change.__name__}")
    for status, row in TABLE.items()
    for change, outcome in row.items()
]


# ── the transition table ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "change", "outcome"), CASES)
def test_from_each_status_each_change_leads_where_it_may_or_nowhere(
    status: Status, change: Change, outcome: Status | type[Exception]
) -> None:
    before = IN_FLIGHT[status]
    if not isinstance(outcome, Status):
        with pytest.raises(outcome):
            change(before)
        return
    after = change(before)
    assert (after.status, after.version, after.updated_at) == (outcome, before.version + 1, LATER)
    assert (after.wake_at is None) == (outcome in (Status.DELIVERED, Status.CANCELLED))
    ends = outcome in (Status.DELIVERED, Status.CANCELLED)  # one that is exhausted is owed a notification first
    assert after.expires_at == (int(LATER + RETENTION) if ends else None)


def test_no_change_goes_where_the_transition_table_does_not() -> None:
    ways = {
        (status, outcome) for status, row in TABLE.items() for outcome in row.values() if isinstance(outcome, Status)
    }
    allowed = {(status, to) for status, row in TRANSITIONS.items() for to in row}
    assert ways - {(Status.PENDING, Status.PENDING)} == allowed  # a hurried task stays where it is


def test_a_wrong_status_says_which_it_is_and_what_it_allows() -> None:
    with pytest.raises(WrongStatus, match=r"^The task is delivered; from there it can only become: pending\.$"):
        cancelled(IN_FLIGHT[Status.DELIVERED])
    with pytest.raises(WrongStatus, match=r"^The task is cancelled: there is no next try to bring forward"):
        hurried(IN_FLIGHT[Status.CANCELLED])


@pytest.mark.parametrize(
    ("change", "ticket"),
    [(hidden, 0), (delayed, 1), (parked, 1), (hurried, 1), (woken, 1), (spent, 1), (exhausted, 1), (delivered, 0)],
)
def test_a_new_ticket_is_given_when_a_new_message_is_needed(change: Change, ticket: int) -> None:
    for status in (Status.PENDING, Status.RETRYING):
        before = IN_FLIGHT[status]
        assert change(before).ticket == before.ticket + ticket


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_resend_gives_a_new_ticket_so_that_old_messages_are_stale(status: Status) -> None:
    assert resent(IN_FLIGHT[status]).ticket == IN_FLIGHT[status].ticket + 1


# ── beginning, and being claimed ─────────────────────────────────────────────────────────────────


def test_an_accepted_task_is_due_at_once_and_looked_after() -> None:
    begun = life.begin(request(), task_id="t", caller="c", digest="d", now=NOON, grace=GRACE)
    assert (begun.status, begun.due_at, begun.wake_at) == (Status.PENDING, NOON, NOON + GRACE)
    assert (begun.number, begun.fence, begun.round, begun.version, begun.ticket) == (0, 0, 1, 1, 1)
    assert life.refusal(begun, 1, NOON) is None


DEADLINE = task().deadline_at


@pytest.mark.parametrize(
    ("it", "ticket", "now", "refused"),
    [
        (None, 1, NOON, Stale()),
        (task(), 1, NOON, None),
        (task(), 0, NOON, Stale()),
        (task(), 2, NOON, Stale()),
        *[(task(status=status), 1, NOON, Stale()) for status in sorted(FINAL)],
        (task(status=Status.RETRYING), 1, NOON, None),
        (task(lease_until=NOON + 1), 1, NOON, NotYet(NOON + 1)),
        (task(lease_until=NOON + 75), 1, NOON, NotYet(NOON + LOOK_AGAIN)),
        (task(lease_until=NOON), 1, NOON, None),
        (task(due_at=NOON + 1), 1, NOON, NotYet(NOON + 1)),
        (task(due_at=NOON), 1, NOON, None),
        (task(due_at=NOON + 9, lease_until=NOON + 1), 1, NOON, NotYet(NOON + 1)),
        (task(number=4), 1, NOON, None),
        (task(number=5), 1, NOON, Spent(task(number=5))),
        (task(number=5, lease_until=NOON + 1), 1, NOON, NotYet(NOON + 1)),
        (task(number=5, due_at=NOON + 1), 1, NOON, Spent(task(number=5, due_at=NOON + 1))),
        (task(), 1, DEADLINE - 0.1, None),
        (task(), 1, DEADLINE, Spent(task())),
        (task(due_at=DEADLINE + 9), 1, DEADLINE, Spent(task(due_at=DEADLINE + 9))),
    ],
)
def test_a_claim_is_refused_for_one_reason_at_a_time(
    it: Task | None, ticket: int, now: float, refused: life.Refused | None
) -> None:
    assert life.refusal(it, ticket, now) == refused


def test_a_claim_counts_fences_and_leases_and_leaves_all_else() -> None:
    first = claimed(task(), at=NOON)
    second = claimed(first, at=LATER)
    assert first == task(version=2, number=1, fence=1, lease_until=NOON + LEASE, claimed_at=NOON)
    assert second == task(
        version=3, number=2, fence=2, lease_until=LATER + LEASE, claimed_at=LATER, claimed_before=NOON
    )


def test_claims_whose_processes_died_are_each_found_by_the_next_one() -> None:
    it, found = task(), []
    for at in (NOON, LATER, LATER + LEASE):
        it = claimed(it, at=at)
        found.append(life.interrupted_before(it))
    assert found[0] is None
    assert [(lost.number, lost.fence, lost.started_at, lost.verdict) for lost in found[1:] if lost] == [
        (1, 1, NOON, Verdict.INTERRUPTED),
        (2, 2, LATER, Verdict.INTERRUPTED),
    ]
    running = life.unrecorded(it)
    assert running is not None
    assert (running.number, running.fence, running.started_at) == (3, 3, LATER + LEASE)


@pytest.mark.parametrize(
    "it",
    [
        task(),
        hidden(claimed(task())),
        exhausted(claimed(task())),
        delivered(claimed(task())),
        cancelled(claimed(task())),
        resent(cancelled(claimed(task()))),
        resent(exhausted(claimed(task()))),
    ],
)
def test_no_attempt_is_missing_when_each_left_a_result(it: Task) -> None:
    assert life.unrecorded(it) is None
    assert life.interrupted_before(claimed(it)) is None


@pytest.mark.parametrize("end", [cancelled, spent])
def test_a_task_that_ends_beside_an_attempt_keeps_it_as_interrupted(end: Change) -> None:
    it = claimed(hidden(claimed(task())), at=LATER)
    ended = end(it)
    assert ended.last is not None
    assert (ended.last.number, ended.last.fence, ended.last.verdict) == (2, 2, Verdict.INTERRUPTED)


@pytest.mark.parametrize("end", [cancelled, spent])
def test_a_task_that_ends_between_its_attempts_keeps_the_last_result(end: Change) -> None:
    waiting = hidden(claimed(task()))
    assert end(waiting).last == waiting.last
    assert end(task()).last is None


# ── a claim that is over ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("late", [delivered, hidden, delayed, parked, exhausted])
@pytest.mark.parametrize(
    "now_it_is",
    [
        claimed(claimed(task()), at=LATER),
        hidden(claimed(task())),
        resent(cancelled(claimed(task()))),
        claimed(resent(exhausted(claimed(task())))),
    ],
)
def test_a_result_that_comes_after_its_claim_is_over_changes_nothing(late: Change, now_it_is: Task) -> None:
    with pytest.raises(LostLease):
        late(now_it_is, by=claimed(task()))


@pytest.mark.parametrize("change", [delivered, hidden, delayed, parked, exhausted, spent])
def test_a_recorded_attempt_gives_its_lease_back(change: Change) -> None:
    assert change(claimed(task())).lease_until == 0


@pytest.mark.parametrize("change", [cancelled, hurried])
def test_an_attempt_that_still_runs_keeps_its_lease(change: Change) -> None:
    assert change(claimed(task())).lease_until == NOON + LEASE


def test_a_resend_waits_for_the_attempt_that_a_cancel_left_running() -> None:
    again = life.resend(life.cancel(claimed(task()), now=NOON, retention=1), request(), now=NOON + 1, grace=GRACE)
    assert life.refusal(again, again.ticket, NOON + 1) == NotYet(NOON + 1 + LOOK_AGAIN)
    assert life.refusal(again, again.ticket, NOON + LEASE) is None
    assert again.wake_at == NOON + LEASE + GRACE


# ── what is owed, and when somebody looks after it ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "due_at", "wake_at"),
    [
        (hidden, LATER + 30, LATER + 30 + GRACE),
        (delayed, LATER + 30, LATER + 30 + GRACE),
        (parked, LATER + 50_000, LATER + 50_000 - LOOKAHEAD),
        (hurried, NOON, LATER + GRACE),
        (exhausted, NOON, LATER + GRACE),
        (delivered, NOON, None),
        (cancelled, NOON, None),
    ],
)
def test_each_change_says_when_the_task_is_due_and_when_it_is_looked_after(
    change: Change, due_at: float, wake_at: float | None
) -> None:
    after = change(claimed(task()))
    assert (after.due_at, after.wake_at) == (due_at, wake_at)


def test_a_short_wait_that_is_parked_is_looked_after_at_once() -> None:
    it = claimed(task())
    assert life.retry_later(it, failed(it, wait=10), now=LATER, grace=GRACE, parked=True).wake_at == LATER


def test_a_parked_task_is_woken_early_enough_for_a_delayed_message_to_start_it() -> None:
    assert LOOKAHEAD <= MOST_DELAY


def test_a_hurried_task_is_due_now_and_never_later_than_it_was() -> None:
    waiting = hidden(claimed(task()))
    assert life.hurry(waiting, now=LATER + 1, grace=GRACE).due_at == LATER + 1
    assert life.hurry(waiting, now=LATER + 99, grace=GRACE).due_at == LATER + 30


def test_a_hurried_task_keeps_its_deadline() -> None:
    waiting = hidden(claimed(task()))
    assert life.hurry(waiting, now=LATER + 500, grace=GRACE).deadline_at == waiting.deadline_at


def test_a_hurried_task_whose_attempt_runs_is_looked_after_once_that_is_over() -> None:
    assert life.hurry(claimed(task()), now=NOON + 1, grace=GRACE).wake_at == NOON + LEASE + GRACE


def test_an_exhausted_task_is_looked_after_until_it_is_told() -> None:
    ended = exhausted(claimed(task()))
    told = life.told(ended, now=LATER + 9, retention=RETENTION)
    assert (ended.because, ended.wake_at, ended.expires_at) == ("why", LATER + GRACE, None)
    assert told == evolve(ended, version=ended.version + 1, wake_at=None, expires_at=int(LATER + 9 + RETENTION))


def test_an_owed_task_of_an_older_release_does_not_expire_once_it_was_looked_after() -> None:
    old = evolve(exhausted(claimed(task())), expires_at=int(LATER + RETENTION))
    assert life.wake(old, now=LATER + GRACE, grace=GRACE).expires_at is None


@pytest.mark.parametrize("wakes", [12, 1024, 10**9])
def test_the_patience_with_a_task_is_bounded_however_often_it_was_woken(wakes: int) -> None:
    woken = life.wake(evolve(task(), wakes=wakes), now=LATER, grace=60)
    assert woken.wake_at == LATER + MOST_GRACE


def test_a_task_that_cannot_be_woken_is_looked_at_again_in_a_minute() -> None:
    aside = life.set_aside(task(), now=LATER)
    assert aside == evolve(task(), version=2, wake_at=LATER + life.SET_ASIDE_SECONDS)


@pytest.mark.parametrize(("grace", "looked_after"), [(60, 60), (600, life.CALL_GRACE)])
def test_a_lost_message_of_a_task_whose_turn_has_come_is_noticed_as_soon_as_any_other(
    grace: float, looked_after: float
) -> None:
    called = life.call_up(life.line_up(task(), place=2, behind=True), now=LATER, grace=grace)
    assert called.wake_at == LATER + looked_after


def test_a_resend_begins_a_round_of_its_own_and_keeps_the_attempts() -> None:
    ended = evolve(exhausted(claimed(task())), wakes=3)
    again = life.resend(ended, ONE_TRY, now=LATER, grace=GRACE)
    assert (again.round, again.number, again.fence, again.due_at, again.round_started_at) == (2, 0, 1, LATER, LATER)
    assert (again.request, again.last, again.because, again.wakes) == (ONE_TRY, ended.last, None, 0)
    assert again.deadline_at == LATER + ONE_TRY.retry.deadline


def test_each_wake_doubles_the_time_to_the_next_up_to_the_most() -> None:
    it, waits = task(), []
    for _ in range(8):
        it = life.wake(it, now=LATER, grace=GRACE)
        waits.append((it.wake_at or 0) - LATER)
    assert waits == [600, 1200, 2400, 4800, 9600, 19_200, MOST_GRACE, MOST_GRACE]
    assert (it.wakes, it.ticket, it.status, it.updated_at) == (8, 9, Status.PENDING, NOON)


@pytest.mark.parametrize("change", [hidden, parked, hurried, exhausted])
def test_what_moves_a_task_on_starts_the_doubling_anew(change: Change) -> None:
    assert change(claimed(task(wakes=5))).wakes == 0


@pytest.mark.parametrize(
    ("it", "at"),
    [
        (task(), LATER),
        (task(due_at=LATER + 9), LATER + 9),
        (task(lease_until=LATER + 7), LATER + 7),
        (task(due_at=LATER + 9, lease_until=LATER + 7), LATER + 9),
        (task(status=Status.EXHAUSTED, due_at=LATER + 9, lease_until=LATER + 7), LATER),
    ],
)
def test_a_message_is_of_use_once_the_task_is_due_and_free(it: Task, at: float) -> None:
    assert life.ready_at(it, LATER) == at
    assert life.wake(it, now=LATER, grace=GRACE).wake_at == at + GRACE


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        (None, task(), {"accepted": 1, "in_pending": 1}),
        (task(), claimed(task()), {}),
        (task(), woken(task()), {}),
        (claimed(task()), delivered(claimed(task())), {"in_pending": -1, "in_delivered": 1, "delivered": 1}),
        (claimed(task()), hidden(claimed(task())), {"in_pending": -1, "in_retrying": 1, "failed_attempts": 1}),
        (IN_FLIGHT[Status.RETRYING], hidden(IN_FLIGHT[Status.RETRYING]), {"failed_attempts": 1}),
        (
            claimed(task()),
            exhausted(claimed(task())),
            {"in_pending": -1, "in_exhausted": 1, "exhausted": 1, "failed_attempts": 1},
        ),
        (claimed(task()), spent(claimed(task())), {"in_pending": -1, "in_exhausted": 1, "exhausted": 1}),
        (claimed(task()), cancelled(claimed(task())), {"in_pending": -1, "in_cancelled": 1, "cancelled": 1}),
        (
            IN_FLIGHT[Status.EXHAUSTED],
            resent(IN_FLIGHT[Status.EXHAUSTED]),
            {"in_exhausted": -1, "in_pending": 1},
        ),
        (IN_FLIGHT[Status.EXHAUSTED], told(IN_FLIGHT[Status.EXHAUSTED]), {}),
    ],
)
def test_a_change_counts_what_it_brings(old: Task | None, new: Task, counts: dict[str, int]) -> None:
    assert life.tally(old, new) == counts


def test_an_attempt_that_is_only_stored_in_another_form_is_not_counted_again() -> None:
    it = claimed(task())
    there = life.exhausted(it, failed(it, reply="x" * 300), "why", now=NOON, grace=60, retention=60)
    again = life.resend(there, there.request, now=NOON, grace=60)
    short = evolve(again, last=evolve(failed(it), reply=None))
    assert life.tally(it, there)["failed_attempts"] == 1
    assert "failed_attempts" not in life.tally(there, short)


def test_a_wake_that_was_not_sent_is_taken_back_only_while_nobody_else_looked_after_the_task() -> None:
    it = task()
    woken = life.wake(it, now=NOON + 100, grace=60)
    back = life.put_off(woken, woken, now=NOON + 100, grace=60)
    assert (back.wake_at, back.wakes, back.ticket) == (NOON + 160, it.wakes, woken.ticket)
    for meanwhile in (life.hurry(woken, now=NOON + 100, grace=60), life.put_off(woken, woken, now=NOON, grace=60)):
        assert (meanwhile.ticket == woken.ticket) != (meanwhile.wake_at == woken.wake_at), "one of the two tells"
        with pytest.raises(LostLease):
            life.put_off(meanwhile, woken, now=NOON + 100, grace=60)


# ── whatever happens, in whatever order ──────────────────────────────────────────────────────────

REQUESTS = [
    request(retry=policy(max_attempts=tries, deadline=until)) for tries in (5, 2, 1) for until in (2_592_000, 300)
]
RESULTS = st.sampled_from(["hidden", "hidden", "delayed", "parked", "delivered", "exhausted"])
WHICH = st.integers(0, 10**6)
"""Picks one of however many there are."""
NEWEST = st.sampled_from([-1, -1, -2, -3])
AGES = st.sampled_from([0, 0, 0, 0, 0, 1, 2, -1])
"""By how many tickets a message is too old."""


class Lives(RuleBasedStateMachine):
    """Some tasks and all that can happen to them: messages and results of any age, operators, lost messages.

    As a store does, it keeps a result that gives way to a newer one, and lets the counters follow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.tasks: list[Task] = []
        self.kept: list[list[Attempt]] = []
        self.claims: list[tuple[int, Task]] = []
        self.ended: set[tuple[int, int]] = set()
        self.seen: list[list[Attempt]] = []
        self.woken: list[tuple[int, Task]] = []
        self.told: set[tuple[int, int]] = set()
        self.counts: Counter[str] = Counter()
        self.finals: Counter[str] = Counter()

    def put(self, which: int, new: Task, *, resent: bool = False) -> None:
        """The one way in which a task changes."""
        old = self.tasks[which]
        assert new.version == old.version + 1
        assert (new.task_id, new.created_at) == (old.task_id, old.created_at)
        assert new.status == old.status or resent or not old.is_final, "final is final"
        assert new.ticket > old.ticket if resent else new.ticket >= old.ticket
        if old.last is not None and old.last != new.last:
            self.kept[which].append(old.last)
        self.finals[str(new.status)] += new.is_final and new.status != old.status
        self.counts.update(life.tally(old, new))
        self.tasks[which] = new

    def pick(self, which: int) -> tuple[int, Task]:
        """One of the tasks; most often one that is live, as long as any is."""
        everyone = list(enumerate(self.tasks))
        candidates = [(number, it) for number, it in everyone if not it.is_final] * 3 + everyone
        return candidates[which % len(candidates)]

    # ── what happens ──

    @initialize(requests=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3))
    def accepted(self, requests: list[Request]) -> None:
        for number, asked in enumerate(requests):
            self.tasks.append(life.begin(asked, task_id=f"{number}", caller="", digest="", now=NOON, grace=GRACE))
            self.counts.update(life.tally(None, self.tasks[-1]))
        self.kept, self.seen = [[] for _ in requests], [[] for _ in requests]

    @rule(seconds=st.sampled_from([0.5, 1, 30, LEASE, GRACE, 50_000]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(which=WHICH, moment=st.sampled_from(["due_at", "lease_until", "deadline_at", "wake_at"]), early=st.booleans())
    def a_moment_comes(self, which: int, moment: str, early: bool) -> None:
        """The very moment at which a rule changes its mind, or just before it."""
        _, it = self.pick(which)
        self.now = max(self.now, (getattr(it, moment) or 0) - 0.5 * early)

    @rule(which=WHICH, age=AGES, in_time=st.booleans(), keeps=st.booleans())
    def a_message_comes(self, which: int, age: int, in_time: bool, keeps: bool) -> None:
        """The newest one, an older one, or one that nobody can have sent; when it is of use, or at any moment."""
        which, it = self.pick(which)
        if it.held:
            return  # nobody has its newest ticket
        self.now = life.ready_at(it, self.now) if in_time else self.now
        refused = life.refusal(it, it.ticket - age, self.now)
        if refused is None:
            self.check_claim(which, age)
            self.put(which, claimed(it, at=self.now))
            self.claims.append((which, self.tasks[which]))
            if keeps and (lost := life.interrupted_before(self.tasks[which])):
                self.kept[which].append(lost)
        elif isinstance(refused, Spent):
            ended = life.exhausted(refused.task, None, "spent", now=self.now, grace=GRACE, retention=RETENTION)
            self.put(which, ended)
        elif isinstance(refused, NotYet):
            assert refused.at > self.now

    @rule(which=WHICH, how=RESULTS)
    def an_attempt_goes_as_it_should(self, which: int, how: str) -> None:
        self.a_message_comes(which, age=0, in_time=True, keeps=True)
        if self.claims:
            self.an_attempt_brings_a_result(-1, how)

    @rule(which=WHICH, how=RESULTS, keeps=st.booleans())
    def an_attempt_outlasts_its_lease(self, which: int, how: str, keeps: bool) -> None:
        """Its process was frozen, and wakes up when another one is at it."""
        for _ in range(2):
            self.a_message_comes(which, age=0, in_time=True, keeps=keeps)
        if len(self.claims) > 1:
            self.an_attempt_brings_a_result(-2, how)

    def check_claim(self, which: int, age: int) -> None:
        it = self.tasks[which]
        assert age == 0, "only the newest message wakes a task"
        assert it.due_at <= self.now < it.deadline_at
        assert it.number < it.request.retry.max_attempts
        others = [claim for of, claim in self.claims if of == which and (which, claim.fence) not in self.ended]
        assert all(claim.lease_until <= self.now for claim in others), "one attempt at a time"

    @precondition(lambda self: self.claims)
    @rule(which=NEWEST | WHICH, how=RESULTS)
    def an_attempt_brings_a_result(self, which: int, how: str) -> None:
        """One of the newest, or any that there ever was: in time, or years late."""
        of, claim = self.claims[which % len(self.claims)]
        it, may = self.tasks[of], self.may_record(of, claim)
        try:
            self.put(of, self.result(it, claim, how))
        except LostLease:
            assert not may
            assert self.tasks[of] is it
        else:
            assert may
            self.ended.add((of, claim.fence))

    def may_record(self, of: int, claim: Task) -> bool:
        """The newest claim of a live task may, once."""
        newest = max(other.fence for which, other in self.claims if which == of)
        again = (of, claim.fence) in self.ended
        return (
            claim.fence == newest and not again and not self.tasks[of].is_final and self.tasks[of].round == claim.round
        )

    def result(self, it: Task, claim: Task, how: str) -> Task:
        now, wait = self.now, {"hidden": 30, "delayed": 900, "parked": 50_000}.get(how)
        attempt = failed(claim, wait=wait)
        if how == "delivered":
            return life.delivered(it, evolve(attempt, verdict=Verdict.DELIVERED), now=now, retention=RETENTION)
        if how == "exhausted":
            return life.exhausted(it, attempt, "", now=now, grace=GRACE, retention=RETENTION)
        return life.retry_later(it, attempt, now=now, grace=GRACE, parked=how == "parked", renew=how == "delayed")

    @rule(which=WHICH, action=st.sampled_from(["cancel", "hurry", "resend", "resend"]), asked=st.sampled_from(REQUESTS))
    def an_operator_acts(self, which: int, action: str, asked: Request) -> None:
        """A resend is for final tasks only, all else for live ones only."""
        which, it = self.pick(which)
        try:
            self.put(which, self.acted(it, action, asked), resent=action == "resend")
        except WrongStatus:
            assert it.is_final is (action != "resend") or (action == "hurry" and it.held)
        else:
            assert it.is_final is (action == "resend")

    def acted(self, it: Task, action: str, asked: Request) -> Task:
        if action == "resend":
            return life.resend(it, asked, now=self.now, grace=GRACE)
        if action == "hurry":
            return life.hurry(it, now=self.now, grace=GRACE)
        return life.cancel(it, now=self.now, retention=RETENTION)

    @rule(which=WHICH, in_time=st.booleans())
    def the_reconciler_looks(self, which: int, in_time: bool) -> None:
        which, it = self.pick(which)
        self.now = max(self.now, it.wake_at or 0) if in_time else self.now
        if not it.held and it.wake_at is not None and it.wake_at <= self.now:
            self.put(which, life.wake(it, now=self.now, grace=GRACE))
            self.woken.append((which, self.tasks[which]))

    @rule(which=WHICH, in_time=st.booleans())
    def its_target_takes_nothing(self, which: int, in_time: bool) -> None:
        which, it = self.pick(which)
        self.now = life.ready_at(it, self.now) if in_time else self.now
        if not it.held and life.refusal(it, it.ticket, self.now) is None:
            self.put(which, life.hold(it, Held.PAUSED, now=self.now))

    @rule(which=WHICH, ahead=st.sampled_from([0, 10, 75]))
    def its_target_takes_it_again(self, which: int, ahead: float) -> None:
        which, it = self.pick(which)
        if it.held:
            left = it.deadline_at - (it.held_at or 0)
            self.put(which, life.release(it, now=self.now, at=self.now + ahead, grace=GRACE))
            assert self.tasks[which].deadline_at - self.now == pytest.approx(left), "its time stood still"

    @precondition(lambda self: self.woken)
    @rule(which=NEWEST | WHICH)
    def the_queue_did_not_take_the_message(self, which: int) -> None:
        of, woken = self.woken[which % len(self.woken)]
        it = self.tasks[of]
        untouched = (it.ticket, it.wake_at) == (woken.ticket, woken.wake_at)
        try:
            self.put(of, life.put_off(it, woken, now=self.now, grace=GRACE))
        except LostLease:
            assert not untouched
        else:
            assert untouched

    @precondition(lambda self: any(it.status is Status.EXHAUSTED for it in self.tasks))
    @rule(which=WHICH)
    def its_notices_have_ended(self, which: int) -> None:
        which, it = self.pick(which)
        if it.status is Status.EXHAUSTED and it.wake_at is not None:
            self.put(which, life.told(it, now=self.now, retention=RETENTION))
            self.told.add((which, it.round))

    # ── what holds all the while ──

    @invariant()
    def whoever_is_owed_something_is_looked_after(self) -> None:
        for which, it in enumerate(self.tasks):
            owed = not it.is_final or (it.status is Status.EXHAUSTED and (which, it.round) not in self.told)
            assert (it.wake_at is not None) == owed
            assert it.wake_at is None or it.wake_at <= max(self.now, life.ready_at(it, self.now)) + MOST_GRACE
            assert (it.expires_at is None) == owed, "what is owed something never expires, and all else does"
            assert (it.held is None) == (it.held_at is None)
            assert not (it.held and (it.is_final or it.lease_until > self.now))

    @invariant()
    def attempts_have_numbers_without_gaps_and_stay_what_they_are(self) -> None:
        for which, it in enumerate(self.tasks):
            attempts = life.history(it, self.kept[which])
            assert [attempt.fence for attempt in attempts] == list(range(1, it.fence + 1))
            for round_, of_round in groupby(attempts, key=lambda attempt: attempt.round):
                numbers = [attempt.number for attempt in of_round]
                assert numbers == list(range(1, len(numbers) + 1))
                assert round_ < it.round or len(numbers) == it.number <= it.request.retry.max_attempts
            past = [evolve(attempt, started_at=None) for attempt in attempts]
            before = self.seen[which]
            assert [then for then in before if then.verdict] == [
                now for then, now in zip(before, past, strict=False) if then.verdict
            ]
            self.seen[which] = past

    @invariant()
    def the_ledger_adds_up(self) -> None:
        standing = Counter(f"in_{it.status}" for it in self.tasks)
        attempts = [a for which, it in enumerate(self.tasks) for a in life.history(it, self.kept[which])]
        failures = Counter({"failed_attempts": sum(attempt.verdict is Verdict.FAILED for attempt in attempts)})
        assert +self.counts == +(Counter(accepted=len(self.tasks)) + standing + self.finals + failures)


TestLives: Any = Lives.TestCase
TestLives.settings = settings(share(2.5), stateful_step_count=60)
