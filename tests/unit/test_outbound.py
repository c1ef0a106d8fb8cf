"""The outbound door against real sockets on loopback: what it sends, what it refuses, and where it stops reading."""

from __future__ import annotations

import gzip
import json
import logging
import select
import socket
import ssl
import threading
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.address import Address
from chalicelib.delivery.compose import compose
from chalicelib.errors import Kind, SendFailed
from chalicelib.name_lookup import MAX_OF_DOMAIN
from chalicelib.outbound import Outbound, Stopwatch, aim_at
from chalicelib.ports import Outgoing, Reply
from chalicelib.settings import load
from chalicelib.submission import read
from chalicelib.task import Json, Phase
from tests.cases import share
from tests.unit.makers import NOON, SETTINGS, task
from tests.unit.plainly import is_reachable
from tests.unit.strategies import IPV4, IPV6, PATHS, spellings_4, spellings_6, submissions

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMIT = 65_536
pytestmark = pytest.mark.filterwarnings("error")  # a socket left open warns
SHORT = 0.2
"""Seconds: the time of an attempt that is to run out."""

# ── a receiver that does as the test says ────────────────────────────────────────────────────────

Answer = Callable[[socket.socket], None]


def says(reply: bytes) -> Answer:
    return lambda connection: connection.sendall(reply)


def pauses(seconds: float, reply: bytes) -> Answer:
    """Replies after a while, unless the other side hangs up first."""

    def answer(connection: socket.socket) -> None:
        select.select([connection], [], [], seconds)
        connection.sendall(reply)

    return answer


