"""A task as submitted: what it may hold, and how it becomes a Request. Pure but for vetting the URL.

All faults of a submission are found in one go: those of its shape (`shape.py`), then those that the shape
alone cannot show: URLs, headers, patterns, retry rules that contradict each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.errors import Fault, InvalidRequest, SendFailed, TooLarge
from chalicelib.expect import bounded_regex, json_path, status_range
from chalicelib.ports import Http
from chalicelib.presets import PRESETS
from chalicelib.records import to_json
from chalicelib.settings import Settings
from chalicelib.shape import Anything, AsWritten, Field, ListOf, MapOf, Number, Record, Text, Time, child, seconds
from chalicelib.show import HIDDEN, is_secret
from chalicelib.task import CONTINUE, HOLD, Expectation, Json, Policy, Request, evolve, target_of
from chalicelib.url import parse_url

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MOST_ATTEMPTS = 100
MOST_WAIT = 7 * 86_400
"""Seconds between two tries, at most."""
MOST_DEADLINE = 30 * 86_400
"""Seconds: no round lasts longer, whether its policy says so or not."""
MOST_AHEAD = 366 * 86_400
"""Seconds by which the first try may be put off: a year."""

STATUS = Text(least=1, most=20)
WAIT = Number(least=0, most=MOST_WAIT)

EXPECT = Record(
    name="Expect",
    fields={
        "status": Field(
            shape=ListOf(shape=STATUS, least=1, most=50), help="Statuses that count: 200, 2xx, 200-299, !204."
        ),
        "contains": Field(shape=Text(least=1, most=10_000), help="Text that the reply's body must contain."),
        "equals": Field(shape=Text(most=10_000), help="Text that the reply's body must be."),
        "regex": Field(shape=Text(least=1, most=1000), help="Pattern that must be found in the reply's body."),
        "json": Field(
            shape=MapOf(shape=Anything(), most=20, longest=200),
            help="JSON path -> the value that must stand there in the reply.",
        ),
    },
)

RETRY = Record(
    name="Retry",
    fields={
        "preset": Field(shape=Text(most=40, choices=tuple(PRESETS)), help="A well-known platform's waits."),
        "max_attempts": Field(
            shape=Number(least=1, most=MOST_ATTEMPTS, whole=True), help="Tries in a round, the first one included."
        ),
        "backoff": Field(shape=Text(most=20, choices=("exponential", "fixed", "schedule")), help="How the waits grow."),
        "initial": Field(shape=WAIT, help="Seconds of the first wait (fixed: of each)."),
        "factor": Field(shape=Number(least=1, most=100), help="By which each wait is longer than the one before."),
        "cap": Field(shape=WAIT, help="Seconds that no wait exceeds, jitter aside."),
        "jitter": Field(shape=Number(least=0, most=1), help="Share by which a wait may be shorter or longer."),
        "schedule": Field(
            shape=ListOf(shape=WAIT, least=1, most=MOST_ATTEMPTS - 1), help="Seconds between the tries, one by one."
        ),
        "give_up_on": Field(
            shape=ListOf(shape=STATUS, most=50), help="Statuses of a reply that end the round at once."
        ),
        "deadline": Field(
            shape=Number(least=1, most=MOST_DEADLINE), help="Seconds after which no try of the round begins."
        ),
    },
)

HEADERS = MapOf(shape=Text(most=8000), most=100, longest=200)
NAME = Text(least=1, most=100)

TASK_FIELDS: Mapping[str, Field] = {
    "url": Field(shape=Text(least=1, most=4000), help="Where the request goes: http or https.", required=True),
    "method": Field(shape=Text(most=10, choices=METHODS), help="The HTTP method; POST unless said."),
    "headers": Field(shape=HEADERS, help="Headers to send."),
    "params": Field(
        shape=MapOf(shape=Anything(), most=1000, longest=1000),
        help="The query of a GET, HEAD or DELETE or beside a body; else the body.",
    ),
    "body": Field(shape=AsWritten(), help="A string is sent as it is, any other value as the JSON that stands here."),
    "content_type": Field(
        shape=Text(least=1, most=200), help="Of the body; unless said, text/plain for a string, else application/json."
    ),
    "expect": Field(shape=EXPECT, help="What the reply must be; a 2xx status unless said."),
    "retry": Field(shape=RETRY, help="How often and when to try again."),
    "timeout": Field(shape=Number(least=0.1, most=300), help="Seconds that one attempt may last in all."),
    "delay": Field(shape=Number(least=0, most=MOST_AHEAD), help="Seconds to wait before the first try."),
    "deliver_at": Field(
        shape=Time(), help="When the first try is made, instead of a delay; a moment that is over means at once."
    ),
    "source_app": Field(shape=NAME, help="The app that the task comes from."),
    "target_app": Field(shape=NAME, help="The app that the task goes to."),
    "ordering_key": Field(
        shape=Text(least=1, most=200), help="Your tasks with the same key are delivered one after another."
    ),
    "on_exhausted": Field(
        shape=Text(choices=(CONTINUE, HOLD)),
        help="Once it has no try left: those behind it continue (unless said), or it goes on to hold them.",
    ),
    "labels": Field(shape=MapOf(shape=Text(most=500), most=20, longest=200), help="Names and values of your own."),
}
TASK = Record(
    name="NewTask",
    fields=TASK_FIELDS,
    example={
        "url": "https://partner.example/callback",
        "body": {"order": 42, "paid": True},
        "expect": {"status": ["2xx"], "contains": "success"},
        "retry": {"schedule": [15, 15, 30, 180]},
        "source_app": "orders",
        "target_app": "billing",
    },
)

BATCH_SIZE = 100
"""Tasks in a batch, at most."""

KEY = Text(least=1, most=255, visible=True)

BATCHED = Record(
    name="BatchedTask",
    fields={**TASK_FIELDS, "idempotency_key": Field(shape=KEY, help="As the header of that name, for this task.")},
)
BATCH = Record(
    name="Batch",
    fields={"tasks": Field(shape=ListOf(shape=BATCHED, least=1, most=BATCH_SIZE), help="In any order.", required=True)},
)
ANY_BATCH = Record(
    name="Batch",
    fields={"tasks": evolve(BATCH.fields["tasks"], shape=ListOf(shape=Anything(), least=1, most=BATCH_SIZE))},
)
"""A batch whose tasks are looked at one by one: what is wrong with one is no matter of the others."""

OVERRIDES = Record(
    name="Changes",
    fields={
        name: evolve(TASK_FIELDS[name], required=False) for name in ("url", "headers", "body", "content_type", "retry")
    },
)
"""What a resend may change."""

DEFAULT_RETRY: Mapping[str, Json] = {
    "backoff": "exponential", "initial": 5, "factor": 3, "cap": 21_600, "jitter": 0.2, "max_attempts": 12
}  # fmt: skip
"""About 22 hours: 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h, then every 6 h."""


def read(submitted: Json, settings: Settings, http: Http, now: float, *, shape: Record = TASK) -> Request:
    """The request that was submitted, alone or (`BATCHED`) with others. Raises InvalidRequest with every fault."""
    return _fitting(_request(_checked(shape, submitted, {}, settings, http, now=now), settings))


def due_at(submitted: Mapping[str, Json], now: float) -> float:
    """When the first try of a task that `read` has taken is due."""
    members = _given(submitted)
    return max(now, seconds(members["deliver_at"]) if "deliver_at" in members else now + members.get("delay", 0))


def override(request: Request, changes: Json, settings: Settings, http: Http) -> Request:
    """`request` with the parts that `changes` names put in their place. Raises InvalidRequest with every fault.

    To another origin (scheme, host, port), the headers whose values nobody is shown do not go unless they are given
    anew: else whoever may resend a task could read them there.
    """
    members = _checked(OVERRIDES, changes, {"method": request.method}, settings, http, now=0)
    parts: dict[str, Any] = {name: members[name] for name in ("url", "body") if name in members}
    elsewhere = target_of(members.get("url", request.url)) != request.target
    if elsewhere and "headers" not in members and (hidden := [it for it in request.headers if is_secret(it)]):
        detail = f"must be given again: the url has another origin, which must not see {', '.join(hidden)}"
        raise InvalidRequest(faults=(Fault("/headers", detail),))
    if "headers" in members:
        members = {**members, "headers": _unhidden(members["headers"], {} if elsewhere else request.headers)}
    if "headers" in members or "content_type" in members:
        headers, content_type = _headers({"headers": request.headers, **members})
        parts |= {"headers": headers, "content_type": content_type or request.content_type}
    if "retry" in members:
        parts["retry"] = _policy(members["retry"])
    return _fitting(evolve(request, **parts))


def _unhidden(given: Mapping[str, str], known: Mapping[str, str]) -> Mapping[str, str]:
    """The headers, those that are given as they are shown (`***`) with the values that are known of them.

    Raises InvalidRequest where none is known: the mask itself is never sent.
    """
    values = {name.lower(): value for name, value in known.items()}
    masked = [name for name, value in given.items() if value == HIDDEN and is_secret(name)]
    if unknown := [name for name in masked if name.lower() not in values]:
        detail = "must be the value itself: *** stands for the stored value, which goes to the same origin only"
        raise InvalidRequest(faults=tuple(Fault(child("/headers", name), detail) for name in unknown))
    return {**given, **{name: values[name.lower()] for name in masked}}


MOST_STORED = 380_000
"""Bytes of a request as it is stored: DynamoDB takes 400 KB in one item, names and the rest included."""


def _fitting(request: Request) -> Request:
    """The request, if it can be stored. Written out anew it may be longer than it came. Raises TooLarge."""
    size = len(to_json(request).encode())
    if size > MOST_STORED:
        raise TooLarge(f"The request has {size} bytes as it would be stored; at most {MOST_STORED} are taken.")
    return request


def _checked(
    shape: Record, submitted: Json, known: Mapping[str, Json], settings: Settings, http: Http, *, now: float
) -> Mapping[str, Json]:
    """The members that were given. `known` are others that their meaning depends on. Raises InvalidRequest."""
    found = tuple(shape.faults(submitted, ""))
    faulty = frozenset(fault.pointer for fault in found)
    members = _given(_sound(submitted, faulty) or {}) if faulty else _given(submitted)
    senseless = meaning_faults({**known, **members}, settings, http, now)
    found += tuple(fault for fault in senseless if fault.pointer not in faulty)
    if found:
        raise InvalidRequest(faults=found)
    return members


def _sound(value: Json, faulty: Container[str], pointer: str = "") -> Json:
    """`value` with null, which counts as absent, in the place of all that is faulty: what is left is worth a look."""
    if pointer in faulty:
        return None
    if isinstance(value, dict):
        return {name: _sound(item, faulty, child(pointer, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_sound(item, faulty, child(pointer, index)) for index, item in enumerate(value)]
    return value


def _given(members: Mapping[str, Json]) -> dict[str, Json]:
    """Without those that are null, which counts as absent."""
    return {name: value for name, value in members.items() if value is not None}


# ── what the shape alone cannot show ─────────────────────────────────────────────────────────────


def meaning_faults(members: Mapping[str, Json], settings: Settings, http: Http, now: float) -> Iterator[Fault]:
    """What is wrong with members whose shapes are right. Inside them, null stands for what is absent or faulty."""
    if "url" in members:
        yield from url_faults(members["url"], http)
    yield from _header_faults(members.get("headers", {}), "content_type" in members)
    yield from content_type_faults(members.get("content_type"))
    yield from _expect_faults(members.get("expect", {}))
    yield from _retry_faults(members.get("retry", {}))
    yield from _time_faults(members, now)
    if "on_exhausted" in members and "ordering_key" not in members:
        yield Fault("/on_exhausted", "says nothing without an ordering_key")
    if members.get("timeout", 0) > settings.max_timeout:
        yield Fault("/timeout", f"must be at most {settings.max_timeout} here (KKBIDA_MAX_TIMEOUT)")
    if members.get("body") is not None and members.get("method") in ("GET", "HEAD"):
        yield Fault("/body", f"a {members['method']} has no body; use params for the query")


def _time_faults(members: Mapping[str, Json], now: float) -> Iterator[Fault]:
    if "deliver_at" not in members:
        return
    if "delay" in members:
        yield Fault("/deliver_at", "contradicts the delay: give one of them")
    if seconds(members["deliver_at"]) > now + MOST_AHEAD:
        yield Fault("/deliver_at", f"must lie within {MOST_AHEAD // 86_400} days from now")


def url_faults(url: str, http: Http) -> Iterator[Fault]:
    """What is wrong with an address that something is to be sent to."""
    try:
        parse_url(url)
    except ValueError as error:
        yield Fault("/url", str(error))
        return
    if url.partition("#")[2]:
        yield Fault("/url", "has a fragment (#...), which is never sent")
    else:
        yield from _address_faults(url, http)


def _address_faults(url: str, http: Http) -> Iterator[Fault]:
    try:
        http.check(url)
    except SendFailed as refused:
        yield Fault("/url", refused.detail)


HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""RFC 9110, section 7.6.1: about one connection, not about the message."""

