"""The files of the embedded database: who may open them, and whether they still are what a restart will open.

SQLite goes on writing to a file that was removed or replaced, and does not notice one that was truncated or
overwritten. So the files are looked at before and after each commit (`FileWatch`): a commit that may not be in the file
which a restart opens is never acknowledged.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from chalicelib import log
from chalicelib.errors import DatabaseUnusable, SettingsError, Unavailable
from chalicelib.folders import make_folder, sync_folder
from chalicelib.write_ahead_log import FRAME_HEADER_BYTES, HEADER_BYTES, MAGIC, has_lost_frames

MEMORY = ":memory:"
"""The path of a database that lives in this process only, and runs in the calling thread."""

BUSY_SECONDS = 1.0
"""How long to wait for another program, such as the sqlite3 shell, that holds the file."""

PRIVATE = 0o600
"""The mode of the files: they hold secrets."""

PASSING = {
    sqlite3.SQLITE_FULL: "The disk is full.",
    sqlite3.SQLITE_IOERR: "The disk cannot be read or written.",
    sqlite3.SQLITE_BUSY: "Another program holds the database file.",
    sqlite3.SQLITE_LOCKED: "Another program holds the database file.",
    sqlite3.SQLITE_READONLY: "The database file cannot be written.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened.",
    sqlite3.SQLITE_NOMEM: "There is no memory left.",
}
"""SQLite's primary result codes that somebody can mend while the process goes on."""

LOOK_SECONDS = 0.1
"""For how long a read trusts the last look at the files. A commit never does."""

DAMAGED = "The database file is damaged. Stop kkbida, restore a backup, and start it again."
FILE_GONE = "The database file was removed or replaced. Stop kkbida, put the file back, and start it again."
LOG_GONE = "A file beside the database that holds its last changes was removed or replaced. Restart kkbida."
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_SHORT_READ})
"""SQLite's result codes after which the file cannot be trusted. The last one: it is shorter than it must be."""


def explained(error: Exception) -> Exception:
    """The error as the ports know it; one that is a fault of kkbida itself stays what it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return error
    known: Exception = error
    if code in DAMAGE or code & 0xFF in DAMAGE:
        known = DatabaseUnusable(DAMAGED)
    elif sentence := PASSING.get(code & 0xFF):
        known = Unavailable(sentence)
    if known is not error:
        known.__cause__ = error
    return known


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


class Watch(Protocol):
    """What stands around each commit."""

    def check(self) -> None:
        """Raises Unavailable when the files cannot be trusted."""

    def before_commit(self) -> None:
        """Raises Unavailable when the files cannot be trusted, or another program has written to them wrongly."""

    def after_commit(self) -> None:
        """Raises Unavailable when what was committed may not be in the files."""

    def distrust(self, sentence: str) -> None:
        """The files cannot be trusted any more, for this reason."""

    def is_trusted(self) -> bool:
        """Whether the files may be closed in the usual way, which writes to them."""


@dataclass(frozen=True, slots=True)
class Held:
    """A database that is no other process's: the connection that writes to it, its watch, and how to let go of it."""

    writer: sqlite3.Connection
    watch: Watch
    let_go: Callable[[], None]


def hold(path: str, prepare: Callable[[sqlite3.Connection], None]) -> Held:
    """Open the database for this process alone; `prepare` makes the tables that it lacks.

    Raises SettingsError when the file is in use, damaged, or cannot be used; DatabaseUnusable, Unavailable.
    """
    with _usable(path), ExitStack() as held:
        descriptor = held.enter_context(_locked(path)) if path != MEMORY else None
        connection = held.enter_context(closing(connect(path)))
        _be_sound(connection, path)
        prepare(connection)
        watch = NoWatch() if descriptor is None else held.enter_context(_watching(path, descriptor, connection))
        return Held(connection, watch, held.pop_all().close)


