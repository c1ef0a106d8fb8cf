"""The shape of JSON that comes in: small declarations, checked whole. Pure.

A declaration says what is asked for; `faults` finds everything that is wrong, each with its JSON pointer,
so that a caller mends a request once. Nothing is converted: what passes is used as it came.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from chalicelib.errors import Fault, InvalidRequest
from chalicelib.task import Json


class Shape(Protocol):
    """What a JSON value must look like."""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Everything wrong with `value`, which stands at `pointer`."""
        ...

    def form(self) -> str:
        """The shape in words, for the reference."""
        ...


def require(shape: Shape, value: Json) -> None:
    """Raises InvalidRequest with every fault when `value` does not have the shape."""
    found = tuple(shape.faults(value, ""))
    if found:
        raise InvalidRequest(faults=found)


def child(pointer: str, key: str | int) -> str:
    """The JSON pointer of a member (RFC 6901)."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def name_of(value: Json) -> str:
    """What JSON calls the type of a value."""
    names = {str: "a string", bool: "true or false", int: "a number", float: "a number", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One member of an object: its shape, whether it must be there, what it is for."""

    shape: Shape
    help: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value."""

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:  # noqa: ARG002 - nothing can be wrong
        """None."""
        return iter(())

    def form(self) -> str:
        """In words."""
        return "any JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string of `least` to `most` characters; one of `choices`, if there are any."""

    least: int = 0
    most: int
    choices: tuple[str, ...] = ()

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type, length or word."""
        if not isinstance(value, str):
            yield Fault(pointer, f"must be a string, not {name_of(value)}")
        elif self.choices and value not in self.choices:
            yield Fault(pointer, f"must be one of {', '.join(self.choices)}")
        elif not self.least <= len(value) <= self.most:
            yield Fault(pointer, f"must have {self.least} to {self.most} characters, and has {len(value)}")

    def form(self) -> str:
        """In words."""
        if self.choices:
            return "one of " + ", ".join(f"`{choice}`" for choice in self.choices)
        return f"text, {self.least} to {self.most} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number from `least` to `most`; whole, if it must be. True and false are none."""

    least: float
    most: float
    whole: bool = False

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type or out of range."""
        wanted = "a whole number" if self.whole else "a number"
        if type(value) is not int and (self.whole or type(value) is not float):
            yield Fault(pointer, f"must be {wanted}, not {json.dumps(value)[:40]}")
        elif not self.least <= value <= self.most:
            yield Fault(pointer, f"must be from {self.least:,} to {self.most:,}")

    def form(self) -> str:
        """In words."""
        return f"{'whole number' if self.whole else 'number'}, {self.least:,} to {self.most:,}"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of `least` to `most` values of one shape."""

    shape: Shape
    least: int = 0
    most: int

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
        return f"list of {self.least} to {self.most}: {self.shape.form()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """An object whose keys the caller chooses: at most `most`, of at most `longest` characters; values of one shape."""

    shape: Shape
    most: int
    longest: int = 200

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
        return f"object of up to {self.most} members: {self.shape.form()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An object with the members that are declared, and no others. A member that is null counts as absent."""

    fields: Mapping[str, Field] = field(default_factory=dict)

    def faults(self, value: Json, pointer: str) -> Iterator[Fault]:
        """Wrong type, unknown and missing members, and every fault of every member."""
        if not isinstance(value, dict):
            yield Fault(pointer, f"must be an object, not {name_of(value)}")
            return
        for key, item in value.items():
            if key not in self.fields:
                yield Fault(child(pointer, key), f"is unknown; known are {', '.join(self.fields)}")
            elif item is not None:
                yield from self.fields[key].shape.faults(item, child(pointer, key))
        for key, declared in self.fields.items():
            if declared.required and value.get(key) is None:
                yield Fault(child(pointer, key), "is missing")

    def form(self) -> str:
        """In words."""
        return "object, see there"


def parse(raw: bytes) -> Any:
    """The JSON value in `raw`. Raises InvalidRequest for what is not JSON (RFC 8259) in UTF-8.

    Refused too, because they would not come out as they went in: a name twice in one object,
    numbers that no double holds, halves of surrogate pairs, nesting deeper than `MOST_DEPTH`.
    """
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
        json.dumps(value, ensure_ascii=False).encode()
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


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


MOST_DIGITS = 4300
"""Digits of a whole number, at most: Python reads no more, so that nobody keeps it busy with them."""


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too long; at most {MOST_DIGITS} are read")
    return int(text)
