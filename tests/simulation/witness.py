"""The witness: knows the promises of the product and nothing of its code, sees all, and objects.

Some promises are checked whenever a task changes or a request leaves, the others when the story is over.
The numbers in brackets are those of the promises in docs/reliability.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from chalicelib.clocks import is_ahead
from chalicelib.embedded import EmbeddedStore
from chalicelib.errors import Kind
from chalicelib.ports import Query
from chalicelib.task import Attempt, Mention, Notice, NoticeStatus, Resend, ResendStatus, Status, Task, Verdict
from tests.simulation.fibers import Fibers, Process
from tests.simulation.weather import Fault, Faults

LIVE = (Status.PENDING, Status.RETRYING)
FINAL = (Status.DELIVERED, Status.EXHAUSTED, Status.CANCELLED)

LATE = 200
"""Seconds by which an attempt may begin late in fair weather: all workers may be busy with partners that hang."""

PARKED = 40_000
"""Seconds of a wait that may be too long for SQS."""

PUT_OFF = 900
"""Seconds of delay that are too long for a message of SQS."""

CALLED_UP = 300
"""Seconds until it is due of a task whose turn has come, above which no message waits for it."""

NOT_SHORT = 2000
"""Seconds of a deadline that makes nobody look after a task earlier."""

FRESH = 15
"""Seconds for which a worker may go by what was set of a target before."""

OUT_OF_STEP = (Fault.FROZEN, Fault.SKEWED, Fault.STEPPED)
"""Faults after which limits of a target may be exceeded."""

UNDER_WAY = 60
"""Seconds that an attempt may be on its way to begin, when ports are slow."""

GIVEN_AHEAD, BESIDE = 120, 30
"""Seconds for which turns of a rate are given ahead, and for which one is good before and after its moment."""

TARGET = "https://partner.example:443"
"""Where all partners live."""

ROUGHLY = 1800
"""Seconds by which a task may leave early: clocks differ by minutes, and a process may sleep before it has written."""

WALKED_AGAIN = 120
"""Seconds for which an index may miss a task and a bulk resend finds it: it walks three times, a minute apart."""

Json = Any
Say = Callable[[str, str], None]


@dataclass(eq=False)
class Visit:
    """One request at a partner. `taken`: it did what was asked; `agreed`: it answered so."""

    task_id: str
    number: int
    fence: int
    process: Process
    began: float
    ended: float | None = None
    taken: bool = False
    agreed: bool = False


@dataclass(eq=False)
class Claim:
    """What a process was given: one attempt. `at`: the true time, whatever its clock said."""

    process: Process
    at: float
    lease: float


MANY = re.compile(r"(\d+) (?:个任务未能送达|tasks could not be delivered)")
"""How a digest says of how many tasks it tells, in both languages."""

LATENCY = 0.1
"""Seconds by which two requests to a robot may come closer together on their way."""


@dataclass(eq=False)
class Heard:
    """A notice that a robot took. `tasks`: how many it tells of. `answered`: the robot's yes arrived."""

    channel: str
    text: str
    answered: bool

    @property
    def tasks(self) -> int:
        many = MANY.search(self.text)
        return int(many[1]) if many else 1


