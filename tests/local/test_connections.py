"""Clients that are slow, or many, or greedy: none of them keeps the others from the local server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from waitress.buffers import OverflowableBuffer

from infra.local import connections, request, server
from infra.local.request import MAX_HEAD_BYTES, Chunks
from tests.local.conftest import asking, serving, small_app

PROMPTLY = 30


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PROMPTLY) as raw:
        yield raw


def head(port: int, *lines: str, ask: str = "POST /v1/raw HTTP/1.1") -> bytes:
    return "\r\n".join([ask, f"Host: 127.0.0.1:{port}", "Content-Type: application/json", *lines, "", ""]).encode()


def all_of(raw: socket.socket) -> bytes:
    heard = b""
    while more := raw.recv(65_536):
        heard += more
    return heard


def test_a_new_connection_ends_the_one_that_has_waited_longest(console: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    with serving(small_app(), console) as port, ExitStack() as stack:
        half_open = [stack.enter_context(connected(port)) for _ in range(20)]
        for raw in half_open:
            raw.sendall(b"GET /v1/tasks HTTP/1.1\r\n")
        for _ in range(3):
            assert asking(port)("GET", "/v1/tasks/newest").status == 200
        with suppress(ConnectionResetError):  # it had sent what was not read any more
            assert half_open[0].recv(1) == b"", "it was ended"
        half_open[-1].sendall(f"Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        assert all_of(half_open[-1]).startswith(b"HTTP/1.1 200")


def test_a_thousand_connections_that_ask_nothing_stop_nobody(console: Path) -> None:
    with serving(small_app(), console) as port, ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(connected(port)).sendall(b"GET /")
        assert asking(port)("GET", "/v1/tasks/newest").status == 200


@pytest.mark.parametrize(
    ("limit", "sent"),
    [
        ("HEAD_SECONDS", b""),
        ("HEAD_SECONDS", b"GET /v1/tasks HTTP/1.1\r\nHost: "),
        ("BODY_SECONDS", b"POST /v1/raw HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"),
        ("BODY_SECONDS", b"POST /v1/raw HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"),
        ("IDLE_SECONDS", b"GET /v1/tasks/newest HTTP/1.1\r\nHost: h\r\n\r\n"),
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk", "one request and no other"],
)
def test_who_takes_too_long_is_cut_off(console: Path, monkeypatch: pytest.MonkeyPatch, limit: str, sent: bytes) -> None:
    with serving(small_app(), console) as port, connected(port) as raw:
        raw.sendall(sent)
        monkeypatch.setattr(connections, limit, 0.5)
        all_of(raw)


def test_a_drip_does_not_make_a_head_last_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(request.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    channel: Any = object.__new__(server._Channel)
    channel.requests = []
    channel.request = request.Parser(adjustments := type("Adjustments", (), {"max_request_header_size": 9999})())
    for _ in range(connections.HEAD_SECONDS):
        channel.request.received(b"G")
        now += 1
    assert adjustments
    assert not channel.is_overdue(100 + connections.HEAD_SECONDS)
    assert channel.is_overdue(100 + connections.HEAD_SECONDS + 0.1)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 3_000_000 + b"\r\n\r\n",
        b"POST /v1/raw HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000,
        b"GET / HTTP/1.1\r\nno header\r\n\r\n" + b"x" * 3_000_000,
    ],
    ids=["head", "body", "neither"],
)
def test_who_is_refused_while_still_sending_gets_the_answer(console: Path, sent: bytes) -> None:
    with serving(small_app(), console) as port, connected(port) as raw:
        raw.sendall(sent)
        assert all_of(raw).startswith(b"HTTP/1.")


def test_the_client_that_goes_on_after_its_refusal_is_cut_off(console: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_LINGER_BYTES", 100_000)
    with serving(small_app(), console) as port, connected(port) as raw:
        raw.sendall(b"no HTTP\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|pipe"):
            raw.sendall(b"x" * 500_000_000)


def test_a_head_of_as_many_bytes_as_there_may_be_is_read(console: Path) -> None:
    with serving(small_app(), console) as port:
        plain = len(head(port, "Connection: close", "X: ", ask="GET /v1/tasks/newest HTTP/1.1"))
        for size, status in ((MAX_HEAD_BYTES - 1, b"200"), (MAX_HEAD_BYTES, b"431")):
            with connected(port) as raw:
                filler = "X: " + "x" * (size - plain)
                raw.sendall(head(port, "Connection: close", filler, ask="GET /v1/tasks/newest HTTP/1.1"))
                assert all_of(raw)[9:12] == status


def test_spaces_around_the_value_of_a_header_are_no_part_of_it() -> None:
    lines = [(b"X-Order", b"4 2"), (b"Content-Length", b"5")]
    assert request.read_head(b"POST / HTTP/1.1\r\nX-Order: \t 4 2 \t\r\nContent-Length:  5 \r\n")[1] == lines


def test_a_header_of_spaces_takes_no_longer_than_its_length(console: Path) -> None:
    """By waitress's own expression, each of these takes the server's one loop hundreds of times as long."""
    with serving(small_app(), console) as port:
        for _ in range(50):
            with connected(port) as raw:
                raw.sendall(head(port, "X:" + " " * 15_000 + "x", "Connection: close", ask="GET /v1/tasks HTTP/1.1"))
                assert all_of(raw).startswith(b"HTTP/1.1 200")


def test_a_name_with_an_underscore_is_not_the_one_with_a_hyphen(console: Path) -> None:
    with serving(small_app(), console) as port:
        names = {"X_Csrf_Token": "1", "Content_Length": "5", "Transfer_Encoding": "chunked", "Idempotency_Key": "k"}
        seen = asking(port)("GET", "/v1/tasks", headers={**names, "X-Seen": "yes"}).json["headers"]
    assert seen["X-Seen"] == "yes"
    assert not {"X-Csrf-Token", "Content-Length", "Transfer-Encoding", "Idempotency-Key"} & set(seen)


# ── chunks ───────────────────────────────────────────────────────────────────────────────────────


def read(data: bytes, step: int) -> tuple[bytes, int]:
    """The body, and how many of the bytes belonged to it."""
    chunks = Chunks(OverflowableBuffer(1_000_000))
    taken = 0
    while taken < len(data) and not chunks.completed:
        taken += chunks.received(data[taken : taken + step])
        assert chunks.error is None
    assert chunks.completed
    return chunks.getfile().read(), taken


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"3\r\nabc\r\n0\r\n\r\n",
        b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b'3;name="value; more"\r\nabc\r\n0;end\r\n\r\n',
        b"0003\r\nabc\r\n000\r\nChecksum: 1\r\nOther: 2\r\n\r\n",
    ],
)
def test_chunks_are_read_however_they_come(data: bytes, step: int) -> None:
    assert read(data + b"GET / HTTP/1.1", step) == (b"abc", len(data))