def drips(first: bytes, drop: bytes) -> Answer:
    """Sends a drop twenty times a second until the other side hangs up."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(drop)

    return answer


def says_nothing(_: socket.socket) -> None:
    """The silence ends when the other side hangs up."""


def hangs_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


class Receiver:
    """Reads each request, answers as told, and waits for the other side to hang up."""

    def __init__(self, answer: Answer, *, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self._answer = answer
        self._context = context
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://{f'[{host}]' if ':' in host else host}:{self.port}/"
        self.requests: list[bytes] = []
        self.hung_up = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            connection = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            with connection, suppress(ConnectionError):
                self.requests.append(read_request(connection))
                self._answer(connection)
                while connection.recv(LIMIT):
                    pass
            self.hung_up.set()


def read_request(connection: socket.socket) -> bytes:
    read = b""
    while not complete(read) and (more := connection.recv(LIMIT)):
        read += more
    return read


def complete(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= sum(lengths)


Receive = Callable[..., Receiver]


@pytest.fixture
def receive() -> Iterator[Receive]:
    with ExitStack() as stack:
        yield lambda answer, **how: stack.enter_context(closing(Receiver(answer, **how)))


def names(**addresses: list[str]) -> Callable[[str], list[str]]:
    """A resolver that knows these names, with `_` for the dot."""

    def resolve(name: str) -> list[str]:
        try:
            return addresses[name.replace(".", "_")]
        except KeyError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    return resolve


def outbound(allow: str = "127.0.0.0/8,::1/128", *, ports: str = "", ca_bundle: str = "", **injected: Any) -> Outbound:
    settings = {
        "KKBIDA_ALLOW_NETWORKS": allow,
        "KKBIDA_READ_LIMIT": str(LIMIT),
        "KKBIDA_CONNECT_TIMEOUT": "1",
        "KKBIDA_PORTS": ports,
        "KKBIDA_CA_BUNDLE": ca_bundle,
    }
    return Outbound(load(settings), **injected)


def post(
    url: str, body: bytes | None = b"{}", *, headers: Mapping[str, str] | None = None, timeout: float = 20
) -> Outgoing:
    return Outgoing(method="POST", url=url, headers=headers or {}, body=body, timeout=timeout)


def failure(door: Outbound, outgoing: Outgoing) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        door.send(outgoing)
    return caught.value


def head(request: bytes) -> list[str]:
    """The request line, then the headers, sorted."""
    first, *headers = request.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    return [first, *sorted(headers)]


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


def test_a_request_carries_what_it_was_given_and_what_frames_it_and_nothing_else(receive: Receive) -> None:
    receiver = receive(says(OK))
    door = outbound(resolve=names(partner_example=["127.0.0.1"]))
    outgoing = Outgoing(
        method="POST",
        url=f"http://partner.example:{receiver.port}/a/b?c=d#e",
        headers={"X-Order": "42", "User-Agent": "kkbida/1"},
        body=b'{"a":1}',
        timeout=20,
    )
    assert door.send(outgoing) == Reply(status=200, headers={"content-length": "2"}, body=b"ok")
    assert head(receiver.requests[0]) == [
        "POST /a/b?c=d HTTP/1.1",
        "Accept-Encoding: identity",
        "Connection: close",
        "Content-Length: 7",
        f"Host: partner.example:{receiver.port}",
        "User-Agent: kkbida/1",
        "X-Order: 42",
    ]
    assert receiver.requests[0].endswith(b'\r\n\r\n{"a":1}')


@pytest.mark.parametrize(
    ("method", "length"),
    [("GET", []), ("HEAD", []), ("POST", ["0"]), ("PUT", ["0"]), ("PATCH", ["0"]), ("DELETE", ["0"])],
)
def test_a_request_without_a_body_invents_none(receive: Receive, method: str, length: list[str]) -> None:
    receiver = receive(says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    outbound().send(Outgoing(method=method, url=receiver.url, timeout=20))
    assert head(receiver.requests[0]) == [
        f"{method} / HTTP/1.1",
        "Accept-Encoding: identity",
        "Connection: close",
        *[f"Content-Length: {value}" for value in length],
        f"Host: 127.0.0.1:{receiver.port}",
    ]


def test_a_task_cannot_say_another_host_or_another_length(receive: Receive) -> None:
    receiver = receive(says(OK))
    lies = {"host": "other.example", "Content-length": "1", "TRANSFER-ENCODING": "chunked", "Accept-Encoding": "gzip"}
    outbound().send(post(receiver.url, headers=lies))
    assert head(receiver.requests[0]) == [
        "POST / HTTP/1.1",
        "Accept-Encoding: gzip",
        "Connection: close",
        "Content-Length: 2",
        f"Host: 127.0.0.1:{receiver.port}",
    ]


def test_a_url_in_chinese_goes_out_in_ascii(receive: Receive) -> None:
    receiver = receive(says(OK))
    door = outbound(resolve=lambda name: ["127.0.0.1"] if name == "xn--fsqu00a.example" else [])
    door.send(post(f"http://例子.example:{receiver.port}/上海?城=市%20区"))
    assert head(receiver.requests[0])[0] == "POST /%E4%B8%8A%E6%B5%B7?%E5%9F%8E=%E5%B8%82%20%E5%8C%BA HTTP/1.1"
    assert f"Host: xn--fsqu00a.example:{receiver.port}" in head(receiver.requests[0])


def test_an_ipv6_literal_keeps_its_brackets(receive: Receive) -> None:
    receiver = receive(says(OK), host="::1")
    assert outbound().send(post(receiver.url)).status == 200
    assert f"Host: [::1]:{receiver.port}" in head(receiver.requests[0])


def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(
    receive: Receive, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    receiver, proxy = receive(says(OK)), receive(says(OK))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    outbound().send(post(receiver.url))
    assert proxy.requests == []
    assert "authorization" not in receiver.requests[0].decode().lower()


def test_a_header_that_http_cannot_carry_is_a_failure_like_any_other(receive: Receive) -> None:
    receiver = receive(says(OK))
    assert failure(outbound(), post(receiver.url, headers={"X-City": "上海"})).kind is Kind.BROKEN
    secret = "hunter2"
    failed = failure(outbound(), post(receiver.url, headers={"X-City": f"{secret}\r\nX-Other: b"}))
    assert failed.kind is Kind.BROKEN
    assert secret not in "".join(traceback.format_exception(failed))
    assert b"X-Other" not in b"".join(receiver.requests)


@pytest.mark.parametrize("value", ["", "\xa0", "\x85a", "caf\xe9", "a\t b", "@@@SKIP_HEADER@@@"])
def test_any_value_that_a_header_may_hold_arrives_byte_for_byte(receive: Receive, value: str) -> None:
    receiver = receive(says(OK))
    outbound().send(post(receiver.url, headers={"X-City": value, "Content-Type": value}))
    assert b"\r\nX-City: %s\r\n" % value.encode("latin-1") in receiver.requests[0]
    assert b"\r\nContent-Type: %s\r\n" % value.encode("latin-1") in receiver.requests[0]


@pytest.fixture
def receiver(receive: Receive) -> Receiver:
    """One that says OK to everything."""
    return receive(says(OK))


QUERY_METHODS = ("GET", "HEAD", "DELETE")


@share(0.5, fixtures_last=True)
@given(submissions(url=PATHS))
def test_whatever_is_accepted_arrives_as_it_was_submitted(receiver: Receiver, submitted: dict[str, Json]) -> None:
    door, place = outbound(), receiver.url.rstrip("/")
    request = read({**submitted, "url": place + submitted["url"]}, SETTINGS, door, NOON)
    assert door.send(compose(task(request=request), now=NOON, most_seconds=20)).status == 200
    top, _, body = receiver.requests[-1].partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    assert method == submitted.get("method", "POST")
    assert target.startswith(in_ascii(submitted["url"]))
    named = {name: value for name, value in submitted.get("headers", {}).items() if name != "Content-type"}
    headers = dict(line.split(": ", 1) for line in lines)
    assert {**headers, **named} == headers
    assert headers.get("Content-Type") == request.content_type or request.content_type is None
    check_what_it_carries(submitted, parse_qsl(target.partition("?")[2], keep_blank_values=True), body.decode())


def in_ascii(url: str) -> str:
    return "".join(char if char.isascii() else quote(char) for char in url)


def check_what_it_carries(submitted: dict[str, Json], query: list[tuple[str, str]], body: str) -> None:
    """A body as it was submitted. Params are the query of some methods, or beside a body; else they are the body."""
    given_body, params = submitted.get("body"), submitted.get("params", {})
    if isinstance(given_body, str) or given_body is None:
        assert given_body is None or body == given_body
    else:
        assert json.loads(body) == given_body
    if given_body is not None or submitted.get("method", "POST") in QUERY_METHODS:
        assert {(name, value) for name, value in params.items() if isinstance(value, str)} <= {*query}
        assert {name for name, value in params.items() if value != []} <= {name for name, _ in query}
        assert body or not isinstance(given_body, dict)
    elif params and "urlencoded" not in str(submitted):
        assert json.loads(body) == params


# ── what comes back ──────────────────────────────────────────────────────────────────────────────


def chunked(body: bytes, size: int = 1000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", Reply(status=204)),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", Reply(status=304)),
        (b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", Reply(status=599, headers={"content-length": "0"})),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", Reply(status=101, headers={"upgrade": "h2c"})),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + OK,
            Reply(status=200, headers={"content-length": "2"}, body=b"ok"),
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n",
            Reply(status=200, headers={"x-a": "1, 2", "content-length": "0"}),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 2500) + b"\r\n",
            Reply(status=200, headers={"transfer-encoding": "chunked"}, body=b"x" * 2500),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 13\r\n\r\n" + zlib.compress(b"hello"),
            Reply(status=200, headers={"content-encoding": "deflate", "content-length": "13"}, body=b"hello"),
        ),
    ],
)
def test_any_complete_reply_is_a_reply(receive: Receive, raw: bytes, reply: Reply) -> None:
    receiver = receive(says(raw))
    assert outbound().send(post(receiver.url)) == reply
    assert receiver.hung_up.wait(10)


def test_a_reply_without_a_length_ends_where_the_receiver_hangs_up(receive: Receive) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        hangs_up(connection)

    assert outbound().send(post(receive(answer).url)) == Reply(status=200, body=b"hello")


def test_the_reply_to_a_head_has_no_body_whatever_its_length_says(receive: Receive) -> None:
    receiver = receive(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"))
    reply = outbound().send(Outgoing(method="HEAD", url=receiver.url, timeout=20))
    assert reply == Reply(status=200, headers={"content-length": "99999999"})


@pytest.mark.parametrize("location", ["{other}", "http://[", "nonsense:", "/", "//", "\xff"])
def test_a_redirect_is_a_reply_and_is_not_followed(receive: Receive, location: str) -> None:
    other = receive(says(OK))
    location = location.format(other=other.url)
    raw = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nmoved".encode("latin-1")
    reply = outbound().send(post(receive(says(raw)).url))
    assert (reply.status, reply.headers["location"], reply.body) == (302, location, b"moved")
    assert other.requests == []


def test_a_cookie_is_a_header_like_any_other(receive: Receive) -> None:
    receiver = receive(says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"))
    door = outbound()
    assert door.send(post(receiver.url)).headers["set-cookie"] == "a=b; Path=/"
    door.send(post(receiver.url))
    assert b"a=b" not in receiver.requests[1]


@pytest.mark.parametrize(
    "target", ["/a%2fb?sign=x%2fy%3d", "/%7euser", "/a/%2e%2e/b", "/a/../b", "/a?", "//key//x?q=a+b"]
)
def test_a_url_is_sent_as_it_was_given(receive: Receive, target: str) -> None:
    receiver = receive(says(OK))
    outbound().send(post(receiver.url.rstrip("/") + target))
    assert head(receiver.requests[0])[0] == f"POST {target} HTTP/1.1"


def test_a_reply_that_comes_before_the_request_was_read_is_the_reply() -> None:
    """As of a receiver that answers 413 and hangs up (RFC 9112, 9.5)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                connection.shutdown(socket.SHUT_RD)
                connection.recv(LIMIT)

        refusing = threading.Thread(target=refuse)
        refusing.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with suppress(SendFailed):  # where the reset overtakes the reply, there is none
            assert outbound().send(post(url, b"x" * 10_000_000)).status == 413
        refusing.join()


