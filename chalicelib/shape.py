"""The shape of JSON that comes in or goes out: small declarations, checked whole. Pure.

A declaration says what is asked for; `faults` finds everything that is wrong, each with its JSON pointer,
so that a caller mends a request once. Nothing is converted: what passes is used as it came. The same declaration
tells itself in words (`form`, for docs/reference.md) and as JSON Schema (`schema`, for /openapi.json).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import inf, isfinite
from typing import Any, Protocol

from chalicelib import json_text
from chalicelib.errors import Fault, InvalidRequest
from chalicelib.json_text import JsonText
from chalicelib.task import Json

Schema = dict[str, Json]
"""A JSON Schema (2020-12)."""


class Shape(Protocol):
    """What a JSON value must look like."""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Everything wrong with `value`, which stands at `pointer`."""
        ...

    def form(self) -> str:
        """The shape in words, for the reference."""
        ...

    def schema(self) -> Schema:
        """The shape as JSON Schema."""
        ...


def require(shape: Shape, value: Json) -> None:
    """Raises InvalidRequest with every fault when `value` does not have the shape."""
    found = tuple(shape.faults(value, ""))
    if found:
        raise InvalidRequest(faults=found)


MAX_QUOTED_NAME = 200
"""Characters of the name of a member that a pointer quotes."""


def child(pointer: str, key: str | int) -> str:
    """The JSON pointer of a member (RFC 6901). Of a longer name than any that is taken, the beginning and `…`."""
    name = str(key)
    name = name if len(name) <= MAX_QUOTED_NAME else f"{name[:MAX_QUOTED_NAME]}…"
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def name_of(value: Json) -> str:
    """What JSON calls the type of a value."""
    numbers = dict.fromkeys((int, float, JsonText), "a number")
    names = {str: "a string", bool: "true or false", dict: "an object", **numbers}
    return "null" if value is None else names.get(type(value), "a list")


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object, or one parameter: its shape, what it is for, whether it must be there.

    `default`: what a parameter is that was not given.
    """

    shape: Shape
    help: str = ""
    _: KW_ONLY
    required: bool = False
    default: Json = None

    def schema(self) -> Schema:
        """As JSON Schema, with the help. Beside a name of its own a shape has no room for it."""
        found = self.shape.schema()
        if "title" in found:
            found = {"allOf": [found]}
        return {**found, **({"description": self.help} if self.help else {})}


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value."""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:  # noqa: ARG002 - nothing can be wrong
        """None."""
        return iter(())

    def form(self) -> str:
        """In words."""
        return "any JSON"

    def schema(self) -> Schema:
        """As JSON Schema."""
        return {}


@dataclass(frozen=True, slots=True)
class AsWritten(Anything):
    """Any JSON value. One that is no string and not null is taken as its text (`JsonText`)."""


