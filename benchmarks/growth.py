"""What the same work costs with few tasks in the store and with many: it should be the same.

    python -m benchmarks.growth [--tasks 1000 100000 1000000] [--aws-tasks 400 2000 10000]

On one computer: milliseconds, the median of many, store in a file. On AWS: units at an emulator; it bills writes as
DynamoDB does and reads too low, so those are computed from what each reply holds, by DynamoDB's rules.

The first hundred tasks of a store have gone through the product; the others are like them, with other ids and earlier.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from random import Random
from uuid import UUID

from benchmarks.speed import silence
from chalicelib.accept import Submitter, accept
from chalicelib.at_once import all_at_once
from chalicelib.consume import consume
from chalicelib.delivery.deliver import deliver
from chalicelib.embedded import EmbeddedStore, _add, open_embedded
from chalicelib.ports import Query, Queue, World
from chalicelib.store import DynamoStore
from chalicelib.task import Json, Status, Task, evolve
from infra.local.sources import finished, sqs_event
from tests.emulators import ministack
from tests.house import House, reply
from tests.meter import Meter, Metered, metered

SEEDS = 100
"""Tasks that go through the product."""

APART = 2
"""Seconds between two tasks: a million are accepted in 23 days."""

PAGE = 20
"""Tasks of a page: there are so many of each kind in the smallest store."""

TIMES, AWS_TIMES = 100, 5
"""How often each work is done; the median counts."""

GOOD, BUSY = "https://partner.example/ok", "https://busy.example/callback"

KINDS: Mapping[int, Mapping[str, Json]] = {
    0: {"url": BUSY, "retry": {"max_attempts": 1}},  # exhausted
    1: {"url": BUSY, "retry": {"backoff": "fixed", "initial": 3600, "max_attempts": 2}},  # retrying
    2: {"url": GOOD, "delay": 86_400},  # scheduled
}
"""Of twenty tasks, what becomes of the first ones; all others are delivered."""

LIVED = 2 * 86_400
"""Seconds that have passed since: all that are retrying or scheduled are overdue by now."""

MOMENTS = ("created_at", "updated_at", "round_started_at", "due_at", "claimed_at", "wake_at", "expires_at")


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tasks", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--aws-tasks", type=int, nargs="*", default=[400, 2_000, 10_000])
    asked = parser.parse_args()
    silence()
    for title, sizes, measure in (
        ("one computer, milliseconds", asked.tasks, _milliseconds),
        ("AWS, write + read units", asked.aws_tasks, _units),
    ):
        _print(title, sizes, list(measure(sizes)))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as printed, and as it is compared."""

    text: str
    size: float


Figures = Mapping[str, Figure]
"""Work -> what it costs."""


def _print(title: str, sizes: Sequence[int], columns: Sequence[Figures]) -> None:
    print(f"\r{title:<42}" + "".join(f"{size:>12,}" for size in sizes) + "   ratio")
    for name in columns[0] if columns else ():
        row = [column[name] for column in columns]
        print(f"  {name:<40}" + "".join(f"{it.text:>12}" for it in row) + f"{row[-1].size / row[0].size:>8.2f}")


# ── the work ─────────────────────────────────────────────────────────────────────────────────────


def _works(world: World, tasks: int) -> Mapping[str, Callable[[], object]]:
    """What is done to a store with so many tasks. Each task that is accepted is delivered by a delivery after it."""
    store, now = world.store, world.clock.now()
    exhausted, delivered = Query(status=Status.EXHAUSTED), Query(status=Status.DELIVERED)
    middle = store.page(Query(until=now - LIVED - tasks * APART / 2), None, PAGE).cursor
    return {
        "list, newest first": lambda: store.page(Query(), None, PAGE),
        "list, of an app": lambda: store.page(Query(source_app="app-1"), None, PAGE),
        "list, delivered": lambda: store.page(delivered, None, PAGE),
        "list, exhausted; a bulk resend's page": lambda: store.page(exhausted, None, PAGE),
        "list, from the middle on": lambda: store.page(Query(), middle, PAGE),
        "list, part of a URL that no task has": lambda: store.page(Query(q="nowhere"), None, PAGE),
        "bulk resend, first part of the dry run": lambda: store.size(exhausted, None),
        "reconciler's page": lambda: store.due(now, PAGE),
        "stats, and a day by the hour": lambda: (store.totals(), store.series("hour", now - LIVED - 86_400, now)),
        "accept": lambda: accept(
            world, {"url": GOOD, "source_app": "app-1"}, by=Submitter(caller="benchmark"), key=None
        ),
        "deliver": lambda: _deliver(world),
    }


