"""How the parts of an expectation are written: status patterns, JSON paths, bounded regular expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

REGEX_SECONDS = 0.1
"""Seconds of CPU time that a search in a reply may take (`delivery/regex_search.py`)."""

REGEX_LENGTH = 1000
"""Characters of a pattern, at most."""

REGEX_STEPS = 5000
"""Steps of a pattern, at most, once its counted repetitions are unrolled. The `regex` library unrolls them as it
compiles, some 700 bytes a step and outside any time limit: `(a{9999}){9999}` would take all the memory there is."""

_STATUS = re.compile(r"(!?)(?:([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?)", re.ASCII | re.IGNORECASE)


@lru_cache(maxsize=1024)
def status_range(pattern: str) -> tuple[bool, range]:
    """`2xx`, `404`, `200-299`, `!204` as (taken out?, the statuses). Raises ValueError for anything else."""
    match = _STATUS.fullmatch(pattern.strip())
    if match is None:
        raise ValueError(f'"{pattern}" is no status pattern; write 200, 2xx, 200-299, or one of these after a !')
    negated, hundred, first, last = match.groups()
    low = int(hundred) * 100 if hundred else int(first)
    high = low + 99 if hundred else int(last or first)
    if high < low:
        raise ValueError(f'"{pattern}" ends before it begins')
    return bool(negated), range(low, high + 1)


def status_matches(status: int, patterns: Iterable[str]) -> bool:
    """Whether some pattern takes `status` in and none takes it out. With `!` patterns only, the rest is in."""
    ranges = [status_range(pattern) for pattern in patterns]
    taken_in = [span for negated, span in ranges if not negated]
    taken_out = [span for negated, span in ranges if negated]
    inside = any(status in span for span in taken_in) or (bool(taken_out) and not taken_in)
    return inside and not any(status in span for span in taken_out)


MAX_LOCATION_CHARACTERS = 200
"""Characters of a `Location` header that a reason quotes."""

REDIRECTS = range(300, 400)


def unexpected_status(status: int, patterns: Iterable[str], location: str | None = None) -> str:
    """The reason why a status that is not in `patterns` failed. A redirect names its place, which is not followed, up
    to its query: that may repeat a secret of the URL, and reasons are sent to chat groups."""
    wanted = ", ".join(patterns)
    if status not in REDIRECTS or location is None:
        return f"status {status} not in {wanted}"
    before, query, _ = location.partition("?")
    place = json.dumps(before[:MAX_LOCATION_CHARACTERS] + ("?…" if query else ""), ensure_ascii=False)
    return f"status {status} not in {wanted}; it redirects to {place}, and redirects are not followed"


_STEP = re.compile(
    r"""\.(?P<name>[^\W\d][\w-]*) | \[(?P<index>-?[0-9]{1,9})\]
      | \[(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def json_path(path: str) -> Sequence[str | int]:
    """The steps of a singular JSON path, such as `$.data[0]['id']` (RFC 9535, section 2.3.5.1).

    One path leads to one value, so wildcards, slices and filters are refused. Raises ValueError.
    """
    if not path.startswith("$"):
        raise ValueError(f'"{path}" is no JSON path; it begins with $, as in $.code')
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError(f'"{path}" cannot be read from "{path[at:]}" on; write steps as .name, [0] or [\'name\']')
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> str | int:
    if match["index"] is not None:
        return int(match["index"])
    return match["name"] if match["name"] is not None else _unquoted(match["quoted"])


def _unquoted(quoted: str) -> str:
    """The name in quotes. Its escapes are those of JSON, and in single quotes the two quotes change their roles."""
    inner = quoted[1:-1]
    if quoted.startswith("'"):
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    try:
        return str(json.loads(f'"{inner}"'))
    except ValueError as error:
        raise ValueError(f"{quoted} holds an escape that JSON does not have, or a control character") from error


@lru_cache(maxsize=64)
def bounded_regex(pattern: str) -> regex.Pattern[str]:
    """The compiled pattern. Raises ValueError when it is none, or too large."""
    import regex  # noqa: PLC0415 - most tasks have none, and the import costs a cold start

    if len(pattern) > REGEX_LENGTH:
        raise ValueError(f"is longer than {REGEX_LENGTH} characters")
    if _VERBOSE.search(pattern):
        raise ValueError("sets the flag x, which is not taken: write it without spaces and comments")
    if _steps(pattern) > REGEX_STEPS:
        raise ValueError(f"repeats too much: its counted repetitions come to more than {REGEX_STEPS} steps")
    try:
        return regex.compile(pattern, cache_pattern=False)
    except (regex.error, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error


_VERBOSE = re.compile(r"(?<!\\)(?:\\\\)*\(\?[\w^-]*x")
"""The flag x would let spaces and comments hide a repetition from `_steps`."""

_LEAST = re.compile(r"(\)?)\{([0-9]+)")


def _steps(pattern: str) -> int:
    """As many steps as the unrolled pattern has, or more: groups count as if each stood inside the others."""
    atoms, groups = len(pattern), 1
    for group, least in _LEAST.findall(pattern):
        if group:
            groups *= max(1, int(least))
        else:
            atoms += int(least)
    return atoms * groups
