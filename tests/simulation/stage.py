"""The stage of a story: what all actors share, and the computers on which the product runs.

In the cloud, each function has processes of its own, which die alone, and messages go astray. On the laptop all is one
process: it dies as a whole, and what it had in hand is set free when it starts again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from random import Random
from typing import Any
from unittest import mock

from chalicelib import at_once, log
from chalicelib.clocks import is_ahead
from chalicelib.embedded import EmbeddedQueues, EmbeddedStore, open_embedded, recover
from chalicelib.errors import Unavailable
from chalicelib.keyring import DerivedKeys
from chalicelib.ports import Queue, World
from chalicelib.settings import Settings, load
from chalicelib.vault import MemoryVault
from tests.house import NOON
from tests.simulation import scale as scales
from tests.simulation.fibers import Bell, Fibers, Pool, Process, pool
from tests.simulation.outside import Outside
from tests.simulation.scale import Scale
from tests.simulation.timeline import Timeline
from tests.simulation.troubled import Surprise, TroubledHttp, TroubledQueues, TroubledStore
from tests.simulation.weather import OF_MESSAGES, OF_NETWORKS, Fault, Faults, draw
from tests.simulation.witness import Witness

Expected = (Unavailable, Surprise)
"""What a step may meet when we trouble it."""


STEPS = (-14_400, -3600, 1800, 14_400, 8_640_000)
"""Seconds by which a clock steps: the last takes it further ahead than the calm lasts."""

NEXT_WAKE = """SELECT min(wake_at),
        max(max(min(wake_at, json_extract(task, '$.updated_at')),
        CASE WHEN wake_at > json_extract(task, '$.due_at') + 21600 THEN wake_at - 21600 ELSE 0 END))
    FROM tasks WHERE wake_at IS NOT NULL"""
"""When the first task is due, and a moment that is ahead if a clock that was ahead has planned a task."""


@dataclass
class ProcessClock:
    """The time as a process has it."""

    fibers: Fibers
    process: Process

    def now(self) -> float:
        return self.fibers.now + self.process.skew


@dataclass(kw_only=True)
class Stage:
    """Everything that is there once. `infra`: the process of what never dies: SQS, the pollers, the people."""

    laptop: bool
    scale: Scale
    random: Random
    settings: Settings
    fibers: Fibers
    faults: Faults
    timeline: Timeline
    witness: Witness
    outside: Outside
    store: EmbeddedStore
    queues: EmbeddedQueues
    infra: Process
    host: Process
    vault: MemoryVault
    bells: Mapping[Queue, Bell]
    schedule: Bell
    resends: Bell
    restarted: Bell
    instances: dict[str, Process] = field(default_factory=dict)
    worlds: dict[Process, World] = field(default_factory=dict)
    deaths: int = 0
    calm_since: float = inf
    outage_until: float = -inf
    unlisted: dict[str, float] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    stepped: dict[Process, float] = field(default_factory=dict)

    # ── processes ──

    def running(self, name: str) -> Process:
        """A process that does this work. Waits until the laptop is up again."""
        while self.laptop and not self.host.alive:
            self.restarted.wait()
        if self.laptop:
            return self.host
        process = self.instances.get(name)
        if process is None or not process.alive:
            process = self.instances[name] = self._started(name)
        return process

    def _started(self, name: str) -> Process:
        skew = round(self.random.uniform(-300, 300), 3) if self.faults.strikes(Fault.SKEWED) else 0
        if skew:
            self.tell(name, f"starts with its clock off by {skew} s")
        return Process(name, skew=skew)

    def die(self, process: Process, why: str) -> None:
        """End the process; whoever runs in it does not return from here."""
        self.deaths += 1
        self.tell(process.name, f"DIES: {why}")
        self.worlds.pop(process, None)
        if self.laptop and process.alive:
            self.fibers.spawn(self.infra, self._restart, at=self.fibers.now + self.random.uniform(0.4, 30))
        self.fibers.kill(process)

    def _restart(self) -> None:
        self.host = self._started("laptop")
        recover(self.store.database)
        self.witness.look_again()
        self.tell("laptop", "is up again")
        self.restarted.ring()
        self.schedule.ring()
        for bell in self.bells.values():
            bell.ring()

    def step_clock(self, process: Process) -> None:
        """Let the clock of a process step, and be right again after a while."""
        seconds = self.random.choice(STEPS)
        self.tell(process.name, f"{Fault.STEPPED} ({seconds} s)")
        self.stepped.setdefault(process, process.skew)
        process.skew += seconds
        self.fibers.spawn(self.infra, partial(self._set_clock, process), self.fibers.now + self.random.uniform(1, 3600))

    def _set_clock(self, process: Process) -> None:
        process.skew = self.stepped.pop(process, process.skew)

    def be_calm(self) -> None:
        """End the storm: no fault strikes any more, indexes are complete, and no clock is off by hours."""
        self.faults.calm, self.calm_since = True, self.fibers.now
        self.unlisted.clear()
        for process in list(self.stepped):
            self._set_clock(process)
        self.tell("story", "the faults stop")
        self.schedule.ring()

    def deploy(self) -> None:
        """Restart everything at once."""
        for process in [self.host] if self.laptop else list(self.instances.values()):
            if process.alive:
                self.die(process, Fault.DEPLOYED)

    def world(self, process: Process) -> World:
        """The product's World in a process: the real adapters, in trouble."""
        if process not in self.worlds:
            store, clock = TroubledStore(self, process), ProcessClock(self.fibers, process)
            self.worlds[process] = World(
                settings=self.settings,
                store=store,
                queues=TroubledQueues(self, process),
                http=TroubledHttp(self, process),
                keyring=DerivedKeys(store, self.vault, clock),
                clock=clock,
                random=Random(self.random.random()),
            )
        return self.worlds[process]

    # ── what actors use ──

    def tell(self, who: str, what: str) -> None:
        """Add to the timeline."""
        self.timeline.tell(self.fibers.now, who, what)

    def queue_now(self) -> float:
        """The time as the queues have it: their own, or that of the laptop."""
        return self.fibers.now + (self.host.skew if self.laptop else 0)

    def wait_for_message(self, queue: Queue) -> None:
        """Wait until one may be received."""
        sql = "SELECT min(visible_at) FROM messages WHERE queue = ? AND state <> 'ready'"
        found = self.store.database.read(lambda connection: connection.execute(sql, (queue,)).fetchone()[0])
        wait = inf if found is None else max(found - self.queue_now(), 0) + 0.001
        self.bells[queue].wait(self.fibers.now + wait)

    def ring_for_spent(self) -> None:
        """A receive may have moved messages to the queue of exhausted tasks: wake who waits there."""
        sql = "SELECT count(*) FROM messages WHERE queue = ? AND state = 'ready'"
        if self.store.database.read(lambda connection: connection.execute(sql, (Queue.EXHAUSTED,)).fetchone()[0]):
            self.bells[Queue.EXHAUSTED].ring()

    def next_wake(self) -> float:
        """When something is due to be looked after, as the reconciler's computer has it; infinite when nothing is."""
        first, last = self.store.database.read(lambda connection: connection.execute(NEXT_WAKE).fetchone())
        ahead = last is not None and is_ahead(last, self.fibers.now)
        if ahead or any(self.store.count_held(target, 1) for target in self.targets):
            return self.fibers.now  # it may be called, or is to be planned again
        return inf if first is None else float(first)

    @property
    def targets(self) -> list[str]:
        """All targets of partners."""
        return [f"https://{host}:443" for host in self.scale.hosts]

    def written(self) -> None:
        """Something has changed in the store: a task may be due earlier."""
        self.schedule.ring()

    # ── the log ──

    @contextmanager
    def set(self) -> Iterator[None]:
        """The product's threads are our fibers, and its log is the timeline, while the block runs."""
        with (
            self.scale.set(),
            mock.patch.object(at_once, "ThreadPoolExecutor", partial(pool, self.fibers)),
            mock.patch.object(at_once, "_hands", return_value=Pool(self.fibers)),
            mock.patch.object(log, "event", self._event),
            mock.patch.object(log, "failure", self._failure),
        ):
            yield

    def _who(self) -> str:
        return self.fibers.current().process.name

    def _event(self, name: str, *, metrics: Mapping[str, float] | None = None, **facts: Any) -> None:  # noqa: ARG002
        self.tell(self._who(), f"{name} {_written(facts)}")
        if name == "task.woken":
            self.witness.woken(facts["task_id"])
        if name == "task.held":
            self.witness.held += 1

    def _failure(self, name: str, **facts: Any) -> None:
        """The product met what it did not expect: fine, if we made it."""
        error = sys.exception()
        self.tell(self._who(), f"{name} {_written(facts)} {error!r}")
        if not isinstance(error, Expected):
            self.witness.object(f"{name}: {error!r}")


