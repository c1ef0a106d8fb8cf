"""HTTP that no decent client sends, byte for byte, to the whole local run: a problem or a closed connection."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from io import BytesIO
from typing import Any, cast

import pytest

from chalicelib.show import PROBLEM
from tests.local.conftest import Reply, Run, running

PROMPTLY = 20
"""Seconds within which an answer must have come."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with running(tmp_path_factory.mktemp("hostile")) as run:
        yield run


def connection(run: Run) -> socket.socket:
    host, port = run.access["api"].removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PROMPTLY)


def all_that_comes(raw: socket.socket) -> bytes:
    """Everything until the connection ends. A reset is an end too: the server did not wait for all of our noise."""
    heard = b""
    try:
        while more := raw.recv(65_536):
            heard += more
    except ConnectionResetError:
        pass
    return heard


class Heard:
    """Bytes that http.client reads as if they came from a socket."""

    def __init__(self, heard: bytes) -> None:
        self._heard = heard

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._heard)


def reply_in(heard: bytes) -> Reply:
    reply = http.client.HTTPResponse(cast("Any", Heard(heard)))
    reply.begin()
    return Reply(reply.status, reply.headers, reply.read())


def sent(run: Run, data: bytes) -> Reply:
    """The one reply to some bytes, after which the server has closed the connection."""
    with connection(run) as raw:
        raw.sendall(data.replace(b"{host}", run.access["api"].removeprefix("http://").encode()))
        return reply_in(all_that_comes(raw))


HEAD = b"Host: {host}\r\nConnection: close\r\n"
JSON = b"Content-Type: application/json\r\n"


