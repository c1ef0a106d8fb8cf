"""The rules of logins: pure."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import operators
from chalicelib.operators import BY_ADDRESS, BY_NAME, Limit, wait_after
from chalicelib.task import Tries, evolve
from tests.contract.samples import DAY, HOUR, NOW, operator, session

# ── passwords ────────────────────────────────────────────────────────────────────────────────────


def test_a_hash_holds_its_salt_and_its_cost_and_not_the_password() -> None:
    stored = operators.hash_password("correct horse battery", b"salt of 16 bytes", (4, 8, 1))
    assert stored.startswith("scrypt$4$8$1$c2FsdCBvZiAxNiBieXRlcw$")
    assert operators.is_password("correct horse battery", stored)
    assert not operators.is_password("correct horse batterz", stored)
    assert stored != operators.hash_password("correct horse battery", b"salt of 16 bytez", (4, 8, 1))


def test_a_hash_is_that_of_the_rfc() -> None:
    """RFC 7914, 12: N = 1024, r = 8, p = 16."""
    stored = operators.hash_password("password", b"NaCl", (10, 8, 16))
    assert stored.endswith(
        "$" + operators._text(bytes.fromhex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"))
    )


def test_a_password_of_before_is_known_though_new_ones_cost_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = operators.hash_password("correct horse battery", b"salt of 16 bytes", (4, 8, 1))
    monkeypatch.setattr(operators, "COST", (5, 8, 1))
    assert operators.is_password("correct horse battery", stored)
    assert operators.hash_password("x", b"").startswith("scrypt$5$")


def test_what_nobody_has_costs_what_a_password_costs_and_is_none() -> None:
    assert operators.nobodys_password().split("$")[1:4] == [str(it) for it in operators.COST]
    assert not operators.is_password("", operators.nobodys_password())


def test_the_worst_passwords_are_long_enough_to_be_chosen() -> None:
    assert [it for it in operators.WORST if len(it) < operators.LEAST_PASSWORD or it != it.casefold()] == []
    assert len(operators.WORST) >= 36


# ── tries ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limit", "failed", "wait"),
    [
        (BY_NAME, 0, 0),
        (BY_NAME, 4, 0),
        (BY_NAME, 5, 1),
        (BY_NAME, 6, 2),
        (BY_NAME, 14, 512),
        (BY_NAME, 15, 900),
        (BY_NAME, 10**9, 900),
        (BY_ADDRESS, 49, 0),
        (BY_ADDRESS, 50, 1),
        (BY_ADDRESS, 10**9, 60),
    ],
)
def test_the_waits_grow_after_the_free_tries(limit: Limit, failed: int, wait: float) -> None:
    assert wait_after(failed, limit) == wait
    assert operators.seconds_to_wait(Tries(of="x", failed=failed, last_at=NOW), limit, NOW) == wait


@pytest.mark.parametrize(("ahead", "wait"), [(0.001, 0), (4, 0), (86_400, 0)])
def test_nobody_waits_only_because_another_clock_is_ahead(ahead: float, wait: int) -> None:
    tries = Tries(of="x", failed=4, last_at=NOW + ahead)
    assert operators.seconds_to_wait(tries, BY_NAME, NOW) == wait


def test_a_moment_far_in_the_future_locks_nobody_out() -> None:
    tries = Tries(of="x", failed=10, last_at=NOW + 4)
    assert operators.seconds_to_wait(tries, BY_NAME, NOW) == 36
    assert operators.seconds_to_wait(evolve(tries, last_at=NOW + 86_400), BY_NAME, NOW) == 0


def test_a_success_leaves_no_less_than_nothing() -> None:
    assert operators.after_success(Tries(of="x"), NOW, left=-1).failed == 0


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "of_operator", "now", "live"),
    [
        ({}, {}, NOW, True),
        ({}, {}, NOW + HOUR - 1, True),
        ({}, {}, NOW + HOUR, False),
        ({"era": "before"}, {}, NOW, False),
        ({}, {"era": "after"}, NOW, False),
        ({}, {"disabled": True}, NOW, False),
    ],
)
def test_a_session_lives_in_the_era_of_its_operator(changes: Any, of_operator: Any, now: float, live: bool) -> None:
    assert operators.is_live(session(**changes), operator(**of_operator), now) is live


def test_a_session_that_is_used_is_never_shortened_nor_prolonged_beyond_its_end() -> None:
    assert operators.prolonged(session(), now=NOW + 299, idle=HOUR) is None
    later = operators.prolonged(session(), now=NOW + 300, idle=HOUR)
    assert later == evolve(session(), seen_at=NOW + 300, expires_at=NOW + 300 + HOUR, version=2)
    last = operators.prolonged(session(), now=NOW + DAY - 60, idle=HOUR)
    assert last is not None
    assert last.expires_at == NOW + DAY
    shorter = operators.prolonged(session(), now=NOW + 300, idle=600)
    assert shorter is not None
    assert shorter.expires_at == NOW + HOUR


def test_the_cookie_leads_to_operator_and_session() -> None:
    token = bytes(range(32))
    cookie = operators.make_cookie("小王", token)
    assert operators.read_cookie(cookie) == ("小王", operators.session_id(token))
    assert cookie.isascii()
    assert not set(cookie) & set(' ",;\\=')


def test_the_token_against_other_sites_is_that_of_one_cookie() -> None:
    assert operators.csrf_token("a.b") == operators.csrf_token("a.b") != operators.csrf_token("a.c")
    assert len(operators.csrf_token("a.b")) == 43


def test_a_mark_is_that_of_one_operator() -> None:
    mark = operators.make_mark(operator(), b"nonce")
    assert operators.is_mark(operator(password="another", era="another"), mark), "whatever else has changed"
    assert not operators.is_mark(operator(device_key="another"), mark)
    assert not operators.is_mark(operator(), "x" + mark)
    assert not operators.is_mark(operator(), "")
