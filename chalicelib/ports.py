"""What the house needs of the world, as Protocols, and the frozen World that bundles them.

Each port has an AWS adapter (`store.py`, `queues.py`), an embedded one (`embedded.py`), or one for both
(`outbound.py`). Both are held to the same contract tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import NoneType
from typing import Any, Protocol, TypeVar

from chalicelib.errors import Kind, SendFailed
from chalicelib.ledger import Ledger
from chalicelib.life import Refused
from chalicelib.settings import Settings
from chalicelib.shape import seconds
from chalicelib.task import (
    Attempt,
    Audit,
    Caller,
    Channel,
    Desk,
    Event,
    Gate,
    Held,
    Json,
    Mention,
    Notice,
    Operator,
    Resend,
    Robot,
    Roster,
    Session,
    SigningSecret,
    Status,
    Target,
    Task,
    Tries,
)

A = TypeVar("A")


class Clock(Protocol):
    """The time. A simulation owns it; nobody else asks the operating system."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...


# ── the store ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which tasks to list, newest first. None means any. `since` <= created_at < `until`; `q`: part of the URL;
    `error`: `Task.error`.

    `due_after`, beside the status pending: only scheduled ones, due after that moment.
    """

    status: Status | None = None
    due_after: float | None = None
    source_app: str | None = None
    target_app: str | None = None
    target: str | None = None
    since: float | None = None
    until: float | None = None
    q: str | None = None
    error: str | None = None
    held: Held | None = None

    def matches(self, task: Task) -> bool:
        """Whether the task is among those asked for."""
        request = task.request
        return (
            self.status in (None, task.status)
            and self.source_app in (None, request.source_app)
            and self.target_app in (None, request.target_app)
            and self.target in (None, request.target)
            and (self.due_after is None or (task.is_scheduled and task.due_at > self.due_after))
            and (self.since is None or task.created_at >= self.since)
            and (self.until is None or task.created_at < self.until)
            and (self.q is None or self.q in request.url)
            and self.error in (None, task.error)
            and self.held in (None, task.held)
        )


def query_of(asked: Mapping[str, Json]) -> Query:
    """The query that the words of the API stand for: a member that is absent or null means any, times are RFC 3339."""
    given = {name: value for name, value in asked.items() if value is not None}
    readers: Mapping[str, Callable[[str], object]] = {
        "status": Status,
        "held": Held,
        "since": seconds,
        "until": seconds,
    }
    values: dict[str, Any] = {name: readers.get(name, str)(value) for name, value in given.items()}
    return Query(**values)


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first, and where the next page begins (None: there is none).

    A page may hold fewer tasks than asked for and still have a cursor: a look-up reads a bounded
    number of rows, however rare the matches are.
    """

    tasks: Sequence[Task]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class DuePlace:
    """How far a look through what is due has come: past all of an earlier `wake_at`, and past these of this one."""

    wake_at: float
    task_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class DuePage:
    """Tasks that are due, the longest overdue first, and where the next page begins (None: there is none).

    A page may hold fewer tasks than asked for and still have a place: rows that cannot be read are passed over.
    """

    tasks: Sequence[Task]
    place: DuePlace | None


def place_after(seen: Sequence[tuple[float, str]], before: DuePlace | None) -> DuePlace:
    """The place behind those that a page has seen, at least one, in their order: (`wake_at`, id) of each."""
    wake_at = seen[-1][0]
    known = before.task_ids if before is not None and before.wake_at == wake_at else frozenset()
    return DuePlace(wake_at, known | {task_id for at, task_id in seen if at == wake_at})


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Which audits to list, newest first. None means any. `since` <= at < `until`."""

    subject: str | None = None
    actor: str | None = None
    since: float | None = None
    until: float | None = None

    def matches(self, audit: Audit) -> bool:
        """Whether it is among those asked for."""
        return (
            self.subject in (None, audit.subject)
            and self.actor in (None, audit.actor)
            and (self.since is None or audit.at >= self.since)
            and (self.until is None or audit.at < self.until)
        )


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Audits, newest first, and where the next page begins; as `Page`, it may hold few and still have a cursor."""

    audits: Sequence[Audit]
    cursor: str | None


