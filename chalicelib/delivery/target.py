"""Target: admit an attempt now, let it wait for its turn, or hold its task. Decisions are pure; a thin edge obeys.

    message ──nothing is set of its target──────────────────────────> attempt
        └──not paused? breaker closed? a place free? a turn free?──yes──> attempt ──> leave: place back, verdict counted
                          └──no──> the task is held in the table, or its message waits for a turn of its own
    resumed, place back, breaker closed, a minute passed ──call──> held tasks are released, as many as may go

Nobody waits in the queue for a target, and waiting is no attempt. What the workers must know of each other stands in
the `Gate` of the target; of a target without limits there is none, and nobody reads or writes for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, repeat, takewhile
from math import ceil, inf

from chalicelib import life, log
from chalicelib.announce import announce
from chalicelib.at_once import all_at_once
from chalicelib.change import change
from chalicelib.clocks import is_ahead
from chalicelib.consume import ComeBack, Finished, Outcome
from chalicelib.enqueue import enqueue_all, parcel
from chalicelib.errors import LostLease, NotFound, Unavailable
from chalicelib.life import NotHeld, NotYet, Spent, Stale
from chalicelib.ports import MOST_DELAY, Message, News, Parcel, Queue, World, call
from chalicelib.task import Breaker, Event, Gate, Held, Target, Task, Verdict, evolve

FRESH = 5
"""Seconds for which a process remembers what is set of targets: so long a pause may take to reach all workers."""

STALE = 15
"""Seconds after which it goes by that no more, though the table cannot be read just now."""

SOON = 10
"""Seconds ahead for which whoever comes gets a turn of a rate; who would have to wait longer is held."""

AHEAD = 75
"""Seconds ahead for which held tasks get turns: more than `SOON`, so that nobody overtakes them while there are any,
and more than lie between two passes of the reconciler."""

PUNCTUAL = 30
"""Seconds after its moment for which a turn is good: a queue may be late. Before it, only a clock can be wrong."""

ON_ITS_WAY = 30
"""Seconds for which a place is kept for a task that was released to it."""

LONGEST_PLACE_SECONDS = 600
"""Seconds for which a place is kept, at most: the longest lease, and what is spared beside it."""

SPARE = 30
"""Seconds by which a place is kept for longer than the lease of the attempt that has it."""

PARTS = 10
"""Parts of a breaker's window: attempts are forgotten part by part."""

PAGE = 100
"""Held tasks that one call releases, at most; then it calls again."""

NEXT = 10
"""Held tasks among which whoever leaves a place looks for the next one."""

AT_ONCE = 20
"""Tasks that are released at the same time: each waits for the table and for the queue."""

CALLS = "calls"
"""The group of calls: no target's messages keep them waiting."""


