"""Every way in which a task can change, each a pure function from one task to the next.

    begin ──> pending ──claim──> (an attempt runs) ──record──> delivered | retrying | exhausted
                 ^                                                         │
                 └──────────────── resend (a new round) <── any final ─────┘
    cancel: pending | retrying -> cancelled       hurry: do not wait for the next try
    wake: a message seems lost, or a parked wait is nearly over        told: the notices have ended
    set_aside: it could not be woken                                   rebase: a clock that was ahead has changed it
    line_up: others with its ordering key stand before it              call_up: now it is its turn
    hold: its target takes nothing just now                            release: it does again
    brought: it has lived elsewhere until now                          ended_elsewhere: and is over

The stores make each change in one conditional write: `claim` blindly, the others against `version`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.clocks import is_ahead
from chalicelib.errors import LostLease, WrongStatus
from chalicelib.task import FINAL, HOLD, TRANSITIONS, Attempt, Held, Request, Status, Task, Verdict, evolve

LOOKAHEAD = 300
"""Seconds by which a parked task is woken early, so that `DelaySeconds` can start it on time (<= 900)."""

LOOK_AGAIN = 5
"""Seconds after which a message returns that met an attempt under way: most end long before their lease."""

CALL_GRACE = 300
"""Seconds after which a task is looked after whose turn has come, should its message be lost: at the latest."""

MOST_GRACE = 6 * 3600
"""Seconds: the longest time between two wakes of a task whose messages do not lead to an attempt."""

MAX_DOUBLINGS = 10
"""How often the time between two wakes doubles, at most: from the shortest grace, `MOST_GRACE` is reached before."""

SET_ASIDE_SECONDS = 60
"""Seconds until the reconciler looks again at a task that it could not wake."""


# ── beginning and being claimed ──────────────────────────────────────────────────────────────────


def begin(
    request: Request,
    *,
    task_id: str,
    caller: str,
    digest: str,
    now: float,
    grace: float,
    due_at: float | None = None,
    parked: bool = False,
) -> Task:
    """A task as accepted: pending, and due at once or at `due_at`, when its first round begins.

    `parked`: no message waits for that; the reconciler wakes it `LOOKAHEAD` before it is due.
    """
    due_at = now if due_at is None else due_at
    return Task(
        task_id=task_id,
        request=request,
        caller=caller,
        digest=digest,
        created_at=now,
        updated_at=now,
        round_started_at=due_at,
        due_at=due_at,
        wake_at=due_at - LOOKAHEAD if parked else _net(due_at, grace, until=due_at + request.retry.deadline),
    )


def _net(ready_at: float, grace: float, *, until: float) -> float:
    """When to look after a message that can be received from `ready_at` on: half-way to the deadline at the latest.

    So a short deadline does not pass before a lost message is noticed, unless it is shorter than a pass.
    """
    return ready_at + min(grace, max(until - ready_at, 0) / 2)


def line_up(task: Task, *, place: int, behind: bool) -> Task:
    """A new task with its place in the line of its ordering key."""
    return evolve(task, place=place, behind=behind)


def call_up(task: Task, *, now: float, grace: float = CALL_GRACE) -> Task:
    """Nobody stands before it any more: its round begins, now or when it is due.

    A lost message is noticed after `grace` seconds, and after `CALL_GRACE` at the latest.
    """
    grace = min(grace, CALL_GRACE)
    due_at = max(task.due_at, now)
    far = due_at - now > LOOKAHEAD
    return evolve(
        task,
        version=task.version + 1,
        updated_at=now,
        ticket=task.ticket + 1,
        round_started_at=due_at,
        due_at=due_at,
        wake_at=due_at - LOOKAHEAD if far else _net(due_at, grace, until=due_at + task.request.retry.deadline),
        wakes=0,
        behind=False,
    )


@dataclass(frozen=True, slots=True)
class Stale:
    """The message is of no use any more: finish it."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The task is leased, or not due: come back at `at` (seconds since the epoch)."""

    at: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Every claim of the round is used up, or its deadline is over: exhaust the task."""

    task: Task


Refused = Stale | NotYet | Spent


def refusal(task: Task | None, ticket: int, now: float) -> Refused | None:
    """Why a message with `ticket` may not claim `task` now; None when it may.

    The DynamoDB store writes the same rule as a condition expression: keep both in step
    (the contract tests hold them together).
    """
    if task is None or task.status in FINAL or task.ticket != ticket or task.behind:
        return Stale()
    if task.lease_until > now:
        return NotYet(min(task.lease_until, now + LOOK_AGAIN))
    if task.number >= task.request.retry.max_attempts or task.deadline_at <= now:
        return Spent(task)
    return NotYet(task.due_at) if task.due_at > now else None


def claim(task: Task, *, now: float, lease: float) -> Task:
    """The task as its next attempt owns it: counted, fenced, leased. Only when `refusal` is None."""
    return evolve(
        task,
        version=task.version + 1,
        number=task.number + 1,
        fence=task.fence + 1,
        lease_until=now + lease,
        claimed_at=now,
        claimed_before=task.claimed_at,
    )


def interrupted_before(task: Task) -> Attempt | None:
    """For a task just claimed: the attempt before it, if that one's process died and left no result."""
    fence = task.fence - 1
    if fence < 1 or task.number == 1 or (task.last is not None and task.last.fence >= fence):
        return None
    return _interrupted(task, number=task.number - 1, fence=fence, started_at=task.claimed_before)


