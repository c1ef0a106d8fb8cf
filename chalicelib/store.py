"""The store on DynamoDB: one table, and everything about a task under the task's id.

    pk          sk                       what
    task_id     task                     the row: how far the task has come; under 1 KB, so a write is one unit
    task_id     request#<digest>         the request, when it does not fit into the row
    task_id     reply#<fence>            the newest attempt, when its reply does not fit into the row
    task_id     attempt#<fence>          an older attempt
    task_id     mention#<round>#<channel> which notice tells a channel of it (a target's breaker: under the target)
    notice#<id> mention#<digest>         the same once more: what a notice has gathered
    notice#<id> roll#<name>#<part>       whom it names, when they do not fit into it
    notice#<id> notice                   the notice, once it is settled whom it names
    desks       <channel_id>             where a channel's next notice gathers
    robots      <digest>                 how much a robot was told of late
    line#<line> line                     how many stand in a line, and the last place that was given
    line#<line> <place>                  who stands there
    <id>        audit#<ms>#<digest>      what an operator did to a task or channel
    refused#<id> audit#<ms>#<digest>     what an operator was refused to do to it
    audits#<day>#N <ms>#<digest>         both once more, for the list of all
    channels    <channel_id>             a channel
    resends     <resend_id>              a bulk resend
    signing     <secret_id>              a signing secret (not its key, which is nowhere)
    callers     <key_id>                 a caller (not its secret, which is nowhere)
    used#<name> used                     a nonce that was used
    operators   <name>                   an operator
    roster      roster                   how often any operator was changed
    session#<id> session                 a session
    tries#<of>  tries                    how often somebody failed to log in of late
    targets     <target>                 what is set of a target
    <target>    gate                     what the workers know of each other at a target with limits
    apps        <source_app>             a source app that has tasks
    ledger      checked, recount         the last check of the ledger, and the recount of rows under way
    counters#N  total, hour#.., day#..   counters, spread over the shards
    counted#..  counted                  which stream records have been counted

Indexes (keys only, spread over the shards): `wake`, what the reconciler must look after, and apart from it, under
the target, the tasks that are held for one; `by_app`, every
task; `by_status`, those that are retrying, exhausted or cancelled. Keys: infra/template.yaml.

A first-try success costs 6 write units: adding 3 (row, wake, by_app), claiming 1, recording 2 (row, wake).
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import secrets
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from functools import partial
from heapq import merge
from itertools import chain, groupby, islice
from threading import Lock
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection import TableConnection
from pynamodb.connection.base import MetaTable
from pynamodb.exceptions import PynamoDBException, VerboseClientError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from chalicelib import aws, ledger, life
from chalicelib.at_once import all_at_once
from chalicelib.errors import Fault, InvalidRequest, NotFound, Unavailable
from chalicelib.ledger import Ledger, Recount
from chalicelib.life import Refused, Spent, Stale
from chalicelib.ports import Acts, AuditPage, DuePage, DuePlace, Page, Query, Vault, place_after
from chalicelib.records import MOST_CURSOR, from_json, readable, to_json
from chalicelib.sealing import Sealer, key_of_row
from chalicelib.settings import Settings
from chalicelib.task import (
    DONE,
    FINAL,
    OWED_KEPT,
    Attempt,
    Audit,
    Caller,
    Channel,
    Desk,
    Expectation,
    Gate,
    Held,
    Mention,
    Notice,
    Operator,
    Policy,
    Request,
    Resend,
    Robot,
    Roster,
    Session,
    SigningSecret,
    Status,
    Target,
    Task,
    Tries,
    evolve,
)

Item = Mapping[str, Any]
"""An item or a key as DynamoDB speaks: attribute -> {type: value}."""

Key = tuple[str, str]
"""pk and sk."""

UNIT = 1024
"""Bytes that one write unit writes."""

BARE = 256
"""Bytes of a row without its texts, at most: names, numbers, keys of indexes (tests/unit/test_store_layout.py)."""

IN_LINE = 12
"""Bytes that its place in a line takes."""

LAST_ROOM = 210
"""Bytes kept free beside a request in the row: for the newest attempt, or its short form and why it was the last."""

DAY = 86_400
"""Seconds."""

SLACK = DAY / 2
"""Seconds of the day by which what belongs to a task expires after it: those that a deadline moves by unwritten."""

LISTED = frozenset({Status.RETRYING, Status.EXHAUSTED, Status.CANCELLED})
"""Statuses of the index `by_status`: none that a task passes on the way to a first-try success."""

SCHEDULED = "scheduled"
"""What stands in the index `by_status` in the place of the status of a task whose first try was put off."""

READ_BATCH = 100
"""Keys of one BatchGetItem, at most."""

INDEX_LAG = 60
"""Seconds after which an index knows of a change. Most are there within one; there is no promise."""

EXAMINED = READ_BATCH
"""Rows that one page of the list looks at, at most."""

DAYS_EXAMINED = 31
"""Days that one page of the list of audits looks at, at most."""

FIRST_ACTS = 20
"""Audits of each partition that are read at first."""

COUNTED_KEYS = 10_000
"""Keys of an index that one look for the size of the list counts, at most: about a megabyte."""

PASSED_OVER = 1000
"""Rows that one look for what is due passes over, at most, because they cannot be read or have changed since."""

APPS_FRESH = 10
"""Seconds for which the list of source apps is remembered."""

PART = 20
"""Pages, of 1 MB each at most, of which one call of `recount` counts the rows."""

READERS = 16
"""Partitions of an index that are read at the same time."""

TRANSACTION = 100
"""Items of one TransactWriteItems, at most."""

PASSES = 10
"""Tries to change the gate of a target, while other processes do so too. Each time one of them gets through."""

PART_OF_ROLL = 40
"""Mentions whose marks stand in a notice itself; of more, about as many stand in each part of its roll."""

COUNTED_KEPT = 7 * DAY
"""Seconds for which it is remembered what was counted; a stream keeps its records for one day."""

MOST_MS = 10**13 - 1
"""The last moment that has 13 digits, as milliseconds: in the year 2286."""

CURSOR = re.compile(r"\d{13}#.+")
"""A place in the list: the `made` of the last task examined."""

MOST_PK, MOST_SK = 2048, 1024
"""Bytes of a key, at most; there is at least one. DynamoDB refuses a call that names any other."""

NO_BACKOFF = ""
"""Of the policy in a short form: no request that may be sent has it."""

A = TypeVar("A")
B = TypeVar("B", Target, Resend, Mention)


# ── how things lie in the table ──────────────────────────────────────────────────────────────────


class Row(Model):
    """The row of a task. Its attributes are those of `Task`, under names that are short since they cost.

    `request` and `last` are JSON. Where they are too long for the row, they are short forms, and `request_at`
    and `reply_at` are the sort keys of the records that hold them whole.
    """

    task_id = UnicodeAttribute(hash_key=True, attr_name="pk")
    kind = UnicodeAttribute(range_key=True, attr_name="sk", default="task")
    request = UnicodeAttribute(attr_name="rq")
    request_at = UnicodeAttribute(attr_name="rqa", null=True)
    caller = UnicodeAttribute(attr_name="by")
    digest = UnicodeAttribute(attr_name="dg")
    created_at = NumberAttribute(attr_name="c")
    updated_at = NumberAttribute(attr_name="u")
    status = UnicodeAttribute(attr_name="st")
    version = NumberAttribute(attr_name="v")
    ticket = NumberAttribute(attr_name="tk")
    round = NumberAttribute(attr_name="r")
    round_started_at = NumberAttribute(attr_name="rs")
    number = NumberAttribute(attr_name="n")
    fence = NumberAttribute(attr_name="f")
    due_at = NumberAttribute(attr_name="due")
    lease_until = NumberAttribute(attr_name="le")
    claimed_at = NumberAttribute(attr_name="ca", null=True)
    claimed_before = NumberAttribute(attr_name="cb", null=True)
    wakes = NumberAttribute(attr_name="w")
    last = UnicodeAttribute(attr_name="la", null=True)
    reply_at = UnicodeAttribute(attr_name="laa", null=True)
    because = UnicodeAttribute(attr_name="why", null=True)
    held = UnicodeAttribute(attr_name="h", null=True)
    held_at = NumberAttribute(attr_name="ha", null=True)
    max_attempts = NumberAttribute(attr_name="max")
    deadline_at = NumberAttribute(attr_name="end")
    wake_shard = UnicodeAttribute(null=True)
    wake_at = NumberAttribute(null=True)
    app_shard = UnicodeAttribute()
    status_shard = UnicodeAttribute(null=True)
    made = UnicodeAttribute()
    expires_at = NumberAttribute(null=True)
    place = NumberAttribute(attr_name="pl", null=True)
    behind = BooleanAttribute(attr_name="bh", null=True)


class Record(Model):
    """Everything that is no row of a task. `text` is JSON."""

    owner = UnicodeAttribute(hash_key=True, attr_name="pk")
    name = UnicodeAttribute(range_key=True, attr_name="sk")
    text = UnicodeAttribute(null=True)
    version = NumberAttribute(attr_name="v", null=True)
    reply_at = UnicodeAttribute(attr_name="laa", null=True)
    standing = NumberAttribute(attr_name="sl", null=True)
    last = NumberAttribute(attr_name="lp", null=True)
    expires_at = NumberAttribute(null=True)


INDEXES = {"wake": ("wake_shard", "wake_at"), "by_app": ("app_shard", "made"), "by_status": ("status_shard", "made")}
"""Index -> its hash key and its range key."""

PUT_ASIDE = {"rq": "rqa", "la": "laa"}
"""Attribute of a text -> the one that says where the text lies, when that is not in the row."""

SAME = {field.name for field in fields(Task)} & Row.get_attributes().keys() - {"request", "last", "behind"}
"""What a row holds as the task does."""


def lay_out(task: Task, settings: Settings) -> tuple[Row, list[Record]]:
    """The row of a task, and the records that must lie beside it because the row would not stay under 1 KB.

    Where a text goes depends on texts only, never on the time: the row has room for the longest numbers.
    """
    shard = shard_of(task.task_id, settings.shards)
    row = Row(
        **{name: getattr(task, name) for name in SAME},
        request=to_json(task.request),
        last=to_json(task.last) if task.last else None,
        behind=task.behind or None,
        max_attempts=task.request.retry.max_attempts,
        deadline_at=task.deadline_at,
        app_shard=f"{task.request.source_app}#{shard}",
        made=made(task),
        wake_shard=None if task.wake_at is None else _held_by(task.request.target, shard) if task.held else str(shard),
        status_shard=f"{_listed_as(task)}#{shard}" if _listed_as(task) else None,
    )
    return row, [*_request_beside(task, row, settings), *_reply_beside(task, row, settings)]


def _listed_as(task: Task) -> str | None:
    """What the index `by_status` knows the task as, if it does."""
    return SCHEDULED if task.is_scheduled else task.status if task.status in LISTED else None


def _held_by(target: str, shard: int) -> str:
    """The partition of `wake` where tasks that are held for a target stand: the reconciler does not see them."""
    return f"held#{_digest(target)}#{shard}"


def _request_beside(task: Task, row: Row, settings: Settings) -> Iterator[Record]:
    """Move the request out of the row when it would leave too little room."""
    if _room(task, row) >= _bytes(row.request) + LAST_ROOM:
        return
    row.request_at = f"request#{_digest(row.request)}"
    yield _beside(task, row.request_at, row.request, settings)
    row.request = to_json(_short_request(task.request))


def _reply_beside(task: Task, row: Row, settings: Settings) -> Iterator[Record]:
    """Move the newest attempt out of the row when it does not fit."""
    if task.last is None or _room(task, row) >= _bytes(row.request, row.last, row.because):
        return
    row.reply_at = f"reply#{task.last.fence}"
    yield _beside(task, row.reply_at, row.last, settings)
    row.last = to_json(_short_attempt(task.last))


def _room(task: Task, row: Row) -> int:
    """Bytes of a row for its request, its newest attempt and why it is exhausted. `made` ends with the id again."""
    in_line = IN_LINE if task.request.ordering_key is not None else 0
    return UNIT - BARE - in_line - _bytes(row.task_id, row.task_id, row.caller, row.digest, row.app_shard)


def _short_request(request: Request) -> Request:
    """What the lists filter by, and what a claim must know."""
    policy = Policy(max_attempts=request.retry.max_attempts, backoff=NO_BACKOFF, deadline=request.retry.deadline)
    return Request(
        url=request.url,
        method=request.method,
        source_app=request.source_app,
        target_app=request.target_app,
        timeout=request.timeout,
        ordering_key=request.ordering_key,
        on_exhausted=request.on_exhausted,
        expect=Expectation(),
        retry=policy,
    )


def _short_attempt(attempt: Attempt) -> Attempt:
    """What the counters must know, and which attempt it is."""
    return Attempt(
        number=attempt.number,
        round=attempt.round,
        fence=attempt.fence,
        started_at=attempt.started_at,
        verdict=attempt.verdict,
    )


def _beside(task: Task, name: str, text: str | None, settings: Settings, **more: Any) -> Record:
    return Record(task.task_id, name, text=text, expires_at=_kept_until(task, settings), **more)


def _kept_until(task: Task, settings: Settings) -> int | None:
    """When a record that belongs to a task expires: not before the row, if anybody looks after the task till then.

    A live row never expires and its records do, so that a body costs its one write and no delivered one is kept
    for longer than promised. Whoever changes a task that is late prolongs them (`_outlives`). Only when nobody has
    looked at a task for the retention and a day after its deadline, which allows no other attempt anyway, is its
    body gone: it ends exhausted, in its short form, and humans are told.
    What belongs to a held task, or to one whose notification is owed, does not expire: nobody knows for how long.
    """
    if _is_kept(task):
        return None
    return int(max(task.deadline_at + settings.retention, _asked_for_until(task, settings)) + DAY)


def _asked_for_until(task: Task, settings: Settings) -> float:
    """When a final row expires; of a live one, when it would, were it to end at the next look at it."""
    return task.expires_at or (task.wake_at or 0) + settings.retention


def _outlives(old: Task, new: Task, settings: Settings) -> bool:
    """Whether the records beside `old` may expire before the row of `new` does, so that they must be prolonged.

    They were put, or prolonged, to expire a day after the row could. Half of that day is left to deadlines that move
    by minutes, as in a line: a write for each would cost as much as the body.
    """
    if new.round != old.round or life.is_owed(new) or _is_kept(old) != _is_kept(new):
        return True
    moved = new.deadline_at - old.deadline_at
    late = _asked_for_until(new, settings) - (new.deadline_at + settings.retention)
    return max(moved, late) > SLACK


def _is_kept(task: Task) -> bool:
    """Whether nothing of the task expires."""
    return bool(task.held) or life.is_owed(task)


def _whole(row: Row, beside: Mapping[Key, str]) -> Task | None:
    """The task in a row. When its request has expired: the short form while it is owed an end or a notice, else None.

    A task that is owed something must reach a human, whatever is left of it.
    """
    lost = row.request_at is not None and (row.task_id, row.request_at) not in beside
    return None if lost and row.status in FINAL and row.wake_at is None else task_of(row, beside)


def task_of(row: Row, beside: Mapping[Key, str]) -> Task:
    """The task in a row. A text that is not found `beside` has its short form."""
    request = beside.get((row.task_id, row.request_at or ""), row.request)
    last = beside.get((row.task_id, row.reply_at or ""), row.last)
    same = {name: getattr(row, name) for name in SAME} | {"status": Status(row.status), "behind": bool(row.behind)}
    same["held"] = Held(row.held) if row.held else None
    return Task(**same, request=from_json(Request, request), last=from_json(Attempt, last) if last else None)


def made(task: Task) -> str:
    """The task's place in the lists: when it was accepted (ms), then its id."""
    return f"{_ms(task.created_at)}#{task.task_id}"