@dataclass
class Witness:
    """`objections`: what was promised and not kept."""

    fibers: Fibers
    store: EmbeddedStore
    faults: Faults
    retention: float
    say: Say = lambda _who, _what: None
    objections: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    gone: dict[str, Task] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)
    claims: dict[tuple[str, int], Claim] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    open: dict[str, list[Visit]] = field(default_factory=dict)
    promised: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    asks: dict[str, list[float]] = field(default_factory=dict)
    paces: dict[str, tuple[int, float]] = field(default_factory=dict)
    delays: list[str] = field(default_factory=list)
    cancels: Counter[str] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    to_resend: dict[str, dict[str, int]] = field(default_factory=dict)
    ruled: list[Json] = field(default_factory=list)
    rules: dict[str, tuple[Json, float]] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    held: int = 0

    def object(self, objection: str) -> None:
        """A promise is broken. The story ends here."""
        self.objections.append(objection)

    def told(self, what: str) -> None:
        """Something happened outside."""
        self.say(self.fibers.current().process.name, what)

    def _require(self, kept: bool, objection: str) -> None:
        if not kept:
            self.object(objection)

    # ── at every step ──

    def look(self, task_id: str, process: Process) -> bool:
        """Look at a task that a process may have changed. Whether its status has."""
        old, new = self.tasks.get(task_id), self.store.get(task_id)
        if new is None:
            return False
        self.tasks[task_id] = new
        self._note_end(task_id, new)
        if old is not None and new != old:
            for objection in _wrong_with(old, new):
                self.object(f"{task_id}: {objection}")
            self._note(old, new, process)
        self._require(
            new.wake_at is not None or new.status in FINAL, f"{task_id}: (4) it is {new.status} and has no wake_at"
        )
        self._require(
            new.wake_at is None or new.expires_at is None, f"{task_id}: (1) it is owed something, and may expire"
        )
        if new.request.ordering_key is not None:
            self._look_at_line(new.line, process)
        return old is None or new.status is not old.status

    def _note_end(self, task_id: str, task: Task) -> None:
        """Its retention runs from the moment at which it is over and nothing is owed."""
        if task.status in FINAL and task.wake_at is None:
            self.settled.setdefault(task_id, self.fibers.now)
        else:
            self.settled.pop(task_id, None)

    def look_at_sweep(self, sweep: Callable[[], int]) -> int:
        """Look at tasks that leave: each was settled a retention ago, and all promises about it were kept."""
        now = self.fibers.now
        may_leave = [task_id for task_id, at in self.settled.items() if at + self.retention < now + ROUGHLY]
        objections = {task_id: list(self._story_of(task_id)) for task_id in may_leave}
        swept = sweep()
        for task_id in [it for it in self.tasks if self.store.get(it) is None] if swept else ():
            self.gone[task_id] = self.tasks.pop(task_id)
            self.settled.pop(task_id, None)
            for objection in objections.get(task_id, ["(1) it has left before its retention was over"]):
                self.object(f"{task_id}: {objection}")
        for task_id, at in self.settled.items() if self.faults.calm else ():
            is_late = at + self.retention + ROUGHLY < now
            self._require(not is_late, f"{task_id}: its retention is over, and it is still there")
        return swept

    def reconciled(self, left: Iterable[str]) -> None:
        """A pass of the reconciler has ended in calm, and has left these as they were although they were due."""
        for task_id in left:
            self.object(f"{task_id}: (4) the reconciler has left it, and had time")

    def _look_at_line(self, line: str, process: Process) -> None:
        """The first of a line does not wait for anybody, and all others do. Whoever leaves it calls up another."""
        for known in self._standing(line):
            if known != self.store.get(known.task_id):
                self.look(known.task_id, process)
        expired = any(task.place is not None and task.line == line for task in self.gone.values())
        for number, task in enumerate(self._standing(line)):
            is_right = task.behind == (number > 0) or (expired and task.behind)  # the reconciler calls it up
            self._require(is_right, f"{task.task_id}: stands at {number} of its line")

    def _standing(self, line: str) -> list[Task]:
        """Those who stand in a line, as they were seen last."""
        standing = [task for task in self.tasks.values() if task.place is not None and task.line == line]
        return sorted(standing, key=lambda task: task.place or 0)

    def _note(self, old: Task, new: Task, process: Process) -> None:
        if new.fence > old.fence:
            stepped = self.faults.struck[Fault.STEPPED]  # since the process has read its clock, perhaps
            clock = (new.claimed_at or 0) if stepped else self.fibers.now + process.skew
            self._require(old.lease_until <= clock, f"{new.task_id}: (2) claimed while the lease of another runs")
            self._require(old.due_at <= clock, f"{new.task_id}: attempt {new.fence} began before it was due")
            self._require((new.claimed_at or 0) < old.deadline_at, f"{new.task_id}: claimed after the deadline")
            self.claims[new.task_id, new.fence] = Claim(process, self.fibers.now, new.lease_until - clock)
            if clock > old.due_at + LATE:
                self.delays.append(f"{new.task_id}: attempt {new.fence} began {clock - old.due_at:.0f} s late")
        if new.status is Status.CANCELLED and old.status is not Status.CANCELLED:
            self.cancels[new.task_id] += 1

    def woken(self, task_id: str) -> None:
        """The reconciler has enqueued a task: in fair weather a live one only if it was parked, as SQS hides no longer
        and delays no longer.

        The notices of an exhausted one may wait for longer than it is left alone.
        """
        task = self.tasks[task_id]
        wait = task.last.wait or 0 if task.last else task.due_at - task.created_at
        parked = wait > (PARKED if task.last else PUT_OFF if task.place is None else CALLED_UP)
        if not parked and task.status in LIVE and task.request.retry.deadline > NOT_SHORT:
            self.delays.append(f"{task_id}: its message was lost")

    def look_again(self) -> None:
        """Take everything as it stands: the laptop has set free what a dead process had in hand."""
        for task_id in self.tasks:
            task = self.store.get(task_id)
            assert task is not None, f"{task_id} is gone"
            self.tasks[task_id] = task

    def visit(self, task_id: str, number: int) -> Visit:
        """A request arrives at a partner."""
        fiber = self.fibers.current()
        claimed, fence = fiber.claim
        visit = Visit(task_id, number, fence, fiber.process, self.fibers.now)
        self._require(claimed == task_id, f"{task_id}: (2) a request left without a claim")
        others = self.open.setdefault(task_id, [])
        others[:] = [other for other in others if other.ended is None and other.process.alive]
        for other in others:
            self._require(self._excused(other, visit), f"{task_id}: (2) attempts {other.fence} and {fence} overlap")
        others.append(visit)
        self._check_target(visit)
        twice = any(other.task_id == task_id and other.fence == fence for other in self.visits)
        self._require(not twice, f"{task_id}: (3) attempt {fence} was sent twice")
        self._check_turn(self.tasks[task_id], fence)
        self.visits.append(visit)
        return visit

    def _check_turn(self, task: Task, fence: int) -> None:
        """Nobody who was accepted before it stands in its line, unless its claim is over and it has left the line."""
        if task.place is not None and task.fence == fence and not task.is_final:
            first = self._standing(task.line)[0]
            self._require(first.task_id == task.task_id, f"{task.task_id}: went before {first.task_id} of its line")

    # ── what is set of the target ──

    def warden_begins(self, changes: Json) -> None:
        """What is set of the target may change: until it is answered, nobody knows."""
        self.ruled.append(changes)
        for name in changes:
            self.rules.pop(name, None)

    def warden_did(self, changes: Json) -> None:
        """The API has said that it is set."""
        sure = {name: value for name, value in changes.items() if name not in self.doubted}
        self.rules |= {name: (value, self.fibers.now) for name, value in sure.items()}

    def warden_doubts(self, changes: Json) -> None:
        """The API has not answered: a process that sleeps may do it at any time."""
        self.doubted |= changes.keys()

    def _rule(self, name: str, visit: Visit, slack: float) -> tuple[Json, float]:
        """What must hold for a visit, and from when on it did: None when nobody can say."""
        value, since = self.rules.get(name, (None, inf))
        since += slack + (2 if not self.faults.struck else UNDER_WAY)
        return (value, since) if self._began(visit) > since else (None, inf)

    def _began(self, visit: Visit) -> float:
        return self.claims[visit.task_id, visit.fence].at

    def _check_target(self, visit: Visit) -> None:
        """Promises about the target, but for processes that slept and clocks that are off."""
        if not self._is_at_target(visit) or any(self.faults.struck[it] for it in OUT_OF_STEP):
            return
        paused, _ = self._rule("paused", visit, FRESH)
        self._require(not paused, f"{visit.task_id}: a request leaves for a target that is paused")
        self._check_places(visit)
        self._check_rate(visit)
        self._check_breaker(visit)

    def _is_at_target(self, visit: Visit) -> bool:
        task = self.tasks.get(visit.task_id) or self.gone[visit.task_id]
        return task.request.url.startswith(TARGET.removesuffix(":443") + "/")

    def _running(self, since: float) -> int:
        """Requests on their way that were begun after that moment."""
        there = [visit for of in self.open.values() for visit in of if visit.ended is None and visit.process.alive]
        return sum(self._began(visit) > since for visit in there if self._is_at_target(visit))

    def _check_places(self, visit: Visit) -> None:
        most, since = self._rule("max_concurrency", visit, FRESH)
        running = self._running(since)
        self._require(most is None or running <= most, f"{visit.task_id}: {running} requests run where {most} may")

    def _check_rate(self, visit: Visit) -> None:
        """Turns that were given before the rate was set are good for a while; and each for a while beside its time."""
        rate, since = self._rule("rate_per_second", visit, GIVEN_AHEAD)
        begun = sum(self._began(it) > since for it in [*self.visits, visit] if self._is_at_target(it))
        may = 0 if rate is None else rate * (self.fibers.now - since + 2 * BESIDE) + 2
        self._require(rate is None or begun <= may, f"{visit.task_id}: {begun} requests since the rate is {rate}")

    def _check_breaker(self, visit: Visit) -> None:
        """One probe at a time while it is open or half-open, unless it was changed meanwhile."""
        breaker, _ = self._rule("breaker", visit, FRESH)
        since = self.store.gate(TARGET).opened_at
        if breaker is not None and since is not None and self._began(visit) > since + UNDER_WAY:
            running = self._running(since + UNDER_WAY)
            self._require(running <= 1, f"{visit.task_id}: {running} requests run while the breaker is not closed")

    def _excused(self, *visits: Visit) -> bool:
        """The documented exceptions: a process that slept past its lease, and clocks that differ by more than it."""
        older, newer = sorted(visits, key=lambda visit: visit.fence)
        first, second = self.claims[older.task_id, older.fence], self.claims[newer.task_id, newer.fence]
        if second.at >= first.at + first.lease:
            return older.process.frozen_until > first.at
        taker = self.claims[older.task_id, older.fence + 1]  # who ended the lease, perhaps with one since recorded
        return taker.process.skew > older.process.skew or bool(self.faults.struck[Fault.STEPPED])

    def asked(self, channel: str) -> None:
        """A request is on its way to a robot, whatever becomes of it."""
        self.asks.setdefault(channel, []).append(self.fibers.now)

    def noticed(self, channel: str, text: str, *, answered: bool) -> None:
        """A robot took a notice."""
        self.heard.append(Heard(channel, text, answered))

    def promise(self, key: str, task_id: str) -> None:
        """The API has said 202 to this idempotency key."""
        known = self.promised.setdefault(key, task_id)
        self._require(known == task_id, f"(7) {key} became {known} and {task_id}")

    def clerk_did(self, action: str, task_id: str) -> None:
        """The API has said that an action was done."""
        self.answered[action, task_id] += 1

    def look_at_resend(self, resend: Resend, unlisted: Mapping[str, float]) -> None:
        """A bulk resend was saved: when it begins, these tasks match its filter, each in this round.

        `unlisted`: until when an index misses a task. One that is missed for longer than it looks is not promised,
        nor is one that was changed after the action began, by the clock of the action.
        """
        looks_until = self.fibers.now + WALKED_AGAIN
        matching = [it for it in self.tasks.values() if _is_asked_for(it, resend.filter)]
        asked_for = [it for it in matching if not is_ahead(it.updated_at, resend.started_at)]
        promised = {it.task_id: it.round for it in asked_for if unlisted.get(it.task_id, 0) < looks_until}
        self.to_resend.setdefault(resend.resend_id, promised)

    # ── when the story is over ──

    def look_back(self, left_in_queues: int, *, fair: bool) -> None:
        """Everything that must hold once faults have stopped and time has passed. `fair`: there were none."""
        self.objections += [*self.delays, *self._never_left(), *self._hasty(), *self._told_again()] if fair else []
        self._require(left_in_queues == 0, f"{left_in_queues} messages are left that nobody needs")
        for task_id in self.promised.values():
            self._require(task_id in self.tasks or task_id in self.gone, f"{task_id}: (1) accepted, and lost")
        for task_id in self.tasks:
            for objection in self._story_of(task_id):
                self.object(f"{task_id}: {objection}")
        for resend in self.store.resends():
            for objection in self._story_of_many(resend):
                self.object(f"{resend.resend_id}: (10) {objection}")
        self.objections += self._miscounted()
        self._check_sums()

    def _hasty(self) -> Iterator[str]:
        """Robots that were told more in a while than they take."""
        for channel, asks in self.asks.items():
            most, seconds = self.paces[channel]
            shortest = min((late - early for early, late in zip(asks, asks[most:], strict=False)), default=seconds)
            if shortest < seconds - LATENCY:
                yield f"{channel} takes {most} in {seconds} s, and was asked once more in {shortest:.3f} s"

    def _told_again(self) -> Iterator[str]:
        """Notices that were sent once more although the robot's yes had arrived."""
        taken = Counter(it.channel_id for it, _ in self._notices().values() if it.status is NoticeStatus.DELIVERED)
        heard = Counter(it.channel for it in self.heard if it.answered)
        if taken != heard and not self.gone:
            yield f"the robots answered {heard}, and {taken} were told"

    def _miscounted(self) -> Iterator[str]:
        """Notices that tell of other tasks than of those that they name: some twice, or some never."""
        heard = Counter[str]()
        for it in self.heard:
            heard[it.channel] += it.tasks
        for notice, named in self._notices().values():
            if notice.gist.tasks != named:
                yield f"(1) notice {notice.notice_id} tells of {notice.gist.tasks} tasks, and {named} go by it"
            if notice.status is NoticeStatus.DELIVERED:
                heard[notice.channel_id] -= notice.gist.tasks
        if min(heard.values(), default=0) < 0:
            yield f"(1) fewer were told than it says: {heard}"

    def _notices(self) -> dict[str, tuple[Notice, int]]:
        """Every notice that names a task, and how many it names."""
        found: dict[str, tuple[Notice, int]] = {}
        for task_id in self.tasks:
            for mention, notice in self._mentions(task_id):
                if notice:
                    found[mention.notice_id] = (notice, found.get(mention.notice_id, (notice, 0))[1] + 1)
        return found

    def _mentions(self, task_id: str) -> list[tuple[Mention, Notice | None]]:
        """Whom a task is told to, and by which notice."""
        mentions = [(it, self.store.notice(it.notice_id)) for it in self.store.mentions(task_id)]
        return [(it, notice if notice and self.store.names(notice, it) else None) for it, notice in mentions]

    def _never_left(self) -> Iterator[str]:
        """Attempts that were claimed and brought no request."""
        left = {(visit.task_id, visit.fence) for visit in self.visits}
        for task_id, fence in sorted(self.claims.keys() - left):
            yield f"{task_id}: attempt {fence} never left"

    def _story_of(self, task_id: str) -> Iterator[str]:
        task = self.store.get(task_id)
        assert task is not None, f"{task_id} is gone"
        if task.status in LIVE:
            if not self._is_held(task) and not self._is_scheduled_too_late(task):
                yield f"(1) never came to an end: {task.status}"
            return
        yield from self._attempts_of(task)
        if task.status is Status.EXHAUSTED:
            yield from self._notices_of(task)
        yield from self._audits_of(task)

    def _is_held(self, task: Task) -> bool:
        """Whether it waits for a task that is exhausted and was asked to hold its line."""
        first = self._standing(task.line)[0] if task.behind else task
        return first.status is Status.EXHAUSTED and first.request.on_exhausted == "hold"

    def _is_scheduled_too_late(self, task: Task) -> bool:
        """A first attempt stays scheduled, also where a clock that was ahead has said when."""
        return bool(self.faults.struck[Fault.STEPPED]) and task.is_scheduled and task.due_at > self.fibers.now

    def _attempts_of(self, task: Task) -> Iterator[str]:
        attempts = self.store.attempts(task)
        if [it.fence for it in attempts] != list(range(1, task.fence + 1)):
            yield f"(3) the attempts are {[it.fence for it in attempts]}, and {task.fence} were claimed"
        for round_ in {it.round for it in attempts}:
            numbers = [it.number for it in attempts if it.round == round_]
            if numbers != list(range(1, len(numbers) + 1)):
                yield f"(3) the numbers of round {round_} are {numbers}"
        visits = {visit.fence: visit for visit in self.visits if visit.task_id == task.task_id}
        for attempt in attempts:
            yield from _compared(attempt, visits.pop(attempt.fence, None))
        if visits:
            yield f"(3) requests {sorted(visits)} left without an attempt"
        delivered = [it.number for it in attempts if it.round == task.round and it.verdict is Verdict.DELIVERED]
        if delivered != ([task.number] if task.status is Status.DELIVERED else []):
            yield f"it is {task.status}, and of its last round {delivered} were delivered"

    def _notices_of(self, task: Task) -> Iterator[str]:
        if task.wake_at is not None:
            yield "(1) exhausted, and humans are still to be told"
        owed = {it.channel_id for it in self.store.channels() if it.wants(task.request)}
        there = {it.channel_id: notice for it, notice in self._mentions(task.task_id) if it.round == task.round}
        if owed - there.keys():
            yield f"(1) nobody told {sorted(owed - there.keys())}"
        for channel, notice in there.items():
            if notice is None or notice.status is NoticeStatus.PENDING:
                yield f"(1) the notice to {channel} has not ended"
            elif notice.status is NoticeStatus.DELIVERED and not any(
                task.task_id in it.text or 1 < it.tasks == notice.gist.tasks
                for it in self.heard
                if it.channel == channel
            ):
                yield f"(1) {channel} never heard of it"

    def _audits_of(self, task: Task) -> Iterator[str]:
        done = Counter(it.action for it in self.store.audits(task.task_id))
        if done["resend"] != task.round - 1:
            yield f"{task.round} rounds and {done['resend']} resends in the audit trail"
        if done["cancel"] != self.cancels[task.task_id]:
            yield f"cancelled {self.cancels[task.task_id]} times, and {done['cancel']} times in the audit trail"
        for (action, task_id), times in self.answered.items():
            if task_id == task.task_id and done[action] < times:
                yield f"{action} was answered {times} times and audited {done[action]} times"

    def _story_of_many(self, resend: Resend) -> Iterator[str]:
        """A bulk resend ends; it resends no task twice, and each that matched once, or counts it as passed over."""
        if not resend.is_over:
            yield f"never came to an end: {resend.status}"
            return
        audited = {task_id: self.store.audits(task_id) for task_id in self.tasks}
        times = {of: sum(it.detail.get("resend_id") == resend.resend_id for it in audited[of]) for of in audited}
        if max(times.values(), default=0) > 1:
            yield f"it resent some task {max(times.values())} times"
        if self.gone:
            return  # what it did is in the audit trails of tasks that have left
        if not resend.resent <= sum(times.values()) <= resend.resent + resend.failed:
            yield f"it says that it has resent {resend.resent}, and did so {sum(times.values())} times"
        there = self.to_resend[resend.resend_id].items()
        left = [task_id for task_id, round_ in there if self.tasks[task_id].round == round_]
        if resend.status is ResendStatus.DONE and len(left) > resend.passed_over + resend.failed:
            yield f"it left {len(left)} tasks as they were, and passed over {resend.passed_over}"

    def check_ledger(self) -> None:
        """(6) The product's own ledger, at any moment."""
        ledger = self.store.ledger(self.fibers.now, self.retention)
        self._require(ledger.balanced, f"(6) the ledger does not add up: {ledger}")
        self._require(ledger.accepted == len(self.tasks), f"(6) it knows {ledger.accepted} of {len(self.tasks)} tasks")

    def _check_sums(self) -> None:
        """(6) What was counted on the way, and a count of what is there."""
        self.check_ledger()
        there = Counter(f"in_{task.status}" for task in self.gone.values())
        cursor: str | None = None
        while True:
            page = self.store.page(Query(), cursor, 100)
            there.update(f"in_{task.status}" for task in page.tasks)
            cursor = page.cursor
            if cursor is None:
                break
        counted = self.store.totals()
        standing = {name: n for name, n in counted.items() if name.startswith("in_") and n}
        self._require(standing == dict(there), f"(6) the counters say {standing}, and there are {dict(there)}")
        accepted = counted.get("accepted", 0)
        self._require(
            accepted == len(self.tasks) + len(self.gone) == sum(there.values()),
            f"(6) accepted {accepted}, seen {len(self.tasks)}, gone {len(self.gone)}, there {sum(there.values())}",
        )


