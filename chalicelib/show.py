"""How tasks, attempts, notices, channels and the rest are shown: JSON for the API. Pure. Secrets are left out here.

Beside each function stands the shape of what it makes; tests hold the two together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any
from urllib.parse import urlsplit

from chalicelib.errors import Kind, Refusal
from chalicelib.failures import Group
from chalicelib.ledger import Ledger
from chalicelib.operators import MOST_NAME
from chalicelib.response_size import MAX_PAGE_BYTES, fitting, newest
from chalicelib.settings import Setting, Settings, masked, written
from chalicelib.shape import Anything, Field, Flag, ListOf, MapOf, Number, OrNull, Shown, Text, Time
from chalicelib.task import (
    CONTINUE,
    HOLD,
    SCOPES,
    Attempt,
    Audit,
    Caller,
    Channel,
    Event,
    Expectation,
    Gate,
    Gist,
    Held,
    Json,
    Mention,
    Notice,
    NoticeStatus,
    Operator,
    Phase,
    Policy,
    Request,
    Resend,
    ResendStatus,
    Right,
    Role,
    SigningSecret,
    Status,
    Target,
    Task,
    Verdict,
    evolve,
)

ID = Text(format="uuid")
TEXT = Text()
IDS = {"key_id": Text(least=1, most=100), "name": Text(least=1, most=MOST_NAME)}
"""The form of ids that are no UUIDs."""

TIME = Time()
COUNT = Number(least=0, whole=True)
AMOUNT = Number(least=0)

HIDDEN = "***"
"""What stands in the place of a secret."""

A_USER = "operator"
"""With what the name of a user begins where it has done something, and all of it that a program is shown."""

_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|key|passw|pwd|sign|credential|session|jwt", re.IGNORECASE)


def time(seconds: float | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────

HEADLINE = Shown(
    name="Task",
    fields={
        "task_id": Field(ID, "Its id."),
        "status": Field(Text(choices=tuple(Status)), "Where it stands."),
        "method": Field(TEXT, "The HTTP method."),
        "url": Field(TEXT, "Where the request goes."),
        "source_app": Field(TEXT, "The app that it comes from."),
        "target_app": Field(TEXT, "The app that it goes to."),
        "target": Field(TEXT, "Scheme, host and port of the URL."),
        "labels": Field(MapOf(shape=TEXT), "Names and values of the caller's own."),
        "created_at": Field(TIME, "When it was accepted."),
        "updated_at": Field(TIME, "When it last changed."),
        "round": Field(COUNT, "1, and one more with each resend."),
        "attempts_made": Field(COUNT, "Tries that have begun in this round."),
        "max_attempts": Field(COUNT, "Tries that a round may have."),
        "scheduled": Field(Flag(), "Whether its first try was put off to a time that has not come."),
        "waits_in_line": Field(Flag(), "Whether others with its ordering key must end before it is tried."),
        "held": Field(
            OrNull(Text(choices=tuple(Held))), "Why it waits for its target though it is due; null when it does not."
        ),
        "next_try_at": Field(
            OrNull(TIME), "When the next try begins; null once the status is final, in line, and while it is held."
        ),
        "because": Field(OrNull(TEXT), "Why it is exhausted."),
        "last_reason": Field(OrNull(TEXT), "Why the last attempt failed."),
    },
)


def headline(task: Task, now: float) -> dict[str, Json]:
    """A task in a list."""
    request = task.request
    return {
        "task_id": task.task_id,
        "status": task.status,
        "method": request.method,
        "url": request.url,
        "source_app": request.source_app,
        "target_app": request.target_app,
        "target": request.target,
        "labels": request.labels,
        "created_at": time(task.created_at),
        "updated_at": time(task.updated_at),
        "round": task.round,
        "attempts_made": task.number,
        "max_attempts": request.retry.max_attempts,
        "scheduled": task.is_scheduled and task.due_at > now,
        "waits_in_line": task.behind,
        "held": task.held,
        "next_try_at": None if task.is_final or task.behind or task.held else time(task.due_at),
        "because": task.because,
        "last_reason": task.last.reason if task.last else None,
    }


EXPECTATION = Shown(
    name="Expectation",
    fields={"status": Field(ListOf(shape=TEXT), "Statuses that count.")},
    sometimes={
        "contains": Field(TEXT, "Text that the reply's body must contain."),
        "equals": Field(TEXT, "Text that the reply's body must be."),
        "regex": Field(TEXT, "Pattern that must be found in the reply's body."),
        "json": Field(MapOf(shape=Anything()), "JSON path -> the value that must stand there in the reply."),
    },
)

POLICY = Shown(
    name="Policy",
    fields={
        "max_attempts": Field(COUNT, "Tries in a round, the first one included."),
        "backoff": Field(
            OrNull(Text(choices=("exponential", "fixed", "schedule"))),
            "How the waits grow; null once the request has expired.",
        ),
        "jitter": Field(AMOUNT, "Share by which a wait may be shorter or longer."),
        "give_up_on": Field(ListOf(shape=TEXT), "Statuses of a reply that end the round at once."),
        "deadline": Field(AMOUNT, "Seconds after which no try of the round begins."),
    },
    sometimes={
        "initial": Field(AMOUNT, "Seconds of the first wait (fixed: of each)."),
        "factor": Field(AMOUNT, "By which each wait is longer than the one before."),
        "cap": Field(AMOUNT, "Seconds that no wait exceeds, jitter aside."),
        "schedule": Field(ListOf(shape=AMOUNT), "Seconds between the tries, one by one."),
    },
)

_SUBMITTED = {
    "headers": Field(MapOf(shape=TEXT), f"Headers that are sent; the value of one that may be secret is {HIDDEN}."),
    "params": Field(MapOf(shape=Anything()), "The query of a GET, HEAD or DELETE or beside a body; else the body."),
    "body": Field(Anything(), "What is sent; null: nothing, or the params."),
    "content_type": Field(OrNull(TEXT), "Of the body, if it was given."),
    "timeout": Field(AMOUNT, "Seconds that one attempt may last in all."),
    "ordering_key": Field(OrNull(TEXT), "Tasks of the same caller with the same key are delivered one after another."),
    "on_exhausted": Field(
        OrNull(Text(choices=(CONTINUE, HOLD))), "What becomes of those behind it once it is exhausted."
    ),
    "expect": Field(EXPECTATION, "What the reply must be."),
    "retry": Field(POLICY, "How often and when it is tried again."),
}


def _submitted(request: Request) -> dict[str, Json]:
    return {
        "headers": {name: _unless_secret(name, value) for name, value in request.headers.items()},
        "params": request.params,
        "body": request.body,
        "content_type": request.content_type,
        "timeout": request.timeout,
        "ordering_key": request.ordering_key,
        "on_exhausted": request.on_exhausted if request.ordering_key else None,
        "expect": _expectation(request.expect),
        "retry": _policy(request.retry),
    }


def is_secret(header: str) -> bool:
    """Whether the value of a header of that name is shown to nobody."""
    return _SECRET_HEADER.search(header) is not None


def _unless_secret(name: str, value: str) -> str:
    return HIDDEN if is_secret(name) else value


def change_of_request(name: str, value: Json) -> Json:
    """A part of a request as the audit trail shows it."""
    if name == "headers":
        return {header: _unless_secret(header, it) for header, it in value.items()}
    return _policy(value) if isinstance(value, Policy) else value


def _expectation(expect: Expectation) -> dict[str, Json]:
    rules = {"contains": expect.contains, "equals": expect.equals, "regex": expect.regex, "json": expect.json or None}
    return {"status": expect.status, **{name: rule for name, rule in rules.items() if rule is not None}}


def _policy(policy: Policy) -> dict[str, Json]:
    waits: Mapping[str, Mapping[str, Json]] = {
        "exponential": {"initial": policy.initial, "factor": policy.factor, "cap": policy.cap},
        "fixed": {"initial": policy.initial},
        "schedule": {"schedule": policy.waits},
    }
    return {
        "max_attempts": policy.max_attempts,
        "backoff": policy.backoff or None,
        **waits.get(policy.backoff, {}),
        "jitter": policy.jitter,
        "give_up_on": policy.give_up_on,
        "deadline": policy.deadline,
    }


PHASES = Shown(
    name="Phases",
    fields={
        "dns": Field(OrNull(COUNT), "Milliseconds until the host's name was looked up."),
        "connect": Field(OrNull(COUNT), "Milliseconds until it had a connection."),
        "tls": Field(OrNull(COUNT), "Milliseconds until that was secured; null without https."),
        "wait": Field(OrNull(COUNT), "Milliseconds from then to the reply's first byte: the receiver's own time."),
        "read": Field(OrNull(COUNT), "Milliseconds from there to the reply's end."),
    },
)

ATTEMPT = Shown(
    name="Attempt",
    fields={
        "number": Field(COUNT, "Counts within the round, from 1."),
        "round": Field(COUNT, "The round that it belongs to."),
        "started_at": Field(OrNull(TIME), "When it began, if that is known."),
        "duration_ms": Field(OrNull(COUNT), "Milliseconds until it ended."),
        "status_code": Field(OrNull(COUNT), "Status of the reply, if one came."),
        "verdict": Field(OrNull(Text(choices=tuple(Verdict))), "How it was judged; null while it is on its way."),
        "kind": Field(OrNull(Text(choices=tuple(Kind))), "Why it failed, for programs."),
        "reason": Field(OrNull(TEXT), "Why it failed, for people: the rule that did not hold."),
        "reply": Field(OrNull(TEXT), "What was kept of the reply's body, as text."),
        "reply_bytes": Field(OrNull(COUNT), "Bytes that all of it would take."),
        "reply_truncated": Field(Flag(), "Whether more came than is shown."),
        "wait": Field(OrNull(AMOUNT), "Seconds until the next try that were decided then."),
        "phases": Field(
            OrNull(PHASES), "What its time went into; the last that is not null is the one in which it ended."
        ),
    },
)

MAX_ATTEMPTS_BYTES = 2_500_000
"""Of the attempts that the answer of a task shows, as they are wrapped. What was submitted may take 1.5 MB."""

MAX_TRAIL_BYTES = 1_000_000
"""Of its notices, and of its audit trail."""


def attempt(attempt: Attempt) -> dict[str, Json]:
    """An attempt; one without a verdict is on its way."""
    return {
        "number": attempt.number,
        "round": attempt.round,
        "started_at": time(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status_code": attempt.status_code,
        "verdict": attempt.verdict,
        "kind": attempt.kind,
        "reason": attempt.reason,
        "reply": attempt.reply,
        "reply_bytes": attempt.reply_bytes,
        "reply_truncated": attempt.reply_truncated,
        "wait": attempt.wait,
        "phases": dict(zip_longest(Phase, attempt.phases)) if attempt.phases else None,
    }


NOTICE = Shown(
    name="Notice",
    fields={
        "notice_id": Field(OrNull(TEXT), "Its id: tasks that were told of together share it; null to a caller."),
        "channel_id": Field(OrNull(ID), "The channel that is told; null to a caller."),
        "kind": Field(TEXT, "The channel's kind."),
        "round": Field(COUNT, "The round that was exhausted."),
        "status": Field(Text(choices=tuple(NoticeStatus)), "Where it stands."),
        "tasks": Field(OrNull(COUNT), "How many tasks it tells of; null while they gather."),
        "tries": Field(COUNT, "How often the channel took or refused it."),
        "reason": Field(OrNull(TEXT), "Why it was not taken; of e-mail null to a caller."),
        "refused": Field(
            MapOf(shape=TEXT),
            "Of e-mail: the recipients that were refused, and why; the others have it.",
        ),
        "created_at": Field(TIME, "When it was first owed."),
        "ended_at": Field(OrNull(TIME), "When it was taken, or given up."),
        "next_try_at": Field(OrNull(TIME), "When it is sent, or sent again, if it will be."),
    },
)

GATHERS = Notice(notice_id="", channel_id="", channel_kind="", gist=Gist(), due_at=0, created_at=0)
"""In the place of a notice that is not put together yet."""


def _notice(mention: Mention, known: Notice | None, current_round: int) -> dict[str, Json]:
    """A notice. One of an older round that has not ended never will: a human knew, and resent the task."""
    notice = known or evolve(GATHERS, due_at=mention.due_at)
    overtaken = notice.ended_at is None and mention.round < current_round
    return {
        "notice_id": mention.notice_id,
        "channel_id": mention.channel_id,
        "kind": mention.channel_kind,
        "round": mention.round,
        "status": notice.status,
        "tasks": notice.gist.tasks if known else None,
        "tries": notice.tries,
        "reason": "the task was resent before this was told" if overtaken else notice.reason,
        "refused": dict(notice.refused),
        "created_at": time(mention.created_at),
        "ended_at": time(notice.ended_at),
        "next_try_at": time(notice.due_at) if notice.ended_at is None and not overtaken else None,
    }


AUDIT = Shown(
    name="Audit",
    fields={
        "at": Field(TIME, "When."),
        "actor": Field(TEXT, f"Who; to a caller just `{A_USER}`, where it was an operator."),
        "action": Field(TEXT, "What was done."),
        "subject": Field(TEXT, "To what."),
        "address": Field(TEXT, "From where; empty to a caller."),
        "detail": Field(MapOf(shape=Anything()), "What it changed."),
        "result": Field(TEXT, "`done`, or the code that it was refused with."),
    },
)


def audit(it: Audit) -> dict[str, Json]:
    """An entry of the audit trail."""
    return {
        "at": time(it.at),
        "actor": it.actor,
        "action": it.action,
        "subject": it.subject,
        "address": it.address,
        "detail": it.detail,
        "result": it.result,
    }


WHOLE = Shown(
    name="WholeTask",
    fields={
        **HEADLINE.fields,
        **_SUBMITTED,
        "submitted_by": Field(
            TEXT, f"Who submitted it, or for which app; to a caller just `{A_USER}`, as in the audit."
        ),
        "attempts": Field(ListOf(shape=ATTEMPT), "Those of all rounds that fit into one answer, the newest last."),
        "attempts_cursor": Field(
            OrNull(TEXT), "Where `GET /v1/tasks/{task_id}/attempts` goes on with older ones; null when all are here."
        ),
        "notices": Field(ListOf(shape=NOTICE), "Those of all rounds that fit, the newest last."),
        "notices_left_out": Field(COUNT, "Older ones that did not fit."),
        "audit": Field(ListOf(shape=AUDIT), "What operators did to it, as far as it fits, the newest last."),
        "audit_left_out": Field(COUNT, "Older entries that did not fit: see `GET /v1/audit?subject={task_id}`."),
    },
)


def whole(
    task: Task,
    attempts: Iterable[Attempt],
    notices: Iterable[tuple[Mention, Notice | None]],
    audits: Iterable[Audit],
    *,
    now: float,
) -> dict[str, Json]:
    """A task with everything that is known of it, as far as it fits into one answer."""
    tries = [attempt(it) for it in attempts]
    shown = newest(tries, MAX_ATTEMPTS_BYTES)
    left_out = len(tries) - len(shown)
    told = [_notice(mention, notice, task.round) for mention, notice in notices]
    trail = [audit(it) for it in audits]
    told_shown, trail_shown = newest(told, MAX_TRAIL_BYTES), newest(trail, MAX_TRAIL_BYTES)
    return {
        **headline(task, now),
        **_submitted(task.request),
        "submitted_by": task.caller,
        "attempts": shown,
        "attempts_cursor": str(left_out + 1) if left_out else None,
        "notices": told_shown,
        "notices_left_out": len(told) - len(told_shown),
        "audit": trail_shown,
        "audit_left_out": len(trail) - len(trail_shown),
    }


def for_program(whole: Mapping[str, Json]) -> dict[str, Json]:
    """A task as a program sees it: not who the users are, from where they work, nor which channels there are."""
    return {
        **whole,
        "submitted_by": _unnamed(whole["submitted_by"]),
        "notices": [{**notice, **_hidden_of(notice)} for notice in whole["notices"]],
        "audit": [{**it, "actor": _unnamed(it["actor"]), "address": ""} for it in whole["audit"]],
    }


def _hidden_of(notice: Mapping[str, Json]) -> dict[str, Json]:
    """What a program does not see of a notice. Why a letter was not taken may name its recipients."""
    hidden: dict[str, Json] = {"notice_id": None, "channel_id": None, "refused": {}}
    return {**hidden, "reason": None} if notice["kind"] == "email" else hidden


def _unnamed(actor: str) -> str:
    return A_USER if actor.partition(":")[0] == A_USER else actor


# ── many tasks ───────────────────────────────────────────────────────────────────────────────────

RESEND = Shown(
    name="Resend",
    fields={
        "resend_id": Field(ID, "Its id; each task that it resends names it in its audit trail."),
        "status": Field(Text(choices=tuple(ResendStatus)), "Where it stands."),
        "filter": Field(MapOf(shape=Anything()), "Which tasks it resends; empty: those that were named by `task_ids`."),
        "rate": Field(AMOUNT, "Tasks that become due in a second, at most."),
        "matched": Field(COUNT, "Tasks that it has found so far, or that were named."),
        "resent": Field(COUNT, "Those of them that have a new round."),
        "passed_over": Field(COUNT, "Those that were changed since it began: resent by others, or gone."),
        "failed": Field(COUNT, "Those with which something went wrong; the log says what."),
        "actor": Field(TEXT, "Who began it."),
        "started_at": Field(TIME, "When it began."),
        "ended_at": Field(OrNull(TIME), "When it was over."),
    },
)


def resend(it: Resend) -> dict[str, Json]:
    """A bulk resend in a list."""
    return {
        "resend_id": it.resend_id,
        "status": it.status,
        "filter": it.filter,
        "rate": it.rate,
        "matched": it.matched,
        "resent": it.resent,
        "passed_over": it.passed_over,
        "failed": it.failed,
        "actor": it.actor,
        "started_at": time(it.started_at),
        "ended_at": time(it.ended_at),
    }


WHOLE_RESEND = Shown(
    name="WholeResend",
    fields={**RESEND.fields, "audit": Field(ListOf(shape=AUDIT), "What operators did to it, the newest last.")},
)


def whole_resend(it: Resend, audits: Iterable[Audit]) -> dict[str, Json]:
    """A bulk resend with its audit trail."""
    return {**resend(it), "audit": [audit(it) for it in audits]}


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

CHANNEL = Shown(
    name="Channel",
    fields={
        "channel_id": Field(ID, "Its id."),
        "kind": Field(TEXT, "What sort of robot or address it is."),
        "url": Field(TEXT, "Where it leads: scheme and host, the rest is secret; of e-mail all of it."),
        "has_secret": Field(Flag(), "Whether messages are signed."),
        "template": Field(TEXT, "The whole body, with ${...} variables; empty: the default."),
        "content_type": Field(TEXT, "Of the body."),
        "memo": Field(TEXT, "A note for people."),
        "source_apps": Field(ListOf(shape=TEXT), "Only tasks that come from these; empty: from all."),
        "target_apps": Field(ListOf(shape=TEXT), "Only tasks that go to these; empty: to all."),
        "events": Field(ListOf(shape=Text(choices=tuple(Event))), "What it is told of."),
        "gather": Field(AMOUNT, "Seconds between two notices, in which failures gather to one; 0: each alone."),
        "enabled": Field(Flag(), "Whether it is used."),
        "created_at": Field(TIME, "When it was made."),
        "updated_at": Field(TIME, "When it last changed."),
    },
)


def lead(url: str) -> str:
    """Where an address leads, without what is secret in it."""
    parts = urlsplit(url)
    return url if parts.scheme == "mailto" else f"{parts.scheme}://{parts.netloc}/{HIDDEN}"


def change_of_channel(name: str, value: Json) -> Json:
    """A member of a channel as the audit trail shows it."""
    if name == "url":
        return lead(value) if value else value
    return HIDDEN if name == "secret" and value else value


def channel(it: Channel) -> dict[str, Json]:
    """A channel, its address cut to where it leads, its secret left out."""
    return {
        "channel_id": it.channel_id,
        "kind": it.kind,
        "url": lead(it.url),
        "has_secret": bool(it.secret),
        "template": it.template,
        "content_type": it.content_type,
        "memo": it.memo,
        "source_apps": it.source_apps,
        "target_apps": it.target_apps,
        "events": it.events,
        "gather": it.gather,
        "enabled": it.enabled,
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
    }


# ── callers ──────────────────────────────────────────────────────────────────────────────────────

CALLER = Shown(
    name="Caller",
    fields={
        "key_id": Field(TEXT, "The id of its key: `keyid` of its signatures."),
        "source_app": Field(TEXT, "The app that it acts for; *: every app."),
        "scopes": Field(ListOf(shape=Text(choices=SCOPES)), "What it may do."),
        "networks": Field(ListOf(shape=TEXT), "Where it may call from; empty: everywhere."),
        "memo": Field(TEXT, "A note for people."),
        "user_name": Field(OrNull(TEXT), "Of a client of the predecessor; its password is never shown."),
        "fingerprint": Field(TEXT, "By which its secret is recognised; nothing can be signed with it."),
        "created_at": Field(TIME, "When it was made."),
        "created_by": Field(TEXT, "Who made it."),
    },
)
NEW_CALLER = Shown(
    name="ShownCaller",
    fields={**CALLER.fields, "secret": Field(TEXT, "What it signs with, as `kks_...`. It is shown this once.")},
)


def caller(it: Caller) -> dict[str, Json]:
    """A caller, without its secret."""
    return {
        "key_id": it.key_id,
        "source_app": it.source_app,
        "scopes": it.scopes,
        "networks": it.networks,
        "memo": it.memo,
        "user_name": it.user_name or None,
        "fingerprint": it.fingerprint,
        "created_at": time(it.created_at),
        "created_by": it.created_by,
    }


# ── operators ────────────────────────────────────────────────────────────────────────────────────

ROLE = Text(choices=tuple(Role))

OPERATOR = Shown(
    name="Operator",
    fields={
        "name": Field(TEXT, "By which it logs in."),
        "role": Field(ROLE, "What it may do."),
        "disabled": Field(Flag(), "Whether it may not log in."),
        "created_at": Field(TIME, "When it was made."),
        "created_by": Field(TEXT, "Who made it."),
        "password_at": Field(TIME, "When its password was last changed."),
    },
)


def operator(it: Operator) -> dict[str, Json]:
    """An operator, without its password."""
    return {
        "name": it.name,
        "role": it.role,
        "disabled": it.disabled,
        "created_at": time(it.created_at),
        "created_by": it.created_by,
        "password_at": time(it.password_at),
    }


LOGIN = Shown(
    name="Login",
    fields={
        "name": Field(TEXT, "Who has logged in."),
        "role": Field(ROLE, "What it may do."),
        "csrf_token": Field(TEXT, "For the header `X-CSRF-Token` of all requests that change anything."),
        "expires_at": Field(TIME, "When the session is over, unless it is used."),
    },
)

ME = Shown(
    name="Me",
    fields={
        "kind": Field(Text(choices=("operator", "caller", "anyone")), "What sort of one is asking."),
        "name": Field(TEXT, "As the audit trail has it."),
        "role": Field(OrNull(ROLE), "Of an operator."),
        "source_app": Field(OrNull(TEXT), "Of a caller: the app that it acts for."),
        "rights": Field(ListOf(shape=Text(choices=tuple(Right))), "What it may do; of a caller, its scopes."),
        "csrf_token": Field(OrNull(TEXT), "Of an operator's session: for the header `X-CSRF-Token`."),
        "expires_at": Field(OrNull(TIME), "Of an operator's session: when it is over, unless it is used."),
    },
)


# ── signing secrets ──────────────────────────────────────────────────────────────────────────────

SIGNING_SECRET = Shown(
    name="SigningSecret",
    fields={
        "secret_id": Field(ID, "Its id."),
        "source_app": Field(TEXT, "The app whose deliveries it signs."),
        "fingerprint": Field(TEXT, "By which its key is recognised; nothing can be signed with it."),
        "created_at": Field(TIME, "When it was made."),
    },
)
NEW_SIGNING_SECRET = Shown(
    name="ShownSigningSecret",
    fields={**SIGNING_SECRET.fields, "secret": Field(TEXT, "The key, as `whsec_...`. It is shown this once.")},
)


def signing_secret(it: SigningSecret) -> dict[str, Json]:
    """A signing secret, without its key."""
    return {
        "secret_id": it.secret_id,
        "source_app": it.source_app,
        "fingerprint": it.fingerprint,
        "created_at": time(it.created_at),
    }


# ── targets ──────────────────────────────────────────────────────────────────────────────────────

BREAKER_STATES = ("closed", "open", "half-open")

BREAKER = Shown(
    name="Breaker",
    fields={
        "failure_share": Field(AMOUNT, "Share of attempts that must fail."),
        "window": Field(AMOUNT, "Seconds of which attempts are counted."),
        "least_attempts": Field(COUNT, "Attempts that must have ended in it."),
        "open_seconds": Field(AMOUNT, "Seconds until one attempt is let through to see."),
        "state": Field(Text(choices=BREAKER_STATES), "half-open: that attempt is under way, or may be made."),
        "opened_at": Field(OrNull(TIME), "Since when it is not closed."),
        "open_until": Field(OrNull(TIME), "When that attempt may be made."),
    },
)

TARGET = Shown(
    name="Target",
    fields={
        "target": Field(TEXT, "Scheme, host and port."),
        "paused": Field(Flag(), "Whether its tasks are held until somebody resumes it."),
        "paused_at": Field(OrNull(TIME), "Since when."),
        "max_concurrency": Field(OrNull(COUNT), "Attempts that may run at a time; null: any number."),
        "rate_per_second": Field(OrNull(AMOUNT), "Attempts that may begin in a second; null: any number."),
        "breaker": Field(OrNull(BREAKER), "When it is left alone because attempts fail; null: never."),
        "running": Field(OrNull(COUNT), "Attempts that run, where their number is limited."),
        "held": Field(COUNT, "Tasks that are held for it; 1000: or more."),
        "updated_at": Field(TIME, "When its settings last changed."),
        "updated_by": Field(TEXT, "Who changed them."),
    },
)


def target(it: Target, gate: Gate, *, held: int, now: float) -> dict[str, Json]:
    """What is set of a target, and how it stands."""
    running = sum(until > now for until in gate.inside.values())
    return {
        "target": it.name,
        "paused": it.paused_at is not None,
        "paused_at": time(it.paused_at),
        "max_concurrency": it.max_concurrency,
        "rate_per_second": it.rate_per_second,
        "breaker": _breaker(it, gate, now),
        "running": None if it.max_concurrency is None else running,
        "held": held,
        "updated_at": time(it.updated_at),
        "updated_by": it.updated_by,
    }


def _breaker(it: Target, gate: Gate, now: float) -> Json:
    if it.breaker is None:
        return None
    state = "closed" if gate.open_until is None else "open" if now < gate.open_until else "half-open"
    return {
        "failure_share": it.breaker.failure_share,
        "window": it.breaker.window,
        "least_attempts": it.breaker.least_attempts,
        "open_seconds": it.breaker.open_seconds,
        "state": state,
        "opened_at": time(gate.opened_at),
        "open_until": time(gate.open_until),
    }


# ── figures ──────────────────────────────────────────────────────────────────────────────────────

SERIES = ("accepted", "delivered", "failed_attempts", "exhausted", "cancelled")
"""The counters of a series, in the order in which a task meets them."""

_COUNTER = Number(whole=True)

TOTALS = Shown(
    name="Totals",
    fields={
        "accepted": Field(_COUNTER, "Tasks ever accepted."),
        **{status: Field(_COUNTER, f"Tasks that are {status}.") for status in Status},
        "failed_attempts": Field(_COUNTER, "Attempts that ever failed."),
    },
)

ROW = Shown(
    name="StatsRow",
    fields={
        "at": Field(TIME, "Start of the hour or day, in UTC."),
        **{name: Field(_COUNTER, f"How many {name.replace('_', ' ')} it saw.") for name in SERIES},
    },
)


def totals(counts: Mapping[str, int]) -> dict[str, int]:
    """How many tasks were ever accepted, and how many stand in each status."""
    standing = {str(status): counts.get(f"in_{status}", 0) for status in Status}
    return {
        "accepted": counts.get("accepted", 0), **standing, "failed_attempts": counts.get("failed_attempts", 0)
    }  # fmt: skip


LEDGER = Shown(
    name="Ledger",
    fields={
        "accepted": Field(COUNT, "Tasks that were accepted."),
        **{status: Field(COUNT, f"Tasks that are {status}, each row counted again.") for status in Status},
        "balanced": Field(OrNull(Flag()), "Whether accepted is the sum of the others; null before the first check."),
        "checked_at": Field(OrNull(TIME), "When these were counted."),
        "balanced_at": Field(OrNull(TIME), "When it last added up; null if never."),
        "since": Field(OrNull(TIME), "Tasks accepted before are counted as rows only."),
        "until": Field(OrNull(TIME), "So are those accepted from then on."),
    },
)


def ledger(it: Ledger | None) -> dict[str, Json]:
    """The two sides of the ledger, and whether and when they added up; zeros and nulls before the first check."""
    if it is None:
        return _UNCHECKED
    return {
        "accepted": it.accepted,
        **{str(status): it.standing.get(status, 0) for status in Status},
        "balanced": it.balanced,
        "checked_at": time(it.checked_at),
        "balanced_at": time(it.balanced_at),
        "since": time(it.since),
        "until": time(it.until),
    }


_UNCHECKED: dict[str, Json] = {
    **dict.fromkeys(("accepted", *map(str, Status)), 0),
    **dict.fromkeys(("balanced", "checked_at", "balanced_at", "since", "until")),
}


BALANCES = ("balanced", "unbalanced", "unchecked")


def balance(it: Ledger | None) -> str:
    """The same in one word."""
    return "unchecked" if it is None else "balanced" if it.balanced else "unbalanced"


def series(starts: Sequence[float], counted: Iterable[tuple[float, Mapping[str, int]]]) -> list[dict[str, Any]]:
    """One row for each start of an hour or a day, zeros included."""
    found = dict(counted)
    return [{"at": time(at), **{name: found.get(at, {}).get(name, 0) for name in SERIES}} for at in starts]


_FAILING = {
    "count": Field(COUNT, "How many tasks: the two that follow, together."),
    "exhausted": Field(COUNT, "Those that are out of tries: what a bulk resend of this group takes."),
    "retrying": Field(COUNT, "Those that are tried again by themselves."),
}
FAILURES = Shown(
    name="FailureGroup",
    fields={
        "target": Field(TEXT, "Where the tasks go."),
        "error": Field(TEXT, "The rule that failed, or the kind of failure: the filter `error` of the list."),
        **_FAILING,
        "series": Field(
            ListOf(
                shape=Shown(name="FailureRow", fields={"at": Field(TIME, "Where the hour or day begins."), **_FAILING})
            ),
            "When they were accepted, oldest first, without empty rows.",
        ),
        "first": Field(ListOf(shape=ID), "The ids of the newest."),
    },
)


def failures(group: Group) -> dict[str, Json]:
    """Tasks that fail alike."""
    return {
        "target": group.target,
        "error": group.error,
        **_failing(group.standing),
        "series": [{"at": time(at), **_failing(standing)} for at, standing in sorted(group.times.items())],
        "first": group.first,
    }


def _failing(standing: Counter[Status]) -> dict[str, int]:
    """How many tasks fail, and how many of them stand how."""
    return {"count": standing.total(), **{name: standing[Status(name)] for name in ("exhausted", "retrying")}}


SETTING = Shown(
    name="Setting",
    fields={
        "name": Field(TEXT, "Its name."),
        "variable": Field(TEXT, "The environment variable that sets it."),
        "value": Field(TEXT, "What it is, in the form of that variable; passwords are left out."),
        "default": Field(TEXT, "What it is unless set."),
        "help": Field(TEXT, "What it means."),
    },
)


def setting(it: Setting, settings: Settings) -> dict[str, Json]:
    """A setting and its value."""
    value = masked(written(getattr(settings, it.name)))
    value = HIDDEN if it.is_secret and value else value
    return {"name": it.name, "variable": it.variable, "value": value, "default": it.default, "help": it.help}


# ── problems ─────────────────────────────────────────────────────────────────────────────────────

FAULT = Shown(
    name="Fault",
    fields={
        "pointer": Field(TEXT, "Where: a JSON pointer into the body, `query:name` or `header:Name`."),
        "detail": Field(TEXT, "What is wrong there."),
    },
)

PROBLEM = Shown(
    name="Problem",
    fields={
        "type": Field(TEXT, "The code as a URN."),
        "title": Field(TEXT, "What the code means."),
        "status": Field(COUNT, "The HTTP status."),
        "code": Field(TEXT, "For programs; stable."),
    },
    sometimes={
        "detail": Field(TEXT, "For people: what is wrong in this very case."),
        "errors": Field(ListOf(shape=FAULT), "Every fault that was found, up to a thousand."),
    },
)


PROBLEM_JSON = "application/problem+json"
"""Its media type."""


MOST_FAULTS = 1000
"""Faults that a problem lists: a body full of unknown names would else come back twenty times as long."""


def problem(refusal: Refusal, most_bytes: int = MAX_PAGE_BYTES) -> dict[str, Json]:
    """A refusal as RFC 9457 has it, with the first faults, as far as they fit."""
    found = len(refusal.faults)
    listed = [{"pointer": fault.pointer, "detail": fault.detail} for fault in refusal.faults[:MOST_FAULTS]]
    faults = listed[: fitting(listed, most_bytes)]
    told = {
        "type": f"urn:kkbida:problem:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail + (f": {found} faults; the first are listed" if found > len(faults) else ""),
    }
    return told | ({"errors": faults} if faults else {})
