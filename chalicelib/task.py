"""The nouns: Task, Attempt, Notice, Channel, Resend, Target, Operator and their parts. Frozen facts; `evolve` makes the
next one.

Times are seconds since the epoch (UTC, float), durations are seconds unless the name ends in `_ms`.
How a task may change stands in `life.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from chalicelib import json_text
from chalicelib.errors import Kind
from chalicelib.json_text import JsonText
from chalicelib.url import DEFAULT_PORTS

Json = Any
"""What `json_text.loads` makes: dict, list, str, int, float, bool, None or, for a number that Python would write in
another way, `JsonText`."""

evolve = replace


class Status(StrEnum):
    """Where a task stands. The three last are final: only a resend leaves them, by a new round."""

    PENDING = "pending"  # accepted and stored; no attempt of this round has ended yet
    RETRYING = "retrying"  # at least one attempt of this round failed; the next one is planned
    DELIVERED = "delivered"  # a reply met the expectation
    EXHAUSTED = "exhausted"  # no try is left, or the policy gave up; humans are told
    CANCELLED = "cancelled"  # somebody called it off


FINAL = frozenset({Status.DELIVERED, Status.EXHAUSTED, Status.CANCELLED})

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RETRYING, Status.DELIVERED, Status.EXHAUSTED, Status.CANCELLED}),
    Status.RETRYING: frozenset({Status.RETRYING, Status.DELIVERED, Status.EXHAUSTED, Status.CANCELLED}),
    Status.DELIVERED: frozenset({Status.PENDING}),
    Status.EXHAUSTED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset({Status.PENDING}),
}
"""From each status, where a task may go. The way from a final status back to pending is a resend."""


class Held(StrEnum):
    """Why a task that is due waits all the same: for its target. It is pending or retrying, and loses no try."""

    PAUSED = "paused"  # somebody paused the target
    BREAKER = "breaker"  # too many attempts at the target failed; its breaker is open
    CONCURRENCY = "concurrency"  # as many attempts at the target run as may
    RATE = "rate"  # the target's rate is used up for now


class Verdict(StrEnum):
    """How an attempt was judged."""

    DELIVERED = "delivered"  # every rule of the expectation held
    FAILED = "failed"  # a rule did not hold, or no reply came
    INTERRUPTED = "interrupted"  # our process died, or the task was cancelled, meanwhile: effect unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a reply must be. Every rule that is given must hold.

    `status`: patterns such as `200`, `2xx`, `200-299`, and `!204` to take one out.
    `contains`, `equals`, `regex`: of the reply decoded as text. `json`: JSON path -> the value wanted.
    """

    status: tuple[str, ...] = ("2xx",)
    contains: str | None = None
    equals: str | None = None
    regex: str | None = None
    json: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many tries, the waits between them (seconds), when to give up early, the deadline.

    `backoff` is `exponential` (initial, factor, cap), `fixed` (initial) or `schedule` (waits).
    `jitter` is the share of a wait by which it may be shorter or longer, 0..1.
    `give_up_on`: status patterns that end the round at once. `deadline`: seconds from the round's start.
    """

    max_attempts: int
    backoff: str
    initial: float = 0
    factor: float = 1
    cap: float = 0
    waits: tuple[float, ...] = ()
    jitter: float = 0
    give_up_on: tuple[str, ...] = ()
    deadline: float


CONTINUE, HOLD = "continue", "hold"
"""What becomes of the tasks in line behind one that is exhausted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The HTTP request that must arrive, with what counts as arrived and how to retry: as submitted.

    `body`: a string is sent as it is (UTF-8); a `JsonText` is JSON as it was submitted; None means no body. Any other
    JSON value becomes its text.
    `params`: the query of a GET, HEAD or DELETE or beside a body; else the body itself.
    `timeout`: seconds that one attempt may last in all.
    `ordering_key`: tasks of one caller that have the same are delivered one after another.
    `on_exhausted`: whether, once no try is left, those behind it `continue` or it goes on to `hold` them.
    `delay`: seconds to wait before the first attempt; 0 where none was submitted, or a moment (`deliver_at`).
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Json] = field(default_factory=dict)
    body: Json = None
    content_type: str | None = None
    expect: Expectation
    retry: Policy
    timeout: float
    source_app: str = "default"
    target_app: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    ordering_key: str | None = None
    on_exhausted: str = CONTINUE
    delay: float = 0

    def __post_init__(self) -> None:
        """What is delivered is a text: two requests with the same text are equal."""
        if not isinstance(self.body, str | JsonText | None):
            object.__setattr__(self, "body", JsonText(json_text.dumps(self.body)))

    @property
    def target(self) -> str:
        """Scheme, host and port, such as `https://partner.example:443`."""
        return target_of(self.url)


