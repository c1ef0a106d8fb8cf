"""What operators do to tasks and channels. Every action leaves an audit record, in the same write as its effect."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from chalicelib import life, log, submission
from chalicelib.accept import enqueue, pass_turn
from chalicelib.auth import Identity
from chalicelib.change import change
from chalicelib.errors import Fault, InvalidRequest, NotFound, WrongStatus
from chalicelib.notify.channels import KINDS
from chalicelib.notify.message import render, template_faults, test_values
from chalicelib.notify.notify import send
from chalicelib.ports import World
from chalicelib.shape import Field, Flag, ListOf, Record, Text, require
from chalicelib.submission import NAME, content_type_faults, url_faults
from chalicelib.task import FINAL, Audit, Channel, Json, Task

# ── tasks ────────────────────────────────────────────────────────────────────────────────────────


def find(world: World, task_id: str) -> Task:
    """The task with this id; raises NotFound."""
    task = world.store.get(task_id)
    if task is None:
        raise NotFound(f"There is no task {task_id[:80]}; finished tasks are removed after their retention.")
    return task


def resend(world: World, who: Identity, task_id: str, changes: Json) -> Task:
    """Open a new round of a final task, with `changes` to its request. Raises WrongStatus while it is live."""
    task = find(world, task_id)
    request = submission.override(task.request, changes, world.settings, world.http)
    now = world.clock.now()

    def again(it: Task) -> Task:
        if it.status not in FINAL:
            raise WrongStatus(f"The task is {it.status}: its round goes on. Cancel it first, or deliver it now.")
        return life.resend(it, request, now=now, grace=world.settings.grace)

    audit = _audit(world, who, "resend", task_id, {"round": task.round + 1, "changed": _named(changes)})
    return _and_enqueue(world, change(world.store, task, again, audit))


def _named(changes: Mapping[str, Json]) -> list[str]:
    """Which parts were changed; their values may be secret."""
    return sorted(name for name, value in changes.items() if value is not None)


def cancel(world: World, who: Identity, task_id: str) -> Task:
    """Call a live task off. Raises WrongStatus when it is final already."""
    task, now = find(world, task_id), world.clock.now()
    audit = _audit(world, who, "cancel", task_id)
    cancelled = change(
        world.store, task, lambda it: life.cancel(it, now=now, retention=world.settings.retention), audit
    )
    log.event("task.cancelled", metrics={"Cancelled": 1}, task_id=task_id, actor=who.name)
    pass_turn(world, task, cancelled)
    return cancelled


def deliver_now(world: World, who: Identity, task_id: str) -> Task:
    """Make the next attempt at once. Raises WrongStatus when there is none."""
    task, now = find(world, task_id), world.clock.now()
    audit = _audit(world, who, "deliver-now", task_id)
    hurried = change(world.store, task, lambda it: life.hurry(it, now=now, grace=world.settings.grace), audit)
    return _and_enqueue(world, hurried)


def _and_enqueue(world: World, task: Task) -> Task:
    enqueue(world, task)
    return task


def _audit(world: World, who: Identity, action: str, subject: str, detail: Mapping[str, Json] | None = None) -> Audit:
    return Audit(
        at=world.clock.now(), actor=who.name, action=action, subject=subject, address=who.address, detail=detail or {}
    )


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

_APPS = ListOf(shape=NAME, most=100)

CHANNEL = Record(
    name="NewChannel",
    fields={
        "kind": Field(shape=Text(most=20, choices=tuple(KINDS)), help="dingtalk, wecom or webhook.", required=True),
        "url": Field(shape=Text(least=1, most=2000), help="The robot's address; a secret, never shown whole."),
        "secret": Field(shape=Text(most=200), help="DingTalk's signing secret; never shown."),
        "template": Field(shape=Text(most=20_000), help="The whole body, with ${...} variables; empty: the default."),
        "content_type": Field(shape=Text(least=1, most=200), help="Of the body; JSON in UTF-8 unless said."),
        "memo": Field(shape=Text(most=200), help="A note for people."),
        "source_apps": Field(shape=_APPS, help="Only tasks that come from these; empty: from all."),
        "target_apps": Field(shape=_APPS, help="Only tasks that go to these; empty: to all."),
        "enabled": Field(shape=Flag(), help="Whether it is used; true unless said."),
    },
)


def find_channel(world: World, channel_id: str) -> Channel:
    """The channel with this id; raises NotFound."""
    for channel in world.store.channels():
        if channel.channel_id == channel_id:
            return channel
    raise NotFound(f"There is no channel {channel_id[:80]}.")


def create_channel(world: World, who: Identity, submitted: Json) -> Channel:
    """A new channel. Raises InvalidRequest with every fault."""
    require(CHANNEL, submitted)
    now = world.clock.now()
    channel = Channel(
        channel_id=str(uuid.UUID(int=world.random.getrandbits(128), version=4)),
        **_members(submitted, {"url": ""}),
        version=1,
        created_at=now,
        updated_at=now,
    )
    _require_sense(world, channel)
    world.store.save_channel(channel, _audit(world, who, "create-channel", channel.channel_id))
    return channel


def change_channel(world: World, who: Identity, channel_id: str, submitted: Json) -> Channel:
    """Put `submitted` in the channel's place. `url` and `secret` are kept when they are not given.

    Raises InvalidRequest with every fault, NotFound, WrongStatus when somebody else changed it meanwhile.
    """
    require(CHANNEL, submitted)
    there = find_channel(world, channel_id)
    channel = Channel(
        channel_id=channel_id,
        **_members(submitted, _kept(there, submitted["kind"])),
        version=there.version + 1,
        created_at=there.created_at,
        updated_at=world.clock.now(),
    )
    _require_sense(world, channel)
    if not world.store.save_channel(channel, _audit(world, who, "change-channel", channel_id)):
        raise WrongStatus("Somebody else changed this channel meanwhile; look at it again.")
    return channel


def _kept(there: Channel, kind: str) -> Mapping[str, Json]:
    """The secrets of a channel that a change leaves as they are; a kind that does not sign needs none."""
    return {"url": there.url, "secret": there.secret if KINDS[kind].signs else ""}


def _members(submitted: Mapping[str, Json], kept: Mapping[str, Json]) -> dict[str, Json]:
    given = {name: value for name, value in submitted.items() if value is not None}
    return {**kept, **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}}


def _require_sense(world: World, channel: Channel) -> None:
    """Raises InvalidRequest for what the shape alone cannot show."""
    faults = list(url_faults(channel.url, world.http)) if channel.url else [Fault("/url", "is missing")]
    faults += content_type_faults(channel.content_type)
    if channel.secret and not KINDS[channel.kind].signs:
        faults.append(Fault("/secret", f"does nothing here: a {channel.kind} channel does not sign"))
    if channel.template:
        faults += [Fault("/template", detail) for detail in template_faults(channel.template, channel.content_type)]
    if faults:
        raise InvalidRequest(faults=tuple(faults))


def remove_channel(world: World, who: Identity, channel_id: str) -> None:
    """Remove a channel; the notices it was sent stay with their tasks. Raises NotFound."""
    if not world.store.remove_channel(channel_id, _audit(world, who, "remove-channel", channel_id)):
        raise NotFound(f"There is no channel {channel_id[:80]}.")


def test_channel(world: World, who: Identity, channel_id: str) -> str | None:
    """Send the channel's text with 测试 for every variable: why it was not taken, None when it was."""
    channel = find_channel(world, channel_id)
    sent = send(world, channel, render(channel, test_values(channel)))
    log.event("channel.tested", channel=channel_id, kind=channel.kind, actor=who.name, reason=sent.reason)
    return sent.reason
