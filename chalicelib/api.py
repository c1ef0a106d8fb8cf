"""The API: JSON in and out. A view takes what was asked and gives an Answer; every refusal becomes problem+json in
`answer`. The table at the end says of each route where it is and all that it takes and gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib import accept, admin, importing, json_text, log, login, operators, predecessor, show
from chalicelib.accept import Submitter
from chalicelib.auth import COOKIE, NOBODY, Identity, admit, identify, identify_by_name, names_itself, note_refusal
from chalicelib.call import Call
from chalicelib.errors import (
    ASK_LATER,
    Conflict,
    Fault,
    Forbidden,
    IdempotencyConflict,
    InternalError,
    InvalidRequest,
    LockedOut,
    NoSuchRoute,
    Refusal,
    ResponseTooLarge,
    SessionOver,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    WrongStatus,
)
from chalicelib.failures import gathered
from chalicelib.importing import Brought
from chalicelib.notify.gather import notices_of
from chalicelib.ports import Acts, Query, World, query_of
from chalicelib.records import MOST_CURSOR
from chalicelib.response_size import MAX_PAGE_BYTES, MAX_RESPONSE_BYTES, fitting, part, response_bytes, wrapped_bytes
from chalicelib.route import JSON, RETRY_AFTER, TEXT, Gives, Route, Tag, read
from chalicelib.settings import SETTINGS
from chalicelib.shape import (
    Anything,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    OrNull,
    Record,
    Shown,
    Text,
    Time,
    parse,
    require,
    seconds,
)
from chalicelib.signing import as_text
from chalicelib.submission import ANY_BATCH, BATCH, KEY, NAME, OVERRIDES, TASK
from chalicelib.task import Held, Json, Right, Status, Target, Task, evolve


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as its route reads it: the ids in its path, the values of all declared parameters, the body."""

    call: Call
    ids: Mapping[str, str]
    given: Mapping[str, Json]
    body: Json