# ── decisions ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Go:
    """Make the attempt. `entered`: the place is new, and not one that was kept or that a copy of the message took."""

    entered: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """Come back at `at` (seconds since the epoch): that moment is set aside."""

    at: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Hold the task. `first`: nobody has waited before, so somebody must see to it that those who wait are called."""

    why: Held
    first: bool = False


Admission = Go | Turn | Keep


def admit(
    target: Target, gate: Gate, *, who: str, turn: float | None, now: float, lease: float
) -> tuple[Gate, Admission]:
    """Whether `who`, to whom `turn` was promised, may make an attempt that ends within `lease` seconds."""
    gate = sane(target, gate, now)
    if why := _shut(target, gate, who, now):
        return _waiting(gate, why)
    if target.rate_per_second is not None and (turn is None or now > turn + PUNCTUAL):
        at = max(gate.next_at, now)
        if at > now + SOON:
            return _waiting(gate, Held.RATE)
        gate = evolve(gate, next_at=at + 1 / target.rate_per_second)
        if at > now:
            return gate, Turn(at)
    return _enter(target, gate, {who: now + lease}, now), Go(not _is_in(gate, who, now))


def sane(target: Target, gate: Gate, now: float) -> Gate:
    """The gate without what only a clock that was ahead can have written: it would keep everybody out for long."""
    inside = {who: until for who, until in gate.inside.items() if not is_ahead(until, now, LONGEST_PLACE_SECONDS)}
    apart = 1 / target.rate_per_second if target.rate_per_second else 0
    longest_open = target.breaker.open_seconds if target.breaker else 0
    is_open = gate.open_until is not None and is_ahead(gate.open_until, now, longest_open)
    is_probed = not is_ahead(gate.probe_until, now, LONGEST_PLACE_SECONDS)
    return evolve(
        gate,
        inside=inside,
        next_at=now if is_ahead(gate.next_at, now, AHEAD + apart) else gate.next_at,
        open_until=now if is_open else gate.open_until,
        probe=gate.probe if is_probed else "",
        probe_until=gate.probe_until if is_probed else 0,
    )


def _waiting(gate: Gate, why: Held) -> tuple[Gate, Keep]:
    """Held, and known to wait where others make room for it by their leaving, or time does."""
    waits = gate.waits or why in (Held.CONCURRENCY, Held.RATE)
    return evolve(gate, waits=waits), Keep(why, first=waits and not gate.waits)


def _shut(target: Target, gate: Gate, who: str, now: float) -> Held | None:
    """Why nobody may go in, or not `who`, whatever the rate says."""
    if target.paused_at is not None:
        return Held.PAUSED
    if target.breaker and _is_open(gate, who, now):
        return Held.BREAKER
    others = _inside(gate, now).keys() - {who}
    if target.max_concurrency is not None and len(others) >= target.max_concurrency:
        return Held.CONCURRENCY
    return None


def _is_open(gate: Gate, who: str, now: float) -> bool:
    """Whether the breaker is open, or half-open and the one attempt that decides is another's."""
    if gate.open_until is None:
        return False
    return now < gate.open_until or (gate.probe != who and gate.probe_until > now)


def _inside(gate: Gate, now: float) -> dict[str, int]:
    """Who has a place, and for how long; places whose time is over are free."""
    return {who: until for who, until in gate.inside.items() if until > now}


def _is_in(gate: Gate, who: str, now: float) -> bool:
    return who in _inside(gate, now) or (gate.probe == who and gate.probe_until > now)


def _enter(target: Target, gate: Gate, guests: Mapping[str, float], now: float) -> Gate:
    """Give each guest a place until its moment; where the breaker is half-open, the first one is the probe."""
    if target.max_concurrency is not None:
        places = {who: ceil(until) for who, until in guests.items()}
        gate = evolve(gate, inside=_inside(gate, now) | places)
    if target.breaker and gate.open_until is not None:
        who, until = next(iter(guests.items()))
        gate = evolve(gate, probe=who, probe_until=until)
    return gate


class Moved(StrEnum):
    """What an attempt's end did to the breaker."""

    OPENED = "opened"
    REOPENED = "reopened"  # its probe failed
    CLOSED = "closed"


def leave(target: Target, gate: Gate, *, who: str, verdict: Verdict | None, now: float) -> tuple[Gate, Moved | None]:
    """The gate without `who`, whose attempt ended with `verdict` (None: there was none)."""
    gate = sane(target, gate, now)
    places = _inside(gate, now)
    places.pop(who, None)
    left = evolve(gate, inside=places)
    if target.breaker is None or verdict is None:
        probe = "" if gate.probe == who else gate.probe
        return evolve(left, probe=probe, probe_until=gate.probe_until if probe else 0), None
    return _judged(target.breaker, left, who, failed=verdict is not Verdict.DELIVERED, now=now)


def _judged(breaker: Breaker, gate: Gate, who: str, *, failed: bool, now: float) -> tuple[Gate, Moved | None]:
    """Count an attempt. While the breaker is not closed, the probe alone decides: others began before it opened."""
    if gate.open_until is None:
        counted = _counted(breaker, gate, failed=failed, now=now)
        return (_opened(breaker, counted, now), Moved.OPENED) if _is_enough(breaker, counted) else (counted, None)
    if gate.probe != who:
        return gate, None
    return (_opened(breaker, gate, now), Moved.REOPENED) if failed else (closed(gate), Moved.CLOSED)


