"""JSON that is sent exactly as it was written: every number, every space, the order and the spelling of its members.

Python's `json` reads `10.00` as `10.0`, and cannot hold `12345678901234567890.5` in a float. `RawJson` keeps the text.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

TOO_DEEP = "it is nested too deeply"


@dataclass(frozen=True)
class RawJson:
    """A JSON value by its text, wherever a `Task` takes JSON: `Task(url, body=RawJson('{"amount": 10.00}'))`.

    Raises ValueError when the text is no JSON (RFC 8259). `NaN` and `Infinity` are none.
    """

    text: str

    def __post_init__(self) -> None:
        """Check the text."""
        read(self.text, number=_unread)


def _unread(text: str) -> str:
    """A number that nobody needs: its digits stay text, however many there are."""
    return text


def read(text: str, *, number: Callable[[str], Any]) -> Any:
    """The value in a JSON text; `number` makes something of the text of each number. Raises ValueError."""
    text.encode()  # a lone surrogate is no character of any text
    try:
        return json.loads(text, parse_float=number, parse_int=number, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def members(text: str) -> dict[str, RawJson]:
    """The members of a JSON object, each by the text of its value. Raises ValueError, for a repeated name too."""
    if not isinstance(read(text, number=_unread), dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - it is the text that is wrong
    decoder = json.JSONDecoder(parse_float=_unread, parse_int=_unread)
    found: dict[str, RawJson] = {}
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        begins = _after_space(text, _after_space(text, at) + 1)
        _, at = decoder.raw_decode(text, begins)
        if name in found:
            raise ValueError(f"it has {name!r} twice")
        found[name] = RawJson(text[begins:at])
        at = _after_space(text, at)
        at = _after_space(text, at + 1) if text[at] == "," else at
    return found


_SPACE = re.compile(r"[ \t\n\r]*")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


class ExactFloat(float):
    """A number of an answer by its text: it counts as the nearest float, and is written as it came."""

    text: str

    def __new__(cls, text: str) -> Self:
        """The number in a JSON text."""
        made = super().__new__(cls, text)
        made.text = text
        return made


MAX_INT_DIGITS = 1000
"""Python reads integers of up to 4300 digits; longer ones are no less exact as `ExactFloat`."""


def exact_int(text: str) -> int | ExactFloat:
    """The integer in a JSON text, however many digits it has."""
    return int(text) if len(text) <= MAX_INT_DIGITS else ExactFloat(text)


def _exact(value: Any) -> Any:
    """The value, with raw texts for the numbers that came as such."""
    if isinstance(value, dict):
        return {name: _exact(it) for name, it in value.items()}
    if isinstance(value, list):
        return [_exact(it) for it in value]
    return RawJson(value.text) if isinstance(value, ExactFloat) else value


def shown(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """An answer, or a part of one, as JSON text, in which each number is written as it came."""
    return _dumped(_exact(value), indent=indent, ensure_ascii=ascii_only, allow_nan=True)


def written(value: Any) -> bytes:
    """A value as JSON in UTF-8. `RawJson` keeps its text, and a `Decimal` its digits.

    Raises ValueError or TypeError for what JSON has not: NaN, infinities, lone surrogates, objects of other types.
    """
    try:
        return _dumped(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def _dumped(value: Any, **how: Any) -> str:
    raw: dict[str, str] = {}

    def marked(other: Any) -> str:
        mark = f"raw:{secrets.token_hex(16)}"
        raw[mark] = _text_of(other)
        return mark

    text = json.dumps(value, default=marked, **how)
    return _MARK.sub(lambda found: raw.get(found[1], found[0]), text) if raw else text


_MARK = re.compile(r'"(raw:[0-9a-f]{32})"')
"""What stands for a raw text until all else is written. Chance makes it: no text that is sent can hold one."""


def _text_of(value: Any) -> str:
    if isinstance(value, RawJson):
        return value.text
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no JSON")
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")
