"""Deliver: the story of one attempt.

    message --claim--> the task is ours --send--> a reply, or none --judge--> verdict --settle--> what follows

Before that, its target must let it through; afterwards, those who wait for the target learn how it ended (`target.py`).

Whoever cannot claim sends nothing; whoever lost the claim meanwhile records nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalicelib import life, log
from chalicelib.change import change
from chalicelib.consume import ComeBack, Finished, Outcome
from chalicelib.delivery import target
from chalicelib.delivery.compose import compose
from chalicelib.delivery.judge import Judgement, excerpt, judge, no_reply
from chalicelib.delivery.retry import Again, GiveUp, Place, all_used, decide, place, retry_after
from chalicelib.enqueue import enqueue, pass_turn
from chalicelib.errors import LostLease, SendFailed, Unavailable
from chalicelib.life import NotYet, Spent, Stale
from chalicelib.ports import Keys, Message, Queue, Reply, World
from chalicelib.task import Attempt, Task, Verdict, evolve

Tried = tuple[Outcome, Verdict | None]
"""What becomes of the message, and how the attempt ended; None: none was made."""


def deliver(world: World, message: Message) -> Outcome:
    """Make one attempt at the task that the message names, if it is this message's turn and its target takes it."""
    if message.target is not None and not message.task_id:
        return target.release(world, message.target)
    return target.through(world, message, lambda: _deliver(world, message))


def _deliver(world: World, message: Message) -> Tried:
    """The keys come first: an attempt that has begun and cannot be signed would be lost."""
    keys = world.keyring.keys()
    claimed = world.store.claim(message.task_id, message.ticket, now=world.clock.now(), lease=world.settings.lease)
    match claimed:
        case Stale():
            return Finished(), None
        case NotYet(at):
            return ComeBack(at - world.clock.now()), None
        case Spent(task):
            return _exhaust_unattempted(world, task, message.ticket), None
        case Task():
            return _attempt(world, claimed, message, keys)


def _attempt(world: World, task: Task, message: Message, keys: Keys) -> Tried:
    if lost := life.interrupted_before(task):
        _keep(world, task, lost)
    if _lease_is_nearly_over(world, task):
        return ComeBack(task.lease_until - world.clock.now()), None
    attempt, reply = _try_once(world, task, keys.get(task.request.source_app, ()))
    try:
        return _settle(world, task, attempt, reply, message), attempt.verdict
    except LostLease:
        log.event("attempt.lost_lease", metrics={"LostLeases": 1}, **_facts(task, attempt))
        return Finished(), attempt.verdict


def _keep(world: World, task: Task, lost: Attempt) -> None:
    """Keep when the interrupted attempt began. Without that it still shows, as a gap in the numbers."""
    log.event("attempt.interrupted", metrics={"Interrupted": 1}, **_facts(task, lost))
    try:
        world.store.keep(task.task_id, lost)
    except Unavailable as unavailable:
        log.event("store.unavailable", task_id=task.task_id, why=unavailable.detail)


def _lease_is_nearly_over(world: World, task: Task) -> bool:
    """Whether an attempt that begins now could outlast its lease, because this process slept meanwhile."""
    return world.clock.now() + min(task.request.timeout, world.settings.max_timeout) >= task.lease_until


def _try_once(world: World, task: Task, keys: Sequence[bytes]) -> tuple[Attempt, Reply | None]:
    """Send the request and judge what comes back."""
    started = world.clock.now()
    try:
        reply = world.http.send(compose(task, now=started, most_seconds=world.settings.max_timeout, keys=keys))
    except SendFailed as failure:
        return _ended(world, task, started, no_reply(failure), failure.phases), None
    attempt = _ended(world, task, started, judge(task.request.expect, reply), reply.phases)
    kept, length = excerpt(reply, world.settings.keep_limit)
    return evolve(attempt, status_code=reply.status, reply=kept, reply_bytes=length), reply


def _ended(world: World, task: Task, started: float, judgement: Judgement, phases: tuple[int | None, ...]) -> Attempt:
    return Attempt(
        number=task.number,
        round=task.round,
        fence=task.fence,
        started_at=started,
        duration_ms=max(0, round((world.clock.now() - started) * 1000)),
        verdict=judgement.verdict,
        kind=judgement.kind,
        reason=judgement.reason,
        phases=phases,
    )


