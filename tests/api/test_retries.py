"""Retries as the API shows them: which replies make the next attempt later, and by how much."""

from __future__ import annotations

import pytest

from chalicelib.ports import Reply
from tests.house import House, in_turn

PARTNER = "https://partner.example/callback"


@pytest.mark.parametrize("status", [200, 302, 400, 429, 500, 503])
def test_retry_after_is_honoured_on_every_status_that_fails_the_attempt(status: int) -> None:
    house = House()
    busy = Reply(status=status, headers={"retry-after": "40"}, body=b"later")
    house.outside.answers[PARTNER] = in_turn(busy, Reply(status=200, headers={}, body=b"ok"))
    retry = {"backoff": "fixed", "initial": 5, "jitter": 0, "max_attempts": 2}
    task_id = house.submit(PARTNER, retry=retry, expect={"contains": "ok"})
    house.pass_time(39)
    [attempt] = house.look(task_id)["attempts"]
    assert (attempt["status_code"], attempt["wait"]) == (status, 40)
    house.pass_time(5)
    assert house.look(task_id)["status"] == "delivered"
