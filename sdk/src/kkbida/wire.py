"""What goes out and what comes back, without a word on how: requests, replies, and who carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from kkbida.errors import MissingMember
from kkbida.rawjson import ExactFloat, exact_int

Json = Any
"""None, a bool, a number, a string, a list of these, or a dict of them by name."""


@dataclass(frozen=True)
class Request:
    """A request, complete but for the host. Header names are in lower case.

    `path` is percent-encoded and begins with whatever stands before the API's own paths, such as a stage; `route` is
    the API's own path with its `{names}`, whose values are in `ids`; `query` are names and values, not encoded yet.
    """

    method: str
    path: str
    route: str
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def query_text(self) -> str:
        """The query as it is sent and signed: sorted by name, encoded by RFC 3986; empty if there is none.

        API Gateway does not show how a query was written, so both sides write it this one way.
        """
        return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in sorted(self.query.items()))

    @property
    def location(self) -> str:
        """Path and query, as in the first line of an HTTP request."""
        return f"{self.path}?{self.query_text}" if self.query else self.path


def encoded(text: str) -> str:
    """Percent-encoded, everything but letters, digits and `-._~`."""
    return quote(text, safe="")


MAX_REPLY_BYTES = 16_777_216
"""Of a reply that are read. Lambda answers with 6 MB at most, so that more is none of kkbida's."""

MAX_REPLY_SECONDS = 60.0
"""In which a reply must have come to its end."""


class Shown(dict[str, Json]):
    """An object of an answer. Raises MissingMember instead of a bare KeyError: the answer is not as kkbida makes it."""

    def __missing__(self, name: str) -> Json:
        """There is no such member."""
        raise MissingMember(f"This is no answer of kkbida's, or not of this version: it has no member {name!r}.")


_loads = partial(json.loads, parse_float=ExactFloat, parse_int=exact_int)


@dataclass(frozen=True)
class Reply:
    """What came back, and from where. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""

    def json(self) -> Json:
        """The body, read. Raises ValueError when it is no JSON."""
        try:
            return _loads(self.body, object_hook=Shown) if self.body else None
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error


class Transport(Protocol):
    """Carries a request there and the reply back."""

    def send(self, request: Request) -> Reply:
        """Do so, once. Raises Unreachable when no whole reply came."""

    def close(self) -> None:
        """Let go of what it holds."""


class AsyncTransport(Protocol):
    """The same, for asyncio."""

    async def send(self, request: Request) -> Reply:
        """Do so, once. Raises Unreachable when no whole reply came."""

    async def close(self) -> None:
        """Let go of what it holds."""
