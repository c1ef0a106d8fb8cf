"""What a target that hangs does to the others: their time from acceptance to the first attempt, without it and with it.

    python -m benchmarks.isolation [--rate 40] [--seconds 40] [--timeout 10] [--rounds 3]

Tasks arrive by chance for a good target, so many a second; first alone, then beside as many for another good one, then
beside as many for one that takes the connection and says nothing until the attempt is given up. Prints p50 and p99 of
those of the first, and the ratios, for each round; then the medians of the ratios: of so few tasks, p99 is what the
machine did in its worst moments. What hanging does is the difference between the two ratios; the rest is traffic.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median
from urllib.parse import urlsplit

from benchmarks.local import LocalRun

CLIENTS = 8
RETRY = {"backoff": "exponential", "initial": 5, "factor": 3, "max_attempts": 5}


def main() -> None:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rate", type=float, default=40, help="tasks a second, good ones and bad ones together")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--timeout", type=float, default=10, help="seconds after which an attempt is given up")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    rounds = [_round(asked) for _ in range(asked.rounds)]
    good, bad = (median(ratios) for ratios in zip(*rounds, strict=True))
    print(f"medians of the ratios    {good:.2f} beside another good one, {bad:.2f} beside a bad one  (goal: 1.5)")


def _round(asked: argparse.Namespace) -> tuple[float, float]:
    """The p99 beside another good target, and beside a bad one, as multiples of that alone."""
    alone = _told("alone", _waits(asked, None))
    good = _told("beside another good one", _waits(asked, "/ok?other")) / alone
    bad = _told("beside a bad one", _waits(asked, "/hang/60")) / alone
    print(f"ratios of the p99s       {good:.2f}, {bad:.2f}", flush=True)
    return good, bad


def _told(name: str, waits: Sequence[float]) -> float:
    """Print the figures; the p99."""
    p99 = _at(waits, 0.99)
    print(f"{name:24} {len(waits)} tasks: p50 {_at(waits, 0.5):.1f} ms, p99 {p99:.1f} ms", flush=True)
    return p99


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def _waits(asked: argparse.Namespace, other: str | None) -> list[float]:
    """Submit, half of all to the `other` path of another target. Of our half, the seconds until its first attempts."""
    with tempfile.TemporaryDirectory() as folder:
        run = LocalRun(Path(folder))
        run.start()
        try:
            there = run.receiver.replace("127.0.0.1", "localhost")  # another host: another target
            urls = [f"{run.receiver}/ok", *([f"{there}{other}"] if other else [])]
            plan = sorted(it for url in urls for it in _arrivals(asked.rate / 2, url, asked.seconds))
            task_ids = _submit(run, plan, asked.timeout)
            ours = [it for it, (_, url) in zip(task_ids, plan, strict=True) if url == urls[0]]
            return sorted(_first_attempts(run, ours))
        finally:
            run.stop()


def _arrivals(rate: float, url: str, seconds: float) -> Iterator[tuple[float, str]]:
    """By chance, and the same ones each time: those that come in step would always meet, or never."""
    random, at = Random(url.rpartition("/")[2]), 0.0
    while (at := at + random.expovariate(rate)) < seconds:
        yield at, url


def _submit(run: LocalRun, plan: Sequence[tuple[float, str]], timeout: float) -> list[str]:
    """Submit each at its time: the ids."""
    began = time.perf_counter()

    def submit(number: int) -> str:
        at, url = plan[number]
        time.sleep(max(0.0, began + at - time.perf_counter()))  # an open loop: the next one does not wait for this one
        connection = http.client.HTTPConnection(urlsplit(run.api).netloc)
        body = json.dumps({"url": url, "timeout": timeout, "retry": RETRY})
        connection.request("POST", "/v1/tasks", body, {"Content-Type": "application/json"})
        return str(json.load(connection.getresponse())["task_id"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(submit, range(len(plan))))


def _first_attempts(run: LocalRun, task_ids: Sequence[str]) -> list[float]:
    """Seconds from acceptance to the first attempt. A task that had none by now is asked for again."""
    waits = []
    for task_id in task_ids:
        while not (task := run.get(f"/v1/tasks/{task_id}"))["attempts"]:
            time.sleep(0.2)  # another process gets to it
        waits.append(_moment(task["attempts"][0]["started_at"]) - _moment(task["created_at"]))
    return waits


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
