"""How large an answer may be: API Gateway and Lambda return no more, and answer 502 in its place. Pure.

A list is cut to the rows that fit, with a cursor for the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate

from chalicelib.errors import Fault, InvalidRequest
from chalicelib.json_text import dumps
from chalicelib.task import Json

MAX_RESPONSE_BYTES = 6_291_556
"""Of the JSON that a Lambda function returns, in which an answer is a string: quotes, backslashes and all that is not
ASCII are escaped once more. Source: what Lambda logs, "exceeded maximum allowed payload size (6291556 bytes)"."""

MAX_PAGE_BYTES = 6_000_000
"""Of the rows of a list, as they are wrapped."""

MAX_BYTES_OF_CHARACTER = 12
"""As it is wrapped: one beyond the Basic Multilingual Plane is a pair of escapes."""

FRAME_BYTES = 1000
"""Of the members that the function adds to status, headers and body, at most."""


def wrapped_bytes(text: str) -> int:
    """Bytes of an answer, or a part of one, as a string in what a Lambda function returns."""
    return len(json.dumps(text))


def response_bytes(headers: Mapping[str, str | list[str]], text: str) -> int:
    """Bytes of what a Lambda function returns with this answer, at most. Short texts are not written out for it."""
    few = MAX_BYTES_OF_CHARACTER * len(text)
    body = few if few < MAX_PAGE_BYTES else wrapped_bytes(text)
    return FRAME_BYTES + len(json.dumps(dict(headers))) + body


def fitting(rows: Sequence[Json], most: int) -> int:
    """How many of the first rows fit into `most` bytes as they are wrapped; one at least."""
    sizes = accumulate(wrapped_bytes(dumps(row)) for row in rows)
    return max(1, sum(size <= most for size in sizes))


def newest(rows: Sequence[Json], most: int) -> Sequence[Json]:
    """The rows at the end that fit into `most` bytes; one at least, if there are any."""
    return rows[-fitting(rows[::-1], most) :]


def part(rows: Sequence[Mapping[str, Json]], id_name: str, cursor: str | None) -> tuple[list[Json], str | None]:
    """The rows after the cursor that fit into one answer, and the cursor of the next part: the id of the last of them.

    Raises InvalidRequest for a cursor that is the id of no row.
    """
    ids = [row[id_name] for row in rows]
    if cursor is not None and cursor not in ids:
        raise InvalidRequest(
            faults=(Fault("query:cursor", "names nothing that is listed now: begin without a cursor"),)
        )
    rest = rows[ids.index(cursor) + 1 :] if cursor is not None else rows
    shown = list(rest[: fitting(rest, MAX_PAGE_BYTES)])
    return shown, shown[-1][id_name] if len(shown) < len(rest) else None
