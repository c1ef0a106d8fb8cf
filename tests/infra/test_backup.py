"""The documented backup: made while tasks come in, and started from."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from infra import backup
from tests.local.conftest import ROOT, running


def made(data: Path, dest: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "infra.backup", str(dest)],
        cwd=ROOT,
        env={**os.environ, "DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_backup_of_a_running_process_has_all_that_was_accepted_before_it(tmp_path: Path) -> None:
    data, dest = tmp_path / "data", tmp_path / "backups" / "monday"
    later = {"url": "http://127.0.0.1:9/", "delay": 3600}
    with running(data, KKBIDA_OPEN_API="1") as run:
        before, stop = [run.submit(later) for _ in range(20)], Event()

        def submit() -> None:
            while not stop.is_set():
                run.submit(later)

        busy = Thread(target=submit)
        busy.start()
        said = made(data, dest)
        stop.set()
        busy.join()
    assert str(dest) in said
    assert {it.name: it.stat().st_mode & 0o777 for it in dest.iterdir()} == {"kkbida.db": 0o600, "master.key": 0o600}
    assert dest.stat().st_mode & 0o777 == 0o700
    assert (dest / "master.key").read_text() == (data / "master.key").read_text()
    with running(dest) as run:
        assert {run.api("GET", f"/v1/tasks/{it}").json["status"] for it in before} == {"pending"}
        assert run.api("GET", "/v1/ledger").json["balanced"] is True


def nothing(_: Path) -> None:
    pass


def a_database(data: Path) -> None:
    data.mkdir()
    with closing(sqlite3.connect(data / "kkbida.db")) as connection:
        connection.executescript("CREATE TABLE tasks (id); INSERT INTO tasks SELECT zeroblob(5000)")


def damaged(data: Path) -> None:
    a_database(data)
    with (data / "kkbida.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096)


@pytest.mark.parametrize(
    ("data", "dest", "said"),
    [
        pytest.param(nothing, nothing, "is not there. Say where the data is with DATA=", id="no data"),
        pytest.param(a_database, lambda it: (it / "full").mkdir(parents=True), "is not empty", id="a full folder"),
        pytest.param(damaged, nothing, "damaged|malformed", id="damaged data"),
        pytest.param(a_database, lambda it: it.write_text(""), "Not a directory", id="a file"),
    ],
)
def test_what_cannot_be_copied_is_said_and_no_backup_is_there(
    tmp_path: Path, data: Callable[[Path], object], dest: Callable[[Path], object], said: str
) -> None:
    data(tmp_path / "data")
    dest(tmp_path / "dest")
    with pytest.raises(SystemExit, match=said):
        backup.main([str(tmp_path / "dest")], {"DATA": str(tmp_path / "data")})
    assert not (tmp_path / "dest" / "kkbida.db").exists()


def test_a_copy_of_the_file_alone_lacks_what_a_backup_has(tmp_path: Path) -> None:
    """Why `cp` is not the way."""
    with running(tmp_path / "data") as run:
        task_id = run.submit({"url": "http://127.0.0.1:9/", "delay": 3600})
        shutil.copy(tmp_path / "data" / "kkbida.db", tmp_path / "cp.db")
        made(tmp_path / "data", tmp_path / "dest")
    look = "SELECT count(*) FROM sqlite_master WHERE name = 'tasks'"
    with closing(sqlite3.connect(tmp_path / "cp.db")) as copied:
        assert copied.execute(look).fetchone() == (0,)
    with closing(sqlite3.connect(tmp_path / "dest" / "kkbida.db")) as copied:
        assert copied.execute("SELECT task_id FROM tasks").fetchall() == [(task_id,)]