class Store(Protocol):
    """The table: the truth about every task. Raises `Unavailable` when it cannot serve just now."""

    @property
    def list_lag(self) -> float:
        """Seconds after which `page` knows of a change, though it may know at once; 0: it always does."""
        ...

    def add(self, task: Task, audit: Audit | None = None) -> Task | None:
        """Store a new task in one conditional write. None when stored, else the task that has its id.

        One with an ordering key goes to the end of its line, with the same write (`life.line_up`). One that is not new
        to the world may stand anywhere in its life, and counts as accepted when it was made. `audit` is written with it
        or not at all.
        """
        ...

    def whose_turn(self, line: str, now: float) -> Task | None:
        """The first task in a line; None when nobody stands there.

        One whose row is gone, since it has expired, is put out of the line, and the next one called up: its
        `updated_at` is `now`, and its message is still to be sent.
        """
        ...

    def claim(self, task_id: str, ticket: int, *, now: float, lease: float) -> Task | Refused:
        """`life.claim` in one blind conditional write, without a read; or why it may not be (`life.refusal`)."""
        ...

    def get(self, task_id: str) -> Task | None:
        """The task as it stands (a consistent read)."""
        ...

    def replace(self, old: Task, new: Task, audit: Audit | None = None) -> Task:
        """Put `new` where `old` is, if nobody changed it meanwhile (by `version`).

        Returns `new` when written, else the task as it now stands: decide again. The attempt `old.last`
        is kept in the history before `new.last` takes its place. `audit` is written with it or not at all.
        Where `old` has a place in a line and `new` has none, the next one in that line is called up with
        the same write (`life.call_up`), unless `old` stood behind others.
        Raises NotFound when the task is gone.
        """
        ...

    def keep(self, task_id: str, attempt: Attempt) -> None:
        """Put an attempt into the history. Doing it twice is doing it once."""
        ...

    def attempts(self, task: Task) -> list[Attempt]:
        """The attempts of all rounds, oldest first, `task.last` and gaps (as interrupted) included."""
        ...

    def page(self, query: Query, cursor: str | None, limit: int) -> Page:
        """A page of the list. Raises InvalidRequest for a cursor that is none."""
        ...

    def size(self, query: Query, cursor: str | None) -> tuple[int, str | None]:
        """How many tasks match in the next part of the list, and where the part after it begins (None: there is none).

        A part is as large as can be counted in a moment. Raises InvalidRequest for a cursor that is none.
        """
        ...

    def due(self, now: float, limit: int) -> list[Task]:
        """Tasks whose `wake_at` is past, the longest overdue first: those of the first page."""
        ...

    def due_page(self, now: float, place: DuePlace | None, limit: int) -> DuePage:
        """A page of them. Whoever cannot wake those of one page goes on with the next one. May lag by seconds."""
        ...

    def latest_due(self, limit: int) -> list[Task]:
        """About `limit` of the tasks whose `wake_at` is the latest: past, or still to come. May lag by seconds."""
        ...

    def mention(self, mention: Mention) -> bool:
        """Put a mention, one `version` above the stored one (0: none), among those that its notice gathers.

        False: it changed. Should it be cut off half-way, the notice may miss it, and `names` will say so.
        """
        ...

    def mentions(self, subject: str) -> list[Mention]:
        """Whom a task, or a target, is told to, oldest first. What is written is found (a consistent read)."""
        ...

    def gathered(self, notice_id: str, limit: int) -> list[Mention]:
        """Up to `limit` of the mentions that a notice has gathered (a consistent read)."""
        ...

    def settle(self, notice: Notice, mentions: Sequence[Mention]) -> Notice | None:
        """Store a notice for the first time: it names these, and no others ever. None: somebody else has settled it."""
        ...

    def names(self, notice: Notice, mention: Mention) -> bool:
        """Whether the mention is among those that the notice was settled with."""
        ...

    def notice(self, notice_id: str) -> Notice | None:
        """The notice as it stands; None while it gathers (a consistent read)."""
        ...

    def save_notice(self, notice: Notice) -> bool:
        """Store a notice whose `version` is one more than the stored one's. False: it changed."""
        ...

    def desk(self, channel_id: str) -> Desk | None:
        """Where a channel's next notice gathers (a consistent read)."""
        ...

    def save_desk(self, desk: Desk) -> bool:
        """Store a desk whose `version` is one more than the stored one's (0: none). False: it changed."""
        ...

    def robot(self, robot_id: str) -> Robot | None:
        """How much a robot was told of late (a consistent read)."""
        ...

    def save_robot(self, robot: Robot) -> bool:
        """Store a robot whose `version` is one more than the stored one's (0: none). False: it changed."""
        ...

    def audits(self, task_id: str) -> list[Audit]:
        """What was done to a task, or to anything else that has an id, oldest first.

        That of a task leaves with the task; of all else an audit is kept for `audit_retention`.
        """
        ...

    def note(self, audit: Audit) -> None:
        """Store an audit of what was refused, or has changed nothing here."""
        ...

    def acts(self, acts: Acts, cursor: str | None, limit: int, *, now: float) -> AuditPage:
        """A page of all audits of the last `audit_retention`, but for parts of others.

        With a subject, those of its own trail, and what was refused. Raises InvalidRequest for a cursor that is none.
        """
        ...

    def channels(self) -> list[Channel]:
        """All channels, oldest first. Raises Unavailable when the master key of one is missing."""
        ...

    def save_channel(self, channel: Channel, audit: Audit) -> bool:
        """Store a channel whose `version` is one more than the stored one's (0: none). False: it changed."""
        ...

    def remove_channel(self, channel_id: str, audit: Audit) -> bool:
        """Remove a channel. False: there was none."""
        ...

    def sealed_under(self) -> Mapping[str, str]:
        """By the id of each channel: the id of the master key that it is encrypted under; empty: it is not."""
        ...

    def reseal(self) -> int:
        """Store the secrets of all channels under the current master key: how many were not. Raises Unavailable."""
        ...

    def forget_unreadable_channels(self) -> int:
        """Remove the channels whose master key is lost: how many there were."""
        ...

    def resends(self) -> list[Resend]:
        """All bulk resends that have not expired, newest first."""
        ...

    def save_resend(self, resend: Resend, audit: Audit | None = None) -> bool:
        """Store a bulk resend whose `version` is one more than the stored one's (0: none). False: it changed."""
        ...

    def signing_secrets(self) -> list[SigningSecret]:
        """All signing secrets, oldest first."""
        ...

    def add_signing_secret(self, secret: SigningSecret, audit: Audit) -> None:
        """Store a signing secret, whose id is new."""
        ...

    def remove_signing_secret(self, secret_id: str, audit: Audit) -> bool:
        """Remove a signing secret. False: there was none."""
        ...

    def callers(self) -> list[Caller]:
        """All callers, oldest first."""
        ...

    def add_caller(self, caller: Caller, audit: Audit) -> None:
        """Store a caller, whose key is new."""
        ...

    def remove_caller(self, key_id: str, audit: Audit) -> bool:
        """Remove a caller. False: there was none."""
        ...

    def roster(self) -> Roster:
        """All operators (a consistent read)."""
        ...

    def operator(self, name: str) -> Operator | None:
        """The operator of that name (a consistent read)."""
        ...

    def save_operator(self, operator: Operator, version: int, audit: Audit) -> bool:
        """Store an operator, if `version` is one more than that of the roster. False: somebody else changed it."""
        ...

    def remove_operator(self, name: str, version: int, audit: Audit) -> bool:
        """Remove an operator, if `version` is one more than that of the roster. False: somebody else changed it."""
        ...

    def session(self, session_id: str, operator: str) -> tuple[Session | None, Operator | None]:
        """A session and an operator, as they are stored, by one look (a consistent read)."""
        ...

    def add_session(self, session: Session, audit: Audit | None = None) -> None:
        """Store a new session."""
        ...

    def save_session(self, session: Session) -> bool:
        """Store a session whose `version` is one more than the stored one's. False: it changed, or was ended."""
        ...

    def end_session(self, session_id: str, audit: Audit) -> bool:
        """Remove a session. False: there was none."""
        ...

    def tries(self, of: str) -> Tries:
        """How often somebody has failed to log in of late; none, when nothing is known (a consistent read)."""
        ...

    def save_tries(self, tries: Tries) -> bool:
        """Store tries whose `version` is one more than the stored one's (0: none). False: they changed."""
        ...

    def use_once(self, name: str, until: float) -> bool:
        """Take a name for oneself, and remember it until then at least. False: it was taken before."""
        ...

    def targets(self) -> list[Target]:
        """All targets that anything was ever set of, by name (a consistent read)."""
        ...

    def save_target(self, target: Target, audit: Audit) -> bool:
        """Store a target whose `version` is one more than the stored one's (0: none). False: it changed."""
        ...

    def gate(self, name: str) -> Gate:
        """The gate of a target; a new one when nobody has passed it."""
        ...

    def pass_gate(self, name: str, decide: Callable[[Gate], tuple[Gate, A]]) -> A:
        """Change the gate of a target as one step between those of others; what `decide` says beside.

        It is pure, and may be asked again, about another gate. One that it leaves as it is costs no write.
        """
        ...

    def held(self, name: str, limit: int) -> list[Task]:
        """Tasks that are held for a target, the one that was due first first. May lag by seconds."""
        ...

    def count_held(self, name: str, most: int) -> int:
        """How many there are, up to `most`. May lag by seconds."""
        ...

    def totals(self) -> Mapping[str, int]:
        """The counters of `life.tally`, all time. May lag by seconds."""
        ...

    def series(self, unit: str, since: float, until: float) -> list[tuple[float, Mapping[str, int]]]:
        """(start of the hour or day, counters), oldest first; `unit` is `hour` or `day`, in UTC. No empty ones."""
        ...

    def recount(self, now: float, retention: float) -> bool:
        """Check the ledger: count all rows again, or some of them where all take long. True: call again for more.

        Once all are counted, `checked` is what was found. Two who call at a time do no harm.
        """
        ...

    def checked(self) -> Ledger | None:
        """The ledger as the last check that has ended found it; None before the first one."""
        ...

    def ledger(self, now: float, retention: float) -> Ledger | None:
        """The ledger as it is now, where counting all rows again takes a moment only; else what `checked` is."""
        ...

    def ping(self) -> None:
        """Raises Unavailable when the store does not answer."""
        ...


