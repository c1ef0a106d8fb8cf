"""What operators do to tasks, targets, channels, callers and each other. Every action is audited, in the same write as
its effect."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from chalicelib import life, log, operators, show, submission, user_names
from chalicelib.at_once import all_at_once
from chalicelib.auth import Identity, entry, operator_named
from chalicelib.change import change
from chalicelib.changes import changes, made
from chalicelib.delivery import target
from chalicelib.delivery.resend import AT_ONCE, advance
from chalicelib.enqueue import enqueue, pass_turn
from chalicelib.errors import Fault, Forbidden, InvalidRequest, LastAdmin, NameTaken, NotFound, TooMany, WrongStatus
from chalicelib.notify.channels import KINDS, mailto_faults
from chalicelib.notify.message import render, template_faults, test_values
from chalicelib.notify.notify import send
from chalicelib.ports import World, query_of
from chalicelib.records import pack
from chalicelib.shape import Field, Flag, ListOf, Number, Record, Text, Time, require
from chalicelib.signing import fingerprint
from chalicelib.submission import NAME, content_type_faults, url_faults
from chalicelib.task import (
    EVERY_APP,
    FINAL,
    MAX_USER_NAME,
    MOST_OF_ERROR,
    SCOPES,
    Audit,
    Breaker,
    Caller,
    Channel,
    Event,
    Gate,
    Json,
    Operator,
    Request,
    Resend,
    ResendStatus,
    Right,
    Role,
    Roster,
    SigningSecret,
    Status,
    Target,
    Task,
    evolve,
    target_of,
)

# ── tasks ────────────────────────────────────────────────────────────────────────────────────────


def find(world: World, who: Identity, task_id: str) -> Task:
    """The task with this id; raises NotFound, also when it is none of theirs."""
    task = world.store.get(task_id)
    if task is None or who.source_app not in (None, task.request.source_app):
        raise NotFound(f"There is no task {task_id[:80]}; finished tasks are removed after their retention.")
    return task


def resend(world: World, who: Identity, task_id: str, given: Json) -> Task:
    """Open a new round of a final task, with what is given in its request. Raises WrongStatus while it is live."""
    task = find(world, who, task_id)
    request = submission.override(task.request, given, world.settings, world.http)
    if request.target != task.request.target and Right.READ not in who.rights:
        raise Forbidden("A resend to another origin needs the right to read: it discloses the task there.")
    now = world.clock.now()

    def again(it: Task) -> Task:
        if it.status not in FINAL:
            raise WrongStatus(f"The task is {it.status}: its round goes on. Cancel it first, or deliver it now.")
        return life.resend(it, request, now=now, grace=world.settings.grace)

    told = changes(_changeable(task.request), _changeable(request), show.change_of_request)
    audit = entry(world, who, "resend", task_id, {"round": task.round + 1, **told})
    return _and_enqueue(world, change(world.store, task, again, audit))


def _changeable(request: Request) -> dict[str, Json]:
    """The parts that a resend may change."""
    return {name: getattr(request, name) for name in submission.OVERRIDES.fields}


def cancel(world: World, who: Identity, task_id: str) -> Task:
    """Cancel a live task. Raises WrongStatus when it is final already."""
    task, now = find(world, who, task_id), world.clock.now()
    audit = entry(world, who, "cancel", task_id)
    cancelled = change(
        world.store, task, lambda it: life.cancel(it, now=now, retention=world.settings.retention), audit
    )
    log.event("task.cancelled", metrics={"Cancelled": 1}, task_id=task_id, actor=who.name)
    pass_turn(world, task, cancelled)
    return cancelled


def deliver_now(world: World, who: Identity, task_id: str) -> Task:
    """Make the next attempt at once. Raises WrongStatus when there is none."""
    task, now = find(world, who, task_id), world.clock.now()
    audit = entry(world, who, "deliver-now", task_id)
    hurried = change(world.store, task, lambda it: life.hurry(it, now=now, grace=world.settings.grace), audit)
    return _and_enqueue(world, hurried)


def _and_enqueue(world: World, task: Task) -> Task:
    enqueue(world, task)
    return task


# ── many tasks ───────────────────────────────────────────────────────────────────────────────────

FILTER: Mapping[str, Field] = {
    "status": Field(Text(choices=tuple(Status)), "Where the tasks stand."),
    "source_app": Field(NAME, "The app that they come from."),
    "target_app": Field(NAME, "The app that they go to."),
    "target": Field(Text(most=300), "Scheme, host and port, such as https://partner.example:443."),
    "since": Field(Time(), "Those accepted then or later."),
    "until": Field(Time(), "Those accepted before."),
    "q": Field(Text(most=4000), "Part of the URL."),
    "error": Field(Text(most=MOST_OF_ERROR), "Why the newest attempt failed, as `/v1/failures` groups by."),
}
"""What tasks are listed by, and resent by."""

_ENDED = Field(Text(choices=tuple(it for it in Status if it in FINAL)), "Where they stand; exhausted unless said.")

RESENT_BY = Record(name="Filter", fields={**FILTER, "status": _ENDED})
"""Which tasks a bulk resend takes: only those that are over can be resent."""

MOST_NAMED = 500
"""Tasks that one bulk resend takes by their ids, at most: they lie in its record."""

RESEND = Record(
    name="NewResend",
    fields={
        "filter": Field(RESENT_BY, "Which tasks; {} is all that are exhausted."),
        "task_ids": Field(
            ListOf(shape=Text(least=1, most=100), least=1, most=MOST_NAMED),
            "Just these tasks, instead of a filter; those that are not over are passed over.",
        ),
        "rate": Field(Number(least=0.01, most=1000), "Tasks that become due in a second, at most; 10 unless said."),
        "dry_run": Field(Flag(), "Only count them."),
    },
    example={"filter": {"status": "exhausted", "target_app": "billing"}, "rate": 50, "dry_run": True},
)

DEFAULT_RATE = 10
"""Tasks a second: what a partner can bear that has just recovered."""

FIRST_SECONDS = 2
"""Seconds for which the call that begins or stops a bulk resend goes on with it. The schedule does the rest."""

COUNT_SECONDS = 10
"""Seconds for which a dry run counts, at most: API Gateway waits for 29."""


def find_resend(world: World, resend_id: str) -> Resend:
    """The bulk resend with this id; raises NotFound."""
    for it in world.store.resends():
        if it.resend_id == resend_id:
            return it
    raise NotFound(f"There is no resend {resend_id[:80]}; those that are over are removed after their retention.")


def start_resend(world: World, who: Identity, submitted: Json) -> Resend:
    """Begin to resend all tasks of a filter, or those that are named.

    It is stored first: it goes on whatever happens to this process.
    """
    now, named = world.clock.now(), _named_in(submitted)
    begun = Resend(
        resend_id=str(uuid.UUID(int=world.random.getrandbits(128), version=4)),
        filter={} if named else _filter(submitted),
        named=named,
        walked=bool(named),
        rate=submitted.get("rate") or DEFAULT_RATE,
        actor=who.name,
        address=who.address,
        started_at=now,
    )
    detail: dict[str, Any] = {"filter": begun.filter, "rate": begun.rate, **({"tasks": len(named)} if named else {})}
    world.store.save_resend(begun, entry(world, who, "start-resend", begun.resend_id, detail))
    log.event("resend.started", resend_id=begun.resend_id, actor=who.name, **detail)
    advance(world, [begun], seconds=FIRST_SECONDS)
    return begun


def require_resend(submitted: Json) -> None:
    """Raises InvalidRequest with every fault; a filter or ids must be there, and not both."""
    require(RESEND, submitted)
    given = [name for name in ("filter", "task_ids") if submitted.get(name) is not None]
    if len(given) != 1:
        raise InvalidRequest(faults=(Fault("/task_ids" if given else "/filter", "say one of filter and task_ids"),))


def _named_in(submitted: Json) -> tuple[str, ...]:
    """The ids of the tasks that are named, each once; none where a filter says which."""
    return tuple(dict.fromkeys(submitted.get("task_ids") or ()))


def _filter(submitted: Json) -> dict[str, Json]:
    """The filter as it was given, and the status that goes without saying."""
    given = {name: value for name, value in submitted["filter"].items() if value is not None}
    return {"status": str(Status.EXHAUSTED), **given}


def count_for_resend(world: World, submitted: Json) -> tuple[int, bool]:
    """How many tasks would be resent just now, and whether all were counted: there is a time for it."""
    if named := _named_in(submitted):
        found = all_at_once(named, world.store.get, most=AT_ONCE)
        return sum(task is not None and task.is_final for task in found), True
    query, until = query_of(_filter(submitted)), world.clock.now() + COUNT_SECONDS
    count, cursor = world.store.size(query, None)
    while cursor is not None and world.clock.now() < until:
        more, cursor = world.store.size(query, cursor)
        count += more
    return count, cursor is None


def stop_resend(world: World, who: Identity, resend_id: str) -> Resend:
    """Let a bulk resend take no more tasks. One that is over already stays as it is. Raises NotFound."""
    there = find_resend(world, resend_id)
    while there.status is ResendStatus.RUNNING:
        stopping = evolve(there, version=there.version + 1, status=ResendStatus.STOPPING)
        if world.store.save_resend(stopping, entry(world, who, "stop-resend", resend_id)):
            log.event("resend.stopped", resend_id=resend_id, actor=who.name)
            advance(world, [stopping], seconds=FIRST_SECONDS)
        there = find_resend(world, resend_id)
    return there


# ── targets ──────────────────────────────────────────────────────────────────────────────────────

MOST_PLACES = 200
"""Attempts at a target that may run at a time, where that is limited: each is written down in its gate."""

BREAKER = Record(
    name="BreakerChanges",
    fields={
        "failure_share": Field(Number(least=0.01, most=1), "Share of attempts that must fail; 0.5 unless said."),
        "window": Field(Number(least=1, most=3600), "Seconds of which attempts are counted; 60 unless said."),
        "least_attempts": Field(
            Number(least=1, most=10_000, whole=True), "Attempts that must have ended in it; 10 unless said."
        ),
        "open_seconds": Field(
            Number(least=1, most=3600), "Seconds until one attempt is let through to see; 30 unless said."
        ),
    },
    example={"failure_share": 0.5, "window": 60, "least_attempts": 10, "open_seconds": 30},
)
DEFAULT_BREAKER = Breaker(failure_share=0.5, window=60, least_attempts=10, open_seconds=30)

TARGET = Record(
    name="TargetChanges",
    fields={
        "paused": Field(Flag(), "True: its tasks are held until it is false again, and lose no try."),
        "max_concurrency": Field(
            Number(least=1, most=MOST_PLACES, whole=True), "Attempts that may run at a time; null: any number."
        ),
        "rate_per_second": Field(
            Number(least=0.01, most=1000), "Attempts that may begin in a second; null: any number."
        ),
        "breaker": Field(BREAKER, "When to leave it alone because attempts fail; null: never."),
    },
    example={"paused": True, "max_concurrency": 4},
)


def change_target(world: World, who: Identity, url: str, given: Json) -> Target:
    """Change some of what is set of a target; null takes one away. Held tasks go as soon as it admits them.

    A change of a limit begins it anew: the breaker is closed, and nobody has a turn yet. Raises InvalidRequest with
    every fault.
    """
    _require_target(world, url, given)
    name = target_of(url)
    while True:
        there = target.read(world).get(name, Target(name=name))
        changed = _with(there, given, now=world.clock.now(), actor=who.name)
        _begin_anew(world, there, changed)
        told = changes(_settable(there), _settable(changed))
        if world.store.save_target(changed, entry(world, who, "change-target", name, told)):
            break
    log.event("target.changed", target=name, actor=who.name, paused=changed.paused_at is not None)
    target.read(world)
    if changed.paused_at is None:
        target.ring(world, name)
    return changed


def _settable(it: Target) -> dict[str, Json]:
    """What can be set of a target."""
    limits = {name: getattr(it, name) for name in ("max_concurrency", "rate_per_second")}
    return {"paused": it.paused_at is not None, **limits, "breaker": pack(it.breaker) if it.breaker else None}


def _require_target(world: World, url: str, changes: Json) -> None:
    faults = [Fault("query:target", fault.detail) for fault in url_faults(url, world.http)]
    if not faults and (urlsplit(url).path not in ("", "/") or urlsplit(url).query):
        faults.append(Fault("query:target", "must be scheme, host and port only, such as https://partner.example:443"))
    faults += TARGET.faults(changes, "")
    if faults:
        raise InvalidRequest(faults=tuple(faults))


def _with(there: Target, changes: Mapping[str, Json], *, now: float, actor: str) -> Target:
    """The target as it is after the changes."""
    new: dict[str, Json] = {name: changes[name] for name in ("max_concurrency", "rate_per_second") if name in changes}
    if "paused" in changes:
        since = now if there.paused_at is None else there.paused_at
        new["paused_at"] = since if changes["paused"] else None
    if "breaker" in changes:
        new["breaker"] = _breaker(there.breaker or DEFAULT_BREAKER, changes["breaker"])
    return evolve(there, **new, version=there.version + 1, updated_at=now, updated_by=actor)


def _breaker(there: Breaker, changes: Mapping[str, Json] | None) -> Breaker | None:
    if changes is None:
        return None
    return evolve(there, **{name: value for name, value in changes.items() if value is not None})


def _begin_anew(world: World, old: Target, new: Target) -> None:
    """Forget what the old limits have led to: else a rate that was low would set aside turns far ahead."""

    def anew(gate: Gate) -> tuple[Gate, None]:
        if old.rate_per_second != new.rate_per_second:
            gate = evolve(gate, next_at=0)
        return (target.closed(gate) if old.breaker != new.breaker else gate), None

    if (old.rate_per_second, old.breaker) != (new.rate_per_second, new.breaker):
        world.store.pass_gate(new.name, anew)


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

_APPS = ListOf(shape=NAME, most=100)

MOST_GATHER = 3600
"""Seconds for which a failure may wait for others until humans are told, at most."""

CHANNEL = Record(
    name="NewChannel",
    fields={
        "kind": Field(shape=Text(most=20, choices=tuple(KINDS)), help="What sort it is.", required=True),
        "url": Field(
            shape=Text(least=1, most=2000),
            help="The robot's address, a secret, never shown whole; of e-mail: mailto:a@example.com,b@example.com.",
        ),
        "secret": Field(shape=Text(most=200), help="The signing secret of DingTalk, Feishu or Lark; never shown."),
        "template": Field(shape=Text(most=20_000), help="The whole body, with ${...} variables; empty: the default."),
        "content_type": Field(shape=Text(least=1, most=200), help="Of the body; JSON in UTF-8 unless said."),
        "memo": Field(shape=Text(most=200), help="A note for people."),
        "source_apps": Field(shape=_APPS, help="Only tasks that come from these; empty: from all."),
        "target_apps": Field(shape=_APPS, help="Only tasks that go to these; empty: to all."),
        "events": Field(
            shape=ListOf(shape=Text(choices=tuple(Event)), most=len(Event)),
            help="What it is told of; exhausted tasks only unless said.",
        ),
        "gather": Field(
            shape=Number(least=0, most=MOST_GATHER),
            help="Seconds between two notices, in which failures gather to one; 0: each alone; 60 unless said.",
        ),
        "enabled": Field(shape=Flag(), help="Whether it is used; true unless said."),
    },
)


PREVIEW = Record(
    name="PreviewedChannel",
    fields={name: CHANNEL.fields[name] for name in ("kind", "template", "content_type")},
    example={"kind": "dingtalk"},
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
    told = made(_told(channel), show.change_of_channel)
    world.store.save_channel(channel, entry(world, who, "create-channel", channel.channel_id, told))
    return channel


def preview(submitted: Json) -> str:
    """What a channel would say of one task. Raises InvalidRequest with every fault of its template."""
    require(PREVIEW, submitted)
    channel = Channel(channel_id="", **_members(submitted, {"url": ""}), created_at=0, updated_at=0)
    if faults := tuple(_template_faults(channel)):
        raise InvalidRequest(faults=faults)
    return render(channel, test_values(channel))


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
    _require_secret_anew(there, channel, submitted)
    _require_sense(world, channel)
    told = changes(_told(there), _told(channel), show.change_of_channel)
    if not world.store.save_channel(channel, entry(world, who, "change-channel", channel_id, told)):
        raise WrongStatus("Somebody else changed this channel meanwhile; look at it again.")
    return channel


def _told(channel: Channel) -> dict[str, Json]:
    """What is set of a channel."""
    return {name: getattr(channel, name) for name in CHANNEL.fields}


def _require_secret_anew(there: Channel, channel: Channel, submitted: Mapping[str, Json]) -> None:
    """Raises InvalidRequest when messages to another host would be signed with the secret for the one of before."""
    moved = urlsplit(there.url)[:2] != urlsplit(channel.url)[:2]
    if moved and channel.secret and submitted.get("secret") is None:
        detail = "must be given again, or be empty: the url has another origin"
        raise InvalidRequest(faults=(Fault("/secret", detail),))


def _kept(there: Channel, kind: str) -> Mapping[str, Json]:
    """The secrets of a channel that a change leaves as they are; a kind that does not sign needs none."""
    return {"url": there.url, "secret": there.secret if KINDS[kind].signs else ""}


def _members(submitted: Mapping[str, Json], kept: Mapping[str, Json]) -> dict[str, Json]:
    given = {name: value for name, value in submitted.items() if value is not None}
    return {**kept, **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}}


def _require_sense(world: World, channel: Channel) -> None:
    """Raises InvalidRequest for what the shape alone cannot show."""
    faults = list(_where_faults(world, channel)) if channel.url else [Fault("/url", "is missing")]
    faults += content_type_faults(channel.content_type)
    if channel.secret and not KINDS[channel.kind].signs:
        faults.append(Fault("/secret", f"does nothing here: a {channel.kind} channel does not sign"))
    faults += _template_faults(channel)
    if faults:
        raise InvalidRequest(faults=tuple(faults))


def _template_faults(channel: Channel) -> Iterator[Fault]:
    written_as = "text/plain" if KINDS[channel.kind].by_mail else channel.content_type
    if channel.template:
        yield from (Fault("/template", detail) for detail in template_faults(channel.template, written_as))


def _where_faults(world: World, channel: Channel) -> Iterator[Fault]:
    return mailto_faults(channel.url) if KINDS[channel.kind].by_mail else url_faults(channel.url, world.http)


def remove_channel(world: World, who: Identity, channel_id: str) -> None:
    """Remove a channel; the notices it was sent stay with their tasks. Raises NotFound."""
    told = made(_told(find_channel(world, channel_id)), show.change_of_channel)
    if not world.store.remove_channel(channel_id, entry(world, who, "remove-channel", channel_id, told)):
        raise NotFound(f"There is no channel {channel_id[:80]}.")


def test_channel(world: World, who: Identity, channel_id: str) -> str | None:
    """Send the channel's text with 测试 for every variable: why it was not taken, None when it was."""
    channel = find_channel(world, channel_id)
    sent = send(world, channel, render(channel, test_values(channel)), "kkbida: 测试 (test)")
    world.store.note(entry(world, who, "test-channel", channel_id, {"delivered": sent.reason is None}))
    log.event("channel.tested", channel=channel_id, kind=channel.kind, actor=who.name, reason=sent.reason)
    return sent.reason


