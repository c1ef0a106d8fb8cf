"""The verdict: from what was promised, shown and seen to what was broken. Pure.

A promise is a function that yields its breaches, one sentence each; one that was kept yields nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

Shown = Mapping[str, Any]
"""A task, or one of its attempts, as `GET /v1/tasks/{task_id}` shows it."""

Number = tuple[str, int, int]
"""Which attempt: task, round, number."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that the witness got: from when to when, on its clock, and what it answered.

    None: the sender had hung up before, or been killed.
    """

    task_id: str
    round: int
    number: int
    began: float
    ended: float
    status: int | None

    @property
    def which(self) -> Number:
        """The attempt that it belongs to."""
        return self.task_id, self.round, self.number

    @property
    def taken(self) -> bool:
        """Whether the witness said that it took it."""
        return self.status is not None and self.status in SUCCESS


@dataclass(frozen=True, slots=True)
class Told:
    """A notice that the robot took."""

    task_id: str
    round: int


@dataclass(frozen=True, slots=True)
class Act:
    """What the clerk asked for, and the round in which the API said that it is done; None: nobody answered."""

    action: str
    task_id: str
    round: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known in the end.

    `listed`: the tasks in the list, `shown`: each as it is shown alone. `answers`: how often the API gave each
    status. `faults`: what the log complains of, and how often.
    """

    accepted: frozenset[str]
    listed: frozenset[str]
    shown: Mapping[str, Shown]
    seen: Sequence[Seen] = ()
    told: Sequence[Told] = ()
    acts: Sequence[Act] = ()
    totals: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[int, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)


SUCCESS = range(200, 300)
FINAL = ("delivered", "exhausted", "cancelled")
STATUSES = ("pending", "retrying", *FINAL)

ANSWERS = (200, 201, 202, 409, 503)
"""What the API may answer to requests that are right, about tasks that are there."""


def is_settled(task: Shown) -> bool:
    """Whether nothing is owed any more: the task is final, and when it is exhausted, somebody was told."""
    return task["status"] in FINAL and (task["status"] != "exhausted" or _tries_to_tell(task) > 0)


def _tries_to_tell(task: Shown) -> int:
    """How often this round's notice was sent until it was taken; 0 when it has not been."""
    notices = [it for it in task["notices"] if it["round"] == task["round"]]
    return sum(it["tries"] for it in notices) if all(it["status"] == "delivered" for it in notices) else 0


def _attempts(evidence: Evidence) -> dict[Number, Shown]:
    """Every attempt that the API shows. Of one that is shown twice, the last."""
    return {
        (task_id, it["round"], it["number"]): it for task_id, task in evidence.shown.items() for it in task["attempts"]
    }


# ── the promises ─────────────────────────────────────────────────────────────────────────────────


def lost(evidence: Evidence) -> Iterator[str]:
    """Whatever was accepted is there, and ended delivered, exhausted or cancelled."""
    for task_id in sorted(evidence.accepted):
        if task_id not in evidence.shown:
            yield f"{task_id} was accepted and is not there"
        elif (status := evidence.shown[task_id]["status"]) not in FINAL:
            yield f"{task_id} is still {status}"
    yield from (f"{task_id} is not in the list" for task_id in sorted(evidence.accepted - evidence.listed))


def untold(evidence: Evidence) -> Iterator[str]:
    """Of every task that is exhausted, the robot was told, and the API knows that it was."""
    told = set(evidence.told)
    for task_id, task in evidence.shown.items():
        if task["status"] != "exhausted":
            continue
        if Told(task_id, task["round"]) not in told:
            yield f"{task_id} is exhausted, and the robot does not know"
        elif not is_settled(task):
            yield f"{task_id} is exhausted and told, and its notice does not say so"


def told_too_often(evidence: Evidence) -> Iterator[str]:
    """No notice is sent more often than its tries say."""
    for told, count in Counter(evidence.told).items():
        task = evidence.shown.get(told.task_id)
        if task and told.round == task["round"] and count > _tries_to_tell(task) > 0:
            yield f"{told.task_id} was told {count} times in round {told.round}, in {_tries_to_tell(task)} tries"