# ── caps in bytes ────────────────────────────────────────────────────────────────────────────────


def framed(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


def test_a_body_as_long_as_the_limit_is_read(receive: Receive) -> None:
    receiver = receive(says(framed(b"x" * LIMIT)))
    assert outbound().send(post(receiver.url)).body == b"x" * LIMIT


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(framed(b"x" * (LIMIT + 1)), id="one byte more"),
        pytest.param(framed(b"")[:-5] + b"9" * 5000 + b"\r\n\r\n", id="a length of thousands of digits"),
        pytest.param(CHUNKED + b"f" * 5000 + b"\r\n", id="a chunk whose size has thousands of digits"),
        pytest.param(CHUNKED + chunked(b"x" * (LIMIT + 1)) + b"\r\n", id="one byte more, in chunks"),
        pytest.param(CHUNKED + (b"1;" + b"e" * 60_000 + b"\r\nx\r\n") * 20, id="chunks that are mostly extension"),
        pytest.param(CHUNKED + b"0\r\n" + b"X: y\r\n" * 100_000, id="trailers without end"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, id="interim replies without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 60_000 + b"\r\n") * 50, id="headers without end"),
        pytest.param(framed(gzip.compress(b"") * 50_000, "Content-Encoding: gzip"), id="much that decodes to nothing"),
    ],
)
def test_a_reply_that_is_too_large_is_not_read_to_its_end(receive: Receive, raw: bytes) -> None:
    receiver = receive(says(raw))
    failed = failure(outbound(), post(receiver.url))
    assert failed.kind is Kind.TOO_LARGE
    assert failed.detail.startswith("The reply of 127.0.0.1 is too large: it has ")
    assert receiver.hung_up.wait(10)


ZEROS = b"\0" * 20_000_000


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(ZEROS, mtime=0)),
        ("deflate", zlib.compress(ZEROS)),
        ("gzip", gzip.compress(b"\0" * LIMIT, mtime=0) * 200),
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "302 Found\r\nLocation: /"])
def test_a_bomb_does_not_go_off(receive: Receive, encoding: str, bomb: bytes, status: str) -> None:
    plain = f"HTTP/1.1 {status}\r\nContent-Encoding: {encoding}\r\n".encode()
    for raw in (
        plain + f"Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb,
        plain + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(bomb) + b"\r\n",
    ):
        receiver = receive(says(raw))
        door, outgoing = outbound(), post(receiver.url)
        tracemalloc.start()
        failed = failure(door, outgoing)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert failed.kind is Kind.TOO_LARGE
        assert peak < 2_000_000


# ── caps in time ─────────────────────────────────────────────────────────────────────────────────


