"""A start that cannot be: one sentence that says where and why, exit code 1, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import __main__ as local
from tests.local.conftest import PATIENCE, ROOT, running

IS_ROOT = os.geteuid() == 0
ONLY_ROOT = pytest.mark.skipif(not IS_ROOT, reason="only root may mount a disk")
AS_A_USER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if IS_ROOT else ()
"""Root without its right to read and write all files, whatever their modes."""

NEVER_FULL = 'mount -t tmpfs -o size={size} none "$DATA" && {then} && exec "$0" -m infra.local'


def on_a_disk(size: str, then: str) -> tuple[str, ...]:
    return ("unshare", "--mount", "sh", "-c", NEVER_FULL.format(size=size, then=then))


def started(folder: Path, command: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KKBIDA_", "AWS_"))}
    python = [sys.executable] if command[:1] == ("unshare",) else [sys.executable, "-m", "infra.local"]
    return subprocess.run(
        [*command, *python],
        cwd=ROOT,
        env={**ours, "PORT": "0", "DATA": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def is_one_sentence(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr
    assert "is running" not in done.stdout


def no_database(folder: Path) -> None:
    folder.mkdir()
    (folder / "kkbida.db").write_bytes(b"x" * 9999)


UNFIT: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "a folder in place of the database": (lambda it: (it / "kkbida.db").mkdir(parents=True), (), "kkbida.db"),
    "a folder in place of the log": (lambda it: (it / "kkbida.log").mkdir(parents=True), (), "kkbida.log"),
    "a folder in place of the lock": (lambda it: (it / "kkbida.db.lock").mkdir(parents=True), (), "kkbida.db.lock"),
    "a folder in place of the master key": (lambda it: (it / "master.key").mkdir(parents=True), (), "master.key"),
    "a folder in place of access.json": (lambda it: (it / "access.json").mkdir(parents=True), (), "access.json"),
    "a file in place of the folder": (lambda it: it.write_text("data"), (), "File exists"),
    "no permission": (lambda it: it.mkdir(mode=0), AS_A_USER, "Permission denied"),
    "a database that is none": (no_database, (), "is damaged"),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_is_in_the_way_is_said_in_one_sentence(tmp_path: Path, unfit: str) -> None:
    folder = tmp_path / "data"
    spoil, command, said = UNFIT[unfit]
    spoil(folder)
    is_one_sentence(started(folder, command), said)


DISKS: dict[str, tuple[str, str, str]] = {
    "a disk without a byte": ("16k", 'head -c 16k /dev/zero > "$DATA/filler" || true', "No space left on device"),
    "a disk that is full before the database is made": ("96k", "true", "disk is full"),
    "a read-only file system": ("1m", 'mount -o remount,ro "$DATA"', "Read-only file system"),
}


@ONLY_ROOT
@pytest.mark.parametrize("disk", DISKS)
def test_what_is_wrong_with_the_disk_is_said_in_one_sentence(tmp_path: Path, disk: str) -> None:
    size, then, said = DISKS[disk]
    is_one_sentence(started(tmp_path, on_a_disk(size, then)), said)


def test_all_that_it_writes_is_for_its_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with running(tmp_path / "new" / "data", KKBIDA_OPEN_API="0") as run:
            modes = {it.name: it.stat().st_mode & 0o777 for it in run.folder.iterdir()}
            assert run.folder.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(old)
    assert set(modes.values()) == {0o600}
    assert {"kkbida.db", "kkbida.db-wal", "kkbida.db-shm", "kkbida.db.lock"} < set(modes)
    assert {"kkbida.log", "access.json", "curl", "master.key"} < set(modes)


def test_a_log_of_before_becomes_private_and_the_one_before_that_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MOST_LOG", 10)
    path = tmp_path / "kkbida.log"
    for text in ("x" * 20, "short"):
        path.write_text(text)
        path.chmod(0o644)
        with local._logging_to(path):
            print("hello")  # noqa: T201 - it goes to the log
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "kkbida.log.1").stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "shorthello\n"


def test_a_database_that_is_removed_is_told_by_health_and_its_tasks_are_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data") as run:
        run.submit({"url": f"{run.access['receiver']}/ok", "delay": 3600})
        api = run.api
        (tmp_path / "data" / "kkbida.db").unlink()
        health = api("GET", "/v1/health")
        refused = api("POST", "/v1/tasks", b'{"url":"http://127.0.0.1:9/"}', {"Content-Type": "application/json"})
    assert (health.status, health.json["status"], health.json["code"]) == (503, "unavailable", "database_unusable")
    assert (refused.status, refused.json["code"]) == (503, "database_unusable")
    assert refused.json["detail"].startswith("The database file was removed or replaced.")