def _interrupted(task: Task, *, number: int, fence: int, started_at: float | None) -> Attempt:
    return Attempt(
        number=number,
        round=task.round,
        fence=fence,
        started_at=started_at,
        verdict=Verdict.INTERRUPTED,
        kind="interrupted",
        reason="the attempt was cut off before it could be recorded; whether it had an effect is unknown",
    )


def unrecorded(task: Task) -> Attempt | None:
    """The claim that has not left a result (yet), as an attempt that is cut off now."""
    if task.number == 0 or (task.last is not None and task.last.fence == task.fence):
        return None
    return _interrupted(task, number=task.number, fence=task.fence, started_at=task.claimed_at)


# ── what an attempt brings ───────────────────────────────────────────────────────────────────────


def _become(task: Task, status: Status, now: float, **changes: object) -> Task:
    if status not in TRANSITIONS[task.status]:
        allowed = ", ".join(sorted(TRANSITIONS[task.status]))
        raise WrongStatus(f"The task is {task.status}; from there it can only become: {allowed}.")
    return evolve(task, status=status, version=task.version + 1, updated_at=now, held=None, held_at=None, **changes)


def _owned(task: Task, fence: int) -> None:
    recorded = task.last is not None and task.last.fence >= fence
    if task.fence != fence or task.status in FINAL or recorded:
        raise LostLease(f"attempt with fence {fence} of task {task.task_id} no longer owns it")


def delivered(task: Task, attempt: Attempt, *, now: float, retention: float) -> Task:
    """The attempt's reply met the expectation. Raises LostLease when the claim is over."""
    _owned(task, attempt.fence)
    return _become(
        task,
        Status.DELIVERED,
        now,
        last=attempt,
        lease_until=0,
        wake_at=None,
        expires_at=int(now + retention),
        place=None,
    )


def retry_later(task: Task, attempt: Attempt, *, now: float, grace: float, parked: bool, renew: bool = False) -> Task:
    """The attempt failed and `attempt.wait` seconds are to pass. Raises LostLease when the claim is over.

    `parked`: no message waits for it; the reconciler wakes it `LOOKAHEAD` before it is due.
    `renew`: a new message will carry it, so it gets a new ticket.
    """
    _owned(task, attempt.fence)
    due_at = now + (attempt.wait or 0)
    return _become(
        task,
        Status.RETRYING,
        now,
        last=attempt,
        lease_until=0,
        due_at=due_at,
        ticket=task.ticket + 1 if renew or parked else task.ticket,
        wake_at=max(now, due_at - LOOKAHEAD) if parked else _net(due_at, grace, until=task.deadline_at),
        wakes=0,
    )


