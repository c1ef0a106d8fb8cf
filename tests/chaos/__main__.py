"""Kill the product at random moments while tasks are submitted and delivered; lose nothing.

    python -m tests.chaos [local] [aws] [--tasks 2000] [--kills 20] [--seed 1]

At an emulator of AWS, which is slow, there are a quarter of the tasks unless it is said how many.

Exits with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.chaos.play import Asked, play
from tests.chaos.scenes import SCENES
from tests.chaos.witness import witness

TASKS = {"local": 2000, "aws": 500}


def main() -> int:
    """Play the scenes that are asked for, print what came out, say whether every promise held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenes", nargs="*", help=f"{' or '.join(SCENES)}; both unless said", default=list(SCENES))
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    held = [_held(it, Asked(given.tasks or TASKS[it], given.kills, given.seed)) for it in given.scenes]
    return 0 if all(held) else 1


def _held(name: str, asked: Asked) -> bool:
    print(f"{name}: {asked.tasks} tasks, {asked.kills} kills, seed {asked.seed}", flush=True)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        witness(asked.seed) as url,
        SCENES[name](Path(folder), Random(asked.seed)) as scene,
    ):
        report = play(scene, url, asked, lambda line: print(line, flush=True))
    print(f"{asked.kills:8} kills\n{report}\n{time.monotonic() - began:8.0f} seconds\n", flush=True)
    return not report.broken


if __name__ == "__main__":
    sys.exit(main())
