"""Search a reply for a pattern in bounded time, whatever the pattern and the reply.

The `regex` library looks at its timeout between steps of its matcher. It does not look while it searches for a
required literal, folds case, or prepares a long literal for that: one step may then take seconds. So a search that is
not small runs in a forked child, which the kernel ends after `REGEX_SECONDS` of CPU time, and the parent after
`MAX_WALL_SECONDS`. docs/why.md has the alternatives.
"""

from __future__ import annotations

import os
import select
import signal
from threading import Lock
from typing import TYPE_CHECKING

from chalicelib.expect import REGEX_SECONDS, bounded_regex

if TYPE_CHECKING:
    import regex

MAX_WALL_SECONDS = 0.7
"""After which a child is killed that got no CPU time."""

SMALL_PATTERN_CHARACTERS, SMALL_TEXT_CHARACTERS = 100, 4000
"""Of a search that runs in this process. The slowest that were found take half a second at these lengths, most of
it before the library's own timeout is looked at; a `success` is found in microseconds."""

_FOUND, _NOT_FOUND = b"1", b"0"
_FORKING = Lock()


def is_found(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. Raises TimeoutError, or ValueError for what is no pattern."""
    compiled = bounded_regex(pattern)
    if (len(pattern) <= SMALL_PATTERN_CHARACTERS and len(text) <= SMALL_TEXT_CHARACTERS) or not hasattr(os, "fork"):
        return compiled.search(text, timeout=REGEX_SECONDS) is not None
    return _is_found_by_child(compiled, text)


def _is_found_by_child(compiled: regex.Pattern[str], text: str) -> bool:
    with _FORKING:  # so that no other child inherits the pipe
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _search_and_exit(compiled, text, writer)
        os.close(writer)
    try:
        answer = os.read(reader, 1) if _is_readable(reader) else b""
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not answer:
        raise TimeoutError
    return answer == _FOUND


def _is_readable(reader: int) -> bool:
    """Whether the child has answered, or ended, within its time."""
    poll = select.poll()  # unlike select.select it takes descriptors above 1023
    poll.register(reader, select.POLLIN)
    return bool(poll.poll(MAX_WALL_SECONDS * 1000))


def _search_and_exit(compiled: regex.Pattern[str], text: str, writer: int) -> None:
    """The child's whole life. It uses no lock and no connection of the parent, and ends without cleaning up."""
    try:
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_VIRTUAL, REGEX_SECONDS)
        os.write(writer, _NOT_FOUND if compiled.search(text) is None else _FOUND)
    finally:
        os._exit(0)
