"""schemathesis against the local run: requests made from the OpenAPI document, good ones and bad ones, over HTTP.

It holds each answer to the document, in status, type, headers and body. Here, a bounded number of requests, always the
same; `make fuzz` makes many more, others each time, and prints the seed that repeats them.

Nothing leaves this computer: schemathesis asks only the local run, `hooks.py` puts an address of the receiver, or a
forbidden one without a name, into every URL that has the right form, and `KKBIDA_PORTS` lets the local run send to the
receiver's port only, which it checks before it looks any name up. What the local run looks up and connects to is noted
all the while (`watch/sitecustomize.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import PATIENCE, ROOT, Run, receiving, running

OPTIONS = os.environ.get("FUZZ", "--max-examples 30 --generation-deterministic").split()


def fuzz(run: Run, receiver: str, promised: Path) -> int:
    """The exit code of schemathesis: 0 when it found nothing."""
    api = run.access["api"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/fuzz/schemathesis.toml", "run"]
    return subprocess.run(
        [*command, f"{api}/openapi.json", "--url", api, *OPTIONS],
        cwd=ROOT,
        env={**os.environ, "FUZZ_RECEIVER": receiver, "FUZZ_PROMISED": str(promised), "NO_PROXY": "*"},
        check=False,
    ).returncode


def every_task(run: Run) -> list[dict[str, Any]]:
    page = run.api("GET", "/v1/tasks?limit=100").json
    found = list(page["tasks"])
    while page["cursor"]:
        page = run.api("GET", f"/v1/tasks?limit=100&cursor={page['cursor']}").json
        found += page["tasks"]
    return found


def until_each_was_tried(run: Run) -> None:
    """Each task once, at least, but for those that are for later, or stand in line behind one.

    One that was resent while a cancelled attempt ran waits for the end of its lease.
    """
    deadline = time.monotonic() + PATIENCE
    while [task for task in every_task(run) if is_to_be_tried(task)]:
        assert time.monotonic() < deadline, "a task is not tried"


def is_to_be_tried(task: dict[str, Any]) -> bool:
    waits = task["scheduled"] or task["waits_in_line"]
    return task["status"] == "pending" and task["round"] == 1 and not waits


def is_history(task: dict[str, Any]) -> bool:
    """Whether it was brought over from the predecessor: it may name an address that nothing is sent to."""
    return bool(task["labels"].get("submitted_by") == "import")


def complaints(run: Run) -> list[str]:
    """What the log holds beside the daily round."""
    lines = (run.folder / "kkbida.log").read_text().splitlines()
    return [line for line in lines if json.loads(line)["level"] not in ("INFO", "DEBUG")]


@pytest.mark.timeout(0 if "FUZZ" in os.environ else 300)
def test_every_answer_is_as_the_document_says_and_a_refused_request_leaves_nothing_behind(tmp_path: Path) -> None:
    promised, watched = tmp_path / "promised.txt", tmp_path / "watched.txt"
    watch = {"PYTHONPATH": str(Path(__file__).parent / "watch"), "FUZZ_WATCHED": str(watched)}
    with receiving() as port, running(tmp_path / "data", KKBIDA_PORTS=str(port), **watch) as run:
        receiver = f"http://127.0.0.1:{port}"
        assert fuzz(run, receiver, promised) == 0
        tasks = every_task(run)
        assert {task["task_id"] for task in tasks} == set(promised.read_text().split())
        assert len(tasks) == run.api("GET", "/v1/stats").json["totals"]["accepted"]
        assert {task["target"] for task in tasks if not is_history(task)} == {receiver}
        assert {it["url"] for it in run.api("GET", "/v1/channels").json["channels"]} <= {f"{receiver}/***"}
        until_each_was_tried(run)
        assert complaints(run) == []
        assert set(watched.read_text().splitlines()) == {f"connected to ('127.0.0.1', {port})"}
