"""What only the file has: it survives, it is shared by one fsync, it fills up, and it is found again after a crash."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from chalicelib import embedded, life
from chalicelib.database_file import MEMORY
from chalicelib.embedded import Database, EmbeddedQueues, EmbeddedStore, Transaction, fairly, open_embedded
from chalicelib.errors import SettingsError, Unavailable
from chalicelib.notify.gather import notices_of
from chalicelib.ports import Message, Query, Queue, Received, decode
from chalicelib.settings import load
from chalicelib.task import Gate, Gist, Status, Task, Verdict, evolve
from infra.resources import template
from tests.contract.backends import FakeClock
from tests.contract.samples import (
    DAY,
    GRACE,
    HOUR,
    LEASE,
    NOW,
    RETENTION,
    VAULT,
    at_once,
    attempt,
    audit,
    channel,
    mention,
    notice,
    request,
    resend,
    task,
)

ROOT = Path(__file__).parents[2]
GROUP = "https://partner.example:443"

Opened = tuple[EmbeddedStore, EmbeddedQueues]


@contextmanager
def opened(path: Path | str, clock: FakeClock | None = None) -> Iterator[Opened]:
    store, queues = open_embedded(str(path), load({}), clock or FakeClock(), VAULT)
    yield store, queues
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kkbida.db"


@pytest.fixture
def store(path: Path) -> Iterator[EmbeddedStore]:
    with opened(path) as (store, _):
        yield store


def claimed(store: EmbeddedStore, waiting: Task) -> Task:
    owned = store.claim(waiting.task_id, waiting.ticket, now=NOW + 1, lease=LEASE)
    assert isinstance(owned, Task)
    return owned


# ── it survives ──────────────────────────────────────────────────────────────────────────────────


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(store: EmbeddedStore) -> None:
    """FULL (2): with less, SQLite leaves the write to the operating system, and a power failure loses it."""
    assert store.database._writer.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_restart_frees_the_slots_and_the_probe_of_attempts_that_died_with_the_process(path: Path) -> None:
    taken = Gate(inside={"a": int(NOW) + DAY}, probe="a", probe_until=NOW + DAY)
    with opened(path) as (store, _):
        store.pass_gate(GROUP, lambda _: (taken, None))
    with opened(path) as (store, _):
        assert store.gate(GROUP) == Gate()


ADD_FOR_EVER = r"""
import os, sys, threading
from chalicelib.embedded import open_embedded
from chalicelib.settings import load
from tests.contract.backends import FakeClock
from tests.contract.samples import task

store, _ = open_embedded(sys.argv[1], load({}), FakeClock())

def add():
    while True:
        new = task()
        store.add(new)
        os.write(1, f"{new.task_id}\n".encode())

for _ in range(4):
    threading.Thread(target=add).start()
