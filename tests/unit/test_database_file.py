"""Files that are removed, replaced, truncated or damaged, while a process has them and while none has."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from chalicelib import database_file, log, write_ahead_log
from chalicelib.database_file import DAMAGED, FILE_GONE, LOG_GONE
from chalicelib.embedded import EmbeddedStore, open_embedded
from chalicelib.errors import DatabaseUnusable, SettingsError, Unavailable
from chalicelib.folders import make_folder
from chalicelib.settings import load
from tests.contract.backends import FakeClock
from tests.contract.samples import request, task

ROOT = Path(__file__).parents[2]
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kkbida.db"


def beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}-{what}")


@contextmanager
def opened(path: Path) -> Iterator[EmbeddedStore]:
    store, _ = open_embedded(str(path), load({}), FakeClock())
    try:
        yield store
    finally:
        store.close()


def filled(store: EmbeddedStore, name: str, tasks: int = 12) -> None:
    for n in range(tasks):
        store.add(task(f"{name}-{n}", asked=request(body="x" * 3000)))


def other_database(path: Path) -> Path:
    other = path.with_name("other.db")
    with opened(other) as store:
        filled(store, "other", 30)
    return other


# ── while a process has them ─────────────────────────────────────────────────────────────────────


def overwrite(path: Path, at: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * size)


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    other_database(path).rename(path)


def replace_in_place(path: Path) -> None:
    shutil.copyfile(other_database(path), path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "the database is removed": (Path.unlink, FILE_GONE),
    "the folder is moved away": (move_folder, FILE_GONE),
    "the folder is removed": (lambda path: shutil.rmtree(path.parent), FILE_GONE),
    "another database has its name": (replace, FILE_GONE),
    "it is a folder": (become_a_folder, FILE_GONE),
    "another database is in its place": (replace_in_place, DAMAGED),
    "the database is empty": (lambda path: os.truncate(path, 0), DAMAGED),
    "the database is truncated": (lambda path: os.truncate(path, 10 * PAGE), DAMAGED),
    "its header is overwritten": (lambda path: overwrite(path, 0, 100), DAMAGED),
    "its middle is overwritten": (lambda path: overwrite(path, 10 * PAGE, 20 * PAGE), DAMAGED),
    "the log is removed": (lambda path: beside(path, "wal").unlink(), LOG_GONE),
    "the log is empty": (lambda path: os.truncate(beside(path, "wal"), 0), DAMAGED),
    "the log is truncated": (lambda path: os.truncate(beside(path, "wal"), 32 + 3 * (24 + PAGE)), DAMAGED),
    "the log is overwritten": (lambda path: overwrite(beside(path, "wal"), 32, 8 * (24 + PAGE)), DAMAGED),
    "the index of the log is removed": (lambda path: beside(path, "shm").unlink(), LOG_GONE),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_nothing_is_acknowledged_once_a_file_is_not_what_it_was(path: Path, spoiled: str) -> None:
    path = path.parent / "data" / path.name
    spoil, sentence = SPOILED[spoiled]
    with opened(path) as store:
        filled(store, "before")
        store.database._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        filled(store, "after")
        spoil(path)
        for _ in range(2):
            with pytest.raises(DatabaseUnusable) as refused:
                store.add(task("late"))
            assert refused.value.detail == sentence
        with pytest.raises(DatabaseUnusable):
            store.get("before-0")
        with pytest.raises(DatabaseUnusable):
            store.ping()


def test_what_happens_during_a_commit_is_noticed_too(path: Path) -> None:
    with opened(path) as store:
        filled(store, "before")
        with pytest.raises(DatabaseUnusable):
            store.database.write(lambda _: path.unlink())


@pytest.mark.parametrize("left", [0, 32 + 24 + PAGE])
def test_a_log_that_was_truncated_during_a_commit_has_a_hole(path: Path, left: int) -> None:
    with opened(path) as store:
        filled(store, "before")

        def truncate_and_write(tx: object) -> None:
            os.truncate(beside(path, "wal"), left)
            tx.execute("UPDATE tasks SET target_app = 'changed'")  # type: ignore[attr-defined]

        with pytest.raises(DatabaseUnusable):
            store.database.write(truncate_and_write)


def test_a_file_that_is_put_back_is_used_again(path: Path) -> None:
    with opened(path) as store:
        path.rename(path.with_name("away"))
        with pytest.raises(DatabaseUnusable):
            store.add(task("t-1"))
        path.with_name("away").rename(path)
        assert store.add(task("t-2")) is None
    with opened(path) as store:
        assert store.get("t-2") is not None


def test_another_program_may_write_to_it_by_sqlite(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[sqlite3.Connection] = []
    look = database_file._fault_in

    def noted(connection: sqlite3.Connection) -> str:
        examined.append(connection)
        return look(connection)

    monkeypatch.setattr(database_file, "_fault_in", noted)
    with opened(path) as store:
        filled(store, "before")
        del examined[:]
        for statement in ("UPDATE tasks SET url = 'x'", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            with closing(sqlite3.connect(path)) as other:
                other.execute(statement)
                other.commit()
            store.add(task(statement))
        assert len(examined) == 3
        filled(store, "after")
        assert len(examined) == 3, "what we write ourselves is no reason to read all of it"
    with opened(path) as store:
        assert store.totals()["accepted"] == 27


def test_what_cannot_be_trusted_is_left_as_it_is(path: Path) -> None:
    with opened(path) as store:
        filled(store, "before")
        path.unlink()
        beside(path, "wal").write_bytes(b"somebody else's")
    assert beside(path, "wal").read_bytes() == b"somebody else's"


def test_it_is_logged_once(path: Path) -> None:
    logged: list[str] = []
    with opened(path) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "event", lambda name, **facts: logged.append(f"{name} {facts['why']}"))
        path.unlink()
        for _ in range(3):
            with pytest.raises(Unavailable):
                store.ping()
    assert logged == [f"database.unusable {FILE_GONE}"]


# ── a second process ─────────────────────────────────────────────────────────────────────────────


def second(path: Path) -> str:
    program = "import sys; from chalicelib.embedded import Database; Database(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def remove(lock: Path) -> None:
    lock.unlink()


def put_another(lock: Path) -> None:
    lock.unlink()
    lock.write_text("1")


@pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="the lock file is all there is")
@pytest.mark.parametrize("spoil", [remove, put_another])
def test_without_its_lock_file_it_still_has_one_writer(path: Path, spoil: Callable[[Path], None]) -> None:
    with opened(path) as store:
        spoil(path.with_name("kkbida.db.lock"))
        assert f"{path} is in use by another process" in second(path)
        assert store.add(task()) is None
        store.database._readers.clear()  # connections that are closed take no lock along
        assert "is in use" in second(path)


def test_by_another_name_it_still_has_one_writer(path: Path) -> None:
    with opened(path):
        path.with_name("link.db").symlink_to(path)
        os.link(path, path.with_name("hard.db"))
        for name in ("link.db", "hard.db"):
            assert "is in use by another process" in second(path.with_name(name))


# ── a start ──────────────────────────────────────────────────────────────────────────────────────


KILLED = """
import os, sys
from pathlib import Path
from tests.unit.test_database_file import filled, opened
with opened(Path(sys.argv[1])) as store:
    filled(store, "before")
    store.database._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
    filled(store, "after")
    os._exit(0)