NOT_IN_TIME = [
    pytest.param(says_nothing, Kind.READ_TIMEOUT, id="silence"),
    pytest.param(says(b"H"), Kind.TOTAL_TIMEOUT, id="a byte, then silence"),
    pytest.param(drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), Kind.TOTAL_TIMEOUT, id="headers, dripping"),
    pytest.param(drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), Kind.TOTAL_TIMEOUT, id="a body, dripping"),
]
NOT_IN_TIME_EITHER = [
    pytest.param(drips(b"HTTP/1.1 200 ", b"O"), Kind.TOTAL_TIMEOUT, id="a status line, dripping"),
    pytest.param(drips(b"HTTP/1.1 200 OK\r\nX: ", b"y"), Kind.TOTAL_TIMEOUT, id="one header, dripping"),
    pytest.param(drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), Kind.TOTAL_TIMEOUT, id="interim replies, dripping"),
    pytest.param(drips(CHUNKED, b"1\r\nx\r\n"), Kind.TOTAL_TIMEOUT, id="chunks, dripping"),
    pytest.param(drips(CHUNKED + b"0\r\n", b"X: y\r\n"), Kind.TOTAL_TIMEOUT, id="trailers, dripping"),
    pytest.param(says(framed(b"xy")[:-1]), Kind.TOTAL_TIMEOUT, id="a body that lacks its last byte"),
]


@pytest.mark.parametrize(("answer", "kind"), NOT_IN_TIME + NOT_IN_TIME_EITHER)
def test_an_attempt_ends_with_its_time(receive: Receive, answer: Answer, kind: Kind) -> None:
    receiver = receive(answer)
    failed = failure(outbound(), post(receiver.url, timeout=SHORT))
    assert failed.kind is kind
    assert "127.0.0.1" in failed.detail
    assert "0.2 s" in failed.detail
    assert receiver.hung_up.wait(10)


@pytest.mark.parametrize(("answer", "kind"), NOT_IN_TIME)
def test_an_encrypted_attempt_ends_with_its_time(
    receive: Receive, answer: Answer, kind: Kind, authority: trustme.CA
) -> None:
    receiver = receive(answer, context=serving(authority, "127.0.0.1"))
    assert failure(outbound(context=trusting(authority)), post(receiver.url, timeout=3 * SHORT)).kind is kind
    assert receiver.hung_up.wait(10)


def test_a_receiver_that_does_not_read_ends_with_the_attempts_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        failed = failure(outbound(), post(url, b"x" * 30_000_000, timeout=SHORT))
    assert failed.kind is Kind.READ_TIMEOUT
    assert failed.detail == "127.0.0.1 did not take the whole request within 0.2 s."


