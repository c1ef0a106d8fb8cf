"""Bring the predecessor's tasks over: the unfinished go on where they were, the finished come with their history.

    row --predecessor.submission_of--> Request --life.begin, brought--> a live task --ended_elsewhere--> a finished one

A task keeps its id if that is a UUID; so a second run finds what the first one has brought, and brings it no more.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib import life, log, predecessor, submission
from chalicelib.accept import digest, is_content_of
from chalicelib.at_once import all_at_once
from chalicelib.auth import Identity, entry
from chalicelib.enqueue import enqueue
from chalicelib.errors import IdempotencyConflict, InternalError, Refusal
from chalicelib.ports import MOST_DELAY, Outgoing, Reply, World
from chalicelib.shape import Anything, Field, Flag, ListOf, Record, require, seconds
from chalicelib.task import FINAL, Attempt, Audit, Json, Status, Task, evolve

MOST_ROWS = 100
AT_ONCE = 20
"""Rows that are stored at the same time."""

_DRY_RUN = Field(Flag(), "Only say what would become of them.")


def _import(rows: Field) -> Record:
    return Record(name="Import", fields={"tasks": rows, "dry_run": _DRY_RUN})


IMPORT = _import(Field(ListOf(shape=predecessor.ROW, least=1, most=MOST_ROWS), "Rows of callback_task.", required=True))
ANY_IMPORT = _import(Field(ListOf(shape=Anything(), least=1, most=MOST_ROWS), required=True))
"""One whose rows are looked at one by one: what is wrong with one is no matter of the others."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a row: its task, whether it is here from before, and what of it is not the same here."""

    task: Task
    known: bool
    remarks: tuple[str, ...]


def bring_all(world: World, who: Identity, submitted: Json) -> list[Brought | Refusal]:
    """Of each row, in the order given, what became of it. Raises InvalidRequest when they are no rows at all.

    The audit trail has all of them as one action, and each task its own part of it.
    """
    require(ANY_IMPORT, submitted)
    dry_run = bool(submitted.get("dry_run"))
    if not dry_run:
        world.store.note(entry(world, who, "import-tasks", "callback_task", {"rows": len(submitted["tasks"])}))
    found = all_at_once(submitted["tasks"], lambda row: _one(world, who, row, dry_run=dry_run), most=AT_ONCE)
    refused = sum(isinstance(it, Refusal) for it in found)
    log.event("tasks.imported", actor=who.name, rows=len(found), refused=refused, dry_run=dry_run)
    return found


def _one(world: World, who: Identity, row: Json, *, dry_run: bool) -> Brought | Refusal:
    """One row, whatever becomes of the others."""
    try:
        return _bring(world, who, row, dry_run=dry_run)
    except Refusal as refusal:
        return refusal
    except Exception:  # noqa: BLE001 - as the docstring says; the log has it
        log.failure("task.not_imported")
        return InternalError("The log has it.")


def _bring(world: World, who: Identity, row: Json, *, dry_run: bool) -> Brought:
    require(predecessor.ROW, row)
    attempts = predecessor.attempts_of(row, world.settings.keep_limit)
    task = _task(world, who, row, attempts)
    known = world.store.get(task.task_id) if dry_run else world.store.add(task, _audit(world, who, task))
    if known is not None and not is_content_of(known, row):
        raise IdempotencyConflict(f"Task {task.task_id} is here already, and its row was another one then.")
    if not dry_run:
        _finish(world, task, attempts, known)
    return Brought(known or task, known is not None, tuple(predecessor.remarks(row, attempts)))


def _finish(world: World, task: Task, attempts: Sequence[Attempt], known: Task | None) -> None:
    """What follows once the task is stored; again, should the run before have been cut off in between."""
    for attempt in attempts[:-1]:
        world.store.keep(task.task_id, attempt)
    now = world.clock.now()
    wait = life.ready_at(task, now) - now
    if known is None and not task.is_final and wait <= MOST_DELAY:
        enqueue(world, task, delay=wait)


def _task(world: World, who: Identity, row: Mapping[str, Json], attempts: Sequence[Attempt]) -> Task:
    """The task as it stands. Raises InvalidRequest with every fault."""
    now, status = world.clock.now(), predecessor.status_of(row)
    labels = {"submitted_by": "import", "source_ip": row.get("sourceIp") or ""}
    members = predecessor.submission_of(row, app=None, timeout=world.settings.max_timeout, labels=labels)
    http = Anywhere() if status in FINAL else world.http
    due_at = max(now, _moment(row, "expireTimestamp", now))
    begun = life.begin(
        submission.read(members, world.settings, http, now),
        task_id=_id(row["taskId"]),
        caller=who.account,
        digest=digest(row),
        now=now,
        grace=world.settings.grace,
        due_at=due_at,
        parked=due_at - now > MOST_DELAY,
    )
    created_at = min(_moment(row, "createDate", now), now)
    live = life.brought(begun, attempts, number=row.get("callCount") or 0, created_at=created_at)
    return _ended(live, status, row, world) if status in FINAL else live


def _ended(live: Task, status: Status, row: Mapping[str, Json], world: World) -> Task:
    now, because = world.clock.now(), None
    if status is Status.EXHAUSTED:
        because = f"the predecessor has used all {row['limitCallCount']} attempts"
    at = min(max(_moment(row, "lastModifiedDate", live.created_at), live.created_at), now)
    return life.ended_elsewhere(live, status, because, at=at, now=now, retention=world.settings.retention)


def _moment(row: Mapping[str, Json], member: str, default: float) -> float:
    return seconds(row[member]) if row.get(member) else default


_NAMESPACE = uuid.UUID("0b1f6ba2-7f5c-5e2f-9a37-6b6b62696461")


def _id(task_id: str) -> str:
    """The task's own id, if it is a UUID as we write it; else one that is always the same."""
    try:
        own = uuid.UUID(task_id)
    except ValueError:
        own = None
    return task_id if own is not None and str(own) == task_id else str(uuid.uuid5(_NAMESPACE, task_id))


def _audit(world: World, who: Identity, task: Task) -> Audit:
    told = entry(world, who, "import", task.task_id, {"status": str(task.status), "attempts": task.fence})
    return evolve(told, part=True)


class Anywhere:
    """In the place of the way out: history may name addresses that nothing is sent to any more."""

    def check(self, url: str) -> None:
        """Every address is as good as any."""

    def send(self, outgoing: Outgoing) -> Reply:
        """Never: nothing is sent through it."""
        raise NotImplementedError(outgoing.url)
