"""The nouns as plain dicts and as JSON text, and back: the one form that every store keeps them in.

A field that holds its default is left out: a row stays small, and an old row can still be read when a
field was added since. A key that no field has is passed over, so that a newer row can be read as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from chalicelib import json_text, log
from chalicelib.json_text import JsonText
from chalicelib.ledger import Ledger, Recount
from chalicelib.task import (
    Attempt,
    Audit,
    Breaker,
    Caller,
    Channel,
    Desk,
    Expectation,
    Gate,
    Gist,
    Json,
    Mention,
    Notice,
    Operator,
    Policy,
    Request,
    Resend,
    Robot,
    Session,
    SigningSecret,
    Target,
    Task,
    Tries,
)

Record = (
    Task
    | Request
    | Expectation
    | Policy
    | Attempt
    | Notice
    | Channel
    | Resend
    | SigningSecret
    | Caller
    | Operator
    | Session
    | Tries
    | Target
    | Breaker
    | Gate
    | Mention
    | Gist
    | Notice
    | Desk
    | Robot
    | Channel
    | Audit
    | Ledger
    | Recount
)
R = TypeVar("R", bound=Record)
A = TypeVar("A")
B = TypeVar("B")

MOST_CURSOR = 200
"""Characters of a cursor, at most: a place in the list is a moment and a task's id."""


def pack(record: Record) -> dict[str, Json]:
    """The record as a dict that `json.dumps` takes; fields that hold their default are left out."""
    packed = {}
    for name, default, is_record in _OUTWARD[type(record)]:
        value = getattr(record, name)
        if value != default:
            packed[name] = pack(value) if is_record and value is not None else value
    return packed


def unpack(kind: type[R], packed: dict[str, Json]) -> R:
    """The record that `pack` made `packed` of, whether or not it has been through JSON since."""
    inward = _INWARD[kind]
    return kind(**{name: inward[name](value) for name, value in packed.items() if name in inward})


def to_json(record: Record) -> str:
    """The record as compact JSON."""
    return dumps(pack(record))


def from_json(kind: type[R], text: str) -> R:
    """The record that `to_json` made `text` of."""
    return unpack(kind, packed_request(text) if kind is Request else json.loads(text))


def packed_request(text: str) -> dict[str, Json]:
    """What `pack` made of a Request, from its text. A body that is no string has the text that stands there."""
    packed: dict[str, Json] = json_text.loads(text)
    if not isinstance(packed.get("body"), str | None):
        packed["body"] = next(
            JsonText(text[start:end]) for name, start, end in json_text.members(text) if name == "body"
        )
    return packed


def readable(read: Callable[[A], B], rows: Iterable[tuple[str, A]]) -> Iterator[B]:
    """What `read` makes of each row, given with its task's id. One that it fails on is logged and passed over.

    A row may be broken, or of a release that has been rolled back: the other tasks must not wait for it.
    """
    for task_id, row in rows:
        try:
            record = read(row)
        except Exception:  # noqa: BLE001 - as the docstring says; it is logged
            log.failure("row.unreadable", task_id=task_id)
        else:
            yield record


def dumps(value: Json) -> str:
    """Compact JSON that can be stored as UTF-8; it reads back as the very same value.

    Text stays as it is (three bytes for a Chinese character, not six), but for halves of surrogate pairs, which JSON
    allows and UTF-8 does not: these are escaped. They can stand in strings only.
    """
    text = json_text.dumps(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return text


_HALF_PAIR = re.compile("[\ud800-\udfff]")


# ── how each field is written and read, worked out once from its type ────────────────────────────


def _outward(kind: type[Record]) -> tuple[tuple[str, Any, bool], ...]:
    """Of each field: its name, its default (MISSING: none) and whether it holds a record itself."""
    hints = get_type_hints(kind)
    return tuple((field.name, _default(field), is_dataclass(_core(hints[field.name]))) for field in fields(kind))


def _inward(kind: type[Record]) -> dict[str, Callable[[Any], Any]]:
    """Of each field, by name: what makes its value of what JSON holds."""
    return {name: _reader(_core(hint)) for name, hint in get_type_hints(kind).items()}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _core(hint: Any) -> Any:
    """The type without its `| None`."""
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next(part for part in parts if part is not NoneType)


def _reader(core: Any) -> Callable[[Any], Any]:
    if is_dataclass(core):
        return lambda value: None if value is None else unpack(cast("type[Record]", core), value)
    if isinstance(core, type) and issubclass(core, Enum):
        return lambda value: None if value is None else core(value)
    return tuple if get_origin(core) is tuple else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


_OUTWARD = {kind: _outward(kind) for kind in get_args(Record)}
_INWARD = {kind: _inward(kind) for kind in get_args(Record)}