def never_seen(evidence: Evidence) -> Iterator[str]:
    """Whatever reply an attempt recorded, the witness gave, to that very attempt."""
    given = {it.which: it.status for it in evidence.seen}
    for which, attempt in _attempts(evidence).items():
        status = attempt["status_code"]
        if status is not None and given.get(which) != status:
            yield f"{_named(which)} recorded status {status}; the witness says {given.get(which, 'it never saw it')}"
        if attempt["verdict"] == "delivered" and given.get(which) not in SUCCESS:
            yield f"{_named(which)} is delivered, and the witness did not take it"


def strangers(evidence: Evidence) -> Iterator[str]:
    """The witness sees no request that belongs to no attempt, and the list shows no task that nobody accepted."""
    known = _attempts(evidence)
    yield from (f"{_named(it.which)} was sent, and is not recorded" for it in evidence.seen if it.which not in known)
    yield from (f"{task_id} is in the list, and was not accepted" for task_id in evidence.listed - evidence.accepted)


def overlapping(evidence: Evidence) -> Iterator[str]:
    """One attempt of a task begins when the one before is over."""
    over: dict[str, Seen] = {}  # of each task, the request that ends last
    for it in sorted(evidence.seen, key=attrgetter("began")):
        before = over.get(it.task_id)
        if before is not None and it.began < before.ended:
            yield f"{_named(it.which)} began {before.ended - it.began:.3f} s before {before.which[1:]} ended"
        over[it.task_id] = max(before or it, it, key=attrgetter("ended"))


def misnumbered(evidence: Evidence) -> Iterator[str]:
    """In each round the attempts count 1, 2, 3 ..., and no number is sent twice."""
    for task_id, task in evidence.shown.items():
        for round_, numbers in _numbers(task).items():
            if numbers != list(range(1, len(numbers) + 1)):
                yield f"{task_id} has attempts {numbers} in round {round_}"
    sent = Counter(it.which for it in evidence.seen)
    yield from (f"{_named(which)} was sent {count} times" for which, count in sent.items() if count > 1)


def _numbers(task: Shown) -> Mapping[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for attempt in task["attempts"]:
        numbers[attempt["round"]].append(attempt["number"])
    return numbers


def too_many(evidence: Evidence) -> Iterator[str]:
    """No round has more attempts than its policy allows: neither recorded ones nor requests."""
    sent = Counter(it.which[:2] for it in evidence.seen)
    for task_id, task in evidence.shown.items():
        recorded = {round_: len(numbers) for round_, numbers in _numbers(task).items()}
        for round_ in range(1, task["round"] + 1):
            count = max(recorded.get(round_, 0), sent[task_id, round_])
            if count > task["max_attempts"]:
                yield f"{task_id} has {count} attempts in round {round_}; {task['max_attempts']} are allowed"


def unexplained(evidence: Evidence) -> Iterator[str]:
    """Whatever was taken twice, was so because an attempt was cut off before its reply could be recorded."""
    yield from (f"{_named(it.which)} was taken, beside another" for it, why in _doubles(evidence) if why is None)


def undone(evidence: Evidence) -> Iterator[str]:
    """What the clerk was told is done, is done, and audited; and nothing else is."""
    asked = Counter((it.task_id, it.action) for it in evidence.acts)
    done = Counter((it.task_id, it.action) for it in evidence.acts if it.round is not None)
    audited = Counter((task_id, it["action"]) for task_id, task in evidence.shown.items() for it in task["audit"])
    for act in sorted(asked.keys() | audited.keys()):
        if not done[act] <= audited[act] <= asked[act]:
            yield f"{act[0]}: {act[1]} was asked for {asked[act]} times, done {done[act]}, audited {audited[act]}"
    for it in evidence.acts:
        if it.round is not None and not _stands(it, evidence.shown.get(it.task_id)):
            yield f"{it.task_id} does not show the {it.action} of round {it.round}"


def _stands(act: Act, task: Shown | None) -> bool:
    """Whether the task shows that this was done to it: a cancel leaves it cancelled, unless a later round began."""
    assert act.round is not None, "it was done"
    if task is None or task["round"] < act.round:
        return False
    return act.action != "cancel" or task["round"] > act.round or task["status"] == "cancelled"


def miscounted(evidence: Evidence) -> Iterator[str]:
    """`GET /v1/stats` says what the tasks themselves say."""
    tasks = evidence.shown.values()
    counted = Counter(task["status"] for task in tasks)
    failed = sum(it["verdict"] == "failed" for task in tasks for it in task["attempts"])
    true = {
        "accepted": len(evidence.shown), **{status: counted[status] for status in STATUSES}, "failed_attempts": failed
    }  # fmt: skip
    for name, count in true.items():
        if evidence.totals.get(name) != count:
            yield f"{name} is {count}, and the totals say {evidence.totals.get(name)}"


def faulty(evidence: Evidence) -> Iterator[str]:
    """A kill or an outage is no fault of kkbida's own: it answers no 500, nor 404 for what is there."""
    yield from (f"{count} answers of {status}" for status, count in evidence.answers.items() if status not in ANSWERS)
    yield from (f"{count} times {name} in the log" for name, count in evidence.faults.items())


def _named(which: Number) -> str:
    task_id, round_, number = which
    return f"{task_id} round {round_} attempt {number}"


PROMISES: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    "lost": lost,
    "exhausted and nobody told": untold,
    "told more often than tried": told_too_often,
    "recorded otherwise than the receiver saw": never_seen,
    "sent or shown, and never recorded or accepted": strangers,
    "overlapping attempts": overlapping,
    "attempt numbers with gaps, or twice": misnumbered,
    "more attempts than allowed": too_many,
    "duplicates without an explanation": unexplained,
    "acts of the clerk undone": undone,
    "totals that do not add up": miscounted,
    "faults of our own": faulty,
}
"""What must not be: name -> the breaches in the evidence."""