def exhausted(
    task: Task,
    attempt: Attempt | None,
    because: str,
    *,
    now: float,
    grace: float,
    retention: float = 0,  # noqa: ARG001 - every end of a task is called with it; this one does not start it
) -> Task:
    """No try is left. `attempt` is the last one, None when it left no result. Notices are owed from now on.

    A task whose notification is owed does not expire: its retention starts with `told`.
    """
    if attempt is not None:
        _owned(task, attempt.fence)
    return _become(
        task,
        Status.EXHAUSTED,
        now,
        last=attempt or unrecorded(task) or task.last,
        because=because,
        lease_until=0,
        ticket=task.ticket + 1,
        wake_at=now + grace,
        wakes=0,
        expires_at=None,
        place=task.place if task.request.on_exhausted == HOLD else None,
    )


def told(task: Task, *, now: float, retention: float) -> Task:
    """Every notice of the exhausted task has ended: nothing is owed any more, and its retention starts."""
    return evolve(task, version=task.version + 1, wake_at=None, expires_at=int(now + retention))


def is_owed(task: Task) -> bool:
    """Whether the task is over and its notification has not ended. Such a task does not expire."""
    return task.status in FINAL and task.wake_at is not None


# ── what operators and the reconciler do ─────────────────────────────────────────────────────────


def cancel(task: Task, *, now: float, retention: float) -> Task:
    """Cancelled. An attempt in flight is kept as interrupted: its effect is unknown, its reply changes nothing.

    Its lease stands, so that a resend does not overlap with it.
    """
    return _become(
        task,
        Status.CANCELLED,
        now,
        last=unrecorded(task) or task.last,
        wake_at=None,
        expires_at=int(now + retention),
        place=None,
        behind=False,
    )


def resend(task: Task, request: Request, *, now: float, grace: float, due_at: float = 0) -> Task:
    """A new round of a final task, with `request` (the same, or with parts overridden). Attempts are kept.

    It begins now, or at `due_at` when that is later; its deadline counts from then.
    """
    begins = max(now, due_at)
    return _become(
        task,
        Status.PENDING,
        now,
        request=request,
        round=task.round + 1,
        round_started_at=begins,
        number=0,
        ticket=task.ticket + 1,
        due_at=begins,
        wake_at=_net(max(begins, task.lease_until), grace, until=begins + request.retry.deadline),
        wakes=0,
        because=None,
        expires_at=None,
    )


def hurry(task: Task, *, now: float, grace: float) -> Task:
    """Do not wait for the next try: due now, under a new ticket, so that the waiting message goes stale."""
    if task.status in FINAL:
        raise WrongStatus(f"The task is {task.status}: there is no next try to bring forward. Resend it instead.")
    if task.behind:
        raise WrongStatus("The task waits for others with its ordering key: deliver or cancel those first.")
    if task.held:
        raise WrongStatus(f"The task is due and held ({task.held}): it goes as soon as its target takes it.")
    begun_at = min(task.round_started_at, now)
    return evolve(
        task,
        version=task.version + 1,
        updated_at=now,
        ticket=task.ticket + 1,
        round_started_at=begun_at,
        due_at=min(task.due_at, now),
        wake_at=_net(max(now, task.lease_until), grace, until=begun_at + task.request.retry.deadline),
        wakes=0,
    )


def hold(task: Task, why: Held, *, now: float) -> Task:
    """Due, and kept back for its target. Its message is finished, and no other one has its new ticket.

    It stands in a line of its own, by when it was due, and out of the reconciler's sight.
    """
    return evolve(
        task,
        version=task.version + 1,
        updated_at=now,
        ticket=task.ticket + 1,
        held=why,
        held_at=now,
        wake_at=task.due_at,
        wakes=0,
    )


class NotHeld(LostLease):
    """Somebody else has released the task, or it was cancelled."""