def get(path: bytes, *headers: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\n" % path + HEAD + b"".join(headers) + b"\r\n"


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/tasks") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST %s HTTP/1.1\r\n" % path + HEAD + b"".join(headers or (JSON,)) + length + b"\r\n" + body


def chunked(body: bytes, *headers: bytes) -> bytes:
    how = headers or (b"Transfer-Encoding: chunked\r\n",)
    return b"POST /v1/tasks HTTP/1.1\r\n" + HEAD + JSON + b"".join(how) + b"\r\n" + body


def line(request_line: bytes) -> bytes:
    return request_line + b"\r\n" + HEAD + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"

URL = b'{"url":"http://127.0.0.1:9/"'

HOSTILE = {
    # what is no HTTP, or another one
    "noise": (b"\x00\x01\x02\xff\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 40 + b"\r\n\r\n", 400),
    "a line without a path": (line(b"GET"), 400),
    "a method in lower case": (line(b"get /v1/health HTTP/1.1"), 400),
    "a method that nobody knows": (line(b"BREW /v1/health HTTP/1.1"), 405),
    "a method that has no end": (line(b"A" * 5000 + b" /v1/tasks HTTP/1.1"), 405),
    "a tunnel": (line(b"CONNECT 169.254.169.254:80 HTTP/1.1"), 404),
    "an echo": (line(b"TRACE /v1/tasks HTTP/1.1"), 405),
    "an asterisk": (line(b"OPTIONS * HTTP/1.1"), 404),
    "a proxy's line": (line(b"GET http://evil.example/v1/tasks HTTP/1.1"), 404),
    # paths and queries
    "a raw path": (get("/v1/tasks/键".encode()), 400),
    "percents without digits": (get(b"/v1/tasks/%zz%f"), 404),
    "percents that are no UTF-8": (get(b"/v1/tasks/%ff%fe"), 404),
    "a zero byte in a path": (get(b"/v1/tasks/%00"), 404),
    "a line break in a path": (get(b"/v1/tasks/a%0d%0aX-Evil:%201"), 404),
    "a slash in an id": (get(b"/v1/tasks/..%2f..%2fetc%2fpasswd"), 404),
    "dots in a path": (get(b"/v1/tasks/../../etc/passwd"), 404),
    "a path that has no end": (get(b"/" + b"a" * 100_000), 431),
    "a raw query": (get(b"/v1/tasks?q=\xe9\xff"), 400),
    "a query of nothing but noise": (get(b"/v1/tasks?%00=%ff&&&==&q%zz"), 400),
    "a query of a thousand names": (get(b"/v1/tasks?" + b"&".join(b"a%d=1" % number for number in range(1000))), 400),
    "a number with thousands of digits": (get(b"/v1/tasks?limit=" + b"9" * 5000), 400),
    "a number that JSON has not": (get(b"/v1/tasks?limit=NaN"), 400),
    "a list where a number is asked for": (get(b"/v1/tasks?limit=" + b"[" * 5000), 400),
    # headers
    "no host": (b"GET /v1/tasks HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "two hosts": (get(b"/v1/tasks", b"Host: evil.example\r\n"), 400),
    "a zero byte in a header": (get(b"/v1/tasks", b"X-Evil: a\x00b\r\n"), 400),
    "half a line break in a header": (get(b"/v1/tasks", b"X-Evil: 1\rY: 2\r\n"), 400),
    "a header without a colon": (get(b"/v1/tasks", b"nonsense\r\n"), 400),
    "a space before the colon": (get(b"/v1/tasks", b"Transfer-Encoding : chunked\r\n"), 400),
    "more headers than are read": (get(b"/v1/tasks", b"X-Evil: " + b"a" * 300_000 + b"\r\n"), 431),
    "a header of nothing but spaces": (get(b"/v1/tasks", b"X-Evil: " + b" " * 200_000 + b"x\r\n"), 431),
    "headers without end": (get(b"/v1/tasks", *(b"X-Evil-%d: 1\r\n" % number for number in range(5000))), 431),
    "a header that is folded": (get(b"/v1/tasks", b"X-Evil: a\r\n b\r\n"), 400),
    "a header without a name": (get(b"/v1/tasks", b": a\r\n"), 400),
    "HTTP/2": (line(b"GET /v1/tasks HTTP/2.0"), 400),
    "HTTP/1.2": (b"POST /v1/tasks HTTP/1.2\r\n" + HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "no version": (line(b"GET /v1/tasks"), 400),
    "a key that is no text": (post(URL + b"}", JSON, b"Idempotency-Key: \xe9\xff\r\n"), 400),
    "an empty key": (post(URL + b"}", JSON, b"Idempotency-Key:\r\n"), 400),
    # types
    "a form": (post(b"url=http", b"Content-Type: application/x-www-form-urlencoded\r\n"), 415),
    "a picture": (post(b"\x89PNG\xff", b"Content-Type: image/png\r\n"), 415),
    "a type of noise": (post(URL + b"}", b"Content-Type: \xff\xfe/;;;\r\n"), 415),
    "no type": (post(URL + b"}", b"Content-Type:\r\n"), 415),
    # bodies
    "no body": (post(b""), 400),
    "half of a body's JSON": (post(URL), 400),
    "another encoding": (post((URL + b"}").decode().encode("utf-16")), 400),
    "a compressed body": (post(b"\x1f\x8b\x08\x00", JSON, b"Content-Encoding: gzip\r\n"), 400),
    "a name twice": (post(URL + b',"url":"http://127.0.0.1:8/"}'), 400),
    "nesting without end": (post(URL + b',"body":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 400),
    "a number that no double holds": (post(URL + b',"body":1e999}'), 400),
    "a number with too many digits": (post(URL + b',"body":' + b"9" * 5000 + b"}"), 400),
    "half a character": (post(URL + b',"body":"\\ud800"}'), 400),
    "a header in a header": (post(URL + b',"headers":{"X-Evil":"a\\r\\nHost: evil.example"}}'), 400),
    "a header in a URL": (post(b'{"url":"http://127.0.0.1:9/\\r\\nX-Evil: 1"}'), 400),
    "more than the API takes": (post(b'"' + b"x" * 1_000_000 + b'"'), 413),
    # how long it is
    "two lengths": (post(b"{}", JSON, b"Content-Length: 3\r\n"), 400),
    "the same length twice": (post(b"{}", JSON, b"Content-Length: 2\r\n"), 400),
    "two lengths in one": (chunked(b"{}", b"Content-Length: 2, 2\r\n"), 400),
    "a length with a sign": (chunked(b"{}", b"Content-Length: +2\r\n"), 400),
    "a length of digits that are no ASCII": (chunked(b"{}", "Content-Length: ２\r\n".encode()), 400),
    "a length of thousands of digits": (chunked(b"{}", b"Content-Length: " + b"9" * 5000 + b"\r\n"), 400),
    "a length and chunks": (chunked(b"2\r\n{}\r\n0\r\n\r\n", b"Content-Length: 2\r\n", CHUNKED), 400),
    "chunks and a length": (chunked(b"2\r\n{}\r\n0\r\n\r\n", CHUNKED, b"Content-Length: 2\r\n"), 400),
    "chunks twice": (chunked(b"2\r\n{}\r\n0\r\n\r\n", CHUNKED, CHUNKED), 400),
    "chunks of chunks": (chunked(b"2\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked, chunked\r\n"), 400),
    "chunks in HTTP/1.0": (b"POST /v1/tasks HTTP/1.0\r\n" + HEAD + JSON + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk size that ends with a bare newline": (chunked(b"2\n{}\r\n0\r\n\r\n"), 400),
    "a chunk size with a newline in it": (chunked(b"2\n\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk size in hexadecimal by its prefix": (chunked(b"0x2\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk size behind a space": (chunked(b" 2\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk size of many digits": (chunked(b"0" * 17 + b"2\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk size without end": (chunked(b"0" * 100_000), 400),
    "a chunk extension without end": (chunked(b"2;a=" + b"b" * 100_000), 400),
    "a trailer without end": (chunked(b"0\r\n" + b"X-Evil: 1\r\n" * 10_000), 400),
    "an empty line between chunks": (chunked(b"2\r\n{}\r\n\r\n0\r\n\r\n"), 400),
    "a length below zero": (chunked(b"{}", b"Content-Length: -2\r\n"), 400),
    "a length beyond all": (chunked(b"{}", b"Content-Length: 99999999999999999999\r\n"), 413),
    "a length in words": (chunked(b"{}", b"Content-Length: two\r\n"), 400),
    "a chunk of no size": (chunked(b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk below zero": (chunked(b"-2\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk longer than it says": (chunked(b"2\r\n{}XX0\r\n\r\n"), 400),
    "another transfer encoding": (chunked(b"2\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: gzip, chunked\r\n"), 400),
    "something like chunked": (chunked(b"2\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: xchunked\r\n"), 400),
}


@pytest.mark.parametrize(("data", "status"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_as_a_problem_and_stores_nothing(run: Run, data: bytes, status: int) -> None:
    reply = sent(run, data)
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    assert list(PROBLEM.faults(reply.json, "")) == []
    assert reply.json["status"] == status
    assert run.api("GET", "/v1/tasks").json["tasks"] == []


@pytest.mark.parametrize(
    "data",
    [
        b"POST /v1/tasks HTTP/1.1\r\nHost: {host}\r\n" + JSON + b"Content-Length: 100\r\n\r\n" + URL + b"}",
        b"POST /v1/tasks HTTP/1.1\r\nHost: {host}\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: {host}\r\n" + JSON + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
        b"GET /v1/tasks HTTP/1.1\nHost: {host}\n\n",
        b"GET /v1/ta",
    ],
)
def test_a_request_that_breaks_off_stores_nothing(run: Run, data: bytes) -> None:
    with connection(run) as raw:
        raw.sendall(data.replace(b"{host}", run.access["api"].removeprefix("http://").encode()))
        raw.shutdown(socket.SHUT_WR)
        heard = all_that_comes(raw)
    assert heard in (b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    assert run.api("GET", "/v1/tasks").json["tasks"] == []


def test_a_sender_that_does_not_stop_is_cut_off(run: Run) -> None:
    heard = b""
    with connection(run) as raw:
        raw.sendall(b"POST /v1/tasks HTTP/1.1\r\nHost: %s\r\n" % run.access["api"][7:].encode() + JSON)
        raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(1000):
                raw.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        except OSError:
            heard = b"cut off"
    assert heard == b"cut off"
    assert run.api("GET", "/v1/tasks").json["tasks"] == []


def test_a_request_hidden_behind_a_bad_one_is_not_answered(run: Run) -> None:
    host = run.access["api"].removeprefix("http://").encode()
    hidden = b"POST /v1/tasks HTTP/1.1\r\nHost: " + host + b"\r\n" + JSON
    hidden += b"Content-Length: %d\r\n\r\n" % len(URL + b"}") + URL + b"}"
    with connection(run) as raw:
        raw.sendall(b"GET /v1/tasks HTTP/1.1\r\nHost: " + host + b"\r\nX : 1\r\n\r\n" + hidden)
        heard = all_that_comes(raw)
    assert (reply_in(heard).status, heard.count(b"HTTP/1.")) == (400, 1)
    assert run.api("GET", "/v1/tasks").json["tasks"] == []


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/health", "/openapi.json", "/v1/stats", "/v1/channels"])
@pytest.mark.parametrize("kind", ["image/png", "text/plain", "", ";"])
def test_a_type_without_a_body_is_nobodys_business(run: Run, path: str, kind: str) -> None:
    assert run.api("GET", path, headers={"Content-Type": kind}).status == 200
