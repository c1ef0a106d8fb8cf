"""The local HTTP server: the Chalice app's routes and the console's files, on loopback only."""

from __future__ import annotations

import hashlib
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from chalice.app import Chalice
from chalice.local import LocalChalice
from waitress.server import create_server
from waitress.task import ErrorTask

from chalicelib import api
from chalicelib.errors import (
    ForeignSite,
    HeadTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchRoute,
    Refusal,
    TooLarge,
)
from infra.local import gateway
from infra.local.connections import MAX_CONNECTIONS, Channel, govern
from infra.local.context import function
from infra.local.gateway import Answer, Environ, Match
from infra.local.request import MAX_HEAD_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "[::1]")

BODY_LIMIT = 6 * 1024 * 1024
"""Bytes: what Lambda takes at most in one request. The API's own limit is lower and answers more kindly."""

API_SECONDS = 29
"""API Gateway's longest wait for a function."""

THREADS = 16
"""Requests served at once: a submission mostly waits for its commit, which it shares with others."""

SPARE_CONNECTIONS = 1000
"""Above `MAX_CONNECTIONS`, while the server works for all of those; more wait in line."""

STOP_SECONDS = 5
"""How long running requests may take to end when the server stops."""

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The console's own files and its API, and nothing else: no inline script or style, and no text that becomes markup."""

STATIC_HEADERS = [
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]

WELCOME = b"kkbida is running. Its API is at /v1, its health at /v1/health.\n"


def listen(port: int) -> socket.socket:
    """A socket that listens on loopback (`port` 0: any free one). Raises OSError when the port is taken."""
    return socket.create_server((HOST, port), backlog=1024)


