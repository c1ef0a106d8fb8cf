"""How fast one process accepts and delivers, each beside the least that its libraries take; and what starting costs.

    python -m benchmarks.speed [--tasks 2000] [--threads 40]

accept     the front door with an event of API Gateway, store in memory, beside a Chalice route that only reads its JSON
deliver    batches of ten through the consumer, store in a file, beside as many threads that only call requests.post
imports    milliseconds of each Lambda entry's imports in a fresh process, beyond boto3; with byte code, as in the zip
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.local import receiving

BODY = json.dumps({"url": "http://127.0.0.1:1/ok", "body": {"order": 42}, "expect": {"contains": "success"}})
RUNS = 7
"""Fresh processes whose imports are timed: the median counts."""

ENTRIES = {
    "accept": ("app", "chalicelib.api", "chalicelib.store", "chalicelib.queues"),
    "deliver": ("app", "chalicelib.store", "chalicelib.queues", "chalicelib.outbound", "chalicelib.delivery.deliver"),
    "tell": ("app", "chalicelib.store", "chalicelib.queues", "chalicelib.outbound", "chalicelib.notify.notify"),
    "reconcile": ("app", "chalicelib.store", "chalicelib.queues", "chalicelib.delivery.reconcile"),
}
"""Function -> the modules that its first run imports."""

GOALS = {"accept": 150, "deliver": 120}
"""Milliseconds."""


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=40)
    asked = parser.parse_args()
    silence()
    _imports()
    _accept(asked.tasks)
    _deliver(asked.tasks, asked.threads)


def silence() -> None:
    """Log to nowhere: the figures are what is printed."""
    from chalicelib import log  # noqa: PLC0415 - after the imports' clock has begun to matter

    handler: Any = log.logger().registered_handler
    handler.setStream(Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as this process


# ── imports ──────────────────────────────────────────────────────────────────────────────────────


def _imports() -> None:
    with tempfile.TemporaryDirectory() as byte_code:
        for name, modules in ENTRIES.items():
            _milliseconds(modules, byte_code)  # the first run compiles
            took = statistics.median(_milliseconds(modules, byte_code) for _ in range(RUNS))
            goal = f"  (goal: {GOALS[name]})" if name in GOALS else ""
            print(f"imports   {name:<10} {took:6.0f} ms beyond boto3{goal}")


def _milliseconds(modules: Sequence[str], byte_code: str) -> float:
    imports = "; ".join(f"import {module}" for module in modules)
    code = f"import boto3, time; began = time.perf_counter(); {imports}; print(time.perf_counter() - began)"
    places = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": byte_code}
    ran = subprocess.run([sys.executable, "-c", code], env=places, capture_output=True, text=True, check=True)  # noqa: S603
    return float(ran.stdout) * 1000


# ── accepting ────────────────────────────────────────────────────────────────────────────────────


def _accept(tasks: int) -> None:
    os.environ |= {"KKBIDA_EMBEDDED": ":memory:", "KKBIDA_OPEN_API": "1", "KKBIDA_ALLOW_NETWORKS": "127.0.0.0/8"}
    from chalice.app import Chalice  # noqa: PLC0415 - after the environment is set

    import app  # noqa: PLC0415 - as above

    bare = Chalice(app_name="bare", configure_logs=False)

    @bare.route("/v1/tasks", methods=["POST"])
    def read() -> dict[str, Any]:
        request = bare.current_request
        assert request is not None, "a route runs inside a request"
        return {"url": request.json_body["url"]}

    ours, least = _calls(app.app, tasks), _calls(bare, tasks)
    mine, theirs = tasks / sum(ours), tasks / sum(least)
    print(f"accept    {mine:.0f} a second, p99 {_p99(ours):.2f} ms; a bare Chalice route {theirs:.0f} a second")
    print(f"          ratio {mine / theirs:.2f}  (goal: 0.25)")


def _calls(front: Any, count: int) -> list[float]:
    """Seconds of each call of POST /v1/tasks."""
    event = {
        "resource": "/v1/tasks",
        "path": "/v1/tasks",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"httpMethod": "POST", "resourcePath": "/v1/tasks", "identity": {"sourceIp": "127.0.0.1"}},
        "body": BODY,
        "isBase64Encoded": False,
    }
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        answer = front(event, None)
        seconds.append(time.perf_counter() - began)
        assert answer["statusCode"] in (200, 202), answer
    return seconds


def _p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100] * 1000


# ── delivering ───────────────────────────────────────────────────────────────────────────────────


def _deliver(tasks: int, threads: int) -> None:
    import requests  # noqa: PLC0415 - the accept path has none

    with receiving() as place:
        url = f"{place}/ok"
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: requests.post(url, json={"order": 42}, timeout=10), range(tasks)))
        least = tasks / (time.perf_counter() - began)
        mine = tasks / _seconds_of_delivery(url, tasks, threads)
    print(f"deliver   {mine:.0f} tasks a second; requests.post alone, {threads} threads each, {least:.0f}")
    print(f"          ratio {mine / least:.2f}  (goal: 0.7)")


def _seconds_of_delivery(url: str, tasks: int, threads: int) -> float:
    from chalicelib import world  # noqa: PLC0415 - as above
    from chalicelib.accept import Submitter, accept_batch  # noqa: PLC0415
    from chalicelib.consume import consume  # noqa: PLC0415
    from chalicelib.delivery.deliver import deliver  # noqa: PLC0415
    from chalicelib.ports import Queue  # noqa: PLC0415
    from infra.local.sources import finished, sqs_event  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        here = world.build({**os.environ, "KKBIDA_EMBEDDED": f"{folder}/tasks.db"})
        for _ in range(tasks // 100):
            accept_batch(here, [{"url": url, "body": {"order": 42}}] * 100, by=Submitter(caller="benchmark"))

        def poll() -> None:
            while batch := here.queues.receive(Queue.TASKS):
                response = consume(here, Queue.TASKS, sqs_event(Queue.TASKS, batch), deliver)
                here.queues.delete(Queue.TASKS, finished(batch, response))

        began = time.perf_counter()
        _all_of([poll] * (threads // 10))
        took = time.perf_counter() - began
        assert here.store.totals()["in_delivered"] == tasks, here.store.totals()
    return took


def _all_of(works: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result()


if __name__ == "__main__":
    main()