@dataclass(frozen=True, slots=True)
class OrNull:
    """A value of the shape, or null."""

    shape: Shape

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Those of the shape, unless the value is null."""
        return iter(()) if value is None else self.shape.faults(value, pointer)

    def form(self) -> str:
        """In words."""
        return f"{self.shape.form()}; or null"

    def schema(self) -> Schema:
        """As JSON Schema: with null among the types, and among the choices."""
        found = self.shape.schema()
        if "title" in found:
            return {"anyOf": [found, {"type": "null"}]}
        more = {"type": [found["type"], "null"]} if "type" in found else {}
        return {**found, **more, **({"enum": [*found["enum"], None]} if "enum" in found else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string of `least` to `most` characters; one of `choices`, if there are any; of `visible` ASCII only, if so.

    `format` is what JSON Schema calls its kind. It is told, and not checked.
    """

    least: int = 0
    most: float = inf
    choices: tuple[str, ...] = ()
    visible: bool = False
    format: str = ""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type, length or word."""
        if not isinstance(value, str):
            yield Fault(pointer, f"must be a string, not {name_of(value)}")
        elif self.choices and value not in self.choices:
            yield Fault(pointer, f"must be one of {', '.join(self.choices)}")
        elif not self.least <= len(value) <= self.most:
            yield Fault(pointer, f"must have {self.least} to {self.most} characters, and has {len(value)}")
        elif self.visible and not (value.isascii() and value.isprintable()):
            yield Fault(pointer, "must have visible ASCII characters only")

    def form(self) -> str:
        """In words."""
        if self.choices:
            return "one of " + ", ".join(f"`{choice}`" for choice in self.choices)
        kind = "visible ASCII text" if self.visible else "text"
        return f"{kind}, {self.least} to {self.most} characters" if isfinite(self.most) else kind

    def schema(self) -> Schema:
        """As JSON Schema."""
        if self.choices:
            return {"type": "string", "enum": [str(choice) for choice in self.choices]}
        more = {"pattern": "^[ -~]*$"} if self.visible else {}
        more |= {"format": self.format} if self.format else {}
        return {"type": "string", **_bounds("Length", self.least, self.most), **more}


def _bounds(what: str, least: float, most: float) -> Schema:
    """The keywords for how many `what` there may be, where they say anything."""
    return ({f"min{what}": least} if least else {}) | ({f"max{what}": most} if isfinite(most) else {})


@dataclass(frozen=True, slots=True)
class Time:
    """A moment of the years 1970 to 2999, as RFC 3339 writes it. A day alone is taken too, and is one in UTC."""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type, no such moment, or out of range."""
        if not isinstance(value, str):
            yield Fault(pointer, f"must be a string, not {name_of(value)}")
            return
        try:
            at = seconds(value)
        except (ValueError, OverflowError):
            yield Fault(pointer, "must be a time as in RFC 3339, such as 2026-12-01T08:00:00Z")
        else:
            if not 0 <= at < LAST_TIME:
                yield Fault(pointer, "must lie in the years 1970 to 2999")

    def form(self) -> str:
        """In words."""
        return "time (RFC 3339)"

    def schema(self) -> Schema:
        """As JSON Schema."""
        return {"type": "string", "format": "date-time"}


LAST_TIME = 32_503_680_000
"""Seconds since the epoch: the year 3000."""


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d)))?",
    re.ASCII | re.IGNORECASE,
)
"""RFC 3339, section 5.6: `date-time`, or `full-date` alone."""

LEAP_SECOND = 60


def seconds(time: str) -> float:
    """A time as seconds since the epoch; digits beyond a microsecond are left out. A day alone begins at 00:00 UTC.

    A leap second is the second after it, and is taken where RFC 3339 (section 5.7) has one: at the end of a month in
    UTC. Raises ValueError when it is no time.
    """
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second = (int(match[group] or 0) for group in range(1, 7))
    is_leap = second == LEAP_SECOND
    local = datetime(year, month, day, hour, minute, second - is_leap, tzinfo=UTC)
    ahead = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    whole = (local - _EPOCH) // _SECOND - (-ahead if match[8] == "-" else ahead) // _SECOND + is_leap
    if is_leap and (_EPOCH + timedelta(seconds=whole)).strftime("%d %H:%M:%S") != "01 00:00:00":
        raise ValueError
    return (whole * 1_000_000 + int((match[7] or "")[:6].ljust(6, "0"))) / 1_000_000


