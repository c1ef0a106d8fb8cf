"""Which addresses pass: the vectors of `addresses.txt`, and what no vector can list."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.address import REFUSED, Address, forbidden
from tests.cases import share
from tests.unit.plainly import is_reachable
from tests.unit.strategies import IPV4, IPV6, SPECIAL

VECTORS = [
    line.split("#")[0].split(maxsplit=2)
    for line in Path(__file__).with_name("addresses.txt").read_text("utf-8").splitlines()
    if line.split("#")[0].strip()
]
PASSING = [rest[0] for word, *rest in VECTORS if word == "pass"]
REFUSALS = [(rest[0], rest[1].strip()) for word, *rest in VECTORS if word == "refuse"]


def test_each_vector_is_either_to_pass_or_to_be_refused() -> None:
    assert len(PASSING) + len(REFUSALS) == len(VECTORS) > 150


@pytest.mark.parametrize("address", PASSING)
def test_a_global_address_passes(address: str) -> None:
    assert forbidden(ip_address(address)) is None


@pytest.mark.parametrize(("address", "why"), REFUSALS)
def test_any_other_address_is_refused_and_the_reason_says_what_it_is(address: str, why: str) -> None:
    assert (forbidden(ip_address(address)) or "").startswith(why)


def test_every_reason_is_met_by_a_vector() -> None:
    met = {forbidden(ip_address(address)) for address, _ in REFUSALS}
    assert {why for _, why in REFUSED} <= met


@share(5)
@given(IPV4 | IPV6)
def test_an_address_passes_if_anybody_on_the_internet_may_have_it_and_no_other_does(address: Address) -> None:
    assert (forbidden(address) is None) == is_reachable(address)


@share(2)
@given(IPV4 | IPV6, st.lists(st.sampled_from(SPECIAL), min_size=1, max_size=3))
def test_an_allowed_network_lets_in_what_it_holds_and_nothing_else(address: Address, names: list[str]) -> None:
    allowed = [ip_network(name) for name in names]
    reached = next((IPv4Address(int(address) % 2**32) for carrier in READ_AS_IPV4 if address in carrier), address)
    inside = any(reached in network for network in allowed)
    assert (forbidden(address, allowed) is None) == (inside or is_reachable(address))


READ_AS_IPV4 = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]


@given(IPV4)
def test_a_mapped_address_is_judged_as_the_one_it_maps(address: Address) -> None:
    assert (
        forbidden(ip_address(f"::ffff:{address}")) == forbidden(address) == forbidden(ip_address(f"64:ff9b::{address}"))
    )


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("::1", "::1/128"),
        ("fd12::1", "fd00::/8"),
        ("2002:a00::1", "2002:a00::/32"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b::10.1.2.3", "10.0.0.0/8"),
    ],
)
def test_an_address_of_an_allowed_network_passes(address: str, network: str) -> None:
    assert forbidden(ip_address(address)) is not None
    assert forbidden(ip_address(address), [ip_network("192.168.7.0/24"), ip_network(network)]) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.3.0/24"),
        ("127.0.0.1", "::/0"),
        ("::ffff:127.0.0.1", "::/0"),
        ("64:ff9b::169.254.169.254", "64:ff9b::/96"),
        ("fe80::1%eth0", "fe80::/10"),
    ],
)
def test_an_allowed_network_lets_nothing_else_in(address: str, network: str) -> None:
    assert forbidden(ip_address(address), [ip_network(network)]) is not None
