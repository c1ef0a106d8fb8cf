"""However a command goes wrong, it ends with a sentence and an exit code of those that are documented; never with a
traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from kkbida import Patience
from kkbida.cli.app import cli
from kkbida.cli.ending import EXITS, Exit
from kkbida.cli.words import local
from kkbida.tasks import moment
from tests.sdk.conftest import Kkbida, Said, Scripted, shown_task, whole_task

SDK = Path(__file__).parents[2] / "sdk" / "src"
URL = "https://partner.example"


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kkbida.cli.base.PATIENCE", Patience(total=0))


# ── ordinary slips ───────────────────────────────────────────────────────────────────────────────

SLIPS: dict[str, Sequence[str]] = {
    "a timeout that is no number": ("submit", URL, "--timeout", "nan"),
    "an infinite delay": ("submit", URL, "--delay", "inf"),
    "an infinite deadline": ("submit", URL, "--deadline", "1e400"),
    "a wait that is no number": ("submit", URL, "--schedule", "1,nan"),
    "no waits at all": ("submit", URL, "--schedule", ","),
    "an endless wait": ("submit", URL, "--wait", "--wait-for", "inf"),
    "a key in Chinese": ("submit", URL, "--key", "订单-1"),
    "a key of two lines": ("submit", URL, "--key", "a\nb"),
    "a label that is no UTF-8": ("submit", URL, "--label", "a=\udcff"),
    "a URL that is no UTF-8": ("submit", "https://\udcff.example"),
    "a filter that is no UTF-8": ("list", "-q", "\udcff"),
    "an id that is no UTF-8": ("show", "\udcff"),
    "an id that is a path": ("cancel", ".."),
    "no id": ("show", ""),
    "a time before all others": ("list", "--since", "0001-01-01T00:00:00+14:00"),
    "a time after all others": ("audit", "--until", "9999-12-31T23:59:59-14:00"),
    "a span of ages": ("list", "--since", "99999999999999999999d"),
    "an endless pause": ("watch", "--every", "nan"),
    "a pause beyond all clocks": ("watch", "--every", "1e300"),
    "a rate that is none": ("targets", "limit", "https://x:443", "--rate", "nan"),
    "an unknown command": ("submitt",),
    "nothing at all": ("submit",),
}


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_in_a_sentence(kkbida: Kkbida, scripted: Scripted, slip: Sequence[str]) -> None:
    said = kkbida(*slip, "--url", scripted.url, code=2).stderr
    assert said.strip()
    assert "fault of the program" not in said
    assert scripted.came == []


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(
    "url", ["http://[", "http://x:port", "https://ann:kks_secret@x.example", "ftp://x", "http://x/é", "http://\udcff"]
)
def test_a_url_that_is_none_is_told_without_what_is_secret(kkbida: Kkbida, url: str) -> None:
    assert "kks_" not in kkbida("list", "--url", url, code=2 if "udc" not in ascii(url) else 5).stderr


def test_an_empty_secret_is_no_secret(kkbida: Kkbida, scripted: Scripted) -> None:
    add = ("profiles", "add", "prod", "--url", scripted.url, "--key-id", "key_1")
    for stdin in (b"", b"\n", b"\r\n"):
        assert "standard input has no line" in kkbida(*add, code=2, stdin=stdin).stderr
    assert "standard input is not UTF-8" in kkbida(*add, code=2, stdin=b"\xff\n").stderr
    kkbida(*add, stdin=b"\xef\xbb\xbfkks_1\r\n")
    scripted.will_say(Said(200, {"tasks": [], "cursor": None}))
    kkbida("list", "--profile", "prod")


# ── answers that are not kkbida's ────────────────────────────────────────────────────────────────

HTML = b"<html><title>Sign in</title></html>"
STRANGE = {
    "HTML": Said(200, HTML, {"Content-Type": "text/html"}),
    "nothing": Said(204, b""),
    "another JSON": Said(200, {"ok": True}),
    "a list": Said(200, []),
    "text": Said(200, "fine"),
    "null": Said(200, None),
    "half a document": Said(200, b'{"tasks": ['),
    "depth": Said(200, b"[" * 100_000),
    "a redirect": Said(302, b"", {"Location": "https://login.example/"}),
    "a redirect to nowhere": Said(302, b"", {"Location": "http://[::1"}),
    "a redirect in no encoding": Said(301, b"", {"Location": "/\xff"}),
    "a login page": Said(401, HTML, {"Content-Type": "text/html"}),
    "a firewall": Said(403, HTML, {"Content-Type": "text/html"}),
    "another server": Said(404, b"404 page not found\n", {"Content-Type": "text/plain"}),
    "a gateway": Said(403, {"message": "Missing Authentication Token"}),
    "a bad gateway": Said(502, HTML, {"Content-Type": "text/html"}),
    "a gateway that waits": Said(504, {"message": "Endpoint request timed out"}),
    "no gzip": Said(200, b"plain", {"Content-Encoding": "gzip"}),
    "fewer bytes": Said(200, b"{}", {"Content-Length": "100", "Connection": "close"}),
    "a length that is none": Said(200, b"{}", {"Content-Length": "x", "Connection": "close"}),
    "no answer": Said(0),
}
COMMANDS: dict[str, Sequence[str]] = {
    "submit": ("submit", URL),
    "from": ("submit", "--from", "-"),
    "show": ("show", "id-1"),
    "list": ("list",),
    "export": ("export",),
    "watch": ("watch", "id-1"),
    "resend": ("resend", "id-1"),
    "resend many": ("resend", "-q", "x", "--yes"),
    "cancel": ("cancel", "id-1"),
    "status": ("status",),
    "whoami": ("whoami",),
    "targets": ("targets", "list"),
    "pause": ("targets", "pause", "https://x:443"),
    "channels": ("channels", "list"),
    "test": ("channels", "test", "c-1"),
    "callers": ("callers", "add", "orders"),
    "audit": ("audit",),
    "resends": ("resends", "show", "r-1"),
    "remove": ("channels", "remove", "c-1", "--yes"),
    "login": ("login", "--name", "ann", "--profile", "p"),
}


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_is_no_answer_of_kkbidas_is_told_as_such(
    kkbida: Kkbida, scripted: Scripted, answer: Said, command: Sequence[str]
) -> None:
    scripted.will_say(answer)
    done = answer.status == 204 and command[-3:-1] == ("remove", "c-1")
    code = Exit.OK if done else Exit.UNREACHABLE
    said = kkbida(*command, "--url", scripted.url, code=code, stdin='{"url": "https://partner.example"}\n')
    if answer.status and not done:
        assert "http://127.0.0.1" in said.stderr or "no member" in said.stderr or answer.headers


def test_what_came_is_told(kkbida: Kkbida, scripted: Scripted) -> None:
    scripted.will_say(STRANGE["HTML"])
    said = kkbida("show", "id-1", "--url", scripted.url, code=5).stderr
    assert f"{scripted.url}/v1/tasks/id-1 answered 200 with text/html that begins '<html>" in said


def test_waiting_outlasts_a_gateway_that_fails_for_a_while(kkbida: Kkbida, scripted: Scripted) -> None:
    bad = STRANGE["a bad gateway"]
    pending, done = Said(200, whole_task()), Said(200, whole_task(status="delivered"))
    page = STRANGE["HTML"]
    scripted.will_say(Said(202, shown_task()), pending, bad, pending, page, done)
    said = kkbida("submit", URL, "--wait", "--url", scripted.url)
    assert "is accepted." in said.stderr
    assert len(scripted.came) == 6


# ── what this computer does ──────────────────────────────────────────────────────────────────────


def program(*given: str, home: Path, **more: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(SDK), "XDG_CONFIG_HOME": str(home), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen([sys.executable, "-m", "kkbida", *given], env=environment, **more)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def many(scripted: Scripted) -> Scripted:
    scripted.will_say(Said(200, {"tasks": [shown_task(labels={"long": "x" * 1000})] * 100, "cursor": "more"}))
    return scripted


@pytest.mark.parametrize("form", [("list", "--all", "--json"), ("export",), ("export", "--format", "csv")])
def test_a_reader_that_ends_is_no_failure(many: Scripted, tmp_path: Path, form: Sequence[str]) -> None:
    pages = Said(200, {"tasks": [shown_task(labels={"long": "x" * 1000})] * 100, "cursor": None})
    many.will_say(*many.answers * 3, pages)
    process = program(*form, "--url", many.url, home=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read().decode()
    assert process.wait(60) == Exit.PIPE_CLOSED
    assert "Traceback" not in said
    assert "Exception" not in said
    assert "kkbida: " not in said


@pytest.mark.parametrize("words", [("--help",), ("list", "--help"), ("profiles", "list"), ("--version",)])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_told(tmp_path: Path, words: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = program(*words, "--json", home=tmp_path, stdout=full, stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=60)
    if words == ("profiles", "list"):
        assert (process.returncode, said) == (0, b""), "there was nothing to write"
        return
    assert process.returncode == Exit.LOCAL
    assert b"No space left on device" in said
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="as above")
@pytest.mark.parametrize("where", ["/dev/full", "/nowhere/at/all.csv"])
def test_an_export_that_cannot_be_written_says_how_far_it_came(kkbida: Kkbida, scripted: Scripted, where: str) -> None:
    scripted.will_say(Said(200, {"tasks": [shown_task()] * 3, "cursor": None}))
    said = kkbida("export", "-o", where, "--url", scripted.url, code=Exit.LOCAL).stderr
    assert "cannot be read or written: No " in said
    assert "The output is not complete." in said


def test_ctrl_c_ends_a_command_with_a_word(scripted: Scripted, tmp_path: Path) -> None:
    scripted.will_say(Said(200, whole_task()))
    process = program(
        *("watch", "id-1", "--url", scripted.url), home=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline(), "it is under way"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert said.decode().strip() == "kkbida: Stopped."


def test_ctrl_c_in_a_submission_says_how_far_it_came(
    kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    scripted.will_say(Said(207, {"results": [{"status": 202, "task": shown_task()}] * 2}))
    monkeypatch.setattr("kkbida.cli.tasks._say_result", stop)
    lines = '{"url": "https://partner.example"}\n' * 2
    said = kkbida("submit", "--from", "-", "--url", scripted.url, code=Exit.INTERRUPTED, stdin=lines).stderr
    assert "2 of 2 tasks were submitted, up to line 2." in said


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_may_be_closed_from_the_beginning(scripted: Scripted, tmp_path: Path, closed: int) -> None:
    scripted.will_say(Said(202, shown_task()))
    process = program("submit", URL, "--url", scripted.url, home=tmp_path, preexec_fn=lambda: os.close(closed))
    assert process.wait(60) == Exit.OK
    assert len(scripted.came) == 1


def test_an_encoding_that_has_not_all_characters_is_no_failure(scripted: Scripted, tmp_path: Path) -> None:
    odd = "上\U0001f600é\ud800"
    scripted.will_say(Said(200, {"tasks": [shown_task(url=odd)], "cursor": None}))
    for form in (("list",), ("list", "--json"), ("export",), ("export", "--format", "csv")):
        environment = {**os.environ, "PYTHONPATH": str(SDK), "XDG_CONFIG_HOME": str(tmp_path)}
        for encoding in ("ascii", "utf-8", "gbk"):
            process = subprocess.run(
                [sys.executable, "-m", "kkbida", *form, "--url", scripted.url],
                env={**environment, "PYTHONIOENCODING": encoding},
                capture_output=True,
                check=False,
            )
            assert (process.returncode, process.stderr) == (0, b""), (form, encoding)


def test_a_fault_of_the_program_is_told_as_one(
    kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("kkbida.cli.tasks.filter_of", fail)
    said = kkbida("list", "--url", scripted.url, code=Exit.FAULT).stderr
    assert "fault of the program, not of what it was given: ZeroDivisionError: by zero" in said
    assert "Traceback" not in said
    monkeypatch.setenv("KKBIDA_TRACEBACK", "1")
    result = CliRunner().invoke(cli, ["list", "--url", scripted.url])
    assert "Traceback" in result.stderr


def test_every_exit_code_is_documented() -> None:
    assert set(EXITS) == set(Exit)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Shanghai"])
def test_both_ends_of_the_calendar_can_be_shown(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415 - nothing else here needs one

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
            assert local(moment(text))[:4] in ("0001", "9999")
    finally:
        monkeypatch.undo()
        time.tzset()
