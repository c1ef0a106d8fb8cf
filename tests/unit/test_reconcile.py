"""One bad row, target or page costs the reconciler at most its own turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest

from chalicelib import life
from chalicelib.database_file import MEMORY
from chalicelib.delivery.reconcile import PAGE, reconcile
from chalicelib.embedded import PASSED_OVER, EmbeddedStore, open_embedded
from chalicelib.keyring import DerivedKeys
from chalicelib.ports import Queue, World
from chalicelib.settings import load
from chalicelib.task import Held, Target, Task, evolve
from chalicelib.vault import MemoryVault
from tests.contract.backends import FakeClock
from tests.contract.samples import DAY, NOW, audit, task
from tests.contract.steps import added, claimed, failed, replaced

LONG_AGO = NOW - 10_000

BAD = PASSED_OVER + PAGE + 5
"""Rows that cannot be read: more than one look passes over."""


@dataclass
class Here:
    """A world in memory, at a moment at which everything added so far is due."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW + 700))
    world: World = field(init=False)

    def __post_init__(self) -> None:
        settings = load({})
        store, queues = open_embedded(MEMORY, settings, self.clock)
        keys = DerivedKeys(store, MemoryVault(), self.clock)
        http = cast("Any", None)  # nothing is sent
        self.world = World(
            settings=settings, store=store, queues=queues, http=http, keyring=keys, clock=self.clock, random=Random(1)
        )

    @property
    def store(self) -> EmbeddedStore:
        return cast("EmbeddedStore", self.world.store)

    def add(self, *, at: float = LONG_AGO, **changes: Any) -> Task:
        return added(self.store, task(at=at, **changes))

    def hold(self) -> Task:
        due = self.add(at=NOW)
        return replaced(self.store, due, life.hold(due, Held.PAUSED, now=NOW))

    def execute(self, sql: str) -> None:
        self.store.database.write(lambda tx: tx.execute(sql))

    def wakes(self, of: Task) -> int:
        found = self.store.get(of.task_id)
        assert found is not None
        return found.wakes


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.mark.parametrize("pages", [1, 3])
def test_pages_of_tasks_that_cannot_be_woken_hide_no_others(here: Here, pages: int) -> None:
    for number in range(pages * PAGE):
        here.add(at=LONG_AGO - number)
    here.execute("UPDATE tasks SET task = json_set(task, '$.wakes', 'x')")
    lost = here.add(at=NOW - 1000)
    assert reconcile(here.world, seconds=40).count == 1
    assert here.wakes(lost) == 1
    later = here.store.due(here.clock.at, 1000)
    assert later == [], "those that cannot be woken stand behind what is due"


def test_tasks_that_are_due_at_the_same_moment_are_all_woken(here: Here) -> None:
    tasks = [here.add() for _ in range(3 * PAGE)]
    assert reconcile(here.world, seconds=40).count == len(tasks)


def test_rows_that_cannot_be_read_hide_no_others(here: Here) -> None:
    here.add()
    here.execute(
        f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {BAD})
        INSERT INTO tasks (task_id, version, status, source_app, target_app, target, url, created_at, wake_at,
            lease_until, task) SELECT 'bad' || i, 1, 'pending', '', '', '', '', 0, i, 0, '' FROM n"""  # noqa: S608
    )
    here.execute("INSERT OR IGNORE INTO requests SELECT id, '' FROM tasks")
    lost = here.add(at=NOW - 1000)
    assert reconcile(here.world, seconds=40).count == 2
    assert here.wakes(lost) == 1


def test_a_task_that_was_woken_for_years_is_woken_as_any_other(here: Here) -> None:
    old = here.add(wakes=5000)
    assert reconcile(here.world, seconds=40).count == 1
    assert here.wakes(old) == 5001


@dataclass
class SlowTargets:
    """A store at which it takes a while to look at one of many targets, some of which cannot be looked at."""

    here: Here
    names: list[str]
    seconds: float = 1
    bad: frozenset[str] = frozenset()
    looked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.here.store, name)

    def targets(self) -> list[Target]:
        return [Target(name=name, max_concurrency=1) for name in self.names]

    def held(self, name: str, limit: int) -> list[Task]:
        self.here.clock.move(self.seconds)
        self.looked.append(name)
        if name in self.bad:
            raise LookupError(name)
        return self.here.store.held(name, limit)


def test_lost_messages_do_not_wait_for_targets_and_each_target_has_its_turn(here: Here) -> None:
    slow = SlowTargets(here, [f"https://t{number}.example:443" for number in range(200)])
    world = evolve(here.world, store=cast("Any", slow))
    for _ in range(100):
        lost = here.add(at=here.clock.at - 1000)
        before = here.clock.at
        reconcile(world, seconds=45)
        assert here.wakes(lost) == 1
        assert here.clock.at <= before + 45 + 20, "the pass ends, but for what is under way"
        if set(slow.looked) == set(slow.names):
            break
    assert set(slow.looked) == set(slow.names)


def test_a_target_that_cannot_be_looked_at_keeps_no_other_from_being_called(here: Here) -> None:
    held = here.hold()
    here.store.save_target(Target(name=held.request.target, max_concurrency=1, version=1), audit("t"))
    names = ["https://bad.example:443", held.request.target]
    slow = SlowTargets(here, names, seconds=0, bad=frozenset(names[:1]))
    reconcile(evolve(here.world, store=cast("Any", slow)), seconds=45)
    [called] = here.world.queues.receive(Queue.TASKS)
    assert held.request.target in called.body


def test_an_endless_row_of_due_tasks_leaves_time_for_held_ones(here: Here) -> None:
    held = here.hold()
    here.store.save_target(Target(name=held.request.target, max_concurrency=1, version=1), audit("t"))

    class Slow(SlowTargets):
        def due_page(self, *arguments: Any) -> Any:
            self.here.clock.move(10)
            self.here.add(at=self.here.clock.at - 1000)
            return self.here.store.due_page(*arguments)

    slow = Slow(here, [held.request.target])
    reconcile(evolve(here.world, store=cast("Any", slow)), seconds=45)
    assert slow.looked == [held.request.target]


def test_a_target_that_cannot_be_read_costs_only_its_own_limits(here: Here) -> None:
    for name in ("https://a.example:443", "https://b.example:443"):
        here.store.save_target(Target(name=name, max_concurrency=1, version=1), audit("t"))
    here.execute("UPDATE targets SET target = '{' WHERE name = 'https://a.example:443'")
    assert [it.name for it in here.store.targets()] == ["https://b.example:443"]


def test_what_a_clock_that_was_ahead_has_put_off_is_looked_after(here: Here) -> None:
    owned = claimed(here.store, here.add(at=NOW), NOW + 1)
    failed(here.store, owned, NOW + 60 * DAY)
    here.clock.at = NOW + 120
    reconcile(here.world, seconds=45)
    found = here.store.get(owned.task_id)
    assert found is not None
    assert found.due_at == NOW + 120 + 60
    here.clock.at = found.wake_at or 0
    assert reconcile(here.world, seconds=45).count == 1
