"""Tasks: as they are submitted, and as kkbida shows them. All times between are seconds; all moments have a zone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from kkbida.errors import Problem, Unsendable, problem

if TYPE_CHECKING:
    from kkbida.wire import Json


class Status(str, Enum):
    """Where a task stands. Compares equal to the plain text."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"

    __str__ = str.__str__


FINAL = frozenset({Status.DELIVERED, Status.EXHAUSTED, Status.CANCELLED})
"""Only a resend leaves these."""


# ── as submitted ─────────────────────────────────────────────────────────────────────────────────


class Given:
    """Facts that are sent as JSON: what is None is left out."""

    UNSENT: ClassVar[frozenset[str]] = frozenset()

    def as_json(self) -> dict[str, Json]:
        """The members that are given."""
        shown = {name: _plain(getattr(self, name)) for name in _names(type(self)) if name not in self.UNSENT}
        return {name: value for name, value in shown.items() if value is not None}


def _plain(value: Any) -> Json:
    if isinstance(value, Given):
        return value.as_json()
    return moment_text(value) if isinstance(value, datetime) else value


def _names(kind: Any) -> list[str]:
    return [it.name for it in fields(kind)]


def moment_text(moment: datetime) -> str:
    """A moment by RFC 3339, in UTC. Raises Unsendable when it has no zone, or no year from 1 to 9999 in UTC."""
    if moment.tzinfo is None:
        raise Unsendable(f"{moment.isoformat()} has no time zone; say datetime(..., tzinfo=timezone.utc)")
    try:
        return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError as error:
        raise Unsendable(f"{moment.isoformat()} is before the year 1 or after the year 9999 in UTC") from error


