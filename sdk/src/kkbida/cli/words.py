"""What is said to people: spans of time, where a task stands in one sentence, its life as a list of moments. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kkbida.tasks import Attempt, Audit, ListedTask, Notice, Status, WholeTask

# ── plain text ───────────────────────────────────────────────────────────────────────────────────

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Characters that a terminal would obey instead of showing them, that turn text around, or that UTF-8 has not."""


def clean(text: object) -> str:
    """Text of strangers as it may be printed: what would steer a terminal is written out as an escape."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def clean_json(text: str) -> str:
    """The same for JSON text, which stays JSON, and the same."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


MINUTE = 60
UNITS = ((86_400, "d"), (3600, "h"), (MINUTE, "min"), (1, "s"))


def span(seconds: float) -> str:
    """A span of time in its two largest units: `1 min 15 s`, `3 h`, `2.5 s`, `12 ms`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    largest = next(place for place, (size, _) in enumerate(UNITS) if seconds >= size)
    (size, unit), (smaller, its_unit) = UNITS[largest : largest + 2]
    rest = int(seconds % size // smaller)
    return f"{int(seconds // size)} {unit}" + (f" {rest} {its_unit}" if rest else "")


def until(moment: datetime, now: datetime) -> str:
    """When something is, seen from now: `in 12 s`, `now`."""
    left = (moment - now).total_seconds()
    return f"in {span(left)}" if left >= 1 else "now"


def local(moment: datetime | None) -> str:
    """A moment in the time of this computer; at both ends of the calendar, where that has no day for it, as it is."""
    if moment is None:
        return ""
    try:
        return moment.astimezone().isoformat(" ", "seconds")[:19]
    except (OverflowError, OSError, ValueError):
        return moment.isoformat(" ")


def counted(number: int, thing: str) -> str:
    """`1 attempt`, `2 attempts`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def pairs(told: Mapping[str, Any]) -> str:
    """Names with their values in a line, without those that are empty."""
    return "; ".join(f"{name}={_plain(value)}" for name, value in told.items() if value not in (None, "", [], {}))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# ── where a task stands ──────────────────────────────────────────────────────────────────────────

HELD: Mapping[str, str] = {
    "paused": "somebody paused its target",
    "breaker": "too many attempts at its target failed, which is left alone for a while",
    "concurrency": "as many attempts at its target run as may",
    "rate": "its target's rate is used up for now",
}


def sentence(task: WholeTask, now: datetime) -> str:
    """Where a task stands, and what happens next."""
    say = {
        Status.DELIVERED: _delivered,
        Status.EXHAUSTED: _exhausted,
        Status.CANCELLED: _cancelled,
        Status.PENDING: _live,
        Status.RETRYING: _live,
    }
    return say.get(Status(task.status), _live)(task, now) if task.status in list(Status) else f"It is {task.status}."


def _delivered(task: WholeTask, now: datetime) -> str:  # noqa: ARG001 - all of them are asked alike
    last = task.attempts[-1] if task.attempts else None
    took = f", {span((_end(last) - task.created_at).total_seconds())} after it was accepted" if _end_known(last) else ""
    return f"Delivered at attempt {task.attempts_made}{_in_round(task)}{took}."


def _exhausted(task: WholeTask, now: datetime) -> str:  # noqa: ARG001 - as above
    told = [it for it in task.notices if it.round == task.round]
    heard = sum(it.status == "delivered" for it in told)
    who = f"{heard} of {counted(len(told), 'channel')} heard of it." if told else "No channel was told."
    made = counted(task.attempts_made, "attempt")
    return f"Not delivered: given up after {made}{_in_round(task)}, because {_because(task)}. {who}"


def _because(task: ListedTask) -> str:
    return (task.because or task.last_reason or "no try is left").rstrip(".")


def _cancelled(task: WholeTask, now: datetime) -> str:
    done = next((it for it in reversed(task.audit) if it.action == "cancel"), None)
    who = f" by {done.actor}, {span((now - done.at).total_seconds())} ago," if done else ""
    return f"Cancelled{who} after {counted(task.attempts_made, 'attempt')}{_in_round(task)}."


def _live(task: WholeTask, now: datetime) -> str:
    """Of one that goes on: why it waits, or what it does."""
    failed = sum(it.round == task.round and it.verdict is not None for it in task.attempts)
    said = (
        _failures(task, failed),
        _waits_for(task, now, "next" if failed else "first"),
        _last(task) if failed else "",
    )
    return " ".join(filter(None, said))


