"""Notify: tell humans about exhausted tasks, and about targets whose breaker has changed.

message on the exhausted queue --> mentioned to each channel that wants it --> its notice is sent, waits, or failed
once every notice about it has ended, the task is told: nothing is owed any more

A notice names one event or thousands (`gather.py`), and each robot is told at its own pace (`pace.py`). Whoever comes
first when it is due sends it; all the others are its net, and only look what became of it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from urllib.parse import quote

from chalicelib import life, log
from chalicelib.at_once import all_at_once
from chalicelib.change import change
from chalicelib.clocks import is_ahead
from chalicelib.consume import ComeBack, Finished, Outcome
from chalicelib.errors import LostLease, NotFound, SendFailed
from chalicelib.notify import channels, gather, pace
from chalicelib.notify.message import render, render_digest, subject_of
from chalicelib.notify.throttling import retry_after
from chalicelib.ports import Letter, Message, News, RefusedRecipient, World
from chalicelib.task import OWED_KEPT, Channel, Mention, Notice, NoticeStatus, Status, Task, evolve

WAITS = (10, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600)
"""Seconds between the tries of a notice: outages of a channel last minutes or hours."""

BUSY_FIRST, BUSY_MOST = 60, 6 * 3600
"""Seconds to leave a channel alone that has too many messages: twice as long each time, from the first to the most."""

BUSY_FOR = 7 * 86_400
"""Seconds after which a notice fails that a channel never had time for."""

REST = 300
"""Seconds for which a robot that refused a notice gets no other, at most: the fault may be that notice's."""

LEASE = channels.TIMEOUT + 20
"""Seconds for which one consumer owns a notice: longer than a try can last."""

LOOK_AGAIN = 5
"""Seconds after which one comes back who waits for what another is sending: most tries end long before their lease."""

SPREAD = 4
"""Seconds over which those come back who gather in one notice: the first sends it, and the others find it sent."""


def tell(world: World, message: Message | News) -> Outcome:
    """Tell of what the message names, and come back for what is still owed."""
    return _tell_news(world, message) if isinstance(message, News) else _tell_task(world, message)


def _tell_task(world: World, message: Message) -> Outcome:
    task = world.store.get(message.task_id)
    if task is None or task.status is not Status.EXHAUSTED or task.wake_at is None or task.ticket != message.ticket:
        return Finished()
    known = {channel.channel_id: channel for channel in world.store.channels()}
    wanted = [channel for channel in known.values() if channel.wants(task.request)]
    mentions = _mentions(world, _exhausted(world, task), wanted)
    if not mentions:
        log.event("task.told_nobody", metrics={"ToldNobody": 1}, task_id=task.task_id, why="no channel wants it")
    outcome = _tell_all(world, mentions, known)
    if isinstance(outcome, Finished):
        _mark_told(world, task)
    return outcome


def _tell_news(world: World, news: News) -> Outcome:
    known = {channel.channel_id: channel for channel in world.store.channels()}
    wanted = [channel for channel in known.values() if channel.hears(news.event)]
    return _tell_all(world, _mentions(world, _changed(world, news), wanted), known)


def _exhausted(world: World, task: Task) -> Mention:
    """What there is to say of a task, to whichever channel."""
    now, request = world.clock.now(), task.request
    return Mention(
        subject=task.task_id,
        round=task.round,
        channel_id="",
        channel_kind="",
        notice_id="",
        target=request.target,
        source_app=request.source_app,
        error=task.error,
        version=0,
        created_at=now,
        due_at=now,
        expires_at=None,  # it does not leave before its task
    )


def _changed(world: World, news: News) -> Mention:
    """What there is to say of a target's breaker, to whichever channel."""
    now = world.clock.now()
    return Mention(
        subject=news.target,
        round=round(news.at * 1000),
        channel_id="",
        channel_kind="",
        notice_id="",
        event=news.event,
        target=f"{news.target} ({news.because})" if news.because else news.target,
        version=0,
        created_at=now,
        due_at=now,
        expires_at=int(now + world.settings.retention + OWED_KEPT),
    )


def _mentions(world: World, said: Mention, wanted: list[Channel]) -> list[Mention]:
    """The mentions that exist of this event, and new ones (version 0) for channels that want it."""
    there = {it.channel_id: it for it in world.store.mentions(said.subject) if it.round == said.round}
    new = {it.channel_id: evolve(said, channel_id=it.channel_id, channel_kind=it.kind) for it in wanted}
    return list({**new, **there}.values())


def _tell_all(world: World, mentions: list[Mention], known: Mapping[str, Channel]) -> Outcome:
    waits = all_at_once(mentions, lambda mention: _tell_one(world, mention, known.get(mention.channel_id)))
    waiting = [wait for wait in waits if wait is not None]
    return ComeBack(min(waiting)) if waiting else Finished()


