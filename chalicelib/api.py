"""The API: JSON in and out. A view takes a Call and gives an Answer; every refusal becomes problem+json in `answer`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chalicelib import accept, admin, log, show
from chalicelib.auth import NOBODY, Identity, identify
from chalicelib.errors import (
    Fault,
    InternalError,
    InvalidRequest,
    Refusal,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.ports import Query, World
from chalicelib.shape import parse
from chalicelib.task import Json, Status

MOST_BYTES = 262_144
"""Bytes of a request's body, at most: what a record of the table can hold, with room for the rest."""

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it came in. Header names are in lower case; `query` keeps every value of a name."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, JSON (None: no body), headers."""

    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The body as it goes on the wire."""
        return "" if self.body is None else json.dumps(self.body, ensure_ascii=False)


View = Callable[[World, Identity, Call], Answer]


OPEN_TO_ALL = frozenset({"health"})
"""Views that answer whoever asks."""


def answer(world: World, view: str, call: Call) -> Answer:
    """What the view of that name answers, or the problem that it raised. Nothing else ever leaves."""
    try:
        who = NOBODY if view in OPEN_TO_ALL else identify(world.settings, call.address)
        return VIEWS[view](world, who, call)
    except Refusal as refusal:
        return problem(refusal)
    except Exception:  # noqa: BLE001 - the edge: the trace goes to the log, and a plain problem to the caller
        log.failure("api.failed", request_id=call.request_id)
        return problem(InternalError(f"The log has it under request {call.request_id}."))


def problem(refusal: Refusal) -> Answer:
    """A refusal as RFC 9457 has it."""
    body = {
        "type": f"urn:kkbida:problem:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail,
    }
    if refusal.faults:
        body["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in refusal.faults]
    headers = {"Content-Type": PROBLEM}
    if isinstance(refusal, Unavailable):
        headers["Retry-After"] = str(refusal.retry_after)
    return Answer(refusal.status, body, headers)


def _json_of(call: Call) -> Json:
    """The call's body. Raises TooLarge, UnsupportedMediaType or InvalidRequest."""
    if len(call.body) > MOST_BYTES:
        raise TooLarge(f"The body has {len(call.body)} bytes; at most {MOST_BYTES} are taken.")
    media_type = call.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"The body is {media_type[:80] or 'of no type'}; send application/json.")
    return parse(call.body)


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────


def submit(world: World, who: Identity, call: Call) -> Answer:
    """POST /v1/tasks: 202 once the task is stored. `Idempotency-Key` makes a repetition safe."""
    task = accept.accept(world, _json_of(call), caller=who.name, key=_idempotency_key(call))
    return Answer(202, show.headline(task), {"Location": f"/v1/tasks/{task.task_id}"})


MOST_KEY = 255
"""Characters of an idempotency key, at most."""


def _idempotency_key(call: Call) -> str | None:
    key = call.headers.get("idempotency-key")
    if key is not None and not (key.isascii() and key.isprintable() and 0 < len(key) <= MOST_KEY):
        fault = Fault("header:Idempotency-Key", f"must have 1 to {MOST_KEY} visible ASCII characters")
        raise InvalidRequest(faults=(fault,))
    return key


def look(world: World, who: Identity, call: Call) -> Answer:  # noqa: ARG001 - every view has the same shape
    """GET /v1/tasks/{task_id}: the task, its attempts, its notices, its audit trail."""
    task = admin.find(world, call.path["task_id"])
    store = world.store
    return Answer(200, show.whole(task, store.attempts(task), store.notices(task.task_id), store.audits(task.task_id)))


def list_tasks(world: World, who: Identity, call: Call) -> Answer:  # noqa: ARG001 - as above
    """GET /v1/tasks: newest first, filtered, a page at a time."""
    given = _Given(call, ("status", "source_app", "target_app", "target", "since", "until", "q", "cursor", "limit"))
    query = Query(
        status=given.status(),
        source_app=given.text("source_app"),
        target_app=given.text("target_app"),
        target=given.text("target"),
        since=given.time("since"),
        until=given.time("until"),
        q=given.text("q"),
    )
    limit = given.whole("limit", 50, 1, 100)
    given.require()
    page = world.store.page(query, given.text("cursor"), limit)
    return Answer(200, {"tasks": [show.headline(task) for task in page.tasks], "cursor": page.cursor})


def resend(world: World, who: Identity, call: Call) -> Answer:
    """POST /v1/tasks/{task_id}/resend: a new round; the body may override url, headers, body, content_type, retry."""
    changes = _json_of(call) if call.body.strip() else {}
    return Answer(202, show.headline(admin.resend(world, who, call.path["task_id"], changes)))


def cancel(world: World, who: Identity, call: Call) -> Answer:
    """POST /v1/tasks/{task_id}/cancel: call a live task off."""
    return Answer(200, show.headline(admin.cancel(world, who, call.path["task_id"])))


def deliver_now(world: World, who: Identity, call: Call) -> Answer:
    """POST /v1/tasks/{task_id}/deliver-now: do not wait for the next try."""
    return Answer(202, show.headline(admin.deliver_now(world, who, call.path["task_id"])))


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


def list_channels(world: World, who: Identity, call: Call) -> Answer:  # noqa: ARG001 - as above
    """GET /v1/channels: all of them."""
    return Answer(200, {"channels": [show.channel(channel) for channel in world.store.channels()]})


