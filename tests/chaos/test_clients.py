"""The clients follow the API's rules."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.chaos.clients import Client, NoAnswer

Step = tuple[int, float] | None
"""A status and a `Retry-After`; None breaks the connection."""


@contextmanager
def door(*steps: Step) -> Iterator[tuple[str, list[Any]]]:
    """An API that does one thing after the other, and what it is asked: method, path, key, body."""
    left, asked = list(steps), []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.command, self.path, self.headers["Idempotency-Key"], json.loads(body)))
            step = left.pop(0)
            if step is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(step[0])
            self.send_header("Retry-After", str(step[1]))
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for results."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_a_client_repeats_the_same_request_until_there_is_an_answer_that_stands() -> None:
    with door(None, (503, 0), (500, 0), (429, 0), (202, 0)) as (url, asked):
        client = Client([url])
        assert client.insist("POST", "/v1/tasks", {"n": 1}, key="order-1").status == 202
    assert asked == [("POST", "/v1/tasks", "order-1", {"n": 1})] * 5
    assert client.answers == {503: 1, 500: 1, 429: 1, 202: 1}


@pytest.mark.parametrize("status", [202, 400, 404, 409])
def test_a_client_takes_an_answer_that_stands(status: int) -> None:
    with door((status, 0)) as (url, _):
        assert Client([url]).insist("POST", "/v1/tasks", {}).status == status


def test_a_client_waits_as_long_as_it_is_asked_to() -> None:
    with door((503, 0.4), (202, 0)) as (url, _):
        began = time.monotonic()
        Client([url]).insist("POST", "/v1/tasks", {})
        assert time.monotonic() - began >= 0.4


def test_a_client_goes_to_the_next_door_when_one_is_shut() -> None:
    with door(None) as (one, _), door((202, 0)) as (two, asked):
        client = Client([one, two])
        with pytest.raises(NoAnswer):
            client.once("POST", "/v1/tasks", {})
        assert client.once("POST", "/v1/tasks", {}).status == 202
        assert len(asked) == 1