@contextmanager
def deaf(host: str, port: int = 0) -> Iterator[int]:
    """A port where a connection is neither taken nor refused: its queue is full, and nobody takes from it."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def test_a_host_that_does_not_answer_the_connection_is_given_up_within_the_cap() -> None:
    with deaf("127.0.0.1") as port:
        failed = failure(outbound(), post(f"http://127.0.0.1:{port}/", timeout=SHORT))
        assert (failed.kind, failed.detail) == (Kind.CONNECT_TIMEOUT, "No connection to 127.0.0.1 within 0.2 s.")


def test_an_address_that_does_not_answer_leaves_time_for_the_next(receive: Receive) -> None:
    receiver = receive(says(OK), host="127.0.0.3")
    door = outbound(resolve=names(partner_example=["127.0.0.2", "127.0.0.3"]))
    with deaf("127.0.0.2", receiver.port):
        assert door.send(post(f"http://partner.example:{receiver.port}/", timeout=0.6)).status == 200


def test_the_connect_cap_covers_the_tls_handshake(receive: Receive) -> None:
    receiver = receive(says_nothing)
    failed = failure(outbound(), post(receiver.url.replace("http", "https"), timeout=20))
    assert failed.kind is Kind.TLS
    assert failed.detail == "The TLS handshake with 127.0.0.1 was not finished within 1 s."
    assert receiver.hung_up.wait(10)


def test_a_handshake_that_drips_ends_with_the_connect_cap() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(LIMIT)
                drips(b"\x16\x03\x03\x40\x00", b"\x02")(connection)

        dripping = threading.Thread(target=drip)
        dripping.start()
        door = outbound(context=ssl.create_default_context())
        failed = failure(door, post(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=SHORT))
        assert failed.kind is Kind.TLS
        dripping.join()


NOT_WHOLE = "127.0.0.1 had not sent its whole reply after 0.2 s: it sent status 200 and"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says_nothing, "127.0.0.1 took the request and sent no reply within 0.2 s."),
        (
            says(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nsuccess"),
            f"{NOT_WHOLE} 7 bytes of a body that has no length and ends with the connection, the last of it after 0.",
        ),
        (
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsuccess"),
            f"{NOT_WHOLE} 7 of the 9 bytes of its body, the last of it after 0.",
        ),
    ],
)
def test_a_reply_that_is_not_complete_in_time_is_told_by_what_came(receive: Receive, answer: Answer, why: str) -> None:
    assert failure(outbound(), post(receive(answer).url, timeout=SHORT)).detail.startswith(why)


# ── what the time went into ──────────────────────────────────────────────────────────────────────


def test_a_stopwatch_tells_what_each_phase_took_up_to_the_one_in_which_it_ended() -> None:
    moments = iter([5.0, 5.002, 5.013, 5.9, 6.0])
    stopwatch = Stopwatch(lambda: next(moments))
    for phase in (Phase.CONNECT, Phase.WAIT, Phase.WAIT, Phase.READ):
        stopwatch.enter(phase)
    assert stopwatch.laps() == (2, 11, None, 887, 100)


def test_a_stopwatch_that_was_stopped_in_its_first_phase_tells_of_that_one() -> None:
    moments = iter([5.0, 6.5])
    assert Stopwatch(lambda: next(moments)).laps() == (1500,)


def test_a_reply_says_what_each_phase_took(receive: Receive) -> None:
    reply = outbound().send(post(receive(pauses(0.05, OK)).url))
    dns, connect, tls, wait, read = reply.phases
    assert None not in (dns, connect, wait, read)
    assert tls is None
    assert wait is not None
    assert wait >= 45


def test_a_reply_over_tls_says_what_the_handshake_took(receive: Receive, authority: trustme.CA) -> None:
    receiver = receive(says(OK), context=serving(authority, "127.0.0.1"))
    phases = outbound(context=trusting(authority)).send(post(receiver.url)).phases
    assert len(phases) == len(Phase)
    assert None not in phases


def test_reading_the_authorities_is_no_part_of_looking_a_name_up(
    receive: Receive, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(**_: Any) -> ssl.SSLContext:
        threading.Event().wait(0.2)
        return trusting(authority)

    monkeypatch.setattr(ssl, "create_default_context", slowly)
    receiver = receive(says(OK), context=serving(authority, "127.0.0.1"))
    dns, connect, *_ = outbound().send(post(receiver.url)).phases
    assert (connect or 0) >= 199
    assert (dns or 0) < (connect or 0)


def ended_in(failed: SendFailed) -> Phase:
    return list(Phase)[len(failed.phases) - 1]


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        pytest.param(says_nothing, Phase.WAIT, id="silence"),
        pytest.param(says(b""), Phase.WAIT, id="hung up without a word"),
        pytest.param(says(b"H"), Phase.READ, id="a byte, then silence"),
    ],
)
def test_a_failure_says_in_which_phase_the_receiver_failed(receive: Receive, answer: Answer, phase: Phase) -> None:
    failed = failure(outbound(), post(receive(answer).url, timeout=SHORT))
    assert ended_in(failed) is phase


def test_a_failure_says_that_it_never_had_an_address_a_connection_or_a_secure_one(receive: Receive) -> None:
    assert ended_in(failure(outbound(resolve=names()), post("http://partner.example/"))) is Phase.DNS
    assert ended_in(failure(outbound(), post("http://10.0.0.1/"))) is Phase.DNS
    with deaf("127.0.0.1") as port:
        assert ended_in(failure(outbound(), post(f"http://127.0.0.1:{port}/", timeout=SHORT))) is Phase.CONNECT
    silent = receive(says_nothing)
    https = silent.url.replace("http", "https")
    assert ended_in(failure(outbound(context=ssl.create_default_context()), post(https, timeout=SHORT))) is Phase.TLS


def test_the_time_of_an_attempt_that_ended_with_its_time_is_all_accounted_for(receive: Receive) -> None:
    failed = failure(outbound(), post(receive(says_nothing).url, timeout=SHORT))
    assert sum(took or 0 for took in failed.phases) >= 1000 * SHORT - len(Phase)


# ── names ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hanging() -> Iterator[Callable[[str], list[str]]]:
    """A resolver that answers when the test is over."""
    over = threading.Event()

    def resolve(_: str) -> list[str]:
        over.wait()
        return ["127.0.0.1"]

    yield resolve
    over.set()


def test_a_name_without_an_address_is_a_failure_of_its_own_kind() -> None:
    failed = failure(outbound(resolve=names()), post("http://partner.example/"))
    assert failed.kind is Kind.DNS
    assert failed.detail == "The name partner.example was not found: Name or service not known."
    assert failure(outbound(resolve=lambda _: []), post("http://partner.example/")).kind is Kind.DNS


def test_a_resolver_that_hangs_does_not_outlive_the_cap(hanging: Callable[[str], list[str]]) -> None:
    door = outbound(resolve=hanging)
    failed = failure(door, post("http://partner.example/", timeout=SHORT))
    assert (failed.kind, failed.detail) == (Kind.DNS, "The name partner.example was not looked up within 0.2 s.")


def test_look_ups_that_hang_do_not_pile_up(hanging: Callable[[str], list[str]]) -> None:
    door = outbound(resolve=hanging)
    for _ in range(MAX_OF_DOMAIN + 10):
        assert failure(door, post("http://partner.example/", timeout=0.001)).kind is Kind.DNS
    assert sum(thread.name == "look-up" for thread in threading.enumerate()) <= MAX_OF_DOMAIN


def test_look_ups_that_have_ended_make_room_for_others() -> None:
    door = outbound("", resolve=names(partner_example=["8.8.8.8"]))
    for _ in range(MAX_OF_DOMAIN + 10):
        door.check("http://partner.example/")
        with pytest.raises(SendFailed, match="not found"):
            door.send(post("http://other.example/"))


def test_a_name_is_looked_up_once_and_the_vetted_address_is_the_one_connected_to(receive: Receive) -> None:
    public, private = receive(says(OK), host="127.0.0.2"), receive(says(OK))
    answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    def rebinding(name: str) -> list[str]:
        asked.append(name)
        return answers[len(asked) - 1]

    door = outbound("127.0.0.2/32", resolve=rebinding)
    assert door.send(post(f"http://partner.example:{public.port}/")).status == 200
    assert asked == ["partner.example"]
    assert failure(door, post(f"http://partner.example:{private.port}/")).kind is Kind.FORBIDDEN
    assert private.requests == []


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.9"], ["127.0.0.9", "127.0.0.2"], ["127.0.0.2", "::1%1"]])
def test_one_bad_address_is_enough_to_refuse_a_host(receive: Receive, addresses: list[str]) -> None:
    receiver = receive(says(OK), host="127.0.0.2")
    door = outbound("127.0.0.2/32", resolve=lambda _: addresses)
    failed = failure(door, post(f"http://partner.example:{receiver.port}/"))
    assert failed.kind is Kind.FORBIDDEN
    assert "partner.example" in failed.detail
    assert receiver.requests == []


def test_the_next_address_is_tried_when_one_takes_no_connection(receive: Receive) -> None:
    receiver = receive(says(OK), host="127.0.0.3")
    door = outbound(resolve=names(partner_example=["::1", "127.0.0.2", "127.0.0.3"]))
    assert door.send(post(f"http://partner.example:{receiver.port}/")).status == 200


# ── what is refused ──────────────────────────────────────────────────────────────────────────────

LOOPBACK = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://127.0.0.1#8.8.8.8/",
    "http://127.0.0.1?8.8.8.8/",
]
PRIVATE = [
    "http://[64:ff9b::7f00:1]/",
    "http://[fe80::1%25eth0]/",
    "https://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1:8080/",
]
UNUSABLE = [
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://user:hunter2@8.8.8.8/",
    "http://user@8.8.8.8/",
    "http://@8.8.8.8/",
    "http://8.8.8.8\\@127.0.0.1/",
    "http://127.0.0.1\\@8.8.8.8/",
    "http://8.8.8.8\\.example/",
    "http://8.8.8.8:80@127.0.0.1/",
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "httpx://8.8.8.8/",
    "http:///path",
    "http://",
    "http://:80/",
    "http:8.8.8.8",
    "//8.8.8.8/",
    "8.8.8.8",
    "",
    "http://8.8.8.8:99999/",
    "http://8.8.8.8:x/",
    "http://[::1/",
    "http://[v1.x]/",
    "http://[fe80::1%eth0]/",
    "http://*.example/",
    "http://a b/",
    "http://a\x00b/",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_nothing_is_sent_to_this_computer_however_it_is_written(url: str) -> None:
    assert failure(outbound(""), post(url)).kind is Kind.FORBIDDEN


@pytest.mark.parametrize("url", LOOPBACK + PRIVATE)
def test_a_private_address_is_refused_at_submission_already(url: str) -> None:
    with pytest.raises(SendFailed, match="not allowed") as caught:
        outbound("").check(url)
    assert caught.value.kind is Kind.FORBIDDEN


@pytest.mark.parametrize("url", UNUSABLE)
def test_a_url_that_is_none_or_means_two_things_is_refused(url: str) -> None:
    with pytest.raises(SendFailed) as caught:
        aim_at(url, frozenset())
    assert caught.value.kind is Kind.FORBIDDEN
    assert "hunter2" not in caught.value.detail


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "foo.localhost", "a.b.LocalHost.", "127.0.0.1."]
)
def test_this_computer_is_known_by_its_name_whatever_a_resolver_says(host: str) -> None:
    door = outbound("", resolve=names(**{"127_0_0_1_": ["127.0.0.1"], "localhost": ["8.8.8.8"]}))
    for refuses in (door.check, lambda url: door.send(post(url))):
        with pytest.raises(SendFailed, match="not allowed") as caught:
            refuses(f"http://{host}:80/")
        assert caught.value.kind is Kind.FORBIDDEN


@pytest.mark.parametrize("host", ["localhost.example", "localhostx", "mylocalhost"])
def test_other_names_are_looked_up(host: str) -> None:
    outbound("", resolve=lambda _: ["8.8.8.8"]).check(f"http://{host}/")


def test_this_computer_is_reached_by_its_name_where_it_is_allowed(receive: Receive) -> None:
    receiver = receive(says(OK))
    door = outbound("127.0.0.0/8", resolve=names())
    assert door.send(post(receiver.url.replace("127.0.0.1", "api.localhost"))).status == 200
    assert f"Host: api.localhost:{receiver.port}" in head(receiver.requests[0])


def test_only_the_ports_of_the_settings_are_used(receive: Receive) -> None:
    receiver = receive(says(OK))
    assert outbound(ports=f"443,{receiver.port}").send(post(receiver.url)).status == 200
    failed = failure(outbound(ports="80,443"), post(receiver.url))
    assert failed.kind is Kind.FORBIDDEN
    assert str(receiver.port) in failed.detail
    assert failure(outbound(ports="8443"), post("https://127.0.0.1/")).detail.startswith("Port 443 ")


@given(st.text() | st.text().map("http://{}".format) | st.text().map("http://a.example:{}/".format))
def test_no_url_makes_it_stumble(url: str) -> None:
    with suppress(SendFailed):
        aim = aim_at(url, frozenset())
        assert aim.host.isascii()
        assert aim.scheme in ("http", "https")
        assert 0 < aim.port < 65536


def resolved(name: str) -> list[str]:
    """As the system's resolver reads a number, and without asking anybody for a name."""
    return [socket.inet_ntoa(socket.inet_aton(name))]


