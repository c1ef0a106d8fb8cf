"""When something must be over, by the monotonic clock."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, and how many seconds away it was when it was set."""

    at: float
    seconds: float

    @classmethod
    def in_(cls, seconds: float) -> Deadline:
        """The deadline that is `seconds` away."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """The seconds left, more than 0. Raises TimeoutError when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def __str__(self) -> str:
        return f"{self.seconds:g} s"
