"""How a command ends: one place turns whatever happens into a sentence on standard error and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any, TextIO

import click

from kkbida.cli import say
from kkbida.errors import (
    KkbidaError,
    NotFound,
    Refused,
    Unavailable,
    Unintelligible,
    Unreachable,
    Unsendable,
)


class Exit(IntEnum):
    """How a command ends, for scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    LOCAL = 6
    FAULT = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141


EXITS = {
    Exit.OK: "done",
    Exit.FAILED: "the task was exhausted, cancelled or not final in time; or some of many were not taken",
    Exit.USAGE: "the command is not right, what it was given cannot be sent, or a profile cannot be used",
    Exit.REFUSED: "kkbida refused it",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.UNREACHABLE: "kkbida was not reached, could not take it just now, or something else answered",
    Exit.LOCAL: "this computer could not read or write a file or an output, for example on a full disk",
    Exit.FAULT: "a fault of this program, which should be reported",
    Exit.INTERRUPTED: "stopped by Ctrl-C, or by a question that was not answered with yes",
    Exit.PIPE_CLOSED: "the program that reads the output has ended, such as `head`",
}
"""The same in words."""

TRACEBACK = "KKBIDA_TRACEBACK"
"""The variable that shows where in this program a failure arose."""


class Failure(Exception):
    """Ends the command with some words on standard error, and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


class PipeClosed(Exception):
    """Nobody reads the output any more. Unlike BrokenPipeError, `click` leaves it alone."""


@contextmanager
def piped() -> Iterator[None]:
    """Raises PipeClosed for a broken pipe."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        raise PipeClosed from error


def ended(run: Callable[[], object], explained: Callable[[KkbidaError], str]) -> int:
    """Run a command, say what went wrong if something did, and give the exit code.

    `run` may come to an exit code; `explained` is the sentence for what the SDK raises.
    """
    _ready()
    try:
        with piped():
            code = run()
            sys.stdout.flush()
        return code if isinstance(code, int) else Exit.OK
    except Exception as error:  # noqa: BLE001 - this is the one place: each has its sentence
        message, code = _told(error, explained)
        _say(message, error)
        return code
    finally:
        _let_go(sys.stdout)
        _let_go(sys.stderr)


def _told(error: Exception, explained: Callable[[KkbidaError], str]) -> tuple[str, Exit]:
    """The sentence for a failure, and its exit code."""
    if isinstance(error, KkbidaError):
        return explained(error), code_of(error)
    if isinstance(error, Failure):
        return str(error), error.code
    return next((say_so(error), code) for kind, say_so, code in _ENDS if isinstance(error, kind))


def _os_said(error: Exception) -> str:
    """What the operating system would not do."""
    name = getattr(error, "filename", None) or "The output"
    return f"{name} cannot be read or written: {getattr(error, 'strerror', None) or error}."


def _fault(error: Exception) -> str:
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return (
        f"This is a fault of the program, not of what it was given: {what}\n"
        f"Please report it with what it says when the variable {TRACEBACK} is set to 1."
    )


_ENDS: Sequence[tuple[type[Exception], Callable[[Any], str], Exit]] = (
    (PipeClosed, lambda _: "", Exit.PIPE_CLOSED),
    (click.Abort, lambda _: "Stopped.", Exit.INTERRUPTED),
    (click.FileError, lambda error: str(error.format_message()), Exit.LOCAL),
    (click.ClickException, lambda _: "", Exit.USAGE),  # click shows it, with the usage of the command
    (OSError, _os_said, Exit.LOCAL),
    (Exception, _fault, Exit.FAULT),
)


def code_of(error: KkbidaError) -> Exit:
    """The exit code for what the SDK raised."""
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, (Unreachable, Unavailable, Unintelligible)):
        return Exit.UNREACHABLE
    if isinstance(error, Unsendable):
        return Exit.USAGE
    return Exit.REFUSED if isinstance(error, Refused) else Exit.FAILED


def _say(message: str, error: Exception) -> None:
    with suppress(OSError, ValueError):  # standard error may be closed, too
        if isinstance(error, click.ClickException) and not message:
            error.show()
        if message:
            say.failure(message)
        if os.environ.get(TRACEBACK) and not isinstance(error, (click.ClickException, PipeClosed)):
            traceback.print_exception(error)


# ── standard streams ─────────────────────────────────────────────────────────────────────────────


def _ready() -> None:
    """Streams that take every text: what their encoding has not is written as an escape."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed before the program began
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - it stays open
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _let_go(stream: TextIO) -> None:
    """What could not be written is not tried again when Python ends, which would say so in its own way."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
