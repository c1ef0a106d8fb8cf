"""The head of an HTTP/1.1 reply, and how long its body is: RFC 9112, read line by line and strictly. Pure.

What the RFC allows is read: a bare LF as a line's end (2.2), a missing reason phrase or space before it (4), folded
lines (5.2), whitespace before a colon, which a proxy removes from a response (5.1), a Content-Length that repeats one
number (6.3). What it forbids is refused at that line, which the reason quotes. Nothing is dropped: a header behind an
unusual line is as good as any other.

Each line costs time in proportion to its length, and a head is bounded in bytes and in lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEAD_BYTES = 65_536
"""Bytes of one head, and of the trailers of a body. Browsers and curl take 256 to 300 KB, most servers send 8."""

MAX_LINE_BYTES = 32_768
"""Bytes of one line of a head, or of the line before a chunk."""

MAX_HEADER_LINES = 1000
"""Header lines of one head."""

MAX_QUOTED_CHARACTERS = 100
"""Characters of a line that a reason quotes."""

PREFIX = b"HTTP/"
"""What every reply begins with."""

FIRST_STATUS, LAST_STATUS = 100, 999

SWITCHING_PROTOCOLS, NO_CONTENT, NOT_MODIFIED, OK = 101, 204, 304, 200


class InvalidReply(Exception):
    """What came is not a reply of HTTP/1.1. The text says why, in words that follow "the reply"."""


class ReplyTooLarge(Exception):
    """More came than is read. The text says of what, in words that follow "the reply"."""


_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])[ \t]+([0-9]{3})(?:[ \t][^\x00\r]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(rb"[\x00\r]")
_LENGTH = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Head:
    """A status, and the headers by their names in lower case. Values of headers with one name are joined by `, `
    (RFC 9110, 5.3). `minor`: 1 for HTTP/1.1."""

    minor: int
    status: int
    headers: Mapping[str, str]

    @property
    def is_interim(self) -> bool:
        """Whether another head follows (RFC 9110, 15.2). After 101 comes no HTTP: that one is the reply."""
        return FIRST_STATUS <= self.status < OK and self.status != SWITCHING_PROTOCOLS


@dataclass(slots=True)
class HeadParser:
    """Takes the lines of one head, or of the trailers behind a body, and gives the headers."""

    _status: tuple[int, int] | None = None
    _values: dict[str, list[str]] = field(default_factory=dict)
    _name: str = ""
    _parts: list[bytes] = field(default_factory=list)
    _bytes: int = 0
    _lines: int = 0

    @classmethod
    def of_trailers(cls) -> HeadParser:
        """One that expects no status line."""
        return cls(_status=(1, OK))

    def add(self, line: bytes) -> bool:
        """Take a line without its end; True: the head is complete. Raises InvalidReply, ReplyTooLarge."""
        self._bytes += len(line) + 2
        if self._bytes > MAX_HEAD_BYTES:
            raise ReplyTooLarge(f"has more than {MAX_HEAD_BYTES} bytes of header lines")
        if self._status is None:
            self._status = _status(line)
            return False
        if not line:
            self._end_field()
            return True
        self._lines += 1
        if self._lines > MAX_HEADER_LINES:
            raise ReplyTooLarge(f"has more than {MAX_HEADER_LINES} header lines")
        self._add_field_line(line)
        return False

    def head(self) -> Head:
        """The head, once it is complete."""
        assert self._status is not None, "a head has a status line"
        return Head(*self._status, {name: ", ".join(values) for name, values in self._values.items()})

    def _add_field_line(self, line: bytes) -> None:
        if _NOT_IN_VALUES.search(line):
            raise InvalidReply(f"has a header line with a control character that none may hold: {quoted(line)}")
        if line[:1] in (b" ", b"\t"):
            if not self._name:
                raise InvalidReply(f"has whitespace before its first header line: {quoted(line)}")
            self._parts.append(line)
            return
        self._end_field()
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if not colon:
            raise InvalidReply(f"has a header line without a colon: {quoted(line)}")
        if not _NAME.fullmatch(name):
            raise InvalidReply(f"has a header line whose name is not valid: {quoted(line)}")
        self._name, self._parts = name.decode("ascii").lower(), [value]

    def _end_field(self) -> None:
        if self._name:
            value = b" ".join(filter(None, (part.strip(b" \t") for part in self._parts)))
            self._values.setdefault(self._name, []).append(text(value))


def _status(line: bytes) -> tuple[int, int]:
    """Minor version and status of a status line. What follows the status is for people (RFC 9112, 4)."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None or int(match[2]) < FIRST_STATUS:
        raise InvalidReply(f"has no valid status line: {quoted(line)}")
    return int(match[1]), int(match[2])


def text(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is that, else ISO 8859-1 (RFC 9110, 5.5: opaque to HTTP)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def quoted(line: bytes) -> str:
    """A line for a reason: in quotes, on one line, cut."""
    shown = repr(text(line[: 4 * MAX_QUOTED_CHARACTERS]))[1:-1].replace('"', '\\"')
    return f'"{shown}"' if len(shown) <= MAX_QUOTED_CHARACTERS else f'"{shown[:MAX_QUOTED_CHARACTERS]}…"'


# ── how long the body is ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Framing:
    """Where a body ends (RFC 9112, 6.3): after `length` bytes, after its last chunk, or (neither) with the
    connection."""

    length: int | None = None
    chunked: bool = False


def framing(head: Head, method: str) -> Framing:
    """How the body of the reply to a request by `method` is framed. Raises InvalidReply."""
    if method == "HEAD" or head.status < OK or head.status in (NO_CONTENT, NOT_MODIFIED):
        return Framing(length=0)
    length = _content_length(head.headers.get("content-length"))
    return Framing(chunked=True) if _is_chunked(head) else Framing(length=length)


def _content_length(value: str | None) -> int | None:
    """`7, 7` is 7 (RFC 9112, 6.3, item 5): a proxy has joined two equal lines."""
    if value is None:
        return None
    members = [member.strip(" \t") for member in value.split(",")]
    if not all(_LENGTH.fullmatch(member) for member in members):
        raise InvalidReply(f"has a Content-Length that is not a number: {quoted(value.encode())}")
    numbers = {member.lstrip("0") or "0" for member in members}
    if len(numbers) > 1:
        raise InvalidReply(f"has a Content-Length of several numbers: {quoted(value.encode())}")
    digits = numbers.pop()
    return int(digits) if len(digits) <= MAX_LENGTH_DIGITS else 10**MAX_LENGTH_DIGITS


MAX_LENGTH_DIGITS = 18
"""Digits of a length that are told apart; 10**18 bytes are more than any body has."""


def _is_chunked(head: Head) -> bool:
    """No other coding was asked for. `identity` is what RFC 2616 had for none."""
    value = head.headers.get("transfer-encoding", "")
    codings = [coding for it in value.split(",") if (coding := it.strip(" \t").lower()) not in ("", "identity")]
    if codings not in ([], ["chunked"]):
        raise InvalidReply(f"has a Transfer-Encoding that was not asked for: {quoted(value.encode())}")
    if codings and head.minor == 0:
        raise InvalidReply("is of HTTP/1.0, which has no Transfer-Encoding, and has one")
    return bool(codings)