def connect(path: str) -> sqlite3.Connection:
    """A connection that commits to the disk itself. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync does not reach the disk there
    return connection


@contextmanager
def _usable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if isinstance(explained(error), DatabaseUnusable):
            raise SettingsError(f"{path} is damaged: {error}. Restore a backup, or choose another file.") from error
        raise SettingsError(f"{path} cannot be used: {error}.") from error


@contextmanager
def _locked(path: str) -> Iterator[int]:
    """A descriptor of the file, which is held until it is closed, or the process ends however it may.

    SQLite's own locks are lost when any descriptor of the file is closed in this process (see "How To Corrupt", 2.2):
    so this one is closed after all connections.
    """
    make_folder(Path(path).absolute().parent)
    with _locked_name(path):
        _refuse_half_a_database(path)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE)
        try:
            _lock_range(descriptor, path)
            _make_private(descriptor)
            sync_folder(Path(path).absolute().parent)
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _locked_name(path: str) -> Iterator[None]:
    """Hold the file by the lock file beside it, which says who has it."""
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _make_private(lock)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode()
        raise SettingsError(f"{path} is in use by process {owner}. Stop that one, or choose another file.") from None
    finally:
        os.close(lock)


RANGE_START = 1 << 62
"""A byte far behind those that SQLite locks (0x40000000 to 0x400001ff), and behind the end of any file."""


def _lock_range(descriptor: int, path: str) -> None:
    """Hold the file itself, by whichever name another process opens it, and whatever became of the lock file.

    The lock belongs to the open file description: SQLite's own, which belong to the process, do not touch it.
    Where the system has no such locks (macOS), the lock file is watched instead.
    """
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return
    asked = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, RANGE_START, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, asked)
    except (BlockingIOError, PermissionError):
        raise SettingsError(f"{path} is in use by another process. Stop that one, or choose another file.") from None


def _make_private(descriptor: int) -> None:
    """A file of an earlier version, or one that was restored, may have another mode."""
    found = os.fstat(descriptor)
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        os.fchmod(descriptor, PRIVATE)


def _refuse_half_a_database(path: str) -> None:
    """SQLite would remove a log without its database, and ignore the end of a damaged one. Raises SettingsError."""
    wal, shm = Path(f"{os.path.realpath(path)}-wal"), Path(f"{os.path.realpath(path)}-shm")
    if _size(wal) and not _size(Path(path)):
        raise SettingsError(
            f"{path} is missing or empty, although {wal.name} holds its last changes. Put the file back;"
            f" to begin with an empty database, remove {wal.name} first."
        )
    if has_lost_frames(wal, shm):
        raise SettingsError(
            f"{wal} is damaged or missing, and with it the last changes of {path}. Restore a backup;"
            f" to go on without these changes, remove {wal.name} and {shm.name}."
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _be_sound(connection: sqlite3.Connection, path: str) -> None:
    """Read all pages once: about a second for each gigabyte. Raises SettingsError."""
    if fault := _fault_in(connection):
        raise SettingsError(f"{path} is damaged: {fault}. Restore a backup, or choose another file.")


def _fault_in(connection: sqlite3.Connection) -> str:
    """The first fault that SQLite finds in the database, in one line; nothing when it is sound."""
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if found == "ok" else " ".join(found.replace("*** in database main ***", "").split())


# ── watching ─────────────────────────────────────────────────────────────────────────────────────


class NoWatch:
    """The watch of a database in memory."""

    def check(self) -> None:
        """See `Watch`."""

    def before_commit(self) -> None:
        """See `Watch`."""

    def after_commit(self) -> None:
        """See `Watch`."""

    def distrust(self, sentence: str) -> None:
        """See `Watch`."""

    def is_trusted(self) -> bool:
        """See `Watch`."""
        return True


@contextmanager
def _watching(path: str, descriptor: int, writer: sqlite3.Connection) -> Iterator[FileWatch]:
    log_descriptor = os.open(f"{os.path.realpath(path)}-wal", os.O_RDONLY)
    try:
        yield FileWatch(path, descriptor, log_descriptor, writer)
    finally:
        os.close(log_descriptor)


Identity = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the database: its name, what it was when it was opened, and what to say when it is not there."""

    name: str
    identity: Identity
    sentence: str


@dataclass(frozen=True, slots=True)
class Look:
    """Sizes and times of the last change, in nanoseconds, of the database and of its write-ahead log."""

    size: int
    changed_at: int
    log_size: int
    log_changed_at: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 100 bytes of a database tell: https://sqlite.org/fileformat2.html#the_database_header."""

    page_bytes: bytes
    changes: int
    application_id: bytes


def _header(descriptor: int) -> Header | None:
    raw = os.pread(descriptor, 100, 0)
    if raw[:16] != b"SQLite format 3\x00":
        return None
    return Header(raw[16:18], int.from_bytes(raw[24:28]), raw[68:72])


