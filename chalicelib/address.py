"""Which IP addresses kkbida connects to: globally routable unicast ones, and those of the networks a setting allows.

The tables are the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890, as of 2025-10-09) and the multicast
blocks. They are written out because `ipaddress.is_global` has gaps (multicast, 64:ff9b::/96, ::/96) and differs between
Python 3.11 and 3.13. Two rules go beyond the registries:

* An IPv6 spelling of an IPv4 address is read as that address when the way there is the IPv4 one: mapped
  (::ffff:0:0/96, by the kernel) and NAT64 (64:ff9b::/96, how an IPv6-only subnet with DNS64 reaches IPv4).
* The other carriers (compatible, local NAT64, 6to4, Teredo, ISATAP) are refused, whatever they carry: no receiver of
  callbacks lives there, and refusing needs no arithmetic that could be wrong.

What no address can show is a NAT64 with a prefix of the network's own (RFC 6052): its gateway has to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network, RFC 791"),
        ("10.0.0.0/8", "a private network, RFC 1918"),
        ("100.64.0.0/10", "carrier-grade NAT, RFC 6598"),
        ("127.0.0.0/8", "loopback, RFC 1122"),
        ("169.254.0.0/16", "link-local, RFC 3927"),
        ("172.16.0.0/12", "a private network, RFC 1918"),
        ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
        ("192.0.2.0/24", "documentation, RFC 5737"),
        ("192.88.99.0/24", "6to4 relays, RFC 7526"),
        ("192.168.0.0/16", "a private network, RFC 1918"),
        ("198.18.0.0/15", "benchmarks, RFC 2544"),
        ("198.51.100.0/24", "documentation, RFC 5737"),
        ("203.0.113.0/24", "documentation, RFC 5737"),
        ("224.0.0.0/4", "multicast, RFC 5771"),
        ("240.0.0.0/4", "reserved or broadcast, RFC 1112 and RFC 919"),
        ("::/128", "the unspecified address, RFC 4291"),
        ("::1/128", "loopback, RFC 4291"),
        ("::/96", "IPv4-compatible, RFC 4291"),
        ("64:ff9b:1::/48", "local NAT64, RFC 8215"),
        ("100::/64", "discarded, RFC 6666"),
        ("100:0:0:1::/64", "a dummy prefix, RFC 9780"),
        ("2001::/32", "Teredo, RFC 4380"),
        ("2001::/23", "IETF protocol assignments, RFC 2928"),
        ("2001:db8::/32", "documentation, RFC 3849"),
        ("2002::/16", "6to4, RFC 3056"),
        ("3fff::/20", "documentation, RFC 9637"),
        ("5f00::/16", "SRv6 segments, RFC 9602"),
        ("fc00::/7", "a private network, RFC 4193"),
        ("fe80::/10", "link-local, RFC 4291"),
        ("fec0::/10", "site-local, RFC 3879"),
        ("ff00::/8", "multicast, RFC 4291"),
    )
)
"""Networks, the narrower first, and what each is."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA gives out as IPv6 unicast addresses (RFC 4291, registry of the IPv6 address space)."""

NAT64 = IPv6Network("64:ff9b::/96")
"""The prefix that every network may translate by (RFC 6052)."""

ISATAP = 0x0000_5EFE
"""Third quarter of an ISATAP address (RFC 5214, 6.1), its universal and group bits cleared."""


def forbidden(address: Address, allowed: Iterable[Network] = ()) -> str | None:
    """Why `address` must not be connected to, as a noun such as `loopback, RFC 1122`; None when it may be.

    `allowed` are networks whose addresses pass, whatever they are. An address with a zone (`fe80::1%eth0`) never
    passes: it names one of this host's own links.
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address of one link only, RFC 4007"
    reached = _reached(address)
    if any(reached in network for network in allowed):
        return None
    return next((why for network, why in REFUSED if reached in network), None) or _unlisted(reached)


def _reached(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else address


def _unlisted(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return None
    if address not in GLOBAL_UNICAST:
        return "not global unicast, RFC 4291"
    return "ISATAP, RFC 5214" if int(address) >> 32 & 0xFCFF_FFFF == ISATAP else None