def is_let_through(url: str, resolve: Callable[[str], list[str]] = resolved) -> bool:
    """Whether the door's check lets it pass. Nothing is connected to."""
    try:
        outbound("", resolve=resolve).check(url)
    except SendFailed:
        return False
    return True


SPELT = IPV4.flatmap(lambda it: st.tuples(st.just(it), spellings_4(it))) | IPV6.flatmap(
    lambda it: st.tuples(st.just(it), spellings_6(it))
)


@share(2)
@given(SPELT, st.sampled_from(["http://{}/", "https://{}:8443/a?b", "HTTP://{}"]))
def test_an_address_is_what_it_is_however_it_is_written(spelt: tuple[Address, str], url: str) -> None:
    address, spelling = spelt
    assert is_let_through(url.format(spelling)) == is_reachable(address)


@given(st.lists(IPV4 | IPV6, min_size=1, max_size=4))
def test_a_name_passes_when_all_its_addresses_do(addresses: list[Address]) -> None:
    passes = is_let_through("https://partner.example/", lambda _: [str(address) for address in addresses])
    assert passes == all(map(is_reachable, addresses))


# ── the check at submission ──────────────────────────────────────────────────────────────────────


def test_a_check_vets_what_a_name_resolves_to_and_a_literal_without_asking() -> None:
    asked: list[str] = []

    def resolve(name: str) -> list[str]:
        asked.append(name)
        return ["8.8.8.8"]

    door = outbound("", resolve=resolve)
    door.check("https://8.8.4.4/callback")
    door.check("https://[2606:4700::1]/callback")
    assert asked == []
    door.check("https://partner.example/callback")
    assert asked == ["partner.example"]


