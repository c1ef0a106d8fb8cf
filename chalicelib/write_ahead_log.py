"""Whether the write-ahead log that a dead process left behind still holds what that process had committed.

SQLite reads the log up to the first frame whose checksum is wrong and ignores the rest, because a crash may leave an
unfinished transaction there. It does the same where committed frames were damaged or cut off: what they held would be
lost without a word. Two things tell the cases apart: frames of later transactions behind a wrong one, and the number of
committed frames in the log's index, which SQLite writes only after it has synced them.

The formats: https://sqlite.org/fileformat2.html#the_write_ahead_log and https://sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
INDEX_BYTES = 136
"""Of the index: two copies of its header, and the state of checkpoints."""

MAGIC = {b"\x37\x7f\x06\x82": "<", b"\x37\x7f\x06\x83": ">"}
"""How a log begins -> the byte order of its checksums."""

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Index:
    """What the index (`-shm`) says: the salt of its log, the frames committed, and those copied to the database."""

    salt: bytes
    committed: int
    copied: int


def read_index(raw: bytes) -> Index | None:
    """The index, or None when it says nothing: it was being written, or was never used."""
    if len(raw) < INDEX_BYTES or raw[:48] != raw[48:96] or not raw[12]:
        return None
    (committed,), (copied,) = struct.unpack_from("=I", raw, 16), struct.unpack_from("=I", raw, 96)
    return Index(raw[32:40], committed, copied)


def has_lost_frames(wal: Path, shm: Path) -> bool:
    """Whether frames that were committed are missing or damaged. Raises OSError."""
    index = read_index(_beginning(shm, INDEX_BYTES))
    owed = index.committed if index and index.committed > index.copied else 0
    header = _beginning(wal, HEADER_BYTES)
    if not is_header(header):
        return owed > 0 or any(header)
    if index and index.salt != header[16:24]:
        owed = 0  # the index is of another log: this one was begun after the index was last on disk
    with wal.open("rb") as file:
        valid, is_damaged = _count(file, header)
    return valid < owed or is_damaged


def _beginning(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        return b""


def is_header(header: bytes) -> bool:
    """Whether a log begins with these bytes."""
    order = MAGIC.get(header[:4])
    return len(header) == HEADER_BYTES and order is not None and _packed(_sums(header[:24], order)) == header[24:]


def _count(file: BinaryIO, header: bytes) -> tuple[int, bool]:
    """How many frames are valid, and whether transactions follow that were begun after a damaged one."""
    order, salt, page_bytes = MAGIC[header[:4]], header[16:24], int.from_bytes(header[8:12])
    sums, valid, is_valid, is_commit_behind = _sums(header[:24], order), 0, True, False
    for frame in _frames(file, page_bytes):
        if is_valid:
            sums = _sums(frame[FRAME_HEADER_BYTES:], order, _sums(frame[:8], order, sums))
            is_valid = frame[8:16] == salt and _packed(sums) == frame[16:24]
            valid += is_valid
        if not is_valid and frame[8:16] == salt:
            if is_commit_behind:
                return valid, True
            is_commit_behind = any(frame[4:8])
    return valid, False


def _frames(file: BinaryIO, page_bytes: int) -> Iterator[bytes]:
    file.seek(HEADER_BYTES)
    size = FRAME_HEADER_BYTES + page_bytes
    while len(frame := file.read(size)) == size:
        yield frame


def _sums(data: bytes, order: str, sums: Sums = (0, 0)) -> Sums:
    """SQLite's checksum of the data, which continues `sums`: see "Checksum Algorithm" in the format."""
    one, two = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _packed(sums: Sums) -> bytes:
    return struct.pack(">II", *sums)