def _tell_one(world: World, mention: Mention, channel: Channel | None) -> float | None:
    """Seconds until this is to be looked at again; None when the notice about it has ended."""
    known = world.store.notice(mention.notice_id) if mention.version else None
    notice = known and sane(known, world.clock.now())
    if notice and world.store.names(notice, mention):
        return _left(world, _try(world, notice, channel))
    if notice or not mention.version:
        return _join(world, evolve(mention, version=mention.version + 1), channel)
    return gather.settle(world, channel, mention) or _tell_one(world, mention, channel)


def sane(notice: Notice, now: float) -> Notice:
    """The notice without what only a clock that was ahead can have written. Pure."""
    due_at = now if is_ahead(notice.due_at, now, pace.MAX_REST_SECONDS) else notice.due_at
    return evolve(
        notice, due_at=due_at, lease_until=0 if is_ahead(notice.lease_until, now, LEASE) else notice.lease_until
    )


def _join(world: World, mention: Mention, channel: Channel | None) -> float | None:
    joined = gather.join(world, channel, mention)
    if joined is None:
        return gather.SOON
    wait = joined.due_at - world.clock.now()
    if joined.version > 1 and wait <= 0:
        return gather.SOON
    return wait + world.random.uniform(0, SPREAD) if wait > 0 else _tell_one(world, joined, channel)


def _left(world: World, notice: Notice) -> float | None:
    """Seconds until there may be something to do for a notice; None when it has ended."""
    if notice.status is not NoticeStatus.PENDING:
        return None
    now = world.clock.now()
    leased = min(notice.lease_until - now, LOOK_AGAIN)
    return max(notice.due_at - now, leased, 0)


def _try(world: World, notice: Notice, channel: Channel | None) -> Notice:
    """One try at a notice, if it is due and nobody else is at it; the notice as it is then."""
    now = world.clock.now()
    if notice.status is not NoticeStatus.PENDING or notice.due_at > now or notice.lease_until > now:
        return notice
    if channel and (wait := pace.room(world, channel)):
        return evolve(notice, due_at=now + wait)
    mine = evolve(notice, version=notice.version + 1, tries=notice.tries + 1, lease_until=now + LEASE)
    if not world.store.save_notice(mine):
        return evolve(notice, lease_until=now + LEASE)
    sent = _send(world, mine, channel)
    ended = _kept(world, after(mine, sent, now=world.clock.now(), random=world.random))
    if not world.store.save_notice(ended):
        return evolve(notice, lease_until=now + LEASE)
    _let_rest(world, channel, ended, sent)
    _told_of(ended, sent)
    return ended


def _send(world: World, notice: Notice, channel: Channel | None) -> Sent:
    if channel is None or not channel.enabled:
        return Sent(Ending.GONE, "the channel was removed" if channel is None else "the channel is disabled")
    if notice.gist.values:
        body = render(channel, notice.gist.values)
    else:
        body = render_digest(channel, notice.gist, _link(world, channel, notice))
    return send(world, channel, body, subject_of(notice.gist), notice.taken)


def _link(world: World, channel: Channel, notice: Notice) -> str:
    """Where the console lists what a notice tells of; nothing without a console, or of targets alone."""
    if not world.settings.console_url or not notice.gist.tasks:
        return ""
    app = f"&source_app={quote(channel.source_apps[0])}" if len(channel.source_apps) == 1 else ""
    return f"{world.settings.console_url}#/tasks?status={Status.EXHAUSTED}{app}"


def _let_rest(world: World, channel: Channel | None, notice: Notice, sent: Sent) -> None:
    """Leave a robot alone that has no time. Where failures gather, one that refuses is left alone as well."""
    wait = notice.due_at - world.clock.now()
    if channel and sent.ending is Ending.BUSY:
        pace.rest(world, channel, max(wait, BUSY_FIRST / 2))
    elif channel and channel.gather and sent.ending is Ending.REFUSED:
        pace.rest(world, channel, min(max(wait, 0), REST))