def test_a_check_lets_a_name_pass_that_does_not_resolve_just_now(hanging: Callable[[str], list[str]]) -> None:
    outbound(resolve=names()).check("https://partner.example/")
    outbound(resolve=hanging).check("https://partner.example/")


def test_a_check_sends_nothing(receive: Receive) -> None:
    receiver = receive(says(OK))
    outbound().check(receiver.url)
    assert outbound().send(post(receiver.url)).status == 200
    assert len(receiver.requests) == 1


# ── what breaks ──────────────────────────────────────────────────────────────────────────────────


def test_nobody_listening_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failed = failure(outbound(), post(f"http://127.0.0.1:{port}/"))
    assert (failed.kind, failed.detail) == (Kind.REFUSED, "127.0.0.1 took no connection: Connection refused.")


IN_THE_MIDDLE = "127.0.0.1 closed the connection in the middle of its reply; it had sent"


def answers_and_hangs_up(raw: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(raw)
        hangs_up(connection)

    return answer


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "127.0.0.1 closed the connection without a reply."),
        (
            b"HTTP/1.1 200",
            f"{IN_THE_MIDDLE} part of the head of a reply.",
        ),
        (
            framed(b"hello")[:-2],
            f"{IN_THE_MIDDLE} status 200 and 3 of the 5 bytes of its body.",
        ),
        (
            CHUNKED + b"5\r\nhel",
            f"{IN_THE_MIDDLE} status 200 and 3 bytes of a chunked body that has not ended.",
        ),
        (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            'The reply of 127.0.0.1 is not valid: it does not begin with HTTP/: "SSH-2.0-OpenSSH_9.6".',
        ),
        (
            bytes.fromhex("15030100020246"),
            "The reply of 127.0.0.1 is not valid: it is TLS: on this port the receiver expects https://.",
        ),
    ],
)
def test_what_is_cut_or_is_not_http_is_a_broken_connection(receive: Receive, raw: bytes, why: str) -> None:
    failed = failure(outbound(), post(receive(answers_and_hangs_up(raw)).url))
    assert (failed.kind, failed.detail) == (Kind.BROKEN, why)


@pytest.mark.parametrize(
    "wrong",
    ["Content-Length: 3, 4", "Content-Encoding: gzip\r\nContent-Length: 3", "X-Région: eu", "X" * 40_000, "X-A"],
)
def test_a_reply_that_cannot_be_read_is_refused_at_once_and_the_connection_closed(receive: Receive, wrong: str) -> None:
    receiver = receive(says(f"HTTP/1.1 200 OK\r\n{wrong}\r\n\r\nabc".encode()))
    failed = failure(outbound(), post(receiver.url, timeout=100))
    assert receiver.hung_up.wait(10)
    assert failed.kind in (Kind.BROKEN, Kind.TOO_LARGE)
    assert failed.detail.startswith("The reply of 127.0.0.1 is ")


def test_a_reset_is_a_broken_connection(receive: Receive) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    failed = failure(outbound(), post(receive(reset).url))
    assert (failed.kind, failed.detail) == (Kind.BROKEN, "127.0.0.1 reset the connection without a reply.")


def test_a_body_that_is_not_encoded_as_it_says_is_a_broken_connection(receive: Receive) -> None:
    receiver = receive(says(framed(b"not gzip", "Content-Encoding: gzip")))
    failed = failure(outbound(), post(receiver.url))
    assert failed.kind is Kind.BROKEN
    assert failed.detail == (
        "The reply of 127.0.0.1 is not valid: it has a body that is not encoded as its Content-Encoding says: gzip."
    )


