"""How often a robot is told: what its vendor allows, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.notify.channels import KINDS
from chalicelib.notify.pace import resting, told, wait_for
from chalicelib.task import Robot
from tests.unit.makers import NOON

ALLOWED = {
    "dingtalk": [(20, 60)],
    "wecom": [(20, 60)],
    "feishu": [(5, 1), (100, 60)],
    "lark": [(5, 1), (100, 60)],
    "slack": [(1, 1)],
}
"""So many messages in so many seconds, as the vendors say."""

IDLE = Robot(robot_id="r")


@pytest.mark.parametrize("kind", sorted(ALLOWED))
@given(pauses=st.lists(st.floats(0, 40), max_size=150))
def test_no_window_has_more_messages_than_the_vendor_allows(kind: str, pauses: list[float]) -> None:
    robot, now, sent, pace = IDLE, NOON, list[float](), KINDS[kind].pace
    for pause in pauses:
        now += pause if len(sent) % 3 else 0
        now += wait_for(robot, pace, now)
        robot = told(robot, pace, now)
        sent.append(now)
    for most, seconds in ALLOWED[kind]:
        assert all(late - early >= seconds - 1e-6 for early, late in zip(sent, sent[most:], strict=False))


def test_a_burst_is_let_through_and_then_one_at_a_time() -> None:
    robot, pace = IDLE, KINDS["dingtalk"].pace
    for _ in range(5):
        assert wait_for(robot, pace, NOON) == 0
        robot = told(robot, pace, NOON)
    assert wait_for(robot, pace, NOON) == 4
    assert wait_for(robot, pace, NOON + 4) == 0


def test_a_robot_that_rests_is_left_alone_and_a_shorter_rest_changes_nothing() -> None:
    robot = resting(resting(IDLE, NOON + 300), NOON + 10)
    assert wait_for(robot, KINDS["slack"].pace, NOON) == 300
    assert wait_for(robot, KINDS["slack"].pace, NOON + 300) == 0