class FileWatch:
    """The watch of a database in a file.

    A file is where it was when its name leads to the same inode. Between two commits of ours no file changes, unless
    another program writes to it: then all pages are read (`_examine`), because that program may not have been SQLite.
    """

    def __init__(self, path: str, descriptor: int, log_descriptor: int, writer: sqlite3.Connection) -> None:
        self._path = path
        self._descriptor, self._log_descriptor, self._writer = descriptor, log_descriptor, writer
        real = os.path.realpath(path)
        named = {path: FILE_GONE, f"{real}-wal": LOG_GONE, f"{real}-shm": LOG_GONE}
        if not hasattr(fcntl, "F_OFD_SETLK"):
            named[f"{path}.lock"] = FILE_GONE
        self._parts = [Part(name, _identity(Path(name).stat()), sentence) for name, sentence in named.items()]
        (page_bytes,) = writer.execute("PRAGMA page_size").fetchone()
        self._frame_bytes = FRAME_HEADER_BYTES + page_bytes
        (own,) = writer.execute("PRAGMA application_id").fetchone()
        self._header = _header(descriptor)
        self._ids = {struct.pack(">i", own)} | ({self._header.application_id} if self._header else set())
        self._sentence = ""
        self._looked_at = 0.0
        self._logged: set[str] = set()
        self._log_lock = Lock()
        self._seen: Look | None = self._look()

    def check(self) -> None:
        """See `Watch`. Unless it was looked within the last tenth of a second, which costs reads less."""
        if self._sentence or time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._look()

    def before_commit(self) -> None:
        """See `Watch`. The writer's thread only."""
        if self._look() != self._seen:
            self._examine()

    def after_commit(self) -> None:
        """See `Watch`. The writer's thread only."""
        before, now = self._seen, self._look()
        if before is not None and self._is_continued(before, now):
            self._seen = now
        else:
            self._examine()

    def distrust(self, sentence: str) -> None:
        """See `Watch`."""
        self._sentence = sentence
        self._log(sentence)

    def is_trusted(self) -> bool:
        """See `Watch`."""
        try:
            self._look()
        except Unavailable:
            return False
        return True

    def _is_continued(self, before: Look, now: Look) -> bool:
        """Whether a commit of ours can have changed the files so: they never shrink, and keep what they had."""
        return (
            before.size <= now.size
            and before.log_size <= now.log_size
            and self._has_frame_before(before.log_size)
            and (before.changed_at == now.changed_at or self._has_our_header())
        )

    def _look(self) -> Look:
        """Raises DatabaseUnusable unless each file is the one that was opened, and may be trusted."""
        if self._sentence:
            raise DatabaseUnusable(self._sentence)
        self._looked_at = 0.0
        database, log_file, *_ = [self._found(part) for part in self._parts]
        self._looked_at = time.monotonic()
        return Look(database.st_size, database.st_mtime_ns, log_file.st_size, log_file.st_mtime_ns)

    def _found(self, part: Part) -> os.stat_result:
        try:
            found = os.stat(part.name)  # noqa: PTH116 - faster, and done several times for each commit
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError as error:
            raise Unavailable(PASSING[sqlite3.SQLITE_CANTOPEN]) from error
        if found is None or _identity(found) != part.identity:
            self._log(part.sentence)
            raise DatabaseUnusable(part.sentence)
        return found

    def _has_frame_before(self, log_size: int) -> bool:
        """Whether the log begins like one, and the frame that ended at `log_size` is there: not a hole in its place."""
        if log_size < HEADER_BYTES + self._frame_bytes:
            return True
        begins = os.pread(self._log_descriptor, 4, 0) in MAGIC
        return begins and any(os.pread(self._log_descriptor, 4, log_size - self._frame_bytes))

    def _has_our_header(self) -> bool:
        """Whether the file begins as our database, at least as new as when this was asked last."""
        found, known = _header(self._descriptor), self._header
        if found is None or found.application_id not in self._ids:
            return False
        if known and (found.page_bytes != known.page_bytes or found.changes < known.changes):
            return False
        self._header = found
        return True

    def _examine(self) -> None:
        """Read all pages, and then have the log in the database. Raises Unavailable, and for good when there is damage.

        A connection of its own reads them: the writer may have old ones in its memory. Nothing is copied before that,
        so that a damaged log does no harm to the database.
        """
        self._seen = None
        log.event("database.examined", path=self._path)
        try:
            is_busy = self._is_damaged() or self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            raise self._explained(error) from error
        if self._sentence:
            raise DatabaseUnusable(self._sentence)
        if is_busy:
            raise Unavailable(PASSING[sqlite3.SQLITE_BUSY])
        self._seen = self._look()

    def _is_damaged(self) -> bool:
        if self._has_our_header():
            with closing(connect(self._path)) as connection:
                if not _fault_in(connection):
                    return False
        self.distrust(DAMAGED)
        return True

    def _explained(self, error: sqlite3.Error) -> Exception:
        known = explained(error)
        if isinstance(known, DatabaseUnusable):
            self.distrust(known.detail)
        return known

    def _log(self, sentence: str) -> None:
        with self._log_lock:
            if sentence in self._logged:
                return
            self._logged.add(sentence)
        log.event("database.unusable", metrics={"Unhealthy": 1}, path=self._path, why=sentence)


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def new_application_id() -> int:
    """A number for a new file, by which another one in its place is told apart."""
    return secrets.randbelow(0x7FFFFFFF) + 1
