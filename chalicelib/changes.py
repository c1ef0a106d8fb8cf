"""What an action has changed, as the audit trail tells it: of each field the value before and after. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chalicelib.records import dumps
from chalicelib.task import Json

MAX_VALUE_CHARACTERS = 500
"""Characters of a value in JSON that are shown: an entry must stay small, and bodies and templates need not."""


def changes(
    before: Mapping[str, Json], after: Mapping[str, Json], shown: Callable[[str, Json], Json] | None = None
) -> dict[str, Json]:
    """`{"changes": {field: {"from": value, "to": value}}}` of the fields that differ. `shown` masks what is secret."""
    mask = shown or _as_it_is
    differ = [name for name in after if before.get(name) != after[name]]
    found = {name: {"from": _cut(mask(name, before.get(name))), "to": _cut(mask(name, after[name]))} for name in differ}
    return {"changes": found}


def made(members: Mapping[str, Json], shown: Callable[[str, Json], Json] | None = None) -> dict[str, Json]:
    """The members of something that is made or removed, as they are shown; without those that are empty."""
    mask = shown or _as_it_is
    return {name: _cut(mask(name, value)) for name, value in members.items() if value not in (None, "", (), [], {})}


def _as_it_is(_name: str, value: Json) -> Json:
    return value


def _cut(value: Json) -> Json:
    """The value, or the beginning of its text."""
    text = value if isinstance(value, str) else dumps(value)
    return value if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"
