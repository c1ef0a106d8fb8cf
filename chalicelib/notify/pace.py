"""Pace: how often a robot is told, whoever of the workers tells it. One conditional write is one turn."""

from __future__ import annotations

import hashlib

from chalicelib.clocks import is_ahead
from chalicelib.notify.channels import KINDS, Pace
from chalicelib.ports import World
from chalicelib.task import Channel, Robot, evolve

CONTESTED = 1
"""Seconds to come back after when others take their turns at the same robot just now."""

MAX_REST_SECONDS = 9 * 3600
"""Seconds for which a robot is left alone, at most: `notify.BUSY_MOST`, and half as much again by chance."""

TRIES = 5
"""Writes that others may get before ours, until we come back later."""


def wait_for(robot: Robot, pace: Pace, now: float) -> float:
    """Seconds until the robot may be told once more; 0 when it may be now. Pure."""
    robot = sane(robot, pace, now)
    room_at = robot.busy_until - (pace.burst - 1) * pace.every
    return max(room_at - now, robot.rests_until - now, 0)


def sane(robot: Robot, pace: Pace, now: float) -> Robot:
    """The robot without what only a clock that was ahead can have written. Pure."""
    is_busy = not is_ahead(robot.busy_until, now, pace.burst * pace.every)
    rests = not is_ahead(robot.rests_until, now, MAX_REST_SECONDS)
    return evolve(robot, busy_until=robot.busy_until if is_busy else 0, rests_until=robot.rests_until if rests else 0)


def told(robot: Robot, pace: Pace, now: float) -> Robot:
    """The robot, told once more. Pure."""
    robot = sane(robot, pace, now)
    return evolve(robot, version=robot.version + 1, busy_until=max(robot.busy_until, now) + pace.every)


def resting(robot: Robot, until: float) -> Robot:
    """The robot, left alone until then at least. Pure."""
    return evolve(robot, version=robot.version + 1, rests_until=max(robot.rests_until, until))


def room(world: World, channel: Channel) -> float:
    """Seconds until the robot of a channel may be told; 0 when it may be now. Nothing is written."""
    return wait_for(_robot(world, channel), _pace(channel), world.clock.now())


def take(world: World, channel: Channel) -> float:
    """Take a turn at the robot: 0 when it is ours, else the seconds to wait."""
    for _ in range(TRIES):
        robot, now = _robot(world, channel), world.clock.now()
        if wait := wait_for(robot, _pace(channel), now):
            return wait
        if world.store.save_robot(told(robot, _pace(channel), now)):
            return 0
    return CONTESTED


def rest(world: World, channel: Channel, seconds: float) -> None:
    """Leave the robot alone for so long. Should others write at the same time, theirs will do."""
    now = world.clock.now()
    world.store.save_robot(resting(sane(_robot(world, channel), _pace(channel), now), now + seconds))


def _pace(channel: Channel) -> Pace:
    return KINDS[channel.kind].pace


def _robot(world: World, channel: Channel) -> Robot:
    """The robot, which several channels may share: its kind and its address say which it is."""
    robot_id = hashlib.sha256(f"{channel.kind} {channel.url}".encode()).hexdigest()[:32]
    return world.store.robot(robot_id) or Robot(robot_id=robot_id)