@contextmanager
def serving(application: WSGIApplication, listener: socket.socket) -> Iterator[None]:
    """Serve while the block runs. At its end, running requests have `STOP_SECONDS` to finish."""
    server: Any = create_server(
        application,
        sockets=[listener],
        threads=THREADS,
        ident="kkbida",
        max_request_body_size=BODY_LIMIT,
        max_request_header_size=MAX_HEAD_BYTES,
        connection_limit=MAX_CONNECTIONS + SPARE_CONNECTIONS,
        cleanup_interval=1,
        asyncore_use_poll=True,
    )
    govern(server)
    server.channel_class = _Channel
    thread = Thread(target=server.run, name="server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.task_dispatcher.shutdown(timeout=STOP_SECONDS)
        with suppress(OSError):  # the loop was awake, did it, and has closed what would wake it
            server.trigger.pull_trigger(lambda: _close(server))
        thread.join(STOP_SECONDS)


def _close(server: Any) -> None:
    """End the server's loop, from within: it runs until no connection is left."""
    server.close()
    for channel in list(server.active_channels.values()):
        channel.close_when_flushed = True


class _Refused(ErrorTask):
    """What waitress refuses before it reaches a route: told as the API tells it, and the connection ends."""

    def execute(self) -> None:
        error: Any = self.request.error  # type: ignore[attr-defined]  # it is a parser; the stubs call it an error
        status, headers, body = _problem(_refusal(error.code, error.body))
        self.channel.is_refused = True  # type: ignore[attr-defined]  # it is ours
        self.status = _status_line(status)
        self.response_headers = _with_sent_always(headers)
        self.content_length = len(body)
        self.set_close_on_finish()
        self.write(body)


def _refusal(status: int, what: str) -> Refusal:
    """By the status that waitress has for it. All but these are requests that break HTTP."""
    if status == http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return HeadTooLarge(f"The request line and the headers have more than {MAX_HEAD_BYTES} bytes.")
    return {413: TooLarge, 500: InternalError}.get(status, InvalidRequest)(what)


class _Channel(Channel):
    error_task_class = _Refused


def application(app: Chalice, console: Path) -> WSGIApplication:
    """Make the WSGI application: the routes of `app`, and beside them the files of the folder `console`."""
    app.__class__ = LocalChalice  # its current_request is the thread's own

    def respond(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        try:
            status, headers, body = _answer(app, console, environ)
        except Refusal as refusal:
            status, headers, body = _problem(refusal)
        length = ("Content-Length", str(len(body)))
        start_response(_status_line(status), [*_with_sent_always(headers), length])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return respond


def _with_sent_always(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers with those of `api.SENT_ALWAYS` that are not among them: no answer leaves without."""
    there = {name.lower() for name, _ in headers}
    return [*headers, *((name, value) for name, value in api.SENT_ALWAYS.items() if name.lower() not in there)]


def _status_line(status: int) -> str:
    return f"{status} {http.client.responses.get(status, '')}"


def _answer(app: Chalice, console: Path, environ: Environ) -> Answer:
    if is_foreign(environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN"), int(environ["SERVER_PORT"])):
        raise ForeignSite
    path = gateway.path_of(environ)
    found = gateway.match(app.routes, path)
    if found:
        return _through(app, found, environ)
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        raise NoSuchRoute
    return _unless_known(_file(console, unquote(path)), environ.get("HTTP_IF_NONE_MATCH", ""))


def is_foreign(host: str, origin: str | None, port: int) -> bool:
    """Whether a request is not meant for this server, or was made by a page of another site.

    A page elsewhere may reach loopback by a name of its own (DNS rebinding: the Host gives it away) or by a
    form or a fetch (the Origin does). Programs such as curl send no Origin.
    """
    own = {f"{name}:{port}" for name in LOOPBACK} | (set(LOOPBACK) if port == 80 else set())  # noqa: PLR2004
    return host.lower() not in own or origin not in (None, *(f"http://{name}" for name in own))


def _through(app: Chalice, found: Match, environ: Environ) -> Answer:
    """Run a route. HEAD runs as GET where there is no HEAD; OPTIONS says which methods there are."""
    methods = app.routes[found.resource]
    asked = environ["REQUEST_METHOD"]
    method = "GET" if asked == "HEAD" and "HEAD" not in methods else asked
    if method in methods:
        event = gateway.event(environ, found, method, app.api.binary_types)
        return gateway.answer(function("api", app, API_SECONDS)(event))
    allow = ("Allow", ", ".join(sorted(methods)))
    if method == "OPTIONS":
        return 204, [allow], b""
    return _problem(MethodNotAllowed(f"{found.resource} takes {allow[1]}, not {asked}"), allow)


def _file(console: Path, path: str) -> Answer:
    """A file of the console, `index.html` for the root; raises NoSuchRoute for anything that is not in there."""
    if path == "/" and not console.is_dir():
        return 200, [("Content-Type", CONTENT_TYPES[".txt"])], WELCOME
    root = console.resolve()
    try:
        file = (root / (path.lstrip("/") or "index.html")).resolve()
        if not file.is_relative_to(root):
            raise NoSuchRoute
        content = file.read_bytes()
    except (OSError, ValueError) as error:  # no such file, a folder, a name too long or with a zero byte
        raise NoSuchRoute from error
    kind = CONTENT_TYPES.get(file.suffix, "application/octet-stream")
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return 200, [("Content-Type", kind), ("ETag", tag), *STATIC_HEADERS], content


def _unless_known(file: Answer, known: str) -> Answer:
    """The file, or 304 if the client has this very content already (`known`: its If-None-Match)."""
    status, headers, content = file
    tag = dict(headers).get("ETag")
    return (304, headers, b"") if tag and tag in known.split(", ") else (status, headers, content)


def _problem(refusal: Refusal, *headers: tuple[str, str]) -> Answer:
    """The refusal as the API itself would word it."""
    problem = api.problem(refusal)
    own = [(name, str(value)) for name, value in problem.headers.items()]
    return problem.status, [*own, *headers], problem.text().encode()
