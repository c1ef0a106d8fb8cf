"""What the local run reads from its environment, and what it tells."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from chalicelib.errors import SettingsError
from chalicelib.settings import load
from infra.local import start
from infra.local.entry import Entry

FOUND = start.addresses(8000, 8001)
ENTRY = Entry({"operator": "admin", "password": "5ecret", "key_id": "key_1", "secret": "kks_1"}, "cookie = x")


def test_the_receiver_listens_beside_the_api() -> None:
    assert (start.read({}).port, start.read({}).receiver_port) == (8000, 8001)
    assert start.read({"PORT": "9000"}).receiver_port == 9001
    assert start.read({"PORT": "9000", "RECEIVER_PORT": "7"}).receiver_port == 7


@pytest.mark.parametrize("port", ["0", "65535"])
def test_where_there_is_no_next_port_any_free_one_will_do(port: str) -> None:
    assert start.read({"PORT": port}).receiver_port == 0


@pytest.mark.parametrize("name", ["PORT", "RECEIVER_PORT"])
@pytest.mark.parametrize("value", ["x", "-1", "65536", "8000.0", "８０００"])
def test_what_is_no_port_is_said_so(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}={value} is no port"):
        start.read({name: value})


def test_make_passes_empty_variables_and_they_count_as_none() -> None:
    assert start.read({"PORT": "", "ENDPOINT": "", "DATA": ""}) == start.read({})


def test_the_defaults_let_nobody_in_and_deliver_to_this_computer() -> None:
    settings = load(start.settings(FOUND, {}))
    assert not settings.open_api
    assert [str(network) for network in settings.allow_networks] == ["127.0.0.0/8", "::1/128"]
    assert settings.console_url == FOUND.console


def test_what_the_user_has_set_wins() -> None:
    own = {"KKBIDA_OPEN_API": "1", "KKBIDA_ALLOW_NETWORKS": ""}
    settings = load(start.settings(FOUND, own))
    assert (settings.open_api, settings.allow_networks) == (True, ())


def test_the_ways_in_are_for_this_user_only(tmp_path: Path) -> None:
    asked = start.read({"DATA": str(tmp_path)})
    for path in (asked.access, asked.curl):
        path.write_text("old")
        path.chmod(0o644)
    start.write_access(asked, FOUND, ENTRY)
    assert [path.stat().st_mode & 0o777 for path in (asked.access, asked.curl)] == [0o600, 0o600]
    assert start.read_access(asked.access) == {
        "api": "http://127.0.0.1:8000",
        "console": "http://127.0.0.1:8000/",
        "receiver": "http://127.0.0.1:8001",
        **ENTRY.access,
    }
    assert sorted(tmp_path.iterdir()) == [asked.access, asked.curl]


def test_where_nobody_may_log_in_the_session_of_before_goes(tmp_path: Path) -> None:
    asked = start.read({"DATA": str(tmp_path)})
    asked.curl.write_text("old")
    start.write_access(asked, FOUND, Entry({}, None))
    assert not asked.curl.exists()


def test_what_a_killed_start_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    asked = start.read({"DATA": str(tmp_path)})
    for name in ("access.new", "curl.new"):
        (tmp_path / name).write_text("half a fi")
    start.write_access(asked, FOUND, ENTRY)
    assert start.read_access(asked.access)["api"] == FOUND.api


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"password": 7}'])
def test_a_file_of_before_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "access.json"
    path.write_text(text)
    assert start.read_access(path) == start.read_access(tmp_path / "none") == {}


def test_the_welcome_says_where_everything_is() -> None:
    text = start.welcome(start.read({"DATA": "/data"}), FOUND, ENTRY)
    for fact in (FOUND.console, FOUND.api + "/v1", FOUND.receiver, "/data/kkbida.db", "/data/kkbida.log"):
        assert fact in text
    assert "http://emulator:4566" in start.welcome(start.read({"ENDPOINT": "http://emulator:4566"}), FOUND, ENTRY)


def test_the_welcome_shows_a_password_once() -> None:
    asked = start.read({})
    assert "password 5ecret" in start.welcome(asked, FOUND, Entry(ENTRY.access, "", is_new=True))
    later = start.welcome(asked, FOUND, ENTRY)
    assert "5ecret" not in later
    assert ".local/access.json" in later
    assert "RESET=1" in start.welcome(asked, FOUND, Entry({}, ""))


def test_the_welcome_says_so_when_everybody_may_do_everything() -> None:
    text = start.welcome(start.read({}), FOUND, ENTRY, is_open=True)
    assert "KKBIDA_OPEN_API=1: everybody" in text
    assert "-K" not in text


def test_the_printed_commands_are_ready_for_a_shell() -> None:
    submit, look = (
        line for line in start.welcome(start.read({"DATA": "my data"}), FOUND, ENTRY).splitlines() if "curl -s" in line
    )
    words = shlex.split(submit)
    assert words[:5] == ["curl", "-s", "-K", "my data/curl", "http://127.0.0.1:8000/v1/tasks"]
    assert json.loads(words[-1])["url"] == "http://127.0.0.1:8001/fail/2"
    assert shlex.split(look)[-1] == "http://127.0.0.1:8000/v1/tasks/TASK_ID"
