"""The command line in this process: against a real local run, and against a server that does as it is told."""

from __future__ import annotations

import csv
import io
import json
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kkbida import Patience, __version__
from kkbida.cli.app import SECTIONS, cli
from kkbida.cli.base import Command
from kkbida.cli.ending import EXITS
from kkbida.cli.manual import manual
from kkbida.cli.profiles import Profile, Profiles
from tests.sdk.conftest import Kkbida, Said, Scripted, shown_task, whole_task

DOCS = Path(__file__).parents[2] / "docs"

# ── tasks ────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_is_submitted_waited_for_and_shown(kkbida: Kkbida, here: str) -> None:
    said = kkbida(
        *("submit", f"{here}/fail/1", "-d", '{"city": "上海"}', "-H", "X-Order: 42", "--label", "order=42"),
        *("--contains", "success", "--expect-status", "2xx", "--schedule", "0.1", "--target-app", "billing", "--wait"),
    ).stdout
    task_id = said.split()[0]
    assert "Delivered at attempt 2, " in said
    shown = kkbida("show", task_id).stdout
    assert shown.startswith("Delivered at attempt 2, ")
    for told in (
        "order=42",
        '{"city": "上海"}',
        "contains 'success'",
        "billing",
        "status 503 not in 2xx",
        "waits 100 ms",
    ):
        assert told in shown
    whole = json.loads(kkbida("show", task_id, "--json").stdout)
    assert (whole["status"], len(whole["attempts"])) == ("delivered", 2)


def test_a_task_that_fails_ends_the_command_so(kkbida: Kkbida, here: str) -> None:
    said = kkbida("submit", f"{here}/status/500", "--max-attempts", "1", "--wait", code=1).stdout
    assert "Not delivered: given up after 1 attempt, because" in said
    told = kkbida("watch", said.split()[0], code=1).stdout
    assert "attempt 1 failed" in told
    kkbida("submit", f"{here}/ok", "--delay", "60", "--wait", "--wait-for", "0.1", code=1)


def test_a_body_may_be_json_text_a_file_or_standard_input(kkbida: Kkbida, here: str, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"order": 1}')
    sent = {'{"a": 1}': {"a": 1}, "plain text": "plain text", f"@{tmp_path / 'order.json'}": {"order": 1}, "-": [7]}
    for given, body in sent.items():
        task_id = kkbida("submit", f"{here}/ok", "--delay", "60", "-d", given, stdin="[7]").stdout.strip()
        assert json.loads(kkbida("show", task_id, "--json").stdout)["body"] == body
    kkbida("submit", f"{here}/ok", "-d", "@nowhere.json", code=2)


def test_tasks_of_a_file_are_submitted_each_for_itself(kkbida: Kkbida, here: str, tmp_path: Path) -> None:
    good = {
        "url": f"{here}/ok",
        "idempotency_key": "cli-1",
        "expect": {"status": ["2xx"]},
        "retry": {"max_attempts": 2},
    }
    bad = {"url": "ftp://partner.example", "deliver_at": "2099-01-01T00:00:00Z"}
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, (good, bad, good))) + "\n\n")
    result = kkbida("submit", "--from", str(tmp_path / "tasks.jsonl"), code=1)
    first, second = result.stdout.split()
    assert first == second, "the same key is the same task"
    assert "line 2: " in result.stderr
    assert "1 of 3 tasks were not taken" in result.stderr
    lines = [
        json.loads(it)
        for it in kkbida("submit", "--from", str(tmp_path / "tasks.jsonl"), "--json", code=1).stdout.splitlines()
    ]
    assert [("task" in it, it["line"]) for it in lines] == [(True, 1), (False, 2), (True, 3)]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "line", ["[]", "{}", "nonsense", '{"url": "x", "surprise": 1}', '{"url": "x", "retry": {"x": 1}}']
)
def test_a_line_that_is_no_task_is_named(kkbida: Kkbida, line: str) -> None:
    assert "line 1 is no task" in kkbida("submit", "--from", "-", code=2, stdin=line).stderr