def release(task: Task, *, now: float, at: float, grace: float) -> Task:
    """Held no more: a message that can be received from `at` on carries it. The time that it was held is not its own.

    A task is held when it is due, so it is due now at the latest: a clock that was ahead may have said otherwise.
    Raises NotHeld.
    """
    if task.held is None:
        raise NotHeld(f"task {task.task_id} is not held any more")
    started_at = min(task.round_started_at + max(now - (task.held_at or now), 0), now)
    free = evolve(task, round_started_at=started_at, due_at=min(task.due_at, max(at, now)))
    return evolve(
        free,
        version=task.version + 1,
        updated_at=now,
        ticket=task.ticket + 1,
        held=None,
        held_at=None,
        wake_at=_net(at, grace, until=free.deadline_at),
    )


def ready_at(task: Task, now: float) -> float:
    """The moment from which a message of the task is of use."""
    return now if task.status in FINAL else max(now, task.due_at, task.lease_until)


def is_owned(task: Task, now: float) -> bool:
    """Whether an attempt may be under way."""
    return task.status not in FINAL and task.lease_until > now


def watch(task: Task, *, now: float, lease: float) -> Task:
    """An attempt may be under way, so its message is in hand: looked after again when the lease is over.

    One that is longer than any was written by a clock that was ahead: a whole `lease` from now on is enough for
    whatever is under way.
    """
    until = now + lease if is_ahead(task.lease_until, now, lease) else task.lease_until
    return evolve(task, version=task.version + 1, lease_until=until, wake_at=until)


def is_planned_ahead(task: Task, now: float) -> bool:
    """Whether a clock that was ahead has changed the task, or has only woken it, which leaves `updated_at` as it is."""
    woken_ahead = task.wake_at is not None and is_ahead(task.wake_at, max(now, task.due_at), MOST_GRACE)
    return woken_ahead or is_ahead(task.updated_at, now)


def rebase(task: Task, *, now: float) -> Task:
    """A task that was changed by a clock that was ahead, as it would be, had that been now.

    A first attempt at a moment that the client gave (`deliver_at`) stays there. When it is far ahead, the task is
    parked: its message, if it has one, would come back every twelve hours until then. A delay, and the wait of a later
    round, which is the rate of a bulk resend, count from the present.
    """
    if not is_ahead(task.updated_at, now):  # only the wake was by that clock
        return evolve(task, version=task.version + 1, wake_at=now)
    rebased = evolve(task, version=task.version + 1, updated_at=now)
    if task.is_scheduled and task.round == 1 and not task.request.delay:
        parks = task.due_at - now > LOOKAHEAD and not (task.number or task.behind or task.held)
        return evolve(rebased, ticket=task.ticket + 1, wake_at=task.due_at - LOOKAHEAD) if parks else rebased
    waits = max(task.due_at - task.updated_at, 0)
    begins = now if task.number else now + waits
    return evolve(
        rebased,
        due_at=now + waits,
        round_started_at=min(task.round_started_at, begins),
        wake_at=None if task.wake_at is None else max(task.wake_at - (task.updated_at - now), now),
    )


def wait_on(task: Task, *, now: float, grace: float) -> Task:
    """Looked after, and still behind others: no message is of use."""
    return evolve(task, version=task.version + 1, wake_at=now + _patience(task, grace), wakes=task.wakes + 1)


def wake(task: Task, *, now: float, grace: float) -> Task:
    """Enqueued again under a new ticket. Each wake without an attempt in between doubles the grace.

    So a queue that is merely slow is not flooded with copies: the waits grow as 1, 2, 4 ... x grace,
    up to `MOST_GRACE`.
    """
    return evolve(
        task,
        version=task.version + 1,
        ticket=task.ticket + 1,
        wake_at=ready_at(task, now) + _patience(task, grace),
        wakes=task.wakes + 1,
        expires_at=None,
    )


def _patience(task: Task, grace: float) -> float:
    return min(grace * float(2 ** min(task.wakes, MAX_DOUBLINGS)), MOST_GRACE)


