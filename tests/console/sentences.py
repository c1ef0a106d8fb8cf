"""Every sentence of the server that the console may have to show, as its sources make it: `{}` where a value stands.

Read from the syntax, not from replies: so a sentence that no test provokes is found too. What is said in a way that
cannot be read here is an error, and not passed over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from chalicelib import address, database_file, errors, settings, shape, show

PRODUCT = Path(errors.__file__).parent

FOR_MACHINES = {"SignatureIncomplete", "SignatureStale", "SignatureWrong", "DigestWrong", "Replayed", "WrongNetwork"}
"""Refusals of requests that are signed, or come from clients of the predecessor. The console has a session."""

REFUSALS = {it.__name__ for it in errors.kinds_of(errors.Refusal)} - FOR_MACHINES

PLACE: Mapping[str, int] = {
    "SendFailed": 1,
    "Fault": 1,
    "Sent": 1,
    "GiveUp": 0,
    "InvalidReply": 0,
    "ReplyTooLarge": 0,
    **dict.fromkeys(REFUSALS, 0),
}
"""Which argument of a call is a sentence."""

NAMED = {"reason", "because"}
"""Arguments, members and variables that are sentences by their name."""

TELL = {
    *("broken_rules", "_broken_regex", "_broken_json", "_bad_status", "_bad_code", "_not_ok"),
    *("_unlisted", "all_used", "password_fault", "name_fault", "template_faults", "_json_faults", "forbidden"),
    *(
        "unexpected_status",
        "certificate_failure",
        "tls_failure",
        "ended",
        "_handshake_failure",
        "progress",
        "not_decoded",
    ),
}
"""Functions that return or yield sentences."""

VALUE_ERRORS = {"shape.py", "expect.py", "message.py", "url.py"}
"""Modules whose ValueErrors are told to people."""

NOT_SHOWN = {"predecessor.py": {"Fault"}, "importing.py": REFUSALS}
"""What is told to clients of the predecessor, and to who imports by the command line."""

MADE_ELSEWHERE = {
    *("str(error)", "objection", "fault", "detail", "reason", "because", "sentence"),
    "reply.undecoded",
    *(
        "_because(target.breaker, moved)",
        "PASSING[sqlite3.SQLITE_CANTOPEN]",
        "PASSING[sqlite3.SQLITE_BUSY]",
        "self._sentence",
        "part.sentence",
        "DAMAGED",
        "PASSING.get(code & 255)",
        "channels.refusal(channel, reply)",
    ),
    "next((why for network, why in REFUSED if reached in network), None) or _unlisted(reached)",
} | {
    f"{it}.{what}"
    for what, several in {
        "detail": ("failure", "refused", "fault", "refusal"),
        "reason": ("attempt", "judgement", "notice", "sent"),
        "because": ("next_step", "task", "row", "news"),
    }.items()
    for it in several
}
"""Expressions that pass on what another place says."""


def sentences() -> dict[str, str]:
    """Each sentence, and where it is said."""
    found = {it.help: "settings.py" for it in settings.SETTINGS}
    found |= {why: "address.py" for _, why in address.REFUSED}
    unusable = (database_file.DAMAGED, database_file.FILE_GONE, database_file.LOG_GONE)
    found |= dict.fromkeys((*database_file.PASSING.values(), *unusable), "database_file.py")
    found |= dict.fromkeys(map(shape.name_of, (None, "", True, 0, {}, [])), "shape.py")
    found |= {_of_many_faults(): "show.py"}
    for path in sorted(PRODUCT.rglob("*.py")):
        for said, bodies in _said(path):
            found |= dict.fromkeys(_read(said, bodies, path), f"{path.name}:{said.lineno}")
    return found


def _of_many_faults() -> str:
    faults = (errors.Fault("", ""),) * (show.MOST_FAULTS + 1)
    return str(show.problem(errors.InvalidRequest(faults=faults))["detail"]).replace(str(len(faults)), "{}")


def _said(path: Path) -> Iterator[tuple[ast.expr, Sequence[ast.AST]]]:
    """Each expression that is a sentence, and the bodies in which its names get their texts, the nearest first."""
    module = ast.parse(path.read_text())
    for body in (module, *(it for it in ast.walk(module) if isinstance(it, ast.FunctionDef))):
        for node in _own(body):
            yield from ((said, (body, module)) for said in _sentences_of(node, body, path.name))


def _own(body: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a body without those of the functions in it."""
    for node in ast.iter_child_nodes(body):
        if not isinstance(node, ast.FunctionDef):
            yield node
            yield from _own(node)


def _sentences_of(node: ast.AST, body: ast.AST, module: str) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            place = 0 if name == "ValueError" and module in VALUE_ERRORS else PLACE.get(name)
            if place is not None and place < len(args) and name not in NOT_SHOWN.get(module, ()):
                yield args[place]
            yield from (it.value for it in keywords if it.arg in NAMED)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.JoinedStr() | ast.IfExp() as said) if name in NAMED:
            yield said
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            yield from (it for key, it in pairs if _is_named(key) and isinstance(it, ast.JoinedStr | ast.IfExp))
        case ast.Return(value=ast.expr() as said) | ast.Yield(value=ast.expr() as said):
            if isinstance(body, ast.FunctionDef) and body.name in TELL:
                yield said


def _is_named(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value in NAMED


def _read(said: ast.expr, bodies: Sequence[ast.AST], path: Path) -> list[str]:
    """The texts that an expression may be; none when another place makes it. Raises LookupError."""
    match said:
        case ast.Constant(value=str() | None as text):
            return [] if text is None else [text]
        case ast.JoinedStr(values=parts):
            return ["".join(texts) for texts in product(*(_part(it, bodies, path) for it in parts))]
        case ast.IfExp(body=one, orelse=other):
            return [*_read(one, bodies, path), *_read(other, bodies, path)]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in TELL:
            return []
        case ast.Name(id=name) if made := _made(name, bodies):
            return [text for it in made for text in _read(it, bodies, path)]
    if ast.unparse(said) in MADE_ELSEWHERE:
        return []
    raise LookupError(f"{path.name}:{said.lineno}: what does {ast.unparse(said)} say?")


def _part(part: ast.expr, bodies: Sequence[ast.AST], path: Path) -> list[str]:
    """A part of a text: as it stands, in each of the words that it may be, or `{}` for a value."""
    match part:
        case ast.FormattedValue(value=ast.Name() as value):
            return _words(value, bodies, path)
        case ast.FormattedValue(value=ast.IfExp(body=one, orelse=other)):
            return [*_words(one, bodies, path), *_words(other, bodies, path)]
        case ast.Constant(value=text):
            return [str(text)]
    return ["{}"]


def _words(value: ast.expr, bodies: Sequence[ast.AST], path: Path) -> list[str]:
    try:
        return _read(value, bodies, path) or ["{}"]
    except LookupError:
        return ["{}"]


def _made(name: str, bodies: Sequence[ast.AST]) -> list[ast.expr]:
    """What the nearest body that gives it something makes a name of."""
    for body in bodies:
        found = [it.value for it in _own(body) if isinstance(it, ast.Assign) and _gives(it, name)]
        if found:
            return found
    return []


def _gives(assignment: ast.Assign, name: str) -> bool:
    return any(isinstance(it, ast.Name) and it.id == name for it in assignment.targets)
