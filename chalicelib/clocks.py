"""Clocks: a stored moment was written by one clock and is read by another, and either may be wrong.

Every moment of the future that a record holds lies ahead of its writing by a known time at most: a lease, a rest, a
wait. One that lies further ahead was written by a clock that is ahead of the reader's, and says nothing.
"""

from __future__ import annotations

TOLERANCE_SECONDS = 900
"""Seconds by which the clocks of kkbida's processes may differ before one of them counts as wrong."""


def is_ahead(moment: float, now: float, longest: float = 0) -> bool:
    """Whether a moment that may be `longest` seconds ahead of its writing can only come from a clock that is ahead."""
    return moment > now + longest + TOLERANCE_SECONDS