def _written(facts: Mapping[str, Any]) -> str:
    shown = ("task_id", "attempt", "round", "verdict", "kind", "status", "wait", "waits", "because", "why", "reason")
    return " ".join(f"{name}={facts[name]}" for name in shown if facts.get(name) is not None)


def build(seed: int) -> Stage:
    """The stage of a story, as its seed has it."""
    random = Random(seed)
    laptop = random.random() < 0.3
    scale = scales.draw(random)
    never = OF_MESSAGES | OF_NETWORKS if laptop else frozenset()
    if scale.is_expiring:
        never |= {Fault.STEPPED}  # a clock that is ahead removes what has not expired
    fibers, timeline = Fibers(NOON), Timeline(NOON)
    infra, host = Process("infra"), Process("laptop")
    settings = load(
        {
            "KKBIDA_OPEN_API": "1",
            "KKBIDA_GRACE": random.choice(("60", "600")),
            "KKBIDA_IN_FLIGHT_LIMIT": random.choice(("2", "100000", "100000")),
        }
    )
    stage: Stage
    vault = MemoryVault()

    class QueueClock:
        def now(self) -> float:
            return stage.queue_now()

    store, queues = open_embedded(":memory:", settings, QueueClock(), vault)
    weather = draw(random, lambda fault: fault not in never)
    if weather and scale.is_large and not laptop:
        weather = {**weather, Fault.OUTAGE: 1}  # it fills the pages of the reconciler
    faults = Faults(weather, Random(random.random()))
    witness = Witness(fibers, store, faults, scale.retention)
    stage = Stage(
        laptop=laptop,
        scale=scale,
        random=Random(random.random()),
        settings=settings,
        fibers=fibers,
        faults=faults,
        timeline=timeline,
        witness=witness,
        outside=Outside(fibers, witness, Random(random.random())),
        store=store,
        queues=queues,
        infra=infra,
        host=host,
        vault=vault,
        bells={queue: Bell(fibers) for queue in Queue},
        schedule=Bell(fibers),
        resends=Bell(fibers),
        restarted=Bell(fibers),
    )
    witness.say = stage.tell
    return stage
