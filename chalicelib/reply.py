"""Reads one HTTP/1.1 reply from a connection: its heads, its body by its framing, and the body's content coding.

All of it is bounded: heads by `reply_head`, the body, as it comes and decoded, by a limit. The work is in proportion
to the bytes that came.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.reply_head import (
    MAX_LINE_BYTES,
    PREFIX,
    Framing,
    Head,
    HeadParser,
    InvalidReply,
    ReplyTooLarge,
    framing,
    quoted,
)

MAX_INTERIM_REPLIES = 100
"""Interim replies (1xx) before the final one."""

MAX_CHUNK_SIZE_DIGITS = 15
"""Hexadecimal digits of a chunk's size that are told apart; more is larger than any limit."""

SLICE_BYTES = 4096
"""Encoded bytes that are decoded at a time: what follows a stream's end is copied as often as a stream ends."""

TLS_RECORDS = (b"\x15", b"\x16")
"""The first byte of an alert and of a handshake (RFC 8446, 5.1)."""

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\x00\r]*)?")


class ConnectionEnded(Exception):
    """The other side closed the connection before the reply was complete."""


@dataclass(frozen=True, slots=True)
class Received:
    """A complete reply. `undecoded`: why the body is still encoded, as a sentence; empty when it is not."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    undecoded: str = ""


class ReplyReader:
    """Reads one reply through `receive`, which gives the next bytes, and none when the connection has ended.

    `limit`: bytes of the body.
    """

    def __init__(self, receive: Callable[[], bytes], *, method: str, limit: int) -> None:
        self._receive = receive
        self._method = method
        self._limit = limit
        self._buffer = bytearray()
        self._head: Head | None = None
        self._interim = 0
        self._framing = Framing()
        self._body = bytearray()

    def read(self) -> Received:
        """Read the reply to its end. Raises InvalidReply, ReplyTooLarge, ConnectionEnded, and what `receive` does."""
        self._head = self._final_head()
        self._framing = framing(self._head, self._method)
        self._read_body()
        body, undecoded = _decoded(self._head.headers.get("content-encoding", ""), bytes(self._body), self._limit)
        return Received(self._head.status, self._head.headers, body, undecoded)

    def progress(self) -> str:
        """How far the reply has come, for the reason of a failure."""
        if self._head is None:
            return "part of the head of a reply" if self._buffer or not self._interim else "interim replies (1xx) only"
        status, count = self._head.status, len(self._body)
        if self._framing.chunked:
            return f"status {status} and {count} bytes of a chunked body that has not ended"
        if self._framing.length is None:
            return f"status {status} and {count} bytes of a body that has no length and ends with the connection"
        return f"status {status} and {count} of the {self._framing.length} bytes of its body"

    # ── heads ────────────────────────────────────────────────────────────────────────────────────

    def _final_head(self) -> Head:
        for _ in range(MAX_INTERIM_REPLIES + 1):
            head = self._next_head()
            if not head.is_interim:
                return head
            self._interim += 1
        raise ReplyTooLarge(f"has more than {MAX_INTERIM_REPLIES} interim replies")

    def _next_head(self) -> Head:
        self._expect(PREFIX)
        parser = HeadParser()
        while not parser.add(self._line()):
            pass
        return parser.head()

    def _expect(self, prefix: bytes) -> None:
        """Refuse what is not HTTP with its first bytes: no end of a line might follow."""
        while len(self._buffer) < len(prefix) and prefix.startswith(self._buffer):
            self._fill()
        if self._buffer.startswith(TLS_RECORDS):
            raise InvalidReply("is TLS: on this port the receiver expects https://")
        if not self._buffer.startswith(prefix):
            line = bytes(self._buffer).partition(b"\n")[0].removesuffix(b"\r")
            raise InvalidReply(f"does not begin with HTTP/: {quoted(line)}")

    # ── the body ─────────────────────────────────────────────────────────────────────────────────

    def _read_body(self) -> None:
        if self._framing.chunked:
            self._read_chunks()
        elif self._framing.length is None:
            self._read_to_the_end()
        else:
            self._check_room(self._framing.length)
            self._take(self._framing.length)

    def _read_to_the_end(self) -> None:
        while True:
            self._check_room(len(self._buffer))
            self._take(len(self._buffer))
            try:
                self._fill()
            except ConnectionEnded:
                return

    def _read_chunks(self) -> None:
        """RFC 9112, 7.1. Extensions are passed over, as a recipient must that does not know them."""
        while size := self._chunk_size():
            self._check_room(size)
            self._take(size)
            if end := self._line(only_crlf=True):
                raise InvalidReply(f"has a chunk that is longer than its size; at its end comes {quoted(end)}")
        self._read_trailers()

    def _chunk_size(self) -> int:
        line = self._line(only_crlf=True)
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise InvalidReply(f"has a chunk whose size is not a hexadecimal number: {quoted(line)}")
        digits = match[1].lstrip(b"0")
        return int(digits or b"0", 16) if len(digits) <= MAX_CHUNK_SIZE_DIGITS else 16**MAX_CHUNK_SIZE_DIGITS

    def _read_trailers(self) -> None:
        """A reply is complete with its last chunk (RFC 9112, 8): a receiver may hang up instead of ending it."""
        parser = HeadParser.of_trailers()
        try:
            while not parser.add(self._line()):
                pass
        except ConnectionEnded:
            return

    def _check_room(self, count: int) -> None:
        if len(self._body) + count > self._limit:
            raise ReplyTooLarge(f"has a body of more than the {self._limit} bytes that are read")

    # ── the bytes as they come ───────────────────────────────────────────────────────────────────

    def _fill(self) -> None:
        received = self._receive()
        if not received:
            raise ConnectionEnded
        self._buffer += received

    def _line(self, *, only_crlf: bool = False) -> bytes:
        """The next line without its end. A bare LF ends one, except where framing depends on it."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched, MAX_LINE_BYTES)) < 0:
            searched = len(self._buffer)
            if searched >= MAX_LINE_BYTES:
                start = quoted(bytes(self._buffer[:MAX_LINE_BYTES]))
                raise ReplyTooLarge(f"has a line of more than {MAX_LINE_BYTES} bytes: {start}")
            self._fill()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if line.endswith(b"\r\n"):
            return line[:-2]
        if only_crlf:
            raise InvalidReply(f"has a chunked body with a line that does not end with CRLF: {quoted(line)}")
        return line[:-1]

    def _take(self, count: int) -> None:
        """Move the next `count` bytes into the body."""
        while count:
            if not self._buffer:
                self._fill()
            part = self._buffer[:count]
            del self._buffer[:count]
            self._body += part
            count -= len(part)


