"""The ports Store and Queues on SQLite: one file for one computer, `:memory:` in tests.

    whoever asks ──> one transaction, a savepoint for each ──> one fsync ──> the answers

So whoever has an answer is on disk, and eight callers share an fsync. One process owns the file; what a
dead one had in hand is set free when the next one opens it. The rules of a task are those of `life.py`,
applied inside the transaction.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, takewhile
from math import ceil, inf
from threading import Condition, Event, Lock, Thread, current_thread
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from chalicelib import ledger, life
from chalicelib.clocks import TOLERANCE_SECONDS
from chalicelib.database_file import MEMORY, connect, explained, hold, new_application_id
from chalicelib.errors import DatabaseUnusable, Fault, InvalidRequest, Kind, NotFound, SettingsError, Unavailable
from chalicelib.ledger import Ledger
from chalicelib.life import Refused
from chalicelib.ports import (
    MOST_DELAY,
    MOST_VISIBILITY,
    Acts,
    AuditPage,
    Clock,
    DuePage,
    DuePlace,
    Message,
    News,
    Page,
    Parcel,
    Query,
    Queue,
    Received,
    Vault,
    encode,
    place_after,
)
from chalicelib.records import MOST_CURSOR, Record, dumps, from_json, pack, packed_request, readable, to_json, unpack
from chalicelib.sealing import Sealer, key_of_row
from chalicelib.settings import Settings
from chalicelib.task import (
    DONE,
    MOST_OF_ERROR,
    Attempt,
    Audit,
    Caller,
    Channel,
    Desk,
    Gate,
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
    evolve,
)

T = TypeVar("T")

SCHEMA_1 = """
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    source_app TEXT NOT NULL,
    target_app TEXT NOT NULL,
    target TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at REAL NOT NULL,
    wake_at REAL,
    lease_until REAL NOT NULL,
    expires_at INTEGER,
    task TEXT NOT NULL  -- without its request, which is larger and seldom changes
);
CREATE INDEX tasks_by_time ON tasks (created_at, task_id);
CREATE INDEX tasks_by_status ON tasks (status, created_at, task_id);
CREATE INDEX tasks_by_source_app ON tasks (source_app, created_at, task_id);
CREATE INDEX tasks_by_target_app ON tasks (target_app, created_at, task_id);
CREATE INDEX tasks_by_target ON tasks (target, created_at, task_id);
CREATE INDEX tasks_due ON tasks (wake_at, task_id) WHERE wake_at IS NOT NULL;
CREATE INDEX tasks_leased ON tasks (lease_until) WHERE lease_until > 0;
CREATE INDEX tasks_expired ON tasks (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE requests (id INTEGER PRIMARY KEY, request TEXT NOT NULL);

CREATE TABLE attempts (task_id TEXT NOT NULL, fence INTEGER NOT NULL, attempt TEXT NOT NULL);
CREATE UNIQUE INDEX attempts_of_task ON attempts (task_id, fence);

CREATE TABLE notices (
    task_id TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    created_at REAL NOT NULL,
    notice TEXT NOT NULL
);
CREATE UNIQUE INDEX notices_of_task ON notices (task_id, notice_id);
CREATE INDEX notices_leased ON notices (lease_until) WHERE lease_until > 0;

CREATE TABLE channels (
    channel_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    created_at REAL NOT NULL,
    channel TEXT NOT NULL
);

CREATE TABLE audits (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, at REAL NOT NULL, audit TEXT NOT NULL);
CREATE INDEX audits_of_subject ON audits (subject, at, id);

CREATE TABLE counters (
    unit TEXT NOT NULL,
    start INTEGER NOT NULL,
    name TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (unit, start, name)
) WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a receipt names it
    queue TEXT NOT NULL,
    group_name TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,  -- ready; in hand: received and worked on; waiting: delayed or hidden
    visible_at REAL NOT NULL,
    received_at REAL,
    count INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX messages_ready ON messages (queue, group_name, id) WHERE state = 'ready';
CREATE INDEX messages_in_hand ON messages (queue, group_name) WHERE state = 'in hand';
CREATE INDEX messages_timed ON messages (queue, visible_at, count) WHERE state <> 'ready';
"""

SCHEMA_2 = """
CREATE TABLE checks (id INTEGER PRIMARY KEY CHECK (id = 1), ledger TEXT NOT NULL);
"""

SCHEMA_3 = """
CREATE TABLE lines (line TEXT NOT NULL, place INTEGER NOT NULL, task_id TEXT NOT NULL, PRIMARY KEY (line, place))
    WITHOUT ROWID;
"""

SCHEMA_4 = """
CREATE TABLE resends (
    resend_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    started_at REAL NOT NULL,
    expires_at INTEGER,
    resend TEXT NOT NULL
);
"""

SCHEMA_5 = """
CREATE TABLE signing_secrets (secret_id TEXT PRIMARY KEY, created_at REAL NOT NULL, secret TEXT NOT NULL);
"""

SCHEMA_6 = """
CREATE TABLE targets (name TEXT PRIMARY KEY, version INTEGER NOT NULL, target TEXT NOT NULL);
CREATE TABLE gates (name TEXT PRIMARY KEY, gate TEXT NOT NULL);
ALTER TABLE tasks ADD COLUMN held_by REAL;  -- its place among those that are held for its target; such have no wake_at
CREATE INDEX tasks_held ON tasks (target, held_by, task_id) WHERE held_by IS NOT NULL;
"""

SCHEMA_7 = """
ALTER TABLE notices RENAME TO notices_of_one;
DROP INDEX notices_leased;

CREATE TABLE notices (
    notice_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    expires_at INTEGER,
    notice TEXT NOT NULL
);
CREATE INDEX notices_leased ON notices (lease_until) WHERE lease_until > 0;
CREATE INDEX notices_expired ON notices (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE mentions (
    subject TEXT NOT NULL,
    round INTEGER NOT NULL,
    channel_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    notice_id TEXT NOT NULL,
    named INTEGER NOT NULL DEFAULT 0,  -- 1 once the notice is settled, and names it
    created_at REAL NOT NULL,
    mention TEXT NOT NULL,
    PRIMARY KEY (subject, round, channel_id)
);
CREATE INDEX mentions_of_notice ON mentions (notice_id);

INSERT INTO notices SELECT
    task_id || '#' || notice_id, version, 0, json_extract(notice, '$.expires_at'),
    json_set(notice, '$.notice_id', task_id || '#' || notice_id,
        '$.gist', json_object('tasks', 1, 'first', json_array(task_id)))
    FROM notices_of_one;
INSERT INTO mentions SELECT
    task_id, json_extract(notice, '$.round'), json_extract(notice, '$.channel_id'), 1, task_id || '#' || notice_id, 1,
    created_at,
    json_object('subject', task_id, 'round', json_extract(notice, '$.round'),
        'channel_id', json_extract(notice, '$.channel_id'), 'channel_kind', json_extract(notice, '$.channel_kind'),
        'notice_id', task_id || '#' || notice_id, 'created_at', created_at, 'due_at', created_at)
    FROM notices_of_one;
DROP TABLE notices_of_one;

CREATE TABLE agreed (name TEXT PRIMARY KEY, version INTEGER NOT NULL, record TEXT NOT NULL);  -- desks and robots
"""

SCHEMA_8 = """
CREATE TABLE callers (key_id TEXT PRIMARY KEY, created_at REAL NOT NULL, caller TEXT NOT NULL);
CREATE TABLE used (name TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX used_expired ON used (expires_at);
"""

SCHEMA_9 = """
CREATE TABLE operators (name TEXT PRIMARY KEY, operator TEXT NOT NULL);
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    expires_at REAL NOT NULL,
    session TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_expired ON sessions (expires_at);
CREATE TABLE tries (of TEXT PRIMARY KEY, version INTEGER NOT NULL, expires_at REAL NOT NULL, tries TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX tries_expired ON tries (expires_at);

CREATE TABLE trail (  -- all audits that are no parts of others, once more
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    subject TEXT NOT NULL,
    audit TEXT NOT NULL
);
CREATE INDEX trail_by_time ON trail (at, id);
INSERT INTO trail (at, subject, audit)
    SELECT at, subject, audit FROM audits WHERE json_extract(audit, '$.detail.resend_id') IS NULL;
"""

SCHEMAS = (SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5, SCHEMA_6, SCHEMA_7, SCHEMA_8, SCHEMA_9)
"""What each version of the file has added, none of it ever changed: an old file is given what it lacks."""


def open_embedded(
    path: str,
    settings: Settings,
    clock: Clock,
    vault: Vault | None = None,
    *,
    reseals: bool = True,
) -> tuple[EmbeddedStore, EmbeddedQueues]:
    """The store and the queues in the file at `path`, or in memory for `:memory:`.

    Claims and messages that a dead process had in hand are free again. Closing the store closes both. Channels are
    encrypted under the current key of `vault`, if they are not (`reseals`).
    Raises SettingsError when the file is in use, or cannot be used, Unavailable when a master key is missing.
    """
    database = Database(path)
    store = EmbeddedStore(database, settings.audit_retention, vault, grace=settings.grace)
    try:
        recover(database)
        if vault and reseals and store.sealed_under():
            store.reseal()
    except Exception:
        database.close()
        raise
    return store, EmbeddedQueues(database, clock)


# ── the file: one writer, one fsync for all who wait ─────────────────────────────────────────────


class Transaction:
    """What an operation writes with: SQL, and the counters, which are added up once for the whole group."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.counts: Counter[tuple[str, int, str]] = Counter()

    def count(self, at: float, tally: Mapping[str, int]) -> None:
        """Add `tally` to the totals, and to the hour and the day of `at`."""
        for unit, seconds in UNITS.items():
            start = int(at // seconds * seconds) if seconds else 0
            for name, n in tally.items():
                self.counts[unit, start, name] += n


UNITS = {"total": 0, "hour": 3600, "day": 86_400}
"""What the counters are kept by: seconds of each; all time has none. Days and hours of UTC begin at multiples."""

Operation = Callable[[Transaction], T]

Asked = tuple[Operation[Any], Future[Any]]
"""An operation, and what its answer goes to."""


class Database:
    """The file. Operations that wait are written in one transaction and answered once it is on disk.

    In memory there is no thread: each operation is written in the calling thread, on the one connection.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        held = hold(path, partial(_prepare, path=path))
        self._writer, self._watch, self._let_go = held.writer, held.watch, held.let_go
        self._readers: deque[sqlite3.Connection] = deque()
        self._gate = Condition()
        self._waiting: list[Asked] = []
        self._closed = False
        self._thread = None if path == MEMORY else Thread(target=self._write_on, name="embedded-writer", daemon=True)
        if self._thread:
            self._thread.start()

    def write(self, operation: Operation[T]) -> T:
        """Run the operation and return what it returns, once that is on disk.

        When it raises, it has changed nothing; unless it is DatabaseUnusable, which may come too late. Raises
        Unavailable when the disk is full or fails.
        """
        answer: Future[T] = Future()
        with self._gate:
            self._be_open()
            if self._thread:
                self._waiting.append((operation, answer))
                self._gate.notify()
            else:
                self._commit([(operation, answer)])
        return answer.result()

    def run(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a statement with the values of each row. Raises Unavailable.

        Its cursor stays with the writer: whoever lets go of one resets its statement, which may be at work again.
        """
        self.write(partial(_run, sql=sql, rows=rows))

    def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """What `look` finds in what is committed, all of it as of one moment. Raises Unavailable."""
        self._watch.check()
        try:
            with self._reader() as connection:
                return look(connection)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Write what waits, then let go of the file. What is asked for afterwards raises Unavailable.

        Files that cannot be trusted are left as they are: SQLite would write to them, and remove a log by its name,
        which may be another process's by now. The descriptors end with the process.
        """
        with self._gate:
            self._closed = True
            self._gate.notify()
        if self._thread:
            self._thread.join()
        if not self._watch.is_trusted():
            ABANDONED.append(self)
            return
        for connection in self._readers:
            connection.close()
        self._let_go()

    def _be_open(self) -> None:
        if self._closed:
            raise Unavailable("kkbida is stopping.")

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        self._be_open()
        if not self._thread:
            with self._gate:
                yield self._writer
            return
        connection = self._idle_reader()
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")
        self._readers.append(connection)  # one that failed is dropped instead

    def _idle_reader(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            return connect(self._path)

    def _write_on(self) -> None:
        while group := self._next_group():
            self._commit(group)

    def _next_group(self) -> list[Asked]:
        """Everything that waits, as soon as anything does. Empty once the database is closed."""
        with self._gate:
            self._gate.wait_for(lambda: self._waiting or self._closed)
            return self._take_waiting()

    def _take_waiting(self) -> list[Asked]:
        with self._gate:
            waiting, self._waiting = self._waiting, []
        return waiting

    def _commit(self, group: list[Asked]) -> None:
        try:
            outcomes = self._transact(group)
        except Exception as error:  # noqa: BLE001 - everybody who waits gets it, and the writer goes on
            self._roll_back()
            outcomes = [self._explained(error) for _ in group]
        for (_, answer), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    def _transact(self, group: list[Asked]) -> list[Any]:
        """What each operation returned or raised, all in one transaction. Whoever asks meanwhile joins the group."""
        counts: Counter[tuple[str, int, str]] = Counter()
        outcomes = []
        self._watch.before_commit()
        self._writer.execute("BEGIN IMMEDIATE")
        for operation, _ in group:
            outcomes.append(self._attempt(operation, counts))
            group += self._take_waiting()
        self._writer.executemany(ADD_TO_COUNTER, [(*key, n) for key, n in counts.items()])
        self._writer.execute("COMMIT")
        self._watch.after_commit()
        return outcomes

    def _attempt(self, operation: Operation[Any], counts: Counter[tuple[str, int, str]]) -> Any:
        """What the operation returns, or what it raises, and then nothing of it is left."""
        transaction = Transaction(self._writer)
        self._writer.execute("SAVEPOINT operation")
        try:
            outcome = operation(transaction)
        except Exception as error:
            if not self._writer.in_transaction:
                raise  # SQLite gave up the whole group, as it may on a full disk
            self._writer.execute("ROLLBACK TO operation")
            outcome = self._explained(error)
        else:
            counts.update(transaction.counts)
        self._writer.execute("RELEASE operation")
        return outcome

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            with suppress(sqlite3.Error):  # the next transaction cannot begin, and brings us here again
                self._writer.execute("ROLLBACK")

    def _explained(self, error: Exception) -> Exception:
        known = explained(error)
        if known is not error and isinstance(known, DatabaseUnusable):
            self._watch.distrust(known.detail)
        return known


ABANDONED: list[Database] = []
"""Databases whose files could not be trusted at the end."""


def _run(tx: Transaction, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    tx.executemany(sql, rows)


ADD_TO_COUNTER = """INSERT INTO counters (unit, start, name, n) VALUES (?, ?, ?, ?)
    ON CONFLICT (unit, start, name) DO UPDATE SET n = n + excluded.n"""

# ── opening the file ─────────────────────────────────────────────────────────────────────────────


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables that it lacks. Raises SettingsError when it is not one for this version."""
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] not in ("wal", "memory"):
        raise SettingsError(f"{path} is on a disk without shared memory. Choose a file on a local disk.")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(SCHEMAS):
        raise SettingsError(f"{path} was written by a newer kkbida. Run that one, or choose another file.")
    if not connection.execute("PRAGMA application_id").fetchone()[0]:
        connection.execute(f"PRAGMA application_id = {new_application_id()}")
    for number, schema in enumerate(SCHEMAS[version:], version + 1):
        connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {number}; COMMIT")


def recover(database: Database) -> None:
    """Set free what a dead process had in hand: messages are ready again, and leases are over.

    Nothing else about a task changes: its claim without a result shows as interrupted from now on.
    """
    database.write(_set_free)


def _set_free(tx: Transaction) -> None:
    tx.execute("UPDATE messages SET state = 'ready' WHERE state = 'in hand'")
    for task in _readable(tx.execute(f"{TASKS} WHERE lease_until > 0").fetchall()):
        _write_task(tx, task, evolve(task, lease_until=0))
    leased = tx.execute("SELECT notice_id, notice FROM notices WHERE lease_until > 0").fetchall()
    for notice in readable(partial(from_json, Notice), leased):
        _put_notice(tx, notice.version, evolve(notice, lease_until=0))
    gates = ((name, (name, text)) for name, text in tx.execute("SELECT name, gate FROM gates").fetchall())
    for name, gate in readable(_named_gate, gates):
        _write_gate(tx, name, evolve(gate, inside={}, probe="", probe_until=0))


def _named_gate(row: tuple[str, str]) -> tuple[str, Gate]:
    return row[0], from_json(Gate, row[1])


# ── the store ────────────────────────────────────────────────────────────────────────────────────


class EmbeddedStore:
    """The port Store; see `ports.py` for what each method does."""

    list_lag = 0

    def __init__(
        self,
        database: Database,
        audit_retention: float,
        vault: Vault | None = None,
        *,
        grace: float = life.CALL_GRACE,
    ) -> None:
        self._sealer = Sealer(vault)
        self.database = database
        self._audit_retention = audit_retention
        self._grace = grace

    def add(self, task: Task, audit: Audit | None = None) -> Task | None:
        """Store a new task. None when stored, else the task that has its id."""
        return self.database.write(partial(_add, task=task, audit=audit))

    def whose_turn(self, line: str, now: float) -> Task | None:
        """The first task in a line, once those that are gone are put out of it."""
        return self.database.write(partial(_first, line=line, now=now, grace=self._grace))

    def claim(self, task_id: str, ticket: int, *, now: float, lease: float) -> Task | Refused:
        """`life.claim`, or why it may not be."""
        return self.database.write(partial(_claim, task_id=task_id, ticket=ticket, now=now, lease=lease))

    def get(self, task_id: str) -> Task | None:
        """The task as it stands."""
        return self.database.read(lambda connection: _get(connection.execute, task_id))

    def replace(self, old: Task, new: Task, audit: Audit | None = None) -> Task:
        """`new` when written, else the task as it now stands. Raises NotFound when it is gone."""
        return self.database.write(partial(_replace, old=old, new=new, audit=audit, grace=self._grace))

    def keep(self, task_id: str, attempt: Attempt) -> None:
        """Put an attempt into the history."""
        self.database.write(partial(_keep, task_id=task_id, attempt=attempt))

    def attempts(self, task: Task) -> list[Attempt]:
        """The attempts of all rounds, oldest first."""
        return life.history(
            task, self._records(Attempt, "SELECT attempt FROM attempts WHERE task_id = ?", task.task_id)
        )

    def page(self, query: Query, cursor: str | None, limit: int) -> Page:
        """A page of the list, newest first. Raises InvalidRequest for a cursor that is none."""
        before = _read_cursor(cursor)
        return self.database.read(partial(_page, query=query, before=before, limit=limit))

    def size(self, query: Query, cursor: str | None) -> tuple[int, str | None]:
        """How many tasks match in the next part of the list, and where the part after it begins."""
        before = _read_cursor(cursor)
        return self.database.read(partial(_size, query=query, before=before))

    def due(self, now: float, limit: int) -> list[Task]:
        """Tasks whose `wake_at` is past, the longest overdue first. Rows that cannot be read are passed over."""
        return list(self.due_page(now, None, limit).tasks)

    def due_page(self, now: float, place: DuePlace | None, limit: int) -> DuePage:
        """A page of them. It looks at `limit` rows, and at `PASSED_OVER` more that cannot be read, at most."""
        return self.database.read(partial(_due_page, now=now, place=place, limit=limit))

    def latest_due(self, limit: int) -> list[Task]:
        """The tasks whose `wake_at` is the latest."""
        sql = f"{TASKS} WHERE wake_at IS NOT NULL ORDER BY wake_at DESC LIMIT ?"
        return self.database.read(lambda connection: list(_readable(connection.execute(sql, (limit,)))))

    def mention(self, mention: Mention) -> bool:
        """Put a mention of the next version among those that its notice gathers. False: it changed."""
        return self.database.write(partial(_mention, mention=mention))

    def mentions(self, subject: str) -> list[Mention]:
        """Whom a task, or a target, is told to, oldest first."""
        sql = "SELECT mention FROM mentions WHERE subject = ? ORDER BY created_at, round, channel_id"
        return self._records(Mention, sql, subject)

    def gathered(self, notice_id: str, limit: int) -> list[Mention]:
        """Up to `limit` of the mentions that a notice has gathered. One that cannot be read is passed over."""
        sql = "SELECT subject, mention FROM mentions WHERE notice_id = ? LIMIT ?"
        return list(readable(partial(from_json, Mention), self._rows(sql, notice_id, limit)))

    def settle(self, notice: Notice, mentions: Sequence[Mention]) -> Notice | None:
        """Store a notice for the first time, with all that it names. None: somebody else has."""
        return self.database.write(partial(_settle, notice=notice, mentions=mentions))

    def names(self, notice: Notice, mention: Mention) -> bool:
        """Whether the mention is among those that the notice was settled with."""
        sql = "SELECT named FROM mentions WHERE (subject, round, channel_id) = (?, ?, ?) AND notice_id = ?"
        rows = self._rows(sql, mention.subject, mention.round, mention.channel_id, notice.notice_id)
        return any(named for (named,) in rows)

    def notice(self, notice_id: str) -> Notice | None:
        """The notice as it stands; None while it gathers."""
        return next(iter(self._records(Notice, "SELECT notice FROM notices WHERE notice_id = ?", notice_id)), None)

    def save_notice(self, notice: Notice) -> bool:
        """Store a notice of the next version. False: it changed."""
        return self.database.write(lambda tx: _put_notice(tx, notice.version - 1, notice))

    def desk(self, channel_id: str) -> Desk | None:
        """Where a channel's next notice gathers."""
        return next(iter(self._records(Desk, AGREED, f"desk#{channel_id}")), None)

    def save_desk(self, desk: Desk) -> bool:
        """Store a desk of the next version. False: it changed."""
        return self._agree(f"desk#{desk.channel_id}", desk)

    def robot(self, robot_id: str) -> Robot | None:
        """How much a robot was told of late."""
        return next(iter(self._records(Robot, AGREED, f"robot#{robot_id}")), None)

    def save_robot(self, robot: Robot) -> bool:
        """Store a robot of the next version. False: it changed."""
        return self._agree(f"robot#{robot.robot_id}", robot)

    def _agree(self, name: str, record: Desk | Robot) -> bool:
        return self.database.write(partial(_agree, name=name, version=record.version, record=to_json(record)))

    def audits(self, task_id: str) -> list[Audit]:
        """The audit trail of whatever has the id, oldest first."""
        return self._records(Audit, "SELECT audit FROM audits WHERE subject = ? ORDER BY at, id", task_id)

    def note(self, audit: Audit) -> None:
        """Store an audit by itself."""
        self.database.write(partial(_write_audit, audit=audit))

    def acts(self, acts: Acts, cursor: str | None, limit: int, *, now: float) -> AuditPage:
        """A page of audits, newest first. It looks at `ACTS_EXAMINED` of them at most."""
        least = max(now - self._audit_retention, acts.since or 0)
        return self.database.read(partial(_acts, acts=acts, before=_read_row(cursor), limit=limit, least=least))

    def channels(self) -> list[Channel]:
        """All channels, oldest first."""
        return [self._sealer.channel(text) for _, text in self._channel_rows()]

    def _channel_rows(self) -> list[tuple[str, str]]:
        return self._rows("SELECT channel_id, channel FROM channels ORDER BY created_at, channel_id")

    def save_channel(self, channel: Channel, audit: Audit) -> bool:
        """Store a channel of the next version. False: it changed."""
        text = self._sealer.row(channel)
        return self.database.write(partial(_save_channel, channel=channel, text=text, audit=audit))

    def sealed_under(self) -> dict[str, str]:
        """By which master key the secrets of each channel are stored."""
        return {channel_id: key_of_row(text) for channel_id, text in self._channel_rows()}

    def reseal(self) -> int:
        """Store all channels under the current master key. What a row held before is overwritten in the file."""
        old = [text for _, text in self._channel_rows() if not self._sealer.is_current(text)]
        for text in old:
            channel = self._sealer.channel(text)
            changed = evolve(channel, version=channel.version + 1)
            self.database.write(partial(_overwrite_channel, channel=changed, text=self._sealer.row(changed)))
        return len(old)

    def forget_unreadable_channels(self) -> int:
        """Remove the channels whose master key is lost."""
        lost = [(channel_id,) for channel_id, text in self._channel_rows() if not self._sealer.opens(text)]
        self.database.write(lambda tx: tx.executemany("DELETE FROM channels WHERE channel_id = ?", lost))
        return len(lost)

    def remove_channel(self, channel_id: str, audit: Audit) -> bool:
        """Remove a channel. False: there was none."""
        return self.database.write(partial(_remove_channel, channel_id=channel_id, audit=audit))

    def resends(self) -> list[Resend]:
        """All bulk resends, newest first. One that cannot be read is passed over."""
        sql = "SELECT resend_id, resend FROM resends ORDER BY started_at DESC, resend_id"
        return list(readable(partial(from_json, Resend), self._rows(sql)))

    def save_resend(self, resend: Resend, audit: Audit | None = None) -> bool:
        """Store a bulk resend of the next version. False: it changed."""
        return self.database.write(partial(_save_resend, resend=resend, audit=audit))

    def signing_secrets(self) -> list[SigningSecret]:
        """All signing secrets, oldest first."""
        return self._records(SigningSecret, "SELECT secret FROM signing_secrets ORDER BY created_at, secret_id")

    def add_signing_secret(self, secret: SigningSecret, audit: Audit) -> None:
        """Store a signing secret, whose id is new."""
        self.database.write(partial(_add_signing_secret, secret=secret, audit=audit))

    def remove_signing_secret(self, secret_id: str, audit: Audit) -> bool:
        """Remove a signing secret. False: there was none."""
        sql = "DELETE FROM signing_secrets WHERE secret_id = ?"
        return self.database.write(lambda tx: _audited(tx, tx.execute(sql, (secret_id,)), audit))

    def callers(self) -> list[Caller]:
        """All callers, oldest first."""
        return self._records(Caller, "SELECT caller FROM callers ORDER BY created_at, key_id")

    def add_caller(self, caller: Caller, audit: Audit) -> None:
        """Store a caller, whose key is new."""
        self.database.write(partial(_add_caller, caller=caller, audit=audit))

    def remove_caller(self, key_id: str, audit: Audit) -> bool:
        """Remove a caller. False: there was none."""
        sql = "DELETE FROM callers WHERE key_id = ?"
        return self.database.write(lambda tx: _audited(tx, tx.execute(sql, (key_id,)), audit))

    def roster(self) -> Roster:
        """All operators."""
        return self.database.read(_roster)

    def operator(self, name: str) -> Operator | None:
        """The operator of that name."""
        return next(iter(self._records(Operator, OPERATOR, name)), None)

    def save_operator(self, operator: Operator, version: int, audit: Audit) -> bool:
        """Store an operator in a roster of the next version. False: somebody else changed it."""
        sql = "INSERT OR REPLACE INTO operators (name, operator) VALUES (?, ?)"
        values = (operator.name, to_json(operator))
        return self.database.write(partial(_change_roster, version=version, sql=sql, values=values, audit=audit))

    def remove_operator(self, name: str, version: int, audit: Audit) -> bool:
        """Remove an operator from a roster of the next version. False: somebody else changed it."""
        sql = "DELETE FROM operators WHERE name = ?"
        return self.database.write(partial(_change_roster, version=version, sql=sql, values=(name,), audit=audit))

    def session(self, session_id: str, operator: str) -> tuple[Session | None, Operator | None]:
        """A session and an operator, as of one moment."""
        return self.database.read(partial(_session, session_id=session_id, operator=operator))

    def add_session(self, session: Session, audit: Audit | None = None) -> None:
        """Store a new session."""
        self.database.write(partial(_add_session, session=session, audit=audit))

    def save_session(self, session: Session) -> bool:
        """Store a session of the next version. False: it changed, or was ended."""
        sql = "UPDATE sessions SET version = ?, expires_at = ?, session = ? WHERE session_id = ? AND version = ?"
        values = (session.version, session.expires_at, to_json(session), session.session_id, session.version - 1)
        return self.database.write(lambda tx: tx.execute(sql, values).rowcount == 1)

    def end_session(self, session_id: str, audit: Audit) -> bool:
        """Remove a session. False: there was none."""
        sql = "DELETE FROM sessions WHERE session_id = ?"
        return self.database.write(lambda tx: _audited(tx, tx.execute(sql, (session_id,)), audit))

    def tries(self, of: str) -> Tries:
        """How often somebody has failed to log in of late."""
        return next(iter(self._records(Tries, "SELECT tries FROM tries WHERE of = ?", of)), Tries(of=of))

    def save_tries(self, tries: Tries) -> bool:
        """Store tries of the next version. False: they changed."""
        return self.database.write(partial(_save_tries, tries=tries))

    def use_once(self, name: str, until: float) -> bool:
        """Take a name, unless it is taken."""
        sql = "INSERT INTO used (name, expires_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
        return self.database.write(lambda tx: tx.execute(sql, (name, until)).rowcount == 1)

    def targets(self) -> list[Target]:
        """All targets that anything was ever set of, by name. One that cannot be read is passed over."""
        return list(readable(partial(from_json, Target), self._rows("SELECT name, target FROM targets ORDER BY name")))

    def save_target(self, target: Target, audit: Audit) -> bool:
        """Store a target of the next version. False: it changed."""
        return self.database.write(partial(_save_target, target=target, audit=audit))

    def gate(self, name: str) -> Gate:
        """The gate of a target."""
        return self.database.read(lambda connection: _gate(connection.execute, name))

    def pass_gate(self, name: str, decide: Callable[[Gate], tuple[Gate, T]]) -> T:
        """Change the gate of a target, and what `decide` says beside."""
        return self.database.write(partial(_pass_gate, name=name, decide=decide))

    def held(self, name: str, limit: int) -> list[Task]:
        """Tasks that are held for a target, the one that was due first first. Unreadable rows are passed over."""
        sql = f"{TASKS} WHERE target = ? AND held_by IS NOT NULL ORDER BY held_by, task_id LIMIT ?"
        values = (name, limit + PASSED_OVER)
        return self.database.read(lambda connection: list(islice(_readable(connection.execute(sql, values)), limit)))

    def count_held(self, name: str, most: int) -> int:
        """How many there are, up to `most`."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE target = ? AND held_by IS NOT NULL LIMIT ?)"
        return int(self._rows(sql, name, most)[0][0])

    def totals(self) -> Mapping[str, int]:
        """The counters of `life.tally`, all time."""
        return dict(self._rows("SELECT name, n FROM counters WHERE unit = 'total'"))

    def series(self, unit: str, since: float, until: float) -> list[tuple[float, Mapping[str, int]]]:
        """The counters of each hour or day that begins at `since` or later, and before `until`."""
        found: dict[float, dict[str, int]] = {}
        sql = "SELECT start, name, n FROM counters WHERE unit = ? AND start >= ? AND start < ? ORDER BY start"
        for start, name, n in self._rows(sql, unit, since, until):
            found.setdefault(start, {})[name] = n
        return list(found.items())

    def recount(self, now: float, retention: float) -> bool:
        """Check the ledger, whole each time: a million rows take one or two tenths of a second."""
        found = to_json(self.ledger(now, retention))
        self.database.run("INSERT OR REPLACE INTO checks (id, ledger) VALUES (1, ?)", [(found,)])
        return False

    def checked(self) -> Ledger | None:
        """The ledger as the last check found it."""
        return self.database.read(_checked)

    def ledger(self, now: float, retention: float) -> Ledger:
        """The ledger as of this moment."""
        return self.database.read(partial(_ledger, now=now, retention=retention))

    def ping(self) -> None:
        """Raises Unavailable when the file cannot be written: a full disk can still be read."""
        self.database.write(_touch)

    def sweep(self, now: float, limit: int) -> int:
        """Remove up to `limit` tasks whose `expires_at` is past, and all that belongs to them. Returns how many.

        Whatever else has expired goes as well.
        """
        return self.database.write(partial(_sweep, now=now, limit=limit, audits_before=now - self._audit_retention))

    def close(self) -> None:
        """Let go of the file, for the queues too."""
        self.database.close()

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        return self.database.read(lambda connection: connection.execute(sql, values).fetchall())

    def _records(self, kind: type[R], sql: str, *values: Any) -> list[R]:
        return [from_json(kind, text) for (text,) in self._rows(sql, *values)]


R = TypeVar("R", bound=Record)
Execute = Callable[..., sqlite3.Cursor]

OPERATOR = "SELECT operator FROM operators WHERE name = ?"

AGREED = "SELECT record FROM agreed WHERE name = ?"

TASKS = "SELECT task, request, task_id FROM tasks JOIN requests USING (id)"

TaskRow = tuple[str, str, str]
"""A row of `TASKS`."""

PASSED_OVER = 1000
"""Rows that one look for what is due passes over, at most, because they cannot be read."""

DUE = "SELECT task, request, task_id, wake_at FROM tasks JOIN requests USING (id) WHERE wake_at BETWEEN ? AND ?"


def _due_page(connection: sqlite3.Connection, now: float, place: DuePlace | None, limit: int) -> DuePage:
    since, known = (place.wake_at, place.task_ids) if place else (-inf, frozenset[str]())
    rows = connection.execute(f"{DUE} ORDER BY wake_at, task_id", (since, now))
    seen: list[tuple[float, str]] = []
    tasks: list[Task] = []
    for *row, wake_at in islice((row for row in rows if row[2] not in known), limit + PASSED_OVER):
        seen.append((wake_at, row[2]))
        tasks += _readable([tuple(row)])
        if len(tasks) == limit:
            break
    is_whole = len(tasks) < limit and len(seen) < limit + PASSED_OVER
    return DuePage(tasks, None if is_whole else place_after(seen, place))


def _task(row: TaskRow) -> Task:
    """The task in a row."""
    return unpack(Task, {**json.loads(row[0]), "request": packed_request(row[1])})


def _readable(rows: Iterable[TaskRow]) -> Iterator[Task]:
    """The tasks in rows; one that cannot be read is logged and passed over."""
    return readable(_task, ((row[2], row) for row in rows))


def _without_request(task: Task) -> str:
    packed = pack(task)
    del packed["request"]
    return dumps(packed)


def _get(execute: Execute, task_id: str) -> Task | None:
    row = execute(f"{TASKS} WHERE task_id = ?", (task_id,)).fetchone()
    return row and _task(row)


def _add(tx: Transaction, task: Task, audit: Audit | None = None) -> Task | None:
    """Store the task at the end of its line, if it has one."""
    if task.request.ordering_key is None or _get(tx.execute, task.task_id):
        known = _insert(tx, task)
        if audit is not None and known is None:
            _write_audit(tx, audit)
        return known
    (last,) = tx.execute("SELECT max(place) FROM lines WHERE line = ?", (task.line,)).fetchone()
    lined_up = life.line_up(task, place=(last or 0) + 1, behind=last is not None)
    tx.execute("INSERT INTO lines VALUES (?, ?, ?)", (task.line, lined_up.place, task.task_id))
    if audit is not None:
        _write_audit(tx, audit)
    return _insert(tx, lined_up)


def _insert(tx: Transaction, task: Task) -> Task | None:
    request = task.request
    added = tx.execute(
        """INSERT INTO tasks (task_id, version, status, source_app, target_app, target, url, created_at, wake_at,
               lease_until, expires_at, task) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (task_id) DO NOTHING""",
        (
            *(task.task_id, task.version, task.status),
            *(request.source_app, request.target_app, request.target, request.url),
            *(task.created_at, task.wake_at, task.lease_until, task.expires_at, _without_request(task)),
        ),
    )
    if not added.rowcount:
        return _get(tx.execute, task.task_id)
    tx.execute("INSERT INTO requests (id, request) VALUES (?, ?)", (added.lastrowid, to_json(request)))
    tx.count(task.created_at, life.tally(None, task))
    return None


def _claim(tx: Transaction, task_id: str, ticket: int, now: float, lease: float) -> Task | Refused:
    task = _get(tx.execute, task_id)
    refused = life.refusal(task, ticket, now)
    if refused is not None:
        return refused
    assert task is not None
    claimed = life.claim(task, now=now, lease=lease)
    _write_task(tx, task, claimed)
    return claimed


def _replace(tx: Transaction, old: Task, new: Task, audit: Audit | None, grace: float) -> Task:
    if not _write_task(tx, old, new):
        return _standing(tx, old.task_id)
    if new.request != old.request:
        _write_request(tx, new)
    if old.last is not None and old.last != new.last:
        _keep(tx, old.task_id, old.last)
    if audit is not None:
        _write_audit(tx, audit)
    if old.place is not None and new.place is None:
        _leave(tx, old, new.updated_at, grace)
    tx.count(new.updated_at, life.tally(old, new))
    return new


def _leave(tx: Transaction, task: Task, now: float, grace: float) -> None:
    """Put the task out of its line; when it was the first, the next one is called up."""
    tx.execute("DELETE FROM lines WHERE line = ? AND place = ?", (task.line, task.place))
    if not task.behind:
        _first(tx, task.line, now, grace)


def _first(tx: Transaction, line: str, now: float, grace: float) -> Task | None:
    """The first in the line, called up if it still waits. Those whose rows are gone are put out of it."""
    sql = "SELECT place, task_id FROM lines WHERE line = ? ORDER BY place LIMIT 1"
    while row := tx.execute(sql, (line,)).fetchone():
        first = _get(tx.execute, row[1])
        if first is not None:
            return _called_up(tx, first, now, grace) if first.behind else first
        tx.execute("DELETE FROM lines WHERE line = ? AND place = ?", (line, row[0]))
    return None


def _called_up(tx: Transaction, task: Task, now: float, grace: float) -> Task:
    called = life.call_up(task, now=now, grace=grace)
    _write_task(tx, task, called)
    return called


def _standing(tx: Transaction, task_id: str) -> Task:
    task = _get(tx.execute, task_id)
    if task is None:
        raise NotFound(f"There is no task {task_id} (any more).")
    return task


def _write_task(tx: Transaction, old: Task, new: Task) -> bool:
    """Put `new` where `old` is, its request aside. False when the version is another one by now."""
    written = tx.execute(
        """UPDATE tasks SET version = ?, status = ?, wake_at = ?, held_by = ?, lease_until = ?, expires_at = ?, task = ?
           WHERE task_id = ? AND version = ?""",
        (
            *(new.version, new.status, None if new.held else new.wake_at, new.wake_at if new.held else None),
            *(new.lease_until, new.expires_at, _without_request(new)),
            *(old.task_id, old.version),
        ),
    )
    return written.rowcount == 1


def _write_request(tx: Transaction, task: Task) -> None:
    request = task.request
    tx.execute(
        "UPDATE tasks SET source_app = ?, target_app = ?, target = ?, url = ? WHERE task_id = ?",
        (request.source_app, request.target_app, request.target, request.url, task.task_id),
    )
    tx.execute(
        "UPDATE requests SET request = ? WHERE id = (SELECT id FROM tasks WHERE task_id = ?)",
        (to_json(request), task.task_id),
    )


def _keep(tx: Transaction, task_id: str, attempt: Attempt) -> None:
    tx.execute(
        "INSERT OR REPLACE INTO attempts (task_id, fence, attempt) VALUES (?, ?, ?)",
        (task_id, attempt.fence, to_json(attempt)),
    )


def _write_audit(tx: Transaction, audit: Audit) -> None:
    """Write an audit into the trail of its subject, and, unless it is a part of another, among all.

    What was refused stands apart from what was done.
    """
    text, subject = to_json(audit), audit.subject if audit.result == DONE else f"refused#{audit.subject}"
    tx.execute("INSERT INTO audits (subject, at, audit) VALUES (?, ?, ?)", (subject, audit.at, text))
    if not audit.part:
        tx.execute("INSERT INTO trail (at, subject, audit) VALUES (?, ?, ?)", (audit.at, subject, text))


ACTS_EXAMINED = 1000
"""Audits that one page of their list looks at, at most."""

ACTS = "SELECT at, id, audit FROM trail WHERE ?1 IS NULL AND at >= ?2 AND (at, id) < (?3, ?4)"
ACTS_OF = """SELECT at, id, audit FROM audits
    WHERE subject IN (?1, 'refused#' || ?1) AND at >= ?2 AND (at, id) < (?3, ?4)"""


def _acts(connection: sqlite3.Connection, acts: Acts, before: tuple[float, int], limit: int, least: float) -> AuditPage:
    sql = f"{ACTS if acts.subject is None else ACTS_OF} ORDER BY at DESC, id DESC LIMIT {ACTS_EXAMINED + 1}"
    rows = connection.execute(sql, (acts.subject, least, *before)).fetchall()
    found = [(at, row, from_json(Audit, text)) for at, row, text in rows[:ACTS_EXAMINED]]
    matching = [it for it in found if acts.matches(it[2])]
    last = matching[limit - 1] if len(matching) > limit else found[-1] if len(rows) > ACTS_EXAMINED else None
    return AuditPage([it[2] for it in matching[:limit]], _cursor((last[0], str(last[1]))) if last else None)


def _read_row(cursor: str | None) -> tuple[float, int]:
    """The place of an audit in a cursor: its moment and its row. Raises InvalidRequest."""
    at, row = _read_cursor(cursor)
    if not re.fullmatch("[0-9]{0,18}", row):
        raise InvalidRequest(faults=(NO_CURSOR,))
    return at, int(row or 0)


def _mention(tx: Transaction, mention: Mention) -> bool:
    key = (mention.subject, mention.round, mention.channel_id)
    values = (mention.version, mention.notice_id, to_json(mention))
    if mention.version > 1:
        put = tx.execute(
            """UPDATE mentions SET version = ?, notice_id = ?, mention = ?, named = 0
               WHERE (subject, round, channel_id, version) = (?, ?, ?, ?)""",
            (*values, *key, mention.version - 1),
        )
    else:
        put = tx.execute(
            """INSERT INTO mentions (version, notice_id, mention, subject, round, channel_id, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (subject, round, channel_id) DO NOTHING""",
            (*values, *key, mention.created_at),
        )
    return put.rowcount == 1


def _settle(tx: Transaction, notice: Notice, mentions: Sequence[Mention]) -> Notice | None:
    added = tx.execute(
        """INSERT INTO notices (notice_id, version, lease_until, expires_at, notice) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (notice_id) DO NOTHING""",
        (notice.notice_id, notice.version, notice.lease_until, notice.expires_at, to_json(notice)),
    )
    if not added.rowcount:
        return None
    tx.executemany(
        "UPDATE mentions SET named = 1 WHERE (subject, round, channel_id, notice_id) = (?, ?, ?, ?)",
        [(it.subject, it.round, it.channel_id, notice.notice_id) for it in mentions],
    )
    return notice


def _put_notice(tx: Transaction, version: int, notice: Notice) -> bool:
    """Put the notice where its `version` is. False when there is another one, or none."""
    written = tx.execute(
        """UPDATE notices SET version = ?, lease_until = ?, expires_at = ?, notice = ?
           WHERE (notice_id, version) = (?, ?)""",
        (notice.version, notice.lease_until, notice.expires_at, to_json(notice), notice.notice_id, version),
    )
    return written.rowcount == 1


def _agree(tx: Transaction, name: str, version: int, record: str) -> bool:
    if version > 1:
        sql = "UPDATE agreed SET version = ?, record = ? WHERE name = ? AND version = ?"
        return tx.execute(sql, (version, record, name, version - 1)).rowcount == 1
    sql = "INSERT INTO agreed (version, record, name) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
    return tx.execute(sql, (version, record, name)).rowcount == 1


def _overwrite_channel(tx: Transaction, channel: Channel, text: str) -> bool:
    """The same, with zeros where the old row was (https://sqlite.org/pragma.html#pragma_secure_delete)."""
    tx.execute("PRAGMA secure_delete = ON").fetchall()
    return _save_channel(tx, channel, text, None)


def _save_channel(tx: Transaction, channel: Channel, text: str, audit: Audit | None) -> bool:
    if channel.version > 1:
        saved = tx.execute(
            "UPDATE channels SET version = ?, channel = ? WHERE channel_id = ? AND version = ?",
            (channel.version, text, channel.channel_id, channel.version - 1),
        )
    else:
        saved = tx.execute(
            """INSERT INTO channels (channel_id, version, created_at, channel) VALUES (?, ?, ?, ?)
               ON CONFLICT (channel_id) DO NOTHING""",
            (channel.channel_id, channel.version, channel.created_at, text),
        )
    return _audited(tx, saved, audit)


def _remove_channel(tx: Transaction, channel_id: str, audit: Audit) -> bool:
    return _audited(tx, tx.execute("DELETE FROM channels WHERE channel_id = ?", (channel_id,)), audit)


def _save_resend(tx: Transaction, resend: Resend, audit: Audit | None) -> bool:
    if resend.version > 1:
        saved = tx.execute(
            "UPDATE resends SET version = ?, expires_at = ?, resend = ? WHERE resend_id = ? AND version = ?",
            (resend.version, resend.expires_at, to_json(resend), resend.resend_id, resend.version - 1),
        )
    else:
        saved = tx.execute(
            """INSERT INTO resends (resend_id, version, started_at, expires_at, resend) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (resend_id) DO NOTHING""",
            (resend.resend_id, resend.version, resend.started_at, resend.expires_at, to_json(resend)),
        )
    return _audited(tx, saved, audit)


def _add_signing_secret(tx: Transaction, secret: SigningSecret, audit: Audit) -> None:
    sql = "INSERT INTO signing_secrets (secret_id, created_at, secret) VALUES (?, ?, ?)"
    _audited(tx, tx.execute(sql, (secret.secret_id, secret.created_at, to_json(secret))), audit)


def _add_caller(tx: Transaction, caller: Caller, audit: Audit) -> None:
    sql = "INSERT INTO callers (key_id, created_at, caller) VALUES (?, ?, ?)"
    _audited(tx, tx.execute(sql, (caller.key_id, caller.created_at, to_json(caller))), audit)


def _roster(connection: sqlite3.Connection) -> Roster:
    found = connection.execute("SELECT operator FROM operators ORDER BY name").fetchall()
    version = connection.execute("SELECT version FROM agreed WHERE name = 'roster'").fetchone()
    return Roster(version[0] if version else 0, tuple(from_json(Operator, text) for (text,) in found))


def _change_roster(tx: Transaction, version: int, sql: str, values: Sequence[str], audit: Audit) -> bool:
    return _agree(tx, "roster", version, "") and _audited(tx, tx.execute(sql, values), audit)


def _session(connection: sqlite3.Connection, session_id: str, operator: str) -> tuple[Session | None, Operator | None]:
    session = connection.execute("SELECT session FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
    by = connection.execute(OPERATOR, (operator,)).fetchone()
    return from_json(Session, session[0]) if session else None, from_json(Operator, by[0]) if by else None


def _add_session(tx: Transaction, session: Session, audit: Audit | None) -> None:
    sql = "INSERT INTO sessions (session_id, version, expires_at, session) VALUES (?, ?, ?, ?)"
    values = (session.session_id, session.version, session.expires_at, to_json(session))
    _audited(tx, tx.execute(sql, values), audit)


def _save_tries(tx: Transaction, tries: Tries) -> bool:
    values = (tries.of, tries.version, tries.expires_at, to_json(tries))
    if tries.version > 1:
        sql = "UPDATE tries SET version = ?2, expires_at = ?3, tries = ?4 WHERE of = ?1 AND version = ?2 - 1"
    else:
        sql = "INSERT INTO tries (of, version, expires_at, tries) VALUES (?, ?, ?, ?) ON CONFLICT (of) DO NOTHING"
    return tx.execute(sql, values).rowcount == 1


def _audited(tx: Transaction, change: sqlite3.Cursor, audit: Audit | None) -> bool:
    """Whether the change changed anything; if so, it is audited, if it is to be."""
    if change.rowcount and audit is not None:
        _write_audit(tx, audit)
    return change.rowcount > 0


def _touch(tx: Transaction) -> None:
    """Write something that is there already."""
    tx.execute(f"PRAGMA user_version = {len(SCHEMAS)}")


def _save_target(tx: Transaction, target: Target, audit: Audit) -> bool:
    saved = tx.execute(
        """INSERT INTO targets (name, version, target) VALUES (?1, ?2, ?3)
           ON CONFLICT (name) DO UPDATE SET version = ?2, target = ?3 WHERE version = ?2 - 1""",
        (target.name, target.version, to_json(target)),
    )
    return _audited(tx, saved, audit)


def _gate(execute: Execute, name: str) -> Gate:
    row = execute("SELECT gate FROM gates WHERE name = ?", (name,)).fetchone()
    return from_json(Gate, row[0]) if row else Gate()


def _pass_gate(tx: Transaction, name: str, decide: Callable[[Gate], tuple[Gate, T]]) -> T:
    gate = _gate(tx.execute, name)
    after, answer = decide(gate)
    if after != gate:
        _write_gate(tx, name, after)
    return answer


def _write_gate(tx: Transaction, name: str, gate: Gate) -> None:
    tx.execute("INSERT OR REPLACE INTO gates (name, gate) VALUES (?, ?)", (name, to_json(gate)))


EXPIRED = (
    "DELETE FROM resends WHERE expires_at <= ?",
    "DELETE FROM used WHERE expires_at <= ?",
    "DELETE FROM sessions WHERE expires_at <= ?",
    "DELETE FROM tries WHERE expires_at <= ?",
)


EXPIRED_TASKS = "SELECT id, task_id FROM tasks WHERE expires_at <= ? AND wake_at IS NULL LIMIT ?"
"""Those that nothing is owed of. Older releases gave `expires_at` to tasks whose notification was still owed."""


def _sweep(tx: Transaction, now: float, limit: int, audits_before: float) -> int:
    expired = tx.execute(EXPIRED_TASKS, (now, limit)).fetchall()
    for row, task_id in expired:
        tx.execute("DELETE FROM tasks WHERE id = ?", (row,))
        tx.execute("DELETE FROM requests WHERE id = ?", (row,))
        tx.execute("DELETE FROM attempts WHERE task_id = ?", (task_id,))
        tx.execute("DELETE FROM mentions WHERE subject = ?", (task_id,))
        tx.execute("DELETE FROM audits WHERE subject = ?", (task_id,))
    for sql in EXPIRED:
        tx.execute(sql, (now,))
    _sweep_audits(tx, audits_before, limit)
    _sweep_notices(tx, now, limit)
    return len(expired)


def _sweep_audits(tx: Transaction, before: float, limit: int) -> None:
    """The audits of before that moment; in the trail of a task that is there, they stay until it leaves."""
    sql = "SELECT id, subject FROM trail WHERE at <= ? ORDER BY at, id LIMIT ?"
    for row, subject in tx.execute(sql, (before, limit)).fetchall():
        tx.execute("DELETE FROM trail WHERE id = ?", (row,))
        tx.execute(
            """DELETE FROM audits WHERE subject = ?1 AND at <= ?2
               AND NOT EXISTS (SELECT 1 FROM tasks WHERE task_id = ?1)""",
            (subject, before),
        )


EXPIRED_NOTICES = f"""SELECT notice_id FROM notices
    WHERE expires_at <= ? AND json_extract(notice, '$.status') IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM mentions JOIN tasks ON task_id = subject
        WHERE mentions.notice_id = notices.notice_id AND tasks.status = '{Status.EXHAUSTED}' AND wake_at IS NOT NULL
    ) LIMIT ?"""  # noqa: S608 - only the name of a status is put in
"""Those that have ended (the status of others is left out) and of which every task has learned that."""


def _sweep_notices(tx: Transaction, now: float, limit: int) -> None:
    """With a notice goes what is left of those that it named, such as targets: they are no tasks that leave."""
    expired = tx.execute(EXPIRED_NOTICES, (now, limit)).fetchall()
    for notice in expired:
        tx.execute("DELETE FROM notices WHERE notice_id = ?", notice)
        tx.execute("DELETE FROM mentions WHERE notice_id = ?", notice)


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────


def _checked(connection: sqlite3.Connection) -> Ledger | None:
    row = connection.execute("SELECT ledger FROM checks").fetchone()
    return row and from_json(Ledger, row[0])


def _ledger(connection: sqlite3.Connection, now: float, retention: float) -> Ledger:
    """Both sides as of one moment, so that nothing can come between them: the book goes on to this very moment."""
    last = _checked(connection)
    since = ledger.opens(last, retention=retention, now=now)
    (entered,) = connection.execute(ENTERED, (since,)).fetchone()
    rows = connection.execute(ROWS, (since,)).fetchall()
    found = Ledger(
        since=since,
        until=now,
        retention=retention,
        entered=entered,
        beside=sum(older for *_, older in rows),
        standing={status: count for status, count, _ in rows},
        checked_at=now,
    )
    return ledger.close(last, found)


ENTERED = "SELECT coalesce(sum(n), 0) FROM counters WHERE unit = 'day' AND start >= ? AND name = 'accepted'"
ROWS = "SELECT status, count(*), sum(created_at < ?) FROM tasks INDEXED BY tasks_by_status GROUP BY status"


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


MOST_EXAMINED = 5000
"""Rows that one page looks at, at most: some ten milliseconds, however rare the matches are."""

MOST_COUNTED = 100_000
"""Rows that one look for the size of the list counts, at most: about a tenth of a second."""

Place = tuple[float, str]
"""Where a task stands in the list: created_at and task_id. A page holds what stands before a place."""


def _page(connection: sqlite3.Connection, query: Query, before: Place, limit: int) -> Page:
    rows = _listed(connection, query, before)
    found: list[int] = []
    place = before
    for row, created_at, task_id, wanted in islice(rows, MOST_EXAMINED):
        place = (created_at, task_id)
        if wanted:
            found.append(row)
        if len(found) == limit:
            break
    there_is_more = next(rows, None) is not None
    tasks = list(_readable(connection.execute(f"{TASKS} WHERE id = ?", (row,)).fetchone() for row in found))
    return Page(tasks, _cursor(place) if there_is_more else None)


def _size(connection: sqlite3.Connection, query: Query, before: Place) -> tuple[int, str | None]:
    rows = _listed(connection, query, before)
    matching = 0
    place = before
    for _, created_at, task_id, wanted in islice(rows, MOST_COUNTED):
        place = (created_at, task_id)
        matching += bool(wanted)
    return matching, None if next(rows, None) is None else _cursor(place)


def _listed(connection: sqlite3.Connection, query: Query, before: Place) -> Iterator[tuple[int, float, str, int]]:
    """Each row that the best index for the query leads to, newest first, and whether it matches the rest of it."""
    column = _leading(query)
    until, task_id = min(before, (inf if query.until is None else query.until, ""))
    wanted = [f"{name} = :{name}" for name in FILTERS if name != column and getattr(query, name) is not None]
    if query.due_after is not None:
        wanted.append(SCHEDULED)
    if query.q is not None:
        wanted.append("instr(url, :q)")
    if query.error is not None:
        wanted.append(f"{ERROR} = :error")
    if query.held is not None:
        wanted.append("json_extract(task, '$.held') = :held")
    return connection.execute(
        f"""SELECT id, created_at, task_id, {" AND ".join(wanted) or "1"}
            FROM tasks INDEXED BY tasks_by_{column or "time"}
            WHERE (created_at, task_id) < (:until, :task_id) AND created_at >= :since
              {f"AND {column} = :{column}" if column else ""}
            ORDER BY created_at DESC, task_id DESC""",  # noqa: S608 - only names of columns are put in
        {
            **{name: getattr(query, name) for name in (*FILTERS, "q", "due_after", "error", "held")},
            "since": -inf if query.since is None else query.since,
            "until": until,
            "task_id": task_id,
        },
    )


SCHEDULED = "max(json_extract(task, '$.updated_at'), :due_after) < json_extract(task, '$.due_at')"
"""Of a pending task: `Task.is_scheduled`, and due after that."""

ERROR = f"""coalesce(
    CASE json_extract(task, '$.last.kind')
        WHEN '{Kind.REPLY}' THEN substr(coalesce(json_extract(task, '$.last.reason'), ''), 1, {MOST_OF_ERROR})
        ELSE json_extract(task, '$.last.kind')
    END, json_extract(task, '$.because'), '')"""
"""`Task.error`."""

FILTERS = ("target", "target_app", "source_app", "status")
"""The columns that a query may ask for and that have an index, the one that tells most apart first."""


def _leading(query: Query) -> str | None:
    """The column whose index leads to the fewest rows. Most tasks are delivered; any other status is rare."""
    asked = [name for name in FILTERS if getattr(query, name) is not None]
    rare = query.status not in (None, Status.DELIVERED) or query.due_after is not None
    return "status" if rare else next(iter(asked), None)


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(dumps(list(place)).encode()).decode()


NO_CURSOR = Fault("query:cursor", "must be the cursor of an earlier page")


def _read_cursor(cursor: str | None) -> Place:
    """The place in a cursor; beyond everything when there is none. Raises InvalidRequest."""
    if cursor is None:
        return inf, ""
    try:
        created_at, task_id = json.loads(base64.urlsafe_b64decode(cursor if len(cursor) <= MOST_CURSOR else ""))
        task_id.encode()
        return float(created_at), task_id
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidRequest(faults=(NO_CURSOR,)) from error


# ── the queues ───────────────────────────────────────────────────────────────────────────────────


VISIBILITY = {Queue.TASKS: 540, Queue.EXHAUSTED: 360}
"""Seconds that a message in hand is hidden from others; keep in step with `infra/template.yaml`."""

IN_HAND = {Queue.TASKS: 480, Queue.EXHAUSTED: 40}
"""Messages of each queue that are worked on at once on one computer. Those of targets that hang must not be all of
them: see `_Hands`."""

MOST_RECEIVES = 1000
"""Receives after which a task's message goes to the exhausted queue; keep in step with `infra/template.yaml`."""

BATCH = 10
"""Messages that one call of SQS receives, at most."""

MOST_WAIT = 20
"""Seconds that one call of SQS waits for a message, at most."""

SURFACED = 100
"""Messages whose wait is over that one receive makes ready, at most: it must not hold up the others."""

COUNT_LASTS = 1.0
"""Seconds for which the number of messages in flight is not counted again."""


class EmbeddedQueues:
    """The port Queues, with the limits of SQS; see `ports.py` for what each method does."""

    def __init__(self, database: Database, clock: Clock, visibility: Mapping[Queue, float] = VISIBILITY) -> None:
        self._database = database
        self._clock = clock
        self._visibility = visibility
        self._lines = {queue: _Line() for queue in Queue}
        self._turns = dict.fromkeys(Queue, "")
        self._hands = {queue: _Hands(IN_HAND[queue]) for queue in Queue}
        self._counted: dict[Queue, tuple[float, int]] = {}

    def send(self, queue: Queue, message: Message | News, *, group: str, delay: float = 0) -> None:
        """Send. Raises ValueError for a delay that SQS does not take, or without a group."""
        self.send_all(queue, [Parcel(message, group, delay)])

    def send_all(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """Send many in one write."""
        if not all(0 <= parcel.delay <= MOST_DELAY and parcel.group for parcel in parcels):
            raise ValueError(f"a delay is 0 to {MOST_DELAY} seconds, and a group has a name")
        now = self._clock.now()
        sql = "INSERT INTO messages (queue, group_name, body, state, visible_at) VALUES (?, ?, ?, ?, ?)"
        rows = [
            (queue, it.group, encode(it.message), "waiting" if it.delay else "ready", now + it.delay) for it in parcels
        ]
        self._database.run(sql, rows)
        self._lines[queue].ring()

    def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
        """Set visibilities. Raises ValueError, and sets none, for one beyond 12 hours since its receipt."""
        self._database.write(partial(_hide, queue=queue, waits=waits, now=self._clock.now()))
        self._lines[queue].ring()

    def receive(self, queue: Queue, *, limit: int = BATCH, wait: float = 0) -> list[Received]:
        """Up to `limit` messages. Raises ValueError for a limit or a wait that SQS does not take."""
        if not 1 <= limit <= BATCH or not 0 <= wait <= MOST_WAIT:
            raise ValueError(f"a limit is 1 to {BATCH} messages, and a wait 0 to {MOST_WAIT} seconds")
        return self._take(queue, limit) or (self._wait(queue, limit, wait) if wait else [])

    def delete(self, queue: Queue, receipts: Sequence[str]) -> None:
        """Finish messages; a receipt that is not valid is passed over."""
        sql = "DELETE FROM messages WHERE id = ? AND count = ? AND queue = ?"
        handles = [(*_handle(receipt), queue) for receipt in receipts]
        self._hands[queue].put_down()
        self._database.run(sql, handles)
        self._lines[queue].ring()  # a group that had its share may have more now

    def in_flight(self, queue: Queue) -> int:
        """About how many messages are received and not finished, as of the last second."""
        now = self._clock.now()
        at, count = self._counted.get(queue, (-inf, 0))
        if not at <= now < at + COUNT_LASTS:
            count = self._look(IN_FLIGHT, queue, now)
            self._counted[queue] = (now, count)
        return count

    def _look(self, sql: str, *values: Any) -> Any:
        return self._database.read(lambda connection: connection.execute(sql, values).fetchone()[0])

    def _take(self, queue: Queue, limit: int) -> list[Received]:
        """Up to `limit` messages that are there now."""
        take = partial(
            _take,
            queue=queue,
            limit=limit,
            after=self._turns[queue],
            now=self._clock.now(),
            visibility=self._visibility[queue],
            allowance=self._hands[queue].allowance(),
        )
        taken = self._database.write(take)
        self._hands[queue].take(taken.groups)
        self._turns[queue] = taken.turn
        if taken.spent:
            self._lines[Queue.EXHAUSTED].ring()
        return taken.messages

    def _wait(self, queue: Queue, limit: int, wait: float) -> list[Received]:
        """Wait in line. How long a thread sleeps is real time, whatever the clock says."""
        line, until = self._lines[queue], time.monotonic() + wait
        with line.place() as place:
            while (left := until - time.monotonic()) > 0:
                place.clear()
                first = line.is_first(place)
                if first and (taken := self._take(queue, limit)):
                    return taken
                place.wait(min(left, self._next_in(queue)) if first else left)
        return []

    def _next_in(self, queue: Queue) -> float:
        """Seconds until a message's wait is over."""
        at = self._look(NEXT_VISIBLE, queue)
        return inf if at is None else max(0.0, at - self._clock.now())


class _Hands:
    """Whose messages are worked on. A thread has done with those that it took when it deletes or receives again.

    A group may have three times as many in hand as there is room for more: one group three quarters of all, two three
    sevenths each. So whatever hangs, a group that has none finds room; and a group that has its share takes as many as
    it has finished, instead of ten. (The threshold of Choudhury and Hahne, 1998, for buffers that many share.)
    """

    SHARE = 3

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._taken: WeakKeyDictionary[Thread, Sequence[str]] = WeakKeyDictionary()

    def take(self, groups: Sequence[str]) -> None:
        """This thread works on messages of these groups."""
        with self._lock:
            self._taken[current_thread()] = groups

    def put_down(self) -> None:
        """This thread has none."""
        with self._lock:
            self._taken.pop(current_thread(), None)

    def allowance(self) -> Callable[[str], int]:
        """For this thread, which has none: how many messages of a group it may take."""
        self.put_down()
        with self._lock:
            in_hand = Counter(chain.from_iterable(self._taken.values()))
        room = self._most - in_hand.total()
        return lambda group: max(0, ceil((self.SHARE * room - in_hand[group]) / (self.SHARE + 1)))


class _Line:
    """Those who wait at one queue, in order. Only the first watches the queue; when it leaves, the next one does.

    So a message wakes one of forty who wait, and nobody asks again and again.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._places: deque[Event] = deque()

    @contextmanager
    def place(self) -> Iterator[Event]:
        """A place at the end of the line, set when whoever stands there is to look."""
        place = Event()
        with self._lock:
            self._places.append(place)
        try:
            yield place
        finally:
            with self._lock:
                self._places.remove(place)
            self.ring()

    def is_first(self, place: Event) -> bool:
        """Whether nobody stands before it."""
        with self._lock:
            return self._places[0] is place

    def ring(self) -> None:
        """The queue has changed: let the first one look."""
        with self._lock:
            if self._places:
                self._places[0].set()


IN_FLIGHT = """SELECT count(*) FROM messages INDEXED BY messages_timed
    WHERE queue = ? AND state <> 'ready' AND visible_at > ? AND count > 0"""
NEXT_VISIBLE = "SELECT min(visible_at) FROM messages INDEXED BY messages_timed WHERE queue = ? AND state <> 'ready'"


@dataclass(frozen=True, slots=True)
class _Taken:
    """Messages in hand and their groups, the group that had its turn last, and whether any was received too often."""

    messages: list[Received]
    groups: Sequence[str]
    turn: str
    spent: bool


def _take(
    tx: Transaction,
    *,
    queue: Queue,
    limit: int,
    after: str,
    now: float,
    visibility: float,
    allowance: Callable[[str], int],
) -> _Taken:
    spent = _surface(tx, queue, now)
    groups = list(islice(filter(allowance, _groups_in_turn(tx, queue, after)), limit))
    offers = [(_in_hand(tx, queue, group), _ready(tx, queue, group, min(limit, allowance(group)))) for group in groups]
    of_group = {message: group for group, (_, messages) in zip(groups, offers, strict=True) for message in messages}
    taken = fairly(offers, limit)
    messages = [_hand_over(tx, message, now, visibility) for message in taken]
    return _Taken(messages, [of_group[message] for message in taken], groups[-1] if groups else after, spent)


def _surface(tx: Transaction, queue: Queue, now: float) -> bool:
    """Make messages ready whose wait is over. Whether one of them was received too often, and is moved instead."""
    over = tx.execute(
        """SELECT id, count FROM messages INDEXED BY messages_timed
           WHERE queue = ? AND state <> 'ready' AND visible_at <= ? ORDER BY visible_at LIMIT ?""",
        (queue, now, SURFACED),
    ).fetchall() or _hidden_for_too_long(tx, queue, now)
    spent = [(message,) for message, count in over if queue is Queue.TASKS and count >= MOST_RECEIVES]
    tx.executemany("UPDATE messages SET state = 'ready' WHERE id = ?", [(message,) for message, _ in over])
    tx.executemany(f"UPDATE messages SET queue = '{Queue.EXHAUSTED}', count = 0 WHERE id = ?", spent)  # noqa: S608
    return bool(spent)


def _hidden_for_too_long(tx: Transaction, queue: Queue, now: float) -> list[tuple[int, int]]:
    """Messages that are hidden for longer than any may be: the clock was ahead when they were, and was set back."""
    beyond = now + MOST_VISIBILITY + TOLERANCE_SECONDS
    return tx.execute(
        """SELECT id, count FROM messages INDEXED BY messages_timed
           WHERE queue = ? AND state <> 'ready' AND visible_at > ? ORDER BY visible_at LIMIT ?""",
        (queue, beyond, SURFACED),
    ).fetchall()


def _groups_in_turn(tx: Transaction, queue: Queue, after: str) -> Iterator[str]:
    """The groups that have a ready message: from the one after `after` on, and round to it again."""
    return chain(_groups(tx, queue, after), takewhile(lambda group: group <= after, _groups(tx, queue, "")))


def _groups(tx: Transaction, queue: Queue, after: str) -> Iterator[str]:
    """The groups that have a ready message and come after `after`: one step in the index for each."""
    sql = """SELECT min(group_name) FROM messages INDEXED BY messages_ready
             WHERE queue = ? AND state = 'ready' AND group_name > ?"""
    group: str | None = after
    while (group := tx.execute(sql, (queue, group)).fetchone()[0]) is not None:
        yield group


def _in_hand(tx: Transaction, queue: Queue, group: str) -> int:
    """How many messages of the group are being worked on."""
    sql = """SELECT count(*) FROM messages INDEXED BY messages_in_hand
             WHERE queue = ? AND state = 'in hand' AND group_name = ?"""
    count: int = tx.execute(sql, (queue, group)).fetchone()[0]
    return count


def _ready(tx: Transaction, queue: Queue, group: str, limit: int) -> list[int]:
    sql = """SELECT id FROM messages INDEXED BY messages_ready
             WHERE queue = ? AND state = 'ready' AND group_name = ? ORDER BY id LIMIT ?"""
    return [message for (message,) in tx.execute(sql, (queue, group, limit))]


def fairly(offers: Sequence[tuple[int, Sequence[int]]], limit: int) -> list[int]:
    """Up to `limit` messages out of what each group offers: (how many it has in hand, messages).

    Each goes to the group that has the fewest in hand by then, so that a slow or a busy target takes
    no more of the workers than the others leave.
    """
    ranked = [
        (in_hand + nth, place, message)
        for place, (in_hand, messages) in enumerate(offers)
        for nth, message in enumerate(messages)
    ]
    return [message for *_, message in sorted(ranked)[:limit]]


def _hand_over(tx: Transaction, message: int, now: float, visibility: float) -> Received:
    tx.execute(
        "UPDATE messages SET state = 'in hand', visible_at = ?, received_at = ?, count = count + 1 WHERE id = ?",
        (now + visibility, now, message),
    )
    body, count = tx.execute("SELECT body, count FROM messages WHERE id = ?", (message,)).fetchone()
    return Received(message_id=str(message), receipt=f"{message}:{count}", body=body, count=count)


def _handle(receipt: str) -> tuple[int, int]:
    """The message that a receipt names, and which receive of it; (0, 0), which names none, for anything else."""
    parts = re.fullmatch(r"([1-9]\d{0,17}):([1-9]\d{0,17})", receipt, re.ASCII)
    return (int(parts[1]), int(parts[2])) if parts else (0, 0)


def _hide(tx: Transaction, queue: Queue, waits: Mapping[str, float], now: float) -> None:
    for receipt, wait in waits.items():
        if not 0 <= wait <= MOST_VISIBILITY:
            raise ValueError(f"a wait is 0 to {MOST_VISIBILITY} seconds")
        _hide_one(tx, (*_handle(receipt), queue, now), until=now + wait)


def _hide_one(tx: Transaction, handle: tuple[int, int, Queue, float], until: float) -> None:
    """Hide the message until then, if it is still in hand. Raises ValueError beyond what SQS allows in all."""
    valid = "id = ? AND count = ? AND queue = ? AND state <> 'ready' AND visible_at > ?"
    row = tx.execute(f"SELECT received_at FROM messages WHERE {valid}", handle).fetchone()  # noqa: S608 - as above
    if row and until > row[0] + MOST_VISIBILITY:
        raise ValueError(f"the waits of a receipt end within {MOST_VISIBILITY} seconds of its receive")
    tx.execute(f"UPDATE messages SET state = 'waiting', visible_at = ? WHERE {valid}", (until, *handle))  # noqa: S608