def _failures(task: WholeTask, failed: int) -> str:
    if not failed:
        return f"No attempt{_in_round(task)} was made yet."
    return f"{failed} of {counted(task.max_attempts, 'attempt')}{_in_round(task)} failed."


def _waits_for(task: WholeTask, now: datetime, which: str) -> str:
    if _on_its_way(task):
        return f"Attempt {task.attempts[-1].number} is on its way."
    if task.waits_in_line:
        return "It waits in line: a task before it with the same ordering key is not done."
    if task.held:
        return f"It is held: {HELD.get(task.held, task.held)}."
    return f"The {which} one is made {until(task.next_try_at, now)}." if task.next_try_at else ""


def _on_its_way(task: WholeTask) -> bool:
    return bool(task.attempts) and task.attempts[-1].verdict is None


def _last(task: ListedTask) -> str:
    return f"The last one failed: {task.last_reason}." if task.last_reason else ""


def _in_round(task: ListedTask) -> str:
    return f" of round {task.round}" if task.round > 1 else ""


def _end_known(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.started_at is not None


def _end(attempt: Attempt | None) -> datetime:
    assert attempt is not None, "it is known"
    assert attempt.started_at is not None, "it is known"
    return attempt.started_at + timedelta(milliseconds=attempt.duration_ms or 0)


# ── its life ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Moment:
    """Something that happened to a task. `mood`: good, bad, or none; `more`: what one may want to read beside it."""

    at: datetime | None
    what: str
    mood: str = ""
    more: Sequence[str] = ()


def timeline(task: WholeTask) -> list[Moment]:
    """The life of a task, the oldest first."""
    audits = map(_audited, task.audit)
    moments = [Moment(task.created_at, "accepted"), *_attempts(task.attempts), *map(_told, task.notices), *audits]
    return sorted(moments, key=lambda it: it.at or task.created_at)


ON_ITS_WAY = "is on its way"
MOST_OF_REPLY = 160
"""Characters of a reply that are shown with its attempt."""


def _attempts(attempts: Sequence[Attempt]) -> Iterator[Moment]:
    known: datetime | None = None
    for attempt in attempts:
        known = attempt.started_at or known
        yield Moment(known, _attempted(attempt), _mood(attempt.verdict), tuple(_more_of(attempt)))


def _attempted(attempt: Attempt) -> str:
    which = f"attempt {attempt.number}" + (f" of round {attempt.round}" if attempt.round > 1 else "")
    took = f" after {span(attempt.duration_ms / 1000)}" if attempt.duration_ms is not None else ""
    why = attempt.reason or (f"status {attempt.status_code}" if attempt.status_code else "")
    return f"{which} {attempt.verdict or ON_ITS_WAY}{took}" + (f": {why}" if why else "")


def _more_of(attempt: Attempt) -> Iterator[str]:
    if attempt.reply:
        cut = "..." if attempt.reply_truncated or len(attempt.reply) > MOST_OF_REPLY else ""
        yield f"reply: {attempt.reply[:MOST_OF_REPLY]}{cut}"
    if attempt.phases and attempt.verdict != "delivered":
        yield f"spent {_spent(attempt.phases)}"
    if attempt.wait is not None and attempt.verdict != "delivered":
        yield f"waits {span(attempt.wait)}"


def _spent(phases: Mapping[str, int | None]) -> str:
    """Where the time of an attempt went, the phase in which it ended last: "dns 2 ms, connect 11 ms, wait 1.8 s"."""
    return ", ".join(f"{phase} {span(took / 1000)}" for phase, took in phases.items() if took is not None)


def _mood(verdict: str | None) -> str:
    return {"delivered": "good", "failed": "bad", "interrupted": "bad"}.get(verdict or "", "")


def _told(notice: Notice) -> Moment:
    more = tuple(filter(None, (notice.reason,)))
    return Moment(
        notice.ended_at or notice.created_at, f"notice to {notice.kind}: {notice.status}", _mood(notice.status), more
    )


def _audited(audit: Audit) -> Moment:
    more = (pairs(audit.detail),) if pairs(audit.detail) else ()
    return Moment(
        audit.at, f"{audit.action} by {audit.actor}" + (f" from {audit.address}" if audit.address else ""), "", more
    )


def expectation(shown: Mapping[str, Any]) -> str:
    """What a reply must be, in a line."""
    rules = [f"status {', '.join(shown.get('status', []))}"]
    rules += [f"{name} {shown[name]!r}" for name in ("contains", "equals", "regex") if name in shown]
    rules += [f"{path} = {value!r}" for path, value in (shown.get("json") or {}).items()]
    return "; ".join(rules)
