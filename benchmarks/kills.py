"""Kill the whole local run with SIGKILL at random moments while tasks are submitted and delivered; lose nothing.

    python -m benchmarks.kills [--tasks 2000] [--kills 10] [--seed 1]

The receiver is a process of its own and records everything. The clients follow the API's rules: no answer, or a 5xx,
means the same request again with the same Idempotency-Key. Exits with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.local import LocalRun
from infra.local import server

CLIENTS = 8
ENDS_WITHIN = 300
"""Seconds after the last kill by which every task must be final."""


def main() -> int:
    """Run it, print the figures, say whether every promise held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        receiver, address = _receiver()
        run = LocalRun(Path(folder))
        try:
            return _kill_and_check(run, address, asked.tasks, asked.kills, random.Random(asked.seed))
        finally:
            run.stop()
            receiver.kill()


def _receiver() -> tuple[subprocess.Popen[bytes], str]:
    with server.listen(0) as free:
        port = free.getsockname()[1]
    code = f"from infra.local.receiver import main; main({port})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)  # noqa: S603 - our own code
    return process, f"http://127.0.0.1:{port}"


def _kill_and_check(run: LocalRun, receiver: str, tasks: int, kills: int, dice: random.Random) -> int:
    run.start()
    began = time.perf_counter()
    accepted: dict[int, str] = {}
    clients = [
        threading.Thread(target=_submit, args=(run, f"{receiver}/random/20?seed=7", range(n, tasks, CLIENTS), accepted))
        for n in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for kill in range(kills):
        time.sleep(dice.uniform(0.3, 2.5))  # the moments are the experiment
        run.kill()
        print(f"killed {kill + 1} of {kills}: {len(accepted)} accepted so far; up again in {run.start():.2f} s")
    for client in clients:
        client.join()
    print(f"all {tasks} accepted after {time.perf_counter() - began:.1f} s")
    _wait_until_final(run)
    print(f"all final after {time.perf_counter() - began:.1f} s")
    return _check(run, receiver, set(accepted.values()), tasks)


def _submit(run: LocalRun, url: str, numbers: range, accepted: dict[int, str]) -> None:
    retry = {"backoff": "fixed", "initial": 1, "max_attempts": 50}
    for number in numbers:
        body = json.dumps({"url": url, "body": {"n": number}, "retry": retry})
        while number not in accepted:
            try:
                accepted[number] = _post(run, body, f"task-{number}")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # it is being killed and started again


def _post(run: LocalRun, body: str, key: str) -> str:
    connection = http.client.HTTPConnection(urlsplit(run.api).netloc, timeout=10)
    try:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", "/v1/tasks", body, headers)
        reply = connection.getresponse()
        told = json.load(reply)
        if reply.status >= http.client.INTERNAL_SERVER_ERROR:
            raise http.client.HTTPException(told["code"])
        return str(told["task_id"])
    finally:
        connection.close()


def _wait_until_final(run: LocalRun) -> None:
    until = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < until:
        totals = run.get("/v1/stats")["totals"]
        if not totals["pending"] + totals["retrying"]:
            return
        time.sleep(0.5)  # another process works, whose progress is asked for


def _check(run: LocalRun, receiver: str, task_ids: set[str], tasks: int) -> int:
    shown = [run.get(f"/v1/tasks/{task_id}") for task_id in task_ids]
    with urllib.request.urlopen(f"{receiver}/received", timeout=30) as reply:  # noqa: S310 - loopback
        received = json.load(reply)["received"]
    seen = Counter(each["webhook_id"] for each in received)
    numbered = Counter((each["webhook_id"], each["headers"]["webhook-attempt"]) for each in received)
    attempts = [(task["task_id"], it) for task in shown for it in task["attempts"]]
    interrupted = sum(it["verdict"] == "interrupted" for _, it in attempts)
    wrong = {
        "accepted tasks that are not there": tasks - len(task_ids),
        "accepted tasks that are not delivered": sum(task["status"] != "delivered" for task in shown),
        "tasks that the receiver never saw": len(task_ids - seen.keys()),
        "tasks that the receiver saw and nobody accepted": len(seen.keys() - task_ids),
        "attempt numbers sent twice": sum(count > 1 for count in numbered.values()),
        "attempt numbers recorded twice": sum(
            n > 1 for n in Counter((id_, it["number"]) for id_, it in attempts).values()
        ),
        "attempt numbers with gaps": sum(_has_gap(task) for task in shown),
    }
    print(f"attempts    {len(attempts)} recorded, {interrupted} of them interrupted; {len(received)} requests received")
    for promise, broken in wrong.items():
        print(f"{broken:6} {promise}")
    return 1 if any(wrong.values()) else 0


def _has_gap(task: dict[str, Any]) -> bool:
    return [it["number"] for it in task["attempts"]] != list(range(1, len(task["attempts"]) + 1))


if __name__ == "__main__":
    sys.exit(main())
