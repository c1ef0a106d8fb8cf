"""Gather: which events one notice tells of. Exactly one notice names each, whoever dies in the middle.

    the channel's desk ──> join the notice that gathers there ──> its time has come ──> settle it: it names these

A notice is settled in one conditional write, with the list of all that it names. Who was too late for it finds
himself missing in that list, and joins the next one. The desk moves on before a notice is settled, so that what
comes meanwhile gathers anew. Of a quiet channel the first one finds a desk that is due, and is told at once.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from chalicelib.clocks import is_ahead
from chalicelib.notify import pace
from chalicelib.notify.message import values_of
from chalicelib.ports import Store, World
from chalicelib.task import Channel, Desk, Event, Gist, Mention, Notice, evolve

MOST = 20_000
"""Events of one notice, at most: what comes beyond is left for the next."""

FEW = 5
"""Targets, errors, apps and ids that a notice lists, at most."""

SOON = 1
"""Seconds to come back after when somebody else is at it just now."""

AT_WORK = 30
"""Seconds that settling may take. Whoever began it may be dead after that, and another does it."""

KEPT = 86_400
"""Seconds for which a notice that has ended is kept beyond the retention: its tasks are told up to a day later."""


def join(world: World, channel: Channel | None, mention: Mention) -> Mention | None:
    """The mention among those that the channel's next notice gathers. None: somebody else has just done that."""
    gathering = channel is not None and channel.gather > 0
    desk = _desk(world, mention.channel_id) if gathering else None
    joined = evolve(
        mention,
        notice_id=desk.notice_id if desk else _alone(mention),
        due_at=_due_at(desk, channel, world.clock.now()) if desk and channel else world.clock.now(),
    )
    return joined if world.store.mention(joined) else None


def _due_at(desk: Desk, channel: Channel, now: float) -> float:
    """When what gathers at the desk is due: at once, where a clock that was ahead has said when."""
    return now if is_ahead(desk.due_at, now, channel.gather) else desk.due_at


def _alone(mention: Mention) -> str:
    """The id of a notice that tells of nothing else."""
    return f"{mention.subject}#{mention.round}#{mention.channel_id}#{mention.version}"


def _desk(world: World, channel_id: str) -> Desk:
    """The channel's desk. The first one is due at once."""
    while (desk := world.store.desk(channel_id)) is None:
        now = world.clock.now()
        world.store.save_desk(
            Desk(channel_id=channel_id, version=1, notice_id=_new_id(world), opened_at=now, due_at=now)
        )
    return desk


def _new_id(world: World) -> str:
    return str(uuid.UUID(int=world.random.getrandbits(128), version=4))


def settle(world: World, channel: Channel | None, mention: Mention) -> float:
    """Settle the notice that has gathered the mention, when its time has come: 0 when it is, else seconds to wait."""
    now = world.clock.now()
    if mention.due_at > now and not is_ahead(mention.due_at, now, channel.gather if channel else 0):
        return mention.due_at - now
    wait = 0 if mention.notice_id == _alone(mention) else _move_on(world, channel, mention, now)
    if not wait:
        gathered = world.store.gathered(mention.notice_id, MOST)
        world.store.settle(_notice(world, mention, gathered), gathered)
    return wait


def _move_on(world: World, channel: Channel | None, mention: Mention, now: float) -> float:
    """Let the desk go on to its next notice: 0 for who did it and is to settle this one, else seconds to wait.

    While the robot has no room, more gathers.
    """
    desk = _desk(world, mention.channel_id)
    if desk.notice_id != mention.notice_id:
        return SOON if desk.opened_at <= now < desk.opened_at + AT_WORK else 0
    if channel and (wait := pace.room(world, channel)):
        return wait
    gather = channel.gather if channel else 0
    new = evolve(desk, version=desk.version + 1, notice_id=_new_id(world), opened_at=now, due_at=now + gather)
    return 0 if world.store.save_desk(new) else SOON


def _notice(world: World, mention: Mention, gathered: Sequence[Mention]) -> Notice:
    now = world.clock.now()
    return Notice(
        notice_id=mention.notice_id,
        channel_id=mention.channel_id,
        channel_kind=mention.channel_kind,
        gist=gist(gathered, _values(world, gathered)),
        due_at=now,
        created_at=min((it.created_at for it in gathered), default=now),
    )


def _values(world: World, gathered: Sequence[Mention]) -> Mapping[str, str]:
    """The variables of a task that is told of alone."""
    tasks = [it.subject for it in gathered if it.event is Event.EXHAUSTED]
    task = world.store.get(tasks[0]) if len(gathered) == len(tasks) == 1 else None
    return values_of(task) if task else {}


def gist(gathered: Sequence[Mention], values: Mapping[str, str]) -> Gist:
    """What a notice about all of them says. Pure."""
    tasks = [it for it in gathered if it.event is Event.EXHAUSTED]
    return Gist(
        tasks=len(tasks),
        targets=_most(it.target for it in tasks),
        errors=_most(it.error for it in tasks),
        apps=_most(it.source_app for it in tasks),
        first=tuple(it.subject for it in sorted(tasks, key=lambda it: it.created_at)[:FEW]),
        opened=_changed(gathered, Event.BREAKER_OPENED),
        closed=_changed(gathered, Event.BREAKER_CLOSED),
        values=values,
    )


def _most(names: Iterable[str]) -> Mapping[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda it: (-it[1], it[0]))[:FEW])


def _changed(gathered: Iterable[Mention], event: Event) -> tuple[str, ...]:
    """The targets to which it happened, the latest first."""
    found = sorted((it for it in gathered if it.event is event), key=lambda it: -it.created_at)
    return tuple(dict.fromkeys(it.target for it in found))[:FEW]


def notices_of(store: Store, subject: str) -> list[tuple[Mention, Notice | None]]:
    """Whom a task is told to, oldest first, and by which notice; None while that gathers, or left the task out."""
    found = [(mention, store.notice(mention.notice_id)) for mention in store.mentions(subject)]
    return [(mention, notice if notice and store.names(notice, mention) else None) for mention, notice in found]
