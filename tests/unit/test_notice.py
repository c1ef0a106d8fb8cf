"""What becomes of a notice after a try."""

from __future__ import annotations

from random import Random

import pytest

from chalicelib.notify.notify import BUSY_FIRST, BUSY_FOR, BUSY_MOST, Ending, Sent, after
from chalicelib.task import Gist, Notice, NoticeStatus
from tests.unit.makers import NOON


def notice(**changes: object) -> Notice:
    given = {"notice_id": "n", "channel_id": "c", "channel_kind": "slack", "gist": Gist(tasks=1), "tries": 1}
    return Notice(**{**given, "due_at": NOON, "created_at": NOON, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("throttled", [0, 1, 5, 20])
@pytest.mark.parametrize("asked", [0, 30, 7200])
def test_a_throttled_robot_costs_no_try_and_is_left_alone_as_long_as_it_asks_and_a_minute_at_least(
    throttled: int, asked: float
) -> None:
    for seed in range(50):
        ended = after(notice(throttled=throttled), Sent(Ending.BUSY, "x", asked), now=NOON, random=Random(seed))
        assert (ended.status, ended.tries, ended.throttled) == (NoticeStatus.PENDING, 0, throttled + 1)
        least = max(min(BUSY_FIRST * 2**throttled, BUSY_MOST), asked)
        assert least <= ended.due_at - NOON <= max(least * 1.5, asked)


def test_after_a_week_of_throttling_the_notice_has_failed() -> None:
    ended = after(notice(), Sent(Ending.BUSY, "x"), now=NOON + BUSY_FOR, random=Random(1))
    assert (ended.status, ended.ended_at) == (NoticeStatus.FAILED, NOON + BUSY_FOR)