# ── content codings ──────────────────────────────────────────────────────────────────────────────


def _decoded(content_encoding: str, body: bytes, limit: int) -> tuple[bytes, str]:
    """The body without its coding, and why it still has one. kkbida asks for none, and knows those that receivers
    use nevertheless: gzip and deflate (RFC 9110, 8.4.1). Raises InvalidReply, ReplyTooLarge."""
    codings = [coding for it in content_encoding.split(",") if (coding := it.strip(" \t").lower()) not in PLAIN]
    if not body or not codings:
        return body, ""
    decompressor = DECOMPRESSORS.get(codings[0]) if len(codings) == 1 else None
    if decompressor is None:
        return body, not_decoded(content_encoding)
    decoded = bytearray()
    try:
        for part in decompressor(body, limit):
            decoded += part
            if len(decoded) > limit:
                raise ReplyTooLarge(f"has a body of more than the {limit} bytes that are read")
    except (zlib.error, EOFError):
        raise InvalidReply(f"has a body that is not encoded as its Content-Encoding says: {codings[0]}") from None
    return bytes(decoded), ""


def not_decoded(content_encoding: str) -> str:
    """The reason why no rule about a body can be checked."""
    return f"body is encoded as {quoted(content_encoding.encode())}, which is not decoded"


PLAIN = frozenset({"", "identity"})


def _from_gzip(body: bytes, limit: int) -> Iterator[bytes]:
    """Every member of it (RFC 1952, 2.2). What follows the last one and begins no other is padding."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for start in range(0, len(body), SLICE_BYTES):
        rest = body[start : start + SLICE_BYTES]
        while rest:
            if stream.eof and rest[:1] != GZIP[:1]:
                return
            if stream.eof:
                stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflated(stream, rest, limit)
            rest = stream.unused_data
    if not stream.eof:
        raise EOFError


GZIP = b"\x1f\x8b"
"""What a member of gzip begins with."""


def _from_deflate(body: bytes, limit: int) -> Iterator[bytes]:
    """With the header of zlib, as RFC 9110 says (8.4.1.2), or without, as some servers send it."""
    has_header = body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
    stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
    yield from _inflated(stream, body, limit)
    if not stream.eof:
        raise EOFError


def _inflated(stream: Any, encoded: bytes, limit: int) -> Iterator[bytes]:
    """Parts of at most `limit` bytes. A full one may leave some behind, though all was taken in."""
    part = b""
    while encoded or len(part) == limit:
        part = stream.decompress(encoded, limit)
        yield part
        encoded = stream.unconsumed_tail


DECOMPRESSORS: Mapping[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "gzip": _from_gzip,
    "x-gzip": _from_gzip,
    "deflate": _from_deflate,
}
