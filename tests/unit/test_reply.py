"""Replies as bytes: what RFC 9112 allows is read, what it forbids is refused at that line, and all of it is bounded."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.reply import MAX_INTERIM_REPLIES, ConnectionEnded, Received, ReplyReader
from chalicelib.reply_head import MAX_HEADER_LINES, InvalidReply, ReplyTooLarge, quoted

LIMIT = 65_536


class WouldWait(Exception):
    """The reader asks for more than came, on a connection that stays open."""


def receiving(parts: Iterable[bytes], *, ends: bool) -> Callable[[], bytes]:
    left = iter([part for part in parts if part])

    def receive() -> bytes:
        part = next(left, b"")
        if not part and not ends:
            raise WouldWait
        return part

    return receive


def read(raw: bytes, *, method: str = "POST", ends: bool = False, size: int = LIMIT, limit: int = LIMIT) -> Received:
    parts = (raw[start : start + size] for start in range(0, len(raw), size))
    return ReplyReader(receiving(parts, ends=ends), method=method, limit=limit).read()


def with_headers(*lines: bytes, body: bytes = b"") -> bytes:
    return b"".join(line + b"\r\n" for line in (b"HTTP/1.1 200 OK", *lines, b"")) + body


SUCCESS = (b"Content-Length: 7",), b"success"
CHUNKED = b"Transfer-Encoding: chunked"

# ── heads ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.1 200 ", 200),
        (b"HTTP/1.1 200", 200),
        (b"HTTP/1.1  200  OK", 200),
        (b"HTTP/1.1\t200\tOK", 200),
        (b"HTTP/1.0 404 Not Found", 404),
        (b"HTTP/1.2 200 OK", 200),
        (b"HTTP/1.1 200 \xe6\x88\x90\xe5\x8a\x9f \xff", 200),
        (b"HTTP/1.1 599 Odd", 599),
        (b"HTTP/1.1 999 Odd", 999),
    ],
)
def test_a_status_line_may_lack_its_reason_or_have_one_in_any_words(line: bytes, status: int) -> None:
    reply = read(line + b"\r\nContent-Length: 7\r\n\r\nsuccess")
    assert reply == Received(status, {"content-length": "7"}, b"success")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 000 OK",
        b"HTTP/1.1 2 0 0 OK",
        b"HTTP/2 200",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.10 200 OK",
        b"HTTP/1 200 OK",
        b"HTTP/ 200 OK",
        b"http/1.1 200 OK",
        b" HTTP/1.1 200 OK",
        b"ICY 200 OK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\x00K",
        b"<html>",
        b"220 smtp.example ESMTP",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
        b"\x16\x03\x01",
    ],
)
def test_what_is_no_status_line_is_refused_at_once(line: bytes) -> None:
    with pytest.raises(InvalidReply):
        read(line + b"\r\n")


@pytest.mark.parametrize("raw", [b"\x00\x00\x12\x04", b"{", b"HTTPS", b"\x15\x03\x01\x00\x02\x02\x46"])
def test_what_is_not_http_is_refused_before_its_line_has_ended(raw: bytes) -> None:
    with pytest.raises(InvalidReply):
        read(raw)


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ((b"X-A: b",), "x-a", "b"),
        ((b"X-A:b",), "x-a", "b"),
        ((b"X-A: \t b \t ",), "x-a", "b"),
        ((b"X-A:",), "x-a", ""),
        ((b"X-A : b",), "x-a", "b"),
        ((b"X-A \t: b",), "x-a", "b"),
        ((b"X-A: b", b" c"), "x-a", "b c"),
        ((b"X-A:", b"\t b", b"   ", b"\tc "), "x-a", "b c"),
        ((b"X-A: b", b"x-a: c", b"X-A:", b"X-A: e"), "x-a", "b, c, , e"),
        ((b"X-A: a:b: c",), "x-a", "a:b: c"),
        ((b"X-A: \xe4\xb8\x8a\xe6\xb5\xb7",), "x-a", "上海"),
        ((b"X-A: caf\xe9",), "x-a", "café"),
        ((b"X-A: \x01\x1b[0m\x7f",), "x-a", "\x01\x1b[0m\x7f"),
        ((b"!#$%&'*+-.^_`|~0aZ: b",), "!#$%&'*+-.^_`|~0az", "b"),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_header_that_is_allowed_is_read_and_so_are_those_behind_it(
    lines: tuple[bytes, ...], name: str, value: str, end: bytes
) -> None:
    head = with_headers(*lines, b"Retry-After: 30", *SUCCESS[0]).replace(b"\r\n", end)
    reply = read(head + SUCCESS[1])
    assert reply.headers == {name: value, "retry-after": "30", "content-length": "7"}
    assert reply.body == b"success"


@pytest.mark.parametrize(
    "line",
    [
        "X-Région: eu".encode(),
        b"X-R\xe9gion: eu",
        b"X-A",
        b"X-A b",
        b": b",
        b"X A: b",
        b"X-A(1): b",
        b"X-A\x00: b",
        b"X-A: b\x00c",
        b"X-A: b\rc",
        b"X-A: b\r",
        b"\x0bX-A: b",
        b"HTTP/1.1 200 OK",
    ],
)
def test_a_header_line_that_is_forbidden_is_refused_at_once_and_quoted(line: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-Before: 1\r\n" + line + b"\r\n"
    with pytest.raises(InvalidReply) as caught:
        read(raw)
    assert str(caught.value).startswith("has a header line ")
    assert str(caught.value).endswith(f": {quoted(line)}")


def test_a_first_header_line_that_goes_on_with_nothing_is_refused() -> None:
    with pytest.raises(InvalidReply, match="whitespace before its first header line"):
        read(b"HTTP/1.1 200 OK\r\n X-A: b\r\n")


def test_a_quoted_line_is_on_one_line_and_cut() -> None:
    with pytest.raises(InvalidReply) as caught:
        read(b'HTTP/1.1 200 OK\r\nX-"A\x1b\xe2\x80\xae' + b"y" * 5000 + b"\r\n")
    said = str(caught.value)
    assert said.startswith('has a header line without a colon: "X-\\"A\\x1b\\u202eyyy')
    assert said.endswith('…"')
    assert len(said) < 200


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_HEADER_LINES + 1), id="lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: y\r\n" + b" z\r\n" * MAX_HEADER_LINES, id="folded lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 30_000 + b"\r\n") * 3, id="bytes"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000, id="a line"),
        pytest.param(b"HTTP/1.1 200 " + b"y" * 40_000, id="a reason phrase"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM_REPLIES + 1), id="interim replies"),
        pytest.param(with_headers(CHUNKED) + b"0\r\n" + b"X: y\r\n" * (MAX_HEADER_LINES + 1), id="trailers"),
        pytest.param(with_headers(CHUNKED) + b"1;" + b"x" * 40_000, id="an extension of a chunk"),
    ],
)
@pytest.mark.parametrize("size", [997, LIMIT])
def test_a_head_is_bounded_though_it_does_not_end(raw: bytes, size: int) -> None:
    with pytest.raises(ReplyTooLarge):
        read(raw, size=size)


def test_a_head_as_large_as_any_server_sends_is_read() -> None:
    lines = [b"Set-Cookie: session=" + b"x" * 4000] * 15 + [b"X: y"] * 150
    assert read(with_headers(*lines, *SUCCESS[0], body=b"success")).body == b"success"


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_an_interim_reply_is_passed_over_with_its_headers(status: int) -> None:
    interim = b"HTTP/1.1 %d Wait\r\nX-A: b\r\nContent-Length: 5\r\n\r\n" % status
    assert read(interim * 3 + with_headers(*SUCCESS[0], body=b"success")) == Received(
        200, {"content-length": "7"}, b"success"
    )


def test_after_switching_protocols_comes_no_http() -> None:
    assert read(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n\x00\x00").status == 101


# ── where the body ends ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 7",),
        (b"content-length:7",),
        (b"Content-Length: 7, 7",),
        (b"Content-Length: 7,7 , 7",),
        (b"Content-Length: 7", b"Content-Length: 7"),
        (b"Content-Length: 007",),
        (b"Content-Length : 7",),
        (b"Content-Length:", b" 7"),
        (b"Transfer-Encoding: identity", b"Content-Length: 7"),
    ],
)
def test_a_length_counts_however_it_is_written(lines: tuple[bytes, ...]) -> None:
    assert read(with_headers(*lines, body=b"success and more")).body == b"success"


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"+7", b"-7", b"7.0", b"7e0", b"0x10", b"7_0", b"7 0", b"7, 8", b"7,", b",7", b"7;7", b"seven"),
        *("７".encode(), "٧".encode(), b"7\xa0", b"7, +7", b'"7"'),
    ],
)
def test_a_length_that_is_not_one_number_is_refused_at_once(value: bytes) -> None:
    with pytest.raises(InvalidReply, match="has a Content-Length "):
        read(with_headers(b"Content-Length: " + value, body=b"success"))


def test_two_lengths_that_differ_are_refused() -> None:
    with pytest.raises(InvalidReply, match="several numbers"):
        read(with_headers(b"Content-Length: 7", b"X: y", b"Content-Length: 8", body=b"success!"))


@pytest.mark.parametrize("digits", [b"65537", b"1" + b"0" * 18, b"9" * 40, b"1" + b"0" * 4400])
def test_a_length_beyond_the_limit_is_refused_before_the_body_is_read(digits: bytes) -> None:
    with pytest.raises(ReplyTooLarge):
        read(with_headers(b"Content-Length: " + digits))


@pytest.mark.parametrize(
    "chunks",
    [
        b"7\r\nsuccess\r\n0\r\n\r\n",
        b"3\r\nsuc\r\n4\r\ncess\r\n0\r\n\r\n",
        b"007\r\nsuccess\r\n000\r\n\r\n",
        b"7 \t\r\nsuccess\r\n0 \r\n\r\n",
        b'7;a=b;c="d e"\r\nsuccess\r\n0;x\r\n\r\n',
        b"7 ; a\r\nsuccess\r\n0\r\n\r\n",
        b"7\r\nsuccess\r\n0\r\nX-Check: 1\r\n y\r\nX-B:\r\n\r\n",
    ],
)
@pytest.mark.parametrize(
    "lines",
    [
        (b"Transfer-Encoding: chunked",),
        (b"transfer-encoding: CHUNKED",),
        (b"Transfer-Encoding: identity, chunked",),
        (b"Transfer-Encoding:", b" chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 3"),
        (b"X-XSS-Protection : 1", b"Transfer-Encoding: chunked"),
    ],
)
@pytest.mark.parametrize("size", [1, LIMIT])
def test_chunks_are_put_together(lines: tuple[bytes, ...], chunks: bytes, size: int) -> None:
    assert read(with_headers(*lines, body=chunks), size=size).body == b"success"


def test_a_reply_is_complete_with_its_last_chunk() -> None:
    assert read(with_headers(CHUNKED, body=b"7\r\nsuccess\r\n0\r\n"), ends=True).body == b"success"
    with pytest.raises(ConnectionEnded):
        read(with_headers(CHUNKED, body=b"7\r\nsuccess\r\n"), ends=True)


@pytest.mark.parametrize(
    "chunks",
    [
        b"\r\n",
        b"x\r\nsuccess",
        b"-7\r\nsuccess",
        b"+7\r\nsuccess",
        b"0x7\r\nsuccess",
        b"0_7\r\nsuccess",
        b" 7\r\nsuccess",
        b"7 7\r\nsuccess",
        b"7,\r\nsuccess",
        "７\r\nsuccess".encode(),
        b"7\nsuccess\r\n0\r\n\r\n",
        b"7;a\rb\r\nsuccess",
        b"7;a\x00\r\nsuccess",
        b"7\r\nsuccess0\r\n",
        b"7\r\nsuccess\n0\r\n\r\n",
        b"6\r\nsuccess\r\n0\r\n\r\n",
        b"8\r\nsuccess\r\n0\r\n\r\n",
        b"7\r\nsuccess\r\n0\r\nno colon\r\n\r\n",
    ],
)
def test_chunks_that_are_not_as_they_must_be_are_refused_at_once(chunks: bytes) -> None:
    with pytest.raises(InvalidReply):
        read(with_headers(CHUNKED, body=chunks))


@pytest.mark.parametrize("size", [b"%x" % (LIMIT + 1), b"f" * 15, b"f" * 16, b"1" + b"0" * 5000])
def test_a_chunk_beyond_the_limit_is_refused_before_it_is_read(size: bytes) -> None:
    with pytest.raises(ReplyTooLarge):
        read(with_headers(CHUNKED, body=size + b"\r\n"))


@pytest.mark.parametrize(
    "value", [b"gzip, chunked", b"chunked, chunked", b"chunked, gzip", b"gzip", b"x", b'"chunked"']
)
def test_a_transfer_coding_that_was_not_asked_for_is_refused_at_once(value: bytes) -> None:
    with pytest.raises(InvalidReply, match="Transfer-Encoding that was not asked for"):
        read(with_headers(b"Transfer-Encoding: " + value, b"Content-Length: 7", body=b"success"))


def test_two_lines_of_chunked_are_chunked_twice() -> None:
    with pytest.raises(InvalidReply, match='not asked for: "chunked, chunked"'):
        read(with_headers(CHUNKED, CHUNKED))


def test_http_1_0_has_no_chunks() -> None:
    with pytest.raises(InvalidReply, match="which has no Transfer-Encoding"):
        read(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9", b"Content-Length: +9", CHUNKED, b"Transfer-Encoding: x", b"X: y"]
)
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("GET", 304), ("POST", 101)])
def test_some_replies_have_no_body_whatever_they_say(framing: bytes, method: str, status: int) -> None:
    assert read(b"HTTP/1.1 %d X\r\n%s\r\n\r\n" % (status, framing), method=method).body == b""


def test_without_a_length_the_body_ends_with_the_connection() -> None:
    assert read(with_headers(body=b"success"), ends=True).body == b"success"
    with pytest.raises(WouldWait):
        read(with_headers(body=b"success"))
    with pytest.raises(ReplyTooLarge):
        read(with_headers(body=b"x" * (LIMIT + 1)))


@pytest.mark.parametrize(
    ("raw", "progress"),
    [
        (b"", "part of the head of a reply"),
        (b"HTTP/1.1 200 OK\r\nX", "part of the head of a reply"),
        (b"HTTP/1.1 102 Processing\r\n\r\n", "interim replies (1xx) only"),
        (with_headers(*SUCCESS[0], body=b"suc"), "status 200 and 3 of the 7 bytes of its body"),
        (with_headers(CHUNKED, body=b"7\r\nsuc"), "status 200 and 3 bytes of a chunked body that has not ended"),
        (
            with_headers(body=b"success"),
            "status 200 and 7 bytes of a body that has no length and ends with the connection",
        ),
    ],
)
def test_a_reader_says_how_far_it_came(raw: bytes, progress: str) -> None:
    reader = ReplyReader(receiving([raw], ends=False), method="POST", limit=LIMIT)
    with pytest.raises(WouldWait):
        reader.read()
    assert reader.progress() == progress


# ── content codings ──────────────────────────────────────────────────────────────────────────────


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def encoded(coding: bytes, body: bytes) -> bytes:
    return with_headers(b"Content-Encoding: " + coding, b"Content-Length: %d" % len(body), body=body)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(b"success", mtime=0)),
        (b"GZIP", gzip.compress(b"success", mtime=0)),
        (b"x-gzip", gzip.compress(b"success", mtime=0)),
        (b"identity, gzip", gzip.compress(b"success", mtime=0)),
        (b"gzip", gzip.compress(b"suc", mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"cess", mtime=0)),
        (b"gzip", gzip.compress(b"success", mtime=0) + b"\0" * 512),
        (b"deflate", zlib.compress(b"success")),
        (b"deflate", raw_deflate(b"success")),
        (b"identity", b"success"),
        (b"", b"success"),
    ],
)
def test_a_body_is_decoded_though_no_coding_was_asked_for(coding: bytes, body: bytes) -> None:
    reply = read(encoded(coding, body))
    assert (reply.body, reply.undecoded) == (b"success", "")


@pytest.mark.parametrize(
    "coding", [b"br", b"zstd", b"compress", b"gzip, gzip", b"gzip, br", b"aes128gcm", b"utf-8", b"none"]
)
def test_a_coding_that_is_not_decoded_is_said_and_the_reply_is_one(coding: bytes) -> None:
    reply = read(encoded(coding, b"\x0b\x03\x80success\x03"))
    assert (reply.status, reply.body) == (200, b"\x0b\x03\x80success\x03")
    assert reply.undecoded == f'body is encoded as "{coding.decode()}", which is not decoded'


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"deflate", b"br", b"gzip, gzip", b"x"])
def test_nothing_is_nothing_in_any_coding(coding: bytes) -> None:
    reply = read(encoded(coding, b""))
    assert (reply.body, reply.undecoded) == (b"", "")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", b"success"),
        (b"gzip", gzip.compress(b"success", mtime=0)[:-1]),
        (b"gzip", gzip.compress(b"success", mtime=0)[:-8] + b"\0" * 8),
        (b"gzip", gzip.compress(b"success", mtime=0) + b"\x1f\x8b\x08 broken"),
        (b"deflate", b"\xffsuccess"),
        (b"deflate", zlib.compress(b"success")[:-1]),
        (b"deflate", raw_deflate(b"success" * 100)[:-3]),
    ],
)
def test_a_body_that_is_not_encoded_as_it_says_is_refused(coding: bytes, body: bytes) -> None:
    with pytest.raises(InvalidReply, match="not encoded as its Content-Encoding says"):
        read(encoded(coding, body))


def test_a_body_of_many_members_is_decoded_in_time_to_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []

    class Stream:
        def __init__(self, wbits: int) -> None:
            self.stream = decompressobj(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            copied.append(len(data))
            return self.stream.decompress(data, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    decompressobj = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Stream)
    body = gzip.compress(b"", mtime=0) * 5000
    assert read(encoded(b"gzip", body), limit=len(body)).body == b""
    assert sum(copied) < 205 * len(body), "each byte is copied for each member in its slice, at most"


@pytest.mark.parametrize("whole", [LIMIT, LIMIT + 1, 20_000_000])
@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, raw_deflate])
def test_what_a_body_decodes_to_is_bounded(compress: Callable[[bytes], bytes], whole: int) -> None:
    raw = encoded(b"gzip" if compress is gzip.compress else b"deflate", compress(b"\0" * whole))
    if whole == LIMIT:
        assert len(read(raw).body) == LIMIT
    else:
        with pytest.raises(ReplyTooLarge):
            read(raw)


# ── and whatever else may come ───────────────────────────────────────────────────────────────────

PIECES = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 404\r\n",
            b"HTTP/1.1 100 X\r\n\r\n",
            b"Content-Length: 3\r\n",
            b"\r\n",
            b"\n",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"X: y",
            b" z\r\n",
            b":",
            b"\x00",
            b"\r",
            b"\xff",
        ),
        *(b"Content-Encoding: gzip\r\n", gzip.compress(b"abc", mtime=0), b"Content-Length: 7, 7\r\n"),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=5), max_size=12).map(b"".join), st.integers(1, 50), st.booleans())
def test_no_bytes_make_it_stumble_and_how_they_are_cut_makes_no_difference(raw: bytes, size: int, ends: bool) -> None:
    def outcome(size: int) -> object:
        try:
            return read(raw, ends=ends, size=size)
        except (InvalidReply, ReplyTooLarge, ConnectionEnded, WouldWait) as error:
            return type(error)

    assert outcome(size) == outcome(LIMIT)