def test_tasks_are_listed_exported_and_filtered(kkbida: Kkbida, here: str, tmp_path: Path) -> None:
    app = "lister"
    ids = {
        kkbida("submit", f"{here}/ok?n={number}", "--delay", "60", "--source-app", app).stdout.strip()
        for number in range(3)
    }
    listed = kkbida("list", "--source-app", app, "--since", "1h").stdout
    assert {line.split()[0] for line in listed.splitlines()[1:]} == ids
    assert "scheduled" in listed
    assert len(kkbida("list", "--source-app", app, "--limit", "2", "--json").stdout.splitlines()) == 2
    assert "There are no such tasks." in kkbida("list", "--source-app", app, "--until", "1h").stderr
    kkbida("export", "--source-app", app, "-o", str(tmp_path / "all.csv"))
    with (tmp_path / "all.csv").open() as file:
        assert {row["task_id"] for row in csv.DictReader(file)} == ids
    lines = kkbida("export", "--source-app", app, "--status", "scheduled").stdout.splitlines()
    assert {json.loads(line)["task_id"] for line in lines} == ids


def test_a_task_is_cancelled_resent_and_delivered_now(kkbida: Kkbida, here: str) -> None:
    task_id = kkbida("submit", f"{here}/ok", "--delay", "60").stdout.strip()
    kkbida("cancel", task_id)
    assert "wrong_status" in kkbida("cancel", task_id, code=3).stderr
    assert "Round 2" in kkbida("resend", task_id, "--to-url", f"{here}/ok?again", "-d", "new").stdout
    kkbida("watch", task_id, "--every", "0.1")
    later = kkbida("submit", f"{here}/ok", "--at", "2h").stdout.strip()
    assert "The first one is made in 1 h 59 min" in kkbida("show", later).stdout
    kkbida("deliver-now", later)
    kkbida("watch", later, "--every", "0.1")


def test_many_are_resent_by_filter_after_a_dry_run(kkbida: Kkbida, here: str) -> None:
    mark = "q=cli-bulk"
    for _ in range(3):
        kkbida("submit", f"{here}/status/500?{mark}", "--max-attempts", "1", "--wait", code=1)
    assert kkbida("resend", "-q", mark, "--dry-run").stdout == "3 tasks would be resent.\n"
    assert "Say --yes" in kkbida("resend", "-q", mark, code=2).stderr
    done = json.loads(kkbida("resend", "-q", mark, "--rate", "100", "--yes", "--json").stdout)
    assert (done["status"], done["resent"]) == ("done", 3)
    assert done["resend_id"] in kkbida("resends", "list").stdout
    assert "3 resent" in kkbida("resends", "show", done["resend_id"], "--follow").stdout
    assert kkbida("resends", "stop", done["resend_id"]).stdout
    assert "Say which" in kkbida("resend", code=2).stderr