def _is_asked_for(task: Task, asked: Mapping[str, object]) -> bool:
    return task.status == asked["status"] and asked.get("source_app") in (None, task.request.source_app)


def _wrong_with(old: Task, new: Task) -> Iterator[str]:
    """What may not be in a change of one task."""
    if new.version != old.version + 1:
        yield f"version {old.version} became {new.version}"
    resent = new.round == old.round + 1
    if new.round not in (old.round, old.round + 1):
        yield f"round {old.round} became {new.round}"
    if old.status in FINAL and not resent and _facts(old) != _facts(new):
        yield f"(5) it was {old.status}, and changed"
    if resent and (old.status not in FINAL or new.number != 0):
        yield f"a round was opened for a task that is {old.status}"
    if new.fence - old.fence not in (0, 1):
        yield f"(3) fence {old.fence} became {new.fence}"
    if not resent and new.number - old.number != new.fence - old.fence:
        yield f"(3) number {old.number} became {new.number}"
    if new.number > new.request.retry.max_attempts:
        yield f"(3) attempt {new.number} of {new.request.retry.max_attempts}"
    if old.last is not None and new.last is not None and new.last.fence < old.last.fence:
        yield f"(3) attempt {new.last.fence} came after {old.last.fence}"


def _facts(task: Task) -> tuple[object, ...]:
    """What is final in a final task. That its humans were told, and how long it is kept since, is not part of it."""
    return task.status, task.number, task.fence, task.last, task.because, task.lease_until


def _compared(attempt: Attempt, visit: Visit | None) -> Iterator[str]:
    """What we recorded of an attempt, and what the partner saw."""
    if attempt.verdict is None:
        yield f"(3) attempt {attempt.fence} has no end"
    elif attempt.verdict is Verdict.INTERRUPTED or (visit is None and attempt.kind == Kind.CONNECT_TIMEOUT):
        return
    elif visit is None:
        yield f"(3) attempt {attempt.fence} is {attempt.verdict}, and nobody saw it"
    elif (attempt.verdict is Verdict.DELIVERED) != visit.agreed:
        yield f"attempt {attempt.fence} is {attempt.verdict}, and the partner said {'yes' if visit.agreed else 'no'}"
    elif visit.number != attempt.number:
        yield f"(3) the partner saw number {visit.number}, and it is {attempt.number}"
