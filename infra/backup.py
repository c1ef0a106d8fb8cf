"""Copy the data of kkbida on one computer, while it runs: `python -m infra.backup DEST`, or `make backup DEST=...`.

What is copied is in DATA (.local unless said). DEST is a new folder, and becomes a data folder of its own: to restore,
stop kkbida and start it with DATA=DEST, or move its files back.

`cp` will not do: the last changes are in kkbida.db-wal, and a copy of both that was not made at one moment is damaged.
SQLite's backup API (https://sqlite.org/backup.html) copies the database as of one moment, and lets others write.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from chalicelib.errors import SettingsError
from chalicelib.folders import make_folder, sync_folder
from infra.local import start

PRIVATE = 0o600
"""The mode of what is copied: it holds secrets."""

BUSY_SECONDS = 30.0
"""How long to wait while another program has the database for itself."""


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """Copy, and say what was copied. Raises SystemExit with a sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m infra.backup", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dest", type=Path, help="a folder that is not there yet, or is empty")
    dest = parser.parse_args(arguments).dest.absolute()
    asked = start.read({"DATA": environment.get("DATA", "")})
    try:
        tasks = copy(asked, dest)
    except (SettingsError, OSError, sqlite3.Error) as error:
        raise SystemExit(f"There is no backup in {dest}: {str(error).rstrip('.')}.") from error
    print(f"{tasks:,} tasks and the keys are in {dest}. To go on with them: DATA={dest} make run")


def copy(asked: start.Start, dest: Path) -> int:
    """Copy database and master key into the folder `dest`; returns how many tasks it has.

    The database gets its name once all of it is on disk and sound. Raises SettingsError, OSError and sqlite3.Error.
    """
    if not asked.database.is_file():
        raise SettingsError(f"{asked.database} is not there. Say where the data is with DATA=")
    if dest.exists() and any(dest.iterdir()):
        raise SettingsError("the folder is not empty. Choose a new one")
    make_folder(dest)
    draft, done = dest / "kkbida.db.part", dest / asked.database.name
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    try:
        tasks = _copy_database(asked.database, draft)
    except (SettingsError, sqlite3.Error):
        draft.unlink()
        raise
    if asked.master_key.exists():
        _copy_private(asked.master_key, dest / asked.master_key.name)
    _sync(draft)
    draft.replace(done)
    sync_folder(dest)
    return tasks


def _copy_database(source: Path, draft: Path) -> int:
    name = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(name, uri=True, timeout=BUSY_SECONDS)) as running,
        closing(sqlite3.connect(draft)) as copied,
    ):
        running.backup(copied)
        copied.execute("PRAGMA journal_mode = DELETE")  # one file: none of it is in a log
        found = " ".join(str(copied.execute("PRAGMA quick_check(1)").fetchone()[0]).split())
        if found != "ok":
            raise SettingsError(f"{source} is damaged: {found}")
        return int(copied.execute("SELECT count(*) FROM tasks").fetchone()[0])


def _copy_private(source: Path, dest: Path) -> None:
    with source.open("rb") as file, os.fdopen(os.open(dest, os.O_WRONLY | os.O_CREAT, PRIVATE), "wb") as copied:
        shutil.copyfileobj(file, copied)
        copied.flush()
        os.fsync(copied.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