SENT_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer of the API, refusals included: it holds bodies of tasks and, once, secrets. What API Gateway
answers by itself has them by infra/template.yaml, and what the local server answers by `infra/local/server.py`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, JSON (None: no body) or, where the headers say so, plain text; headers, of which
    one may come several times. `SENT_ALWAYS` go with them."""

    status: int
    body: Json = None
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """Of the body."""
        return str(self.headers.get("Content-Type", JSON))

    @property
    def all_headers(self) -> Mapping[str, str | list[str]]:
        """The headers as they go on the wire."""
        return {"Content-Type": JSON, **SENT_ALWAYS, **self.headers}

    def text(self) -> str:
        """The body as it goes on the wire."""
        if self.content_type == TEXT:
            return str(self.body)
        return "" if self.body is None else json_text.dumps(self.body)


View = Callable[[World, Identity, Asked], Answer]


def answer(world: World, view: str, call: Call) -> Answer:
    """What the view of that name answers, or the problem that it raised. Nothing else ever leaves, and nothing that
    Lambda would not return."""
    route = ROUTES[view]
    given = _answered(world, route, call)
    size = response_bytes(given.all_headers, given.text())
    if size <= MAX_RESPONSE_BYTES:
        return given
    log.event("api.response_too_large", request_id=call.request_id, route=route.name, bytes=size)
    return problem(ResponseTooLarge(f"It has {size} bytes; AWS Lambda returns {MAX_RESPONSE_BYTES}. {ASK_FOR_LESS}"))


ASK_FOR_LESS = "What was asked for may be done: look before you repeat it, and ask for less at a time."


def _answered(world: World, route: Route, call: Call) -> Answer:
    try:
        given = _given(world, route, _who(world, route, call), call)
    except Refusal as refusal:
        return as_before(refusal) if route.as_before else problem(refusal)
    except Exception:  # noqa: BLE001 - the edge: the trace goes to the log, and a plain problem to the caller
        log.failure("api.failed", request_id=call.request_id)
        return problem(InternalError(f"The log has it under request {call.request_id}."))
    return given


def problem(refusal: Refusal) -> Answer:
    """The answer to a call that is refused."""
    headers = {"Content-Type": show.PROBLEM_JSON}
    if isinstance(refusal, ASK_LATER):
        headers["Retry-After"] = str(refusal.retry_after)
    if isinstance(refusal, SessionOver):
        headers["Set-Cookie"] = _cookie(COOKIE, "", 0)
    return Answer(refusal.status, show.problem(refusal), headers)


def as_before(refusal: Refusal) -> Answer:
    """The answer of the predecessor to a call that is refused: nothing beside the status, or why in plain text."""
    if isinstance(refusal, NoSuchRoute):
        return problem(refusal)
    if isinstance(refusal, ASK_LATER):
        return Answer(refusal.status, None, {"Retry-After": str(refusal.retry_after)})
    if isinstance(refusal, Unauthorized | Forbidden):
        return Answer(refusal.status)
    return Answer(InvalidRequest.status, predecessor.told(refusal), {"Content-Type": TEXT})


def _who(world: World, route: Route, call: Call) -> Identity:
    if len(call.body) > route.most_bytes:
        raise TooLarge(f"The body has {len(call.body)} bytes; at most {route.most_bytes} are taken.")
    if route.as_before and not world.settings.predecessor_api:
        raise NoSuchRoute
    if route.as_before and names_itself(call):
        return identify_by_name(world, call)
    return NOBODY if route.is_open else identify(world, route.method, call)


def _given(world: World, route: Route, who: Identity, call: Call) -> Answer:
    """What the view answers to who may ask. That an operator was refused an action goes into the audit trail."""
    try:
        admit(world, who, route.method, call, route.right, same_again=route.same_again)
        given: Answer = route.view(world, who, _asked(route, call))
    except Refusal as refusal:
        if who.session and route.method != "GET" and route.right in ACTING and refusal.status < InternalError.status:
            note_refusal(world, who, route.name.replace("_", "-"), _subject(call), refusal)
        raise
    return given


ACTING = (Right.SUBMIT, Right.RESEND, Right.OPERATE, Right.ADMIN)
"""Rights to do what is audited."""

MOST_SUBJECT = 200
"""Characters of what a refused action was about."""


def _subject(call: Call) -> str:
    """What an action is about, as far as the call says so before it is read."""
    target = call.query.get("target", [""])[0]
    return "/".join(call.path.values())[:MOST_SUBJECT] or target[:MOST_SUBJECT]


def _cookie(name: str, value: str, seconds: float, *, secure: bool = False) -> str:
    """A cookie that no script can read, and no other site can send; 0 seconds remove it."""
    return f"{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={int(seconds)}" + ("; Secure" if secure else "")


def _asked(route: Route, call: Call) -> Asked:
    """The call as its route declares it. Raises InvalidRequest, TooLarge or UnsupportedMediaType."""
    given = read(route, call.query, call.headers)
    return Asked(call, call.path, given, _body(route, call))


def _body(route: Route, call: Call) -> Json:
    if route.takes is None:
        return None
    if route.optional and not call.body.strip():
        return {}
    media_type = call.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"The body is {media_type[:80] or 'of no type'}; send application/json.")
    return parse(call.body, route.takes)


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────

KEYED = {
    "Idempotency-Key": Field(
        KEY,
        "With the same content the same key means the same task; with other content it is a conflict (409). The body "
        "is compared as text, byte for byte: the same JSON with its members in another order is other content.",
    )
}
LOCATION = {"Location": Field(Text(), "Where the task can be looked at.", required=True)}
ACCEPTED = Gives(202, "The task is stored: it will arrive, or somebody is told.", show.HEADLINE, LOCATION)


def _submitter(who: Identity) -> Submitter:
    return Submitter(caller=who.account, source_app=who.source_app, user_address=who.address if who.session else None)


def submit(world: World, who: Identity, asked: Asked) -> Answer:
    """Take on a task: 202 once it is stored. `Idempotency-Key` makes a repetition safe."""
    key = asked.given["Idempotency-Key"] or who.key_of()
    task = accept.accept(world, asked.body, by=_submitter(who), key=key)
    return Answer(202, show.headline(task, world.clock.now()), {"Location": f"/v1/tasks/{task.task_id}"})


MOST_BATCH_BYTES = 4_194_304
"""Bytes of a batch: Lambda takes 6 MB at most, and more of a body than it has bytes, since it comes as JSON text."""

RESULTS = Shown(
    name="BatchResults",
    fields={
        "results": Field(
            ListOf(
                shape=Shown(
                    name="BatchResult",
                    fields={"status": Field(show.COUNT, "202, or the status of its problem.")},
                    sometimes={
                        "task": Field(show.HEADLINE, "The task that was accepted."),
                        "problem": Field(show.PROBLEM, "Why it was not."),
                    },
                )
            ),
            "Of each task what became of it, in the order given.",
        )
    },
)


def submit_batch(world: World, who: Identity, asked: Asked) -> Answer:
    """Take on up to a hundred tasks, each for itself: some may be accepted, and others not."""
    require(ANY_BATCH, asked.body)
    batch = [_keyed(it, who.key_of(index)) for index, it in enumerate(asked.body["tasks"])]
    _require_room_for_results(batch)
    answers = accept.accept_batch(world, batch, by=_submitter(who))
    return Answer(207, {"results": [_result(world, it) for it in answers]})


MAX_REPEATED_BYTES = 3_700_000
"""Of the members of a batch that its answer repeats, as they are wrapped."""

MAX_PROBLEM_BYTES = 10_000
"""Of the faults of one task of a batch, as they are wrapped: the answer has a hundred of them, and the tasks."""

REPEATED = ("url", "labels", "source_app", "target_app")


def _require_room_for_results(batch: Sequence[Json]) -> None:
    """Raises TooLarge, before anything is stored, when the answer to a batch could be larger than Lambda returns."""
    repeated = [[it.get(name) for name in REPEATED] for it in batch if isinstance(it, dict)]
    size = wrapped_bytes(json_text.dumps(repeated))
    if size > MAX_REPEATED_BYTES:
        raise TooLarge(
            f"The answer repeats url, labels, source_app and target_app of each task: {size} bytes as AWS Lambda "
            f"returns them, and at most {MAX_REPEATED_BYTES} fit. Send fewer tasks at a time."
        )


def _keyed(submitted: Json, key: str | None) -> Json:
    """A task of a batch with this idempotency key, if there is one, and it has none of its own."""
    if key is None or not isinstance(submitted, dict) or submitted.get("idempotency_key") is not None:
        return submitted
    return {**submitted, "idempotency_key": key}


def _result(world: World, answer: Task | Refusal) -> dict[str, Json]:
    if isinstance(answer, Refusal):
        return {"status": answer.status, "problem": show.problem(answer, MAX_PROBLEM_BYTES)}
    return {"status": 202, "task": show.headline(answer, world.clock.now())}


def look(world: World, who: Identity, asked: Asked) -> Answer:
    """A task, its attempts, its notices, its audit trail."""
    task = admin.find(world, who, asked.ids["task_id"])
    store = world.store
    parts = store.attempts(task), notices_of(store, task.task_id), store.audits(task.task_id)
    whole = show.whole(task, *parts, now=world.clock.now())
    return Answer(200, show.for_program(whole) if who.is_program else whole)


ATTEMPTS_PAGED = {
    "cursor": Field(
        Text(most=MOST_CURSOR),
        "Where the page begins: the cursor of the page before, or `attempts_cursor` of the task.",
    ),
    "limit": Field(Number(least=1, most=100, whole=True), "Attempts on a page, at most.", default=50),
}
ATTEMPTS = Shown(
    name="AttemptPage",
    fields={
        "attempts": Field(ListOf(shape=show.ATTEMPT), "Those of all rounds, the newest first, each whole."),
        "cursor": Field(OrNull(Text()), "Where the next page begins; null when there is none."),
    },
)


def list_attempts(world: World, who: Identity, asked: Asked) -> Answer:
    """The attempts of a task, newest first, a page at a time: fewer than `limit` where their replies are long."""
    task = admin.find(world, who, asked.ids["task_id"])
    tries = world.store.attempts(task)
    before = _fence(asked.given["cursor"])
    older = [it for it in reversed(tries) if before is None or it.fence < before][: asked.given["limit"]]
    rows = [show.attempt(it) for it in older]
    fit = fitting(rows, MAX_PAGE_BYTES)
    last = older[:fit][-1].fence if older else 1
    return Answer(200, {"attempts": rows[:fit], "cursor": str(last) if last > 1 else None})


def _fence(cursor: str | None) -> int | None:
    """The fence before which a page begins. Raises InvalidRequest."""
    if cursor is None or re.fullmatch(r"[1-9][0-9]{0,14}", cursor):
        return None if cursor is None else int(cursor)
    raise InvalidRequest(faults=(Fault("query:cursor", "must be the cursor of an earlier page"),))


ID_ALONE = Text(least=36, most=36)


def add_task(world: World, who: Identity, asked: Asked) -> Answer:
    """Take on a task from a client of the predecessor. The answer is the task's id and nothing else."""
    timeout = world.settings.max_timeout  # its clients' receivers had all the time there is
    key = predecessor.key_of(asked.body)
    came_from = "" if key or who.session else who.address  # with a key, it may come again from another address
    labels = {"submitted_by": "addTask", "source_ip": came_from}
    submitted = predecessor.submission_of(asked.body, app=who.source_app, timeout=timeout, labels=labels)
    task = accept.accept(world, submitted, by=_submitter(who), key=key)
    return Answer(200, task.task_id, {"Content-Type": TEXT})


