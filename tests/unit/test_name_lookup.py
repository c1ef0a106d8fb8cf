"""Names that hang use up a share of the look-ups, and not all there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.deadline import Deadline
from chalicelib.name_lookup import (
    MAX_AWAITED,
    MAX_HANGING,
    MAX_KNOWN_NAMES,
    MAX_OF_DOMAIN,
    RESERVED,
    NameLookup,
    registered_domain,
)

AT_ONCE, SOON, LATE = 0.001, 0.05, 20.0
"""Seconds for which an answer is waited for."""


class Dns:
    """Answers for names that do not contain `hang`; for those it does when `over` is set. Counts what it is asked."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []
        self.lookup = NameLookup(self.resolve)

    def resolve(self, name: str) -> list[str]:
        self.asked.append(name)
        if "hang" in name:
            self.over.wait()
        if "none" in name:
            raise OSError(-2, "Name or service not known")
        return ["192.0.2.1"]

    def look_up(self, name: str, seconds: float = LATE) -> Sequence[str]:
        return self.lookup.addresses(name, Deadline.in_(seconds))

    def leave_hanging(self, names: Sequence[str]) -> None:
        """Ask for each name, and give it up."""
        for name in names:
            with pytest.raises(TimeoutError):
                self.look_up(name, AT_ONCE)


@pytest.fixture
def dns() -> Iterator[Dns]:
    made = Dns()
    yield made
    made.over.set()


def threads() -> int:
    return sum(thread.name == "look-up" for thread in threading.enumerate())


def wait_until(true: Callable[[], bool]) -> None:
    ticks = threading.Event()
    for _ in range(2000):
        if true():
            return
        ticks.wait(0.01)
    raise AssertionError("it did not become so")


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example", "example"),
        ("a.example", "a.example"),
        ("x.y.a.example", "a.example"),
        ("x.a.example.", "a.example"),
        ("x.partner.com", "partner.com"),
        ("x.partner.com.cn", "partner.com.cn"),
        ("partner.com.cn", "partner.com.cn"),
        ("x.partner.co.uk", "partner.co.uk"),
        ("x.partner.cn", "partner.cn"),
        ("com.cn", "com.cn"),
    ],
)
def test_names_of_one_owner_share_a_domain(name: str, domain: str) -> None:
    assert registered_domain(name) == domain


def test_a_name_is_asked_for_each_time(dns: Dns) -> None:
    assert [dns.look_up("a.example"), dns.look_up("a.example")] == [["192.0.2.1"]] * 2
    assert dns.asked == ["a.example"] * 2


def test_requests_for_one_name_wait_for_one_look_up(dns: Dns) -> None:
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(dns.look_up, "hang.example") for _ in range(8)]
        wait_until(lambda: sum(it.waiting for it in dns.lookup._awaited.values()) == 8)
        dns.over.set()
        assert [it.result() for it in waiting] == [["192.0.2.1"]] * 8
    assert dns.asked == ["hang.example"]


def test_a_name_without_an_address_is_told_as_the_resolver_tells_it(dns: Dns) -> None:
    with pytest.raises(OSError, match="Name or service not known"):
        dns.look_up("none.example")


def test_a_look_up_that_was_given_up_is_not_waited_for_again(dns: Dns) -> None:
    dns.leave_hanging(["hang.example"] * 2)
    assert dns.asked == ["hang.example"] * 2


def test_the_names_of_one_domain_that_hang_leave_the_look_ups_to_others(dns: Dns) -> None:
    dns.leave_hanging([f"hang{n}.evil.example" for n in range(MAX_OF_DOMAIN + 20)])
    assert len(dns.asked) == MAX_OF_DOMAIN
    with pytest.raises(TimeoutError):
        dns.look_up("www.evil.example", SOON)
    assert dns.look_up("good.example") == ["192.0.2.1"]


def test_names_of_many_domains_that_hang_leave_look_ups_to_others(dns: Dns) -> None:
    dns.leave_hanging([f"hang.evil{n}.example" for n in range(MAX_AWAITED + 50)])
    assert len(dns.asked) == MAX_AWAITED + 50
    assert dns.look_up("good.example") == ["192.0.2.1"]


def test_what_has_been_found_before_is_found_when_nothing_new_is_looked_up(dns: Dns) -> None:
    assert dns.look_up("known.example") == ["192.0.2.1"]
    before = threads()
    dns.leave_hanging([f"hang.evil{n}.example" for n in range(MAX_HANGING + 20)])
    assert threads() - before <= MAX_HANGING - RESERVED
    with pytest.raises(TimeoutError):
        dns.look_up("new.example", SOON)
    assert dns.look_up("known.example") == ["192.0.2.1"]


def test_a_name_that_hangs_is_known_no_more(dns: Dns) -> None:
    dns.over.set()
    dns.look_up("hang.example")
    assert "hang.example" in dns.lookup._known
    dns.over.clear()
    dns.leave_hanging(["hang.example"])
    assert "hang.example" not in dns.lookup._known


def test_look_ups_that_are_waited_for_are_bounded_and_some_are_for_known_names(dns: Dns) -> None:
    dns.look_up("known.example")
    with ThreadPoolExecutor(MAX_AWAITED) as pool:
        waiting = [pool.submit(dns.look_up, f"hang.evil{n}.example") for n in range(MAX_AWAITED)]
        wait_until(lambda: len(dns.lookup._awaited) == MAX_AWAITED - RESERVED)
        with pytest.raises(TimeoutError):
            dns.look_up("new.example", SOON)
        assert dns.look_up("known.example") == ["192.0.2.1"]
        dns.over.set()
        assert all(it.result() == ["192.0.2.1"] for it in waiting)


def test_a_place_that_is_given_back_goes_to_those_who_wait(dns: Dns) -> None:
    dns.leave_hanging([f"hang{n}.evil.example" for n in range(MAX_OF_DOMAIN)])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(dns.look_up, "www.evil.example")
        dns.over.set()
        assert waiting.result() == ["192.0.2.1"]


def test_nothing_is_left_of_look_ups_that_have_ended(dns: Dns) -> None:
    dns.leave_hanging([f"hang{n}.example" for n in range(20)])
    dns.over.set()
    with pytest.raises(OSError, match="not known"):
        dns.look_up("none.example")
    wait_until(lambda: dns.lookup._hanging == 0 and not dns.lookup._of_domain)
    assert dns.lookup._awaited == {}


def test_the_known_names_are_bounded(dns: Dns) -> None:
    for n in range(MAX_KNOWN_NAMES + 5):
        dns.lookup._remember(f"a{n}.example")
    assert len(dns.lookup._known) == MAX_KNOWN_NAMES
    assert "a0.example" not in dns.lookup._known
