"""JSON whose text counts: numbers keep every digit as written, and a value can be its own source text. Pure.

`10.00`, `1E5` and `123456789012345678.91` are other texts once a double has held them. What users submit goes out as
they wrote it, so such a number is read as a `JsonText`, and so is the body of a task as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON value as the text that stands for it."""

    text: str


# ── reading ──────────────────────────────────────────────────────────────────────────────────────

MAX_DIGITS = 4300
"""Digits of a whole number that is read as an int: Python reads no more, since the time grows with their square."""


def loads(text: str) -> Json:
    """The value of a JSON text, with each number that Python would write in another way as a `JsonText`."""
    return json.loads(text, parse_float=number, parse_int=whole_number)


def number(text: str) -> float | JsonText:
    """A number with a fraction or an exponent."""
    found = float(text)
    return found if repr(found) == text else JsonText(text)


def whole_number(text: str) -> int | JsonText:
    """A number without: `-0` is one that an int does not hold."""
    return JsonText(text) if len(text) > MAX_DIGITS or text == "-0" else int(text)


_BLANK = re.compile(r"[ \t\n\r]*")


def members(text: str, at: int = 0) -> Iterator[tuple[str, int, int]]:
    """The name of each member of the object at `at` in a valid JSON text, and where its value begins and ends."""
    at = _after_blank(text, _after_blank(text, at) + 1)
    while text[at] == '"':
        name, at = scanstring(text, at + 1)
        start = _after_blank(text, _after_blank(text, at) + 1)
        stop = end(text, start)
        yield name, start, stop
        at = _after_comma(text, stop)


def items(text: str, at: int = 0) -> Iterator[tuple[int, int]]:
    """Where each item of the list at `at` in a valid JSON text begins and ends."""
    at = _after_blank(text, _after_blank(text, at) + 1)
    while text[at] != "]":
        stop = end(text, at)
        yield at, stop
        at = _after_comma(text, stop)


def _after_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    assert blank is not None, "it matches everywhere"
    return blank.end()


def _after_comma(text: str, at: int) -> int:
    """The place of the next member or item, or that of the bracket which ends them."""
    at = _after_blank(text, at)
    return _after_blank(text, at + 1) if text[at] == "," else at


def end(text: str, at: int) -> int:
    """Where the value ends that begins at `at`, or after blanks there, in a valid JSON text."""
    found: int = _scan(text, _after_blank(text, at))[1]
    return found


_scan = json.JSONDecoder(parse_float=str, parse_int=str).scan_once  # type: ignore[attr-defined]


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


class _HoldsText(Exception):
    """There is a `JsonText` in a value that is written."""


def _refuse(value: object) -> Json:
    if isinstance(value, JsonText):
        raise _HoldsText
    raise TypeError(f"{type(value).__name__} is no JSON")


Encode = Callable[[Json], str]

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_refuse).encode
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_refuse).encode


def dumps(value: Json) -> str:
    """Compact JSON, each `JsonText` as it stands."""
    return _written(value, _COMPACT)


def canonical(value: Json) -> str:
    """The same, with the members of objects sorted by name; those within a `JsonText` stay as they are."""
    return _written(value, _SORTED)


def _written(value: Json, encode: Encode) -> str:
    """Parts without a `JsonText` are written by the C encoder."""
    if isinstance(value, JsonText):
        return value.text
    try:
        return encode(value)
    except _HoldsText:
        pass
    if isinstance(value, dict):
        pairs = sorted(value.items()) if encode is _SORTED else value.items()
        return "{" + ",".join(f"{encode(str(name))}:{_written(item, encode)}" for name, item in pairs) + "}"
    return "[" + ",".join(_written(item, encode) for item in value) + "]"


def as_doubles(value: Json) -> Json:
    """The value as `json.loads` alone has it: numbers rounded to doubles."""
    return json.loads(dumps(value))
