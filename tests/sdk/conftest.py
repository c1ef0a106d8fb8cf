"""What the SDK's tests talk to: a server that does as it is told and keeps what came, and a real local run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kkbida import Client
from kkbida.cli.app import cli
from kkbida.cli.profiles import Profiles
from kkbida.operations import make
from tests.local.conftest import Run, running

KEY_ID, SECRET = "key_7", "kks_the secret of 7"


@dataclass(frozen=True)
class Came:
    """A request as it came: the target of its first line byte for byte, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    """What the server is to answer. Status 0: nothing at all, the connection ends."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Scripted:
    """A server that answers in turn, and with the last answer for ever; `came` is all that came."""

    url: str = ""
    answers: list[Said] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)

    def will_say(self, *answers: Said) -> None:
        self.answers[:] = answers


def handler(scripted: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            scripted.came.append(Came(self.command, self.path, headers, body))
            said = scripted.answers.pop(0) if len(scripted.answers) > 1 else scripted.answers[0]
            self.close_connection = not said.status
            if said.status:
                self.say(said)

        def say(self, said: Said) -> None:
            self.send_response(said.status)
            for name, value in {"Content-Length": str(len(said.raw)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.raw)

        do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = answer

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    return Handler


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    told = Scripted()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(told)) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield told
        server.shutdown()


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A local run that all the SDK's tests share."""
    with running(tmp_path_factory.mktemp("run")) as run:
        yield run


@pytest.fixture(scope="package")
def key(run: Run) -> tuple[str, str]:
    """The key of a caller for the app "orders", made before anybody has signed: so it is known at once."""
    with Client(run.access["api"]) as operator:
        made = operator.do(make("/v1/callers", {"source_app": "orders"}))
    return made["key_id"], made["secret"]


# ── the command line in this process ─────────────────────────────────────────────────────────────

Kkbida = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiles:
    """A home of its own, without profiles."""
    for name in ("KKBIDA_PROFILE", "KKBIDA_URL", "KKBIDA_KEY_ID", "KKBIDA_SECRET", "DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return Profiles(tmp_path / "kkbida" / "profiles.ini")


@pytest.fixture
def kkbida(config: Profiles) -> Kkbida:  # noqa: ARG001 - it lies in a home of its own
    """Runs a command line; it must end with `code`."""

    def run(*arguments: str, code: int = 0, stdin: str | bytes = "") -> Result:
        result = CliRunner().invoke(cli, arguments, input=stdin, prog_name="kkbida")
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def here(run: Run, monkeypatch: pytest.MonkeyPatch, config: Profiles) -> str:  # noqa: ARG001 - as above
    """The local run is the one that is asked; the address of its receiver."""
    monkeypatch.setenv("KKBIDA_URL", run.access["api"])
    return run.access["receiver"]


# ── the SDK as it is installed ───────────────────────────────────────────────────────────────────

SDK = Path(__file__).parents[2] / "sdk"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def printed(command: Sequence[str], **variables: str) -> str:
    """What a command prints. It must succeed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KKBIDA_", "PYTHON"))}
    done = subprocess.run(command, env={**clean, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="package")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK's wheel, as it would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    printed([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(SDK)])
    [built] = folder.glob("kkbida-*.whl")
    return built


def installed(wanted: str, folder: Path) -> Path:
    """The `bin` of a new environment that has what is wanted, and what that needs, and no more."""
    venv.create(folder, with_pip=False, symlinks=True)
    printed([*PIP, "--python", str(folder / "bin" / "python"), "install", "--no-compile", wanted])
    return folder / "bin"


# ── what kkbida shows ────────────────────────────────────────────────────────────────────────────


def shown_task(**members: Any) -> dict[str, Any]:
    """A task as kkbida shows it."""
    return {
        "task_id": "0b5e7c1e-5a3c-4d7e-9a2f-000000000001",
        "status": "pending",
        "method": "POST",
        "url": "https://partner.example/callback",
        "source_app": "orders",
        "target_app": "billing",
        "target": "https://partner.example:443",
        "labels": {},
        "created_at": "2026-12-01T12:00:00.000Z",
        "updated_at": "2026-12-01T12:00:00.000Z",
        "round": 1,
        "attempts_made": 0,
        "max_attempts": 12,
        "scheduled": False,
        "waits_in_line": False,
        "held": None,
        "next_try_at": "2026-12-01T12:00:00.000Z",
        "because": None,
        "last_reason": None,
        **members,
    }


def whole_task(**members: Any) -> dict[str, Any]:
    """A task with all that is known of it."""
    return shown_task(**{"attempts": [], "notices": [], "audit": [], **members})
