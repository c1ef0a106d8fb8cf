"""Play many stories on all cores, or one of them with its timeline. Exits with 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.many import Sum, play
from tests.simulation.story import run


def main() -> int:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many stories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one, and print its timeline")
    parser.add_argument("--only", help="of the timeline, the lines with this name, such as t3")
    parser.add_argument("--stop", action="store_true", help="stop at the first broken promise")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(asked.seed, asked.only)
    return _many(asked.first, asked.seeds, stop=asked.stop)


def _one(seed: int, only: str | None) -> int:
    ending = run(seed)
    print("\n".join(ending.timeline.lines(only)))
    _print_counts(ending.figures)
    return _verdict([ending.objection] if ending.objection else [])


def _many(first: int, seeds: int, *, stop: bool) -> int:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    began, total = time.perf_counter(), Sum()
    with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("stories", total=seeds)
        for part in play(first, seeds):
            total.add(part)
            progress.update(bar, completed=total.figures["stories"])
            if stop and total.broken:
                break
    seconds = time.perf_counter() - began
    _print_counts(total.figures)
    _print_counts(Counter({f"fault: {fault}": times for fault, times in total.faults.items()}))
    print(f"{total.figures['stories']} stories from seed {first} on in {seconds:.1f} s; broken: {len(total.broken)}")
    return _verdict(total.broken)


def _print_counts(counts: Counter[str]) -> None:
    for name, times in sorted(counts.items()):
        print(f"{times:>10,}  {name}")


def _verdict(broken: list[str]) -> int:
    for told in broken[:3]:
        print(f"\n{told}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
