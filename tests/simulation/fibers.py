"""Scheduling that we own: fibers in processes, in an order that the seed alone decides.

A fiber runs until it sleeps or waits; then the one runs whose moment comes first. Nothing here knows of real time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from chalicelib.at_once import caught

A = TypeVar("A")
B = TypeVar("B")


class Killed(GreenletExit):
    """The process has died, as by SIGKILL. No `except Exception` of the product can catch it."""


class Stopped(Exception):
    """What a fiber waited for will never come: the process that was to do it is dead."""


@dataclass(eq=False)
class Process:
    """What lives and dies as one. `skew`: seconds by which its clock is ahead. `frozen_until`: it sleeps till then."""

    name: str
    skew: float = 0
    alive: bool = True
    frozen_until: float = -inf
    fibers: list[Fiber] = field(default_factory=list)


@dataclass(eq=False)
class Fiber:
    """One line of work in a process, and what came of it. `claim`: of the attempt that it makes, if any."""

    process: Process
    green: greenlet = field(init=False)
    ended: bool = False
    answered: bool = False
    answer: Any = None
    failure: Exception | None = None
    joined: list[Fiber] = field(default_factory=list)
    waits_for: Fiber | None = None
    due: int = 0
    claim: Any = None


class Bell:
    """Wakes whoever waits for it."""

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers
        self._waiting: list[Fiber] = []

    def wait(self, until: float = inf) -> None:
        """Wait until it is rung, or until that moment."""
        me = self._fibers.current()
        self._waiting.append(me)
        self._fibers.sleep_until(until)
        if me in self._waiting:
            self._waiting.remove(me)

    def ring(self) -> None:
        """Wake all who wait."""
        waiting, self._waiting = self._waiting, []
        for fiber in waiting:
            self._fibers.plan(fiber, self._fibers.now)


class Fibers:
    """All fibers, and the time."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._plan: list[tuple[float, int, Fiber]] = []
        self._order = count()
        self._hub = getcurrent()
        self._by_green: dict[greenlet, Fiber] = {}
        self._dead: list[Process] = []
        self._failures: list[Exception] = []

    def current(self) -> Fiber:
        """The fiber that runs."""
        return self._by_green[getcurrent()]

    def spawn(self, process: Process, work: Callable[[], Any], at: float | None = None) -> Fiber:
        """A new fiber, to run soon, or from `at` on."""
        fiber = Fiber(process)
        fiber.green = greenlet(partial(self._live, fiber, work), parent=self._hub)
        self._by_green[fiber.green] = fiber
        process.fibers.append(fiber)
        self.plan(fiber, self.now if at is None else at)
        return fiber

    def _live(self, fiber: Fiber, work: Callable[[], Any]) -> None:
        try:
            fiber.answer = work()
            fiber.answered = True
        except Killed:
            pass  # whoever joins it gets no answer
        except Exception as failure:  # noqa: BLE001 - whoever joins it gets it; if nobody does, `run` raises it
            fiber.failure = failure
            self._failures += [] if fiber.joined else [failure]
        self._end(fiber)

    def _end(self, fiber: Fiber) -> None:
        fiber.ended = True
        fiber.process.fibers.remove(fiber)
        del self._by_green[fiber.green]
        for other in fiber.joined:
            if other.waits_for is fiber:  # it may have gone on to something else
                self.plan(other, self.now)

    def plan(self, fiber: Fiber, at: float) -> None:
        """Let the fiber run at that moment. What was planned for it before does not count any more."""
        fiber.due = next(self._order)
        if at < inf:
            heappush(self._plan, (at, fiber.due, fiber))

    def sleep(self, seconds: float) -> None:
        """Let that much time pass for the fiber that runs."""
        self.sleep_until(self.now + seconds)

    def sleep_until(self, at: float) -> None:
        """Let the fiber that runs sleep until that moment: for ever, if it is infinite and nobody wakes it."""
        fiber = self.current()
        self.plan(fiber, max(at, self.now))
        self._hub.switch()
        if not fiber.process.alive:
            raise Killed

    def join(self, fiber: Fiber, within: float = inf) -> Any:
        """What the work of a fiber returned, or raised. Raises Stopped when its process died, or its time is up."""
        until = self.now + within
        while not fiber.ended and self.now < until:
            me = self.current()
            me.waits_for = fiber
            fiber.joined.append(me)
            self.sleep_until(until)
            me.waits_for = None
        if fiber.failure is not None:
            raise fiber.failure
        if not fiber.answered:
            raise Stopped
        return fiber.answer

    def kill(self, process: Process) -> None:
        """End the process at once; if the fiber that runs is part of it, that is the last thing it did."""
        process.alive = False
        self._dead.append(process)
        if self._by_green.get(getcurrent()) in process.fibers:
            raise Killed

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Run fibers until nothing is planned any more, or `goes_on` says no. Raises what failed and nobody joined."""
        while self._plan and goes_on():
            at, due, fiber = heappop(self._plan)
            if fiber.due != due or fiber.ended:
                continue
            if fiber.process.frozen_until > at:
                self.plan(fiber, fiber.process.frozen_until)
                continue
            self.now = max(self.now, at)
            if fiber.process.alive:
                fiber.green.switch()
            self._bury()
            for failure in self._failures:
                raise failure

    def _bury(self) -> None:
        while self._dead:
            for fiber in list(self._dead.pop().fibers):
                self._cut_off(fiber)

    def _cut_off(self, fiber: Fiber) -> None:
        fiber.green.throw(Killed)
        if not fiber.ended:  # it had not begun
            self._end(fiber)

    def end(self) -> None:
        """Let go of every fiber that is left."""
        for fiber in list(self._by_green.values()):
            fiber.process.alive = False
            self._cut_off(fiber)


class Pool:
    """What `ThreadPoolExecutor` is to the product: each piece of work in a fiber of its own."""

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers

    def map(self, work: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
        """What `work` makes of each, in their order. Raises what the first failed one raised."""
        process = self._fibers.current().process
        begun = [self._fibers.spawn(process, partial(caught, work, thing)) for thing in things]
        return iter([outcome() for outcome in [self._fibers.join(fiber) for fiber in begun]])


@contextmanager
def pool(fibers: Fibers, size: int) -> Iterator[Pool]:  # noqa: ARG001 - threads are asked for by number
    """Stands in the place of `ThreadPoolExecutor(size)`."""
    yield Pool(fibers)
