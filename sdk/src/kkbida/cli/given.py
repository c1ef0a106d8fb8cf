"""Bodies and tasks as a command line gives them: what an argument or a file holds is what is sent."""

from __future__ import annotations

import shutil
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kkbida import rawjson
from kkbida.cli.ending import Exit, Failure
from kkbida.operations import written
from kkbida.rawjson import RawJson
from kkbida.tasks import Expect, Retry, Task
from kkbida.wire import Json

MARK = "\ufeff"
"""The byte order mark: with it begin UTF-8 files of PowerShell and of some editors."""


# ── a body ───────────────────────────────────────────────────────────────────────────────────────


def body_of(text: str) -> Json:
    """The body that an argument means, where `@file` and `-` are read. Raises Failure.

    JSON is sent as it is written, without a byte order mark, which RFC 8259 forbids. All else is text, and is sent
    character by character: with its ends of lines, and with a mark if it has one.
    """
    if text == "-":
        return _json_or_text(_decoded(sys.stdin.buffer.read(), "Standard input"))
    if text.startswith("@"):
        return _json_or_text(_decoded(_content(Path(text[1:])), text[1:]))
    return _json_or_text(_checked(text))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.", Exit.USAGE) from error


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Failure(
            f"{where} is not UTF-8 (byte {error.start + 1}): a body is sent as text in UTF-8. Convert the file first; "
            "of bytes that are no text, send Base64.",
            Exit.USAGE,
        ) from error


def _checked(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Failure("The body is not UTF-8: a body is sent as text in UTF-8.", Exit.USAGE) from error
    return text


def _json_or_text(text: str) -> Json:
    """JSON if it is JSON, else the text itself."""
    try:
        return RawJson(text.removeprefix(MARK).strip(" \t\r\n"))
    except ValueError as error:
        if str(error) == rawjson.TOO_DEEP:
            raise Failure(f"The body cannot be read: {error}.", Exit.USAGE) from error
        return text


# ── many tasks ───────────────────────────────────────────────────────────────────────────────────

IN_MEMORY = 16_777_216
"""Bytes of standard input that are kept in memory until all of it is read; more are kept in a temporary file."""

MAX_SHOWN = 20
"""Lines that are no tasks which are told one by one."""


@dataclass(frozen=True)
class TaskLines:
    """A file with a task in each line, as the API takes it; blank lines count, and are passed over."""

    file: IO[bytes]

    @classmethod
    def of(cls, file: IO[bytes]) -> TaskLines:
        """The lines of a file, which can then be read as often as needed: standard input and pipes are copied."""
        if file.seekable():
            return cls(file)
        copy: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        shutil.copyfileobj(file, copy)
        return cls(copy)

    def checked(self) -> int:
        """How many tasks there are. Raises Failure, which names the lines that are none."""
        faults: list[str] = []
        tasks = 0
        for number, line in self._lines():
            tasks += 1
            try:
                written(task_of(line).as_json())
            except (ValueError, TypeError) as error:
                faults.append(f"line {number} is no task: {error}")
        if faults:
            more = [f"and {len(faults) - MAX_SHOWN} more lines"] if len(faults) > MAX_SHOWN else []
            raise Failure("\n".join([*faults[:MAX_SHOWN], *more, "Nothing was submitted."]), Exit.USAGE)
        return tasks

    def tasks(self) -> Iterator[tuple[int, Task]]:
        """Each task with the number of its line. Raises Failure for a line that has changed since it was checked."""
        return ((number, self._task(number, line)) for number, line in self._lines())

    def _task(self, number: int, line: bytes) -> Task:
        try:
            return task_of(line)
        except (ValueError, TypeError) as error:
            raise Failure(f"line {number} is no task: {error}", Exit.USAGE) from error

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        self.file.seek(0)
        return ((number, line) for number, line in enumerate(self.file, 1) if line.removeprefix(BOM_UTF8).strip())


def task_of(line: bytes) -> Task:
    """The task in a line. Its numbers and its body stay as they are written. Raises ValueError, TypeError."""
    try:
        text = line.decode().removeprefix(MARK)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of it is not UTF-8") from error
    told: dict[str, Any] = {
        name: value if name == "body" else rawjson.read(value.text, number=RawJson)
        for name, value in rawjson.members(text).items()
    }
    told |= {name: kind(**told[name]) for name, kind in (("expect", Expect), ("retry", Retry)) if told.get(name)}
    return Task(**told)
