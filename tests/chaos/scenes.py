"""What the product runs on while it suffers: its processes, and what can go wrong beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import boto3

from benchmarks.local import LocalRun
from chalicelib import aws as house
from infra import resources
from tests.chaos import hasty
from tests.emulators import Emulator, ministack_process
from tests.wire import THROTTLED, Answer, Fate, Rule, clear, wire

Blow = Callable[[Random], str]
"""Something else that happens: it takes its time, is over then, and says what it was."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The processes of the product, and what may happen to it. `ending` makes everything beside it well again.

    `pace`: about how many seconds a kill takes, with all that goes with it.
    """

    runs: Sequence[LocalRun]
    pace: float
    blows: Sequence[Blow] = ()
    ending: Callable[[], None] = lambda: None


@contextmanager
def local(folder: Path, dice: Random) -> Iterator[Scene]:  # noqa: ARG001 - every scene has the same shape
    """One process on one file, as `make run` starts it, but for its haste."""
    run = _hasty(folder)
    with started(run):
        yield Scene([run], pace=1.5)


@contextmanager
def aws(folder: Path, dice: Random) -> Iterator[Scene]:
    """Two processes on the AWS adapters, which compete for one table and two queues at the end of a bad wire."""
    with ministack_process() as emulator, wire(clear, emulator.url) as between:
        _make_hasty_resources(emulator.url)
        one, two = (_hasty(folder / name, ENDPOINT=between.url) for name in ("one", "two"))
        with started(one, two):
            between.rule = bad(dice)
            outage, end = partial(_stand_still, emulator), partial(setattr, between, "rule", clear)
            yield Scene([one, two], pace=4, blows=[outage], ending=end)


SCENES = {"local": local, "aws": aws}


def _hasty(folder: Path, **variables: str) -> LocalRun:
    return LocalRun(folder, hasty.COMMAND, **hasty.VARIABLES, **variables)


@contextmanager
def started(*runs: LocalRun) -> Iterator[None]:
    """They run while the block does, unless the block kills them."""
    try:
        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(LocalRun.start, runs))
        yield
    finally:
        for run in runs:
            run.kill()


def _make_hasty_resources(endpoint: str) -> None:
    """The table and the queues, whose messages come back soon after whoever had them in hand died."""
    made = resources.make(endpoint)
    sqs = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1", **house.credentials(endpoint))
    for queue in ("KKBIDA_TASK_QUEUE_URL", "KKBIDA_EXHAUSTED_QUEUE_URL"):
        sqs.set_queue_attributes(QueueUrl=made[queue], Attributes={"VisibilityTimeout": str(hasty.VISIBILITY)})


GOES_WRONG: Sequence[Answer | Fate] = (Fate.REQUEST_LOST, Fate.ANSWER_LOST, THROTTLED)

BADNESS = 0.03
"""The share of calls of which each of them becomes."""


def bad(dice: Random) -> Rule:
    """The rule of a wire on which everything goes wrong that can, now and then."""
    weights = [BADNESS] * len(GOES_WRONG)
    return lambda _: dice.choices([*GOES_WRONG, Fate.PASSES], [*weights, 1 - sum(weights)])[0]


OUTAGES = (0.5, 2, 8)
"""Seconds. The longest outlasts every try of a call."""


def _stand_still(emulator: Emulator, dice: Random) -> str:
    seconds = dice.choice(OUTAGES)
    with emulator.standing_still():
        time.sleep(seconds)
    return f"AWS stood still for {seconds} s"