"""


def test_whatever_was_answered_is_there_after_a_kill(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ADD_FOR_EVER, path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    answered = [child.stdout.readline().strip() for _ in range(200)]
    child.kill()
    answered += [line.strip() for line in child.stdout if len(line) == len(answered[0]) + 1]
    child.wait()
    with opened(path) as (store, _):
        assert [task_id for task_id in answered if store.get(task_id) is None] == []
        assert store.totals()["accepted"] == store.totals()["in_pending"] >= len(answered)


def test_everything_is_there_after_it_was_closed(path: Path) -> None:
    with opened(path) as (store, queues):
        new = task()
        store.add(new)
        owned = claimed(store, new)
        ended = life.delivered(owned, attempt(owned, Verdict.DELIVERED), now=NOW + 2, retention=RETENTION)
        store.replace(owned, ended, audit(new.task_id))
        store.mention(mention(new.task_id))
        store.settle(notice(), store.gathered("n-1", 10))
        store.save_channel(channel(), audit("team"))
        queues.send(Queue.EXHAUSTED, Message(new.task_id, 2), group=GROUP)
        totals = store.totals()
    with opened(path) as (store, queues):
        assert store.get(new.task_id) == ended
        assert store.attempts(ended) == [ended.last]
        assert store.audits(new.task_id) == [audit(new.task_id)]
        assert store.mentions(new.task_id) == [mention(new.task_id)]
        assert store.notice("n-1") == notice()
        assert store.names(notice(), mention(new.task_id))
        assert store.channels() == [channel()]
        assert store.totals() == totals
        assert [decode(message.body).ticket for message in queues.receive(Queue.EXHAUSTED)] == [2]


# ── many threads, one writer ─────────────────────────────────────────────────────────────────────


def test_messages_that_many_threads_send_at_once_are_all_there(path: Path) -> None:
    with opened(path) as (store, queues):
        message = Message("t", 1)

        def send(_: int) -> None:
            for _ in range(200):
                queues.send(Queue.TASKS, message, group=GROUP)

        at_once(16, send)
        assert store._rows("SELECT count(*) FROM messages") == [(3200,)]


def test_no_write_answers_with_a_cursor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lets go of one resets its statement, which the writer may be at again."""
    answers: list[Any] = []
    write = Database.write

    def noted(self: Database, operation: Any) -> Any:
        answers.append(write(self, operation))
        return answers[-1]

    monkeypatch.setattr(Database, "write", noted)
    with opened(path) as (store, queues):
        queues.send(Queue.TASKS, Message("t", 1), group=GROUP)
        [received] = queues.receive(Queue.TASKS)
        queues.hide(Queue.TASKS, {received.receipt: 0})
        queues.delete(Queue.TASKS, [received.receipt])
        store.recount(NOW, RETENTION)
        store.ping()
        store.sweep(NOW, 10)
    assert len(answers) == 8
    outermost = [it for answer in answers for it in (answer if isinstance(answer, list) else [answer])]
    assert not any(isinstance(it, sqlite3.Cursor) for it in outermost)


# ── it is found again after a crash ──────────────────────────────────────────────────────────────


def test_a_claim_of_a_dead_process_ends_when_the_file_is_opened(path: Path) -> None:
    with opened(path) as (store, _):
        store.add(task("t-1"))
        store.add(task("t-2", asked=request(body="上海" * 10_000)))
        owned = [claimed(store, task("t-1")), claimed(store, task("t-2"))]
    with opened(path) as (store, _):
        freed = [store.get("t-1"), store.get("t-2")]
        assert freed == [evolve(one, lease_until=0) for one in owned], "nothing else about them changes"
        assert [one.verdict for one in store.attempts(freed[0] or owned[0])] == [Verdict.INTERRUPTED]
        again = store.claim("t-1", 1, now=NOW + 2, lease=LEASE)
        assert isinstance(again, Task)
        assert (again.number, again.fence) == (2, 2)


def test_messages_that_a_dead_process_had_in_hand_come_at_once(path: Path) -> None:
    with opened(path) as (_, queues):
        queues.send(Queue.TASKS, Message("t-1", 1), group=GROUP)
        (before,) = queues.receive(Queue.TASKS)
    with opened(path) as (_, queues):
        (after,) = queues.receive(Queue.TASKS)
        assert (after.message_id, after.count) == (before.message_id, 2)


def test_messages_that_wait_for_their_time_still_wait(path: Path) -> None:
    clock = FakeClock()
    with opened(path, clock) as (_, queues):
        queues.send(Queue.TASKS, Message("hidden", 1), group=GROUP)
        queues.hide(Queue.TASKS, {message.receipt: 60 for message in queues.receive(Queue.TASKS)})
        queues.send(Queue.TASKS, Message("delayed", 1), group=GROUP, delay=60)
    with opened(path, clock) as (_, queues):
        assert queues.receive(Queue.TASKS) == []
        clock.move(60)
        assert names(queues.receive(Queue.TASKS)) == ["delayed", "hidden"]


def test_a_notice_that_a_dead_process_was_sending_is_free(path: Path) -> None:
    leased = notice(lease_until=NOW + 30)
    with opened(path) as (store, _):
        store.settle(leased, [])
    with opened(path) as (store, _):
        assert store.notice("n-1") == evolve(leased, lease_until=0)


# ── one process owns it ──────────────────────────────────────────────────────────────────────────


def test_a_second_process_is_told_who_has_the_file_and_what_to_do(path: Path, store: EmbeddedStore) -> None:
    program = "import sys; from chalicelib.embedded import Database; Database(sys.argv[1])"
    second = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert second.returncode == 1
    assert f"SettingsError: {path} is in use by process {os.getpid()}. Stop that one" in second.stderr
    assert store.add(task()) is None


