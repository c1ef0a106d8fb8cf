"""What the local run reads from its environment, and what it tells."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from chalicelib.errors import SettingsError
from chalicelib.settings import load
from infra.local import start

FOUND = start.addresses(8000, 8001)


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


def test_the_defaults_let_this_computer_in_and_deliver_to_it() -> None:
    settings = load(start.settings(FOUND, {}))
    assert settings.open_api
    assert [str(network) for network in settings.allow_networks] == ["127.0.0.0/8", "::1/128"]
    assert settings.console_url == FOUND.console


def test_what_the_user_has_set_wins() -> None:
    own = {"KKBIDA_OPEN_API": "0", "KKBIDA_ALLOW_NETWORKS": ""}
    settings = load(start.settings(FOUND, own))
    assert (settings.open_api, settings.allow_networks) == (False, ())


def test_the_addresses_are_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    path.write_text("old")
    path.chmod(0o644)
    start.write_access(path, FOUND)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {
        "api": "http://127.0.0.1:8000",
        "console": "http://127.0.0.1:8000/",
        "receiver": "http://127.0.0.1:8001",
    }
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_start_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "access.new").write_text("half a fi")
    start.write_access(tmp_path / "access.json", FOUND)
    assert json.loads((tmp_path / "access.json").read_text())["api"] == FOUND.api


def test_the_welcome_says_where_everything_is() -> None:
    text = start.welcome(start.read({"DATA": "/data"}), FOUND)
    for fact in (FOUND.console, FOUND.api + "/v1", FOUND.receiver, "/data/kkbida.db", "/data/kkbida.log"):
        assert fact in text
    assert "http://emulator:4566" in start.welcome(start.read({"ENDPOINT": "http://emulator:4566"}), FOUND)


def test_the_printed_commands_are_ready_for_a_shell() -> None:
    submit, look = (line for line in start.welcome(start.read({}), FOUND).splitlines() if "curl" in line)
    words = shlex.split(submit)
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8000/v1/tasks"]
    assert json.loads(words[-1])["url"] == "http://127.0.0.1:8001/fail/2"
    assert shlex.split(look)[-1] == "http://127.0.0.1:8000/v1/tasks/TASK_ID"