"""


@pytest.fixture
def killed(path: Path) -> Path:
    """A database whose process died with its last changes in the log."""
    subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT, check=True)
    assert beside(path, "wal").stat().st_size > 12 * PAGE
    return path


def without_index(spoil: Callable[[Path], object]) -> Callable[[Path], object]:
    def both(path: Path) -> None:
        spoil(path)
        beside(path, "shm").unlink()

    return both


def cleanly(spoil: Callable[[Path], object]) -> Callable[[Path], object]:
    """Without a log, which would mend it."""

    def both(path: Path) -> None:
        with opened(path):
            pass
        spoil(path)

    return both


def frame(path: Path, number: int) -> int:
    """Where a frame begins; those below zero count from the end."""
    size = beside(path, "wal").stat().st_size
    return size + number * (24 + PAGE) if number < 0 else 32 + number * (24 + PAGE)


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a header that is overwritten": (
        cleanly(lambda path: overwrite(path, 0, 100)),
        "is damaged: file is not a database",
    ),
    "pages that are overwritten": (lambda path: overwrite(path, 10 * PAGE, 20 * PAGE), "is damaged"),
    "half of the pages": (lambda path: os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE), "is damaged"),
    "an empty file beside its log": (lambda path: os.truncate(path, 0), "is missing or empty"),
    "no file beside its log": (Path.unlink, "is missing or empty"),
    "a log that is removed": (lambda path: beside(path, "wal").unlink(), "wal is damaged or missing"),
    "a log that is empty": (lambda path: os.truncate(beside(path, "wal"), 0), "wal is damaged or missing"),
    "a log without its last frame": (
        lambda path: os.truncate(beside(path, "wal"), frame(path, -1)),
        "wal is damaged or missing",
    ),
    "a log whose header is overwritten": (lambda path: overwrite(beside(path, "wal"), 4, 8), "wal is damaged"),
    "a log with a damaged frame": (lambda path: overwrite(beside(path, "wal"), frame(path, 9) + 99, 8), "is damaged"),
    "a log with a damaged last frame": (
        lambda path: overwrite(beside(path, "wal"), frame(path, -1) + 99, 8),
        "wal is damaged",
    ),
    "a log with a damaged frame and without index": (
        without_index(lambda path: overwrite(beside(path, "wal"), frame(path, 9) + 99, 8)),
        "wal is damaged",
    ),
    "a log whose header is overwritten, without index": (
        without_index(lambda path: overwrite(beside(path, "wal"), 4, 8)),
        "wal is damaged",
    ),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_start_refuses(killed: Path, unfit: str) -> None:
    spoil, said = UNFIT[unfit]
    spoil(killed)
    kept = beside(killed, "wal").read_bytes() if beside(killed, "wal").exists() else None
    with pytest.raises(SettingsError) as refused, opened(killed):
        pass
    assert str(killed) in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    if said.startswith("wal"):
        assert kept == (beside(killed, "wal").read_bytes() if kept is not None else None), "nothing is thrown away"


def torn(path: Path) -> None:
    """The last transaction did not get to the disk whole, and the index not at all, as when the power fails."""
    overwrite(beside(path, "wal"), frame(path, -1) + 99, 8)
    beside(path, "shm").unlink()


def test_a_transaction_that_a_power_failure_cut_short_is_no_damage(killed: Path) -> None:
    torn(killed)
    with opened(killed) as store:
        assert (store.get("after-10") is not None, store.get("after-11")) == (True, None)


def test_a_log_that_is_whole_is_read(killed: Path) -> None:
    with opened(killed) as store:
        assert store.get("after-11") is not None
    assert not beside(killed, "wal").exists()


def test_the_checksums_are_those_of_sqlite(killed: Path) -> None:
    raw = beside(killed, "wal").read_bytes()
    assert write_ahead_log.is_header(raw[:32])
    with beside(killed, "wal").open("rb") as file:
        valid, is_damaged = write_ahead_log._count(file, raw[:32])
    index = write_ahead_log.read_index(beside(killed, "shm").read_bytes())
    assert index is not None
    assert (valid, is_damaged) == (index.committed, False)


def test_a_new_folder_has_its_name_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    make_folder(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert [it.stat().st_mode & 0o777 for it in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]
    with opened(tmp_path / "a" / "kkbida.db"):
        assert tmp_path / "a" in synced


def test_files_of_before_are_made_private(path: Path) -> None:
    with opened(path):
        pass
    path.chmod(0o644)
    path.with_name("kkbida.db.lock").chmod(0o666)
    with opened(path):
        assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