# ── the queues ───────────────────────────────────────────────────────────────────────────────────


MOST_VISIBILITY = 43_200
"""Seconds: SQS hides a message for 12 h, counted from when it was received, in all."""

MOST_HIDDEN = MOST_VISIBILITY - 900
"""Seconds that a message in hand is hidden, at most: a quarter of an hour is left for what came before."""


MOST_DELAY = 900
"""Seconds: the longest `DelaySeconds` of SQS."""


class Queue(StrEnum):
    """The two queues."""

    TASKS = "tasks"  # tasks that are due, or wait for their next try
    EXHAUSTED = "exhausted"  # tasks out of tries, and messages that nobody could handle


@dataclass(frozen=True, slots=True)
class Message:
    """What travels: the task to look at, and the ticket that says whether the message is still of use.

    `target`: where the task goes; None in messages of older releases. `turn`: the moment that the target's rate has
    set aside for it. Without a task (an empty id) it is a call: held tasks of the target may go.
    """

    task_id: str
    ticket: int
    target: str | None = None
    turn: float | None = None


def call(target: str) -> Message:
    """The message that says: held tasks of the target may go."""
    return Message("", 0, target)


@dataclass(frozen=True, slots=True)
class News:
    """What travels from delivery to the channels: when (`at`) and why the breaker of a target has changed."""

    target: str
    event: Event
    at: float
    because: str = ""


