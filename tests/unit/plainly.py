"""Some rules of the documentation once more, as plainly as they can be said: what the code is compared with."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from chalicelib.task import Json

# ── what counts, and what is waited ──────────────────────────────────────────────────────────────


def statuses(pattern: str) -> set[int]:
    """The statuses of a pattern without `!`."""
    first, _, last = pattern.lower().replace("xx", "00").partition("-")
    return set(range(int(first), int(last or first) + (100 if "x" in pattern.lower() else 1)))


def counts(status: int, patterns: Sequence[str]) -> bool:
    """Whether a status is taken in and not taken out. Where nothing is taken in, all is that is not taken out."""
    inward = [statuses(pattern) for pattern in patterns if pattern[0] != "!"]
    outward = [statuses(pattern[1:]) for pattern in patterns if pattern[0] == "!"]
    taken_in = set().union(*inward) if inward or not outward else set(range(100, 600))
    return status in taken_in.difference(*outward)


def plain(value: Json) -> Hashable:
    """Equal when JSON says so: numbers by what they are worth, true and false apart from them."""
    if isinstance(value, dict):
        return "object", frozenset((name, plain(member)) for name, member in value.items())
    return ("list", tuple(map(plain, value))) if isinstance(value, list) else (isinstance(value, bool), value)


def wait_after(retry: Json, number: int) -> float:
    """Seconds to wait after the `number`-th failed attempt of a policy as submitted, before jitter. No preset."""
    if "schedule" in retry:
        return float(retry["schedule"][min(number, len(retry["schedule"])) - 1])
    if retry.get("backoff") == "fixed":
        return float(retry["initial"])
    wait = retry.get("initial", min(5, own_longest_wait(retry)))
    for _ in range(number - 1):
        wait = min(own_longest_wait(retry), wait * retry.get("factor", 3))
    return float(min(own_longest_wait(retry), wait))


def own_longest_wait(retry: Json) -> float:
    """The cap, the largest number of a schedule, or the one wait that there is."""
    if "schedule" in retry:
        return float(max(retry["schedule"]))
    if retry.get("backoff") == "fixed":
        return float(retry["initial"])
    return float(retry.get("cap", max(21_600, retry.get("initial", 5))))


# ── where a request may go ───────────────────────────────────────────────────────────────────────

NO_RECEIVERS_4 = [IPv4Network(network) for network in ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4")]
"""What Python holds for global although no receiver of callbacks lives there."""

NO_RECEIVERS_6 = [IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
UNICAST_6 = IPv6Network("2000::/3")
ISATAP = {("0000", "5efe"), ("0100", "5efe"), ("0200", "5efe"), ("0300", "5efe")}


def is_reachable(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one that anybody on the internet may have: what Python says, and the IANA's registries."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in NO_RECEIVERS_4)
    groups = address.exploded.partition("%")[0].split(":")
    if groups[:6] in (["0000"] * 5 + ["ffff"], ["0064", "ff9b"] + ["0000"] * 4):
        return is_reachable(IPv4Address(int(address) % 2**32))
    special = any(address in network for network in NO_RECEIVERS_6) or (groups[4], groups[5]) in ISATAP
    return address in UNICAST_6 and address.is_global and not special and address.scope_id is None