MOST_OF_ERROR = 60
"""Characters of a reason that tasks are counted by."""


@lru_cache(maxsize=1024)
def target_of(url: str) -> str:
    """Scheme, host and port of a valid http(s) URL, in lower case, the port always written out."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}"


class Phase(StrEnum):
    """What an attempt spends its time on, in this order."""

    DNS = "dns"  # the host's name is looked up
    CONNECT = "connect"  # a connection is made
    TLS = "tls"  # and secured: https only
    WAIT = "wait"  # the request is sent, and the receiver thinks
    READ = "read"  # the reply is read, from its first byte to its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a task; kept, never overwritten.

    `number` counts within `round`, from 1. `fence` counts every claim of the task's life.
    `reply` is what was kept of the reply's body, as text; `reply_bytes` how long it was in all, in UTF-8;
    `wait` the seconds until the next try that were decided then, None when there is none.
    `phases`: milliseconds of each `Phase`, up to the one in which it ended; None: it had no such phase.
    """

    number: int
    round: int
    fence: int
    started_at: float | None
    verdict: Verdict | None
    duration_ms: int | None = None
    status_code: int | None = None
    kind: str | None = None
    reason: str | None = None
    reply: str | None = None
    reply_bytes: int | None = None
    wait: float | None = None
    phases: tuple[int | None, ...] = ()

    @property
    def reply_truncated(self) -> bool:
        """Whether more came than was kept."""
        return (self.reply_bytes or 0) > len((self.reply or "").encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One HTTP request that must arrive, and how far it has come. The row that changes.

    `version` counts every change (the store's compare-and-set); `fence` every claim; `ticket` says
    which message may wake it: a message with another ticket is stale and is dropped.
    `number` counts the claims of this round. `due_at`: no attempt begins before. `lease_until`: until
    then one attempt owns it. `wake_at`: when the reconciler must look after it; None when nothing is owed.
    `last`: the newest attempt that has ended, in whatever round. `because`: why an exhausted task is.
    `place`: where it stands in the line of its ordering key, counted from 1; None when it stands in none (any more).
    `behind`: somebody stands before it there, so that no attempt begins.
    `held`: why it waits for its target, and since when (`held_at`); no message has its ticket then.
    `expires_at`: when it leaves; None while it is live, and while a notification of it is owed.
    """

    task_id: str
    request: Request
    caller: str
    digest: str
    created_at: float
    updated_at: float
    status: Status = Status.PENDING
    version: int = 1
    ticket: int = 1
    round: int = 1
    round_started_at: float
    number: int = 0
    fence: int = 0
    due_at: float
    lease_until: float = 0
    claimed_at: float | None = None
    claimed_before: float | None = None
    wake_at: float | None
    wakes: int = 0
    last: Attempt | None = None
    because: str | None = None
    expires_at: int | None = None
    place: int | None = None
    behind: bool = False
    held: Held | None = None
    held_at: float | None = None

    @property
    def line(self) -> str:
        """The name of the line that it stands in: one for each caller and ordering key."""
        seed = json.dumps([self.caller, self.request.ordering_key]).encode()
        return hashlib.sha256(seed).hexdigest()[:32]

    @property
    def is_final(self) -> bool:
        """Whether only a resend can change it."""
        return self.status in FINAL

    @property
    def is_scheduled(self) -> bool:
        """Whether its first try was put off to a later time, which may have come meanwhile."""
        return self.status is Status.PENDING and self.due_at > self.updated_at

    @property
    def error(self) -> str:
        """Why its newest attempt failed, in words that many tasks share: the rule, or the kind. Empty: none has."""
        if self.last is None or self.last.kind is None:
            return self.because or ""
        return (self.last.reason or "")[:MOST_OF_ERROR] if self.last.kind == Kind.REPLY else self.last.kind

    @property
    def deadline_at(self) -> float:
        """No attempt of this round begins after it."""
        return self.round_started_at + self.request.retry.deadline


OWED_KEPT = 90 * 86_400
"""Seconds beyond the retention for which DynamoDB keeps the copies of what a notice has gathered, and the breaker's
events: longer than any outage. A task whose mention has expired is reported anew: the task itself does not expire."""


class Event(StrEnum):
    """What a channel may be told of."""

    EXHAUSTED = "exhausted"  # a task is out of tries
    BREAKER_OPENED = "breaker_opened"  # a target fails so often that nothing goes there for a while
    BREAKER_CLOSED = "breaker_closed"  # a target has recovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """That one channel is to be told of one event, and by which notice.

    `subject` and `round` say what happened to whom: a task and the round that was exhausted; or a target, and the
    millisecond in which its breaker changed. `error`: why, in a few words. `version`: 2 and more, when the notice
    before was put together without it.
    """

    subject: str
    round: int
    channel_id: str
    channel_kind: str
    notice_id: str
    event: Event = Event.EXHAUSTED
    target: str = ""
    source_app: str = ""
    error: str = ""
    version: int = 1
    created_at: float
    due_at: float
    expires_at: int | None = None


class NoticeStatus(StrEnum):
    """Where a notice stands."""

    PENDING = "pending"  # gathering, not yet sent, or to be tried again
    DELIVERED = "delivered"  # the channel said that it took it
    FAILED = "failed"  # every try was refused; a human must look


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What a notice says, put together once: how much happened, and the most frequent of what happened where.

    `targets`, `errors`, `apps`: how many tasks each, the most frequent first. `first`: ids of a few tasks.
    `values`: of a task that is told of alone, the variables of the channel's template.
    """

    tasks: int = 0
    targets: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    apps: Mapping[str, int] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to one channel about one or many events, tracked like anything that must arrive.

    It exists from the moment on at which it is settled whom it names (`roll`: the store's own note of that).
    `tries` counts what the channel refused or took, `throttled` how often it had no time: that is no try. Of e-mail:
    `taken` are the recipients that got it, `refused` those that were refused at the last try, and why.
    """

    notice_id: str
    channel_id: str
    channel_kind: str
    gist: Gist
    roll: str = ""
    status: NoticeStatus = NoticeStatus.PENDING
    version: int = 1
    tries: int = 0
    throttled: int = 0
    due_at: float
    lease_until: float = 0
    created_at: float
    ended_at: float | None = None
    reason: str | None = None
    taken: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where a channel's next notice gathers: `notice_id`, since `opened_at`, to be put together from `due_at` on."""

    channel_id: str
    version: int
    notice_id: str
    opened_at: float
    due_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Robot:
    """How much a robot was told of late: `busy_until` moves on with each message; before `rests_until` it gets none."""

    robot_id: str
    version: int = 0
    busy_until: float = 0
    rests_until: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where a failure is told. `url` and `secret` are secrets: a reply or a log shows neither whole.

    `template` has `${...}` variables (see `notify/message.py`); empty means the kind's default text.
    `source_apps`, `target_apps`: only tasks of these; empty means of all. `events`: what it is told of.
    `gather`: seconds between two notices, in which failures gather to one digest; 0 tells of each alone.
    """

    channel_id: str
    kind: str
    url: str
    secret: str = ""
    template: str = ""
    content_type: str = "application/json; charset=utf-8"
    memo: str = ""
    source_apps: tuple[str, ...] = ()
    target_apps: tuple[str, ...] = ()
    events: tuple[str, ...] = (Event.EXHAUSTED,)
    gather: float = 60
    enabled: bool = True
    version: int = 0
    created_at: float
    updated_at: float

    def hears(self, event: Event) -> bool:
        """Whether events of this sort are told here."""
        return self.enabled and event in self.events

    def wants(self, request: Request) -> bool:
        """Whether failures of this request are told here."""
        return (
            self.hears(Event.EXHAUSTED)
            and (not self.source_apps or request.source_app in self.source_apps)
            and (not self.target_apps or request.target_app in self.target_apps)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """What the deliveries of a source app are signed with. The key itself is nowhere: it is derived of the id, which is
    by chance, and the master key. `fingerprint` tells whether it still is the one that was shown.
    """

    secret_id: str
    source_app: str
    fingerprint: str
    created_at: float


class Right(StrEnum):
    """What somebody may do. A caller has some of the first three, for the tasks of its own source app only."""

    SUBMIT = "submit"  # submit tasks
    READ = "read"  # look at tasks, and list them
    RESEND = "resend"  # resend tasks, cancel them, deliver them now
    WATCH = "watch"  # see targets, channels, bulk resends and figures
    OPERATE = "operate"  # resend many, pause and limit targets, test channels
    ADMIN = "admin"  # change channels, signing secrets, callers and operators


SCOPES = (Right.SUBMIT, Right.READ, Right.RESEND)
"""The rights that a caller may be given."""

MAX_USER_NAME = 100
"""Characters of the user name of a caller."""

EVERY_APP = "*"
"""In the place of a caller's source app: its tasks say themselves which app they come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A machine that submits tasks: a key that acts for one source app.

    Its secret is nowhere: it is derived of the id, which is by chance, and the master key. `fingerprint` tells whether
    it still is the one that was shown. `networks`: where it may call from; none: from everywhere.
    `user_name`, `password`: of a client of the predecessor, which says by them who it is; the password is hashed.
    """

    key_id: str
    source_app: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...] = ()
    memo: str = ""
    user_name: str = ""
    password: str = ""
    fingerprint: str
    created_at: float
    created_by: str

    @property
    def only_app(self) -> str | None:
        """The app that it acts for; None for all."""
        return None if self.source_app == EVERY_APP else self.source_app


class Role(StrEnum):
    """What an operator is."""

    VIEWER = "viewer"  # sees everything
    OPERATOR = "operator"  # and submits and resends tasks, pauses and limits targets, tests channels
    ADMIN = "admin"  # and changes channels, signing secrets, callers and operators


_SEES = frozenset({Right.READ, Right.WATCH})

RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: _SEES,
    Role.OPERATOR: _SEES | {Right.SUBMIT, Right.RESEND, Right.OPERATE},
    Role.ADMIN: frozenset(Right),
}
"""What each role may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A human with a login. `password` is a hash (see `operators.py`).

    `era`: by chance; a session of another era is over. `device_key`: by chance, and kept for ever: what the marks of
    devices are made with from which the operator has logged in.
    """

    name: str
    role: Role
    password: str
    disabled: bool = False
    era: str
    device_key: str
    created_at: float
    created_by: str
    password_at: float

    @property
    def is_admin(self) -> bool:
        """Whether this one may do everything just now."""
        return self.role is Role.ADMIN and not self.disabled


@dataclass(frozen=True, slots=True)
class Roster:
    """All operators, by name, as of one moment. `version` counts the changes of any of them."""

    version: int = 0
    operators: tuple[Operator, ...] = ()

    def find(self, name: str) -> Operator | None:
        """The operator of that name."""
        return next((it for it in self.operators if it.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who has logged in. `session_id` is the hash of the token, which only the browser has.

    It is over at `expires_at`, which moves on with its use, and at `ends_at` in any case.
    """

    session_id: str
    operator: str
    era: str
    seen_at: float
    expires_at: float
    ends_at: float
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often somebody has failed to log in of late: with a name, from an address, at a device."""

    of: str
    failed: int = 0
    last_at: float = 0
    expires_at: float = 0
    version: int = 0


class ResendStatus(StrEnum):
    """Where a bulk resend stands. The two last are final."""

    RUNNING = "running"  # it goes through the tasks of its filter
    STOPPING = "stopping"  # somebody stopped it: it finishes what it has in hand, and takes nothing more
    STOPPED = "stopped"  # it was stopped before it had seen every task
    DONE = "done"  # it has seen every task of its filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """One action that resends many tasks: those of `filter` (as submitted), `rate` of them a second; or those that
    were named one by one, and `filter` is empty.

    `hand`: the ids of the tasks that it is at, and `rounds` the round in which it found each of them; `named`: the
    named ones that come after them; `cursor`: where the page after those in hand begins in the list; `walked`: there is
    none. `next_at`: when the next task that it resends is due, at the earliest. `actor` and `address`: who began it.

    Where a list lags, it is walked more than once: `walk` counts from 1, `walk_at` is the moment before which this one
    does not begin, and `found` how many tasks it has found so far that those before it had not.
    """

    resend_id: str
    filter: Mapping[str, Json]
    rate: float
    actor: str
    address: str
    status: ResendStatus = ResendStatus.RUNNING
    version: int = 1
    started_at: float
    ended_at: float | None = None
    cursor: str | None = None
    walked: bool = False
    hand: tuple[str, ...] = ()
    rounds: tuple[int, ...] = ()
    walk: int = 1
    walk_at: float = 0
    found: int = 0
    named: tuple[str, ...] = ()
    next_at: float = 0
    resent: int = 0
    passed_over: int = 0
    failed: int = 0
    expires_at: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in (ResendStatus.STOPPED, ResendStatus.DONE)

    @property
    def matched(self) -> int:
        """Tasks that it has found so far; those that were named are found from the beginning."""
        return self.resent + self.passed_over + self.failed + len(self.hand) + len(self.named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a target is left alone because its attempts fail.

    It opens when of at least `least_attempts` that ended within `window` seconds the share `failure_share` (0..1)
    failed; after `open_seconds` one attempt is let through, and decides whether it closes or opens again.
    """

    failure_share: float
    window: float
    least_attempts: int
    open_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What somebody has set of one target: scheme, host and port. None means no limit.

    A record is never removed, even when nothing is set any more: tasks may still be held for it.
    """

    name: str
    paused_at: float | None = None
    max_concurrency: int | None = None
    rate_per_second: float | None = None
    breaker: Breaker | None = None
    version: int = 0
    updated_at: float = 0
    updated_by: str = ""

    @property
    def is_limited(self) -> bool:
        """Whether the workers must ask each other before an attempt."""
        return (self.max_concurrency, self.rate_per_second, self.breaker) != (None, None, None)

    @property
    def is_set(self) -> bool:
        """Whether anything holds for it that does not hold for every target."""
        return self.is_limited or self.paused_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What all workers together know of a target that has limits. It changes with their attempts.

    `inside`: who has one of its places -> until when, if its process dies. `next_at`: the next free turn of its rate.
    `tried`, `failed`: attempts that ended, by a part of the breaker's window. `opened_at`, `open_until`: of the
    breaker, None while it is closed. `probe`: whose attempt decides about it, until `probe_until`.
    `waits`: whether a task may be held for want of a place.
    """

    inside: Mapping[str, int] = field(default_factory=dict)
    next_at: float = 0
    tried: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    opened_at: float | None = None
    open_until: float | None = None
    probe: str = ""
    probe_until: float = 0
    waits: bool = False


DONE = "done"
"""The result of an action that was not refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One thing that an operator did, or tried to: who, what, on what, from where, when, what it changed.

    `result`: done, or the code that it was refused with. `part`: of an action on many, which has an audit of its own.
    """

    at: float
    actor: str
    action: str
    subject: str
    address: str
    detail: Mapping[str, Json] = field(default_factory=dict)
    result: str = DONE
    part: bool = False