class Ending(StrEnum):
    """What became of one message to a channel."""

    TAKEN = "taken"  # it said so
    PARTLY = "partly"  # some recipients of a letter took it, and some were refused
    REFUSED = "refused"  # it said no, or did not answer
    BUSY = "busy"  # it has too many messages just now
    NOT_YET = "not_yet"  # it was not asked: others have just told it as much as it takes
    GONE = "gone"  # it is there no more, or not used


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message, why it was not taken, in one sentence, and the seconds until it may be, if known.

    Of a letter: who took it, and who was refused.
    """

    ending: Ending
    reason: str | None = None
    wait: float = 0
    taken: tuple[str, ...] = ()
    refused: Mapping[str, RefusedRecipient] = field(default_factory=dict)


def send(world: World, channel: Channel, body: str, subject: str, taken: Container[str] = ()) -> Sent:
    """Send one message to a channel, when its pace allows it. Used by the test action too.

    `taken`: recipients of e-mail that have it already.
    """
    if wait := pace.take(world, channel):
        return Sent(Ending.NOT_YET, f"the robot was told as much as it takes; there is room in {wait:.0f} s", wait)
    try:
        if channels.KINDS[channel.kind].by_mail:
            return _mailed(world, channels.letter(channel, subject, body, taken))
        return _posted(world, channel, body)
    except SendFailed as failure:
        return Sent(_refused(channel, failure.detail), failure.detail)


def _refused(channel: Channel, said: str) -> Ending:
    """What a failure that came in words means."""
    return Ending.BUSY if channels.is_too_many(channel, said) else Ending.REFUSED


def _mailed(world: World, letter: Letter) -> Sent:
    """Send a letter. Raises SendFailed."""
    refused = world.mail.send(letter) if letter.to else {}
    if not refused:
        return Sent(Ending.TAKEN, taken=letter.to)
    listed = "; ".join(f"{who} ({why.reason})" for who, why in refused.items())
    reason = f"{len(refused)} of {len(letter.to)} recipients were refused: {listed[:MAX_LISTED]}"
    return Sent(
        Ending.PARTLY if len(refused) < len(letter.to) else Ending.REFUSED,
        reason,
        taken=tuple(it for it in letter.to if it not in refused),
        refused=refused,
    )


MAX_LISTED = 2_000
"""Characters of the list of refused recipients in a reason."""


def _posted(world: World, channel: Channel, body: str) -> Sent:
    """Send a request. Raises SendFailed."""
    reply = world.http.send(channels.outgoing(channel, body, now=world.clock.now()))
    reason = channels.refusal(channel, reply)
    if reason is None:
        return Sent(Ending.TAKEN)
    if channels.is_busy(channel, reply):
        return Sent(Ending.BUSY, reason, retry_after(reply.headers, reply.body))
    return Sent(Ending.REFUSED, reason)


MAX_PERMANENT_TRIES = 3
"""Tries of a letter of which only recipients are left that were refused for good: a few, since servers do err."""


def after(notice: Notice, sent: Sent, *, now: float, random: Random) -> Notice:
    """The notice after a try. Pure, but for the dice that keep a crowd of notices from coming back together."""
    ended = evolve(
        notice,
        version=notice.version + 1,
        lease_until=0,
        reason=sent.reason,
        taken=(*notice.taken, *sent.taken),
        refused={who: why.reason for who, why in sent.refused.items()},
    )
    if sent.ending is Ending.TAKEN:
        return evolve(ended, status=NoticeStatus.DELIVERED, ended_at=now)
    if sent.ending is Ending.NOT_YET:
        return evolve(ended, tries=notice.tries - 1, due_at=now + sent.wait)
    if sent.ending is Ending.BUSY and now - notice.created_at < BUSY_FOR:
        wait = max(min(BUSY_FIRST * 2**notice.throttled, BUSY_MOST) * random.uniform(1, 1.5), sent.wait)
        return evolve(ended, tries=notice.tries - 1, throttled=notice.throttled + 1, due_at=now + wait)
    if sent.ending in (Ending.REFUSED, Ending.PARTLY) and notice.tries <= _most_tries(sent):
        return evolve(ended, due_at=now + WAITS[notice.tries - 1] * random.uniform(1, 1.2))
    return evolve(ended, status=NoticeStatus.FAILED, ended_at=now)


def _most_tries(sent: Sent) -> int:
    """After how many tries there is another one."""
    for_good = sent.refused and all(it.permanent for it in sent.refused.values())
    return MAX_PERMANENT_TRIES - 1 if for_good else len(WAITS)


def _kept(world: World, notice: Notice) -> Notice:
    """The notice, with the moment at which it expires once it has ended: one that is owed does not expire."""
    if notice.ended_at is None:
        return notice
    return evolve(notice, expires_at=int(notice.ended_at + world.settings.retention + gather.KEPT))


def _told_of(notice: Notice, sent: Sent) -> None:
    log.event(
        f"notice.{sent.ending}",
        metrics={f"Notices{notice.status.capitalize()}": 1},
        notice=notice.notice_id,
        channel=notice.channel_id,
        kind=notice.channel_kind,
        tasks=notice.gist.tasks,
        status=notice.status,
        tries=notice.tries,
        reason=notice.reason,
    )


def _mark_told(world: World, task: Task) -> None:
    def told(it: Task) -> Task:
        if it.status is not Status.EXHAUSTED or it.round != task.round:
            raise LostLease(f"task {it.task_id} was resent meanwhile")
        return life.told(it, now=world.clock.now(), retention=world.settings.retention)

    try:
        change(world.store, task, told)
    except (LostLease, NotFound) as moved_on:
        log.event("task.moved_on", task_id=task.task_id, why=str(moved_on))
