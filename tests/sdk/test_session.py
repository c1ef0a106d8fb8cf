"""The command line as it is installed: a day's work typed into a shell, and a person at a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.local.conftest import Run, running
from tests.sdk.conftest import Said, Scripted, installed, printed, shown_task

PATIENCE = 20
"""Seconds until a silent command counts as stuck."""

SCRIPT = Path(__file__).with_name("session.sh")


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(f"{wheel}[cli]", tmp_path_factory.mktemp("cli"))


def environment(bin_folder: Path, home: Path, **variables: str) -> dict[str, str]:
    path = f"{bin_folder}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "XDG_CONFIG_HOME": "", "TERM": "dumb", "LANG": "C.UTF-8", **variables}


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Run]:
    """A local run as anybody has it who types `make run`: it lets in only whom it knows."""
    with running(tmp_path / "run", KKBIDA_OPEN_API="0") as run:
        yield run


@pytest.mark.timeout(300)  # some fifty processes
def test_a_working_day(bin_folder: Path, closed: Run, tmp_path: Path) -> None:
    where = {"API": closed.access["api"], "RECEIVER": closed.access["receiver"], "DATA": str(closed.folder)}
    said = printed(["bash", str(SCRIPT)], **environment(bin_folder, tmp_path, **where))
    chapters = [chapter.splitlines() for chapter in said.split("== ")[1:]]
    assert [chapter[0] for chapter in chapters][-1] == "the end"
    _, arrived, lost, _, operator, ann, home, _ = chapters
    assert sum("attempt 1 failed after" in line for line in arrived) == 2, "watched, and shown"
    assert sum(line.startswith("Delivered at attempt 2, ") for line in arrived) == 2
    assert arrived[-1] == "delivered"
    assert any("Not delivered: given up after 1 attempt" in line for line in lost)
    assert any(line.startswith("Delivered at attempt 1 of round 2") for line in lost)
    assert "3 tasks would be resent." in operator
    assert any("done: 3 resent, 0 passed over, 0 failed." in line for line in operator)
    assert any(line.split() == ["role", "viewer"] for line in ann)
    assert any("change-operator" in line and "operator:ann" in line for line in ann)
    assert home[1].startswith("task_id,status,")
    assert "kks_" not in said
    assert "a long password of hers" not in said


# ── at a terminal ────────────────────────────────────────────────────────────────────────────────


def typed(command: Sequence[str], variables: dict[str, str], *answers: tuple[str, str]) -> tuple[int, str]:
    """Run a command at a terminal and answer its questions: its exit code, and all that the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, start_new_session=True
    )
    os.close(theirs)
    shown = ""
    for question, answer in answers:
        shown += _until(ours, question)
        os.write(ours, answer.encode() + b"\n")
    shown += _until(ours, None)
    os.close(ours)
    return process.wait(10), shown


def _until(terminal: int, wanted: str | None) -> str:
    """All that is shown until `wanted` is; with None, until the other side has gone."""
    shown = ""
    while wanted is None or wanted not in shown:
        assert select.select([terminal], [], [], PATIENCE)[0], f"it waits; shown was {shown}"
        try:
            more = os.read(terminal, 4096)
        except OSError:  # so Linux says that nobody is left
            more = b""
        if not more:
            assert wanted is None, shown
            return shown
        shown += more.decode()
    return shown


SESSION = Said(200, {"name": "ann", "csrf_token": "csrf-1"}, {"Set-Cookie": "kkbida_session=cookie-1; HttpOnly"})


def test_a_password_is_asked_for_and_not_shown(bin_folder: Path, scripted: Scripted, tmp_path: Path) -> None:
    scripted.will_say(SESSION)
    variables = environment(bin_folder, tmp_path, KKBIDA_URL=scripted.url)
    kkbida = str(bin_folder / "kkbida")
    code, shown = typed([kkbida, "login"], variables, ("Name: ", "ann"), ("Password of ann: ", "pass word"))
    assert code == 0, shown
    assert "You are ann" in shown
    assert "pass word" not in shown
    assert scripted.came[0].json == {"name": "ann", "password": "pass word"}


def test_a_new_password_is_asked_for_twice(bin_folder: Path, scripted: Scripted, tmp_path: Path) -> None:
    scripted.will_say(Said(201, {"name": "ben"}))
    variables = environment(bin_folder, tmp_path, KKBIDA_URL=scripted.url)
    command = [str(bin_folder / "kkbida"), "operators", "add", "ben"]
    asked = "Password of ben: "
    repeat = "Repeat for confirmation: "
    code, shown = typed(command, variables, (asked, "one"), (repeat, "other"), (asked, "two"), (repeat, "two"))
    assert code == 0, shown
    assert scripted.came[0].json["password"] == "two"


def test_whoever_says_no_changes_nothing(bin_folder: Path, scripted: Scripted, tmp_path: Path) -> None:
    variables = environment(bin_folder, tmp_path, KKBIDA_URL=scripted.url)
    command = [str(bin_folder / "kkbida"), "callers", "remove", "key_1"]
    code, shown = typed(command, variables, ("Remove the caller key_1? [y/N]: ", "n"))
    assert (code, "Stopped." in shown) == (130, True)
    assert scripted.came == []


def test_results_go_where_they_are_sent_whatever_moves_on_the_terminal(
    bin_folder: Path, run: Run, tmp_path: Path
) -> None:
    url = shlex.quote(run.access["receiver"] + "/fail/1")
    tasks = 'for n in 1 2 3; do echo \'{"url": "\'%s\'", "retry": {"schedule": [0.1]}}\'; done' % url  # noqa: UP031
    script = f"{tasks} | kkbida submit --from - > ids; kkbida watch $(head -1 ids) --every 0.1 --json > life"
    variables = {**environment(bin_folder, tmp_path, KKBIDA_URL=run.access["api"]), "TERM": "xterm"}
    code, shown = typed(["bash", "-c", f"cd {tmp_path}; {script}"], variables)
    assert code == 0, shown
    assert len((tmp_path / "ids").read_text().split()) == 3
    assert json.loads((tmp_path / "life").read_text().splitlines()[-1])["status"] == "delivered"
    assert "3/3" in shown, "the progress bar"


def _heeding_ctrl_c() -> None:
    """Tests that run in the background of a shell ignore it, and so would all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_person_looks_on_until_ctrl_c(bin_folder: Path, scripted: Scripted, tmp_path: Path) -> None:
    scripted.will_say(Said(200, {"tasks": [shown_task()], "cursor": None}))
    variables = environment(bin_folder, tmp_path, KKBIDA_URL=scripted.url)
    ours, theirs = pty.openpty()
    able = {**variables, "TERM": "xterm"}
    process = subprocess.Popen(
        [str(bin_folder / "kkbida"), "watch"],
        stdin=theirs,
        stdout=theirs,
        env=able,
        preexec_fn=_heeding_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )
    os.close(theirs)
    _until(ours, shown_task()["task_id"][:8])
    process.send_signal(signal.SIGINT)
    _until(ours, None)
    os.close(ours)
    assert process.wait(10) == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_learns_to_complete(bin_folder: Path, tmp_path: Path) -> None:
    script = 'eval "$(kkbida completion bash)"; complete -p kkbida; COMP_WORDS=(kkbida canc); COMP_CWORD=1; '
    script += '_kkbida_completion kkbida; echo "${COMPREPLY[@]}"'
    said = printed(["bash", "-c", script], **environment(bin_folder, tmp_path))
    assert said.splitlines()[-1] == "cancel"