def _deliver(world: World) -> None:
    batch = world.queues.receive(Queue.TASKS, limit=1, wait=10)
    response = consume(world, Queue.TASKS, sqs_event(Queue.TASKS, batch), deliver)
    assert len(finished(batch, response)) == 1, "a task was accepted before, and is delivered now"
    world.queues.delete(Queue.TASKS, finished(batch, response))


# ── the tasks ────────────────────────────────────────────────────────────────────────────────────


def _seeds(house: House) -> list[Task]:
    """The first tasks, after all that the product does with them. The messages of those that wait are lost then."""
    house.outside.answers = {GOOD: lambda _: reply(200, "success"), BUSY: lambda _: reply(503, "busy")}
    house.clock.at = time.time() - LIVED - SEEDS * APART
    seeds = [_seed(house, number) for number in range(SEEDS)]
    house.clock.at += LIVED
    while lost := house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [it.receipt for it in lost])
    return seeds


def _seed(house: House, number: int) -> Task:
    house.clock.at += APART
    members = {"url": GOOD, "body": {"order": number}, "source_app": f"app-{number % 5}", **KINDS.get(number % 20, {})}
    task = accept(house.world, members, by=Submitter(caller="benchmark"), key=None)
    while house.work():
        continue
    return house.world.store.get(task.task_id) or task


def _more(seeds: Sequence[Task]) -> Iterator[Task]:
    """The seeds again and again, each time before those of the time before."""
    random = Random(1)
    for earlier in count(SEEDS * APART, SEEDS * APART):
        yield from (_again(seed, UUID(int=random.getrandbits(128), version=4), earlier) for seed in seeds)


def _again(seed: Task, task_id: UUID, earlier: int) -> Task:
    """Another task of the same kind."""
    moments = {name: at - earlier for name in MOMENTS if (at := getattr(seed, name)) is not None}
    return evolve(seed, task_id=str(task_id), **moments)


def _growing(house: House, sizes: Sequence[int], add_all: Callable[[Sequence[Task]], object]) -> Iterator[int]:
    """Fill the store, and stop at each size."""
    seeds = _seeds(house)
    more, there = _more(seeds), len(seeds)
    for size in sizes:
        while there < size:
            there += len(batch := list(islice(more, min(1000, size - there))))
            add_all(batch)
            print(f"\r{there:,} tasks", end="", flush=True)
        yield size


# ── on one computer ──────────────────────────────────────────────────────────────────────────────


def _milliseconds(sizes: Sequence[int]) -> Iterator[Figures]:
    with tempfile.TemporaryDirectory() as folder:
        house = House()
        store, queues = open_embedded(str(Path(folder) / "tasks.db"), house.world.settings, house.clock)
        house.world = replace(house.world, store=store, queues=queues)
        for size in _growing(house, sizes, lambda tasks: _add_all(store, tasks)):
            yield {name: _timed(work) for name, work in _works(house.world, size).items()}
        _assert_true(house)
        store.close()


def _add_all(store: EmbeddedStore, tasks: Sequence[Task]) -> None:
    """In one transaction: each for itself would wait for the disk."""
    store.database.write(lambda tx: [_add(tx, task) for task in tasks])


def _timed(work: Callable[[], object]) -> Figure:
    """The median milliseconds of a work."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    middle = statistics.median(took)
    return Figure(f"{middle:.2f}", middle)


def _assert_true(house: House) -> None:
    """The rows are such as the product itself would have left."""
    world = house.world
    ledger = world.store.ledger(world.clock.now(), world.settings.retention)
    assert ledger is not None
    assert ledger.balanced, ledger


# ── on AWS ───────────────────────────────────────────────────────────────────────────────────────


def _units(sizes: Sequence[int]) -> Iterator[Figures]:
    with ministack() as endpoint:
        place = metered(endpoint)
        for size in _growing(place.house, sizes, lambda tasks: _store_all(place, tasks)):
            yield {name: _counted(work, place.meter) for name, work in _works(place.house.world, size).items()}


def _store_all(place: Metered, tasks: Sequence[Task]) -> None:
    """Store them, and count them as the function `Count` does."""
    store = place.house.world.store
    assert isinstance(store, DynamoStore), "it is metered"
    all_at_once(tasks, store.add, most=16)
    place.stream.drain(store.count)


def _counted(work: Callable[[], object], meter: Meter) -> Figure:
    """The median units of a work."""
    spent = []
    for _ in range(AWS_TIMES):
        before = (meter.units, meter.read_units)
        work()
        spent.append((meter.units - before[0], meter.read_units - before[1]))
    write, read = (statistics.median(kind) for kind in zip(*spent, strict=True))
    return Figure(f"{write:.0f} + {read:.1f}", write + read)


if __name__ == "__main__":
    main()
