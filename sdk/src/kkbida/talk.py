"""How a client goes about it, without a transport: what to send, how long to wait, when to give up.

Each function here is a generator that asks for steps (`Send`, `Sleep`) and ends with its result. `Client` and
`AsyncClient` do the steps, each in its own way; that is all in which they differ.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TypeAlias, TypeVar

from kkbida import operations
from kkbida.credentials import Credentials
from kkbida.errors import NotFinalYet, Unavailable, Unintelligible, Unreachable, Unsendable
from kkbida.operations import MOST_IN_BATCH, Operation, written
from kkbida.tasks import BatchResult, Task, WholeTask
from kkbida.wire import Reply, Request

Result = TypeVar("Result")

NOT_TAKEN = 429
"""The status that is said before anything has been done."""


@dataclass(frozen=True)
class Send:
    """Send this, and bring the reply, or what kept it away."""

    request: Request


@dataclass(frozen=True)
class Sleep:
    """Let these seconds pass."""

    seconds: float


Outcome: TypeAlias = "Reply | Unreachable"
Talk: TypeAlias = "Generator[Send | Sleep, Outcome | None, Result]"


@dataclass(frozen=True)
class Patience:
    """How long a client keeps trying by itself. `Patience(total=0)` tries once.

    `total`: seconds after which no try begins; `first`, `factor`, `most`: the waits between, each up to half shorter by
    chance. A longer `Retry-After` is kept to.
    """

    total: float = 60
    first: float = 0.25
    factor: float = 2
    most: float = 10

    def wait(self, tries: int, *, elapsed: float, asked: float, chance: float) -> float | None:
        """Seconds until the next try, or None for no more.

        `tries` have been made in `elapsed` seconds, `asked` is what kkbida wants us to wait, `chance` is from 0 to 1.
        """
        planned = min(self.first * self.factor ** (min(tries, 64) - 1), self.most)
        wait = max(planned * (1 - chance / 2), asked)
        return wait if elapsed + wait < self.total else None


@dataclass(frozen=True)
class World:
    """What a client needs of the world beside its transport."""

    now: Callable[[], float] = time.time
    passed: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = field(default=random.random)
    nonce: Callable[[], str] = field(default=lambda: secrets.token_urlsafe(18))


@dataclass(frozen=True)
class Speaker:
    """Who talks to kkbida: `base` stands before the API's paths."""

    base: str
    credentials: Credentials
    patience: Patience = field(default_factory=Patience)
    world: World = field(default_factory=World)

    def perform(self, operation: Operation[Result]) -> Talk[Result]:
        """Send it until there is an answer that stands.

        Raises a Problem, Unreachable or Unintelligible; before anything is sent, Unsendable.
        """
        began = self.world.passed()
        for tries in count(1):
            outcome = yield Send(self._signed(operation))
            assert outcome is not None, "it was sent"
            wait = self._wait(tries, began, asked_to_wait(outcome, self.world.now()))
            if wait is None or not may_repeat(operation, outcome):
                return _result(operation, outcome)
            yield Sleep(wait)
        raise AssertionError("the patience has an end")

    def _signed(self, operation: Operation[Result]) -> Request:
        """The request, with a moment and a nonce of its own: each try is another request."""
        try:
            request = operation.request(self.base)
            return sendable(self.credentials.sign(request, created=int(self.world.now()), nonce=self.world.nonce()))
        except UnicodeEncodeError as error:
            raise Unsendable(f"an id, a filter or a key is no text that UTF-8 can hold: {error.reason}") from error

    def _wait(self, tries: int, began: float, asked: float) -> float | None:
        elapsed = self.world.passed() - began
        return self.patience.wait(tries, elapsed=elapsed, asked=asked, chance=self.world.chance())

    def submit_all(self, tasks: Sequence[Task]) -> Talk[Sequence[BatchResult]]:
        """Hand over any number of tasks, a hundred at a time; what became of each, in the order given.

        Raises Unsendable before the first is sent when one of them cannot be.
        """
        results: list[BatchResult] = []
        for some in batches(tasks):
            results += yield from self._submit_some(some)
        return results

    def _submit_some(self, tasks: Sequence[Task]) -> Talk[Sequence[BatchResult]]:
        """A batch, in which those that could not be taken just then are handed over again."""
        began = self.world.passed()
        results: dict[int, BatchResult] = {}
        for tries in count(1):
            left = [place for place in range(len(tasks)) if place not in results or not _stands(results[place])]
            given = yield from self.perform(operations.submit_batch([tasks[place] for place in left]))
            results |= dict(zip(left, given, strict=True))
            wait = self._wait(tries, began, 0)
            if wait is None or all(map(_stands, given)):
                break
            yield Sleep(wait)
        return [results[place] for place in range(len(tasks))]

    def until_final(self, task_id: str, timeout: float) -> Talk[WholeTask]:
        """Look at a task until it is final. Raises NotFinalYet after `timeout` seconds.

        Once it was seen, looks that fail are made again until then: the task goes on, whatever stands in between.
        """
        began = self.world.passed()
        task, failed = None, None
        for pause in pauses():
            try:
                task, failed = (yield from self.perform(operations.get(task_id))), None
            except (Unavailable, Unreachable, Unintelligible) as error:
                if task is None:
                    raise
                failed = error
            left = timeout - (self.world.passed() - began)
            if failed is None and task.is_final:
                return task
            if left <= 0:
                raise NotFinalYet(task) from failed
            yield Sleep(min(pause, left))
        raise AssertionError("there is always another pause")