def set_aside(task: Task, *, now: float) -> Task:
    """Of a task that could not be woken: looked after again in `SET_ASIDE_SECONDS`, behind others that are due."""
    return evolve(task, version=task.version + 1, wake_at=now + SET_ASIDE_SECONDS)


def put_off(task: Task, woken: Task, *, now: float, grace: float) -> Task:
    """Of a task whose new message could not be sent: looked after again soon, and its patience not used up.

    Raises LostLease when somebody else has looked after it since.
    """
    if task.ticket != woken.ticket or task.wake_at != woken.wake_at:
        raise LostLease(f"task {task.task_id} was looked after meanwhile")
    return evolve(task, version=task.version + 1, wake_at=now + grace, wakes=max(task.wakes - 1, 0))


# ── one that has lived elsewhere ─────────────────────────────────────────────────────────────────


def brought(begun: Task, attempts: Sequence[Attempt], *, number: int, created_at: float) -> Task:
    """A task that is begun here, as it has lived until now: claimed `number` times, of which these attempts are known.

    They have fences from 1 on. It is pending as long as there was no claim, and retrying then.
    """
    return evolve(
        begun,
        status=Status.RETRYING if number else Status.PENDING,
        created_at=created_at,
        number=number,
        fence=len(attempts),
        last=attempts[-1] if attempts else None,
    )


def ended_elsewhere(
    live: Task, status: Status, because: str | None, *, at: float, now: float, retention: float
) -> Task:
    """A task that was brought, and had ended before: whoever was to be told has been. It is kept from now on."""
    return evolve(
        live,
        status=status,
        because=because,
        updated_at=at,
        round_started_at=live.created_at,
        due_at=at,
        wake_at=None,
        expires_at=int(now + retention),
    )


# ── what all of them together look like ──────────────────────────────────────────────────────────


def history(task: Task, kept: Iterable[Attempt]) -> list[Attempt]:
    """The attempts of all rounds, oldest first: those `kept`, `task.last`, and every claim that left nothing.

    Each claim has a fence, counted from 1 without gaps, so what is missing shows: it is the attempt that
    runs now (no verdict yet), or one that was interrupted.
    """
    known = {attempt.fence: attempt for attempt in (*kept, *([task.last] if task.last else []))}
    found: list[Attempt] = []
    number, round_ = task.number, task.round
    for fence in range(task.fence, 0, -1):
        attempt = known.get(fence) or _lost(task, fence, number=number, round_=round_)
        found.append(attempt)
        number, round_ = attempt.number - 1, attempt.round
    return found[::-1]


def _lost(task: Task, fence: int, *, number: int, round_: int) -> Attempt:
    """The claim that left no result. The last attempt of a round is kept, so the later one tells the round."""
    started_at = {task.fence: task.claimed_at, task.fence - 1: task.claimed_before}.get(fence)
    lost = evolve(_interrupted(task, number=number, fence=fence, started_at=started_at), round=round_)
    runs = fence == task.fence and task.lease_until > 0 and not task.is_final
    return evolve(lost, verdict=None, kind=None, reason=None) if runs else lost


def _last_fence(task: Task | None) -> int:
    return task.last.fence if task is not None and task.last is not None else 0


def tally(old: Task | None, new: Task) -> Mapping[str, int]:
    """What a change adds to the counters of `GET /v1/stats`: counter -> +n or -n.

    `accepted`, `delivered`, `exhausted`, `cancelled`, `failed_attempts` count events; `in_pending` and
    the like count the tasks that stand there.
    """
    counts: dict[str, int] = {}
    if old is None:
        counts["accepted"] = 1
    if old is None or old.status != new.status:
        counts[f"in_{new.status}"] = 1
        if old is not None:
            counts[f"in_{old.status}"] = -1
        if new.status in FINAL:
            counts[str(new.status)] = 1
    if new.last is not None and new.last.verdict is Verdict.FAILED and new.last.fence != _last_fence(old):
        counts["failed_attempts"] = 1
    return counts
