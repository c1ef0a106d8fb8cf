"""Write docs/reference.md from the code: routes, fields, statuses, error codes, settings, presets.

python -m infra.reference          writes it
python -m infra.reference --check  fails when it is not what the code says
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from chalicelib import api, errors, show
from chalicelib.admin import (
    BREAKER,
    CALLER,
    CHANNEL,
    OPERATOR,
    OPERATOR_CHANGES,
    PREVIEW,
    RESEND,
    RESENT_BY,
    SIGNING_SECRET,
    TARGET,
)
from chalicelib.notify.channels import KINDS
from chalicelib.notify.message import VARIABLES
from chalicelib.predecessor import BEAN, LOG, ROW
from chalicelib.presets import PRESETS
from chalicelib.settings import SETTINGS
from chalicelib.shape import Field, ListOf, MapOf, OrNull, Record, Shape, Shown
from chalicelib.submission import BATCH_SIZE, DEFAULT_RETRY, EXPECT, OVERRIDES, RETRY, TASK
from chalicelib.task import Event, Held, NoticeStatus, ResendStatus, Right, Role, Status, Verdict

PATH = Path(__file__).parent.parent / "docs" / "reference.md"


def reference() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Written by `python -m infra.reference` from the code; a test fails when it is out of date."
    yield "A running kkbida serves the same, for programs, at `/openapi.json` (OpenAPI 3.1)."
    for part in (_asked, _tasks_taken, _channels_taken, _people_taken, _answered, _words_used):
        yield from part()


def _asked() -> Iterator[str]:
    yield from _section("Routes", ("method", "path", "what it does", "right", "answers", "refuses with"), _routes())
    yield from _section("Parameters", ("route", "parameter", "form", "meaning"), _parameters())


def _tasks_taken() -> Iterator[str]:
    yield from _section("A task, as submitted", ("field", "form", "meaning"), _fields(TASK))
    yield from _section("`expect`", ("field", "form", "meaning"), _fields(EXPECT))
    yield from _section("`retry`", ("field", "form", "meaning"), _fields(RETRY))
    yield ""
    yield f"Without `retry` it is `{json.dumps(DEFAULT_RETRY)}`."
    yield from _section("Presets", ("preset", "waits in seconds"), _presets())
    yield ""
    yield f"A resend may change {', '.join(f'`{name}`' for name in OVERRIDES.fields)}."
    yield ""
    yield f'A batch is `{{"tasks": [...]}}`, 1 to {BATCH_SIZE} of these, each with its `idempotency_key` if it has one.'
    yield ""
    yield "[How retries wait](retries.md), [how later and ordered tasks go](order.md), [what targets take](targets.md)."
    yield from _section("A bulk resend, as submitted", ("field", "form", "meaning"), _fields(RESEND))
    yield from _section("Its `filter`", ("field", "form", "meaning"), _fields(RESENT_BY))
    yield from _section("What is set of a target, as submitted", ("field", "form", "meaning"), _fields(TARGET))
    yield ""
    yield "A member that is left out stays as it is; one that is null is taken away."
    yield from _section("Its `breaker`", ("field", "form", "meaning"), _fields(BREAKER))


def _channels_taken() -> Iterator[str]:
    yield from _section("A channel, as submitted", ("field", "form", "meaning"), _fields(CHANNEL))
    yield ""
    yield f"A preview takes {', '.join(f'`{name}`' for name in PREVIEW.fields)} of these."
    yield ""
    yield f"A template's variables: {', '.join(f'`${{{name}}}`' for name in VARIABLES)}. Without one:"
    yield from _section("What a channel says by itself of one task", ("kind", "template"), _templates())


def _people_taken() -> Iterator[str]:
    yield from _section("A caller, as submitted", ("field", "form", "meaning"), _fields(CALLER))
    yield from _section("An operator, as submitted", ("field", "form", "meaning"), _fields(OPERATOR))
    yield from _section("What is changed of an operator", ("field", "form", "meaning"), _fields(OPERATOR_CHANGES))
    yield from _section("A login, as submitted", ("field", "form", "meaning"), _fields(api.LOGIN))
    yield from _section("A change of one's own password", ("field", "form", "meaning"), _fields(api.NEW_PASSWORD))
    for title, record in PREDECESSOR.items():
        yield from _section(title, ("field", "form", "meaning"), _fields(record))
    yield from _section("A signing secret, as submitted", ("field", "form", "meaning"), _fields(SIGNING_SECRET))


def _answered() -> Iterator[str]:
    for shown in _shown():
        yield from _section(f"`{shown.name}`, as answered", ("member", "form", "meaning"), _members(shown))


def _words_used() -> Iterator[str]:
    yield from _section("Rights", ("right", "what one may do"), _words(Right))
    yield from _section("Roles of operators", ("role", "what it may do"), _words(Role))
    yield from _section("Status of a task", ("status", "meaning"), _words(Status))
    yield from _section("Why a task is held", ("held", "meaning"), _words(Held))
    yield from _section("Verdict on an attempt", ("verdict", "meaning"), _words(Verdict))
    yield from _section("Kind of a failed attempt", ("kind", "meaning"), _words(errors.Kind))
    yield from _section("What a channel may be told of", ("event", "meaning"), _words(Event))
    yield from _section("Status of a notice", ("status", "meaning"), _words(NoticeStatus))
    yield from _section("Status of a bulk resend", ("status", "meaning"), _words(ResendStatus))
    yield from _section("Error codes", ("status", "code", "when"), _codes())
    yield from _section("Settings", ("variable", "default", "meaning"), _settings())


PREDECESSOR = {
    "A task of the predecessor's clients, as submitted": BEAN,
    "A row of its callback_task, as imported": ROW,
    "A row of its call_back_log, as imported": LOG,
}


def _templates() -> Iterator[Sequence[str]]:
    for name, kind in KINDS.items():
        yield f"`{name}`", f"`{kind.wrap(kind.words.alone)}`"


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield _row(columns)
    yield _row(["---"] * len(columns))
    yield from map(_row, rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _first_sentence(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())


def _routes() -> Iterator[Sequence[str]]:
    for route in api.ROUTES.values():
        given = ", ".join(str(gives.status) for gives in (route.gives, *route.also))
        refused = ", ".join(str(refusal.status) for refusal in route.refusals)
        yield (
            f"`{route.method}`",
            f"`{route.path}`",
            route.about,
            f"`{route.right}`" if route.right else "open to all" if route.is_open else "none, but known",
            given,
            refused,
        )


def _parameters() -> Iterator[Sequence[str]]:
    for route in api.ROUTES.values():
        for name, field in (*route.query.items(), *route.headers.items()):
            yield f"`{route.method} {route.path}`", f"`{name}`", _form(field), field.help


def _fields(record: Record) -> Iterator[Sequence[str]]:
    for name, field in record.fields.items():
        yield f"`{name}`", _form(field), field.help


def _shown() -> Iterable[Shown]:
    """Everything with a name that answers are made of."""
    answers = [gives.shape for route in api.ROUTES.values() for gives in (route.gives, *route.also)]
    return {it.name: it for shape in (*answers, show.PROBLEM) for it in _named(shape)}.values()


def _named(shape: Shape | None) -> Iterator[Shown]:
    """The shapes with a name in a shape, itself included."""
    if isinstance(shape, Shown):
        yield shape
        for field in {**shape.fields, **shape.sometimes}.values():
            yield from _named(field.shape)
    elif isinstance(shape, ListOf | MapOf | OrNull):
        yield from _named(shape.shape)


def _members(shown: Shown) -> Iterator[Sequence[str]]:
    """Its members; a whole task's but for those of any task."""
    for name, field in {**shown.fields, **shown.sometimes}.items():
        if shown is not show.WHOLE or name not in show.HEADLINE.fields:
            yield f"`{name}`", field.shape.form() + (", sometimes" if name in shown.sometimes else ""), field.help


