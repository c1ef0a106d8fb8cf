from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from chalice.app import Chalice, Response

from infra.local import receiver, server


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Reply]


def asking(port: int) -> Ask:
    """A client that sends what it is told, byte for byte."""

    def ask(method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, path, body, dict(headers or {}))
        reply = connection.getresponse()
        answer = Reply(reply.status, reply.headers, reply.read())
        connection.close()
        return answer

    return ask


def small_app() -> Chalice:
    """A Chalice app that shows what reached it."""
    app = Chalice("small")

    def request() -> Any:
        return app.current_request

    @app.route("/v1/tasks", methods=["GET", "POST"], content_types=["application/json", "image/png"])
    def tasks() -> Response:
        event = request().to_original_event()
        cookies = [f"{name}=1" for name in ("a", "b")]
        return Response(event, headers={"Set-Cookie": cookies, "X-Answer": "yes"})

    @app.route("/v1/tasks/{task_id}", methods=["GET"])
    def task(task_id: str) -> dict[str, Any]:
        return {"task_id": task_id, "remaining": request().lambda_context.get_remaining_time_in_millis()}

    @app.route("/v1/tasks/newest", methods=["GET"])
    def newest() -> str:
        return "newest"

    @app.route("/v1/raw", methods=["POST"], content_types=["application/json"])
    def raw() -> dict[str, Any]:
        return {"hex": request().raw_body.hex()}

    @app.route("/v1/picture", methods=["GET"])
    def picture() -> Response:
        return Response(b"\x89PNG\xff", headers={"Content-Type": "image/png"})

    return app


@pytest.fixture
def console(tmp_path: Path) -> Path:
    folder = tmp_path / "console"
    (folder / "pages").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>必达</h1>")
    (folder / "pages" / "app.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("nobody's business")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    return folder


@contextmanager
def serving(app: Chalice, console: Path) -> Iterator[int]:
    with server.listen(0) as listener, server.serving(server.application(app, console), listener):
        yield listener.getsockname()[1]


@contextmanager
def receiving() -> Iterator[int]:
    with server.listen(0) as listener, receiver.receiving(listener):
        yield listener.getsockname()[1]


@pytest.fixture
def port(console: Path) -> Iterator[int]:
    with serving(small_app(), console) as port:
        yield port


@pytest.fixture
def ask(port: int) -> Ask:
    return asking(port)


@pytest.fixture
def partner() -> Iterator[Ask]:
    with receiving() as port:
        yield asking(port)


# ── the whole local run, as a process of its own: what `make run` starts ────────────────────────

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60


@dataclass(frozen=True)
class Run:
    """A local run that serves."""

    process: subprocess.Popen[str]
    folder: Path
    welcome: str

    @property
    def access(self) -> dict[str, str]:
        return dict(json.loads((self.folder / "access.json").read_text()))

    @property
    def api(self) -> Ask:
        return asking(int(self.access["api"].rsplit(":", 1)[1]))

    @property
    def partner(self) -> Ask:
        return asking(int(self.access["receiver"].rsplit(":", 1)[1]))

    @property
    def printed_task(self) -> dict[str, Any]:
        """The task of the printed command."""
        submit = next(line for line in self.welcome.splitlines() if " -d " in line)
        return dict(json.loads(shlex.split(submit)[-1]))

    def submit(self, task: dict[str, Any]) -> str:
        written = json.dumps(task, ensure_ascii=False).encode()  # a body is kept and shown as it is written
        reply = self.api("POST", "/v1/tasks", written, {"Content-Type": "application/json"})
        assert reply.status == 202, reply.body
        return str(reply.json["task_id"])

    def until(self, task_id: str, status: str) -> dict[str, Any]:
        """The task, once it has that status."""
        look: Callable[[], Any] = lambda: self.api("GET", f"/v1/tasks/{task_id}").json  # noqa: E731
        deadline = time.monotonic() + PATIENCE
        while (task := look())["status"] != status and time.monotonic() < deadline:
            continue
        assert task["status"] == status, task
        return dict(task)


@contextmanager
def running(folder: Path, **variables: str) -> Iterator[Run]:
    """It is open to everybody, unless said."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KKBIDA_", "AWS_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=ROOT,
        env={**ours, "PORT": "0", "DATA": str(folder), "KKBIDA_OPEN_API": "1", **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield Run(process, folder, _until_served(process.stdout))
    finally:
        process.kill()
        process.communicate()


def _until_served(output: IO[str]) -> str:
    lines = []
    for line in output:
        lines.append(line)
        if "Ctrl-C" in line:
            return "".join(lines)
    raise AssertionError("it did not start: " + "".join(lines))
