"""How tasks, attempts, notices and channels are shown: JSON for the API. Pure. Secrets are left out here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from chalicelib.ledger import Ledger
from chalicelib.task import Attempt, Audit, Channel, Expectation, Json, Notice, Policy, Request, Task, evolve

HIDDEN = "***"
"""What stands in the place of a secret."""

_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|key|passw|pwd|sign|credential|session|jwt", re.IGNORECASE)


def time(seconds: float | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def headline(task: Task) -> dict[str, Json]:
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
        "next_try_at": None if task.is_final else time(task.due_at),
        "because": task.because,
        "last_reason": task.last.reason if task.last else None,
    }


def whole(
    task: Task, attempts: Iterable[Attempt], notices: Iterable[Notice], audits: Iterable[Audit]
) -> dict[str, Json]:
    """A task with everything that is known of it."""
    return {
        **headline(task),
        **_submitted(task.request),
        "attempts": [_attempt(attempt) for attempt in _within_reason(attempts)],
        "notices": [_notice(notice, task.round) for notice in notices],
        "audit": [_audit(audit) for audit in audits],
    }


def _submitted(request: Request) -> dict[str, Json]:
    return {
        "headers": {name: _unless_secret(name, value) for name, value in request.headers.items()},
        "params": request.params,
        "body": request.body,
        "content_type": request.content_type,
        "timeout": request.timeout,
        "expect": _expectation(request.expect),
        "retry": _policy(request.retry),
    }


def _unless_secret(name: str, value: str) -> str:
    return HIDDEN if _SECRET_HEADER.search(name) else value


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
        "backoff": policy.backoff,
        **waits.get(policy.backoff, {}),
        "jitter": policy.jitter,
        "give_up_on": policy.give_up_on,
        "deadline": policy.deadline,
    }


MOST_SHOWN = 1_000_000
"""Characters of replies that one answer shows: Lambda gives back 6 MB at most, and JSON may write one in six bytes."""


def _within_reason(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts, the replies of older ones cut where those of newer ones took the room."""
    shown: list[Attempt] = []
    room = MOST_SHOWN
    for attempt in reversed(list(attempts)):
        reply = attempt.reply[:room] if attempt.reply is not None else None
        room -= len(reply or "")
        shown.append(evolve(attempt, reply=reply))
    return shown[::-1]


def _attempt(attempt: Attempt) -> dict[str, Json]:
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
    }


def _notice(notice: Notice, current_round: int) -> dict[str, Json]:
    """A notice. One of an older round that has not ended never will: a human knew, and resent the task."""
    overtaken = notice.ended_at is None and notice.round < current_round
    return {
        "channel_id": notice.channel_id,
        "kind": notice.channel_kind,
        "round": notice.round,
        "status": notice.status,
        "tries": notice.tries,
        "reason": "the task was resent before this was told" if overtaken else notice.reason,
        "created_at": time(notice.created_at),
        "ended_at": time(notice.ended_at),
        "next_try_at": time(notice.due_at) if notice.ended_at is None and not overtaken else None,
    }


def _audit(audit: Audit) -> dict[str, Json]:
    return {
        "at": time(audit.at),
        "actor": audit.actor,
        "action": audit.action,
        "address": audit.address,
        "detail": audit.detail,
    }


def channel(it: Channel) -> dict[str, Json]:
    """A channel, its address cut to where it leads, its secret left out."""
    parts = urlsplit(it.url)
    return {
        "channel_id": it.channel_id,
        "kind": it.kind,
        "url": f"{parts.scheme}://{parts.netloc}/{HIDDEN}",
        "has_secret": bool(it.secret),
        "template": it.template,
        "content_type": it.content_type,
        "memo": it.memo,
        "source_apps": it.source_apps,
        "target_apps": it.target_apps,
        "enabled": it.enabled,
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
    }


SERIES = ("accepted", "delivered", "failed_attempts", "exhausted", "cancelled")
"""The counters of a series, in the order in which a task meets them."""

_STANDING = ("pending", "retrying", "delivered", "exhausted", "cancelled")


def totals(counts: Mapping[str, int]) -> dict[str, int]:
    """How many tasks were ever accepted, and how many stand in each status."""
    standing = {status: counts.get(f"in_{status}", 0) for status in _STANDING}
    return {
        "accepted": counts.get("accepted", 0), **standing, "failed_attempts": counts.get("failed_attempts", 0)
    }  # fmt: skip


def ledger(it: Ledger | None) -> dict[str, Json]:
    """The two sides of the ledger, and whether and when they added up; zeros and nulls before the first check."""
    if it is None:
        return _UNCHECKED
    return {
        "accepted": it.accepted,
        **{status: it.standing.get(status, 0) for status in _STANDING},
        "balanced": it.balanced,
        "checked_at": time(it.checked_at),
        "balanced_at": time(it.balanced_at),
        "since": time(it.since),
        "until": time(it.until),
    }


_UNCHECKED: dict[str, Json] = {
    **dict.fromkeys(("accepted", *_STANDING), 0),
    **dict.fromkeys(("balanced", "checked_at", "balanced_at", "since", "until")),
}


def balance(it: Ledger | None) -> str:
    """The same in one word."""
    return "unchecked" if it is None else "balanced" if it.balanced else "unbalanced"


def series(starts: Sequence[float], counted: Iterable[tuple[float, Mapping[str, int]]]) -> list[dict[str, Any]]:
    """One row for each start of an hour or a day, zeros included."""
    found = dict(counted)
    return [{"at": time(at), **{name: found.get(at, {}).get(name, 0) for name in SERIES}} for at in starts]
