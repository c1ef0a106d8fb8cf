"""Submit many tasks from parallel clients to a receiver that fails a share of them, and wait until all have arrived.

    python -m benchmarks.throughput [--tasks 10000] [--clients 8] [--fails 20]

Prints tasks a second (submitting; from the first submission to the last delivery), latency, memory, and what the
receiver saw twice. The receiver runs in the local run's own process, as does everything else: it has the same cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.local import LocalRun


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--fails", type=int, default=20, help="percent of the attempts that the receiver fails")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = LocalRun(Path(folder))
        print(f"serving after {run.start():.2f} s")
        try:
            _measure(run, asked.tasks, asked.clients, asked.fails)
        finally:
            run.stop()


def _measure(run: LocalRun, tasks: int, clients: int, fails: int) -> None:
    began = time.perf_counter()
    latencies = submit_all(run, tasks, clients, f"{run.receiver}/random/{fails}?seed=7")
    submitted = time.perf_counter() - began
    delivered = _wait_for(run, tasks, began)
    ordered = sorted(latencies)
    print(f"submitted   {tasks} tasks by {clients} clients in {submitted:.1f} s: {tasks / submitted:.0f} a second")
    middle, slow = statistics.median(ordered) * 1000, ordered[len(ordered) * 99 // 100] * 1000
    print(f"accept      p50 {middle:.1f} ms, p99 {slow:.1f} ms")
    print(f"delivered   all after {delivered:.1f} s: {tasks / delivered:.0f} tasks a second, end to end")
    print(f"memory      {run.memory() / 2**20:.0f} MiB at most")
    print(f"totals      {run.get('/v1/stats')['totals']}")


def submit_all(run: LocalRun, tasks: int, clients: int, url: str) -> list[float]:
    """Submit from parallel clients over kept-alive connections: the seconds of each submission."""
    latencies: list[float] = []
    body = json.dumps(
        {"url": url, "body": {"order": 42}, "retry": {"backoff": "fixed", "initial": 1, "max_attempts": 30}}
    )

    def client(share: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(run.api).netloc)
        for _ in range(share):
            began = time.perf_counter()
            connection.request("POST", "/v1/tasks", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            told = reply.read()
            if reply.status != http.client.ACCEPTED:
                raise SystemExit(f"{reply.status}: {told[:500]!r}")
            latencies.append(time.perf_counter() - began)

    shares = Counter(number % clients for number in range(tasks))
    threads = [threading.Thread(target=client, args=(share,)) for share in shares.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def _wait_for(run: LocalRun, tasks: int, began: float) -> float:
    while True:
        done = run.get("/v1/stats")["totals"]["delivered"]
        print(f"\r{done} of {tasks} delivered", end="", flush=True)
        if done >= tasks:
            print()
            return time.perf_counter() - began
        time.sleep(0.2)  # the local run is another process, whose progress is asked for


if __name__ == "__main__":
    main()