# ── duplicates, which are promised to have a reason ──────────────────────────────────────────────


CUT_OFF = {
    "interrupted": "it was taken, and the attempt was cut off before that was recorded",
    "read_timeout": "the reply came too late",
    "total_timeout": "the reply came too late",
    "broken_connection": "the connection broke before the reply was there",
}
"""Kinds of attempts whose effect is unknown -> why the receiver may have taken the request all the same."""


def _doubles(evidence: Evidence) -> Iterator[tuple[Seen, str | None]]:
    """Every request that was taken although another of its round was, and why; None when nothing explains it."""
    attempts = _attempts(evidence)
    by_round = attrgetter("task_id", "round")
    for _, requests in groupby(sorted(evidence.seen, key=attrgetter("task_id", "round", "number")), by_round):
        taken = [it for it in requests if it.taken]
        delivered = [it for it in taken if attempts.get(it.which, {}).get("verdict") == "delivered"]
        the_one = next(reversed(delivered or taken), None)
        yield from ((it, CUT_OFF.get(attempts.get(it.which, {}).get("kind", ""))) for it in taken if it is not the_one)


# ── the report ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Report:
    """What came out: figures, duplicates by their reason, and the breaches of each promise."""

    figures: Mapping[str, int]
    duplicates: Mapping[str, int]
    breaches: Mapping[str, Sequence[str]]

    @property
    def broken(self) -> Mapping[str, Sequence[str]]:
        """The promises that were not kept."""
        return {promise: breaches for promise, breaches in self.breaches.items() if breaches}

    def __str__(self) -> str:
        lines = [f"{count:8} {name}" for name, count in self.figures.items()]
        lines += [f"{count:8} duplicates: {why}" for why, count in self.duplicates.items()]
        for promise, breaches in self.breaches.items():
            lines += [f"{len(breaches):8} {promise}", *(f"{'':12}{breach}" for breach in breaches[:SHOWN_OF_EACH])]
        return "\n".join(lines)


SHOWN_OF_EACH = 5
"""Breaches of a promise that are printed."""


def judge(evidence: Evidence) -> Report:
    """Hold the evidence against every promise."""
    return Report(
        figures=_figures(evidence),
        duplicates=Counter(why for _, why in _doubles(evidence) if why is not None),
        breaches={promise: list(breaches(evidence)) for promise, breaches in PROMISES.items()},
    )


def _figures(evidence: Evidence) -> Mapping[str, int]:
    statuses = Counter(task["status"] for task in evidence.shown.values())
    verdicts = Counter(attempt["verdict"] for attempt in _attempts(evidence).values())
    return {
        "tasks accepted": len(evidence.accepted),
        **{status: statuses[status] for status in FINAL},
        "attempts": verdicts.total(),
        "of them interrupted": verdicts["interrupted"],
        "requests at the witness": len(evidence.seen),
        "notices that the robot took": len(evidence.told),
        "of them a second time": len(evidence.told) - len(set(evidence.told)),
        "acts of the clerk": sum(act.round is not None for act in evidence.acts),
        "submissions refused for a while": evidence.answers.get(503, 0),
    }