def test_the_file_can_be_opened_again_once_it_is_closed(path: Path) -> None:
    with opened(path), pytest.raises(SettingsError), opened(path):
        pass
    with opened(path) as (store, _):
        store.ping()


def test_nobody_else_may_read_the_file(path: Path, store: EmbeddedStore) -> None:
    store.save_channel(channel(), audit("team"))
    assert {file.name: file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {
        "kkbida.db": 0,
        "kkbida.db-wal": 0,
        "kkbida.db-shm": 0,
        "kkbida.db.lock": 0,
    }


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    with opened(tmp_path / "new" / "folder" / "kkbida.db") as (store, _):
        store.ping()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(newer, "newer kkbida", id="of a newer version"),
        pytest.param(lambda path: path.write_text("hello " * 1000), "is damaged", id="no database"),
        pytest.param(lambda path: path.mkdir(), "cannot be used", id="a folder"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(path: Path, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(path)
    for _ in range(2):  # the second time too: it lets go of what it could not use
        with pytest.raises(SettingsError, match=said) as refused, opened(path):
            pass
        assert str(path) in str(refused.value)


# ── a file of an earlier version ─────────────────────────────────────────────────────────────────


@pytest.fixture
def first_version(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((ROOT / "tests" / "unit" / "version-1.sql").read_text())
    connection.close()
    return path


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(found)


def test_a_file_of_the_first_version_opens_with_all_it_has_and_does_all_there_is(first_version: Path) -> None:
    for _ in range(2):  # the second time it is one of this version
        with opened(first_version) as (store, queues):
            stand = {name: (it := store.get(name)) and str(it.status) for name in ("pending", "retrying", "delivered")}
            assert stand == {name: name for name in stand}
            assert store.channels() == [channel(version=2)], "its address was encrypted, which is a change"
            [(mentioned, told)] = notices_of(store, "delivered")
            assert (mentioned.channel_id, mentioned.round) == ("team", 1)
            assert told is not None
            assert (told.status, told.gist) == ("pending", Gist(tasks=1, first=("delivered",)))
            assert queues.in_flight(Queue.TASKS) == 0
            found = store.ledger(NOW, RETENTION)
            assert (found.accepted, found.balanced) == (3, True)
            store.recount(NOW, RETENTION)
            assert store.checked() == found
            store.save_resend(resend())
            assert store.resends() == [resend()]
            assert store.signing_secrets() == []
        assert version(first_version) == len(embedded.SCHEMAS) > 1


def test_a_file_that_could_not_be_brought_up_to_date_is_as_it_was(
    first_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "SCHEMAS", (embedded.SCHEMA_1, "CREATE TABLE half (n); CREATE TABLE half (n);"))
        with pytest.raises(SettingsError, match="cannot be used"), opened(first_version):
            pass
    assert version(first_version) == 1
    with opened(first_version) as (store, _):
        assert store._rows("SELECT name FROM sqlite_master WHERE name = 'half'") == []
        assert store.ledger(NOW, RETENTION).accepted == 3


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────


def test_the_last_check_is_there_after_it_was_closed(path: Path) -> None:
    with opened(path) as (store, _):
        store.add(task())
        store.recount(NOW, RETENTION)
        found = store.checked()
    with opened(path) as (store, _):
        assert store.checked() == found is not None


def test_both_sides_of_the_ledger_are_of_one_moment(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first_look = embedded._checked

    def meanwhile(connection: sqlite3.Connection) -> Any:
        found = first_look(connection)
        store.add(task())
        return found

    monkeypatch.setattr(embedded, "_checked", meanwhile)
    checks = [store.ledger(NOW, RETENTION) for _ in range(3)]
    assert [(found.entered, found.gap) for found in checks] == [(0, 0), (1, 0), (2, 0)]


def test_whoever_looks_while_tasks_pour_in_sees_a_ledger_that_adds_up(store: EmbeddedStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(lambda: [store.add(task()) for _ in range(150)]) for _ in range(4)]
        looks = [store.ledger(NOW, RETENTION)]
        while not all(each.done() for each in adding):
            looks.append(store.ledger(NOW, RETENTION))
    assert {found.gap for found in looks} == {0}
    assert len({found.accepted for found in looks}) > 10, "it was looked at all the while"
    assert store.ledger(NOW, RETENTION).accepted == 600


# ── one fsync for all who wait ───────────────────────────────────────────────────────────────────


@contextmanager
def writer_held(database: Database) -> Iterator[None]:
    """Nothing else is written meanwhile; what is asked for joins the group, and is committed with it."""
    holds, go_on = Event(), Event()

    def hold(_: Transaction) -> None:
        holds.set()
        go_on.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(database.write, hold)  # what becomes of it is the group's fate, and tested there
        holds.wait()
        yield
        go_on.set()


def as_one_group(database: Database, *operations: Callable[[], Any]) -> list[Any]:
    """What the operations return or raise when all of them are written in one group."""
    with ThreadPoolExecutor(len(operations)) as pool:
        with writer_held(database):
            answers = [pool.submit(operation) for operation in operations]
            wait_until(lambda: len(database._waiting) == len(operations))
        return [answer.exception() or answer.result() for answer in answers]


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_whatever_waits_is_committed_once(store: EmbeddedStore) -> None:
    statements: list[str] = []
    store.database._writer.set_trace_callback(statements.append)
    answers = as_one_group(store.database, *(lambda n=n: store.add(task(f"t-{n}")) for n in range(20)))
    assert answers == [None] * 20
    assert statements.count("COMMIT") == 1
    rows = [statement for statement in statements if statement.startswith("INSERT INTO counters")]
    assert len(rows) == 6, "accepted and in_pending: in all, of the hour and of the day"
    assert store.totals() == {"accepted": 20, "in_pending": 20}


def test_one_that_fails_takes_nobody_with_it(store: EmbeddedStore) -> None:
    def add_and_fail(tx: Transaction) -> None:
        embedded._add(tx, task("half"))
        raise RuntimeError("after all that")

    first, failed, last = as_one_group(
        store.database,
        lambda: store.add(task("first")),
        lambda: store.database.write(add_and_fail),
        lambda: store.add(task("last")),
    )
    assert (first, str(failed), last) == (None, "after all that", None)
    assert [store.get(name) is not None for name in ("first", "half", "last")] == [True, False, True]
    assert store.totals() == {"accepted": 2, "in_pending": 2}


def test_nobody_sees_what_is_not_committed(store: EmbeddedStore) -> None:
    written, go_on = Event(), Event()

    def add_slowly(tx: Transaction) -> None:
        embedded._add(tx, task("t-1"))
        written.set()
        go_on.wait()

    adding = threading.Thread(target=store.database.write, args=(add_slowly,))
    adding.start()
    written.wait()
    assert store.get("t-1") is None
    go_on.set()
    adding.join()
    assert store.get("t-1") is not None


def test_in_memory_there_are_no_threads() -> None:
    before = threading.active_count()
    with opened(MEMORY) as (store, queues):
        store.add(task())
        queues.receive(Queue.TASKS, wait=0.01)
        assert threading.active_count() == before


def test_what_waits_when_it_is_closed_is_still_written(path: Path) -> None:
    with opened(path) as (store, _), ThreadPoolExecutor(2) as pool:
        with writer_held(store.database):
            adding = pool.submit(store.add, task("t-1"))
            wait_until(lambda: len(store.database._waiting) == 1)
            closing = pool.submit(store.close)
            wait_until(lambda: store.database._closed)
        assert adding.result() is None
        closing.result()
    with opened(path) as (store, _):
        assert store.get("t-1") is not None


@pytest.mark.parametrize("where", ["file", MEMORY])
def test_a_closed_file_serves_nobody_and_hangs_nobody(where: str, path: Path) -> None:
    with opened(path if where == "file" else MEMORY) as (store, queues):
        store.close()
        for ask in (store.ping, lambda: store.add(task()), lambda: queues.receive(Queue.TASKS)):
            with pytest.raises(Unavailable):
                ask()


# ── it fills up, and fails ───────────────────────────────────────────────────────────────────────


def large() -> Task:
    return task("large", asked=request(body="x" * 200_000))


def pages(store: EmbeddedStore, most: int) -> None:
    """Let the file have `most` pages: SQLite then behaves as on a full disk."""
    store.database.write(lambda tx: tx.execute(f"PRAGMA max_page_count = {most}").fetchone())


@pytest.mark.parametrize("where", ["file", MEMORY])
def test_a_full_disk_refuses_and_half_does_nothing_and_is_no_end(where: str, path: Path) -> None:
    with opened(path if where == "file" else MEMORY) as (store, _):
        store.add(task("before"))
        pages(store, 60)
        with pytest.raises(Unavailable, match="full"):
            store.add(large())
        assert store.get("large") is None
        assert store.totals() == {"accepted": 1, "in_pending": 1}
        pages(store, 100_000)
        assert store.add(large()) is None
        assert store.get("large") == large()


def test_on_a_full_disk_nobody_of_a_group_is_told_that_it_was_written_when_it_was_not(store: EmbeddedStore) -> None:
    pages(store, 60)
    small, refused = as_one_group(store.database, lambda: store.add(task("small")), lambda: store.add(large()))
    assert isinstance(refused, Unavailable)
    assert (store.get("small") is not None) == (small is None)
    assert isinstance(small, Unavailable | None)


def test_a_disk_that_fails_refuses_and_is_no_end(path: Path, store: EmbeddedStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = path.with_name(f"{path.name}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 10_000, hard))
    try:
        with pytest.raises(Unavailable, match="disk"):
            store.add(large())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.get("large") is None
    assert store.add(large()) is None
    assert store.totals() == {"accepted": 1, "in_pending": 1}


def test_another_program_on_the_file_makes_it_unavailable_until_it_lets_go(path: Path, store: EmbeddedStore) -> None:
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="Another program"):
        store.add(task("t-1"))
    assert store.get("t-1") is None
    shell.close()
    assert store.add(task("t-1")) is None


def test_what_cannot_be_counted_is_not_written(store: EmbeddedStore) -> None:
    forbidden = "CREATE TEMP TRIGGER t BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'no sums today'); END"
    store.database.write(lambda tx: tx.execute(forbidden))
    with pytest.raises(sqlite3.IntegrityError, match="no sums today"):
        store.add(task("t-1"))
    store.database.write(lambda tx: tx.execute("DROP TRIGGER t"))
    assert store.get("t-1") is None
    assert store.add(task("t-1")) is None


def test_a_mistake_of_our_own_stays_what_it_is(store: EmbeddedStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        store.database.write(lambda tx: tx.execute("DELETE FROM nowhere"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        store.database.read(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert store.add(task()) is None


# ── it costs the same when it is large ───────────────────────────────────────────────────────────


CROWD = embedded.MOST_EXAMINED + 1000


def crowd(store: EmbeddedStore, count: int) -> None:
    """Delivered tasks of one app, one of them with a rare URL, the oldest; and as many messages, of few groups."""

    def fill(tx: Transaction) -> None:
        for n in range(count):
            url = "https://partner.example/rare" if n == 0 else f"https://partner.example/{n}"
            embedded._add(tx, task(f"t-{n:06}", at=NOW + n, asked=request(url=url), status=Status.DELIVERED, wake_at=n))
            values = ("tasks", f"g-{n % 5}", "{}", "ready" if n % 2 else "waiting", NOW + n)
            tx.execute(
                "INSERT INTO messages (queue, group_name, body, state, visible_at) VALUES (?, ?, ?, ?, ?)", values
            )

    store.database.write(fill)


def steps(store: EmbeddedStore, ask: Callable[[], Any]) -> int:
    """How many steps of SQLite's machine an answer takes, in tens."""
    taken = [0]

    def count() -> int:
        taken[0] += 1
        return 0

    store.database._writer.set_progress_handler(count, 10)
    ask()
    store.database._writer.set_progress_handler(None, 0)
    return taken[0]


def asked_of(store: EmbeddedStore, queues: EmbeddedQueues) -> dict[str, Callable[[], Any]]:
    source, target, status = {"source_app": "default"}, {"target": GROUP}, {"status": Status.DELIVERED}
    half = Query(until=NOW + 100)
    second = store.page(Query(), None, 50).cursor
    return {
        "newest": lambda: store.page(Query(), None, 50),
        "second page": lambda: store.page(Query(), second, 50),
        "until": lambda: store.page(half, None, 50),
        "until, second page": lambda: store.page(half, store.page(half, None, 20).cursor, 20),
        "source app": lambda: store.page(Query(**source), None, 50),  # type: ignore[arg-type]
        "target": lambda: store.page(Query(**target), None, 50),  # type: ignore[arg-type]
        "status": lambda: store.page(Query(**status), None, 50),  # type: ignore[arg-type]
        "rare status": lambda: store.page(Query(status=Status.EXHAUSTED, source_app="default"), None, 50),
        "due": lambda: store.due(NOW, 50),
        "claim": lambda: store.claim("t-000007", 1, now=NOW, lease=LEASE),
        "sweep": lambda: store.sweep(NOW, 50),
        "receive": lambda: queues.receive(Queue.TASKS),
    }


def test_what_is_asked_often_takes_no_longer_of_twenty_times_as_much() -> None:
    with opened(MEMORY) as small, opened(MEMORY) as big:
        crowd(small[0], 300)
        crowd(big[0], 6000)
        few = {name: steps(small[0], ask) for name, ask in asked_of(*small).items()}
        many = {name: steps(big[0], ask) for name, ask in asked_of(*big).items()}
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name] * 1.2 + 5} == {}


def test_a_rare_match_is_found_on_a_later_page_and_no_page_reads_everything() -> None:
    with opened(MEMORY) as (store, _):
        crowd(store, CROWD)
        first = store.page(Query(q="/rare"), None, 10)
        assert (first.tasks, first.cursor is None) == ([], False)
        second = store.page(Query(q="/rare"), first.cursor, 10)
        assert ([one.task_id for one in second.tasks], second.cursor) == (["t-000000"], None)


# ── expired tasks leave ──────────────────────────────────────────────────────────────────────────


def ended(store: EmbeddedStore, task_id: str, at: float) -> Task:
    """A delivered task that has an older attempt, a notice and an audit."""
    new = task(task_id)
    store.add(new)
    store.keep(task_id, attempt(claimed(store, new)))
    owned = evolve(new, version=2, fence=1, number=1)
    over = life.delivered(owned, attempt(owned, Verdict.DELIVERED), now=at, retention=RETENTION)
    store.replace(owned, over, audit(task_id))
    store.mention(mention(task_id, f"n-{task_id}"))
    settled = notice(f"n-{task_id}", expires_at=int(at + RETENTION))
    store.settle(settled, [mention(task_id)])
    return over


def everything_of(store: EmbeddedStore, over: Task) -> list[Any]:
    counted = store._rows("SELECT count(*) FROM requests")
    return [store.get(over.task_id), notices_of(store, over.task_id), store.audits(over.task_id), counted]


def test_a_task_leaves_with_all_that_belongs_to_it_once_its_retention_is_over(store: EmbeddedStore) -> None:
    old, young = ended(store, "old", NOW), ended(store, "young", NOW + HOUR)
    store.add(task("open"))
    kept = everything_of(store, young)[:3]
    assert store.sweep(NOW + RETENTION - 1, 10) == 0
    assert store.sweep(NOW + RETENTION, 10) == 1
    assert everything_of(store, old) == [None, [], [], [(2,)]]
    assert store._rows("SELECT DISTINCT task_id FROM attempts") == [("young",)]
    assert everything_of(store, young)[:3] == kept
    assert store.totals()["accepted"] == 3, "the sums are of all time"


def test_a_sweep_takes_no_more_than_it_may(store: EmbeddedStore) -> None:
    for n in range(5):
        ended(store, f"t-{n}", NOW)
    assert [store.sweep(NOW + RETENTION, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_task_that_was_resent_stays(store: EmbeddedStore) -> None:
    over = ended(store, "t-1", NOW)
    store.replace(over, life.resend(over, over.request, now=NOW + DAY, grace=GRACE))
    assert store.sweep(NOW + 10 * RETENTION, 10) == 0


# ── the queues ───────────────────────────────────────────────────────────────────────────────────


def names(messages: list[Received]) -> list[str]:
    return sorted(decode(message.body).task_id for message in messages)


@pytest.mark.parametrize(("queue", "seconds"), [(Queue.TASKS, 540), (Queue.EXHAUSTED, 360)])
def test_a_message_that_is_not_finished_comes_back_after_the_visibility_of_its_queue(
    queue: Queue, seconds: int
) -> None:
    clock = FakeClock()
    with opened(MEMORY, clock) as (_, queues):
        queues.send(queue, Message("t-1", 1), group=GROUP)
        (first,) = queues.receive(queue)
        clock.move(seconds - 0.001)
        assert queues.receive(queue) == []
        clock.move(0.001)
        queues.hide(queue, {first.receipt: 600})
        assert [message.count for message in queues.receive(queue)] == [2], "too late to hide it"


def test_limits_are_those_of_the_template() -> None:
    resources = template()["Resources"]
    declared = {Queue.TASKS: resources["TaskQueue"], Queue.EXHAUSTED: resources["ExhaustedQueue"]}
    visibility = {queue: each["Properties"]["VisibilityTimeout"] for queue, each in declared.items()}
    assert visibility == embedded.VISIBILITY
    redrive = resources["TaskQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == embedded.MOST_RECEIVES


@pytest.mark.parametrize("receipt", ["", "1", "1:0", "0:1", "-1:1", f"{'9' * 40}:1", "1:1 ", "٣:١", "\x00", "1:1:1"])
def test_a_receipt_that_is_none_names_no_message(receipt: str) -> None:
    with opened(MEMORY) as (_, queues):
        queues.send(Queue.TASKS, Message("t-1", 1), group=GROUP)
        queues.receive(Queue.TASKS)
        queues.delete(Queue.TASKS, [receipt])
        queues.hide(Queue.TASKS, {receipt: 0})
        assert (queues.receive(Queue.TASKS), queues.in_flight(Queue.TASKS)) == ([], 1)


class RealClock:
    def now(self) -> float:
        return time.time()


def test_who_waits_is_woken_when_a_message_becomes_visible(path: Path) -> None:
    store, queues = open_embedded(str(path), load({}), RealClock())
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(queues.receive, Queue.TASKS, limit=1, wait=20) for _ in range(3)]
        wait_until(lambda: len(queues._lines[Queue.TASKS]._places) == 3)
        for n in range(3):
            queues.send(Queue.TASKS, Message(f"t-{n}", 1), group=GROUP, delay=0.3 - 0.1 * n)
        found = [message for one in waiting for message in one.result(10)]
    store.close()
    assert names(found) == ["t-0", "t-1", "t-2"]


def test_who_waits_at_the_exhausted_queue_is_woken_by_a_message_that_was_received_too_often(path: Path) -> None:
    with opened(path) as (store, queues), ThreadPoolExecutor(1) as pool:
        queues.send(Queue.TASKS, Message("poison", 1), group=GROUP)
        store.database.write(lambda tx: tx.execute("UPDATE messages SET state = 'waiting', count = 1000"))
        waiting = pool.submit(queues.receive, Queue.EXHAUSTED, wait=20)
        wait_until(lambda: len(queues._lines[Queue.EXHAUSTED]._places) == 1)
        assert queues.receive(Queue.TASKS) == []
        assert names(waiting.result(10)) == ["poison"]


@pytest.mark.parametrize(
    ("offers", "limit", "expected"),
    [
        pytest.param([], 10, [], id="nobody offers anything"),
        pytest.param([(0, [1, 2, 3])], 2, [1, 2], id="one alone takes all"),
        pytest.param([(0, [1, 2, 3]), (0, [4, 5]), (0, [6])], 10, [1, 4, 6, 2, 5, 3], id="in turn"),
        pytest.param([(9, [1, 2, 3]), (0, [4, 5, 6])], 3, [4, 5, 6], id="the fewest in hand first"),
        pytest.param([(2, [1, 2]), (0, [4, 5, 6, 7])], 5, [4, 5, 1, 6, 2], id="until they are level"),
    ],
)
def test_each_message_goes_to_whoever_has_the_fewest_in_hand(
    offers: list[tuple[int, list[int]]], limit: int, expected: list[int]
) -> None:
    assert fairly(offers, limit) == expected


# ── rows that cannot be read ─────────────────────────────────────────────────────────────────────


BROKEN = ("UPDATE tasks SET task = '{' WHERE task_id = ?", "UPDATE requests SET request = '[]' WHERE id = 2")
UNKNOWN = """UPDATE tasks SET task = json_set(task, '$.status', 'paused') WHERE task_id = ?"""


def test_rows_that_cannot_be_read_hide_no_others(path: Path) -> None:
    with opened(path) as (store, _):
        tasks = [task(f"t-{n}", at=NOW + n / 10) for n in range(8)]
        for one in tasks:
            store.add(one)
        for one in tasks[:6]:
            claimed(store, one)
    with sqlite3.connect(path) as file:
        file.execute(BROKEN[0], ("t-0",))
        file.execute(BROKEN[1])
        file.executemany(UNKNOWN, [(f"t-{n}",) for n in range(2, 6)])
    with opened(path) as (store, _):
        assert store.due(NOW + DAY, 2) == tasks[6:]
        assert store.page(Query(), None, 10).tasks == tasks[:5:-1]


def test_a_target_that_hangs_leaves_a_quarter_of_all_to_the_others() -> None:
    _, queues = open_embedded(MEMORY, load({}), FakeClock())
    for n in range(600):
        queues.send(Queue.TASKS, Message(f"bad-{n}", 1), group="bad")
    takes = [in_a_run(queues, limit=10) for _ in range(60)]
    queues.send(Queue.TASKS, Message("good", 1), group="good")
    assert sum(map(len, takes)) == 360
    assert [decode(it.body).task_id for it in in_a_run(queues)] == ["good"]


def test_two_targets_that_hang_get_three_sevenths_each() -> None:
    _, queues = open_embedded(MEMORY, load({}), FakeClock())
    for n in range(300):
        queues.send(Queue.TASKS, Message(f"a-{n}", 1), group="a")
        queues.send(Queue.TASKS, Message(f"b-{n}", 1), group="b")
    takes = Counter(decode(it.body).task_id[0] for _ in range(80) for it in in_a_run(queues, limit=10))
    assert takes == {"a": 207, "b": 207}, "of 480, rounded up"


def test_a_target_that_has_its_share_takes_as_many_as_it_has_finished() -> None:
    """Not ten at a time, each time that one is over: those would all begin at the same moment."""
    _, queues = open_embedded(MEMORY, load({}), FakeClock())
    for n in range(600):
        queues.send(Queue.TASKS, Message(f"bad-{n}", 1), group="bad")
    taken = [len(queues.receive(Queue.TASKS, limit=3))]
    while in_a_run(queues, limit=10):
        continue
    taken += [len(queues.receive(Queue.TASKS, limit=10)) for _ in range(3)]
    assert taken == [3, 3, 3, 3]


RUNNING: list[Thread] = []
"""Threads that are busy for as long as somebody remembers them."""


def in_a_run(queues: EmbeddedQueues, limit: int = 1) -> list[Received]:
    """What a run of its own gets, which is busy with it from then on."""
    taken: list[Received] = []
    run = Thread(target=lambda: taken.extend(queues.receive(Queue.TASKS, limit=limit)))
    RUNNING.append(run)
    run.start()
    run.join()
    return taken


def test_a_run_that_receives_again_is_busy_no_longer_with_what_it_had() -> None:
    _, queues = open_embedded(MEMORY, load({}), FakeClock())
    for n in range(600):
        queues.send(Queue.TASKS, Message(f"t-{n}", 1), group="one")
    assert [len(queues.receive(Queue.TASKS, limit=10)) for _ in range(60)] == [10] * 60


def test_an_owed_task_that_an_older_release_let_expire_is_not_swept(store: EmbeddedStore) -> None:
    old = task(status=Status.EXHAUSTED, wake_at=NOW + 600, expires_at=int(NOW + DAY))
    store.add(old)
    assert store.sweep(NOW + 2 * DAY, 100) == 0
    store.replace(old, life.told(old, now=NOW + 2 * DAY, retention=DAY))
    assert store.sweep(NOW + 4 * DAY, 100) == 1
