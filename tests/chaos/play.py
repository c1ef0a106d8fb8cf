"""Let it happen: submit, meddle, kill and start again; then judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from random import Random

from benchmarks.local import LocalRun
from tests.chaos.clients import Clerk, submit, task
from tests.chaos.inquiry import Inquiry
from tests.chaos.scenes import Scene
from tests.chaos.verdict import Report, judge

CLIENTS = 8

MOST_PAUSE = 2.0
"""Seconds from one blow to the next, at most."""

RIGHT_AFTER = 0.5
"""The share of kills that follow at once on an answer of 202."""

EARLY = 0.25
"""The share of kills after which the process is killed once more while it starts."""

MEDDLES_EVERY = 0.05
"""Seconds between two acts of the clerk."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How much of it: tasks, kills, and the seed of all dice."""

    tasks: int
    kills: int
    seed: int


def play(scene: Scene, witness: str, asked: Asked, say: Callable[[str], None]) -> Report:
    """All of it, from the first submission to the verdict. `say` takes a line about the progress."""
    began = time.monotonic()
    inquiry = Inquiry(scene.runs, witness)
    clerk = Clerk(inquiry.client(), inquiry.accepted, witness, Random(asked.seed))
    open_channel(inquiry)
    with clerk.at_work(MEDDLES_EVERY), _submitting(inquiry, asked.tasks, asked.kills * scene.pace):
        for blow in _blows(scene, inquiry.accepted, asked.kills, Random(asked.seed)):
            say(f"{time.monotonic() - began:6.1f} s  {blow}; {len(inquiry.accepted)} accepted")
    scene.ending()
    say(f"{time.monotonic() - began:6.1f} s  all {len(inquiry.accepted)} accepted")
    inquiry.wait_until_settled()
    say(f"{time.monotonic() - began:6.1f} s  nothing is owed any more")
    return judge(inquiry.evidence(clerk.acts))


def open_channel(inquiry: Inquiry) -> None:
    """Have the witness's robot told of every exhausted task."""
    template = '{"task_id": "${taskId}", "url": "${url}"}'
    channel = {"kind": "webhook", "url": f"{inquiry.witness}/robot", "template": template, "gather": 0}
    assert inquiry.client().insist("POST", "/v1/channels", channel).status == HTTPStatus.CREATED


@contextmanager
def _submitting(inquiry: Inquiry, tasks: int, seconds: float) -> Iterator[None]:
    """Submit for about so many seconds, while the block runs and beyond."""
    pause = CLIENTS * seconds / tasks
    make = partial(task, witness=inquiry.witness)
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [range(first, tasks, CLIENTS) for first in range(CLIENTS)]
        done = [pool.submit(submit, inquiry.client(), share, make, inquiry.accepted, pause=pause) for share in shares]
        yield
        for each in done:
            each.result()


def _blows(scene: Scene, accepted: Sized, kills: int, dice: Random) -> Iterator[str]:
    """Kill one of the processes, then let happen whatever else may, and again; say what it was."""
    for number in range(1, kills + 1):
        _choose_a_moment(accepted, dice)
        yield f"kill {number} of {kills}, up again in {_kill(dice.choice(scene.runs), dice):.1f} s"
        for blow in scene.blows:
            yield blow(dice)


def _choose_a_moment(accepted: Sized, dice: Random) -> None:
    """Any moment, or the one at which the next task has just been accepted: its promise is the youngest."""
    time.sleep(dice.uniform(0.1, MOST_PAUSE))  # the moments are the experiment
    if dice.random() < RIGHT_AFTER:
        before, until = len(accepted), time.monotonic() + MOST_PAUSE
        while len(accepted) == before and time.monotonic() < until:
            time.sleep(0)


def _kill(run: LocalRun, dice: Random) -> float:
    """Kill it, now and then once more while it starts, and start it: the seconds until it serves."""
    run.kill()
    if dice.random() < EARLY:
        run.spawn()
        time.sleep(dice.uniform(0, 0.5))  # as above
        run.kill()
    return run.start()
