"""How the local run is set up: what the environment asks for, and what the process tells when it is up."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chalicelib.errors import SettingsError

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
    def log(self) -> Path:
        """What Lambda would send to CloudWatch: one JSON line an event."""
        return self.folder / "kkbida.log"

    @property
    def access(self) -> Path:
        """Where other programs find out how to reach this one."""
        return self.folder / "access.json"


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

    The API is open, and deliveries may go to loopback: it is this computer that serves and asks. A message can
    get lost only when the process dies between two writes, so one that seems lost is not waited for as long.
    """
    defaults = {
        "KKBIDA_OPEN_API": "1",
        "KKBIDA_ALLOW_NETWORKS": LOOPBACK_NETWORKS,
        "KKBIDA_CONSOLE_URL": found.console,
        "KKBIDA_GRACE": "60",
    }
    return {name: environment.get(name, default) for name, default in defaults.items()}


def write_access(path: Path, found: Addresses) -> None:
    """Write the addresses for other programs: readable by the user only, and never half written."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"api": found.api, "console": found.console, "receiver": found.receiver}, file, indent=2)
    draft.replace(path)


def welcome(start: Start, found: Addresses) -> str:
    """What the terminal shows once everything is up."""
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

    Tasks are kept {kept}; the log is {start.log}

  Submit a task. Its receiver fails twice, and then takes it:

    curl -s {found.api}/v1/tasks -H 'Content-Type: application/json' -d '{json.dumps(task)}'

  Look at it, with the task_id from the answer:

    curl -s {found.api}/v1/tasks/TASK_ID

  Ctrl-C stops it.
"""
