"""How many cases the property tests try, and which.

`make test` tries a hundred of each, the same ones every time. `make test-thorough` tries twenty times as many, new ones
each time, and keeps what failed under `.hypothesis`, where the next run tries it first. One test alone, so:

    HYPOTHESIS_PROFILE=thorough .venv/bin/python -m pytest --timeout 3600 tests/unit/test_life.py
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

BY_THE_CLOCK = [HealthCheck.too_slow]
"""Checks of hypothesis that fail on a busy computer only, as would its limit on the time of one case."""

settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=BY_THE_CLOCK)
settings.register_profile(
    "thorough", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=BY_THE_CLOCK
)


def load() -> None:
    """Take the profile that the environment names."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def share(part: float, *, fixtures_last: bool = False) -> settings:
    """For a test whose cases take longer, or tell more, than most: this part of the profile's number of cases.

    `fixtures_last`: the test knows that all its cases share one of each fixture.
    """
    outlives = [HealthCheck.function_scoped_fixture] if fixtures_last else []
    return settings(
        max_examples=max(1, round(settings().max_examples * part)), suppress_health_check=[*BY_THE_CLOCK, *outlives]
    )
