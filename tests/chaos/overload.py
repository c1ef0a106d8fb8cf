"""Submit faster than can be delivered: memory stays bounded, the backlog drains, nothing is lost.

    python -m tests.chaos.overload [--seconds 60] [--clients 16] [--late 8]

The receiver answers up to `late` seconds late and fails one attempt in five; the clients submit flat out. Everything
runs on the same cores. Exits with 1 when a task was lost.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from benchmarks.local import LocalRun
from tests.chaos.clients import Client
from tests.chaos.scenes import started
from tests.chaos.witness import witness

LOOKS = 12
"""How often memory and backlog are looked at while tasks are submitted; then as often until none is left."""

DRAINED_WITHIN = 1200
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What came out. `memory`: bytes at each look, from the first submission to the last delivery."""

    latencies: Sequence[float]
    seconds: float
    answers: Counter[int]
    backlog: int
    drained: float
    memory: Sequence[int]
    statuses: Counter[str]

    @property
    def accepted(self) -> int:
        """How many tasks were."""
        return len(self.latencies)

    @property
    def lost(self) -> int:
        """Tasks that were accepted and are not delivered; below 0, how many are too many."""
        return self.accepted - self.statuses["delivered"]

    def __str__(self) -> str:
        ordered = sorted(self.latencies)
        middle, slow = statistics.median(ordered) * 1000, ordered[len(ordered) * 99 // 100] * 1000
        rate = self.accepted / self.seconds
        first, most, last = (size / 2**20 for size in (self.memory[0], max(self.memory), self.memory[-1]))
        return f"""\
{self.accepted:8} accepted in {self.seconds:.0f} s: {rate:.0f} a second, p50 {middle:.0f} ms, p99 {slow:.0f} ms
{self.answers.total() - self.accepted:8} refused
{self.backlog:8} were left when the submissions ended; drained {self.drained:.0f} s later
{most:8.0f} MiB of memory at most; {first:.0f} at first, {last:.0f} in the end
{self.lost:8} lost"""


def overload(seconds: float, clients: int, late: float, say: Callable[[str], None]) -> Figures:
    """Do it to a local run. `say` takes a line about the progress."""
    with tempfile.TemporaryDirectory(prefix="overload-") as folder, witness(seed=1) as url:
        run = LocalRun(Path(folder))
        with started(run):
            return _Overload(run, f"{url}/slow/{late}", seconds, say).bear(clients)


class _Overload:
    """One run of it."""

    def __init__(self, run: LocalRun, url: str, seconds: float, say: Callable[[str], None]) -> None:
        self._run = run
        self._seconds = seconds
        self._task = {"url": url, "retry": {"backoff": "fixed", "initial": 1, "max_attempts": 50}, "timeout": 30}
        self._say = say
        self._began = time.monotonic()
        self._memory = [run.memory("VmRSS")]

    def bear(self, clients: int) -> Figures:
        """All of it."""
        crowd = [Client([self._run.api]) for _ in range(clients)]
        with ThreadPoolExecutor(clients) as pool:
            shares = [pool.submit(self._submit, client, self._began + self._seconds) for client in crowd]
            while not all(share.done() for share in shares):
                self._look()
                time.sleep(self._seconds / LOOKS)
        submitted = time.monotonic() - self._began
        backlog = self._look()
        drained = self._drain()
        return Figures(
            latencies=[latency for share in shares for latency in share.result()],
            seconds=submitted,
            answers=sum((client.answers for client in crowd), Counter[int]()),
            backlog=backlog,
            drained=drained,
            memory=self._memory,
            statuses=Counter(it["status"] for it in Client([self._run.api]).everything()),
        )

    def _submit(self, client: Client, until: float) -> list[float]:
        """Submit until then: the seconds of each submission."""
        latencies = []
        while (began := time.monotonic()) < until:
            assert client.insist("POST", "/v1/tasks", self._task).status == HTTPStatus.ACCEPTED
            latencies.append(time.monotonic() - began)
        return latencies

    def _look(self) -> int:
        """How many tasks wait now."""
        totals = Client([self._run.api]).insist("GET", "/v1/stats").body["totals"]
        waiting: int = totals["pending"] + totals["retrying"]
        self._memory.append(self._run.memory("VmRSS"))
        at, memory = time.monotonic() - self._began, self._memory[-1] / 2**20
        self._say(f"{at:6.1f} s  {totals['accepted']} accepted, {waiting} waiting, {memory:.0f} MiB")
        return waiting

    def _drain(self) -> float:
        """Wait until no task waits, or for too long: the seconds that took."""
        began = time.monotonic()
        while self._look() and time.monotonic() - began < DRAINED_WITHIN:
            time.sleep(self._seconds / LOOKS)
        return time.monotonic() - began


def main() -> int:
    """Run it, print the figures, say whether nothing was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--late", type=float, default=8)
    asked = parser.parse_args()
    figures = overload(asked.seconds, asked.clients, asked.late, lambda line: print(line, flush=True))
    print(figures)
    return 1 if figures.lost else 0


if __name__ == "__main__":
    sys.exit(main())
