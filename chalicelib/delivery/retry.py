"""Retry: after a failed attempt, how long to wait, where to wait, or why to give up. Pure.

The waits, after the n-th failed attempt of a round (keep in step with docs/retries.md):

    exponential   min(cap, initial x factor^(n-1))
    fixed         initial
    schedule      the n-th number; the last one again when there are more tries than numbers

each times a random number between 1 - jitter and 1 + jitter. A `Retry-After` of the receiver makes
the wait longer, up to the policy's longest wait (see `longest_wait`) and not beyond the deadline; it
never makes it shorter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random

from chalicelib.expect import status_matches
from chalicelib.ports import MOST_DELAY, MOST_HIDDEN
from chalicelib.task import Policy

LAST_CHANCE = 5
"""Seconds before the deadline at which a try is still made, when the receiver asked to be left alone for longer."""

LEAST_CEILING = 3600
"""Seconds to which a `Retry-After` is followed at least, when the policy's own waits are shorter."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `wait` seconds."""

    wait: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further try, and why, in one sentence."""

    because: str


def decide(
    policy: Policy, *, number: int, status: int | None, retry_after: float | None, remaining: float, random: Random
) -> Again | GiveUp:
    """What follows a failed attempt.

    `number`: which of the round it was. `status`: of its reply, None without one. `retry_after`: seconds
    that the receiver asked for. `remaining`: seconds until the round's deadline.
    """
    if status is not None and policy.give_up_on and status_matches(status, policy.give_up_on):
        return GiveUp(f"the policy gives up on status {status} ({', '.join(policy.give_up_on)})")
    if number >= policy.max_attempts:
        return GiveUp(all_used(policy))
    planned = planned_wait(policy, number, random)
    if planned >= remaining:
        return GiveUp(f"the next try would come after the deadline of {policy.deadline} s")
    return Again(max(planned, min(retry_after or 0, longest_wait(policy), remaining - LAST_CHANCE)))


def all_used(policy: Policy) -> str:
    """Why a round ends that has made every attempt it may."""
    return "its only attempt is used" if policy.max_attempts == 1 else f"all {policy.max_attempts} attempts are used"


def planned_wait(policy: Policy, number: int, random: Random) -> float:
    """Seconds to wait after the `number`-th failed attempt, jitter included."""
    base = base_wait(policy, number)
    return base * random.uniform(1 - policy.jitter, 1 + policy.jitter) if policy.jitter else base


def base_wait(policy: Policy, number: int) -> float:
    """Seconds to wait after the `number`-th failed attempt, before jitter."""
    if policy.backoff == "schedule":
        return policy.waits[min(number, len(policy.waits)) - 1] if policy.waits else 0
    if policy.backoff == "fixed":
        return policy.initial
    try:
        return min(policy.cap, policy.initial * policy.factor ** (number - 1))
    except OverflowError:
        return policy.cap


def longest_wait(policy: Policy) -> float:
    """Seconds that a `Retry-After` may stretch a wait to: the policy's longest wait, or an hour if that is more."""
    return max(LEAST_CEILING, policy.cap, policy.initial if policy.backoff == "fixed" else 0, *policy.waits)


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number of seconds or a date (RFC 9110, 10.2.3)."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:12]), 10**9))
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


class Place(StrEnum):
    """Where a task waits for its next try."""

    HIDDEN = "hidden"  # in its own message, by visibility timeout
    DELAYED = "delayed"  # in a new message, by DelaySeconds: does not count as in flight
    PARKED = "parked"  # in the table only; the reconciler wakes it in time


def place(wait: float, *, in_flight: int, limit: int, spent: bool = False) -> Place:
    """Where to wait `wait` seconds, when the queue has `in_flight` messages in flight and may have `limit`.

    `spent`: the message had a turn of its target's rate, which must not serve for the next attempt as well.
    """
    if spent and wait <= MOST_DELAY:
        return Place.DELAYED
    if wait <= MOST_HIDDEN and in_flight < limit:
        return Place.HIDDEN
    return Place.DELAYED if wait <= MOST_DELAY else Place.PARKED