IMPORTED = Shown(
    name="ImportResults",
    fields={
        "results": Field(
            ListOf(
                shape=Shown(
                    name="ImportResult",
                    fields={"status": Field(show.COUNT, "201; 200: it is here from before; or that of its problem.")},
                    sometimes={
                        "task": Field(show.HEADLINE, "The task; in a dry run as it would be."),
                        "remarks": Field(ListOf(shape=Text()), "What of it is not the same here, and is no fault."),
                        "problem": Field(show.PROBLEM, "Why it did not come over."),
                    },
                )
            ),
            "Of each row what became of it, in the order given.",
        )
    },
)


def import_tasks(world: World, who: Identity, asked: Asked) -> Answer:
    """Bring tasks of the predecessor over, each with what is known of its tries. Doing it again does nothing more."""
    brought = importing.bring_all(world, who, asked.body)
    return Answer(207, {"results": [_brought(world, it) for it in brought]})


def _brought(world: World, it: Brought | Refusal) -> dict[str, Json]:
    if isinstance(it, Refusal):
        return {"status": it.status, "problem": show.problem(it, MAX_PROBLEM_BYTES)}
    task = show.headline(it.task, world.clock.now())
    return {"status": 200 if it.known else 201, "task": task, "remarks": it.remarks}


SCHEDULED = "scheduled"
"""What the list may be asked for beside the statuses: pending tasks whose time has not come."""

STANDING = Text(choices=(*Status, SCHEDULED))
FILTER = {
    **admin.FILTER,
    "status": Field(STANDING, "Where the tasks stand; scheduled: pending, and due later."),
    "held": Field(Text(choices=tuple(Held)), "Why they wait for their target."),
}
PAGED = {
    "cursor": Field(Text(most=MOST_CURSOR), "Where the page begins: the cursor of the page before."),
    "limit": Field(Number(least=1, most=100, whole=True), "Tasks on a page, at most.", default=50),
}
PART = {
    "cursor": Field(
        Text(most=400), "Where the answer begins, if the one before was not the last: its `cursor`. Most fit into one."
    )
}
"""Of lists that have a page of their own only where they are larger than an answer may be."""

NEXT = Field(OrNull(Text()), "Where the next answer begins; null, as nearly always, when all are here.")

PAGE = Shown(
    name="TaskPage",
    fields={
        "tasks": Field(ListOf(shape=show.HEADLINE), "May be few, and even none, although there is a next page."),
        "cursor": Field(OrNull(Text()), "Where the next page begins; null when there is none."),
    },
)


def list_tasks(world: World, who: Identity, asked: Asked) -> Answer:
    """Tasks, newest first, filtered, a page at a time."""
    now = world.clock.now()
    given = {**asked.given, "source_app": who.only(asked.given["source_app"])}
    query, cursor = _query(given, now), asked.given["cursor"]
    page = world.store.page(query, cursor, asked.given["limit"])
    fit = fitting([show.headline(task, now) for task in page.tasks], MAX_PAGE_BYTES)
    if fit < len(page.tasks):
        page = world.store.page(query, cursor, fit)
    return Answer(200, {"tasks": [show.headline(task, now) for task in page.tasks], "cursor": page.cursor})


def _query(given: Mapping[str, Json], now: float) -> Query:
    """What a list is asked for."""
    asked = {name: given[name] for name in FILTER}
    if asked["status"] != SCHEDULED:
        return query_of(asked)
    return evolve(query_of({**asked, "status": Status.PENDING}), due_after=now)


def resend(world: World, who: Identity, asked: Asked) -> Answer:
    """Open a new round of a final task. The body may change its url, headers, body, content_type and retry."""
    return Answer(202, show.headline(admin.resend(world, who, asked.ids["task_id"], asked.body), world.clock.now()))


def cancel(world: World, who: Identity, asked: Asked) -> Answer:
    """Cancel a live task."""
    return Answer(200, show.headline(admin.cancel(world, who, asked.ids["task_id"]), world.clock.now()))


