"""What a target that hangs does to the others on AWS, where it cannot be tried here: a model of queue and runs.

    python -m benchmarks.isolation_model [--rate 50] [--timeout 10]

Tasks arrive by chance, half of them for a target that hangs until the attempt is given up. A run takes up to ten
messages, handles them at the same time, and lasts as long as the slowest. Prints the good tasks' p99 from arrival to
attempt by the number of runs (`MaximumConcurrency`), for a queue that is first come first served, and for one that is
fair (`MessageGroupId`: of the groups that wait, the one with the fewest messages in flight comes first).
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter, deque
from collections.abc import Sequence
from random import Random

BATCH = 10
GOOD_SECONDS = 0.1
SECONDS = 600
RUNS = (10, 25, 50, 100, 200)
GOOD, BAD = "good", "bad"

Waiting = dict[str, deque[float]]
"""Group -> when its messages arrived, oldest first."""


def main() -> None:
    """Play it for each number of runs, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rate", type=float, default=50, help="tasks a second, good and bad ones together")
    parser.add_argument("--timeout", type=float, default=10, help="seconds after which an attempt is given up")
    asked = parser.parse_args()
    print("p99 of the good tasks, from arrival to attempt, in seconds")
    print("runs   alone   beside, in turn   beside, fairly")
    for runs in RUNS:
        alone = p99(asked.rate / 2, 0, runs, asked.timeout, fair=True)
        in_turn = p99(asked.rate / 2, asked.rate / 2, runs, asked.timeout, fair=False)
        fairly = p99(asked.rate / 2, asked.rate / 2, runs, asked.timeout, fair=True)
        print(f"{runs:<7}{alone:<8.2f}{in_turn:<18.2f}{fairly:.2f}")


def p99(good: float, bad: float, runs: int, timeout: float, *, fair: bool, seed: int = 1) -> float:
    """Seconds, for these rates of arrival."""
    arrivals = deque(sorted([*_times(good, GOOD, seed), *_times(bad, BAD, seed + 1)]))
    waiting: Waiting = {GOOD: deque(), BAD: deque()}
    in_flight: Counter[str] = Counter()
    busy: list[tuple[float, Sequence[str]]] = []
    waits: list[float] = []
    while arrivals:
        now = min(arrivals[0][0], busy[0][0] if busy else SECONDS)
        while busy and busy[0][0] <= now:
            in_flight.subtract(heapq.heappop(busy)[1])
        while arrivals and arrivals[0][0] <= now:
            at, group = arrivals.popleft()
            waiting[group].append(at)
        while len(busy) < runs and any(waiting.values()):
            batch = [_next(waiting, in_flight, fair=fair) for _ in range(min(BATCH, sum(map(len, waiting.values()))))]
            waits += [now - at for group, at in batch if group == GOOD]
            groups = [group for group, _ in batch]
            heapq.heappush(busy, (now + (timeout if BAD in groups else GOOD_SECONDS), groups))
    waits += [SECONDS - at for at in waiting[GOOD]]
    return sorted(waits)[len(waits) * 99 // 100]


def _times(rate: float, group: str, seed: int) -> list[tuple[float, str]]:
    random, at, times = Random(seed), 0.0, []
    while rate and (at := at + random.expovariate(rate)) < SECONDS:
        times.append((at, group))
    return times


def _next(waiting: Waiting, in_flight: Counter[str], *, fair: bool) -> tuple[str, float]:
    """Take the message whose turn it is."""
    there = [group for group, times in waiting.items() if times]
    group = min(there, key=lambda it: in_flight[it] if fair else waiting[it][0])
    in_flight[group] += 1
    return group, waiting[group].popleft()


if __name__ == "__main__":
    main()