def moment(text: str) -> datetime:
    """The moment in such a text. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True)
class Expect(Given):
    """What the reply must be: every rule that is given must hold. A 2xx status unless said.

    `status`: such as `["2xx", "!204"]`; `contains`, `equals`: text of the body; `regex`: is found in it;
    `json`: JSON path -> the value that stands there.
    """

    status: Sequence[str] | None = None
    contains: str | None = None
    equals: str | None = None
    regex: str | None = None
    json: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class Retry(Given):
    """How often and when to try again. Give a `preset`, a `schedule`, or a `backoff` with its figures.

    `max_attempts` counts the first try. `backoff` is "exponential" (`initial`, `factor`, `cap`) or "fixed" (`initial`).
    `jitter` is a share of each wait, `give_up_on` statuses that end it at once, `deadline` the seconds after which no
    try begins.
    """

    preset: str | None = None
    max_attempts: int | None = None
    backoff: str | None = None
    initial: float | None = None
    factor: float | None = None
    cap: float | None = None
    jitter: float | None = None
    schedule: Sequence[float] | None = None
    give_up_on: Sequence[str] | None = None
    deadline: float | None = None


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Task(Given):
    """One HTTP request that must arrive. Only `url` is needed.

    `idempotency_key` is made with the object, so that a Task that is submitted twice, for whatever reason, is one task.
    Give one of your own, such as the order's number, and that also holds after your process has died.

    `body`: what JSON has, or text. A `Decimal` keeps its digits, and `RawJson` all of its text.
    """

    UNSENT = frozenset({"idempotency_key"})

    url: str
    _: KW_ONLY
    method: str | None = None
    headers: Mapping[str, str] | None = None
    params: Mapping[str, Json] | None = None
    body: Json = None
    content_type: str | None = None
    expect: Expect | None = None
    retry: Retry | None = None
    timeout: float | None = None
    delay: float | None = None
    deliver_at: datetime | None = None
    source_app: str | None = None
    target_app: str | None = None
    ordering_key: str | None = None
    on_exhausted: str | None = None
    labels: Mapping[str, str] | None = None
    idempotency_key: str = field(default_factory=new_key, compare=False)


@dataclass(frozen=True)
class Changes(Given):
    """What a resend sends otherwise than before."""

    url: str | None = None
    headers: Mapping[str, str] | None = None
    body: Json = None
    content_type: str | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class Filter(Given):
    """Which tasks. `status` may also be "scheduled"; `target` is scheme, host and port; `q` is part of the URL."""

    status: str | None = None
    source_app: str | None = None
    target_app: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None


# ── as shown ─────────────────────────────────────────────────────────────────────────────────────

Shape = TypeVar("Shape")


def read(kind: Callable[..., Shape], shown: Mapping[str, Json]) -> Shape:
    """The facts of a kind in what was shown; what a newer kkbida adds is passed over. Raises TypeError, ValueError."""
    return kind(**{name: _read(name, shown[name]) for name in _names(kind) if name in shown})


def _read(name: str, value: Json) -> Any:
    if name in _PARTS:
        return tuple(read(_PARTS[name], it) for it in value)
    return moment(value) if value is not None and (name.endswith("_at") or name == "at") else value


@dataclass(frozen=True)
class Attempt:
    """One try at a task. Without a `verdict` it is on its way; `wait`: seconds until the next, as decided then.

    `phases`: milliseconds that went into `dns`, `connect`, `tls`, `wait` (the receiver's own time) and `read`; the last
    that is not None is the one in which it ended.
    """

    number: int
    round: int
    started_at: datetime | None
    duration_ms: int | None
    status_code: int | None
    verdict: str | None
    kind: str | None
    reason: str | None
    reply: str | None = field(repr=False)
    reply_truncated: bool
    wait: float | None
    phases: Mapping[str, int | None] | None = None


@dataclass(frozen=True)
class Notice:
    """What was told to a channel about a task, or will be. To a caller the two ids and the reason are None."""

    notice_id: str | None
    channel_id: str | None
    kind: str
    round: int
    status: str
    reason: str | None
    created_at: datetime
    ended_at: datetime | None
    next_try_at: datetime | None


@dataclass(frozen=True)
class Audit:
    """What was done to a task: when, who, what, from where. A caller sees neither names of users nor addresses."""

    at: datetime
    actor: str
    action: str
    address: str
    detail: Mapping[str, Json]


_PARTS: Mapping[str, type] = {"attempts": Attempt, "notices": Notice, "audit": Audit}


@dataclass(frozen=True)
class ListedTask:
    """A task as it is listed: how it stands, and why. `shown` is all that kkbida said of it."""

    task_id: str
    status: str
    method: str
    url: str
    source_app: str
    target_app: str
    target: str
    labels: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    round: int
    attempts_made: int
    max_attempts: int
    scheduled: bool
    waits_in_line: bool
    held: str | None
    next_try_at: datetime | None
    because: str | None
    last_reason: str | None
    shown: Mapping[str, Json] = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether only a resend can change it."""
        return self.status in FINAL


@dataclass(frozen=True)
class WholeTask(ListedTask):
    """A task with its attempts, its notices and its audit trail, of all rounds, the newest last.

    With an `attempts_cursor` there are older attempts than fit into one answer: `Client.attempts` has all of them.
    """

    attempts: Sequence[Attempt]
    notices: Sequence[Notice]
    audit: Sequence[Audit]
    submitted_by: str | None = None
    attempts_cursor: str | None = None


def task_of(kind: Callable[..., Shape], shown: Mapping[str, Json]) -> Shape:
    """A task in what was shown. Raises TypeError, ValueError."""
    return read(kind, {**shown, "shown": shown})


@dataclass(frozen=True)
class BatchResult:
    """What became of one task of a batch: it was accepted, or there is the problem."""

    task: Task
    accepted: ListedTask | None
    problem: Problem | None

    @property
    def task_id(self) -> str:
        """The id of the task. Raises the problem if there is none."""
        if self.problem is not None:
            raise self.problem
        assert self.accepted is not None, "either"
        return self.accepted.task_id


def batch_result(task: Task, shown: Mapping[str, Json]) -> BatchResult:
    """The result of a task of a batch, as shown. Raises TypeError, ValueError, KeyError."""
    if "task" in shown:
        return BatchResult(task, task_of(ListedTask, shown["task"]), None)
    return BatchResult(task, None, problem(shown["status"], shown["problem"]))


@dataclass(frozen=True)
class AttemptPage:
    """Some attempts of a task, newest first, and where the next page begins: None when there is none.

    `shown`: all that kkbida said of each.
    """

    attempts: Sequence[Attempt]
    cursor: str | None
    shown: Sequence[Mapping[str, Json]] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Page:
    """Some tasks, and where the next page begins: None when there is none."""

    tasks: Sequence[ListedTask]
    cursor: str | None