def _settle(world: World, task: Task, attempt: Attempt, reply: Reply | None, message: Message) -> Outcome:
    """Record the attempt and arrange what follows. Raises LostLease when it may not be recorded."""
    now = world.clock.now()
    if attempt.verdict is Verdict.DELIVERED:
        done = change(
            world.store, task, lambda it: life.delivered(it, attempt, now=now, retention=world.settings.retention)
        )
        _told_of(task, attempt)
        pass_turn(world, task, done)
        return Finished()
    next_step = decide(
        task.request.retry,
        number=task.number,
        status=attempt.status_code,
        retry_after=retry_after(reply.headers.get("retry-after"), now) if reply else None,
        remaining=task.deadline_at - now,
        random=world.random,
    )
    if isinstance(next_step, GiveUp):
        _told_of(task, attempt)
        return _exhaust(world, task, attempt, next_step.because)
    return _wait(world, task, evolve(attempt, wait=round(next_step.wait, 3)), next_step, message)


def _wait(world: World, task: Task, attempt: Attempt, again: Again, message: Message) -> Outcome:
    limit = world.settings.in_flight_limit
    where = place(again.wait, in_flight=_in_flight(world), limit=limit, spent=message.turn is not None)
    waiting = change(
        world.store,
        task,
        lambda it: life.retry_later(
            it,
            attempt,
            now=world.clock.now(),
            grace=world.settings.grace,
            parked=where is Place.PARKED,
            renew=where is Place.DELAYED,
        ),
    )
    _told_of(task, attempt, waits=where)
    if where is Place.DELAYED:
        enqueue(world, waiting, delay=again.wait)
    still_its_message = where is Place.HIDDEN and waiting.ticket == message.ticket
    return ComeBack(waiting.due_at - world.clock.now()) if still_its_message else Finished()


def _in_flight(world: World) -> int:
    """About how many messages are in flight. The figure is advice: nothing may keep an attempt from its record."""
    try:
        return world.queues.in_flight(Queue.TASKS)
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged
        log.failure("queue.not_counted")
        return 0


def _exhaust_unattempted(world: World, task: Task, ticket: int) -> Outcome:
    """Every claim of the round is used up, or its deadline passed while it waited: no attempt is left to make."""
    policy = task.request.retry
    used_up = task.number >= policy.max_attempts
    because = all_used(policy) if used_up else f"the deadline of {policy.deadline} s has passed"

    def still_spent(it: Task) -> Task:
        if not isinstance(life.refusal(it, ticket, world.clock.now()), Spent):
            raise LostLease(f"task {it.task_id} moved on")
        return it

    try:
        return _exhaust(world, task, None, because, still_spent)
    except LostLease:
        return Finished()


def _exhaust(
    world: World,
    task: Task,
    attempt: Attempt | None,
    because: str,
    if_it_may: Callable[[Task], Task] = lambda task: task,
) -> Outcome:
    settings, now = world.settings, world.clock.now()
    ended = change(
        world.store,
        task,
        lambda it: life.exhausted(
            if_it_may(it), attempt, because, now=now, grace=settings.grace, retention=settings.retention
        ),
    )
    log.event(
        "task.exhausted", metrics={"Exhausted": 1}, task_id=task.task_id, target=task.request.target, because=because
    )
    enqueue(world, ended)
    pass_turn(world, task, ended)
    return Finished()


def _facts(task: Task, attempt: Attempt) -> dict[str, object]:
    return {
        "task_id": task.task_id,
        "target": task.request.target,
        "round": attempt.round,
        "attempt": attempt.number,
        "max_attempts": task.request.retry.max_attempts,
    }


def _told_of(task: Task, attempt: Attempt, *, waits: Place | None = None) -> None:
    """The one complete line of an attempt, to be searched. Only what failed is a metric: that costs half a line."""
    log.event(
        "attempt.ended",
        metrics=None if attempt.verdict is Verdict.DELIVERED else {"AttemptsFailed": 1},
        **_facts(task, attempt),
        verdict=attempt.verdict,
        kind=attempt.kind,
        status=attempt.status_code,
        duration_ms=attempt.duration_ms,
        wait=attempt.wait,
        waits=waits,
    )