def shard_of(name: str, shards: int) -> int:
    """The shard of a name: always the same one while `shards` stays the same."""
    return zlib.crc32(name.encode()) % shards


def _ms(seconds: float) -> str:
    """Milliseconds, as text that sorts as the number does: a moment before 1970 or after 2286 is cut to those."""
    return f"{math.floor(min(max(seconds * 1000, 0), MOST_MS)):013d}"


def _day(seconds: float) -> str:
    """The day in UTC, as 2026-11-23."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _bytes(*texts: str | None) -> int:
    return sum(len(text.encode()) for text in texts if text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ── the door to the table ────────────────────────────────────────────────────────────────────────


class Stands(Exception):
    """The condition of a write does not hold. `item`: what stands there; None when nothing does."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the item is not as the condition says")
        self.item = item


class Table:
    """Calls to the one table, through pynamodb's connection. Each raises Unavailable when it passes by itself.

    Under a key that DynamoDB would not take there is nothing, and nothing can be put.
    """

    def __init__(self, settings: Settings) -> None:
        self._name = settings.table
        self._connection = TableConnection(
            settings.table,
            region=aws.region(settings.endpoint),
            host=settings.endpoint or None,
            connect_timeout_seconds=aws.CONNECT_TIMEOUT,
            read_timeout_seconds=aws.READ_TIMEOUT,
            max_retry_attempts=aws.TRIES - 1,
            max_pool_connections=aws.POOL,
            meta_table=_meta(settings.table),
            **aws.credentials(settings.endpoint),
        )

    def get(self, key: Key) -> Item | None:
        """One item (a consistent read)."""
        if not _is_key(*key):
            return None
        with _answering():
            item: Item | None = self._connection.get_item(*key, consistent_read=True).get("Item")
        return item

    def get_all(self, keys: Iterable[Key]) -> Iterator[Item]:
        """The items of these keys, those that exist, in any order (consistent reads)."""
        left: list[Any] = [{"pk": pk, "sk": sk} for pk, sk in dict.fromkeys(keys) if _is_key(pk, sk)]
        while left:
            with _answering():
                reply = self._connection.batch_get_item(left[:READ_BATCH], consistent_read=True)
            missed = reply.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if len(missed) == len(left[:READ_BATCH]):
                raise Unavailable("The table is read too fast just now.")
            left = missed + left[READ_BATCH:]
            yield from reply["Responses"].get(self._name, [])

    def query(self, owner: str, condition: Condition | None = None, **more: Any) -> list[Item]:
        """Every item with the hash key `owner`; of an index: keys only."""
        return list(chain.from_iterable(self.walk(owner, condition, **more)))

    def walk(
        self, owner: str, condition: Condition | None = None, *, limit: int | None = None, **more: Any
    ) -> Iterator[list[Item]]:
        """The same in pieces, each read when asked for. The first has `limit` items at most, the next twice that."""
        place = None
        while _is_key(owner):
            with _answering():
                reply = self._connection.query(owner, condition, exclusive_start_key=place, limit=limit, **more)
            yield reply["Items"]
            place = reply.get("LastEvaluatedKey")
            if not place:
                return
            limit = limit and 2 * limit

    def scan(self, condition: Condition, names: Sequence[str], after: Key | None) -> tuple[list[Item], Key | None]:
        """Of the next page of the whole table, these attributes of the items that fit; and where to go on, if anywhere.

        An item is seen once in a scan from end to end, unless it is removed before, or put after the scan began.
        """
        place: Any = after and {"pk": {"S": after[0]}, "sk": {"S": after[1]}}
        with _answering():
            reply = self._connection.scan(condition, names, exclusive_start_key=place)
        last = reply.get("LastEvaluatedKey")
        return reply["Items"], _key(last) if last else None

    def put(self, item: Model, condition: Condition | None = None) -> None:
        """Put an item. Raises Stands when the condition does not hold."""
        self._write("PutItem", self.putting(item, condition))

    def update(self, key: Key, actions: Sequence[Action], condition: Condition, **more: Any) -> Item:
        """Change an item; with `return_values` it is returned. Raises Stands when the condition does not hold."""
        reply = self._write("UpdateItem", self.updating(key, actions, condition, **more))
        changed: Item = reply.get("Attributes", {})
        return changed

    def delete(self, key: Key, condition: Condition) -> None:
        """Delete an item. Raises Stands when the condition does not hold."""
        self._write("DeleteItem", self.deleting(key, condition))

    def putting(self, item: Model, condition: Condition | None = None) -> dict[str, Any]:
        """A put for `transact`."""
        attributes = item.serialize()
        key = attributes.pop("pk")["S"], attributes.pop("sk")["S"]
        return self._arguments(key, key_name="Item", attributes=attributes, condition=condition)

    def updating(self, key: Key, actions: Sequence[Action], condition: Condition | None = None, **more: Any) -> Any:
        """An update for `transact`."""
        return self._arguments(key, actions=actions, condition=condition, **more)

    def deleting(self, key: Key, condition: Condition) -> dict[str, Any]:
        """A delete for `transact`."""
        return self._arguments(key, condition=condition)

    def transact(
        self,
        *,
        puts: Sequence[dict[str, Any]] = (),
        updates: Sequence[dict[str, Any]] = (),
        deletes: Sequence[dict[str, Any]] = (),
    ) -> None:
        """All of it or nothing. Raises Stands when a condition does not hold, of the first such item.

        DynamoDB cancels transactions that meet on an item; the SDK does not try those again.
        """
        for _ in range(aws.TRIES):
            try:
                with _answering():
                    self._connection.connection.transact_write_items([], deletes, puts, updates)
            except ClientError as error:
                _raise_unless_it_passes(error)
            else:
                return
        raise Unavailable("Others write to the same items just now.")

    def _arguments(self, key: Key, *, key_name: str = "Key", **more: Any) -> dict[str, Any]:
        if not _is_key(*key):
            raise Stands(None)
        if more.get("condition") is not None:
            more["return_values_on_condition_failure"] = "ALL_OLD"
        arguments: dict[str, Any] = self._connection.get_operation_kwargs(*key, key=key_name, **more)
        return arguments

    def _write(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            with _answering():
                reply: dict[str, Any] = self._connection.connection.dispatch(operation, arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            response: Any = error.response
            raise Stands(response.get("Item")) from error
        return reply


def _is_key(pk: str, sk: str = "task") -> bool:
    """Whether DynamoDB takes it as a key."""
    return 0 < _bytes(pk) <= MOST_PK and 0 < _bytes(sk) <= MOST_SK


def _raise_unless_it_passes(error: ClientError) -> None:
    """Raise what cancelled a transaction: Stands, or the error itself when another try would not help."""
    reasons: Any = error.response.get("CancellationReasons", [])
    causes = {reason["Code"]: reason.get("Item") for reason in reversed(reasons)}
    if "ConditionalCheckFailed" in causes:
        raise Stands(causes["ConditionalCheckFailed"]) from error
    if not causes.keys() & aws.PASSING:
        raise error


@contextmanager
def _answering() -> Iterator[None]:
    """`aws.answering` for errors that pynamodb has wrapped: its own leave out the item that stands there."""
    with aws.answering():
        try:
            yield
        except (PynamoDBException, VerboseClientError) as error:
            raise _root(error) from error


def _root(error: BaseException) -> BaseException:
    wrapped = (error.cause if isinstance(error, PynamoDBException) else None) or error.__cause__
    is_wrapper = isinstance(error, PynamoDBException | VerboseClientError)
    return _root(wrapped) if is_wrapper and wrapped else error


def _meta(name: str) -> MetaTable:
    """What pynamodb must know of the table; without it, it would ask DynamoDB."""
    keys = {"pk", "sk", *(key for index in INDEXES.values() for key in index)}
    return MetaTable(
        {
            "TableName": name,
            "KeySchema": _key_schema("pk", "sk"),
            "AttributeDefinitions": [
                {"AttributeName": key, "AttributeType": "N" if key == "wake_at" else "S"} for key in sorted(keys)
            ],
            "GlobalSecondaryIndexes": [
                {"IndexName": index, "KeySchema": _key_schema(*keys)} for index, keys in INDEXES.items()
            ],
        }
    )


def _key_schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


# ── the port ─────────────────────────────────────────────────────────────────────────────────────


class DynamoStore:
    """The port `Store` on one DynamoDB table. Nothing is asked of AWS before the first call.

    `vault` has the master key that channels are encrypted under; without one there are none to be had.
    """

    list_lag = INDEX_LAG

    def __init__(self, settings: Settings, vault: Vault | None = None) -> None:
        self._settings = settings
        self._sealer = Sealer(vault)
        self._table = Table(settings)
        self._counters = Counters(self._table, settings.shards)
        self._lines = Lines(self._table, settings)
        self._apps: set[str] = set()
        self._apps_read = -math.inf
        self._doors: dict[str, Lock] = defaultdict(Lock)

    # ── a task ───────────────────────────────────────────────────────────────────────────────────

    def add(self, task: Task, audit: Audit | None = None) -> Task | None:
        """See `Store.add`. A request that does not fit into the row is written before it."""
        row, beside = lay_out(task, self._settings)
        for record in beside:
            record.version = secrets.randbits(48)
            self._table.put(record)
        try:
            if task.request.ordering_key is not None:
                self._lines.join(task, row, self._auditing(audit, task) if audit else [])
            elif audit is not None:
                new = self._table.putting(row, Row.task_id.does_not_exist())
                self._table.transact(puts=[new, *self._auditing(audit, task)])
            else:
                self._table.put(row, Row.task_id.does_not_exist())
        except Stands as known:
            self._take_back(beside, known.item)
            return self._task(known.item)
        return None

    def _take_back(self, beside: Sequence[Record], item: Item | None) -> None:
        """Remove what a refused task has put beside the one that stands, unless that one refers to it.

        `version` is by chance: whoever has put the same text there meanwhile keeps it.
        """
        own = Row.from_raw_data(dict(item)).request_at if item else None
        for record in beside:
            if record.name != own:
                with suppress(Stands):
                    self._table.delete((record.owner, record.name), Record.version == record.version)

    def claim(self, task_id: str, ticket: int, *, now: float, lease: float) -> Task | Refused:
        """See `Store.claim`. The condition is `life.refusal`: keep both in step.

        It touches no key of an index. A claim whose answer is lost on the way stands: the message comes back
        when the lease is over, and the attempt shows as interrupted.
        """
        may = (
            Row.status.is_in(*sorted(set(Status) - FINAL))
            & (Row.ticket == ticket)
            & (Row.lease_until <= now)
            & (Row.number < Row.max_attempts)
            & (Row.deadline_at > now)
            & (Row.due_at <= now)
            & Row.behind.does_not_exist()
        )
        actions = [
            *(attribute.set(attribute + 1) for attribute in (Row.version, Row.number, Row.fence)),
            Row.claimed_before.set(Row.claimed_at | {"NULL": True}),
            Row.claimed_at.set(now),
            Row.lease_until.set(now + lease),
        ]
        try:
            item = self._table.update((task_id, "task"), actions, may, return_values="ALL_NEW")
        except Stands as other:
            return self._refusal(other.item, ticket, now)
        return _sendable(self._task(item))

    def _refusal(self, item: Item | None, ticket: int, now: float) -> Refused:
        if item is None:
            return Stale()
        refused = life.refusal(task_of(Row.from_raw_data(dict(item)), {}), ticket, now)
        assert refused is not None, "the condition of the claim and life.refusal are out of step"
        return Spent(self._task(item)) if isinstance(refused, Spent) else refused

    def get(self, task_id: str) -> Task | None:
        """See `Store.get`."""
        item = self._table.get((task_id, "task"))
        return self._read(Row.from_raw_data(dict(item))) if item else None

    def replace(self, old: Task, new: Task, audit: Audit | None = None) -> Task:
        """See `Store.replace`. Only attributes that differ are written, after what must lie beside them."""
        if new.round != old.round:
            _sendable(new)
        (before, there), (after, beside) = lay_out(old, self._settings), lay_out(new, self._settings)
        fresh = [record for record in beside if record.name not in {known.name for known in there}]
        key, actions, condition = (new.task_id, "task"), _difference(before, after), Row.version == old.version
        puts = self._auditing(audit, new) if audit else []
        try:
            self._put_aside(old, new, fresh)
            if old.place is not None and new.place is None:
                self._lines.leave(old, new, self._table.updating(key, actions, condition), puts)
            elif audit:
                self._table.transact(updates=[self._table.updating(key, actions, condition)], puts=puts)
            else:
                self._table.update(key, actions, condition)
        except Stands as other:
            return self._instead(other.item, new, audit)
        return new

    def _put_aside(self, old: Task, new: Task, beside: Sequence[Record]) -> None:
        """What must be in the table before the row changes. Each is settled truth: twice does no harm."""
        if _outlives(old, new, self._settings):
            prolong(self._table, new, self._settings)
        for record in beside:
            self._table.put(record)
        if old.last is not None and old.last != new.last:
            self._table.put(self._attempt(new, old.last))

    def _instead(self, item: Item | None, new: Task, audit: Audit | None) -> Task:
        """The task that stands where `new` could not be put; `new` when it is its own write that stands there."""
        if item is None:
            raise NotFound(f"There is no task {new.task_id} any more.")
        stands = self._task(item)
        return new if stands == new and audit is None else stands

    def whose_turn(self, line: str, now: float) -> Task | None:
        """See `Store.whose_turn`."""
        while first := self._lines.first(line):
            task = self.get(first.text)
            if task is not None and not task.behind:
                return task
            self._lines.put_out(first, task, now)
        return None

    def keep(self, task_id: str, attempt: Attempt) -> None:
        """See `Store.keep`."""
        item = self._table.get((task_id, "task"))
        if item:
            task = task_of(Row.from_raw_data(dict(item)), {})
            self._table.put(_beside(task, f"attempt#{attempt.fence}", to_json(attempt), self._settings))

    def _attempt(self, task: Task, attempt: Attempt) -> Record:
        """What was the newest attempt, as one of the older ones.

        One of a unit or more never fits a row, whatever the layout: its reply is a record already.
        """
        name, text = f"attempt#{attempt.fence}", to_json(attempt)
        if _bytes(text) < UNIT:
            return _beside(task, name, text, self._settings)
        short = to_json(_short_attempt(attempt))
        return _beside(task, name, short, self._settings, reply_at=f"reply#{attempt.fence}")

    def attempts(self, task: Task) -> list[Attempt]:
        """See `Store.attempts`. The reply of a claim that lost its lease is no part of it: nothing refers to it."""
        kept = self._records(task.task_id, "attempt#")
        replies = self._beside((task.task_id, record.reply_at) for record in kept if record.reply_at)
        texts = [replies.get((task.task_id, record.reply_at or ""), record.text) for record in kept]
        return life.history(task, [from_json(Attempt, text) for text in texts])

    # ── many tasks ───────────────────────────────────────────────────────────────────────────────

    def page(self, query: Query, cursor: str | None, limit: int) -> Page:
        """See `Store.page`. It looks at `EXAMINED` rows at most."""
        found = self._newest(query, cursor)
        tasks: list[Task] = []
        seen = 0
        while len(tasks) < limit and seen < len(found[:EXAMINED]):
            chunk = found[seen : min(seen + limit, EXAMINED)]
            tasks += self._matching((key for _, key in chunk), query.matches)
            seen += len(chunk)
        if len(tasks) > limit:
            return Page(tasks[:limit], _cursor(made(tasks[limit - 1])))
        return Page(tasks, _cursor(found[seen - 1][0]) if seen < len(found) else None)

    def size(self, query: Query, cursor: str | None) -> tuple[int, str | None]:
        """See `Store.size`. Where the keys of the index tell all that is asked for, no row is read."""
        by_keys = _told_by_keys(query)
        most = COUNTED_KEYS if by_keys else EXAMINED
        found = self._newest(query, cursor, most)
        part = found[:most]
        if by_keys:
            before = _ms(query.until) if query.until is not None else "~"
            matching = sum(made < before for made, _ in part)
        else:
            matching = len(self._matching((key for _, key in part), query.matches))
        return matching, _cursor(part[-1][0]) if len(found) > most else None

    def _newest(self, query: Query, cursor: str | None, most: int = EXAMINED) -> list[tuple[str, Key]]:
        """The newest tasks after the cursor that may match, as (made, key): up to one more than `most`."""
        low = _ms(query.since) if query.since is not None else "0"
        after = _place(cursor) if cursor is not None else "~"
        high = min(after, f"{_ms(query.until)}~" if query.until is not None else "~")
        if low > high:
            return []
        index, partitions = self._partitions(query)
        within = Row.made.between(low, high)
        wanted = most + 2  # the cursor's own task is among them
        items = self._merged(index, partitions, within, wanted, newest=True)
        places = ((item["made"]["S"], _key(item)) for item in items)
        once = (place for place, _ in groupby(places))  # one that just moved is in two partitions
        return list(islice((place for place in once if place[0] != after), most + 1))

    def _merged(
        self, index: str, partitions: Sequence[str], within: Condition | None, wanted: int, *, newest: bool = False
    ) -> Iterator[Item]:
        """The items of these partitions, in the order of the index, of which about as many as `wanted` are used.

        Of each partition a small piece is read at once, and more only where the merge gets to its end: so
        hundreds of partitions cost little more than one.
        """
        share = min(wanted, 2 * wanted // len(partitions) + 2) if partitions else 0
        walks = [
            self._table.walk(one, within, limit=share, index_name=index, scan_index_forward=not newest)
            for one in partitions
        ]
        firsts = all_at_once(walks, lambda walk: next(walk, []), most=READERS)
        lines = [chain(first, chain.from_iterable(walk)) for first, walk in zip(firsts, walks, strict=True)]
        return merge(*lines, key=_place_in(index), reverse=newest)

    def _partitions(self, query: Query) -> tuple[str, list[str]]:
        """The index that knows the fewest other tasks, and the partitions of it to read."""
        if query.due_after is not None:
            return "by_status", [f"{SCHEDULED}#{shard}" for shard in range(self._settings.shards)]
        if query.status in LISTED:
            return "by_status", [f"{query.status}#{shard}" for shard in range(self._settings.shards)]
        apps = [query.source_app] if query.source_app else sorted(self._source_apps())
        return "by_app", [f"{app}#{shard}" for app in apps for shard in range(self._settings.shards)]

    def _source_apps(self) -> set[str]:
        if time.monotonic() - self._apps_read > APPS_FRESH:
            self._apps = {record.name for record in self._records("apps")}
            self._apps_read = time.monotonic()
        return self._apps

    def due(self, now: float, limit: int) -> list[Task]:
        """See `Store.due`."""
        return list(self.due_page(now, None, limit).tasks)

    def due_page(self, now: float, place: DuePlace | None, limit: int) -> DuePage:
        """See `Store.due_page`. It looks past `PASSED_OVER` rows that cannot be read, at most."""
        partitions = [str(shard) for shard in range(self._settings.shards)]
        since, known = (place.wake_at, place.task_ids) if place else (0, frozenset[str]())
        wanted = limit + len(known)
        items = self._merged("wake", partitions, Row.wake_at.between(min(since, now), now), wanted)
        found = islice((item for item in items if item["pk"]["S"] not in known), limit + PASSED_OVER)
        seen: list[tuple[float, str]] = []
        tasks: list[Task] = []
        while len(tasks) < limit and (chunk := list(islice(found, limit - len(tasks)))):
            seen += [(float(item["wake_at"]["N"]), item["pk"]["S"]) for item in chunk]
            tasks += self._matching(map(_key, chunk), partial(_is_due, now=now))
        is_whole = len(tasks) < limit and len(seen) < limit + PASSED_OVER
        by_wake = sorted(tasks, key=lambda task: task.wake_at or 0)
        return DuePage(by_wake, None if is_whole else place_after(seen, place))

    def latest_due(self, limit: int) -> list[Task]:
        """See `Store.latest_due`."""
        partitions = [str(shard) for shard in range(self._settings.shards)]
        items = islice(self._merged("wake", partitions, None, limit, newest=True), limit)
        return self._matching(map(_key, items), lambda task: not task.held and task.wake_at is not None)

    def _first(
        self, partitions: Sequence[str], within: Condition | None, limit: int, matches: Callable[[Task], bool]
    ) -> list[Task]:
        """Of these partitions of `wake`, the first tasks that still match."""
        found = islice(self._merged("wake", partitions, within, limit), limit + PASSED_OVER)
        tasks: list[Task] = []
        while len(tasks) < limit and (chunk := [_key(item) for item in islice(found, limit)]):
            tasks += self._matching(chunk, matches)
        return sorted(tasks, key=lambda task: task.wake_at or 0)[:limit]

    # ── what belongs to a task ───────────────────────────────────────────────────────────────────

    def mention(self, mention: Mention) -> bool:
        """See `Store.mention`. The one that decides comes first: a copy alone is named by nobody for long."""
        text, copy_until = to_json(mention), self._owed_until(mention.due_at)
        expires_at = mention.expires_at or copy_until  # while it is owed, each wake of its task lets it stay for good
        name = f"mention#{mention.round}#{mention.channel_id}"
        if not self._save(Record(mention.subject, name, text=text, expires_at=expires_at), mention.version):
            return False
        copy = f"mention#{_mark(mention)}"
        self._table.put(Record(f"notice#{mention.notice_id}", copy, text=text, expires_at=copy_until))
        return True

    def mentions(self, subject: str) -> list[Mention]:
        """See `Store.mentions`."""
        found = [from_json(Mention, record.text) for record in self._records(subject, "mention#")]
        return sorted(found, key=lambda mention: (mention.created_at, mention.round, mention.channel_id))

    def gathered(self, notice_id: str, limit: int) -> list[Mention]:
        """See `Store.gathered`. One that cannot be read is passed over."""
        within = Record.name.startswith("mention#")
        pages = self._table.walk(f"notice#{notice_id}", within, consistent_read=True)
        items = islice(chain.from_iterable(pages), limit)
        return list(self._readable(Mention, (Record.from_raw_data(dict(item)) for item in items)))

    def settle(self, notice: Notice, mentions: Sequence[Mention]) -> Notice | None:
        """See `Store.settle`. Of many that want to, each writes parts of its own; the first to put the notice wins."""
        owner, marks = f"notice#{notice.notice_id}", sorted(map(_mark, mentions))
        parts = -(-len(marks) // PART_OF_ROLL)
        roll = " ".join(marks) if parts <= 1 else f"{secrets.token_hex(8)}#{parts}"
        if parts > 1:
            kept = list(_parts(owner, roll, marks, self._owed_until(notice.due_at)))
            all_at_once(kept, self._table.put, most=READERS)
        settled = evolve(notice, roll=roll)
        record = Record(owner, "notice", text=to_json(settled), expires_at=notice.expires_at)
        return settled if self._save(record, notice.version) else None

    def _owed_until(self, since: float) -> int:
        """When the copies expire that a notice was made of: it is settled long before, and all that it names told."""
        return int(since + self._settings.retention + OWED_KEPT)

    def names(self, notice: Notice, mention: Mention) -> bool:
        """See `Store.names`: at most one part of the roll is read."""
        mark, roll = _mark(mention), notice.roll
        if "#" in roll:
            item = self._table.get((f"notice#{notice.notice_id}", _part_of(roll, mark)))
            roll = item["text"]["S"] if item else ""
        return mark in roll.split()

    def notice(self, notice_id: str) -> Notice | None:
        """See `Store.notice`."""
        item = self._table.get((f"notice#{notice_id}", "notice"))
        return from_json(Notice, item["text"]["S"]) if item else None

    def save_notice(self, notice: Notice) -> bool:
        """See `Store.save_notice`."""
        record = Record(f"notice#{notice.notice_id}", "notice", text=to_json(notice), expires_at=notice.expires_at)
        return notice.version > 1 and self._save(record, notice.version)

    def desk(self, channel_id: str) -> Desk | None:
        """See `Store.desk`."""
        item = self._table.get(("desks", channel_id))
        return from_json(Desk, item["text"]["S"]) if item else None

    def save_desk(self, desk: Desk) -> bool:
        """See `Store.save_desk`."""
        return self._save(Record("desks", desk.channel_id, text=to_json(desk)), desk.version)

    def robot(self, robot_id: str) -> Robot | None:
        """See `Store.robot`."""
        item = self._table.get(("robots", robot_id))
        return from_json(Robot, item["text"]["S"]) if item else None

    def save_robot(self, robot: Robot) -> bool:
        """See `Store.save_robot`."""
        return self._save(Record("robots", robot.robot_id, text=to_json(robot)), robot.version)

    def audits(self, task_id: str) -> list[Audit]:
        """See `Store.audits`."""
        found = [from_json(Audit, record.text) for record in self._records(task_id, "audit#")]
        return sorted(found, key=lambda audit: audit.at)

    def note(self, audit: Audit) -> None:
        """See `Store.note`."""
        self._table.transact(puts=self._auditing(audit))

    def _auditing(self, audit: Audit, task: Task | None = None) -> list[dict[str, Any]]:
        """The puts that store an audit: in the trail of its subject, and, unless it is a part of another, in the list.

        On a task, the first leaves with the task. What was refused may name a subject that there is not, and that is
        the key of something else: it lies apart.
        """
        text, place = to_json(audit), f"{_ms(audit.at)}#{_digest(to_json(audit))}"
        kept_until = int(audit.at + self._settings.audit_retention)
        owner = audit.subject if audit.result == DONE else f"refused#{audit.subject}"
        expires_at = _kept_until(task, self._settings) if task else kept_until
        records = [Record(owner, f"audit#{place}", text=text, expires_at=expires_at)]
        if not audit.part:
            shard = shard_of(text, self._settings.shards)
            records.append(Record(f"audits#{_day(audit.at)}#{shard}", place, text=text, expires_at=kept_until))
        return [self._table.putting(record) for record in records]

    def acts(self, acts: Acts, cursor: str | None, limit: int, *, now: float) -> AuditPage:
        """See `Store.acts`. It looks at `EXAMINED` audits at most, and at `DAYS_EXAMINED` days."""
        before = _place(cursor) if cursor is not None else "~"
        acts = evolve(acts, since=max(acts.since or 0, now - self._settings.audit_retention))
        found, end = self._places(acts, before, now)
        places = list(islice(found, EXAMINED + 1))
        matching = [(place, audit) for place, audit in places[:EXAMINED] if acts.matches(audit)]
        if len(matching) > limit:
            return AuditPage([audit for _, audit in matching[:limit]], _cursor(matching[limit - 1][0]))
        end = places[EXAMINED - 1][0] if len(places) > EXAMINED else end
        return AuditPage([audit for _, audit in matching], _cursor(end) if end else None)

    def _places(self, acts: Acts, before: str, now: float) -> tuple[Iterator[tuple[str, Audit]], str | None]:
        """The audits before a place, newest first, each with its own; and where those days begin, if not the last."""
        if acts.subject is not None:
            return self._newest_acts([acts.subject, f"refused#{acts.subject}"], "audit#", before), None
        last = now if before == "~" else float(before[:13]) / 1000
        last = min(last, now if acts.until is None else acts.until)
        newest, oldest = int(last // DAY), int((acts.since or 0) // DAY)
        days = range(newest, max(newest - DAYS_EXAMINED, oldest - 1), -1)
        found = (self._newest_acts(self._shards_of(day), "", before) for day in days)
        goes_on = bool(days) and days[-1] > oldest
        return chain.from_iterable(found), f"{_ms(days[-1] * DAY)}#!" if goes_on else None

    def _shards_of(self, day: int) -> list[str]:
        return [f"audits#{_day(day * DAY)}#{shard}" for shard in range(self._settings.shards)]

    def _newest_acts(self, owners: Sequence[str], prefix: str, before: str) -> Iterator[tuple[str, Audit]]:
        """The audits of these partitions whose place is before that one, the newest first."""
        within = Record.name.between(f"{prefix}0", f"{prefix}{before}")
        more: Any = {"limit": FIRST_ACTS, "scan_index_forward": False, "consistent_read": True}
        walks = [self._table.walk(owner, within, **more) for owner in owners]
        firsts = all_at_once(walks, lambda walk: next(walk, []), most=READERS)
        lines = [chain(first, chain.from_iterable(walk)) for first, walk in zip(firsts, walks, strict=True)]
        for item in merge(*lines, key=lambda item: item["sk"]["S"], reverse=True):
            place = item["sk"]["S"].removeprefix(prefix)
            if place != before:
                yield place, from_json(Audit, item["text"]["S"])

    # ── channels ─────────────────────────────────────────────────────────────────────────────────

    def channels(self) -> list[Channel]:
        """See `Store.channels`."""
        found = [self._sealer.channel(record.text) for record in self._records("channels")]
        return sorted(found, key=lambda channel: (channel.created_at, channel.channel_id))

    def save_channel(self, channel: Channel, audit: Audit) -> bool:
        """See `Store.save_channel`."""
        return self._save(self._channel_record(channel), channel.version, audit)

    def _channel_record(self, channel: Channel) -> Record:
        return Record("channels", channel.channel_id, text=self._sealer.row(channel))

    def sealed_under(self) -> dict[str, str]:
        """See `Store.sealed_under`."""
        return {record.name: key_of_row(record.text) for record in self._records("channels")}

    def reseal(self) -> int:
        """See `Store.reseal`. One that is changed meanwhile is sealed anew by that."""
        old = [it for it in self._records("channels") if not self._sealer.is_current(it.text)]
        for record in old:
            channel = self._sealer.channel(record.text)
            self._save(self._channel_record(evolve(channel, version=channel.version + 1)), channel.version + 1)
        return len(old)

    def forget_unreadable_channels(self) -> int:
        """See `Store.forget_unreadable_channels`."""
        lost = [it.name for it in self._records("channels") if not self._sealer.opens(it.text)]
        for channel_id in lost:
            self._table.delete(("channels", channel_id), Record.owner.exists())
        return len(lost)

    def remove_channel(self, channel_id: str, audit: Audit) -> bool:
        """See `Store.remove_channel`."""
        return self._remove(("channels", channel_id), audit)

    def _remove(self, key: Key, audit: Audit) -> bool:
        """Delete a record, with its audit. False: there was none."""
        try:
            delete = self._table.deleting(key, Record.owner.exists())
            self._table.transact(deletes=[delete], puts=self._auditing(audit))
        except Stands:
            return False
        return True

    # ── targets ──────────────────────────────────────────────────────────────────────────────────

    def targets(self) -> list[Target]:
        """See `Store.targets`. One that cannot be read is passed over."""
        return list(self._readable(Target, self._records("targets")))

    def save_target(self, target: Target, audit: Audit) -> bool:
        """See `Store.save_target`."""
        return self._save(Record("targets", target.name, text=to_json(target)), target.version, audit)

    def gate(self, name: str) -> Gate:
        """See `Store.gate`."""
        return _gate(self._table.get((name, "gate")))[0]

    def pass_gate(self, name: str, decide: Callable[[Gate], tuple[Gate, A]]) -> A:
        """See `Store.pass_gate`. The threads of this process take turns; against other processes it tries again."""
        with self._doors[name]:
            item = self._table.get((name, "gate"))
            for _ in range(PASSES):
                gate, version = _gate(item)
                after, answer = decide(gate)
                try:
                    if after != gate:
                        self._put_next(Record(name, "gate", text=to_json(after)), version + 1)
                except Stands as other:
                    item = other.item
                else:
                    return answer
        raise Unavailable("Too many pass the gate of this target just now.")

    def held(self, name: str, limit: int) -> list[Task]:
        """See `Store.held`."""
        return self._first(self._held_by(name), None, limit, lambda task: bool(task.held) and _goes_to(name, task))

    def count_held(self, name: str, most: int) -> int:
        """See `Store.count_held`."""
        return sum(1 for _ in islice(self._merged("wake", self._held_by(name), None, most), most))

    def _held_by(self, name: str) -> list[str]:
        return [_held_by(name, shard) for shard in range(self._settings.shards)]

    def _save(self, record: Record, version: int, audit: Audit | None = None) -> bool:
        """Put a record whose version is one more than the stored one's, with its audit. False: it is not."""
        try:
            self._put_next(record, version, audit)
        except Stands:
            return False
        return True

    def _put_next(self, record: Record, version: int, audit: Audit | None = None) -> None:
        """The same. Raises Stands when it is not."""
        record.version = version
        follows = Record.version.does_not_exist() if version == 1 else Record.version == version - 1
        if audit:
            self._table.transact(puts=[self._table.putting(record, follows), *self._auditing(audit)])
        else:
            self._table.put(record, follows)

    # ── bulk resends ─────────────────────────────────────────────────────────────────────────────

    def resends(self) -> list[Resend]:
        """See `Store.resends`. One that cannot be read is passed over."""
        found = self._readable(Resend, self._records("resends"))
        return sorted(found, key=lambda resend: (-resend.started_at, resend.resend_id))

    def save_resend(self, resend: Resend, audit: Audit | None = None) -> bool:
        """See `Store.save_resend`."""
        record = Record("resends", resend.resend_id, text=to_json(resend), expires_at=resend.expires_at)
        return self._save(record, resend.version, audit)

    # ── signing secrets ──────────────────────────────────────────────────────────────────────────

    def signing_secrets(self) -> list[SigningSecret]:
        """See `Store.signing_secrets`."""
        found = [from_json(SigningSecret, record.text) for record in self._records("signing")]
        return sorted(found, key=lambda secret: (secret.created_at, secret.secret_id))

    def add_signing_secret(self, secret: SigningSecret, audit: Audit) -> None:
        """See `Store.add_signing_secret`."""
        self._save(Record("signing", secret.secret_id, text=to_json(secret)), 1, audit)

    def remove_signing_secret(self, secret_id: str, audit: Audit) -> bool:
        """See `Store.remove_signing_secret`."""
        return self._remove(("signing", secret_id), audit)

    # ── callers ──────────────────────────────────────────────────────────────────────────────────

    def callers(self) -> list[Caller]:
        """See `Store.callers`."""
        found = [from_json(Caller, record.text) for record in self._records("callers")]
        return sorted(found, key=lambda caller: (caller.created_at, caller.key_id))

    def add_caller(self, caller: Caller, audit: Audit) -> None:
        """See `Store.add_caller`."""
        self._save(Record("callers", caller.key_id, text=to_json(caller)), 1, audit)

    def remove_caller(self, key_id: str, audit: Audit) -> bool:
        """See `Store.remove_caller`."""
        return self._remove(("callers", key_id), audit)

    # ── operators ────────────────────────────────────────────────────────────────────────────────

    def roster(self) -> Roster:
        """See `Store.roster`. Its version is read first: whoever changes an operator meanwhile is noticed."""
        item = self._table.get(("roster", "roster"))
        operators = tuple(from_json(Operator, record.text) for record in self._records("operators"))
        return Roster(int(item["v"]["N"]) if item else 0, operators)

    def operator(self, name: str) -> Operator | None:
        """See `Store.operator`."""
        item = self._table.get(("operators", name))
        return from_json(Operator, item["text"]["S"]) if item else None

    def save_operator(self, operator: Operator, version: int, audit: Audit) -> bool:
        """See `Store.save_operator`."""
        put = self._table.putting(Record("operators", operator.name, text=to_json(operator)))
        return self._change_roster(version, audit, puts=[put])

    def remove_operator(self, name: str, version: int, audit: Audit) -> bool:
        """See `Store.remove_operator`."""
        delete = self._table.deleting(("operators", name), Record.owner.exists())
        return self._change_roster(version, audit, deletes=[delete])

    def _change_roster(self, version: int, audit: Audit, **changes: list[dict[str, Any]]) -> bool:
        follows = Record.version.does_not_exist() if version == 1 else Record.version == version - 1
        counted = self._table.putting(Record("roster", "roster", version=version), follows)
        puts = [counted, *changes.pop("puts", []), *self._auditing(audit)]
        try:
            self._table.transact(puts=puts, **changes)
        except Stands:
            return False
        return True

    def session(self, session_id: str, operator: str) -> tuple[Session | None, Operator | None]:
        """See `Store.session`."""
        keys = (f"session#{session_id}", "session"), ("operators", operator)
        found = {_key(item): item["text"]["S"] for item in self._table.get_all(keys)}
        session, by = found.get(keys[0]), found.get(keys[1])
        return from_json(Session, session) if session else None, from_json(Operator, by) if by else None

    def add_session(self, session: Session, audit: Audit | None = None) -> None:
        """See `Store.add_session`."""
        self._save(_session(session), 1, audit)

    def save_session(self, session: Session) -> bool:
        """See `Store.save_session`."""
        return self._save(_session(session), session.version)

    def end_session(self, session_id: str, audit: Audit) -> bool:
        """See `Store.end_session`."""
        return self._remove((f"session#{session_id}", "session"), audit)

    def tries(self, of: str) -> Tries:
        """See `Store.tries`."""
        item = self._table.get((f"tries#{of}", "tries"))
        return from_json(Tries, item["text"]["S"]) if item else Tries(of=of)

    def save_tries(self, tries: Tries) -> bool:
        """See `Store.save_tries`."""
        expires_at = math.ceil(tries.expires_at)
        record = Record(f"tries#{tries.of}", "tries", text=to_json(tries), expires_at=expires_at)
        return self._save(record, tries.version)

    def use_once(self, name: str, until: float) -> bool:
        """See `Store.use_once`."""
        return self._save(Record(f"used#{name}", "used", expires_at=math.ceil(until)), 1)

    # ── sums ─────────────────────────────────────────────────────────────────────────────────────

    def totals(self) -> Mapping[str, int]:
        """See `Store.totals`."""
        return self._counters.totals()

    def series(self, unit: str, since: float, until: float) -> list[tuple[float, Mapping[str, int]]]:
        """See `Store.series`."""
        return self._counters.series(unit, since, until)

    def count(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Count what records of the table's stream say, as Lambda delivers them; each once (see `Counters`)."""
        found = readable(change_in, ((record["eventID"], record) for record in records))
        changes = [change for change in found if change is not None]
        for app in {change.source_app for change in changes} - self._apps:
            self._table.put(Record("apps", app))
            self._apps.add(app)
        self._counters.add(changes)

    def recount(self, now: float, retention: float) -> bool:
        """See `Store.recount`. It counts the rows of `PART` pages; of two who count the same, one is heard."""
        record = self._record("recount")
        under_way = from_json(Recount, record.text) if record else Recount()
        if ledger.rests(under_way, now):
            return False
        counted = self._counted(under_way if ledger.goes_on(under_way, now) else ledger.begin(now))
        if not counted.place:
            found = self._found(counted, now, retention)
            self._table.put(Record("ledger", "checked", text=to_json(found)))
        left = counted if counted.place else ledger.rest(counted)
        version = int(record.version) + 1 if record else 1
        saved = self._save(Record("ledger", "recount", text=to_json(left)), version)
        return saved and counted.place is not None

    def _counted(self, under_way: Recount) -> Recount:
        """The recount with a part more. A row is counted with the status that it has when it is seen."""
        for _ in range(PART):
            items, place = self._table.scan(Row.kind == "task", ["pk", "st", "c"], under_way.place)
            rows = readable(_standing, ((item["pk"]["S"], item) for item in items))
            under_way = ledger.add(under_way, rows, place)
            if place is None:
                break
        return under_way

    def _found(self, counted: Recount, now: float, retention: float) -> Ledger:
        """The ledger, once every row is counted. A row that leaves during a recount is older than the book."""
        last = self.checked()
        since = ledger.opens(last, retention=retention, now=now)
        found = Ledger(
            since=since,
            until=counted.until,
            retention=retention,
            entered=self._counters.accepted(since, counted.until),
            beside=ledger.beside(counted, since),
            standing=counted.standing,
            checked_at=now,
        )
        return ledger.close(last, found)

    def checked(self) -> Ledger | None:
        """See `Store.checked`."""
        record = self._record("checked")
        return from_json(Ledger, record.text) if record else None

    def ledger(self, now: float, retention: float) -> Ledger | None:  # noqa: ARG002 - rows are counted by a schedule
        """See `Store.ledger`: the last check."""
        return self.checked()

    def _record(self, name: str) -> Record | None:
        item = self._table.get(("ledger", name))
        return Record.from_raw_data(dict(item)) if item else None

    def ping(self) -> None:
        """See `Store.ping`."""
        self._table.get(("ping", "ping"))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def _task(self, item: Item | None) -> Task:
        """The whole task of a row. Raises NotFound when there is none, or it is over and its request has expired."""
        task = self._read(Row.from_raw_data(dict(item))) if item else None
        if task is None:
            raise NotFound("There is no such task any more.")
        return task

    def _read(self, row: Row) -> Task | None:
        return _whole(row, self._texts([row]))

    def _matching(self, keys: Iterable[Key], matches: Callable[[Task], bool]) -> list[Task]:
        """The tasks of these keys that exist and match, in this order. A row that cannot be read is passed over."""
        keys = list(keys)
        found = {_key(item): item for item in self._table.get_all(keys)}
        rows = list(readable(partial(_row_if, matches), ((key[0], found[key]) for key in keys if key in found)))
        matching = [row for row in rows if row is not None]
        beside = self._texts(matching)
        tasks = readable(lambda row: _whole(row, beside), ((row.task_id, row) for row in matching))
        return [task for task in tasks if task is not None]

    def _texts(self, rows: Iterable[Row]) -> dict[Key, str]:
        """What lies beside these rows."""
        return self._beside((row.task_id, name) for row in rows for name in (row.request_at, row.reply_at) if name)

    def _beside(self, keys: Iterable[Key]) -> dict[Key, str]:
        """The texts of these records, those that exist."""
        return {_key(item): item["text"]["S"] for item in self._table.get_all(keys)}

    def _readable(self, kind: type[B], records: Iterable[Record]) -> Iterator[B]:
        """What stands in the records; one that cannot be read is logged and passed over."""
        return readable(partial(from_json, kind), ((record.name, record.text) for record in records))

    def _records(self, owner: str, prefix: str | None = None) -> list[Record]:
        within = Record.name.startswith(prefix) if prefix else None
        return [Record.from_raw_data(dict(item)) for item in self._table.query(owner, within, consistent_read=True)]


def _is_due(task: Task, now: float) -> bool:
    return not task.held and task.wake_at is not None and task.wake_at <= now


def _told_by_keys(query: Query) -> bool:
    """Whether each key that the index gives for the query matches it, but for those of its last millisecond."""
    known = Query(status=query.status) if query.status in LISTED else Query(source_app=query.source_app)
    return evolve(query, since=None, until=None) == known


def prolong(table: Table, task: Task, settings: Settings) -> None:
    """Keep everything of the task for as long as it may be asked for.

    Of two who do so at a time, the later moment holds: a process that slept shortens nothing.
    """
    expires_at = _kept_until(task, settings)
    action = Record.expires_at.set(expires_at) if expires_at else Record.expires_at.remove()
    sooner = Record.expires_at.does_not_exist() | (Record.expires_at < expires_at) if expires_at else None
    there = Record.owner.exists() if sooner is None else Record.owner.exists() & sooner
    for item in table.query(task.task_id, consistent_read=True, attributes_to_get=["sk", "expires_at"]):
        if item["sk"]["S"] != "task" and _expires_before(item, expires_at):
            with suppress(Stands):  # it has just expired, or is kept for longer
                table.update((task.task_id, item["sk"]["S"]), [action], there)


def _expires_before(item: Item, expires_at: int | None) -> bool:
    """Whether it expires too early (None: it shall not), or not at all since its task was held until now."""
    if "expires_at" not in item:
        return expires_at is not None
    return expires_at is None or float(item["expires_at"]["N"]) < expires_at


def _mark(mention: Mention) -> str:
    """Stands for a mention in the roll of a notice."""
    return _digest(f"{mention.round}#{mention.subject}")


def _parts(owner: str, roll: str, marks: Iterable[str], expires_at: int | None) -> Iterator[Record]:
    """The records of a roll that does not fit into its notice."""
    by_part: dict[str, list[str]] = {}
    for mark in marks:
        by_part.setdefault(_part_of(roll, mark), []).append(mark)
    for name, part in by_part.items():
        yield Record(owner, name, text=" ".join(part), expires_at=expires_at)


def _part_of(roll: str, mark: str) -> str:
    """The sort key of the part in which a mark stands: always the same one of as many as the roll says."""
    name, _, parts = roll.partition("#")
    return f"roll#{name}#{shard_of(mark, int(parts))}"


def _row_if(matches: Callable[[Task], bool], item: Item) -> Row | None:
    """The row, when its task matches, by what the row alone tells."""
    row = Row.from_raw_data(dict(item))
    return row if matches(task_of(row, {})) else None


def _standing(item: Item) -> tuple[str, float]:
    """Where the task of a row stands, and when it was accepted."""
    return item["st"]["S"], float(item["c"]["N"])


def _gate(item: Item | None) -> tuple[Gate, int]:
    """The gate in an item, and its version; a new one where there is none."""
    if item is None:
        return Gate(), 0
    record = Record.from_raw_data(dict(item))
    return from_json(Gate, record.text), int(record.version)


def _session(session: Session) -> Record:
    owner, expires_at = f"session#{session.session_id}", math.ceil(session.expires_at)
    return Record(owner, "session", text=to_json(session), expires_at=expires_at)


def _goes_to(name: str, task: Task) -> bool:
    return task.request.target == name


def _sendable(task: Task) -> Task:
    """The task. Raises NotFound when its request is a short form: what it would send is not what was accepted."""
    if task.request.retry.backoff == NO_BACKOFF:
        raise NotFound("The request of this task has expired; it cannot be sent any more.")
    return task


def _difference(before: Row, after: Row) -> list[Action]:
    """What makes one row of the other. A text that is new is not the one that another release put aside."""
    old, new = before.serialize(), after.serialize()
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    gone = (old.keys() | {PUT_ASIDE[name] for name in changed.keys() & PUT_ASIDE.keys()}) - new.keys()
    return [*(Path(name).set(value) for name, value in changed.items()), *(Path(name).remove() for name in gone)]


def _place_in(index: str) -> Callable[[Item], Any]:
    """What an index orders by: of an item, the value that sorts as DynamoDB does."""
    if index == "wake":
        return lambda item: float(item["wake_at"]["N"])
    return lambda item: (item["made"]["S"], _key(item))


def _key(item: Item) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def _cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _place(cursor: str) -> str:
    try:
        place = base64.urlsafe_b64decode(cursor.encode()).decode()
    except ValueError:
        place = ""
    if len(cursor) > MOST_CURSOR or not CURSOR.fullmatch(place):
        raise InvalidRequest(faults=(Fault("query:cursor", "must be the cursor of an earlier page"),))
    return place


# ── lines: tasks with the same ordering key ──────────────────────────────────────────────────────


class Lines:
    """Who stands in which line. Every change of a line goes through its record `line`, which counts its changes.

    A line that is empty is forgotten after the retention: by then no task remembers a place in it.
    """

    def __init__(self, table: Table, settings: Settings) -> None:
        self._table = table
        self._settings = settings

    def join(self, task: Task, row: Row, more: Sequence[dict[str, Any]]) -> None:
        """Put the row of a new task, at the end of its line, and `more` with it. Raises Stands when it is there."""
        while True:
            line = self._line(task.line)
            place = int(line.last or 0) + 1
            lined_up = life.line_up(task, place=place, behind=bool(line.standing))
            row.place, row.behind = place, lined_up.behind or None
            member = Record(line.owner, _place_name(place), text=task.task_id)
            puts = [self._table.putting(row, Row.task_id.does_not_exist()), self._table.putting(member), *more]
            try:
                self._table.transact(puts=[*puts, self._counted(line, +1, last=place)])
            except Stands as stands:
                if stands.item and stands.item["sk"]["S"] == "task":
                    raise
            else:
                return

    def leave(self, old: Task, new: Task, update: dict[str, Any], puts: Sequence[dict[str, Any]]) -> None:
        """Make the change by which a task leaves its line, and call up the next one. Raises Stands if it may not be."""
        assert old.place is not None, "it stands in the line"
        while True:
            line = self._line(old.line)
            updates = [update, *([] if old.behind else self._calling_up(line, old.place, new.updated_at))]
            delete = self._table.deleting((line.owner, _place_name(old.place)), Record.owner.exists())
            try:
                self._table.transact(updates=updates, deletes=[delete], puts=[*puts, self._counted(line, -1)])
            except Stands:
                self._raise_unless_same(old)
            else:
                return

    def _raise_unless_same(self, old: Task) -> None:
        item = self._table.get((old.task_id, "task"))
        if item is None or int(item["v"]["N"]) != old.version:
            raise Stands(item)

    def first(self, name: str) -> Record | None:
        """Who stands first in a line."""
        return self._next(f"line#{name}", 0)

    def put_out(self, first: Record, task: Task | None, now: float) -> None:
        """Mend a line whose first is gone, or was not called up."""
        line = self._line(first.owner.removeprefix("line#"))
        try:
            if task is not None:
                update = self._calling(task, now)
                self._table.transact(updates=[update], puts=[self._counted(line, 0)])
            else:
                delete = self._table.deleting((first.owner, first.name), Record.owner.exists())
                self._table.transact(deletes=[delete], puts=[self._counted(line, -1)])
        except Stands:
            return  # somebody else has; look again

    def _line(self, name: str) -> Record:
        item = self._table.get((f"line#{name}", "line"))
        return Record.from_raw_data(dict(item)) if item else Record(f"line#{name}", "line", version=0, standing=0)

    def _counted(self, line: Record, more: int, last: int | None = None) -> dict[str, Any]:
        """The record of a line after a change, if it is still as it was read."""
        standing = int(line.standing) + more
        empty_until = None if standing else int(time.time() + self._settings.retention + DAY)
        changed = Record(
            *(line.owner, line.name),
            version=line.version + 1,
            standing=standing,
            last=last or line.last,
            expires_at=empty_until,
        )
        same = Record.version == line.version if line.version else Record.version.does_not_exist()
        return self._table.putting(changed, same)

    def _calling_up(self, line: Record, place: int, now: float) -> list[dict[str, Any]]:
        """The change that calls up the one behind a place, if there is one whose row is there."""
        member = self._next(line.owner, place)
        item = self._table.get((member.text, "task")) if member else None
        return [self._calling(task_of(Row.from_raw_data(dict(item)), {}), now)] if item else []

    def _calling(self, task: Task, now: float) -> dict[str, Any]:
        called = life.call_up(task, now=now, grace=self._settings.grace)
        if _outlives(task, called, self._settings):
            prolong(self._table, called, self._settings)
        (before, _), (after, _) = lay_out(task, self._settings), lay_out(called, self._settings)
        key, same = (task.task_id, "task"), Row.version == task.version
        update: dict[str, Any] = self._table.updating(key, _difference(before, after), same)
        return update

    def _next(self, owner: str, place: int) -> Record | None:
        """Who stands next behind a place."""
        behind = Record.name.between(_place_name(place + 1), _place_name(MOST_PLACE))
        for items in self._table.walk(owner, behind, limit=1, consistent_read=True):
            return Record.from_raw_data(dict(items[0])) if items else None
        return None


MOST_PLACE = 10**12 - 1


def _place_name(place: int) -> str:
    return f"{place:012d}"


# ── the counters ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a task that the counters must know: which stream record says so, when, and what it adds."""

    event_id: str
    at: float
    source_app: str
    counts: Mapping[str, int]


def change_in(record: Mapping[str, Any]) -> Change | None:
    """What a record of the table's stream adds to the counters; None when that is nothing."""
    images = record["dynamodb"]
    if record["eventName"] == "REMOVE" or images["Keys"]["sk"]["S"] != "task":
        return None
    row = Row.from_raw_data(images["NewImage"])
    new = task_of(row, {})
    old = task_of(Row.from_raw_data(images["OldImage"]), {}) if "OldImage" in images else None
    counts = life.tally(old, new)
    source_app = row.app_shard.rpartition("#")[0]
    at = new.updated_at if old else new.created_at  # one that is brought over ended long ago, and counts as then
    return Change(record["eventID"], at, source_app, counts) if counts else None


class Counters:
    """The sums behind `GET /v1/stats`: all time, by hour and by day, made from the table's stream.

    Each change counts once, though a batch may come again, and then with another end: a batch always begins
    where one began before, or ended. So a batch is counted in one transaction with a record of its changes,
    kept under its first one. Of a batch that finds such a record, only what is longer is counted; where it
    is shorter, it leaves a record of the rest, for the batch that will begin there.
    (The event source must not report failures of single records: those begin anywhere.)
    """

    def __init__(self, table: Table, shards: int) -> None:
        self._table = table
        self._shards = shards

    def add(self, changes: Sequence[Change]) -> None:
        """Count changes, in the order of the stream. Raises Unavailable; then bring them again."""
        while changes:
            changes = changes[self._add_some(_fitting(changes)) :]

    def _add_some(self, changes: Sequence[Change]) -> int:
        """Count these, and say how many of the changes from the first on are counted now."""
        marks = [_digest(change.event_id) for change in changes]
        expires_at = int(max(time.time(), *(change.at for change in changes)) + COUNTED_KEPT)
        put = self._table.putting(_counted(marks, expires_at), Record.owner.does_not_exist())
        owner = f"counters#{shard_of(marks[0], self._shards)}"
        updates = [
            self._table.updating((owner, name), [Path(counter).add(n) for counter, n in sums.items()])
            for name, sums in _sums(changes).items()
        ]
        try:
            self._table.transact(puts=[put], updates=updates)
        except Stands as known:
            before = Record.from_raw_data(dict(known.item or {})).text.split()
            if rest := before[len(marks) :]:
                self._table.put(_counted(rest, expires_at))
            return min(len(before), len(marks))
        return len(changes)

    def totals(self) -> Mapping[str, int]:
        """All time."""
        sums: Counter[str] = Counter()
        for item in self._table.get_all((owner, "total") for owner in self._owners()):
            sums.update(_counts(item))
        return sums

    def series(self, unit: str, since: float, until: float) -> list[tuple[float, Mapping[str, int]]]:
        """The hours or days that begin from `since` on and before `until`, oldest first."""
        found: dict[float, Counter[str]] = {}
        length = UNITS[unit]
        first, last = math.ceil(since / length) * length, (math.ceil(until / length) - 1) * length
        if first > last:
            return []
        within = Record.name.between(_span(unit, first), _span(unit, last))
        for items in all_at_once(self._owners(), lambda owner: self._table.query(owner, within), most=READERS):
            for item in items:
                start = float(item["sk"]["S"].partition("#")[2])
                found.setdefault(start, Counter()).update(_counts(item))
        return sorted(found.items())

    def accepted(self, since: float, until: float) -> int:
        """Tasks accepted from the start of a day on and before the start of an hour."""
        today = until // DAY * DAY
        spans = [*self.series("day", since, today), *self.series("hour", max(since, today), until)]
        return sum(counts.get("accepted", 0) for _, counts in spans)

    def _owners(self) -> list[str]:
        return [f"counters#{shard}" for shard in range(self._shards)]


def _counted(marks: Sequence[str], expires_at: int) -> Record:
    """Says that these changes, in this order, are counted."""
    return Record(f"counted#{marks[0]}", "counted", text=" ".join(marks), expires_at=expires_at)


UNITS = {"hour": 3600, "day": DAY}
"""Seconds of the units of a series."""


def _fitting(changes: Sequence[Change]) -> Sequence[Change]:
    """As many of the changes, from the first on, as one transaction takes."""
    while len(_sums(changes)) >= TRANSACTION:
        changes = changes[: len(changes) // 2]
    return changes


def _sums(changes: Iterable[Change]) -> dict[str, Counter[str]]:
    """Counter record -> what the changes add to it."""
    sums: dict[str, Counter[str]] = {}
    for change in changes:
        for name in ("total", *(_span(unit, change.at) for unit in UNITS)):
            sums.setdefault(name, Counter()).update(change.counts)
    return sums


def _span(unit: str, at: float) -> str:
    """The sort key of the hour or day that `at` lies in."""
    return f"{unit}#{math.floor(at / UNITS[unit]) * UNITS[unit]:012d}"


def _counts(item: Item) -> Counter[str]:
    return Counter({name: int(value["N"]) for name, value in item.items() if "N" in value})