_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number from `least` to `most`; whole, if it must be. True and false are none."""

    least: float = -inf
    most: float = inf
    whole: bool = False

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type or out of range."""
        wanted = "a whole number" if self.whole else "a number"
        if type(value) is not int and (self.whole or type(value) is not float):
            yield Fault(pointer, f"must be {wanted}, not {json_text.dumps(value)[:40]}")
        elif not self.least <= value <= self.most:
            yield Fault(pointer, f"must be from {self.least:,} to {self.most:,}")

    def form(self) -> str:
        """In words."""
        kind = "whole number" if self.whole else "number"
        return f"{kind}, {self.least:,} to {self.most:,}" if isfinite(self.most) else kind

    def schema(self) -> Schema:
        """As JSON Schema."""
        bounds = {"minimum": self.least, "maximum": self.most}
        kind = "integer" if self.whole else "number"
        return {"type": kind, **{name: bound for name, bound in bounds.items() if isfinite(bound)}}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type."""
        if not isinstance(value, bool):
            yield Fault(pointer, f"must be true or false, not {name_of(value)}")

    def form(self) -> str:
        """In words."""
        return "true or false"

    def schema(self) -> Schema:
        """As JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of `least` to `most` values of one shape."""

    shape: Shape
    least: int = 0
    most: float = inf

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type or length, and every fault of every item."""
        if not isinstance(value, list):
            yield Fault(pointer, f"must be a list, not {name_of(value)}")
        elif not self.least <= len(value) <= self.most:
            yield Fault(pointer, f"must have {self.least} to {self.most} items, and has {len(value)}")
        else:
            for index, item in enumerate(value):
                yield from self.shape.faults(item, child(pointer, index))

    def form(self) -> str:
        """In words."""
        size = f" {self.least} to {self.most}" if isfinite(self.most) else ""
        return f"list of{size}: {self.shape.form()}"

    def schema(self) -> Schema:
        """As JSON Schema."""
        return {"type": "array", "items": self.shape.schema(), **_bounds("Items", self.least, self.most)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """An object whose keys the caller chooses: at most `most`, of at most `longest` characters; values of one shape."""

    shape: Shape
    most: float = inf
    longest: float = inf

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type or size, and every fault of every value."""
        if not isinstance(value, dict):
            yield Fault(pointer, f"must be an object, not {name_of(value)}")
        elif len(value) > self.most:
            yield Fault(pointer, f"must have at most {self.most} members, and has {len(value)}")
        else:
            for key, item in value.items():
                if len(key) > self.longest:
                    yield Fault(child(pointer, key), f"has a name of more than {self.longest} characters")
                yield from self.shape.faults(item, child(pointer, key))

    def form(self) -> str:
        """In words."""
        size = f" of up to {self.most} members" if isfinite(self.most) else ""
        return f"object{size}: {self.shape.form()}"

    def schema(self) -> Schema:
        """As JSON Schema."""
        names = _bounds("Length", 0, self.longest)
        return {
            "type": "object",
            "additionalProperties": self.shape.schema(),
            **_bounds("Properties", 0, self.most),
            **({"propertyNames": names} if names else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An object that comes in, with the members that are declared, and no others. One that is null counts as absent.

    `name` is what the document calls it, `example` one that has the shape. `is_open`: others are passed over.
    """

    name: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
    example: Json = None
    is_open: bool = False

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type, unknown and missing members, and every fault of every member."""
        if not isinstance(value, dict):
            yield Fault(pointer, f"must be an object, not {name_of(value)}")
            return
        for key, item in value.items():
            if key not in self.fields:
                yield from () if self.is_open else (self._unknown(child(pointer, key)),)
            elif item is not None:
                yield from self.fields[key].shape.faults(item, child(pointer, key))
        for key, declared in self.fields.items():
            if declared.required and value.get(key) is None:
                yield Fault(child(pointer, key), "is missing")

    def _unknown(self, pointer: str) -> Fault:
        return Fault(pointer, f"is unknown; known are {', '.join(self.fields)}")

    def form(self) -> str:
        """In words."""
        return "object, see there"

    def schema(self) -> Schema:
        """As JSON Schema. What may be absent may be null as well."""
        members = {
            key: declared if declared.required else replace(declared, shape=OrNull(declared.shape))
            for key, declared in self.fields.items()
        }
        required = [key for key, declared in self.fields.items() if declared.required]
        more = {"examples": [self.example]} if self.example else {}
        return {**_object(self.name, members, required), "additionalProperties": self.is_open, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An object that goes out: the members of `fields` are always there, those of `sometimes` are not; no others.

    As JSON Schema it is open all the same: a later release may show more, and readers pass over what they do not know.
    """

    name: str = ""
    fields: Mapping[str, Field]
    sometimes: Mapping[str, Field] = field(default_factory=dict)

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type, undeclared and missing members, and every fault of every member."""
        if not isinstance(value, dict):
            yield Fault(pointer, f"must be an object, not {name_of(value)}")
            return
        declared = {**self.fields, **self.sometimes}
        for key, item in value.items():
            if key not in declared:
                yield Fault(child(pointer, key), "is not declared")
            else:
                yield from declared[key].shape.faults(item, child(pointer, key))
        yield from (Fault(child(pointer, key), "is missing") for key in self.fields if key not in value)

    def form(self) -> str:
        """In words."""
        return f"`{self.name}`"

    def schema(self) -> Schema:
        """As JSON Schema."""
        return _object(self.name, {**self.fields, **self.sometimes}, list(self.fields))


def _object(name: str, members: Mapping[str, Field], required: list[str]) -> Schema:
    return {
        **({"title": name} if name else {}),
        "type": "object",
        "properties": {key: declared.schema() for key, declared in members.items()},
        **({"required": required} if required else {}),
    }


def parse(raw: bytes, shape: Shape | None = None) -> Any:
    """The JSON value in `raw`, as `shape` takes it. Raises InvalidRequest for what is not JSON (RFC 8259) in UTF-8.

    A number is an int or a float where the shape is a `Number`; elsewhere one that Python would write in another way
    is a `JsonText`, and so is what is `AsWritten`. Refused, because they mean something else to every reader: a name
    twice in one object, numbers beyond all doubles, halves of surrogate pairs, nesting deeper than `MOST_DEPTH`.
    """
    try:
        text = raw.decode()
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
        json_text.dumps(value).encode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(faults=(Fault("", f"is not valid UTF-8 at byte {error.start}"),)) from error
    except UnicodeEncodeError as error:
        raise InvalidRequest(faults=(Fault("", "holds half of a surrogate pair, which is no character"),)) from error
    except json.JSONDecodeError as error:
        detail = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise InvalidRequest(faults=(Fault("", detail),)) from error
    except (ValueError, RecursionError) as error:
        detail = _TOO_DEEP if isinstance(error, RecursionError) else f"cannot be taken: {error}"
        raise InvalidRequest(faults=(Fault("", detail),)) from error
    if too_deep(value):
        raise InvalidRequest(faults=(Fault("", _TOO_DEEP),))
    return value if shape is None else _taken(shape, value, text, 0)


def _taken(shape: Shape, value: Json, text: str, at: int) -> Json:  # noqa: PLR0911 - one for each shape
    """The value at `at` in the text, as the shape takes it. Where the value has not the shape, it stays."""
    if isinstance(shape, Number) and isinstance(value, JsonText):
        return 0 if value.text == "-0" else float(value.text)
    if isinstance(shape, AsWritten) and not isinstance(value, str | None):
        return JsonText(text[at : json_text.end(text, at)])
    if isinstance(shape, OrNull):
        return _taken(shape.shape, value, text, at)
    if isinstance(shape, Record) and isinstance(value, dict):
        found = ((name, start) for name, start, _ in json_text.members(text, at) if name in shape.fields)
        return {**value, **{name: _taken(shape.fields[name].shape, value[name], text, start) for name, start in found}}
    if isinstance(shape, ListOf) and isinstance(value, list):
        starts_of_items = (start for start, _ in json_text.items(text, at))
        return [_taken(shape.shape, item, text, start) for item, start in zip(value, starts_of_items, strict=True)]
    if isinstance(shape, MapOf) and isinstance(value, dict):
        return {name: _taken(shape.shape, item, text, at) for name, item in value.items()}
    return value


MOST_DEPTH = 100
"""Objects and lists inside each other, at most. Python writes and compares JSON by recursion, and its limit (1,000
calls, wherever they began) would otherwise let in what a later step cannot write."""

_TOO_DEEP = f"is nested too deep: more than {MOST_DEPTH} levels"


def too_deep(value: Json) -> bool:
    """Whether objects and lists stand inside each other deeper than `MOST_DEPTH`."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _members(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def escaped(text: str) -> str:
    """The text with each half of a surrogate pair written out, as JSON does: JSON may hold one, UTF-8 may not."""
    return text.encode(errors="backslashreplace").decode()


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f'"{escaped(twice[:80])}" stands twice in one object')
    return found


def _no_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> Json:
    if not isfinite(float(text)):
        raise ValueError(f"the number {text[:40]} is too large")
    return json_text.number(text)


MOST_DIGITS = json_text.MAX_DIGITS


def _whole(text: str) -> Json:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too long; at most {MOST_DIGITS} are read")
    return json_text.whole_number(text)
