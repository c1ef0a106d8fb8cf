"""Submit many tasks from parallel clients to a receiver that fails a share of them, and wait until all have arrived.

    python -m benchmarks.throughput [--tasks 10000] [--clients 8] [--fails 20]

Prints tasks a second (submitting; from the first submission to the last delivery), latency, and the memory of the local
run on the way. The receiver is a process of its own: it remembers what it gets, which is none of the product's memory.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.local import LocalRun, receiving

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Of the tasks: when so many are delivered, the memory is looked at."""

LOOK_EVERY = 0.2
"""Seconds. The local run is another process, whose progress is asked for."""


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--fails", type=int, default=20, help="percent of the attempts that the receiver fails")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, receiving() as partner:
        run = LocalRun(Path(folder))
        print(f"serving after {run.start():.2f} s")
        try:
            _measure(run, asked.tasks, asked.clients, f"{partner}/random/{asked.fails}?seed=7")
        finally:
            run.stop()


def _measure(run: LocalRun, tasks: int, clients: int, url: str) -> None:
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as aside:
        submitting = aside.submit(submit_all, run, tasks, clients, url)
        memory = _memory_until_all_arrived(run, tasks, submitting)
        delivered = time.perf_counter() - began
        ordered = sorted(submitting.result())
    middle, slow = statistics.median(ordered) * 1000, ordered[len(ordered) * 99 // 100] * 1000
    print(f"accept      {tasks} tasks by {clients} clients: p50 {middle:.1f} ms, p99 {slow:.1f} ms")
    print(f"delivered   all after {delivered:.1f} s: {tasks / delivered:.0f} tasks a second, end to end")
    print("memory      " + ", ".join(f"{size / 2**20:.0f} MiB at {share:.0%}" for share, size in memory))
    print(f"            {run.memory() / 2**20:.0f} MiB at most")
    print(f"totals      {run.get('/v1/stats')['totals']}")


def _memory_until_all_arrived(run: LocalRun, tasks: int, submitting: Future[list[float]]) -> list[tuple[float, int]]:
    """Bytes of memory when each of the `SHARES` was delivered. Raises what went wrong with submitting."""
    memory = []
    for share in SHARES:
        while (done := run.get("/v1/stats")["totals"]["delivered"]) < share * tasks:
            print(f"\r{done} of {tasks} delivered", end="", flush=True)
            if submitting.done():
                submitting.result()
            time.sleep(LOOK_EVERY)
        memory.append((share, run.memory("VmRSS")))
    print(f"\r{tasks} of {tasks} delivered")
    return memory


def submit_all(run: LocalRun, tasks: int, clients: int, url: str) -> list[float]:
    """Submit from parallel clients over kept-alive connections: the seconds of each submission."""
    body = json.dumps(
        {"url": url, "body": {"order": 42}, "retry": {"backoff": "fixed", "initial": 1, "max_attempts": 30}}
    )

    def client(share: int) -> Sequence[float]:
        connection = http.client.HTTPConnection(urlsplit(run.api).netloc)
        return [_submit(connection, body) for _ in range(share)]

    with ThreadPoolExecutor(clients) as pool:
        shares = [len(range(number, tasks, clients)) for number in range(clients)]
        return [seconds for latencies in pool.map(client, shares) for seconds in latencies]


def _submit(connection: http.client.HTTPConnection, body: str) -> float:
    """Seconds that it took. Raises RuntimeError when it is refused."""
    began = time.perf_counter()
    connection.request("POST", "/v1/tasks", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    told = reply.read()
    if reply.status != http.client.ACCEPTED:
        raise RuntimeError(f"{reply.status}: {told[:500]!r}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