def _form(field: Field) -> str:
    unless_said = f", {json.dumps(field.default)} unless said" if field.default is not None else ""
    return f"{field.shape.form()}{', required' if field.required else ''}{unless_said}"


def _presets() -> Iterator[Sequence[str]]:
    for name, preset in PRESETS.items():
        waits = preset.get("schedule")
        told = ", ".join(map(str, waits)) if waits else f"{preset['initial']}, until `max_attempts`"
        more = "".join(f"; {key} {json.dumps(preset[key])}" for key in ("jitter", "expect") if preset.get(key))
        yield f"`{name}`", told + more


def _words(words: type[StrEnum]) -> Iterator[Sequence[str]]:
    """Each word with the comment that stands beside its definition."""
    for value, told in re.findall(r'= "([a-z_]+)"  # (.+)', inspect.getsource(words)):
        yield f"`{value}`", told


def _codes() -> Iterator[Sequence[str]]:
    below = list(errors.kinds_of(errors.Refusal))[1:]
    for refusal in sorted(below, key=lambda it: (it.status, it.code)):
        yield str(refusal.status), f"`{refusal.code}`", _first_sentence(refusal.__doc__)


def _settings() -> Iterator[Sequence[str]]:
    for setting in SETTINGS:
        yield f"`{setting.variable}`", f"`{setting.default}`" if setting.default else "", setting.help


def main(arguments: Sequence[str]) -> int:
    """Write the page, or compare it."""
    if "--check" in arguments:
        if PATH.read_text() == reference():
            return 0
        print("docs/reference.md is out of date: run python -m infra.reference", file=sys.stderr)
        return 1
    PATH.write_text(reference())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
