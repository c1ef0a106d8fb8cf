"""The whole local run, as a process of its own: what `make run` starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.local import server
from tests.contract.samples import at_once
from tests.emulators import ministack
from tests.local.conftest import PATIENCE, ROOT, Run, running


def test_the_printed_task_fails_twice_and_is_then_delivered(tmp_path: Path) -> None:
    with running(tmp_path / "data") as run:
        task = run.until(run.submit(run.printed_task), "delivered")
        assert [attempt["verdict"] for attempt in task["attempts"]] == ["failed", "failed", "delivered"]
        assert [attempt["wait"] for attempt in task["attempts"]] == [2, 3, None]
        deliveries = run.partner("GET", f"/received?webhook_id={task['task_id']}").json["received"]
        assert [delivery["body"] for delivery in deliveries] == ['{"order": 42}'] * 3


def test_killed_and_started_again_it_has_everything_and_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        done = run.submit({"url": f"{run.access['receiver']}/ok"})
        run.until(done, "delivered")
        left = run.submit({**run.printed_task, "retry": {"schedule": [1, 1, 1]}})
        run.process.send_signal(signal.SIGKILL)
        run.process.wait(PATIENCE)
    with running(tmp_path, RECEIVER_PORT=run.access["receiver"].rsplit(":", 1)[1]) as run:
        assert run.api("GET", f"/v1/tasks/{done}").json["status"] == "delivered"
        numbers = [attempt["number"] for attempt in run.until(left, "delivered")["attempts"]]
        assert numbers == list(range(1, len(numbers) + 1))


CLIENTS, KEYS = 16, 12
Answer = tuple[int, str | None]
"""The status, and the task that it is about."""


def order(run: Run, client: int, key: int) -> Answer:
    """A client submits an order under its key, and every fourth client something else. One order in three is large."""
    rows, method = "上海" * (1 if key % 3 else 5000), "POST" if client % 4 else "PUT"
    content = {"url": f"{run.access['receiver']}/ok", "body": {"order": key, "rows": rows}, "method": method}
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"order-{key}"}
    reply = run.api("POST", "/v1/tasks", json.dumps(content).encode(), headers)
    return reply.status, reply.json.get("task_id")


def the_one_task(answers: Sequence[Answer]) -> str:
    """The task that all clients who submitted the same were given; the others were refused."""
    first = next(task_id for status, task_id in answers if status == 202)
    taken = [client for client, answer in enumerate(answers) if answer == (202, first)]
    assert taken == [client for client in range(CLIENTS) if bool(client % 4) is bool(taken[0] % 4)]
    assert {answer for answer in answers if answer != (202, first)} == {(409, None)}
    return str(first)


def test_sixteen_clients_that_submit_the_same_orders_at_once_make_one_task_of_each(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        by_client = at_once(CLIENTS, lambda client: [order(run, client, key) for key in range(KEYS)])
        tasks = [the_one_task(answers) for answers in zip(*by_client, strict=True)]
        attempts = [len(run.until(task, "delivered")["attempts"]) for task in tasks]
        totals = run.api("GET", "/v1/stats").json["totals"]
        received = run.partner("GET", "/received").json["received"]
    assert len(set(tasks)) == KEYS
    assert attempts == [1] * KEYS
    assert (totals["accepted"], totals["delivered"]) == (KEYS, KEYS)
    assert Counter(one["webhook_id"] for one in received) == Counter(tasks)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(tmp_path: Path, stop: signal.Signals) -> None:
    with running(tmp_path) as run:
        run.process.send_signal(stop)
        assert run.process.wait(PATIENCE) == 0
    assert not (tmp_path / "kkbida.db-wal").exists()  # the file was closed, not dropped


def test_the_log_is_one_json_object_a_line(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until(run.submit({"url": f"{run.access['receiver']}/ok"}), "delivered")
        run.process.terminate()
        run.process.wait(PATIENCE)
    messages = [json.loads(line)["message"] for line in (tmp_path / "kkbida.log").read_text().splitlines()]
    assert messages.count("attempt.ended") == 1


def test_the_ledger_is_checked_all_the_while(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        deadline = time.monotonic() + PATIENCE
        while (health := run.api("GET", "/v1/health").json)["ledger"] == "unchecked" and time.monotonic() < deadline:
            continue
        assert health == {"status": "ok", "ledger": "balanced"}
        run.submit({"url": f"{run.access['receiver']}/ok"})
        ledger = run.api("GET", "/v1/ledger").json
        assert (ledger["accepted"], ledger["balanced"]) == (1, True)
    messages = [json.loads(line)["message"] for line in (tmp_path / "kkbida.log").read_text().splitlines()]
    assert "ledger.checked" in messages


def two_ports_in_a_row() -> tuple[int, socket.socket]:
    """A port that was free just now, and a socket that holds the next one."""
    while True:
        with server.listen(0) as free:
            port = free.getsockname()[1]
            try:
                return port, server.listen(port + 1)
            except (OSError, OverflowError):
                continue


def test_a_receiver_whose_port_is_taken_takes_another_unless_it_was_asked_for(tmp_path: Path) -> None:
    port, taken = two_ports_in_a_row()
    with taken:
        with running(tmp_path / "one", PORT=str(port)) as run:
            assert run.access["receiver"] != f"http://127.0.0.1:{port + 1}"
            assert run.until(run.submit({"url": f"{run.access['receiver']}/ok"}), "delivered")
        env = {**os.environ, "PORT": "0", "RECEIVER_PORT": str(port + 1), "DATA": str(tmp_path / "two")}
        refused = subprocess.run(
            [sys.executable, "-m", "infra.local"],
            cwd=ROOT,
            env=env,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    assert refused.returncode == 1
    assert b"RECEIVER_PORT=" in refused.stderr


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    with running(tmp_path / "one") as run:
        taken = run.access["api"].rsplit(":", 1)[1]
        second = subprocess.run(
            [sys.executable, "-m", "infra.local"],
            cwd=ROOT,
            env={**os.environ, "PORT": taken, "DATA": str(tmp_path / "two")},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert second.returncode == 1
    assert second.stderr.startswith(f"Port {taken}: Address already in use. Choose another one with PORT=")
    assert len(second.stderr.splitlines()) == 1


@pytest.mark.emulator
def test_with_an_endpoint_the_same_task_goes_by_dynamodb_and_sqs(tmp_path: Path) -> None:
    with ministack() as endpoint, running(tmp_path, ENDPOINT=endpoint) as run:
        task = run.until(run.submit({**run.printed_task, "retry": {"schedule": [1, 1]}}), "delivered")
        assert len(task["attempts"]) == 3
        assert not (tmp_path / "kkbida.db").exists()
        deadline = time.monotonic() + PATIENCE
        while (totals := run.api("GET", "/v1/stats").json["totals"])["delivered"] < 1 and time.monotonic() < deadline:
            continue
        assert totals["failed_attempts"] == 2
