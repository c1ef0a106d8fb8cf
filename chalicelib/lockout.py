"""The lockout: failed tries of passwords are counted in the store, and after the free ones each next try must wait.

A try is counted as failed before its password is looked at, and given back when the password is right: otherwise many
tries at the same moment would all be free. Logins (`login.py`) and `/api/addTask` (`auth.py`) use it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from threading import RLock

from chalicelib import operators
from chalicelib.errors import LockedOut
from chalicelib.operators import Limit
from chalicelib.ports import World
from chalicelib.task import Tries

Counts = Sequence[tuple[str, Limit]]
"""Under which names a try is counted, and the limit of each. The first is that of the credential or the device."""

_LOCKS = [RLock() for _ in range(64)]


def one_at_a_time(counts: Counts) -> AbstractContextManager[object]:
    """A lock of this process under which a try is counted, looked at and given back.

    Without it, correct passwords that arrive at the same moment would use up each other's free tries.
    """
    return _LOCKS[int(digest(counts[0][0]), 16) % len(_LOCKS)]


def count(world: World, counts: Counts) -> None:
    """Count a try as failed, before it is looked at. Raises LockedOut, and then counts nothing."""
    now = world.clock.now()
    for of, limit in counts:
        _require_free(world.store.tries(of), limit, now)
    for of, limit in counts:
        change(world, of, partial(_after_failure, limit=limit, now=now))


def _after_failure(tries: Tries, limit: Limit, now: float) -> Tries:
    return operators.after_failure(_require_free(tries, limit, now), now)


def _require_free(tries: Tries, limit: Limit, now: float) -> Tries:
    """The tries, if another one is looked at now. Raises LockedOut."""
    if wait := operators.seconds_to_wait(tries, limit, now):
        raise LockedOut(f"Too many tries have failed; the next one is looked at in {wait} seconds.", retry_after=wait)
    return tries


def forgive(world: World, counts: Counts) -> None:
    """After a correct password: the first count begins anew, and the others are given back the one try."""
    now = world.clock.now()
    (own, _), *others = counts
    change(world, own, lambda tries: operators.after_success(tries, now, left=0))
    for of, _ in others:
        change(world, of, lambda tries: operators.after_success(tries, now, left=tries.failed - 1))


def wait_of(world: World, counts: Counts) -> float:
    """Seconds that the first count makes the next try wait, for the audit trail."""
    of, limit = counts[0]
    return operators.wait_after(world.store.tries(of).failed, limit)


def change(world: World, of: str, decide: Callable[[Tries], Tries]) -> None:
    """Change a count in one step between the changes of others."""
    while not world.store.save_tries(decide(world.store.tries(of))):
        continue


def digest(text: str) -> str:
    """32 hex digits in the place of a text that a client has sent: it may be long, or a password."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def network_of(address: str) -> str:
    """What an address is counted under: itself, or the /64 of IPv6, which one client has all addresses of."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)  # noqa: PLR2004
