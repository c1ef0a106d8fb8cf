"""The ledger: whether every task that was accepted still stands somewhere (invariant 6). Two sides, counted apart:

    entered     what was counted when tasks came in: the counter `accepted` of `life.tally`, by its days and hours
    standing    the rows themselves, each counted again by its status

A task leaves `retention` after it ended, so none accepted since a day that is not so long ago can have left: from
that day on the two must be equal, and nobody has to keep books of what left. Other tasks (older ones, and those so
new that they may not be entered yet) are counted as rows only, and stand on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chalicelib.clocks import is_ahead
from chalicelib.task import Status, evolve

HOUR, DAY = 3600, 86_400
"""Seconds. Both begin at multiples of them, in UTC."""

SETTLED = 900
"""Seconds after which a task is entered if it ever will be. The counters of AWS lag by seconds; there is an alarm
when they are as late as this."""

REST = 60
"""Seconds of rest that each page of a recount asks for, as pages cost money; a day at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a check found. `entered`: tasks accepted from `since` on and before `until`, as counted when they came in.

    `beside`: rows of tasks that were accepted before or after that. `standing`: all rows, by status.
    `retention`: the setting, in seconds, when it was checked. `balanced_at`: when it last added up, None if never.
    `raised_since`: what the book began with when the retention was last raised, 0 if it never was.
    """

    since: float
    until: float
    retention: float
    entered: int
    beside: int
    standing: Mapping[str, int]
    checked_at: float
    balanced_at: float | None = None
    raised_since: float = 0

    @property
    def accepted(self) -> int:
        """The one side: every task that should stand somewhere."""
        return self.entered + self.beside

    @property
    def gap(self) -> int:
        """How many tasks were entered and stand nowhere; below zero: stand somewhere and were not entered."""
        return self.accepted - sum(self.standing.get(status, 0) for status in Status)

    @property
    def balanced(self) -> bool:
        """Whether the ledger adds up."""
        return self.gap == 0


def opens(last: Ledger | None, *, retention: float, now: float) -> float:
    """The start of the first day of which no task can have left yet: what the book begins with.

    It never goes back. Where the retention was raised, older tasks still leave by the old one: a new book begins.
    What a check found whose clock was ahead does not count, but for that.
    """
    raised = last is not None and (retention > last.retention or last.raised_since > now + DAY)
    first = ((now + SETTLED - (0 if raised else retention)) // DAY + 1) * DAY
    if last is None or last.raised_since > now + DAY:
        return first
    return max(first, last.raised_since if is_of_the_future(last, now) else last.since)


def raised_since(last: Ledger | None, since: float, *, retention: float, now: float) -> float:
    """What `Ledger.raised_since` is of a check now, whose book begins with `since`."""
    if last is None:
        return 0
    return since if retention > last.retention or last.raised_since > now + DAY else last.raised_since


def is_of_the_future(last: Ledger, now: float) -> bool:
    """Whether the check was made by a clock that was ahead: its book would leave out what can still be checked."""
    return is_ahead(last.checked_at, now)


def settled(now: float) -> float:
    """The start of the last hour before which every accepted task is entered by now."""
    return (now - SETTLED) // HOUR * HOUR


def close(last: Ledger | None, found: Ledger) -> Ledger:
    """What was found, with the moment when the ledger last added up, and when its book was opened for a retention."""
    now = found.checked_at
    before = last and last.balanced_at
    return evolve(
        found,
        balanced_at=now if found.balanced else before and min(before, now),
        raised_since=raised_since(last, found.since, retention=found.retention, now=now),
    )


# ── where all rows cannot be counted at once ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """Rows counted so far: `standing` by status, and `days`: start of a day -> those accepted on it, before `until`.

    `place`: key of the last row that was looked at; None when there is no more to look at. `pages`: looked at.
    `rests_until`: no other recount begins before.
    """

    began_at: float = 0
    until: float = 0
    standing: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[str, int] = field(default_factory=dict)
    place: tuple[str, str] | None = None
    pages: int = 0
    rests_until: float = 0


def begin(now: float) -> Recount:
    """Nothing counted yet."""
    return Recount(began_at=now, until=settled(now))


def rests(recount: Recount, now: float) -> bool:
    """Whether the next recount has to wait. No rest is longer than a day, by a clock that is right."""
    return recount.rests_until > now and not is_ahead(recount.rests_until, now, DAY)


def goes_on(recount: Recount, now: float) -> bool:
    """Whether a recount is under way that can be gone on with: one that a clock that was ahead has begun cannot."""
    return recount.place is not None and not is_ahead(recount.began_at, now)


def add(recount: Recount, rows: Iterable[tuple[str, float]], place: tuple[str, str] | None) -> Recount:
    """The recount with a page more of rows: (status, created_at), up to `place`."""
    standing, days = Counter(recount.standing), Counter(recount.days)
    for status, created_at in rows:
        standing[status] += 1
        if created_at < recount.until:
            days[str(int(created_at // DAY * DAY))] += 1
    return evolve(recount, standing=standing, days=days, place=place, pages=recount.pages + 1)


def beside(recount: Recount, since: float) -> int:
    """Rows of a whole recount that a book from `since` on leaves out."""
    inside = sum(n for day, n in recount.days.items() if int(day) >= since)
    return sum(recount.standing.values()) - inside


def rest(recount: Recount) -> Recount:
    """What is left of a recount that has ended: the wait for the next one."""
    return Recount(rests_until=recount.began_at + min(recount.pages * REST, DAY))
