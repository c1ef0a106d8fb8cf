"""A disk that is full while tasks come in and are delivered: refused whole, read on, and nothing is lost."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from math import isinf
from pathlib import Path

import pytest

from benchmarks.local import LocalRun
from chalicelib.task import Json
from tests.chaos import hasty
from tests.chaos.clients import submit, task
from tests.chaos.inquiry import Inquiry
from tests.chaos.play import open_channel
from tests.chaos.scenes import started
from tests.chaos.verdict import judge
from tests.chaos.witness import evidence_of, witness

SMALL = 16 * 1024 * 1024
"""Bytes of a disk of its own."""


class OnItsOwnDisk(LocalRun):
    """The run on a tmpfs that only its process sees, and that is gone with it."""

    def __init__(self, folder: Path) -> None:
        mounted = f'mount -t tmpfs -o size={SMALL} none "$DATA" && exec "$0" -m {hasty.COMMAND[-1]}'
        super().__init__(folder, ["unshare", "--mount", "sh", "-c", mounted, sys.executable], **hasty.VARIABLES)

    @property
    def files(self) -> Path:
        """Its disk, as the kernel shows it to others."""
        return Path(f"/proc/{self.pid}/root{self.folder}")


@contextmanager
def filled(run: LocalRun) -> Iterator[None]:
    """There is no byte left on its disk while the block runs."""
    filler = run.files / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def forbidden(run: LocalRun) -> Iterator[None]:
    """No write of its process to a file succeeds while the block runs. Nobody needs a privilege to ask that."""
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (0, unlimited))
    try:
        yield
    finally:
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


FULL: Mapping[str, tuple[Callable[[Path], LocalRun], Callable[[LocalRun], AbstractContextManager[None]]]] = {
    "no write succeeds": (lambda folder: LocalRun(folder, hasty.COMMAND, **hasty.VARIABLES), forbidden),
    "the disk is full": (OnItsOwnDisk, filled),
}
"""A run, and how its disk is made full."""

ONLY_ROOT = {"the disk is full": pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("full", [pytest.param(name, marks=ONLY_ROOT.get(name, ())) for name in FULL])
def test_a_full_disk_refuses_whole_is_read_on_and_loses_nothing(full: str, tmp_path: Path) -> None:
    make, without_room = FULL[full]
    run = make(tmp_path)
    with witness(seed=1) as url, started(run):
        inquiry = Inquiry([run], url)
        open_channel(inquiry)
        submit(inquiry.client(), range(40), partial(_slow, witness=url), inquiry.accepted)
        with without_room(run):
            _submit_until_refused(inquiry)
            _refuses_acts(inquiry)
            _is_read(inquiry)
            healthy = inquiry.client().once("GET", "/v1/health").status == 200
            _wait_for_attempts_under_way(inquiry)
        submit(inquiry.client(), range(20), partial(_slow, witness=url), inquiry.accepted)  # known already
        submit(inquiry.client(), range(40, 60), partial(task, witness=url), inquiry.accepted)
        inquiry.wait_until_settled()
        report = judge(inquiry.evidence())
    assert not report.broken, str(report)
    assert report.figures["of them interrupted"] > 0, "there were results that found no room"
    assert not healthy or full == "the disk is full", "a page may find room where a task does not"


def _slow(number: int, witness: str) -> Json:
    return {**task(number, witness), "url": f"{witness}/slow/1.5"}


def _submit_until_refused(inquiry: Inquiry) -> None:
    """Where SQLite has room left in its own file, that is used up first."""
    client = inquiry.client()
    for number in range(1000, 3000):
        answer = client.once("POST", "/v1/tasks", task(number, inquiry.witness), key=f"task-{number}")
        if answer.status != 202:
            break
        inquiry.accepted[number] = answer.body["task_id"]
    assert (answer.status, answer.retry_after, answer.body["code"]) == (503, 5, "unavailable")


def _refuses_acts(inquiry: Inquiry) -> None:
    client = inquiry.client()
    statuses = {client.once("POST", f"/v1/tasks/{it}/deliver-now").status for it in inquiry.accepted.values()}
    assert statuses <= {503, 409}, "409 says that the task is final"
    assert 503 in statuses


def _is_read(inquiry: Inquiry) -> None:
    client = inquiry.client()
    assert {it["task_id"] for it in client.everything()} == set(inquiry.accepted.values())
    assert client.once("GET", f"/v1/tasks/{inquiry.accepted[0]}").status == 200
    assert client.once("GET", "/v1/stats").body["totals"]["accepted"] == len(inquiry.accepted)


def _wait_for_attempts_under_way(inquiry: Inquiry) -> None:
    """Until the witness has answered each of them, and then for as long as it takes to find no room for that."""
    while any(isinf(it.ended) for it in evidence_of(inquiry.witness)[0]):
        time.sleep(0.1)  # another process works
    time.sleep(1)
