"""The wire to AWS, as a place where things go wrong: a server in between that lets a call through, or does not."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


class Fate(StrEnum):
    """What becomes of a call."""

    PASSES = "passes"
    REQUEST_LOST = "request lost"  # the connection breaks before AWS has it
    ANSWER_LOST = "answer lost"  # AWS has done it, and then the connection breaks


@dataclass(frozen=True, slots=True)
class Call:
    """A call of DynamoDB or SQS: the name of its operation, and what it says."""

    operation: str
    body: Mapping[str, Any]


Answer = tuple[int, Mapping[str, Any]]
"""A status and a JSON body, given in the place of AWS."""

Rule = Callable[[Call], Answer | Fate]


def refusal(status: int, code: str) -> Answer:
    """What AWS answers when it does not do it, for the reason that `code` names."""
    return status, {"__type": f"com.amazonaws#{code}", "message": "not now"}


THROTTLED = refusal(400, "ProvisionedThroughputExceededException")
"""What a table answers that is asked for too much."""


@dataclass
class Wire:
    """A wire with an address of its own. `rule` may be replaced at any time; `asked` are the operations so far."""

    url: str
    rule: Rule
    asked: list[str] = field(default_factory=list)


def clear(_: Call) -> Fate:
    """The rule of a wire on which nothing goes wrong."""
    return Fate.PASSES


@contextmanager
def wire(rule: Rule = clear, endpoint: str = "") -> Iterator[Wire]:
    """A wire to `endpoint`; without one, no call may pass."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.wire = Wire(f"http://127.0.0.1:{server.server_address[1]}", rule)
        server.endpoint = urlsplit(endpoint).netloc
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.wire
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    wire: Wire
    endpoint: str

    def handle_error(self, *_: object) -> None:
        """A client that has gone is nobody's fault."""


class _Connection(BaseHTTPRequestHandler):
    """A client's connection, and the one to AWS that belongs to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._aws = http.client.HTTPConnection(self.server.endpoint) if self.server.endpoint else None

    def finish(self) -> None:
        super().finish()
        if self._aws:
            self._aws.close()

    def do_POST(self) -> None:
        """Every call of DynamoDB and SQS is one."""
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        call = Call(self.headers["X-Amz-Target"].partition(".")[2], json.loads(sent))
        self.server.wire.asked.append(call.operation)
        fate = self.server.wire.rule(call)
        if not isinstance(fate, Fate):
            self._answer(fate[0], json.dumps(fate[1]).encode())
            return
        answer = self._pass_on(sent) if fate is not Fate.REQUEST_LOST else None
        if answer is None or fate is Fate.ANSWER_LOST:
            self._break()
        else:
            self._answer(*answer)

    def _pass_on(self, sent: bytes) -> tuple[int, bytes] | None:
        """What AWS answers; None when it does not."""
        assert self._aws, "a wire without an endpoint passes nothing on"
        try:
            self._aws.request("POST", self.path, sent, dict(self.headers))
            reply = self._aws.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            self._aws.close()
            return None

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nothing: the output is for results."""