# ── callers ──────────────────────────────────────────────────────────────────────────────────────


def _network_faults(networks: Sequence[str]) -> Iterator[Fault]:
    for index, network in enumerate(networks):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield Fault(f"/networks/{index}", f"is no network such as 10.1.0.0/16: {error}")


CALLER = Record(
    name="NewCaller",
    fields={
        "source_app": Field(
            NAME, "The app that it acts for; beside a user_name also *: each task says its own.", required=True
        ),
        "scopes": Field(
            ListOf(shape=Text(choices=SCOPES), most=len(SCOPES)),
            "What it may do, with tasks of its own app only; all of it unless said.",
        ),
        "networks": Field(
            ListOf(shape=Text(most=50), most=50), "Where it may call from, such as 10.1.0.0/16; empty: everywhere."
        ),
        "memo": Field(Text(most=200), "A note for people."),
        "user_name": Field(
            Text(least=1, most=MAX_USER_NAME),
            "Of a client of the predecessor: what it says in its header `username`, at /api/addTask only.",
        ),
        "password": Field(
            Text(least=1, most=200),
            f"And in its header `password`, {operators.LEAST_PASSWORD} characters or more. It is kept as a hash.",
        ),
    },
    example={"source_app": "orders", "scopes": ["submit", "read"], "networks": ["203.0.113.0/24"]},
)