def encode(message: Message | News) -> str:
    """The message as it travels: compact JSON, without what is not given."""
    given = {name: value for name in message.__slots__ if (value := getattr(message, name)) is not None}
    return json.dumps(given, separators=(",", ":"))


def decode(body: str) -> Message:
    """The message about a task in a body; raises ValueError when it is none."""
    message = read(body)
    if isinstance(message, News):
        raise ValueError("the body is no message about a task")  # noqa: TRY004 - one error for all that is none
    return message


def read(body: str) -> Message | News:
    """What travels in a body; raises ValueError when that is nothing of kkbida's."""
    try:
        members = json.loads(body)
        if "event" in members:
            found: Message | News = News(**{**members, "event": Event(members["event"])})
        else:
            found = Message(members["task_id"], members["ticket"], members.get("target"), members.get("turn"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("the body is no message of kkbida") from error
    if not all(type(getattr(found, name)) in kinds for name, kinds in _MEMBERS[type(found)].items()):
        raise ValueError("the body is no message of kkbida")
    return found


_MEMBERS: Mapping[type, Mapping[str, tuple[type, ...]]] = {
    Message: {"task_id": (str,), "ticket": (int,), "target": (str, NoneType), "turn": (int, float, NoneType)},
    News: {"target": (str,), "at": (int, float), "because": (str,)},
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """One of many messages that are sent together: see `Queues.send`."""

    message: Message | News
    group: str
    delay: float = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A message as received. `receipt` is its handle until it is received again; `count` how often it was."""

    message_id: str
    receipt: str
    body: str
    count: int


class Queues(Protocol):
    """The fast path. At least once, in any order. Raises `Unavailable` when it cannot serve just now."""

    def send(self, queue: Queue, message: Message | News, *, group: str, delay: float = 0) -> None:
        """Send. `delay` seconds (0..900) pass before it can be received. `group`: whom it must not starve."""
        ...

    def send_all(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """Send many, in a tenth of the calls. When it raises, some of them may have been sent."""
        ...

    def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
        """Set the visibility of messages in hand: receipt -> seconds from now (0..43200).

        A receipt that is no longer valid is passed over: the message is somebody else's by now.
        """
        ...

    def receive(self, queue: Queue, *, limit: int = 10, wait: float = 0) -> list[Received]:
        """Up to `limit` (1..10) messages, waiting up to `wait` (0..20) seconds for the first. Not used on Lambda."""
        ...

    def delete(self, queue: Queue, receipts: Sequence[str]) -> None:
        """Finish messages. A stale or unknown receipt is no error and deletes nothing. Not used on Lambda."""
        ...

    def in_flight(self, queue: Queue) -> int:
        """About how many messages are received and not finished. May be seconds old."""
        ...


# ── the way out ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request as it goes on the wire. `timeout`: seconds for all of it, name look-up to last byte."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back: any complete HTTP reply, redirects included. Header names are in lower case.

    `undecoded`: why the body is still in an encoding, as a sentence; empty when it is in none.
    `phases`: as in `Attempt`; empty when nobody looked at the clock.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    undecoded: str = ""
    phases: tuple[int | None, ...] = field(default=(), compare=False)


class Http(Protocol):
    """The only door to URLs that users supply."""

    def send(self, outgoing: Outgoing) -> Reply:
        """Send one request and read its reply, within its caps. Raises SendFailed with the kind of failure."""
        ...

    def check(self, url: str) -> None:
        """Vet a URL before it is stored: raises SendFailed (forbidden_address) when it names a forbidden
        address or port. A name that does not resolve just now passes: the check that counts is at connect."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An e-mail as it goes out: plain text."""

    to: tuple[str, ...]
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class RefusedRecipient:
    """Why one recipient of a letter was refused. `permanent`: it makes no sense to ask for the same soon again."""

    reason: str
    permanent: bool


class Mail(Protocol):
    """The way out for e-mail."""

    def send(self, letter: Letter) -> Mapping[str, RefusedRecipient]:
        """Hand a letter to the server that carries it: the recipients that it refused; all others were taken.

        Raises SendFailed when the letter was refused as such, or no answer came: then nobody is known to get it.
        """
        ...


class NoMail:
    """No way for e-mail is set up: every letter is refused, with what to do."""

    def send(self, letter: Letter) -> Mapping[str, RefusedRecipient]:  # noqa: ARG002 - see Mail
        """Raises SendFailed."""
        raise SendFailed(Kind.REFUSED, "no e-mail is sent from here: set KKBIDA_MAIL_FROM, and KKBIDA_SMTP off AWS")


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────

Keys = Mapping[str, Sequence[bytes]]
"""Of each source app that has any: the keys that its deliveries are signed with, the newest first."""


Callers = Mapping[str, tuple[Caller, str]]
"""By the id of its key: each caller with its secret."""


class Vault(Protocol):
    """The place of the stage's master keys: 32 bytes each, from which every other key is derived.

    There is one, and during a rotation an older one or more behind it. `where` names the place, for people.
    """

    where: str

    def read(self) -> bytes | None:
        """The current master key; None when there is none yet. Raises Unavailable."""
        ...

    def read_all(self) -> tuple[bytes, ...]:
        """The master keys, the current one first. Raises Unavailable."""
        ...

    def make(self) -> None:
        """Make the master key by chance, unless there is one. Raises Unavailable."""
        ...

    def replace(self, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> bool:
        """Put the keys `new` in the place of `old`. False: there were others. Raises Unavailable."""
        ...


class Keyring(Protocol):
    """The keys of signed deliveries, and the secrets of callers."""

    def make(self, secret_id: str) -> bytes:
        """The key of a signing secret. Makes the master key when it is the first. Raises Unavailable."""
        ...

    def make_secret(self, key_id: str) -> str:
        """The secret of a caller. Makes the master key when it is the first. Raises Unavailable."""
        ...

    def keys(self) -> Keys:
        """The keys of all source apps, as they were some seconds ago: most calls read nothing. Raises Unavailable."""
        ...

    def callers(self) -> Callers:
        """All callers, as they were some seconds ago: most calls read nothing. Raises Unavailable."""
        ...

    def caller(self, key_id: str) -> tuple[Caller, str] | None:
        """The caller of that key with its secret. One that is not known is looked up in the store, within a limit.

        Raises Unavailable.
        """
        ...

    def caller_named(self, user_name: str) -> Caller | None:
        """The caller of that user name; as `caller`. Raises Unavailable."""
        ...

    def forget(self) -> None:
        """Read everything anew: this process has just made or removed a key."""
        ...


# ── all of it ────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Known:
    """The targets of which anything was ever set, as this process last read them. It is all of a World that changes.

    `at`: when it read them; `asked_at`: when it last tried to.
    """

    targets: Mapping[str, Target] | None = None
    at: float = 0
    asked_at: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that a step may touch. Built once, in `world.py`; in tests, by hand."""

    settings: Settings
    store: Store
    queues: Queues
    http: Http
    keyring: Keyring
    mail: Mail = field(default_factory=NoMail)
    clock: Clock
    random: Random
    known: Known = field(default_factory=Known)
