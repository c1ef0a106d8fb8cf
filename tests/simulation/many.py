"""Many stories side by side, one process a core."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.story import run
from tests.simulation.weather import Fault

AT_A_TIME = 20
"""Stories that a process plays before it tells how they went."""


@dataclass
class Sum:
    """What many stories came to. `broken`: of each with a broken promise, all that a reader needs."""

    figures: Counter[str] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, other: Sum) -> None:
        """Add another sum to this one."""
        self.figures.update(other.figures)
        self.faults.update(other.faults)
        self.broken += other.broken


def play(first: int, seeds: int) -> Iterator[Sum]:
    """The sums of parts of the stories, in order, as they get ready."""
    parts = [range(seed, min(seed + AT_A_TIME, first + seeds)) for seed in range(first, first + seeds, AT_A_TIME)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(play_some, parts)
        finally:
            pool.shutdown(cancel_futures=True)


def play_some(seeds: range) -> Sum:
    """Play these stories, one after the other."""
    total = Sum()
    for seed in seeds:
        ending = run(seed)
        total.figures.update(ending.figures)
        total.faults.update(ending.faults)
        if ending.objection:
            total.broken.append(ending.objection)
    return total