def test_watch_tells_of_each_task_whenever_it_has_changed(
    kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("kkbida.cli.tasks.time.sleep", pause)
    before, after = shown_task(task_id="t-1"), shown_task(task_id="t-1", updated_at="2026-12-01T12:00:07Z")
    other = shown_task(task_id="t-2")
    pages = [Said(200, {"tasks": tasks, "cursor": None}) for tasks in ([before], [other, before], [other, after])]
    scripted.will_say(*pages)
    told = kkbida("watch", "--url", scripted.url, "--every", "7").stdout
    assert [line.split()[0] for line in told.splitlines()] == ["t-1", "t-2", "t-1"]
    assert looks == [7, 7, 7]
    looks.clear()
    scripted.will_say(*pages)
    lines = kkbida("watch", "--url", scripted.url, "--json").stdout.splitlines()
    assert [json.loads(line)["task_id"] for line in lines] == ["t-1", "t-2", "t-1"]


# ── what operators do ────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("here")
def test_a_target_is_paused_limited_and_let_go(kkbida: Kkbida) -> None:
    target = "https://cli.example:443"
    kkbida("targets", "pause", target)
    kkbida("targets", "limit", target, "--concurrency", "3", "--rate", "0.5", "--failure-share", "0.9")
    [shown] = [
        it for it in map(json.loads, kkbida("targets", "list", "--json").stdout.splitlines()) if it["target"] == target
    ]
    assert (shown["paused"], shown["max_concurrency"], shown["breaker"]["failure_share"]) == (True, 3, 0.9)
    assert target in kkbida("targets", "list").stdout
    kkbida("targets", "resume", target)
    kkbida("targets", "limit", target, "--none")
    assert target not in kkbida("targets", "list").stdout
    kkbida("targets", "limit", target, code=2)


def test_a_channel_is_made_tested_and_removed(kkbida: Kkbida, here: str) -> None:
    said = kkbida("channels", "add", "dingtalk", f"{here}/dingtalk?token=hidden", "--ask-secret", stdin="SEC-of-it\n")
    channel_id = said.stdout.split()[0]
    listed = kkbida("channels", "list").stdout
    assert channel_id in listed
    assert "hidden" not in listed + said.stdout
    assert "SEC-of-it" not in listed + said.output
    assert kkbida("channels", "test", channel_id).stdout == "It took the message.\n"
    kkbida("channels", "remove", channel_id, "--yes")
    kkbida("channels", "test", channel_id, code=4)
    broken = kkbida("channels", "add", "dingtalk", f"{here}/dingtalk/310000").stdout.split()[0]
    assert "It did not: " in kkbida("channels", "test", broken, code=1).stdout
    kkbida("channels", "remove", broken, "--yes")


@pytest.mark.usefixtures("here")
def test_a_caller_is_made_with_a_secret_that_is_shown_once(kkbida: Kkbida, config: Profiles) -> None:
    said = kkbida("callers", "add", "cli-app", "--may", "submit", "--network", "127.0.0.0/8", "--memo", "a shop").stdout
    key_id, secret = (line.split()[-1] for line in said.splitlines())
    assert secret.startswith("kks_")
    listed = kkbida("callers", "list").stdout
    assert key_id in listed
    assert secret not in listed
    kept = kkbida("callers", "add", "cli-app", "--save", "--profile", "shop").output
    kept += kkbida("callers", "add", "cli-app", "--save", "--profile", "other", "--json").output
    assert "kks_" not in kept
    assert config.find("shop").secret.startswith("kks_")
    kkbida("callers", "remove", key_id, "--yes")
    kkbida("callers", "remove", key_id, "--yes", code=4)


@pytest.mark.usefixtures("here")
def test_a_signing_secret_is_made_and_removed(kkbida: Kkbida) -> None:
    said = kkbida("signing-secrets", "add", "cli-signed").stdout
    secret_id = said.split()[2]
    assert "whsec_" in said
    assert "whsec_" not in kkbida("signing-secrets", "list").stdout
    kkbida("signing-secrets", "remove", secret_id, "--yes")


@pytest.mark.usefixtures("here")
def test_the_state_is_told(kkbida: Kkbida) -> None:
    assert kkbida("status").stdout.startswith("kkbida is ok; the ledger ")
    assert json.loads(kkbida("status", "--json").stdout).keys() == {"health", "ledger", "totals"}


# ── who asks: a server that does as it is told ───────────────────────────────────────────────────

SESSION = Said(
    200,
    {"name": "ann", "role": "operator", "csrf_token": "csrf-1", "expires_at": "2026-12-01T20:00:00Z"},
    {"Set-Cookie": "kkbida_session=cookie-1; HttpOnly; Path=/, kkbida_device=device-1; HttpOnly; Path=/"},
)
GONE = Said(204, b"")
NOBODY = Said(401, {"code": "unauthorized", "detail": "Nobody is known."})


def test_an_operator_logs_in_and_is_known_until_logout(kkbida: Kkbida, scripted: Scripted, config: Profiles) -> None:
    kkbida("profiles", "add", "default", "--url", scripted.url)
    scripted.will_say(SESSION, Said(200, {"target": "t", "paused": True}), Said(200, {"targets": []}), GONE)
    kkbida("login", "--name", "ann", stdin="pass word\n")
    kkbida("targets", "pause", "https://t:443")
    kkbida("targets", "list")
    assert stat.S_IMODE(config.path.stat().st_mode) == 0o600
    kkbida("logout")
    login, pause, listed, logout = scripted.came
    assert login.json == {"name": "ann", "password": "pass word"}
    assert login.headers.get("cookie") is None
    for came in (pause, listed, logout):
        assert came.headers["cookie"] == "kkbida_session=cookie-1"
    assert [came.headers.get("x-csrf-token") for came in (pause, listed, logout)] == ["csrf-1", None, "csrf-1"]
    assert config.find("default") == Profile(url=scripted.url, device="device-1")
    kkbida("logout", code=2)
    kkbida("password", code=2)
    scripted.will_say(SESSION)
    kkbida("login", "--name", "ann", stdin="pass word\n")
    assert scripted.came[-1].headers["cookie"] == "kkbida_device=device-1"


def test_a_password_is_nowhere_but_in_its_request(kkbida: Kkbida, scripted: Scripted, config: Profiles) -> None:
    scripted.will_say(SESSION)
    said = kkbida("login", "--url", scripted.url, "--name", "ann", stdin="pass word\n").output
    assert "pass word" not in said + config.path.read_text()


def test_a_login_without_a_session_is_none(kkbida: Kkbida, scripted: Scripted, config: Profiles) -> None:
    scripted.will_say(Said(200, SESSION.body, {"Set-Cookie": "other_kkbida_session=x, kkbida_device=d"}))
    kkbida("login", "--url", scripted.url, "--name", "ann", code=5, stdin="x\n")
    assert config.all() == {}


def test_whoami_tells_who_asks_and_nothing_to_ask_with(
    kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KKBIDA_URL", scripted.url)
    me = {"kind": "operator", "name": "operator:ann", "role": "viewer", "source_app": None, "rights": ["read", "watch"]}
    scripted.will_say(Said(200, {**me, "csrf_token": "csrf-1"}))
    assert "read, watch" in kkbida("whoami").stdout
    assert json.loads(kkbida("whoami", "--json").stdout) == {"profile": "default", "url": scripted.url, **me}


REMEDIES = {
    "nobody": ([], "Log in as an operator: kkbida login"),
    "a session": (["login"], "The login of ann is over. Log in again: kkbida login"),
}


@pytest.mark.parametrize(("before", "told"), REMEDIES.values(), ids=REMEDIES)
def test_who_is_not_known_is_told_what_to_do(kkbida: Kkbida, scripted: Scripted, before: list[str], told: str) -> None:
    kkbida("profiles", "add", "default", "--url", scripted.url)
    if before:
        scripted.will_say(SESSION)
        kkbida("login", "--name", "ann", stdin="x\n")
    scripted.will_say(NOBODY)
    assert told in kkbida("targets", "list", code=3).stderr


def test_who_may_not_is_told_to_ask_as_somebody_who_may(kkbida: Kkbida, scripted: Scripted) -> None:
    scripted.will_say(Said(403, {"code": "forbidden", "detail": "This needs the right to admin."}))
    kkbida("profiles", "add", "prod", "--url", scripted.url)
    said = kkbida("callers", "list", "--profile", "prod", code=3).stderr
    assert "This needs the right to admin." in said
    assert "Ask as an operator who may: kkbida login --profile prod" in said


def test_a_submission_is_signed_by_the_caller_and_all_else_asked_by_the_operator(
    kkbida: Kkbida, scripted: Scripted
) -> None:
    kkbida("profiles", "add", "default", "--url", scripted.url, "--key-id", "key_1", stdin="kks_secret\n")
    scripted.will_say(
        Said(200, {"tasks": [], "cursor": None}), SESSION, Said(202, shown_task()), Said(200, whole_task())
    )
    kkbida("list")
    kkbida("login", "--name", "ann", stdin="x\n")
    kkbida("submit", "https://partner.example")
    kkbida("show", "id-1")
    listed, _, submitted, shown = scripted.came
    assert 'keyid="key_1"' in listed.headers["signature-input"]
    assert 'keyid="key_1"' in submitted.headers["signature-input"]
    assert (shown.headers["cookie"], shown.headers.get("signature")) == ("kkbida_session=cookie-1", None)


def test_operators_are_made_and_changed(kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KKBIDA_URL", scripted.url)
    scripted.will_say(Said(200, {"name": "ben"}))
    kkbida("operators", "add", "ben", "--role", "viewer", stdin="first\n")
    kkbida("operators", "change", "ben o", "--role", "admin", "--disable", "--new-password", stdin="second\n")
    kkbida("operators", "change", "ben", code=2)
    added, changed = scripted.came
    assert added.json == {"name": "ben", "role": "viewer", "password": "first"}
    assert (changed.method, changed.target) == ("PATCH", "/v1/operators/ben%20o")
    assert changed.json == {"role": "admin", "disabled": True, "password": "second"}


def test_ones_own_password_is_changed_and_the_login_goes_on(
    kkbida: Kkbida, scripted: Scripted, config: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KKBIDA_URL", scripted.url)
    changed = Said(204, b"", {"Set-Cookie": "kkbida_device=d; Path=/, kkbida_session=cookie-2; HttpOnly; Path=/"})
    scripted.will_say(SESSION, changed, Said(200, {"csrf_token": "csrf-2"}))
    kkbida("profiles", "add", "default", "--url", scripted.url)
    kkbida("login", "--name", "ann", stdin="old\n")
    said = kkbida("password", stdin="old\nnew\n").output
    assert said == "Your password is changed, and your logins elsewhere are over.\n"
    _, change, me = scripted.came
    assert change.json == {"current": "old", "new": "new"}
    assert me.headers["cookie"] == "kkbida_session=cookie-2"
    kept = config.find("default")
    assert (kept.operator, kept.cookie, kept.csrf_token) == ("ann", "cookie-2", "csrf-2")


def test_the_audit_trail_is_read_page_by_page(
    kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KKBIDA_URL", scripted.url)
    entry = {
        "at": "2026-12-01T12:00:00Z",
        "actor": "ann",
        "action": "login",
        "address": "192.0.2.7",
        "detail": {"a": 1, "b": [], "c": ["x", "y"]},
        "subject": "operator:ann",
        "result": "done",
    }
    page = Said(200, {"audits": [entry] * 3, "cursor": "c-1"})
    scripted.will_say(page, Said(200, {"audits": [entry], "cursor": None}))
    said = kkbida("audit").stdout
    assert said.count("operator:ann") == 4
    assert "a=1; c=x, y" in said
    assert [came.target for came in scripted.came] == ["/v1/audit?limit=100", "/v1/audit?cursor=c-1&limit=100"]
    scripted.will_say(page)
    given = ("--who", "operator:ann", "--on", "id 1", "--since", "2026-12-01T12:00:00Z")
    assert len(kkbida("audit", "--limit", "2", "--json", *given).stdout.splitlines()) == 2
    assert scripted.came[-1].target == (
        "/v1/audit?actor=operator%3Aann&limit=100&since=2026-12-01T12%3A00%3A00.000Z&subject=id%201"
    )


# ── where to ask ─────────────────────────────────────────────────────────────────────────────────


def test_without_a_profile_it_is_said_how_to_make_one(kkbida: Kkbida) -> None:
    assert "kkbida profiles add default --url" in kkbida("list", code=2).stderr


def test_profiles_are_made_listed_and_forgotten_and_their_secrets_are_not_shown(
    kkbida: Kkbida, config: Profiles
) -> None:
    kkbida("profiles", "add", "prod", "--url", "https://kkbida.example", "--key-id", "key_1", stdin="kks_secret\n")
    assert config.find("prod") == Profile(url="https://kkbida.example", key_id="key_1", secret="kks_secret")
    listed = kkbida("profiles", "list").output + kkbida("profiles", "list", "--json").output
    assert "key_1" in listed
    assert "kks_secret" not in listed
    kkbida("profiles", "add", "prod", "--url", "https://other.example")
    assert config.find("prod") == Profile(url="https://other.example"), "a key does not move to another place"
    kkbida("profiles", "remove", "prod")
    kkbida("profiles", "remove", "prod", code=4)
    assert "kkbida profiles add" in kkbida("profiles", "list").stderr
    kkbida("profiles", "add", "prod", code=2)
    kkbida("profiles", "add", "prod", "--url", "kkbida.example", code=2)


def test_a_secret_goes_only_where_it_belongs(
    kkbida: Kkbida, scripted: Scripted, config: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.put("default", Profile("https://kkbida.example", "key_1", "kks_secret", "ann", "cookie-1", "csrf-1"))
    scripted.will_say(Said(200, {"tasks": [], "cursor": None}))
    kkbida("list", "--url", scripted.url)
    monkeypatch.setenv("KKBIDA_URL", scripted.url)
    kkbida("list")
    assert [it.headers.get("cookie") or it.headers.get("signature") for it in scripted.came] == [None, None]
    monkeypatch.setenv("KKBIDA_KEY_ID", "key_2")
    monkeypatch.setenv("KKBIDA_SECRET", "kks_other")
    kkbida("list")
    assert 'keyid="key_2"' in scripted.came[-1].headers["signature-input"]


def test_what_is_saved_for_a_local_run_goes_before_what_it_wrote(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Profiles
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    (tmp_path / "access.json").write_text(json.dumps({"api": scripted.url, "key_id": "key_1", "secret": "kks_1"}))
    config.put("local", Profile(scripted.url, "key_2", "kks_2"))
    scripted.will_say(Said(202, shown_task()))
    kkbida("submit", "--local", "https://partner.example")
    config.put("local", Profile("http://elsewhere.example", "key_2", "kks_2"))
    kkbida("submit", "--local", "https://partner.example")
    first, second = (it.headers["signature-input"] for it in scripted.came)
    assert "key_2" in first
    assert "key_1" in second


def test_a_login_elsewhere_does_not_move_a_profile(kkbida: Kkbida, scripted: Scripted, config: Profiles) -> None:
    config.put("default", Profile("https://kkbida.example", "key_1", "kks_1"))
    scripted.will_say(SESSION)
    said = kkbida("login", "--url", scripted.url, "--name", "ann", code=2, stdin="x\n").stderr
    assert "The profile default asks https://kkbida.example" in said
    kkbida("callers", "add", "orders", "--save", "--url", scripted.url, code=2)
    assert scripted.came == [], "nothing was sent that could not be kept"
    assert config.find("default") == Profile("https://kkbida.example", "key_1", "kks_1")
    kkbida("login", "--url", scripted.url, "--profile", "staging", "--name", "ann", stdin="x\n")
    assert config.find("staging").operator == "ann"


def test_a_file_that_others_may_read_is_refused(kkbida: Kkbida, config: Profiles) -> None:
    config.put("default", Profile("https://kkbida.example"))
    config.path.chmod(0o644)
    assert "chmod 600" in kkbida("list", code=2).stderr
    assert "chmod 600" in kkbida("profiles", "list", code=2).stderr


def test_a_file_that_is_broken_is_said_to_be(kkbida: Kkbida, config: Profiles) -> None:
    config.put("default", Profile("https://kkbida.example"))
    config.path.write_text("nonsense")
    assert "cannot be read" in kkbida("list", code=2).stderr


def test_profiles_survive_whatever_characters_they_hold(config: Profiles) -> None:
    odd = Profile("https://kkbida.example/%20", "key %(x)s", "kks_=;#:[ä", "ann", "c=ook;ie", "%")
    config.put("odd.n@me-1_é+", odd)
    assert config.all() == {"odd.n@me-1_é+": odd}


def test_the_local_run_is_found_by_its_folder(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Profiles
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    assert "make run" in kkbida("list", "--local", code=2).stderr
    access = {"api": scripted.url, "key_id": "key_1", "secret": "kks_1", "operator": "admin", "password": "by chance"}
    (tmp_path / "access.json").write_text(json.dumps(access))
    none = Said(200, {"targets": []})
    scripted.will_say(Said(202, shown_task()), SESSION, none, Said(200, {"name": "admin"}), none, NOBODY, SESSION, none)
    kkbida("--local", "submit", "https://partner.example")
    for _ in range(3):
        kkbida("targets", "list", "--local")
    submitted, login, *later = scripted.came
    assert 'keyid="key_1"' in submitted.headers["signature-input"]
    assert login.json == {"name": "admin", "password": "by chance"}
    assert [it.target for it in later] == [
        *("/v1/targets", "/v1/me", "/v1/targets"),
        *("/v1/me", "/v1/login", "/v1/targets"),  # it was begun anew
    ]
    kept = config.path.read_text()
    assert "by chance" not in kept
    assert "kks_1" not in kept


def test_where_nobody_listens_the_code_says_so(kkbida: Kkbida, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kkbida.cli.base.PATIENCE", Patience(total=0))
    assert "refused" in kkbida("list", "--url", "http://127.0.0.1:1", code=5).stderr
    kkbida("list", "--url", "nonsense", code=2)


@pytest.mark.usefixtures("here")
def test_every_fault_of_a_task_is_told_on_a_line_of_its_own(kkbida: Kkbida) -> None:
    said = kkbida("submit", "ftp://partner.example", "--timeout", "-1", code=3).stderr
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:]] == ["/timeout", "/url"]


def test_what_strangers_wrote_steers_no_terminal(kkbida: Kkbida, scripted: Scripted) -> None:
    evil = "\x1b]0;evil\x07\x9b2J\u202e"
    scripted.will_say(Said(200, {"tasks": [shown_task(url=evil, last_reason=evil)], "cursor": None}))
    for form in ([], ["--json"]):
        said = kkbida("list", "--url", scripted.url, *form).stdout
        assert not set(said) & set(evil[0] + "\x07\x9b\u202e")
        assert "evil" in said
    scripted.will_say(Said(404, {"code": "not_found", "detail": evil}))
    assert "\x1b" not in kkbida("show", "x", "--url", scripted.url, code=4).output


def test_a_spreadsheet_runs_nothing_of_what_is_exported(kkbida: Kkbida, scripted: Scripted) -> None:
    scripted.will_say(Said(200, {"tasks": [shown_task(last_reason="=cmd|' /C calc'!A0")], "cursor": None}))
    said = kkbida("export", "--format", "csv", "--url", scripted.url).stdout
    [row] = csv.DictReader(io.StringIO(said))
    assert row["last_reason"].startswith("'=")


# ── what it says of itself ───────────────────────────────────────────────────────────────────────


def every_command() -> Iterator[tuple[list[str], Command]]:
    """Each with the words that lead to it."""
    for command in (it for commands in SECTIONS.values() for it in commands):
        members = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for name, each in members:
            assert isinstance(each, Command)
            yield [str(command.name), *filter(None, [name])], each


EVERY = {" ".join(words): (words, command) for words, command in every_command()}


@pytest.mark.parametrize(("words", "command"), EVERY.values(), ids=EVERY)
def test_every_command_has_examples_that_it_takes(words: list[str], command: Command, tmp_path: Path) -> None:
    assert command.examples
    for example in command.examples:
        path, *given = shlex.split(
            example.rpartition("| ")[2].removeprefix('eval "$(').removesuffix(')"').partition(" > ")[0]
        )
        assert [path, *given[: len(words)]] == ["kkbida", *words]
        given = [it.replace("tasks.jsonl", str(tmp_path / "t")) for it in given[len(words) :]]
        (tmp_path / "t").touch()
        command.make_context("kkbida", given, obj=None)


@pytest.mark.parametrize(("words", "command"), EVERY.values(), ids=EVERY)
def test_every_help_shows_the_examples(kkbida: Kkbida, words: list[str], command: Command) -> None:
    said = kkbida(*words, "--help").stdout
    assert all(f"  {example}" in said for example in command.examples)


def test_help_shows_every_command_and_every_exit_code(kkbida: Kkbida) -> None:
    said = kkbida("--help").stdout
    assert all(f"  {name} " in said for name in cli.commands)
    assert "  5    kkbida was not reached" in said
    assert all(f"  {int(code)} " in said for code in EXITS)
    assert kkbida("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_shell_learns_to_complete(kkbida: Kkbida, shell: str) -> None:
    assert "_KKBIDA_COMPLETE" in kkbida("completion", shell).stdout


def test_profiles_are_completed(config: Profiles, kkbida: Kkbida, monkeypatch: pytest.MonkeyPatch) -> None:
    config.put("prod", Profile("https://kkbida.example"))
    monkeypatch.setenv("COMP_WORDS", "kkbida list --profile p")
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.setenv("_KKBIDA_COMPLETE", "bash_complete")
    assert kkbida().stdout == "plain,prod\n"


def test_the_page_about_the_command_line_is_what_the_commands_say() -> None:
    assert (DOCS / "cli.md").read_text() == manual(), "run PYTHONPATH=sdk/src python -m kkbida.cli.manual > docs/cli.md"


def test_an_unknown_word_is_a_mistake_of_usage(kkbida: Kkbida) -> None:
    kkbida("submitt", code=2)
    for when in ("yesterday", "99999999999999d", "0001-01-01", "9999-99-99", "d", ""):
        kkbida("list", "--since", when, code=2)
    kkbida("submit", "https://x.example", "--label", "nonsense", code=2)
    kkbida("submit", code=2)
