"""The witness remembers what it saw, and each run meets it the same."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

import pytest

from tests.chaos.verdict import Told
from tests.chaos.witness import evidence_of, witness


def attempt(url: str, path: str, number: int, body: bytes = b"{}", *, patience: float = 10) -> int:
    """Send the attempt of that number of the task `t`: the status that comes back."""
    headers = {"webhook-id": "t", "webhook-attempt": str(number)}
    request = urllib.request.Request(f"{url}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=patience) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def statuses(seed: int, numbers: Sequence[int]) -> list[int]:
    with witness(seed) as url:
        return [attempt(url, "/steady", number) for number in numbers]


def test_the_witness_fails_the_same_attempts_in_every_run() -> None:
    first = statuses(1, range(1, 41))
    assert set(first) == {200, 503}
    assert statuses(1, range(1, 41)) == first
    assert statuses(2, range(1, 41)) != first


def test_the_witness_remembers_each_attempt_with_its_round_and_what_it_answered() -> None:
    with witness(1) as url:
        assert attempt(url, "/never?round=2", 3) == 503
        attempt(url, "/slow/0.2", 1)
        (failed, slow), _ = evidence_of(url)
    assert (failed.which, failed.status, slow.which) == (("t", 2, 3), 503, ("t", 1, 1))
    assert failed.began <= failed.ended <= slow.began < slow.ended


def test_the_witness_sees_a_sender_hang_up_before_its_answer() -> None:
    with witness(1) as url:
        with pytest.raises(TimeoutError):
            attempt(url, "/slow/1000", 1, patience=0.2)
        until = time.monotonic() + 10
        while (seen := evidence_of(url)[0][0]).ended == float("inf"):
            assert time.monotonic() < until
    assert seen.status is None
    assert 0.1 < seen.ended - seen.began < 9


def test_the_robot_takes_nine_notices_of_ten() -> None:
    with witness(1) as url:
        told = [
            attempt(url, "/robot", 1, json.dumps({"task_id": str(n), "url": f"{url}/steady?round=2"}).encode())
            for n in range(10)
        ]
        assert told == [200, 503, *[200] * 8]
        assert evidence_of(url)[1] == [Told(str(n), 2) for n in range(10) if n != 1]