def deliver_now(world: World, who: Identity, asked: Asked) -> Answer:
    """Make the next attempt at once, without waiting for its time."""
    return Answer(202, show.headline(admin.deliver_now(world, who, asked.ids["task_id"]), world.clock.now()))


# ── many tasks ───────────────────────────────────────────────────────────────────────────────────

SIZE = Shown(
    name="Size",
    fields={
        "count": Field(show.COUNT, "Tasks that match just now."),
        "exact": Field(Flag(), "false: there are more; counting them all takes too long."),
    },
)
RESENDS = Shown(
    name="ResendList",
    fields={"resends": Field(ListOf(shape=show.RESEND), "All of them, newest first."), "cursor": NEXT},
)


def start_resend(world: World, who: Identity, asked: Asked) -> Answer:
    """Resend all tasks of a filter, or those named, each as it was, at a rate; with `dry_run`, only count them."""
    admin.require_resend(asked.body)
    if asked.body.get("dry_run"):
        count, exact = admin.count_for_resend(world, asked.body)
        return Answer(200, {"count": count, "exact": exact})
    begun = admin.start_resend(world, who, asked.body)
    return Answer(202, show.resend(begun), {"Location": f"/v1/resends/{begun.resend_id}"})


def _part(name: str, rows: Sequence[Mapping[str, Json]], id_name: str, asked: Asked) -> Answer:
    """The rows after the cursor, as far as they fit into one answer."""
    shown, cursor = part(rows, id_name, asked.given["cursor"])
    return Answer(200, {name: shown, "cursor": cursor})


