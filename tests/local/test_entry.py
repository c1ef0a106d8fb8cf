"""How whoever has started the local run gets in, and nobody else."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from chalicelib import operators
from chalicelib.task import Roster, evolve
from infra.local import entry
from tests.house import House
from tests.local.conftest import Reply, Run, running
from tests.signer import Signer

JSON = {"Content-Type": "application/json"}


def log_in(run: Run, password: str | None = None) -> Reply:
    sent = {"name": run.access["operator"], "password": password or run.access["password"]}
    return run.api("POST", "/v1/login", json.dumps(sent).encode(), JSON)


def printed(run: Run, what: str) -> list[str]:
    """The words of a command that the terminal shows."""
    return next(shlex.split(line) for line in run.welcome.splitlines() if "curl -s" in line and what in line)


def curl(words: list[str]) -> Any:
    return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)


def test_the_local_run_is_closed_and_its_printed_commands_just_work(tmp_path: Path) -> None:
    with running(tmp_path, KKBIDA_OPEN_API="0") as run:
        assert run.api("GET", "/v1/tasks").json["code"] == "unauthorized"
        task = curl(printed(run, " -d "))
        look = [word.replace("TASK_ID", task["task_id"]) for word in printed(run, "TASK_ID")]
        assert curl(look)["url"] == task["url"]
        for name in ("access.json", "curl"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_login_by_http_sets_a_cookie_that_logout_ends(tmp_path: Path) -> None:
    with running(tmp_path, KKBIDA_OPEN_API="0") as run:
        began = log_in(run)
        session, device = began.headers.get_all("Set-Cookie") or []
        assert began.status == 200
        assert session.split("; ")[1:] == ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"]
        assert device.startswith("kkbida_device=")
        cookie = {"Cookie": session.partition(";")[0]}
        assert run.api("GET", "/v1/me", None, cookie).json["name"] == "operator:admin"
        assert run.api("POST", "/v1/logout", b"", cookie).json["code"] == "csrf"
        ended = run.api("POST", "/v1/logout", b"", {**cookie, "X-CSRF-Token": began.json["csrf_token"]})
        assert (ended.status, ended.body) == (204, b"")
        assert "Max-Age=0" in (ended.headers["Set-Cookie"] or "")
        over = run.api("GET", "/v1/me", None, cookie)
        assert (over.status, over.json["code"]) == (401, "session_over")
        assert log_in(run, "wrong").json["code"] == "login_failed"


def test_the_ways_in_stay_the_same_over_a_restart_and_the_password_is_shown_once(tmp_path: Path) -> None:
    with running(tmp_path, KKBIDA_OPEN_API="0") as run:
        first, welcome = run.access, run.welcome
        run.process.terminate()
        run.process.wait(60)
    with running(tmp_path, KKBIDA_OPEN_API="0") as again:
        ours = ("operator", "password", "key_id", "secret")
        assert [again.access[name] for name in ours] == [first[name] for name in ours]
        assert first["password"] in welcome
        assert first["password"] not in again.welcome
        assert log_in(again).status == 200


def test_the_caller_of_the_local_run_signs_and_is_let_in(tmp_path: Path) -> None:
    with running(tmp_path, KKBIDA_OPEN_API="0") as run:
        signer = Signer(key_id=run.access["key_id"], secret=run.access["secret"])
        headers = signer.sign("GET", "/v1/me", created=time.time())
        me = run.api("GET", "/v1/me", None, headers).json
        assert (me["kind"], me["source_app"], me["rights"]) == ("caller", "default", ["submit", "read", "resend"])


def test_no_secret_is_in_the_log(tmp_path: Path) -> None:
    with running(tmp_path, KKBIDA_OPEN_API="0") as run:
        began = log_in(run)
        log_in(run, "a wrong password")
        cookies = [it.partition(";")[0].partition("=")[2] for it in began.headers.get_all("Set-Cookie") or []]
        kept = [run.access["password"], run.access["secret"], began.json["csrf_token"], *cookies, "a wrong password"]
        kept += [line.split('"')[1] for line in (tmp_path / "curl").read_text().splitlines()[1:]]
        run.process.terminate()
        run.process.wait(60)
    log = (tmp_path / "kkbida.log").read_text()
    assert "login.failed" in log
    assert [it for it in kept if it in log] == []


def test_opened_it_says_so(tmp_path: Path) -> None:
    with running(tmp_path, KKBIDA_OPEN_API="1") as run:
        assert "everybody who can reach it may do everything" in run.welcome
        assert run.api("GET", "/v1/tasks").status == 200


# ── what stays, and what is made ─────────────────────────────────────────────────────────────────


def test_what_is_right_stays_and_what_was_changed_is_not_known_any_more() -> None:
    world = House(KKBIDA_OPEN_API="0").world
    first = entry.ensure(world, {})
    assert (first.is_new, entry.ensure(world, first.access).access) == (True, first.access)
    assert "password" not in entry.ensure(world, {}).access
    assert "password" not in entry.ensure(world, {**first.access, "password": "another"}).access
    assert len(world.store.callers()) == 1
    assert len(world.store.roster().operators) == 1


def test_of_two_runs_that_start_at_one_emulator_at_once_one_makes_the_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    world = House(KKBIDA_OPEN_API="0").world

    def before_the_other() -> Roster:
        monkeypatch.undo()
        entry.ensure(world, {})
        return Roster()

    monkeypatch.setattr(world.store, "roster", before_the_other)
    late = entry.ensure(world, {})
    assert (late.is_new, "password" in late.access) == (False, False)
    assert len(world.store.roster().operators) == 1


def test_nobody_is_made_where_there_is_somebody_nor_let_in_who_is_disabled() -> None:
    world = House(KKBIDA_OPEN_API="0").world
    entry.ensure(world, {})
    roster = world.store.roster()
    there = roster.operators[0]
    for change in ({"disabled": True}, {"name": "other"}):
        changed = evolve(there, **change)
        version = world.store.roster().version + 1
        assert world.store.save_operator(changed, version, audit := world.store.audits("operator:admin")[0])
    assert entry.ensure(world, {}).curl is None
    assert entry.ensure(world, {"operator": "other"}).curl
    assert world.store.remove_operator("admin", world.store.roster().version + 1, audit)
    assert entry.ensure(world, {}).curl is None


def test_a_caller_whose_secret_is_void_is_replaced() -> None:
    here, other = House(KKBIDA_OPEN_API="0"), House(KKBIDA_OPEN_API="0")
    first = entry.ensure(here.world, {}).access
    other.world = evolve(other.world, store=here.world.store)
    assert entry.ensure(other.world, {}).access["key_id"] != first["key_id"]


def test_the_session_for_curl_is_one_of_the_admin() -> None:
    world = House(KKBIDA_OPEN_API="0").world
    cookie = (entry.ensure(world, {}).curl or "").split('"')[1].partition("=")[2]
    name, session_id = operators.read_cookie(cookie)
    session, operator = world.store.session(session_id, name)
    assert session is not None
    assert operator is not None
    assert operators.is_live(session, operator, world.clock.now())