def _name_faults(given: Mapping[str, Json]) -> Iterator[Fault]:
    """What is wrong with a user name and a password, which go together, and must be able to stand in a header."""
    for one, other in (("user_name", "password"), ("password", "user_name")):
        if other in given and one not in given:
            yield Fault(f"/{one}", f"is missing beside a {other}")
    for name in ("user_name", "password"):
        if name in given and (not given[name].isprintable() or given[name] != given[name].strip()):
            yield Fault(f"/{name}", "must be printable, and neither begin nor end with a space")
        elif name == "password" in given and (
            fault := operators.password_fault(given.get("user_name", ""), given[name])
        ):
            yield Fault("/password", fault)
    if given["source_app"] == EVERY_APP and "user_name" not in given:
        yield Fault("/source_app", "must be one app: only a caller with a user_name acts for every app")


def _password_fault(given: Mapping[str, Json]) -> str | None:
    return operators.password_fault(given.get("user_name", ""), given["password"])


MOST_CALLERS = 1000
"""Callers in all: each process that checks signatures keeps all of them in mind."""


def create_caller(world: World, who: Identity, submitted: Json) -> tuple[Caller, str]:
    """A new caller and its secret, which nobody can be shown again. Raises InvalidRequest, TooMany and NameTaken."""
    require(CALLER, submitted)
    given = {name: value for name, value in submitted.items() if value is not None}
    if faults := (*_network_faults(given.get("networks", ())), *_name_faults(given)):
        raise InvalidRequest(faults=faults)
    _require_room(world.store.callers(), given.get("user_name"))
    key_id = f"key_{world.random.getrandbits(96):024x}"
    secret = world.keyring.make_secret(key_id)
    caller = Caller(
        key_id=key_id,
        source_app=given["source_app"],
        scopes=tuple(given.get("scopes") or SCOPES),
        networks=tuple(given.get("networks", ())),
        memo=given.get("memo", ""),
        user_name=given.get("user_name", ""),
        password=_salted(world, given["password"]) if "password" in given else "",
        fingerprint=fingerprint(secret.encode()),
        created_at=world.clock.now(),
        created_by=who.name,
    )
    world.store.add_caller(caller, entry(world, who, "create-caller", key_id, _about(caller)))
    world.keyring.forget()
    log.event("caller.created", key_id=key_id, source_app=caller.source_app, actor=who.name)
    return caller, secret