def list_resends(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - every view has the same shape
    """All bulk resends, newest first."""
    return _part("resends", [show.resend(it) for it in world.store.resends()], "resend_id", asked)


def look_at_resend(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """How far a bulk resend has come, and its audit trail."""
    it = admin.find_resend(world, asked.ids["resend_id"])
    return Answer(200, show.whole_resend(it, world.store.audits(it.resend_id)))


def stop_resend(world: World, who: Identity, asked: Asked) -> Answer:
    """Stop a bulk resend. What it has in hand, up to a hundred tasks, is finished; what it has resent stays resent."""
    return Answer(200, show.resend(admin.stop_resend(world, who, asked.ids["resend_id"])))


# ── targets ──────────────────────────────────────────────────────────────────────────────────────

MOST_COUNTED = 1000
"""Held tasks of one target that are counted, at most: on AWS each look reads them."""

OF_TARGET = {
    "target": Field(Text(most=300), "Scheme, host and port, such as https://partner.example:443.", required=True)
}
ALL_TARGETS = Shown(
    name="TargetList",
    fields={
        "targets": Field(ListOf(shape=show.TARGET), "Those of which anything is set, or that hold tasks, by name."),
        "cursor": NEXT,
    },
)


def list_targets(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """Every target that is paused or limited, or that still holds tasks, and how it stands."""
    shown = [(target, _shown(world, target)) for target in world.store.targets()]
    listed = [standing for target, standing in shown if target.is_set or standing["held"]]
    return _part("targets", listed, "target", asked)


def _shown(world: World, target: Target) -> dict[str, Json]:
    held = world.store.count_held(target.name, MOST_COUNTED)
    return show.target(target, world.store.gate(target.name), held=held, now=world.clock.now())


def change_target(world: World, who: Identity, asked: Asked) -> Answer:
    """Pause, resume or limit a target. Members that are left out stay as they are; null takes a limit away."""
    return Answer(200, _shown(world, admin.change_target(world, who, asked.given["target"], asked.body)))


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

ALL_CHANNELS = Shown(
    name="ChannelList",
    fields={"channels": Field(ListOf(shape=show.CHANNEL), "All of them, oldest first."), "cursor": NEXT},
)


def list_channels(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """All channels, oldest first."""
    return _part("channels", [show.channel(channel) for channel in world.store.channels()], "channel_id", asked)


def create_channel(world: World, who: Identity, asked: Asked) -> Answer:
    """Make a channel: failures are told there from now on."""
    return Answer(201, show.channel(admin.create_channel(world, who, asked.body)))


def change_channel(world: World, who: Identity, asked: Asked) -> Answer:
    """Put a whole channel in the place of one; `url` and `secret` may be left out to keep them."""
    return Answer(200, show.channel(admin.change_channel(world, who, asked.ids["channel_id"], asked.body)))


def remove_channel(world: World, who: Identity, asked: Asked) -> Answer:
    """Remove a channel. The notices it was sent stay with their tasks."""
    admin.remove_channel(world, who, asked.ids["channel_id"])
    return Answer(204)


TESTED = Shown(
    name="TestResult",
    fields={
        "delivered": Field(Flag(), "Whether the channel took the message."),
        "reason": Field(OrNull(Text()), "Why it did not."),
    },
)


def test_channel(world: World, who: Identity, asked: Asked) -> Answer:
    """Send a message with 测试 everywhere, and say what became of it."""
    reason = admin.test_channel(world, who, asked.ids["channel_id"])
    return Answer(200, {"delivered": reason is None, "reason": reason})


PREVIEWED = Shown(name="Preview", fields={"text": Field(Text(), "The body of a message, with 测试 everywhere.")})


def preview_channel(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """What a channel would say of one task, by its kind or its template. Nothing is sent."""
    return Answer(200, {"text": admin.preview(asked.body)})


# ── callers ──────────────────────────────────────────────────────────────────────────────────────

ALL_CALLERS = Shown(
    name="CallerList",
    fields={"callers": Field(ListOf(shape=show.CALLER), "All of them, oldest first."), "cursor": NEXT},
)


def list_callers(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """All callers, oldest first. Their secrets are not shown."""
    return _part("callers", [show.caller(it) for it in world.store.callers()], "key_id", asked)


def create_caller(world: World, who: Identity, asked: Asked) -> Answer:
    """Make a caller: a key that acts for a source app. Its secret is shown this once."""
    caller, secret = admin.create_caller(world, who, asked.body)
    return Answer(201, {**show.caller(caller), "secret": secret})


def remove_caller(world: World, who: Identity, asked: Asked) -> Answer:
    """Remove a caller: within seconds nobody can call with its key any more."""
    admin.remove_caller(world, who, asked.ids["key_id"])
    return Answer(204)


# ── signing secrets ──────────────────────────────────────────────────────────────────────────────

SECRETS_OF = {"source_app": Field(NAME, "Only those of this app."), **PART}
SECRETS = Shown(
    name="SigningSecretList",
    fields={"signing_secrets": Field(ListOf(shape=show.SIGNING_SECRET), "All of them, oldest first."), "cursor": NEXT},
)


def list_signing_secrets(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """The signing secrets, oldest first. Their keys are not shown."""
    of = asked.given["source_app"]
    found = [it for it in world.store.signing_secrets() if of in (None, it.source_app)]
    return _part("signing_secrets", [show.signing_secret(it) for it in found], "secret_id", asked)


def create_signing_secret(world: World, who: Identity, asked: Asked) -> Answer:
    """Make a signing secret. Within seconds the app's deliveries are signed with it, beside the one that it has."""
    secret, key = admin.create_signing_secret(world, who, asked.body)
    return Answer(201, {**show.signing_secret(secret), "secret": as_text(key)})


def remove_signing_secret(world: World, who: Identity, asked: Asked) -> Answer:
    """Remove a signing secret: within seconds nothing is signed with it any more."""
    admin.remove_signing_secret(world, who, asked.ids["secret_id"])
    return Answer(204)


# ── operators ────────────────────────────────────────────────────────────────────────────────────

MARK_SECONDS = 34_560_000
"""How long a device is known: 400 days, the longest that browsers keep a cookie."""

COOKIES = {
    "Set-Cookie": Field(
        Text(), f"`{COOKIE}`, the session, and `{login.DEVICE}`, by which the device is known.", required=True
    )
}
LOGIN = Record(
    name="Credentials",
    fields={
        "name": Field(Text(least=1, most=200), "The operator's.", required=True),
        "password": Field(Text(most=operators.MOST_PASSWORD), "Its password.", required=True),
    },
)
NEW_PASSWORD = Record(
    name="PasswordChange",
    fields={
        "current": Field(Text(most=operators.MOST_PASSWORD), "The password until now.", required=True),
        "new": Field(Text(most=operators.MOST_PASSWORD), "The one from now on.", required=True),
    },
)
ALL_OPERATORS = Shown(
    name="OperatorList", fields={"operators": Field(ListOf(shape=show.OPERATOR), "All of them, by name.")}
)


def log_in(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """Begin a session of an operator, whose cookie the answer sets."""
    require(LOGIN, asked.body)
    opened = login.login(world, asked.call, asked.body["name"], asked.body["password"])
    told = {
        "name": opened.operator.name,
        "role": opened.operator.role,
        "csrf_token": operators.csrf_token(opened.cookie),
        "expires_at": show.time(opened.session.expires_at),
    }
    return Answer(200, told, _cookies(world, opened))


def _cookies(world: World, opened: login.Opened) -> dict[str, list[str]]:
    secure, lasts = world.settings.is_behind_tls, opened.session.ends_at - opened.session.seen_at
    session = _cookie(COOKIE, opened.cookie, lasts, secure=secure)
    return {"Set-Cookie": [session, _cookie(login.DEVICE, opened.mark, MARK_SECONDS, secure=secure)]}


def log_out(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """End the session: its cookie is of no use any more."""
    login.logout(world, who)
    return Answer(204, None, {"Set-Cookie": _cookie(COOKIE, "", 0)})


def me(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """Who is asking, and what they may do."""
    told = {
        "kind": who.kind,
        "name": who.name,
        "role": who.role,
        "source_app": who.source_app,
        "rights": sorted(who.rights, key=list(Right).index),
        "csrf_token": who.csrf_token,
        "expires_at": show.time(who.session.expires_at if who.session else None),
    }
    return Answer(200, told)


def change_password(world: World, who: Identity, asked: Asked) -> Answer:
    """Change one's own password. All other sessions are over; this one goes on, with a new cookie and a new token."""
    require(NEW_PASSWORD, asked.body)
    opened = login.change_password(world, asked.call, who, asked.body["current"], asked.body["new"])
    return Answer(204, None, _cookies(world, opened))


def list_operators(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """All operators, by name. Their passwords are not shown."""
    return Answer(200, {"operators": [show.operator(it) for it in world.store.roster().operators]})


def create_operator(world: World, who: Identity, asked: Asked) -> Answer:
    """Make an operator, who can log in from now on."""
    return Answer(201, show.operator(admin.create_operator(world, who, asked.body)))


def change_operator(world: World, who: Identity, asked: Asked) -> Answer:
    """Change the role of an operator, disable it, or set its password. Members that are left out stay as they are."""
    return Answer(200, show.operator(admin.change_operator(world, who, asked.ids["name"], asked.body)))


def remove_operator(world: World, who: Identity, asked: Asked) -> Answer:
    """Remove an operator: its sessions are over. What it did stays in the audit trail."""
    admin.remove_operator(world, who, asked.ids["name"])
    return Answer(204)


ACTS = {
    "subject": Field(Text(most=300), "Only what was done to this: an id, a target, `operator:` and a name."),
    "actor": Field(Text(most=300), "Only what this one did, such as `operator:li.lei`."),
    "since": Field(Time(), "Only what was done then or later."),
    "until": Field(Time(), "Only what was done before."),
    "cursor": PAGED["cursor"],
    "limit": Field(Number(least=1, most=100, whole=True), "Audits on a page, at most.", default=50),
}
AUDITS = Shown(
    name="AuditPage",
    fields={
        "audits": Field(ListOf(shape=show.AUDIT), "May be few, and even none, although there is a next page."),
        "cursor": Field(OrNull(Text()), "Where the next page begins; null when there is none."),
    },
)


def list_audits(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """What was done, and what was refused to operators, newest first. Of a bulk resend it is one."""
    given = asked.given
    since, until = (None if given[name] is None else seconds(given[name]) for name in ("since", "until"))
    acts = Acts(subject=given["subject"], actor=given["actor"], since=since, until=until)
    now = world.clock.now()
    page = world.store.acts(acts, given["cursor"], given["limit"], now=now)
    fit = fitting([show.audit(it) for it in page.audits], MAX_PAGE_BYTES)
    if fit < len(page.audits):
        page = world.store.acts(acts, given["cursor"], fit, now=now)
    return Answer(200, {"audits": [show.audit(it) for it in page.audits], "cursor": page.cursor})


# ── figures and health ───────────────────────────────────────────────────────────────────────────

HOUR, DAY = 3600, 86_400
UNITS = {"hour": HOUR, "day": DAY}
SHOWN_BY_DEFAULT = {"hour": 24 * HOUR, "day": 7 * DAY}
MOST_ROWS = 1000

PERIOD = {
    "unit": Field(Text(choices=tuple(UNITS)), "What a row of the series is.", default="hour"),
    "since": Field(Time(), "Where the series begins; unless said, 24 hours or 7 days ago."),
    "until": Field(Time(), "Where it ends; now unless said."),
}
STATS = Shown(
    name="Stats",
    fields={
        "totals": Field(show.TOTALS, "All time."),
        "unit": Field(Text(choices=tuple(UNITS)), "What a row is."),
        "series": Field(ListOf(shape=show.ROW), "A row for each hour or day, zeros included."),
    },
)


def stats(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """Totals now, and a series by hour or by day."""
    unit, step, first, until = _period(world, asked.given)
    starts = [first + step * row for row in range(int((until - first) // step) + 1)]
    rows = show.series(starts, world.store.series(unit, first, until))
    return Answer(200, {"totals": show.totals(world.store.totals()), "unit": unit, "series": rows})


def _period(world: World, given: Mapping[str, Json]) -> tuple[str, int, float, float]:
    """The unit and its seconds, and the time that is asked for, from the start of a unit. Raises InvalidRequest."""
    unit = given["unit"]
    step = UNITS[unit]
    until = _moment(given["until"], world.clock.now())
    since = _moment(given["since"], max(until - SHOWN_BY_DEFAULT[unit] + step, 0))
    first = since - since % step
    if not 0 <= until - first <= MOST_ROWS * step:
        fault = Fault("query:since", f"must lie before until, by at most {MOST_ROWS} {unit}s")
        raise InvalidRequest(faults=(fault,))
    return unit, step, first, until


FAILED = {
    **PERIOD,
    "since": Field(Time(), "Only tasks accepted then or later; unless said, 24 hours or 7 days ago."),
    "until": Field(Time(), "Only tasks accepted before; now unless said."),
    "source_app": Field(NAME, "Only tasks of this app."),
}
FAILURES = Shown(
    name="Failures",
    fields={
        "unit": Field(Text(choices=tuple(UNITS)), "What a row of a series is."),
        "groups": Field(ListOf(shape=show.FAILURES), "Those with the most tasks first."),
        "counted": Field(show.COUNT, "Tasks in all groups."),
        "exact": Field(Flag(), "false: there are more, older ones; looking at them all takes too long."),
    },
)
MOST_GATHERED = 2000
"""Tasks of each status that are looked at for `/v1/failures`, at most."""


def failures(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """What fails: exhausted and retrying tasks, by target and by why, and when they were accepted."""
    unit, step, first, until = _period(world, asked.given)
    since = _moment(asked.given["since"], first)
    query = Query(since=since, until=until, source_app=asked.given["source_app"])
    found = [_newest(world, evolve(query, status=status)) for status in (Status.EXHAUSTED, Status.RETRYING)]
    tasks = sorted((it for some, _ in found for it in some), key=lambda it: -it.created_at)
    groups = [show.failures(group) for group in gathered(tasks, step)]
    exact = all(complete for _, complete in found)
    return Answer(200, {"unit": unit, "groups": groups, "counted": len(tasks), "exact": exact})


def _newest(world: World, query: Query) -> tuple[list[Task], bool]:
    """The newest tasks of a query, up to `MOST_GATHERED`, and whether these are all."""
    page = world.store.page(query, None, MOST_GATHERED)
    found = list(page.tasks)
    while page.cursor is not None and len(found) < MOST_GATHERED:
        page = world.store.page(query, page.cursor, MOST_GATHERED - len(found))
        found += page.tasks
    return found, page.cursor is None


def _moment(time: str | None, default: float) -> float:
    return default if time is None else seconds(time)


def ledger(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """Whether every task accepted from `since` on and before `until` still stands somewhere."""
    return Answer(200, show.ledger(world.store.ledger(world.clock.now(), world.settings.retention)))


ALL_SETTINGS = Shown(
    name="SettingList",
    fields={"settings": Field(ListOf(shape=show.SETTING), "All of them, as the reference has them.")},
)


def list_settings(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """The settings as this process has them, and what each means."""
    return Answer(200, {"settings": [show.setting(it, world.settings) for it in SETTINGS]})


HEALTH = Shown(
    name="Health",
    fields={"status": Field(Text(choices=("ok", "unavailable")), "ok: tasks can be stored.")},
    sometimes={
        "ledger": Field(Text(choices=show.BALANCES), "Whether the ledger added up when it was last checked."),
        "code": Field(Text(), "Why tasks cannot be stored: the `code` that other routes answer with."),
        "detail": Field(Text(), "The same as a sentence."),
    },
)
ILL = Gives(503, "Tasks cannot be stored just now.", HEALTH, RETRY_AFTER)


def health(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """Whether tasks can be stored, and whether the ledger added up when last checked. Open to everybody: no more."""
    try:
        world.store.ping()
        checked = world.store.checked()
    except Unavailable as unavailable:
        log.event("health.bad", metrics={"Unhealthy": 1}, request_id=asked.call.request_id, why=unavailable.detail)
        why = {"code": unavailable.code, "detail": unavailable.detail}
        return Answer(503, {"status": "unavailable", **why}, {"Retry-After": str(unavailable.retry_after)})
    return Answer(200, {"status": "ok", "ledger": show.balance(checked)})


def openapi(world: World, who: Identity, asked: Asked) -> Answer:  # noqa: ARG001 - as above
    """This document: the API as OpenAPI 3.1 describes it. Open to everybody."""
    from chalicelib.openapi import document  # noqa: PLC0415 - no other route needs it

    base = asked.call.url_path.rstrip("/").removesuffix("/openapi.json")
    return Answer(200, document(ROUTES.values(), base))


# ── every route: where it is, what it takes, what it gives ───────────────────────────────────────

TASKS = Tag("tasks", "What must arrive.")
TARGETS = Tag("targets", "Where tasks go: pause them, limit them.")
CHANNELS = Tag("channels", "Where failures are told.")
SIGNING = Tag("signing", "By what receivers know that a delivery is ours.")
CALLERS = Tag("callers", "Machines that submit tasks.")
OPERATORS = Tag("operators", "Humans with a login, and what they did.")
SERVICE = Tag("service", "How kkbida itself is doing.")

ROUTES: Mapping[str, Route] = {
    route.name: route
    for route in (
        Route(
            "POST",
            "/v1/tasks",
            submit,
            TASKS,
            Right.SUBMIT,
            ACCEPTED,
            headers=KEYED,
            takes=TASK,
            refuses=(IdempotencyConflict,),
            same_again=True,
        ),
        Route(
            "POST",
            "/v1/tasks/batch",
            submit_batch,
            TASKS,
            Right.SUBMIT,
            Gives(207, "What became of each task.", RESULTS),
            takes=BATCH,
            most_bytes=MOST_BATCH_BYTES,
            same_again=True,
        ),
        Route(
            "GET", "/v1/tasks", list_tasks, TASKS, Right.READ, Gives(200, "A page.", PAGE), query={**FILTER, **PAGED}
        ),
        Route(
            "GET",
            "/v1/tasks/{task_id}",
            look,
            TASKS,
            Right.READ,
            Gives(200, "The task with all that is known.", show.WHOLE),
        ),
        Route(
            "GET",
            "/v1/tasks/{task_id}/attempts",
            list_attempts,
            TASKS,
            Right.READ,
            Gives(200, "A page.", ATTEMPTS),
            query=ATTEMPTS_PAGED,
        ),
        Route(
            "POST",
            "/v1/tasks/{task_id}/resend",
            resend,
            TASKS,
            Right.RESEND,
            Gives(202, "The new round has begun.", show.HEADLINE),
            takes=OVERRIDES,
            optional=True,
            refuses=(WrongStatus,),
        ),
        Route(
            "POST",
            "/v1/tasks/{task_id}/cancel",
            cancel,
            TASKS,
            Right.RESEND,
            Gives(200, "The task is cancelled.", show.HEADLINE),
            refuses=(WrongStatus,),
        ),
        Route(
            "POST",
            "/v1/tasks/{task_id}/deliver-now",
            deliver_now,
            TASKS,
            Right.RESEND,
            Gives(202, "The next attempt is due now.", show.HEADLINE),
            refuses=(WrongStatus,),
        ),
        Route(
            "POST",
            "/v1/resends",
            start_resend,
            TASKS,
            Right.OPERATE,
            Gives(202, "It has begun, and goes on whatever happens.", show.RESEND, LOCATION),
            also=(Gives(200, "What a dry run has counted.", SIZE),),
            takes=admin.RESEND,
        ),
        Route(
            "GET", "/v1/resends", list_resends, TASKS, Right.WATCH, Gives(200, "The bulk resends.", RESENDS), query=PART
        ),
        Route(
            "GET",
            "/v1/resends/{resend_id}",
            look_at_resend,
            TASKS,
            Right.WATCH,
            Gives(200, "How far it is.", show.WHOLE_RESEND),
        ),
        Route(
            "DELETE",
            "/v1/resends/{resend_id}",
            stop_resend,
            TASKS,
            Right.OPERATE,
            Gives(200, "As it is now.", show.RESEND),
        ),
        Route(
            "GET",
            "/v1/targets",
            list_targets,
            TARGETS,
            Right.WATCH,
            Gives(200, "The targets.", ALL_TARGETS),
            query=PART,
        ),
        Route(
            "PATCH",
            "/v1/targets",
            change_target,
            TARGETS,
            Right.OPERATE,
            Gives(200, "The target as it is now.", show.TARGET),
            query=OF_TARGET,
            takes=admin.TARGET,
        ),
        Route(
            "GET",
            "/v1/channels",
            list_channels,
            CHANNELS,
            Right.WATCH,
            Gives(200, "The channels.", ALL_CHANNELS),
            query=PART,
        ),
        Route(
            "POST",
            "/v1/channels",
            create_channel,
            CHANNELS,
            Right.ADMIN,
            Gives(201, "The channel as it is shown.", show.CHANNEL),
            takes=admin.CHANNEL,
        ),
        Route(
            "PUT",
            "/v1/channels/{channel_id}",
            change_channel,
            CHANNELS,
            Right.ADMIN,
            Gives(200, "The channel as it is now.", show.CHANNEL),
            takes=admin.CHANNEL,
            refuses=(WrongStatus,),
        ),
        Route(
            "DELETE",
            "/v1/channels/{channel_id}",
            remove_channel,
            CHANNELS,
            Right.ADMIN,
            Gives(204, "The channel is gone."),
        ),
        Route(
            "POST",
            "/v1/channels/{channel_id}/test",
            test_channel,
            CHANNELS,
            Right.OPERATE,
            Gives(200, "What became of the message.", TESTED),
        ),
        Route(
            "GET",
            "/v1/signing-secrets",
            list_signing_secrets,
            SIGNING,
            Right.WATCH,
            Gives(200, "The secrets.", SECRETS),
            query=SECRETS_OF,
        ),
        Route(
            "POST",
            "/v1/signing-secrets",
            create_signing_secret,
            SIGNING,
            Right.ADMIN,
            Gives(201, "The secret, with its key.", show.NEW_SIGNING_SECRET),
            takes=admin.SIGNING_SECRET,
            refuses=(Conflict,),
        ),
        Route(
            "DELETE",
            "/v1/signing-secrets/{secret_id}",
            remove_signing_secret,
            SIGNING,
            Right.ADMIN,
            Gives(204, "The secret is gone."),
        ),
        Route(
            "POST",
            "/v1/channels/preview",
            preview_channel,
            CHANNELS,
            Right.WATCH,
            Gives(200, "The message.", PREVIEWED),
            takes=admin.PREVIEW,
            same_again=True,
        ),
        Route(
            "POST",
            "/api/addTask",
            add_task,
            TASKS,
            Right.SUBMIT,
            Gives(200, "The task is stored; its id.", ID_ALONE, content_type=TEXT),
            also=(
                Gives(400, "What is wrong, in Chinese and in English.", Text(), content_type=TEXT),
                Gives(401, "The user name or the password is wrong."),
                Gives(403, "Not from here, or not with this right."),
                Gives(429, "Too many wrong passwords, from this address or of this user.", headers=RETRY_AFTER),
                Gives(503, "It cannot be stored just now.", headers=RETRY_AFTER),
            ),
            takes=predecessor.BEAN,
            refuses=(NoSuchRoute,),
            as_before=True,
        ),
        Route(
            "POST",
            "/v1/import",
            import_tasks,
            TASKS,
            Right.ADMIN,
            Gives(207, "What became of each row.", IMPORTED),
            takes=importing.IMPORT,
            most_bytes=MOST_BATCH_BYTES,
            same_again=True,
        ),
        Route(
            "GET",
            "/v1/callers",
            list_callers,
            CALLERS,
            Right.WATCH,
            Gives(200, "The callers.", ALL_CALLERS),
            query=PART,
        ),
        Route(
            "POST",
            "/v1/callers",
            create_caller,
            CALLERS,
            Right.ADMIN,
            Gives(201, "The caller, with its secret.", show.NEW_CALLER),
            takes=admin.CALLER,
            refuses=(Conflict,),
        ),
        Route("DELETE", "/v1/callers/{key_id}", remove_caller, CALLERS, Right.ADMIN, Gives(204, "The caller is gone.")),
        Route(
            "POST",
            "/v1/login",
            log_in,
            OPERATORS,
            None,
            Gives(200, "The session has begun.", show.LOGIN, COOKIES),
            takes=LOGIN,
            refuses=(Unauthorized, LockedOut),
        ),
        Route(
            "POST",
            "/v1/logout",
            log_out,
            OPERATORS,
            None,
            Gives(204, "The session is over.", headers=COOKIES),
            known=True,
        ),
        Route("GET", "/v1/me", me, OPERATORS, None, Gives(200, "Who is asking.", show.ME), known=True),
        Route(
            "POST",
            "/v1/me/password",
            change_password,
            OPERATORS,
            None,
            Gives(204, "The password is another one, and so is the session.", headers=COOKIES),
            takes=NEW_PASSWORD,
            refuses=(LockedOut,),
            known=True,
        ),
        Route(
            "GET",
            "/v1/operators",
            list_operators,
            OPERATORS,
            Right.ADMIN,
            Gives(200, "The operators.", ALL_OPERATORS),
        ),
        Route(
            "POST",
            "/v1/operators",
            create_operator,
            OPERATORS,
            Right.ADMIN,
            Gives(201, "The operator.", show.OPERATOR),
            takes=admin.OPERATOR,
            refuses=(Conflict,),
        ),
        Route(
            "PATCH",
            "/v1/operators/{name}",
            change_operator,
            OPERATORS,
            Right.ADMIN,
            Gives(200, "The operator as it is now.", show.OPERATOR),
            takes=admin.OPERATOR_CHANGES,
            refuses=(Conflict,),
        ),
        Route(
            "DELETE",
            "/v1/operators/{name}",
            remove_operator,
            OPERATORS,
            Right.ADMIN,
            Gives(204, "The operator is gone."),
            refuses=(Conflict,),
        ),
        Route(
            "GET",
            "/v1/audit",
            list_audits,
            OPERATORS,
            Right.WATCH,
            Gives(200, "A page.", AUDITS),
            query=ACTS,
        ),
        Route("GET", "/v1/stats", stats, SERVICE, Right.WATCH, Gives(200, "The figures.", STATS), query=PERIOD),
        Route("GET", "/v1/failures", failures, SERVICE, Right.WATCH, Gives(200, "The groups.", FAILURES), query=FAILED),
        Route("GET", "/v1/settings", list_settings, SERVICE, Right.WATCH, Gives(200, "The settings.", ALL_SETTINGS)),
        Route("GET", "/v1/ledger", ledger, SERVICE, Right.WATCH, Gives(200, "Both sides.", show.LEDGER)),
        Route("GET", "/v1/health", health, SERVICE, None, Gives(200, "All is well.", HEALTH), also=(ILL,)),
        Route(
            "GET",
            "/openapi.json",
            openapi,
            SERVICE,
            None,
            Gives(200, "The document.", MapOf(shape=Anything())),
        ),
    )
}
"""Every route, under the name that app.py calls it by."""