def create_channel(world: World, who: Identity, call: Call) -> Answer:
    """POST /v1/channels: a new channel."""
    return Answer(201, show.channel(admin.create_channel(world, who, _json_of(call))))


def change_channel(world: World, who: Identity, call: Call) -> Answer:
    """PUT /v1/channels/{channel_id}: the whole channel; `url` and `secret` may be left out to keep them."""
    return Answer(200, show.channel(admin.change_channel(world, who, call.path["channel_id"], _json_of(call))))


def remove_channel(world: World, who: Identity, call: Call) -> Answer:
    """DELETE /v1/channels/{channel_id}: the notices it was sent stay with their tasks."""
    admin.remove_channel(world, who, call.path["channel_id"])
    return Answer(204)


def test_channel(world: World, who: Identity, call: Call) -> Answer:
    """POST /v1/channels/{channel_id}/test: sends a message with 测试 everywhere, and says what became of it."""
    reason = admin.test_channel(world, who, call.path["channel_id"])
    return Answer(200, {"delivered": reason is None, "reason": reason})


# ── figures and health ───────────────────────────────────────────────────────────────────────────

HOUR, DAY = 3600, 86_400
UNITS = {"hour": HOUR, "day": DAY}
SHOWN_BY_DEFAULT = {"hour": 24 * HOUR, "day": 7 * DAY}
MOST_ROWS = 1000


def stats(world: World, who: Identity, call: Call) -> Answer:  # noqa: ARG001 - as above
    """GET /v1/stats?unit=hour|day&since=&until=: totals now, and a series."""
    given = _Given(call, ("unit", "since", "until"))
    unit = given.word("unit", "hour", tuple(UNITS))
    step = UNITS[unit]
    until = _or(given.time("until"), world.clock.now())
    since = _or(given.time("since"), max(until - SHOWN_BY_DEFAULT[unit] + step, 0))
    first = since - since % step
    if not 0 <= until - first <= MOST_ROWS * step:
        given.fault("since", f"must lie before until, by at most {MOST_ROWS} {unit}s")
    given.require()
    starts = [first + step * row for row in range(int((until - first) // step) + 1)]
    return Answer(
        200,
        {
            "totals": show.totals(world.store.totals()),
            "unit": unit,
            "series": show.series(starts, world.store.series(unit, first, until)),
        },
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def ledger(world: World, who: Identity, call: Call) -> Answer:  # noqa: ARG001 - as above
    """GET /v1/ledger: whether every task accepted from `since` on and before `until` still stands somewhere."""
    return Answer(200, show.ledger(world.store.ledger(world.clock.now(), world.settings.retention)))


def health(world: World, who: Identity, call: Call) -> Answer:  # noqa: ARG001 - as above
    """GET /v1/health: 200 when tasks can be stored, else 503; and whether the ledger added up when last checked.

    Open to everybody, so it says no more than that.
    """
    try:
        world.store.ping()
        checked = world.store.checked()
    except Unavailable as unavailable:
        log.event("health.bad", metrics={"Unhealthy": 1}, request_id=call.request_id, why=unavailable.detail)
        return Answer(503, {"status": "unavailable"}, {"Retry-After": str(unavailable.retry_after)})
    return Answer(200, {"status": "ok", "ledger": show.balance(checked)})


# ── the query of a GET ───────────────────────────────────────────────────────────────────────────


LAST_TIME = 32_503_680_000
"""Seconds since the epoch: the year 3000."""


class _Given:
    """The query parameters of a call, read one by one; `require` refuses all that is wrong at once."""

    def __init__(self, call: Call, known: tuple[str, ...]) -> None:
        self._query = call.query
        self._faults = [
            Fault(f"query:{name}", f"is unknown; known are {', '.join(known)}")
            for name in call.query
            if name not in known
        ]
        self._faults += [
            Fault(f"query:{name}", "is given more than once") for name, values in call.query.items() if len(values) > 1
        ]

    def fault(self, name: str, detail: str) -> None:
        self._faults.append(Fault(f"query:{name}", detail))

    def require(self) -> None:
        if self._faults:
            raise InvalidRequest(faults=tuple(self._faults))

    def text(self, name: str) -> str | None:
        values = self._query.get(name)
        return values[0] if values and values[0] else None

    def word(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        text = self.text(name) or default
        if text not in choices:
            self.fault(name, f"must be one of {', '.join(choices)}")
            return default
        return text

    def status(self) -> Status | None:
        text = self.text("status")
        if text is None or text in tuple(Status):
            return Status(text) if text else None
        self.fault("status", f"must be one of {', '.join(Status)}")
        return None

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
            self.fault(name, f"must be a whole number from {least} to {most}")
            return default
        return int(text)

    def time(self, name: str) -> float | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text.replace(" ", "+"))  # a + that was not percent-encoded
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            self.fault(name, "must be a time as in RFC 3339, such as 2026-12-01T08:00:00Z")
            return None
        if not 0 <= seconds < LAST_TIME:
            self.fault(name, "must lie in the years 1970 to 2999")
            return None
        return seconds


VIEWS: Mapping[str, View] = {
    view.__name__: view
    for view in (
        submit, look, list_tasks, resend, cancel, deliver_now, list_channels, create_channel, change_channel,
        remove_channel, test_channel, stats, ledger, health,
    )
}  # fmt: skip
"""Every view, under the name that app.py calls it by."""