def _about(caller: Caller) -> dict[str, Json]:
    """What the audit trail tells of a caller."""
    return {name: getattr(caller, name) for name in ("source_app", "scopes", "networks", "user_name")}


def _require_room(callers: Sequence[Caller], user_name: str | None) -> None:
    if len(callers) >= MOST_CALLERS:
        raise TooMany(f"There are {MOST_CALLERS} callers; remove those that are no longer used.")
    if user_name is not None and user_name in {it.user_name for it in callers}:
        raise NameTaken(f"There is a caller with the user name {user_name}.")


def remove_caller(world: World, who: Identity, key_id: str) -> None:
    """Remove a caller: within seconds nobody can call with its key any more. Raises NotFound."""
    there = next((it for it in world.store.callers() if it.key_id == key_id), None)
    told = _about(there) if there else {}
    if not world.store.remove_caller(key_id, entry(world, who, "remove-caller", key_id, told)):
        raise NotFound(f"There is no caller {key_id[:80]}.")
    world.keyring.forget()
    log.event("caller.removed", key_id=key_id, actor=who.name)


# ── operators ────────────────────────────────────────────────────────────────────────────────────

_ROLE = Text(choices=tuple(Role))
_PASSWORD = Text(most=operators.MOST_PASSWORD)
_CHOSEN = f"{operators.LEAST_PASSWORD} characters at least, {operators.MOST_PASSWORD} bytes at most."

