"""Notify: tell humans about an exhausted task. A notice is tracked and tried again like anything that must arrive.

message on the exhausted queue --> a notice for each channel that wants it --> sent, or waits, or failed
once every notice has ended, the task is told: nothing is owed any more
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from chalicelib import life, log
from chalicelib.at_once import all_at_once
from chalicelib.change import change
from chalicelib.consume import ComeBack, Finished, Outcome
from chalicelib.errors import LostLease, NotFound, SendFailed
from chalicelib.notify import channels
from chalicelib.notify.message import render, values_of
from chalicelib.ports import Message, World
from chalicelib.task import Channel, Notice, NoticeStatus, Status, Task, evolve

WAITS = (10, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600)
"""Seconds between the tries of a notice: outages of a channel last minutes or hours."""

BUSY_FIRST, BUSY_MOST = 60, 6 * 3600
"""Seconds to leave a channel alone that has too many messages: twice as long each time, from the first to the most."""

BUSY_FOR = 7 * 86_400
"""Seconds after which a notice fails that a channel never had time for."""

LEASE = channels.TIMEOUT + 20
"""Seconds for which one consumer owns a notice: longer than a try can last."""


def tell(world: World, message: Message) -> Outcome:
    """Send what is owed about the exhausted task that the message names; come back for what is still owed."""
    task = world.store.get(message.task_id)
    if task is None or task.status is not Status.EXHAUSTED or task.wake_at is None or task.ticket != message.ticket:
        return Finished()
    known = {channel.channel_id: channel for channel in world.store.channels()}
    owed = [notice for notice in _notices(world, task, known) if _is_open(notice)]
    tried = all_at_once(owed, lambda notice: _try(world, task, notice, known.get(notice.channel_id)))
    waiting = [max(notice.due_at, notice.lease_until) for notice in tried if _is_open(notice)]
    if waiting:
        return ComeBack(min(waiting) - world.clock.now())
    _mark_told(world, task)
    return Finished()


def _is_open(notice: Notice) -> bool:
    return notice.status is NoticeStatus.PENDING


def _notices(world: World, task: Task, known: Mapping[str, Channel]) -> list[Notice]:
    """The notices of this round: those that exist, and new ones for channels that want the task."""
    there = {notice.channel_id: notice for notice in world.store.notices(task.task_id) if notice.round == task.round}
    for channel_id, channel in known.items():
        if channel.wants(task.request) and channel_id not in there:
            there[channel_id] = _new_notice(world, task, channel)
    if not there:
        log.event("task.told_nobody", metrics={"ToldNobody": 1}, task_id=task.task_id, why="no channel wants it")
    return list(there.values())


def _new_notice(world: World, task: Task, channel: Channel) -> Notice:
    """A notice that is not stored yet: its first claim stores it."""
    now = world.clock.now()
    return Notice(
        notice_id=f"{task.round}#{channel.channel_id}",
        task_id=task.task_id,
        round=task.round,
        channel_id=channel.channel_id,
        channel_kind=channel.kind,
        due_at=now,
        created_at=now,
        expires_at=task.expires_at,
    )


def _try(world: World, task: Task, notice: Notice, channel: Channel | None) -> Notice:
    """One try at a notice, if it is due and nobody else is at it; the notice as it is then."""
    now = world.clock.now()
    if notice.due_at > now or notice.lease_until > now:
        return notice
    mine = evolve(notice, version=notice.version + 1, tries=notice.tries + 1, lease_until=now + LEASE)
    if not world.store.save_notice(mine):
        return evolve(notice, lease_until=now + LEASE)
    outcome = _send(world, task, channel)
    ended = after(mine, outcome, now=world.clock.now(), random=world.random)
    if not world.store.save_notice(ended):
        return evolve(notice, lease_until=now + LEASE)
    _told_of(task, ended, outcome)
    return ended


def _send(world: World, task: Task, channel: Channel | None) -> Sent:
    if channel is None or not channel.enabled:
        return Sent(Ending.GONE, "the channel was removed" if channel is None else "the channel is disabled")
    return send(world, channel, render(channel, values_of(task)))


class Ending(StrEnum):
    """What became of one message to a channel."""

    TAKEN = "taken"  # it said so
    REFUSED = "refused"  # it said no, or did not answer
    BUSY = "busy"  # it has too many messages just now
    GONE = "gone"  # it is there no more, or not used


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message, and why it was not taken, in one sentence."""

    ending: Ending
    reason: str | None = None


def send(world: World, channel: Channel, body: str) -> Sent:
    """Send one message to a channel. Used by the test action too."""
    try:
        reply = world.http.send(channels.outgoing(channel, body, now=world.clock.now()))
    except SendFailed as failure:
        return Sent(Ending.REFUSED, failure.detail)
    reason = channels.refusal(channel, reply)
    if reason is None:
        return Sent(Ending.TAKEN)
    return Sent(Ending.BUSY if channels.is_busy(channel, reply) else Ending.REFUSED, reason)


def after(notice: Notice, sent: Sent, *, now: float, random: Random) -> Notice:
    """The notice after a try. Pure, but for the dice that keep a crowd of notices from coming back together."""
    ended = evolve(notice, version=notice.version + 1, lease_until=0, reason=sent.reason)
    if sent.ending is Ending.TAKEN:
        return evolve(ended, status=NoticeStatus.DELIVERED, ended_at=now)
    if sent.ending is Ending.BUSY and now - notice.created_at < BUSY_FOR:
        wait = min(BUSY_FIRST * 2**notice.throttled, BUSY_MOST) * random.uniform(0.5, 1.5)
        return evolve(ended, tries=notice.tries - 1, throttled=notice.throttled + 1, due_at=now + wait)
    if sent.ending is Ending.REFUSED and notice.tries <= len(WAITS):
        return evolve(ended, due_at=now + WAITS[notice.tries - 1] * random.uniform(1, 1.2))
    return evolve(ended, status=NoticeStatus.FAILED, ended_at=now)


def _told_of(task: Task, notice: Notice, sent: Sent) -> None:
    log.event(
        f"notice.{sent.ending}",
        metrics={f"Notices{notice.status.capitalize()}": 1},
        task_id=task.task_id,
        channel=notice.channel_id,
        kind=notice.channel_kind,
        status=notice.status,
        tries=notice.tries,
        reason=notice.reason,
    )


def _mark_told(world: World, task: Task) -> None:
    def told(it: Task) -> Task:
        if it.status is not Status.EXHAUSTED or it.round != task.round:
            raise LostLease(f"task {it.task_id} was resent meanwhile")
        return life.told(it)

    try:
        change(world.store, task, told)
    except (LostLease, NotFound) as moved_on:
        log.event("task.moved_on", task_id=task.task_id, why=str(moved_on))
