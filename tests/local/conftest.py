from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