_NAMED = "Letters of one script, digits, `.`, `-`, `_`, `@`. It is stored in NFKC and in lower case."

OPERATOR = Record(
    name="NewOperator",
    fields={
        "name": Field(Text(least=1, most=operators.MOST_NAME), _NAMED, required=True),
        "role": Field(_ROLE, "What it may do.", required=True),
        "password": Field(_PASSWORD, _CHOSEN, required=True),
    },
    example={"name": "li.lei", "role": "operator", "password": "correct horse battery staple"},
)
OPERATOR_CHANGES = Record(
    name="OperatorChanges",
    fields={
        "role": Field(_ROLE, "What it may do, from the next request on."),
        "disabled": Field(Flag(), "True: it cannot log in, and its sessions are over."),
        "password": Field(_PASSWORD, f"A new one, which ends its sessions: {_CHOSEN}"),
    },
    example={"role": "viewer", "disabled": False},
)

MOST_OPERATORS = 200
"""Operators in all: each change of one looks at all of them."""


def create_operator(world: World, who: Identity, submitted: Json) -> Operator:
    """A new operator. Raises InvalidRequest, NameTaken and TooMany."""
    require(OPERATOR, submitted)
    new = _operator(world, who, submitted)

    def beside(roster: Roster) -> Decided:
        if there := user_names.twin(roster.operators, new.name):
            raise NameTaken(f"There is an operator {there.name}, whose name looks the same.")
        if len(roster.operators) >= MOST_OPERATORS:
            raise TooMany(f"There are {MOST_OPERATORS} operators; remove those that are no longer there.")
        return new, entry(world, who, "create-operator", operator_named(new.name), {"role": new.role})

    save_operator(world, beside)
    log.event("operator.created", operator=new.name, role=new.role, actor=who.name)
    return new


