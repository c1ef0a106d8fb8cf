"""How the local run is set up: what the environment asks for, and what the process tells when it is up."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chalicelib.errors import SettingsError
from infra.local.entry import Entry

LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"
HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Start:
    """What the environment asks of the local run. Port 0 means any free one."""

    port: int
    receiver_port: int
    receiver_port_given: bool
    endpoint: str
    folder: Path

    @property
    def database(self) -> Path:
        """The file of the embedded adapters."""
        return self.folder / "kkbida.db"

    @property
    def master_key(self) -> Path:
        """What all other keys are derived from: see `chalicelib.world`."""
        return self.database.with_name("master.key")

    @property
    def log(self) -> Path:
        """What Lambda would send to CloudWatch: one JSON line an event."""
        return self.folder / "kkbida.log"

    @property
    def access(self) -> Path:
        """Where other programs find out how to reach this one, and get in."""
        return self.folder / "access.json"

    @property
    def curl(self) -> Path:
        """A configuration of curl: a session of the admin."""
        return self.folder / "curl"


def read(environment: Mapping[str, str]) -> Start:
    """Read PORT, RECEIVER_PORT, ENDPOINT and DATA. Raises SettingsError for a port that is none."""
    port = _port(environment, "PORT", 8000)
    return Start(
        port=port,
        receiver_port=_port(environment, "RECEIVER_PORT", port + 1 if 0 < port < HIGHEST_PORT else 0),
        receiver_port_given=bool(environment.get("RECEIVER_PORT")),
        endpoint=environment.get("ENDPOINT", "").rstrip("/"),
        folder=Path(environment.get("DATA") or ".local"),
    )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    raw = environment.get(name) or str(default)
    if not raw.isascii() or not raw.isdigit() or int(raw) > HIGHEST_PORT:
        raise SettingsError(f"{name}={raw} is no port. Give a number from 1 to {HIGHEST_PORT}, or 0 for any free one.")
    return int(raw)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of the running process are reached."""

    api: str
    console: str
    receiver: str


def addresses(port: int, receiver_port: int) -> Addresses:
    """The addresses for the ports that were found."""
    api = f"http://127.0.0.1:{port}"
    return Addresses(api=api, console=f"{api}/", receiver=f"http://127.0.0.1:{receiver_port}")


def settings(found: Addresses, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a local run, where `environment` has no others.

    Deliveries may go to loopback: it is this computer that serves and receives. A message can
    get lost only when the process dies between two writes, so one that seems lost is not waited for as long.
    """
    defaults = {
        "KKBIDA_OPEN_API": "0",
        "KKBIDA_ALLOW_NETWORKS": LOOPBACK_NETWORKS,
        "KKBIDA_CONSOLE_URL": found.console,
        "KKBIDA_GRACE": "60",
    }
    return {name: environment.get(name, default) for name, default in defaults.items()}


def read_access(path: Path) -> dict[str, str]:
    """What an earlier start has written; nothing when there is none, or it cannot be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def write_access(start: Start, found: Addresses, entry: Entry) -> None:
    """Write for other programs where it is, and how to get in: readable by the user only, and never half written.

    Whoever sees access.json finds the other file as well.
    """
    if entry.curl is None:
        start.curl.unlink(missing_ok=True)
    else:
        _write_private(start.curl, entry.curl)
    told = {"api": found.api, "console": found.console, "receiver": found.receiver, **entry.access}
    _write_private(start.access, json.dumps(told, indent=2))


def _write_private(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def who_may(start: Start, entry: Entry, *, is_open: bool) -> str:
    """What the terminal shows of who gets in: a password that was made just now, this once."""
    if is_open:
        return "KKBIDA_OPEN_API=1: everybody who can reach it may do everything"
    if entry.is_new:
        return f"{entry.access['operator']}, password {entry.access['password']}  (also in {start.access})"
    if "password" in entry.access:
        return f"{entry.access['operator']}, the password is in {start.access}"
    return "as you have set it up; a forgotten password: stop it, then make operator NAME=... RESET=1"


def welcome(start: Start, found: Addresses, entry: Entry, *, is_open: bool = False) -> str:
    """What the terminal shows once everything is up."""
    curl = "curl -s" if is_open or entry.curl is None else f"curl -s -K {shlex.quote(str(start.curl))}"
    kept = f"at {start.endpoint}" if start.endpoint else f"in {start.database}"
    task = {
        "url": f"{found.receiver}/fail/2",
        "body": {"order": 42},
        "expect": {"contains": "success"},
        "retry": {"schedule": [2, 3]},
    }
    return f"""
  kkbida 必达 is running.

    Console   {found.console}
    API       {found.api}/v1
    Receiver  {found.receiver}/  a flaky partner to try things with
    Login     {who_may(start, entry, is_open=is_open)}

    Tasks are kept {kept}; the log is {start.log}

  Submit a task. Its receiver fails twice, and then takes it:

    {curl} {found.api}/v1/tasks -H 'Content-Type: application/json' -d '{json.dumps(task)}'

  Look at it, with the task_id from the answer:

    {curl} {found.api}/v1/tasks/TASK_ID

  Ctrl-C stops it.
"""
