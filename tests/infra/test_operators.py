"""The command that makes operators where the store is."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chalicelib.embedded import open_embedded
from chalicelib.operators import is_password
from chalicelib.settings import load
from chalicelib.store import DynamoStore
from chalicelib.task import Role, Roster
from chalicelib.world import SystemClock
from infra import operators
from tests.contract import aws

ROOT = Path(__file__).resolve().parents[2]


def roster(folder: Path) -> Roster:
    store, _ = open_embedded(str(folder / "kkbida.db"), load({}), SystemClock())
    found = store.roster()
    store.close()
    return found


def run(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.operators", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATA": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_the_first_admin_is_made_by_a_command_that_prints_a_password(tmp_path: Path) -> None:
    done = run(tmp_path, "add", "root", "--random")
    found = re.fullmatch(r"root is admin and can log in\. Its password: (\S{20})\n", done.stdout)
    assert found, done
    [made] = roster(tmp_path).operators
    assert (made.name, made.role, made.created_by) == ("root", Role.ADMIN, "command")
    assert is_password(found[1], made.password)


def at_a_terminal(folder: Path, *answers: str) -> str:
    """All that a terminal shows while somebody answers each prompt."""
    process, terminal = pty.fork()
    if process == 0:
        command = [sys.executable, "-m", "infra.operators", "add", "li.lei", "--role", "viewer"]
        os.chdir(ROOT)
        os.execve(sys.executable, command, {**os.environ, "DATA": str(folder)})  # noqa: S606 - our own code
    shown = ""
    for answer in answers:
        shown += until_prompted(terminal)
        os.write(terminal, f"{answer}\n".encode())
    shown += until_prompted(terminal)
    os.waitpid(process, 0)
    os.close(terminal)
    return shown


def until_prompted(terminal: int) -> str:
    """What it shows until it asks, or ends."""
    shown = ""
    with suppress(OSError):  # how a terminal ends
        while not shown.endswith(": ") and (more := os.read(terminal, 1024)):
            shown += more.decode()
    return shown


def test_at_a_terminal_it_asks_twice_and_shows_nothing(tmp_path: Path) -> None:
    shown = at_a_terminal(tmp_path, "correct horse battery", "correct horse battery")
    assert shown.split("\r\n") == ["Password: ", "Once more: ", "li.lei is viewer and can log in.", ""]
    assert is_password("correct horse battery", roster(tmp_path).operators[0].password)


def test_two_passwords_that_differ_change_nothing(tmp_path: Path) -> None:
    shown = at_a_terminal(tmp_path, "correct horse battery", "correct horse butter")
    assert "These were two passwords." in shown
    assert roster(tmp_path).operators == ()


def test_a_reset_gives_a_new_password_ends_sessions_and_lets_in_again(tmp_path: Path) -> None:
    run(tmp_path, "add", "root", "--random")
    [before] = roster(tmp_path).operators
    password = run(tmp_path, "reset", "root", "--random").stdout.split()[-1]
    [after] = roster(tmp_path).operators
    assert is_password(password, after.password)
    assert (before.era != after.era, after.role, after.disabled) == (True, Role.ADMIN, False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("reset", "nobody", "--random"), "There is no operator nobody."),
        (("add", "a b", "--random"), "/name must be 1 to 40 letters"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_a_local_run_holds_is_left_alone(tmp_path: Path) -> None:
    store, _ = open_embedded(str(tmp_path / "kkbida.db"), load({}), SystemClock())
    done = run(tmp_path, "add", "root", "--random")
    assert f"is in use by process {os.getpid()}. Stop that one" in done.stderr
    assert store.roster().operators == ()
    store.close()


def test_on_aws_it_is_the_table_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with aws.moto() as endpoint:
        settings = aws.table(endpoint)
        operators.main(["add", "root", "--random"], {"KKBIDA_TABLE": settings.table})
        [made] = DynamoStore(settings).roster().operators
        assert is_password(capsys.readouterr().out.split()[-1], made.password)
        with pytest.raises(SystemExit, match="The table of the stack none cannot be found"):
            operators.main(["add", "root", "--random", "--stack", "none"], {})
