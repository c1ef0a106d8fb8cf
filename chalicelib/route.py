"""What a route is: one declaration that answering, the document and the reference obey. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from chalicelib.errors import (
    Fault,
    Forbidden,
    InternalError,
    InvalidRequest,
    NotFound,
    Refusal,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.shape import MAX_QUOTED_NAME, Field, Number, Record, Shape, Text, Time, escaped, parse
from chalicelib.task import Json, Right

MOST_BYTES = 262_144
"""Bytes of a request's body, unless its route says otherwise: what a record holds, with room for the rest."""

Fields = Mapping[str, Field]
"""Parameters by name."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A group of routes."""

    name: str
    about: str


JSON, TEXT = "application/json", "text/plain;charset=UTF-8"
"""Content types of answers."""


@dataclass(frozen=True, slots=True)
class Gives:
    """What a route answers when it does not refuse. Without a shape there is no body."""

    status: int
    told: str
    shape: Shape | None = None
    headers: Fields = field(default_factory=dict)
    content_type: str = JSON


RETRY_AFTER = {"Retry-After": Field(Number(least=0, whole=True), "Seconds to wait before asking again.", required=True)}
"""The header beside refusals that say when to ask again."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, the view that answers there, and all that it gives and takes.

    `also`: answers beside the one that is wanted. `takes`: the shape of the body, which may be left out where it is
    `optional`, and has `most_bytes` at most. `refuses`: with what, beside that which follows from the rest. `right`:
    what one needs to ask; where there is None, everybody may, or everybody who is `known`. `same_again`: asking twice
    is as asking once. `as_before`: as the predecessor had it: who asks says so by user name and password, and refusals
    are told in plain text or not at all.
    """

    method: str
    path: str
    view: Callable[..., Any]
    tag: Tag
    right: Right | None
    gives: Gives
    _: KW_ONLY
    also: tuple[Gives, ...] = ()
    query: Fields = field(default_factory=dict)
    headers: Fields = field(default_factory=dict)
    takes: Record | None = None
    optional: bool = False
    most_bytes: int = MOST_BYTES
    refuses: tuple[type[Refusal], ...] = ()
    same_again: bool = False
    known: bool = False
    as_before: bool = False

    @property
    def is_open(self) -> bool:
        """Whether everybody may ask."""
        return self.right is None and not self.known

    @property
    def name(self) -> str:
        """The view's."""
        return self.view.__name__

    @property
    def about(self) -> str:
        """What the view does: its docstring, in one line."""
        return in_one_line(self.view.__doc__)

    @property
    def ids(self) -> list[str]:
        """The parameters of its path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def refusals(self) -> list[type[Refusal]]:
        """Everything that it refuses with, or with a kind of. Each has a status of its own, that it does not answer."""
        found: list[type[Refusal]] = [InvalidRequest, Forbidden, InternalError, Unavailable, *self.refuses]
        found += [] if self.is_open else [Unauthorized]
        found += [NotFound] if self.ids else []
        found += [TooLarge, UnsupportedMediaType] if self.takes and not self.as_before else []
        answered = {gives.status for gives in (self.gives, *self.also)}
        return sorted((it for it in found if it.status not in answered), key=lambda it: it.status)


def in_one_line(doc: str | None) -> str:
    """A docstring as a line."""
    return " ".join((doc or "").split())


# ── the parameters of a call ─────────────────────────────────────────────────────────────────────

Query = Mapping[str, Sequence[str]]
"""A query as it came: every value of each name."""


def read(route: Route, query: Query, headers: Mapping[str, str]) -> dict[str, Json]:
    """The values of all parameters by name, the default of each that is not given. Header names are in lower case.

    An empty value in the query counts as absent. Raises InvalidRequest with every fault.
    """
    sought = {name: values[0] for name, values in query.items() if name in route.query and values[0]}
    sent = {name: headers[name.lower()] for name in route.headers if name.lower() in headers}
    given = _values(route.query, sought) | _values(route.headers, sent)
    faults = (
        *_strange(route.query, query),
        *_missing(route.query, sought),
        *_unfit("query", route.query, given),
        *_unfit("header", route.headers, given),
    )
    if faults:
        raise InvalidRequest(faults=faults)
    return {name: declared.default for name, declared in (*route.query.items(), *route.headers.items())} | given


def _values(declared: Fields, texts: Mapping[str, str]) -> dict[str, Json]:
    return {name: _value(declared[name].shape, text) for name, text in texts.items()}


def _value(shape: Shape, text: str) -> Json:
    """What a text stands for: itself, or JSON where no text is asked for, if it is any."""
    if isinstance(shape, Time):
        return text.replace(" ", "+")  # a + that was not percent-encoded
    try:
        return text if isinstance(shape, Text) else parse(escaped(text).encode(), shape)
    except InvalidRequest:
        return text


def _strange(declared: Fields, query: Query) -> Iterator[Fault]:
    known = f"known are {', '.join(declared)}" if declared else "none is known here"
    for name, values in query.items():
        if name not in declared:
            yield Fault(f"query:{name[:MAX_QUOTED_NAME]}", f"is unknown; {known}")
        elif len(values) > 1:
            yield Fault(f"query:{name}", "is given more than once")


def _missing(declared: Fields, sought: Mapping[str, str]) -> Iterator[Fault]:
    for name, parameter in declared.items():
        if parameter.required and name not in sought:
            yield Fault(f"query:{name}", "is missing")


def _unfit(where: str, declared: Fields, values: Mapping[str, Json]) -> Iterator[Fault]:
    for name, value in values.items():
        if name in declared:
            yield from declared[name].shape.faults(value, f"{where}:{name}")