OURS = frozenset({"host", "content-length", "webhook-id", "webhook-timestamp", "webhook-signature", "webhook-attempt"})
"""Headers that kkbida sets itself."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")


def _header_faults(headers: Mapping[str, str | None], has_content_type: bool) -> Iterator[Fault]:
    seen: set[str] = set()
    for name, value in headers.items():
        pointer, lower = child("/headers", name), name.lower()
        if not _HEADER_NAME.fullmatch(name):
            yield Fault(pointer, "is no header name")
        elif _folded(lower) in HOP_BY_HOP | OURS or (_folded(lower) == "content-type" != lower):
            yield Fault(pointer, "must not be set: kkbida or the connection sets it")
        elif lower in seen:
            yield Fault(pointer, "stands twice")
        elif lower == "content-type" and has_content_type:
            yield Fault(pointer, "is given by content_type already")
        elif value is not None and not _HEADER_VALUE.fullmatch(value):
            yield Fault(pointer, "holds characters that no header may hold")
        elif value is not None and lower == "content-type":
            yield from TASK_FIELDS["content_type"].shape.faults(value, pointer)
        seen.add(lower)


def _folded(name: str) -> str:
    """A header name in lower case as receivers behind CGI or WSGI (PEP 3333) read it: they tell no `_` from a `-`.

    Some servers fold every character that is no letter or digit.
    """
    return re.sub(r"[^0-9a-z]", "-", name)


def content_type_faults(value: str | None) -> Iterator[Fault]:
    """What is wrong with a content type as a header."""
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        yield Fault("/content_type", "holds characters that no header may hold")


def _expect_faults(expect: Mapping[str, Json]) -> Iterator[Fault]:
    yield from _status_faults(expect.get("status"), "/expect/status")
    yield from _takes_nothing_in(expect.get("status") or ())
    yield from _tried(bounded_regex, expect.get("regex"), "/expect/regex")
    for path in expect.get("json") or ():
        yield from _tried(json_path, path, child("/expect/json", path))


def _takes_nothing_in(patterns: Sequence[str | None]) -> Iterator[Fault]:
    if patterns and all(pattern is not None and pattern.lstrip().startswith("!") for pattern in patterns):
        yield Fault("/expect/status", "takes no status in: put 2xx, or whatever counts, before what is taken out")


def _status_faults(patterns: Iterable[str | None] | None, pointer: str) -> Iterator[Fault]:
    for index, pattern in enumerate(patterns or ()):
        yield from _tried(status_range, pattern, child(pointer, index))


def _tried(read: Callable[[str], object], text: str | None, pointer: str) -> Iterator[Fault]:
    try:
        if text is not None:
            read(text)
    except ValueError as error:
        yield Fault(pointer, str(error))


_SHAPES: Mapping[str, frozenset[str]] = {
    "preset": frozenset({"backoff", "schedule", "initial", "factor", "cap"}),
    "schedule": frozenset({"initial", "factor", "cap"}),
    "fixed": frozenset({"factor", "cap", "schedule"}),
    "exponential": frozenset({"schedule"}),
}
"""For each way of saying the waits, the members that would contradict it."""


def _retry_faults(retry: Mapping[str, Json]) -> Iterator[Fault]:
    given = set(_given(retry))
    way = _way(retry)
    for name in sorted(given & _SHAPES[way]):
        yield Fault(child("/retry", name), f"does not go with {'a preset' if way == 'preset' else way}")
    if way == "fixed" and "initial" not in given:
        yield Fault("/retry/initial", "is missing: the seconds of each wait")
    if way == "schedule" and "schedule" not in given:
        yield Fault("/retry/schedule", "is missing: the seconds between the tries")
    if given & {"initial", "cap"} == {"initial", "cap"} and retry["cap"] < retry["initial"]:
        yield Fault("/retry/cap", "is smaller than initial")
    yield from _status_faults(retry.get("give_up_on"), "/retry/give_up_on")


def _way(retry: Mapping[str, Json]) -> str:
    if retry.get("preset") is not None:
        return "preset"
    return retry.get("backoff") or ("exponential" if retry.get("schedule") is None else "schedule")


# ── from members to facts ────────────────────────────────────────────────────────────────────────


def _request(members: Mapping[str, Json], settings: Settings) -> Request:
    headers, content_type = _headers(members)
    retry = members.get("retry", {})
    plain = (
        *("url", "method", "params", "body", "source_app", "target_app", "labels"),
        *("ordering_key", "on_exhausted", "delay"),
    )
    given: dict[str, Any] = {name: members[name] for name in plain if name in members}
    return Request(
        **given,
        headers=headers,
        content_type=content_type,
        expect=_expectation(members.get("expect"), retry.get("preset")),
        retry=_policy(retry),
        timeout=members.get("timeout", min(settings.default_timeout, settings.max_timeout)),
    )


def _headers(members: Mapping[str, Json]) -> tuple[Mapping[str, str], str | None]:
    """The headers without Content-Type, and the content type, wherever it was given."""
    headers = dict(members.get("headers", {}))
    name = next((name for name in headers if name.lower() == "content-type"), None)
    among = headers.pop(name) if name is not None else None
    return headers, members.get("content_type") or among


def _expectation(expect: Mapping[str, Json] | None, preset: str | None) -> Expectation:
    if expect is None:
        expect = PRESETS.get(preset or "", {}).get("expect", {})
    given = _given(expect)
    if "status" in given:
        given["status"] = tuple(given["status"])
    return Expectation(**given)


def _policy(retry: Mapping[str, Json]) -> Policy:
    given = _given(retry)
    preset = PRESETS.get(given.pop("preset", ""), {})
    given = {name: value for name, value in preset.items() if name != "expect"} | given
    backoff = _way(given)
    if backoff == "exponential":
        given = {**DEFAULT_RETRY, **_initial_and_cap(given), **given}
    given.pop("backoff", None)
    waits = tuple(given.pop("schedule", ()))
    return Policy(
        backoff=backoff,
        waits=waits,
        max_attempts=given.pop("max_attempts", len(waits) + 1 if waits else DEFAULT_RETRY["max_attempts"]),
        deadline=given.pop("deadline", MOST_DEADLINE),
        give_up_on=tuple(given.pop("give_up_on", ())),
        **given,
    )


def _initial_and_cap(given: Mapping[str, Json]) -> Mapping[str, Json]:
    """The defaults of both, the one that was not given giving way to the one that was."""
    initial, cap = DEFAULT_RETRY["initial"], DEFAULT_RETRY["cap"]
    return {"initial": min(initial, given.get("cap", cap)), "cap": max(cap, given.get("initial", initial))}