def _operator(world: World, who: Identity, submitted: Mapping[str, Json]) -> Operator:
    name, now = user_names.normalised(submitted["name"]), world.clock.now()
    if fault := user_names.name_fault(name):
        raise InvalidRequest(faults=(Fault("/name", fault),))
    return Operator(
        name=name,
        role=Role(submitted["role"]),
        password=_hashed(world, name, submitted["password"], "/password"),
        era=_by_chance(world),
        device_key=_by_chance(world),
        created_at=now,
        created_by=who.name,
        password_at=now,
    )


Decided = tuple[Operator, Audit]
"""An operator that is to be stored, and the entry of that."""


def save_operator(world: World, decide: Callable[[Roster], Decided]) -> Operator:
    """Store an operator as one step between the changes of others. `decide` may be asked twice, about two rosters."""
    while True:
        roster = world.store.roster()
        operator, audit = decide(roster)
        if world.store.save_operator(operator, roster.version + 1, audit):
            return operator


def change_operator(world: World, who: Identity, name: str, submitted: Json) -> Operator:
    """Change some of what is known of an operator. Raises InvalidRequest, NotFound and LastAdmin."""
    require(OPERATOR_CHANGES, submitted)
    given = {key: value for key, value in submitted.items() if value is not None}
    new = _changes(world, name, given)

    def changed(roster: Roster) -> Decided:
        there = _find_operator(roster, name)
        after = evolve(there, **new)
        _require_admin(roster, there, after)
        told = changes(_among(given, there), _among(given, after), _unless_password)
        return after, entry(world, who, "change-operator", operator_named(there.name), told)

    saved = save_operator(world, changed)
    log.event("operator.changed", operator=name, changed=sorted(given), actor=who.name)
    return saved