@pytest.mark.parametrize("answer", [says_nothing, hangs_up, says(b"HTTP/1.1 200 OK\r\n: broken\r\n\r\n"), says(OK)])
def test_no_secret_of_a_url_or_a_header_reaches_a_log_or_an_error(
    receive: Receive, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = receive(answer)
    told, secret = "", "hunter2"
    url = f"{receiver.url}{secret}?token={secret}"
    try:
        outbound().send(post(url, secret.encode(), headers={"Authorization": secret}, timeout=SHORT))
    except SendFailed as error:
        told = error.detail + "".join(traceback.format_exception(error))
    assert receiver.requests[0].count(secret.encode()) == 4
    assert secret not in told + caplog.text


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, *hosts: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    return context


class CountingContext(ssl.SSLContext):
    """Counts how often certificates of authorities are read."""

    loads = 0

    def load_verify_locations(self, *args: Any, **kwargs: Any) -> None:
        self.loads += 1
        super().load_verify_locations(*args, **kwargs)


def trusting(authority: trustme.CA) -> CountingContext:
    context = CountingContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


PARTNER: Mapping[str, list[str]] = {"partner_example": ["127.0.0.1"]}


def test_tls_names_the_host_of_the_url_and_checks_its_certificate(receive: Receive, authority: trustme.CA) -> None:
    context = serving(authority, "partner.example")
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    receiver = receive(says(OK), context=context)
    door = outbound(resolve=names(**PARTNER), context=trusting(authority))
    assert door.send(post(f"https://partner.example:{receiver.port}/")).body == b"ok"
    assert named == ["partner.example"]
    assert f"Host: partner.example:{receiver.port}" in head(receiver.requests[0])


def test_a_certificate_for_an_address_is_checked_too(receive: Receive, authority: trustme.CA) -> None:
    receiver = receive(says(OK), context=serving(authority, "127.0.0.1"))
    assert outbound(context=trusting(authority)).send(post(receiver.url)).status == 200
    other = receive(says(OK), context=serving(authority, "127.0.0.2"))
    assert failure(outbound(context=trusting(authority)), post(other.url)).kind is Kind.TLS


def test_a_certificate_for_another_host_is_not_accepted(receive: Receive, authority: trustme.CA) -> None:
    receiver = receive(says(OK), context=serving(authority, "other.example"))
    door = outbound(resolve=names(**PARTNER), context=trusting(authority))
    failed = failure(door, post(f"https://partner.example:{receiver.port}/"))
    assert failed.kind is Kind.TLS
    assert failed.detail.startswith("The certificate of partner.example is not accepted: Hostname mismatch")
    assert receiver.requests == []


def test_a_certificate_of_an_authority_nobody_knows_is_not_accepted(receive: Receive, authority: trustme.CA) -> None:
    receiver = receive(says(OK), context=serving(authority, "127.0.0.1"))
    failed = failure(outbound(), post(receiver.url))
    assert failed.kind is Kind.TLS
    assert "unable to get local issuer certificate" in failed.detail


@contextmanager
def handshaking(answer: Answer) -> Iterator[str]:
    """The URL of one who takes a connection, reads what comes first, answers as told and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(LIMIT)
                    answer(connection)
                    hangs_up(connection)

        serving = threading.Thread(target=serve)
        serving.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


def alert(number: int) -> bytes:
    """A fatal alert as its record (RFC 8446, 6)."""
    return bytes([21, 3, 3, 0, 2, 2, number])


SERVER_HELLO_1_0 = bytes.fromhex("160301002a 02000026 0301" + "00" * 32 + "00 002f 00")
NO_TLS = "127.0.0.1 does not speak TLS on this port; it may expect http:// instead of https://."
OLD = "127.0.0.1 supports no version of TLS from 1.2 on; older ones are not secure."
CERTIFICATE = "127.0.0.1 requires a client certificate, and kkbida has none."


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NO_TLS),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n"), NO_TLS),
        (says(b"220 smtp.example ESMTP\r\n"), NO_TLS),
        (says(alert(70)), OLD),
        (says(SERVER_HELLO_1_0), OLD),
        (says(alert(116)), CERTIFICATE),
        (says(alert(42)), CERTIFICATE),
        (says(alert(48)), CERTIFICATE),
        (says(alert(40)), "127.0.0.1 refused the TLS handshake: it has no cipher suite in common with kkbida."),
        (says(alert(112)), "127.0.0.1 refused the TLS handshake: it does not serve this host name."),
        (says(alert(80)), "TLS with 127.0.0.1 failed (TLSV1_ALERT_INTERNAL_ERROR)."),
        (says(b""), "127.0.0.1 closed the connection during the TLS handshake."),
    ],
)
def test_what_went_wrong_in_a_handshake_can_be_told_apart(answer: Answer, why: str, authority: trustme.CA) -> None:
    with handshaking(answer) as url:
        failed = failure(outbound(context=trusting(authority)), post(url))
    assert (failed.kind, failed.detail) == (Kind.TLS, why)


def test_a_reset_in_a_handshake_is_told_as_such(authority: trustme.CA) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    with handshaking(reset) as url:
        failed = failure(outbound(context=trusting(authority)), post(url))
    assert (failed.kind, failed.detail) == (Kind.TLS, "127.0.0.1 reset the connection during the TLS handshake.")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_receiver_that_wants_a_certificate_of_ours_is_a_failure_of_tls_without_secrets(
    receive: Receive, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    context = serving(authority, "127.0.0.1")
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    secret = "hunter2"
    url = receive(says(OK), context=context).url + secret
    failed = failure(outbound(context=trusting(authority)), post(url))
    assert (failed.kind, failed.detail) == (Kind.TLS, CERTIFICATE)
    assert secret not in "".join(traceback.format_exception(failed))


def test_a_receiver_without_a_cipher_in_common_is_told_as_such(receive: Receive, authority: trustme.CA) -> None:
    context = serving(authority, "127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256:@SECLEVEL=0")
    failed = failure(outbound(context=trusting(authority)), post(receive(says(OK), context=context).url))
    assert failed.detail == "127.0.0.1 refused the TLS handshake: it has no cipher suite in common with kkbida."


def test_a_certificate_that_has_expired_is_told_as_such(receive: Receive, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    authority.issue_cert("127.0.0.1", not_after=long_ago).configure_cert(context)
    failed = failure(outbound(context=trusting(authority)), post(receive(says(OK), context=context).url))
    assert failed.detail == "The certificate of 127.0.0.1 is not accepted: certificate has expired."


def test_the_authorities_of_a_bundle_are_trusted_beside_the_public_ones(
    receive: Receive, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    receiver = receive(says(OK), context=serving(authority, "127.0.0.1"))
    door = outbound(ca_bundle=str(bundle))
    assert len(door._context.get_ca_certs()) == len(outbound()._context.get_ca_certs()) + 1
    assert door.send(post(receiver.url)).status == 200


def test_the_authorities_are_read_once_and_not_for_each_connection(receive: Receive, authority: trustme.CA) -> None:
    receiver = receive(says(OK), context=serving(authority, "127.0.0.1"))
    context = trusting(authority)
    door = outbound(context=context)
    for _ in range(3):
        assert door.send(post(receiver.url)).status == 200
    assert context.loads == 1


# ── many at once ─────────────────────────────────────────────────────────────────────────────────


def test_threads_that_share_it_get_each_their_own_reply(receive: Receive, authority: trustme.CA) -> None:
    door = outbound(context=trusting(authority))
    receivers = [receive(says(framed(str(n).encode()))) for n in range(4)]
    receivers += [receive(says(framed(str(n).encode())), context=serving(authority, "127.0.0.1")) for n in (4, 5)]

    def send(number: int) -> bool:
        return door.send(post(receivers[number % 6].url)).body == str(number % 6).encode()

    with ThreadPoolExecutor(24) as threads:
        assert all(threads.map(send, range(240)))
