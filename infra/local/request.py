"""Requests as the local server reads them: waitress's parser, made strict where HTTP/1.1 (RFC 9112) is.

A request that two servers could read in two ways is refused: a proxy before this one may have read it in the other.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

MAX_HEAD_BYTES = 16 * 1024
"""The request line and all headers. API Gateway takes 10,240 bytes:
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html."""

MAX_LENGTH_DIGITS = 20
"""Of a Content-Length."""

MAX_CHUNK_LINE_BYTES = 1024
"""The size of a chunk, with its extensions."""

MAX_TRAILER_BYTES = 8 * 1024

NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
CHUNK_LINE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class Parser(HTTPRequestParser):
    """A request that is received. `begun_at`: the monotonic time of its first byte."""

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.begun_at = time.monotonic()

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head. Raises ParsingError for one that is not valid, or not clear."""
        first_line, headers = read_head(header_plus)
        names = Counter(name.lower() for name, _ in headers)
        _be_clear(names)
        lines = [first_line, *(name + b":" + value for name, value in headers), b"", b""]
        super().parse_header(b"\r\n".join(lines))
        _fit_version(self.version, names)
        if self.chunked:
            self.body_rcv: Any = Chunks(self.body_rcv.getbuf())


def read_head(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The request line, and each header without the spaces around its value. Raises ParsingError.

    The time it takes grows with the length of the head only: waitress's own expression is quadratic in spaces.
    """
    first_line, *lines = head.split(b"\r\n")
    return first_line, [_header(line) for line in lines if line]


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not NAME.fullmatch(name) or not VALUE.fullmatch(value):
        raise ParsingError("A header line is not a name, a colon and a value on one line.")
    if name.lower() == b"content-length" and not (value.isdigit() and len(value) <= MAX_LENGTH_DIGITS):
        raise ParsingError("Content-Length is not a number.")
    return name, value


def _be_clear(names: Counter[bytes]) -> None:
    """Raises ParsingError when it is not clear for whom a request is, or where it ends."""
    for name in (b"host", b"content-length", b"transfer-encoding"):
        if names[name] > 1:
            raise ParsingError(f"The header {name.decode()} is there more than once.")
    if names[b"content-length"] and names[b"transfer-encoding"]:
        raise ParsingError("The request has both a Content-Length and a Transfer-Encoding.")


def _fit_version(version: str, names: Counter[bytes]) -> None:
    """Raises ParsingError for a version that this server does not speak, or a header that it does not have."""
    if version not in ("1.0", "1.1"):
        raise ParsingError("The request is not of HTTP/1.0 or HTTP/1.1.")
    if version == "1.1" and not names[b"host"]:
        raise ParsingError("The header Host is missing.")
    if version == "1.0" and names[b"transfer-encoding"]:
        raise ParsingError("HTTP/1.0 has no Transfer-Encoding.")


class Chunks:
    """What receives a chunked body (RFC 9112, section 7.1), as waitress asks of it: see its `ChunkedReceiver`.

    Lines end with CRLF and nothing else, and their length has a limit.
    """

    def __init__(self, buffer: Any) -> None:
        self.completed = False
        self.error: BadRequest | None = None
        self._buffer = buffer
        self._line = b""
        self._chunk_left = 0
        self._read_line = self._read_size
        self._trailer_left = MAX_TRAILER_BYTES

    def __len__(self) -> int:
        return int(self._buffer.__len__())

    def getfile(self) -> Any:
        """The body as a file."""
        return self._buffer.getfile()

    def getbuf(self) -> Any:
        """What holds the body."""
        return self._buffer

    def received(self, data: bytes) -> int:
        """Take what is of this body. Returns how many bytes that were."""
        taken = 0
        while taken < len(data) and not self.completed and not self.error:
            take = self._take_chunk if self._chunk_left else self._take_line
            taken += take(data[taken:])
        return taken

    def _take_chunk(self, data: bytes) -> int:
        part = data[: self._chunk_left]
        self._buffer.append(part)
        self._chunk_left -= len(part)
        return len(part)

    def _take_line(self, data: bytes) -> int:
        part, newline, _ = data.partition(b"\n")
        self._line += part + newline
        if len(self._line) > MAX_CHUNK_LINE_BYTES:
            self._refuse("A line of a chunked body is too long.")
        elif newline:
            line, self._line = self._line, b""
            if line.endswith(b"\r\n") and b"\r" not in line[:-2]:
                self._read_line(line[:-2])
            else:
                self._refuse("A line of a chunked body does not end with CRLF.")
        return len(part + newline)

    def _read_size(self, line: bytes) -> None:
        found = CHUNK_LINE.fullmatch(line)
        if not found:
            self._refuse("A chunk does not begin with its size.")
            return
        self._chunk_left = int(found[1], 16)
        self._read_line = self._read_end if self._chunk_left else self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line:
            self._refuse("A chunk is longer than its size.")
        self._read_line = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        self._trailer_left -= len(line)
        if self._trailer_left < 0:
            self._refuse("The trailer of a chunked body is too long.")
        self.completed = not line

    def _refuse(self, why: str) -> None:
        self.error = BadRequest(why)