def _counted(breaker: Breaker, gate: Gate, *, failed: bool, now: float) -> Gate:
    part = int(now // (breaker.window / PARTS))
    tried = {key: n for key, n in gate.tried.items() if part - PARTS < int(key) <= part}
    fell = {key: n for key, n in gate.failed.items() if key in tried}
    key = str(part)
    tried[key] = tried.get(key, 0) + 1
    if failed:
        fell[key] = fell.get(key, 0) + 1
    return evolve(gate, tried=tried, failed=fell)


def _is_enough(breaker: Breaker, gate: Gate) -> bool:
    tried, failed = sum(gate.tried.values()), sum(gate.failed.values())
    return tried >= breaker.least_attempts and failed > 0 and failed >= breaker.failure_share * tried


def _opened(breaker: Breaker, gate: Gate, now: float) -> Gate:
    since = now if gate.opened_at is None else gate.opened_at
    return evolve(closed(gate), opened_at=since, open_until=now + breaker.open_seconds)


def closed(gate: Gate) -> Gate:
    """The gate with its breaker closed, as if nothing had been tried yet."""
    return evolve(gate, tried={}, failed={}, opened_at=None, open_until=None, probe="", probe_until=0)


def invite(target: Target, gate: Gate, whos: Sequence[str], *, now: float) -> tuple[Gate, dict[str, float]]:
    """As many of these as may go, in this order: who -> when. A place, the probe or a turn is kept for each."""
    gate = sane(target, gate, now)
    others = [who for who in whos if not _is_in(gate, who, now)]
    turns = _turns(target, gate, now)
    guests = dict(zip(others[: _room(target, gate, now)], turns, strict=False))
    if guests:
        gate = _enter(target, gate, {who: at + ON_ITS_WAY for who, at in guests.items()}, now)
    if guests and target.rate_per_second is not None:
        gate = evolve(gate, next_at=max(guests.values()) + 1 / target.rate_per_second)
    return evolve(gate, waits=len(whos) > len(guests)), guests


def _room(target: Target, gate: Gate, now: float) -> int | None:
    """How many may go in now, whatever the rate says; None: any number."""
    if _shut(target, gate, "", now):
        return 0
    if target.breaker and gate.open_until is not None:
        return 1
    return None if target.max_concurrency is None else target.max_concurrency - len(_inside(gate, now))


def _turns(target: Target, gate: Gate, now: float) -> Iterable[float]:
    """The moments at which the rate lets somebody go, one after the other."""
    if target.rate_per_second is None:
        return repeat(now)
    first, apart = max(gate.next_at, now), 1 / target.rate_per_second
    return takewhile(lambda at: at <= now + AHEAD, (first + n * apart for n in count()))


# ── what a process knows ─────────────────────────────────────────────────────────────────────────


def remembered(world: World) -> Mapping[str, Target]:
    """What is set of targets, as of `FRESH` seconds ago. While somebody reads it again, the others go on, but for
    no longer than `STALE`. Raises Unavailable."""
    known, now = world.known, world.clock.now()
    fresh, asked, usable = (0 <= now - known.at < FRESH, 0 <= now - known.asked_at < FRESH, now - known.at < STALE)
    if known.targets is not None and (fresh or (asked and usable)):
        return known.targets
    known.asked_at = now
    return read(world)


def read(world: World) -> Mapping[str, Target]:
    """What is set of targets now; remembered from now on. Raises Unavailable."""
    now = world.clock.now()
    targets = {target.name: target for target in world.store.targets()}
    world.known.targets, world.known.at = targets, now
    return targets


# ── before and after an attempt ──────────────────────────────────────────────────────────────────


def through(world: World, message: Message, attempt: Callable[[], tuple[Outcome, Verdict | None]]) -> Outcome:
    """Make the attempt if the target of the message takes it, and tell the others when it has ended."""
    target = _of(message, remembered(world), world)
    if target is None or not target.is_set:
        return attempt()[0]
    admitted = _ask(world, target, message)
    if isinstance(admitted, Keep) and (newer := read(world)[target.name]) != target:
        target = newer  # a task that was released must not be held again by what was set before
        admitted = _ask(world, target, message)
    match admitted:
        case Go(entered):
            return _within(world, target, message, attempt, entered=entered)
        case Turn(at):
            return _come_at(world, target, message, at)
        case Keep(why, first):
            if first:
                ring(world, target.name, delay=SOON / 2)
            return _hold(world, message, why) or attempt()[0]


def _of(message: Message, targets: Mapping[str, Target], world: World) -> Target | None:
    """The target of the message, if anything is set of it. Messages of older releases do not name it."""
    name = message.target
    if name is None and targets:
        task = world.store.get(message.task_id)
        name = task.request.target if task else None
    return targets.get(name or "")


def _who(task_id: str, ticket: int) -> str:
    """A message among those at one target, in few bytes. The next one of its task may come before it has left."""
    return f"{task_id[:8]}.{ticket}"


def _ask(world: World, target: Target, message: Message) -> Admission:
    if target.paused_at is not None:
        return Keep(Held.PAUSED)
    if not target.is_limited:
        return Go(entered=False)
    who, now, lease = _who(message.task_id, message.ticket), world.clock.now(), world.settings.lease + SPARE
    return world.store.pass_gate(
        target.name, lambda gate: admit(target, gate, who=who, turn=message.turn, now=now, lease=lease)
    )


def _within(
    world: World,
    target: Target,
    message: Message,
    attempt: Callable[[], tuple[Outcome, Verdict | None]],
    *,
    entered: bool,
) -> Outcome:
    """Make the attempt, then leave. A message that made none and comes back keeps its place until then, or until the
    place's time is over: a copy of the message may be in it, with the attempt that kept this one from its own."""
    outcome, verdict = attempt()
    if verdict is not None or (entered and isinstance(outcome, Finished)):
        _leave(world, target, message, verdict)
    return outcome


def _leave(world: World, admitted_by: Target, message: Message, verdict: Verdict | None) -> None:
    """Tell the others. Where that fails, the place is free when its time is over: the attempt is recorded already.

    Its outcome counts by the breaker that is set now, which may have been changed or removed since the attempt began.
    """
    if admitted_by.max_concurrency is None and admitted_by.breaker is None:
        return
    name, who, now = admitted_by.name, _who(message.task_id, message.ticket), world.clock.now()
    try:
        target = remembered(world).get(name, admitted_by)

        def left(gate: Gate) -> tuple[Gate, tuple[Gate, Moved | None]]:
            after, moved = leave(target, gate, who=who, verdict=verdict, now=now)
            return after, (after, moved)

        gate, moved = world.store.pass_gate(name, left)
        if moved:
            _breaker_has(world, target, moved)
        elif gate.waits:
            _release(world, target, NEXT)
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged, and the reconciler calls those that are held
        log.failure("target.not_left", target=name, task_id=message.task_id)


def _breaker_has(world: World, target: Target, moved: Moved) -> None:
    """The breaker of a target has opened (again), or closed: say so, and call held tasks when it is time.

    Humans are told when it opens and when it closes, not of every probe that fails in between.
    """
    log.event(f"breaker.{moved}", metrics={f"Breakers{moved.capitalize()}": 1}, target=target.name)
    assert target.breaker is not None, "a target without a breaker has none that moves"
    if moved in EVENTS:
        announce(world, News(target.name, EVENTS[moved], world.clock.now(), _because(target.breaker, moved)))
    wait = 0 if moved is Moved.CLOSED else target.breaker.open_seconds
    ring(world, target.name, delay=min(wait, MOST_DELAY))


EVENTS = {Moved.OPENED: Event.BREAKER_OPENED, Moved.CLOSED: Event.BREAKER_CLOSED}


def _because(breaker: Breaker, moved: Moved) -> str:
    if moved is Moved.CLOSED:
        return "a probe was delivered"
    return f"{breaker.failure_share:.0%} or more of its attempts failed within {breaker.window:g} s"


def _come_at(world: World, target: Target, message: Message, at: float) -> Outcome:
    """Let the message come again when it is its turn: a new one, since a message in hand cannot be told anything."""
    delay = min(max(at - world.clock.now(), 0), MOST_DELAY)
    world.queues.send(Queue.TASKS, evolve(message, turn=at), group=target.name, delay=delay)
    return Finished()


# ── held, and released ───────────────────────────────────────────────────────────────────────────


def _hold(world: World, message: Message, why: Held) -> Outcome | None:
    """Hold the task, if the message could have claimed it. None: its round is over, which the claim will find."""
    now = world.clock.now()

    def kept(it: Task) -> Task:
        if life.refusal(it, message.ticket, now) is not None:
            raise LostLease(f"task {it.task_id} moved on")
        return life.hold(it, why, now=now)

    task = world.store.get(message.task_id)
    match life.refusal(task, message.ticket, now):
        case Spent():
            return None
        case NotYet(at):
            return ComeBack(at - now)
        case Stale():
            return Finished()
    assert task is not None, "a message of no task is stale"
    try:
        change(world.store, task, kept)
    except (LostLease, NotFound):
        return ComeBack(life.LOOK_AGAIN)
    log.event("task.held", metrics={"Held": 1}, task_id=task.task_id, target=task.request.target, why=why)
    return Finished()


def ring(world: World, name: str, *, delay: float = 0) -> None:
    """Call the tasks that are held for a target. A call that cannot be sent is made by the reconciler's next pass."""
    try:
        world.queues.send(Queue.TASKS, call(name), group=CALLS, delay=delay)
    except Unavailable as unavailable:
        log.event("queue.unavailable", metrics={"SendsPutOff": 1}, target=name, why=unavailable.detail)


def call_held(world: World, until: float = inf) -> None:
    """Call the held tasks of each target that is not paused, as long as there is time: the net under lost calls.

    Each pass begins with another target, so that all have their turn where there is no time for all.
    """
    names = [target.name for target in read(world).values() if target.paused_at is None]
    first = world.random.randrange(len(names)) if names else 0
    in_turn = names[first:] + names[:first]
    for begin in range(0, len(in_turn), AT_ONCE):
        if world.clock.now() < until:
            all_at_once(in_turn[begin : begin + AT_ONCE], lambda name: _call_or_log(world, name))


def _call_or_log(world: World, name: str) -> None:
    """One target that cannot be looked at must not keep the others from it."""
    try:
        if world.store.held(name, 1):
            ring(world, name)
    except Unavailable as unavailable:
        log.event("store.unavailable", target=name, why=unavailable.detail)
    except Exception:  # noqa: BLE001 - as the docstring says; it is logged, and tried again in a minute
        log.failure("held.not_called", target=name)


def release(world: World, name: str) -> Outcome:
    """A call has come: release those that may go, and call again while there are more."""
    target = read(world).get(name)
    if target is not None and target.paused_at is None and _release(world, target, PAGE) == PAGE:
        ring(world, name)
    return Finished()


def _release(world: World, target: Target, most: int) -> int:
    """Release the first of the held tasks, up to `most`, if they may go. How many may."""
    page = {_who(task.task_id, task.ticket + 1): task for task in world.store.held(target.name, most)}
    guests = _invited(world, target, list(page))
    released = all_at_once(list(guests), lambda who: _let_go(world, target, page[who], guests[who]), most=AT_ONCE)
    parcels = [it for it in released if it is not None]
    enqueue_all(world, parcels)
    if parcels:
        log.event("target.released", metrics={"Released": len(parcels)}, target=target.name, released=len(parcels))
    return len(guests)


def _invited(world: World, target: Target, whos: Sequence[str]) -> Mapping[str, float]:
    """Who of these may go, and when."""
    now = world.clock.now()
    if not target.is_limited:
        return dict.fromkeys(whos, now)
    return world.store.pass_gate(target.name, lambda gate: invite(target, gate, whos, now=now))


def _let_go(world: World, target: Target, task: Task, at: float) -> Parcel | None:
    """Release one task, to begin at `at`: the message that is to be sent. None when that could not be, or was done."""
    now, grace = world.clock.now(), world.settings.grace
    try:
        free = change(world.store, task, lambda it: life.release(it, now=now, at=max(at, now), grace=grace))
    except (NotHeld, NotFound, Unavailable):
        return None
    turn = None if target.rate_per_second is None else at
    return parcel(free, delay=min(max(at - now, 0), MOST_DELAY), turn=turn)