def _changes(world: World, name: str, given: Mapping[str, Json]) -> dict[str, Any]:
    """What is given, as it changes the record. Whoever is disabled has no session any more, also when let in again."""
    new: dict[str, Any] = {"role": Role(given["role"])} if "role" in given else {}
    if "disabled" in given:
        new |= {"disabled": given["disabled"], **({"era": _by_chance(world)} if given["disabled"] else {})}
    return new | (new_password(world, name, given["password"], "/password") if "password" in given else {})


def _among(names: Iterable[str], operator: Operator) -> dict[str, Json]:
    return {name: getattr(operator, name) for name in names}


def _unless_password(name: str, value: Json) -> Json:
    return show.HIDDEN if name == "password" else value


def remove_operator(world: World, who: Identity, name: str) -> None:
    """Remove an operator; its sessions are over. Raises NotFound and LastAdmin."""
    while True:
        roster = world.store.roster()
        there = _find_operator(roster, name)
        _require_admin(roster, there, None)
        audit = entry(world, who, "remove-operator", operator_named(there.name), {"role": there.role})
        if world.store.remove_operator(there.name, roster.version + 1, audit):
            break
    log.event("operator.removed", operator=name, actor=who.name)


def _find_operator(roster: Roster, name: str) -> Operator:
    """The operator of that name; raises NotFound."""
    there = user_names.find(roster.operators, name)
    if there is None:
        raise NotFound(f"There is no operator {name[:80]}.")
    return there


