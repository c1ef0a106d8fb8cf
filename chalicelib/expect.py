"""How the parts of an expectation are written: status patterns, JSON paths, bounded regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

REGEX_SECONDS = 0.1
"""Seconds that one look at a reply may take. The `regex` library keeps to it whatever the pattern."""

REGEX_LENGTH = 1000
"""Characters of a pattern, at most."""

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


_STEP = re.compile(
    r"""\.(?P<name>[^\W\d][\w-]*) | \[(?P<index>-?\d{1,9})\]
      | \['(?P<single>(?:[^'\\]|\\.)*)'\] | \["(?P<double>(?:[^"\\]|\\.)*)"\]""",
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
    if match["name"] is not None:
        return match["name"]
    quoted = match["single"] if match["single"] is not None else match["double"]
    return re.sub(r"\\(.)", r"\1", quoted)


@lru_cache(maxsize=256)
def bounded_regex(pattern: str) -> regex.Pattern[str]:
    """The compiled pattern; search with `timeout=REGEX_SECONDS`. Raises ValueError when it is none."""
    import regex  # noqa: PLC0415 - most tasks have none, and the import costs a cold start

    if len(pattern) > REGEX_LENGTH:
        raise ValueError(f"is longer than {REGEX_LENGTH} characters")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error
