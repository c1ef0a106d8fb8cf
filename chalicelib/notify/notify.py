"""Notify: tell humans about an exhausted task. A notice is tracked and tried again like anything that must arrive.

message on the exhausted queue --> a notice for each channel that wants it --> sent, or waits, or failed
once every notice has ended, the task is told: nothing is owed any more
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib import life, log
from chalicelib.change import change
from chalicelib.consume import ComeBack, Finished, Outcome
from chalicelib.errors import LostLease, NotFound, SendFailed
from chalicelib.notify import channels
from chalicelib.notify.message import render, values_of
from chalicelib.ports import Message, World
from chalicelib.task import Channel, Notice, NoticeStatus, Status, Task, evolve

WAITS = (10, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600)
"""Seconds between the tries of a notice: robots that throttle do so for minutes, outages last hours."""

LEASE = channels.TIMEOUT + 20
"""Seconds for which one consumer owns a notice: longer than a try can last."""


def tell(world: World, message: Message) -> Outcome:
    """Send what is owed about the exhausted task that the message names; come back for what is still owed."""
    task = world.store.get(message.task_id)
    if task is None or task.status is not Status.EXHAUSTED or task.wake_at is None or task.ticket != message.ticket:
        return Finished()
    owed = [notice for notice in _ensure_notices(world, task) if notice.status is NoticeStatus.PENDING]
    waiting = [notice for notice in (_try(world, task, notice) for notice in owed) if _is_open(notice)]
    if waiting:
        now = world.clock.now()
        return ComeBack(min(max(notice.due_at, notice.lease_until) for notice in waiting) - now)
    _mark_told(world, task)
    return Finished()


def _is_open(notice: Notice) -> bool:
    return notice.status is NoticeStatus.PENDING


def _ensure_notices(world: World, task: Task) -> list[Notice]:
    """The notices of this round: those that exist, and new ones for channels that want the task.

    A channel that was removed keeps the notices it has.
    """
    there = {notice.channel_id: notice for notice in world.store.notices(task.task_id) if notice.round == task.round}
    for channel in world.store.channels():
        if channel.wants(task.request) and channel.channel_id not in there:
            there[channel.channel_id] = _new_notice(world, task, channel)
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


def _try(world: World, task: Task, notice: Notice) -> Notice:
    """One try at a notice, if it is due and nobody else is at it; the notice as it is then."""
    now = world.clock.now()
    if notice.due_at > now or notice.lease_until > now:
        return notice
    mine = evolve(notice, version=notice.version + 1, tries=notice.tries + 1, lease_until=now + LEASE)
    if not world.store.save_notice(mine):
        return evolve(notice, lease_until=now + LEASE)
    ended = _after(mine, _send(world, task, mine), now=world.clock.now())
    if not world.store.save_notice(ended):
        return evolve(notice, lease_until=now + LEASE)
    log.event(
        f"notice.{'delivered' if ended.status is NoticeStatus.DELIVERED else 'refused'}",
        metrics={f"Notices{ended.status.capitalize()}": 1},
        task_id=task.task_id,
        channel=notice.channel_id,
        kind=notice.channel_kind,
        tries=ended.tries,
        reason=ended.reason,
    )
    return ended


def _send(world: World, task: Task, notice: Notice) -> str | None:
    """Why the channel did not take the notice; None when it did."""
    channel = next(iter(_channel(world, notice.channel_id)), None)
    if channel is None:
        return "the channel was removed"
    return send(world, channel, render(channel, values_of(task)))


def _channel(world: World, channel_id: str) -> Iterator[Channel]:
    return (channel for channel in world.store.channels() if channel.channel_id == channel_id)


def send(world: World, channel: Channel, body: str) -> str | None:
    """Send one message to a channel: why it was not taken, None when it was. Used by the test action too."""
    try:
        reply = world.http.send(channels.outgoing(channel, body, now=world.clock.now()))
    except SendFailed as failure:
        return failure.detail
    return channels.refusal(channel, reply)


def _after(notice: Notice, reason: str | None, *, now: float) -> Notice:
    """The notice after a try that was refused for `reason`, or taken."""
    ended = evolve(notice, version=notice.version + 1, lease_until=0, reason=reason)
    if reason is None:
        return evolve(ended, status=NoticeStatus.DELIVERED, ended_at=now)
    if notice.tries > len(WAITS):
        return evolve(ended, status=NoticeStatus.FAILED, ended_at=now)
    return evolve(ended, due_at=now + WAITS[notice.tries - 1])


def _mark_told(world: World, task: Task) -> None:
    def told(it: Task) -> Task:
        if it.status is not Status.EXHAUSTED or it.round != task.round:
            raise LostLease(f"task {it.task_id} was resent meanwhile")
        return life.told(it)

    try:
        change(world.store, task, told)
    except (LostLease, NotFound) as moved_on:
        log.event("task.moved_on", task_id=task.task_id, why=str(moved_on))
