"""Mutants for which the simulation is not run, since each names the test that detects it: boundaries, one adapter only,
the order of two effects, a field missing in one write, recovery after a restart, clocks.
"""

from __future__ import annotations

from tests.mutants.mutants import DELIVER, Mutant

PACE = "chalicelib/notify/pace.py"
RETRY = "chalicelib/delivery/retry.py"

BY_TEST = (
    # ── boundaries ──
    Mutant(
        "a message with a turn is delayed for longer than SQS can",
        RETRY,
        "    if spent and wait <= MOST_DELAY:\n",
        "    if spent:\n",
        "tests/unit/test_retry.py",
    ),
    Mutant(
        "a message with a turn and the longest delay keeps its turn",
        RETRY,
        "    if spent and wait <= MOST_DELAY:\n",
        "    if spent and wait < MOST_DELAY:\n",
        "tests/unit/test_retry.py",
    ),
    # ── clocks ──
    Mutant(
        "a Retry-After date without a zone is local time",
        RETRY,
        "(at if at.tzinfo else at.replace(tzinfo=UTC))",
        "at",
        "tests/unit/test_retry.py",
    ),
    # ── what one reply says to all ──
    Mutant(
        "Retry-After is honoured on 429 only",
        DELIVER,
        "if reply else None,",
        "if reply and reply.status == 429 else None,",
        "tests/api/test_retries.py",
    ),
    Mutant(
        "a throttled robot is not left alone by the other notices",
        PACE,
        "    world.store.save_robot(resting(_robot(world, channel), world.clock.now() + seconds))",
        "    resting(_robot(world, channel), world.clock.now() + seconds)",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a rest of a robot is written over what others wrote",
        PACE,
        "evolve(robot, version=robot.version + 1, rests_until=",
        "evolve(robot, rests_until=",
        "tests/api/test_channels.py",
    ),
)
