"""Judge: did what came back meet the expectation? Pure. Every rule given must hold; the first broken one is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from chalicelib import json_text
from chalicelib.charset import decode
from chalicelib.delivery.regex_search import is_found
from chalicelib.errors import Kind, SendFailed
from chalicelib.expect import REGEX_SECONDS, json_path, status_matches, unexpected_status
from chalicelib.json_text import JsonText
from chalicelib.ports import Reply
from chalicelib.shape import escaped, too_deep
from chalicelib.task import Expectation, Json, Verdict

SHOWN = 120
"""Characters of a value that a reason quotes, at most."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with, when it failed, the kind of failure and the rule that did not hold."""

    verdict: Verdict
    kind: str | None = None
    reason: str | None = None


def judge(expect: Expectation, reply: Reply) -> Judgement:
    """The verdict on a reply."""
    reason = next(broken_rules(expect, reply), None)
    if reason is None:
        return Judgement(Verdict.DELIVERED)
    return Judgement(Verdict.FAILED, Kind.REPLY, reason)


def no_reply(failure: SendFailed) -> Judgement:
    """The verdict when no reply came."""
    return Judgement(Verdict.FAILED, failure.kind, failure.detail)


def broken_rules(expect: Expectation, reply: Reply) -> Iterator[str]:
    """Each rule that does not hold, in one sentence; none when the reply is as expected."""
    if not status_matches(reply.status, expect.status):
        yield unexpected_status(reply.status, expect.status, reply.headers.get("location"))
    if expect.contains is None and expect.equals is None and expect.regex is None and not expect.json:
        return
    if reply.undecoded:
        yield reply.undecoded
        return
    text = text_of(reply)
    if expect.contains is not None and expect.contains not in text:
        yield f"body does not contain {_quoted(expect.contains)}"
    if expect.equals is not None and text != expect.equals:
        yield f"body is not {_quoted(expect.equals)}"
    if expect.regex is not None:
        yield from _broken_regex(expect.regex, text)
    if expect.json:
        yield from _broken_json(expect.json, text)


def text_of(reply: Reply) -> str:
    """The body as text, by the charset that the reply names (`charset.py`)."""
    return decode(reply.body, reply.headers.get("content-type", ""))


def excerpt(reply: Reply, limit: int) -> tuple[str, int]:
    """The beginning of the body as text that takes at most `limit` bytes, and how many all of it would. In UTF-8."""
    whole = text_of(reply).encode()
    return whole[:limit].decode(errors="ignore"), len(whole)


def _quoted(value: Json) -> str:
    text = escaped(json_text.dumps(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _broken_regex(pattern: str, text: str) -> Iterator[str]:
    try:
        if not is_found(pattern, text):
            yield f"body does not match {_quoted(pattern)}"
    except TimeoutError:
        yield f"regex {_quoted(pattern)} took longer than {REGEX_SECONDS} s on this body"
    except ValueError as error:  # it was taken once, by another version of the library or of us
        yield f"regex {_quoted(pattern)} {error}"


def _broken_json(wanted: Mapping[str, Json], text: str) -> Iterator[str]:
    try:
        document = json_text.loads(text)
    except (ValueError, RecursionError):
        yield f"body is not JSON, so {next(iter(wanted))} cannot be looked up"
        return
    if too_deep(document):
        yield f"body is nested too deep, so {next(iter(wanted))} cannot be looked up"
        return
    for path, value in wanted.items():
        try:
            found = _look_up(document, path)
        except LookupError:
            yield f"{path} is missing"
            continue
        if not same(found, value):
            yield f"{path} is {_quoted(found)}, not {_quoted(value)}"


def _look_up(document: Json, path: str) -> Json:
    for step in json_path(path):
        fits = isinstance(document, dict) if isinstance(step, str) else isinstance(document, list)
        if not fits:
            raise KeyError(step)
        document = document[step]
    return document


def same(one: Json, other: Json) -> bool:
    """Equality as JSON has it: 1 is 1.0 and 1.00, true is not 1, and no number is rounded."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS):
        return _decimal(one) == _decimal(other)
    return bool(one == other)


_NUMBERS = (int, float, JsonText)


def _decimal(number: float | JsonText) -> Decimal | str:
    """The number itself; as its text, where its exponent is beyond all decimals."""
    text = number.text if isinstance(number, JsonText) else repr(number)
    try:
        return Decimal(text)
    except InvalidOperation:
        return text
