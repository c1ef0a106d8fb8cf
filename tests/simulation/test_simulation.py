"""A few hundred stories with every run, new ones each day; and that a seed is one story wherever it is played."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.simulation.fibers import Bell, Fibers, Killed, Process, Stopped
from tests.simulation.many import Sum, play
from tests.simulation.story import run
from tests.simulation.weather import Fault

STORIES = 300
"""Half of them the same each day, so that what once failed stays found."""


def _today() -> int:
    return datetime.now(UTC).date().toordinal() * 1000


@pytest.mark.timeout(400)
@pytest.mark.parametrize("first", [0, _today()], ids=["always", "today"])
def test_no_story_breaks_a_promise(first: int) -> None:
    total = Sum()
    for part in play(first, STORIES // 2):
        total.add(part)
    assert not total.broken, "\n\n".join(total.broken[:3])
    assert total.figures["tasks"] > STORIES
    assert set(total.faults) == set(Fault), "each fault has struck"


def test_a_seed_is_one_story_whatever_the_process() -> None:
    told = {_digest_elsewhere(hash_seed) for hash_seed in ("1", "2")}
    assert told == {_digest(4711)}


def _digest(seed: int) -> str:
    return hashlib.sha256("\n".join(run(seed).timeline.lines()).encode()).hexdigest()


def _digest_elsewhere(hash_seed: str) -> str:
    code = "from tests.simulation.test_simulation import _digest; print(_digest(4711))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


# ── the scheduler ────────────────────────────────────────────────────────────────────────────────


def _run(fibers: Fibers) -> None:
    fibers.run(lambda: True)


def test_fibers_run_in_the_order_of_their_moments() -> None:
    fibers, told = Fibers(100), list[tuple[float, str]]()

    def sleeper(name: str, seconds: float) -> None:
        fibers.sleep(seconds)
        told.append((fibers.now, name))

    for name, seconds in (("late", 9), ("early", 3), ("also late", 9)):
        fibers.spawn(Process("p"), lambda name=name, seconds=seconds: sleeper(name, seconds))  # type: ignore[misc]
    _run(fibers)
    assert told == [(103, "early"), (109, "late"), (109, "also late")]


def test_a_process_that_dies_takes_its_fibers_along_and_whoever_waits_for_them_is_told() -> None:
    fibers, told = Fibers(0), list[str]()
    mortal, other = Process("mortal"), Process("other")

    def work() -> None:
        try:
            fibers.sleep(10)
        except Killed:
            told.append("killed")
            raise
        told.append("never")

    def boss() -> None:
        asleep = fibers.spawn(mortal, work)
        fibers.sleep(1)
        not_begun = fibers.spawn(mortal, work)
        fibers.kill(mortal)
        for fiber in (asleep, not_begun):
            with pytest.raises(Stopped):
                fibers.join(fiber)
            told.append(f"stopped at {fibers.now:.0f}")

    fibers.spawn(other, boss)
    _run(fibers)
    assert told == ["killed", "stopped at 1", "stopped at 1"]


def test_nobody_waits_for_a_fiber_longer_than_he_said() -> None:
    fibers, told = Fibers(0), list[float]()

    def boss() -> None:
        slow = fibers.spawn(Process("slow"), lambda: fibers.sleep(100))
        with pytest.raises(Stopped):
            fibers.join(slow, within=7)
        told.append(fibers.now)

    fibers.spawn(Process("boss"), boss)
    _run(fibers)
    assert told == [7]


def test_whoever_has_waited_in_vain_is_not_woken_when_the_other_ends_after_all() -> None:
    fibers, told = Fibers(0), list[float]()

    def boss() -> None:
        slow = fibers.spawn(Process("slow"), lambda: fibers.sleep(10))
        with pytest.raises(Stopped):
            fibers.join(slow, within=7)
        fibers.sleep(100)
        told.append(fibers.now)

    fibers.spawn(Process("boss"), boss)
    _run(fibers)
    assert told == [107]


def test_a_frozen_process_does_nothing_until_it_thaws() -> None:
    fibers, told, process = Fibers(0), list[float](), Process("p")

    def work() -> None:
        fibers.sleep(1)
        told.append(fibers.now)

    process.frozen_until = 60
    fibers.spawn(process, work)
    _run(fibers)
    assert told == [61]


def test_a_bell_wakes_those_who_wait_before_their_time() -> None:
    fibers, told = Fibers(0), list[float]()
    bell = Bell(fibers)

    def wait() -> None:
        bell.wait(until=50)
        told.append(fibers.now)
        bell.wait(until=50)
        told.append(fibers.now)

    def ring() -> None:
        fibers.sleep(5)
        bell.ring()

    fibers.spawn(Process("waiter"), wait)
    fibers.spawn(Process("ringer"), ring)
    _run(fibers)
    assert told == [5, 50]


def test_what_fails_and_nobody_waits_for_ends_the_run() -> None:
    fibers = Fibers(0)

    def fail() -> None:
        raise LookupError("nobody listens")

    fibers.spawn(Process("p"), fail)
    with pytest.raises(LookupError):
        _run(fibers)