MAX_BATCH_BYTES = 4_000_000
"""Of the tasks in a batch: kkbida takes 4 MiB."""


def batches(tasks: Sequence[Task]) -> list[Sequence[Task]]:
    """The tasks in order, in as few batches as kkbida takes; a task that is too large is alone. Raises Unsendable."""
    found: list[list[Task]] = []
    size = 0
    for task in tasks:
        its_size = len(written({**task.as_json(), "idempotency_key": task.idempotency_key})) + 1
        if not found or len(found[-1]) == MOST_IN_BATCH or size + its_size > MAX_BATCH_BYTES:
            found.append([])
            size = 0
        found[-1].append(task)
        size += its_size
    return [*found]


def sendable(request: Request) -> Request:
    """The request, if HTTP carries it: its headers are visible ASCII and spaces.

    Raises Unsendable, which tells no value, and UnicodeEncodeError for a query that is no text.
    """
    request.query_text.encode()
    for name, value in request.headers.items():
        if not (value.isascii() and value.isprintable()):
            raise Unsendable(f"the header {name} holds a character that is no visible ASCII: HTTP does not carry it")
    return request


def _stands(result: BatchResult) -> bool:
    return not isinstance(result.problem, Unavailable)


def may_repeat(operation: Operation[Result], outcome: Outcome) -> bool:
    """Whether to send it again. What must not be done twice is, only if it certainly was not done."""
    if isinstance(outcome, Unreachable):
        return operation.repeatable or outcome.never_sent
    passing = isinstance(operations.problem_in(outcome), Unavailable)
    return passing and (operation.repeatable or outcome.status == NOT_TAKEN)


def _result(operation: Operation[Result], outcome: Outcome) -> Result:
    if isinstance(outcome, Unreachable):
        raise outcome
    return operation.result(outcome)


def asked_to_wait(outcome: Outcome, now: float) -> float:
    """Seconds that the reply asks to wait (`Retry-After`), 0 if it does not."""
    asked = "" if isinstance(outcome, Unreachable) else outcome.headers.get("retry-after", "")
    return float(asked) if asked.isascii() and asked.isdecimal() else _until(asked, now)


def _until(date: str, now: float) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):  # by what is wrong with it, and by Python's version
        return 0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max((aware - datetime.fromtimestamp(now, timezone.utc)).total_seconds(), 0)


FIRST_PAUSE, PAUSES_GROW_BY, LONGEST_PAUSE = 0.1, 1.5, 10.0


def pauses() -> Iterator[float]:
    """Seconds between two looks at a task: short at first, since most arrive at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * PAUSES_GROW_BY, LONGEST_PAUSE)