def _require_admin(roster: Roster, there: Operator, changed: Operator | None) -> None:
    """Raises LastAdmin when this change would leave nobody who could undo it."""
    others = any(it.is_admin for it in roster.operators if it.name != there.name)
    if there.is_admin and not others and not (changed and changed.is_admin):
        raise LastAdmin(f"{there.name} is the last admin who may log in; make another one first.")


def new_password(world: World, name: str, password: str, pointer: str) -> dict[str, Any]:
    """What changes of an operator with its password: all sessions are over. Raises InvalidRequest."""
    made = _hashed(world, name, password, pointer)
    return {"password": made, "era": _by_chance(world), "password_at": world.clock.now()}


def _hashed(world: World, name: str, password: str, pointer: str) -> str:
    """The password as it is stored. Raises InvalidRequest when it is none to be chosen."""
    if fault := operators.password_fault(name, password):
        raise InvalidRequest(faults=(Fault(pointer, fault),))
    return _salted(world, password)


def _salted(world: World, password: str) -> str:
    """What is kept of a password."""
    return operators.hash_password(password, world.random.randbytes(operators.SALT_BYTES))


def _by_chance(world: World) -> str:
    """What nobody can guess."""
    return world.random.randbytes(16).hex()


# ── signing secrets ──────────────────────────────────────────────────────────────────────────────

SIGNING_SECRET = Record(
    name="NewSigningSecret",
    fields={"source_app": Field(NAME, "The app whose deliveries are signed from now on.", required=True)},
)

MOST_SECRETS = 2
"""Signing secrets of a source app: the one that receivers know, and the next one."""


def create_signing_secret(world: World, who: Identity, submitted: Json) -> tuple[SigningSecret, bytes]:
    """A new signing secret and its key, which nobody can be shown again. Raises InvalidRequest and TooMany."""
    require(SIGNING_SECRET, submitted)
    source_app = submitted["source_app"]
    if sum(it.source_app == source_app for it in world.store.signing_secrets()) >= MOST_SECRETS:
        raise TooMany(f"{source_app} has {MOST_SECRETS} signing secrets; remove the one that is no longer used.")
    secret_id = str(uuid.UUID(int=world.random.getrandbits(128), version=4))
    key = world.keyring.make(secret_id)
    secret = SigningSecret(
        secret_id=secret_id, source_app=source_app, fingerprint=fingerprint(key), created_at=world.clock.now()
    )
    audit = entry(world, who, "create-signing-secret", secret_id, {"source_app": source_app})
    world.store.add_signing_secret(secret, audit)
    world.keyring.forget()
    log.event("signing_secret.created", secret_id=secret_id, source_app=source_app, actor=who.name)
    return secret, key


def remove_signing_secret(world: World, who: Identity, secret_id: str) -> None:
    """Remove a signing secret: within seconds nothing is signed with it any more. Raises NotFound."""
    there = next((it for it in world.store.signing_secrets() if it.secret_id == secret_id), None)
    told = {"source_app": there.source_app} if there else {}
    audit = entry(world, who, "remove-signing-secret", secret_id, told)
    if not world.store.remove_signing_secret(secret_id, audit):
        raise NotFound(f"There is no signing secret {secret_id[:80]}.")
    world.keyring.forget()
    log.event("signing_secret.removed", secret_id=secret_id, actor=who.name)
