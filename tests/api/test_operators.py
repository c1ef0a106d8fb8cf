"""Operators: they log in and out, may what their role says, and whatever they do is in the audit trail."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from chalicelib import operators
from chalicelib.api import ROUTES
from chalicelib.auth import NOBODY, entry
from chalicelib.keyring import FRESH
from chalicelib.task import RIGHTS, Right, Role, Roster, Session, evolve
from tests.api.test_callers import Here
from tests.browser import PASSWORD, Browser, hire
from tests.house import NOON, House

DAY, HOUR, MINUTE = 86_400, 3600, 60


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is measured elsewhere."""
    monkeypatch.setattr(operators, "COST", (4, 8, 1))


@pytest.fixture
def house() -> House:
    """A closed house with an admin."""
    house = House(KKBIDA_OPEN_API="0")
    hire(house)
    return house


@pytest.fixture
def admin(house: House) -> Browser:
    """The admin, logged in."""
    return logged_in(house)


def logged_in(house: House, name: str = "root", password: str = PASSWORD) -> Browser:
    browser = Browser(house)
    assert browser.log_in(name, password)[0] == 200
    return browser


def hired(house: House, name: str, role: str) -> Browser:
    """Another operator, logged in."""
    hire(house, name, role)
    return logged_in(house, name)


def code(answer: tuple[int, Any]) -> str:
    return str(answer[1]["code"])


def audits(browser: Browser) -> list[tuple[str, str, str, str]]:
    """(actor, action, subject, result), newest first."""
    status, page = browser.ask("list_audits")
    assert (status, page["cursor"]) == (200, None)
    return [(it["actor"], it["action"], it["subject"], it["result"]) for it in page["audits"]]


# ── login ────────────────────────────────────────────────────────────────────────────────────────


def test_who_logs_in_is_told_what_a_page_needs(house: House) -> None:
    browser = Browser(house)
    status, answer = browser.log_in()
    assert status == 200
    assert (answer["name"], answer["role"], answer["expires_at"]) == ("root", "admin", "2025-12-01T20:00:00.000Z")
    status, me = browser.ask("me")
    assert (status, me["kind"], me["name"], me["role"]) == (200, "operator", "operator:root", "admin")
    assert (me["csrf_token"], me["rights"]) == (answer["csrf_token"], [*Right])


def test_the_cookies_are_for_no_script_and_no_other_site(house: House) -> None:
    browser = Browser(house)
    browser.log_in()
    session, device = browser.set_cookies
    assert session.partition("; ")[2] == "HttpOnly; SameSite=Strict; Path=/; Max-Age=604800; Secure"
    assert device.partition("; ")[2] == "HttpOnly; SameSite=Strict; Path=/; Max-Age=34560000; Secure"


@pytest.mark.parametrize(
    ("changes", "secure"),
    [
        ({"embedded": "kkbida.db"}, False),
        ({"embedded": "kkbida.db", "console_url": "https://kkbida.example/"}, True),
        ({"embedded": ""}, True),
        ({"embedded": "", "endpoint": "http://127.0.0.1:4566"}, False),
    ],
)
def test_the_cookies_are_secure_wherever_browsers_come_by_https(house: House, changes: Any, secure: bool) -> None:
    house.world = evolve(house.world, settings=evolve(house.world.settings, **{"console_url": "", **changes}))
    browser = Browser(house)
    browser.log_in()
    assert [cookie.endswith("; Secure") for cookie in browser.set_cookies] == [secure, secure]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("root", "wrong horse battery"),
        ("root", ""),
        ("root", PASSWORD + " "),
        ("root", PASSWORD.upper()),
        ("nobody", PASSWORD),
        ("ro ot", PASSWORD),
        ("channels", PASSWORD),
    ],
)
def test_a_wrong_name_and_a_wrong_password_are_told_apart_by_nobody(house: House, name: str, password: str) -> None:
    browser = Browser(house)
    assert browser.log_in("root", "another wrong one")[0] == 401
    right, wrong = browser.headers, browser.ask("me")
    status, problem = browser.log_in(name, password)
    assert (status, problem["code"], problem["detail"]) == (401, "login_failed", "The name or the password is wrong.")
    assert (browser.cookies, browser.headers, code(wrong)) == ({}, right, "unauthorized")


@pytest.mark.parametrize("name", ["root", "Root", "ROOT", "ｒｏｏｔ"])
def test_a_login_is_normalised_as_the_name_is(house: House, name: str) -> None:
    browser = logged_in(house, name)
    assert browser.ask("me")[1]["name"] == "operator:root"


def test_a_name_of_before_the_rules_logs_in_as_it_is_written(house: House) -> None:
    there = house.world.store.operator("root")
    assert there is not None
    roster = house.world.store.roster()
    made = entry(house.world, NOBODY, "create-operator", "operator:Li雷")
    assert house.world.store.save_operator(evolve(there, name="Li雷"), roster.version + 1, made)
    for name in ("Li雷", "li雷"):
        assert logged_in(house, name).ask("me")[1]["name"] == "operator:Li雷"
    assert logged_in(house).ask("change_operator", {"role": "viewer"}, name="Li雷")[0] == 200


@pytest.mark.parametrize("name", ["ROOT", "ｒｏｏｔ", "r00t", "root"])
def test_no_second_user_has_a_name_that_looks_the_same(admin: Browser, name: str) -> None:
    answer = admin.ask("create_operator", {"name": name, "role": "viewer", "password": NEW})
    assert (answer[0], code(answer)) == (409, "name_taken")


def test_all_spellings_of_a_name_share_one_count(house: House) -> None:
    spellings = ("root", "Root", "ROOT", "rOOt", "ｒoot", "roOt")
    assert [fail(Browser(house), 1, name)[0] for name in spellings] == [401] * 5 + [429]


def test_an_unknown_name_costs_the_same_hash(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int, int]] = []
    plain = operators.hash_password

    def counting(password: str, salt: bytes, cost: Any = None) -> str:
        made.append(cost)
        return plain(password, salt, cost)

    monkeypatch.setattr(operators, "hash_password", counting)
    hire(house, "gone", "viewer")
    logged_in(house).ask("change_operator", {"disabled": True}, name="gone")
    made.clear()
    for name in ("root", "nobody", "gone", "no name"):
        assert Browser(house).log_in(name, "wrong horse battery")[0] == 401
    assert made == [operators.COST] * 4


def test_a_disabled_operator_cannot_log_in(house: House, admin: Browser) -> None:
    hire(house, "li.lei", "viewer")
    assert admin.ask("change_operator", {"disabled": True}, name="li.lei")[0] == 200
    assert code(Browser(house).log_in("li.lei")) == "login_failed"
    assert admin.ask("change_operator", {"disabled": False}, name="li.lei")[0] == 200
    assert Browser(house).log_in("li.lei")[0] == 200


def test_the_same_characters_composed_otherwise_are_the_same_password(house: House) -> None:
    hire(house, "zoë", "viewer", "cafe\u0301 au lait")
    assert Browser(house).log_in("zoë", "café au lait")[0] == 200


# ── too many tries ───────────────────────────────────────────────────────────────────────────────


def fail(browser: Browser, times: int, name: str = "root") -> list[int]:
    return [browser.log_in(name, "wrong horse battery")[0] for _ in range(times)]


@pytest.mark.parametrize("name", ["root", "nobody"])
def test_after_five_failures_the_waits_grow_whether_there_is_such_a_name_or_not(house: House, name: str) -> None:
    browser = Browser(house)
    assert fail(browser, 6, name) == [401] * 5 + [429]
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        status, problem = browser.log_in(name)
        assert (status, problem["code"], browser.headers["Retry-After"]) == (429, "locked_out", str(wait))
        house.clock.at += wait - 0.5
        assert fail(browser, 1, name) == [429]
        house.clock.at += 0.5
        assert fail(browser, 1, name) == [401]


def test_correct_passwords_at_the_same_moment_are_all_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is counted before it is looked at; the others wait for it, and the clocks of their threads differ."""
    monkeypatch.setattr(operators, "COST", (4, 8, 1))
    moments = count(start=NOON, step=-0.001)
    monkeypatch.setattr(house.clock, "now", lambda: next(moments), raising=False)
    with ThreadPoolExecutor(16) as threads:
        answers = [*threads.map(lambda _: Browser(house).log_in()[0], range(16))]
    assert answers == [200] * 16


def test_a_clock_that_is_behind_locks_nobody_out(house: House) -> None:
    assert Browser(house).log_in()[0] == 200
    house.clock.at -= 0.005
    assert Browser(house).log_in()[0] == 200
    house.clock.at -= HOUR
    assert Browser(house).log_in()[0] == 200


def test_a_try_while_locked_is_not_looked_at_and_not_counted(house: House) -> None:
    browser = Browser(house)
    fail(browser, 5)
    assert [browser.log_in()[0] for _ in range(20)] == [429] * 20
    house.clock.at += 1
    assert browser.log_in()[0] == 200


def test_a_success_begins_the_count_anew(house: House) -> None:
    fail(Browser(house), 4)
    assert Browser(house).log_in()[0] == 200
    assert fail(Browser(house), 6) == [401] * 5 + [429]


def test_failures_are_forgotten_after_a_day(house: House) -> None:
    browser = Browser(house)
    fail(browser, 5)
    house.clock.at += DAY
    assert fail(browser, 6) == [401] * 5 + [429]


def test_who_attacks_a_name_from_everywhere_does_not_lock_out_the_device_of_its_operator(house: House) -> None:
    mine = logged_in(house)
    mine.ask("log_out")
    for number in range(6):
        fail(Browser(house, address=f"198.51.100.{number}"), 1)
    assert Browser(house, address="203.0.113.1").log_in()[0] == 429, "a device that is not known waits"
    mine.address = "203.0.113.2"
    assert fail(mine, 6) == [401] * 5 + [429], "it has a count of its own"
    house.clock.at += 1
    assert mine.log_in()[0] == 200


def test_the_mark_of_a_device_is_of_use_for_its_own_operator_only(house: House) -> None:
    other = hired(house, "li.lei", "viewer")
    fail(Browser(house), 5)
    assert other.log_in("root")[0] == 429
    forged = Browser(house, cookies={"kkbida_device": "bm9uY2U.bm9uY2U"})
    assert forged.log_in()[0] == 429


def test_the_name_of_a_removed_operator_made_anew_is_another_operator(house: House, admin: Browser) -> None:
    old = hired(house, "li.lei", "viewer")
    assert admin.ask("remove_operator", name="li.lei")[0] == 204
    hire(house, "li.lei", "admin")
    assert code(old.ask("me")) == "session_over"
    fail(Browser(house), 5, "li.lei")
    assert old.log_in("li.lei")[0] == 429


def test_an_address_that_tries_many_names_must_wait_and_fills_nothing(house: House) -> None:
    browser = Browser(house, address="198.51.100.7")
    answers = [fail(browser, 1, f"name-{number}")[0] for number in range(60)]
    assert answers == [401] * 50 + [429] * 10
    stored = house.world.store._rows("SELECT count(*) FROM tries")  # type: ignore[attr-defined]
    assert stored == [(51,)]
    assert Browser(house, address="198.51.100.8").log_in()[0] == 200
    house.clock.at += DAY
    house.world.store.sweep(house.clock.at, 100)  # type: ignore[attr-defined]
    assert house.world.store._rows("SELECT count(*) FROM tries") == [(0,)]  # type: ignore[attr-defined]


def test_of_ipv6_the_network_of_one_subscriber_counts(house: House) -> None:
    answers = [fail(Browser(house, address=f"2001:db8::{number:x}"), 1, f"name-{number}")[0] for number in range(51)]
    assert answers == [401] * 50 + [429]
    assert fail(Browser(house, address="2001:db8:0:1::"), 1, "x") == [401]


def test_colleagues_behind_one_address_do_not_use_up_its_tries(house: House) -> None:
    for _ in range(60):
        logged_in(house)
    assert Browser(house).log_in()[0] == 200


def test_of_many_tries_at_once_no_more_are_looked_at_than_one_after_the_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try is counted before it is looked at: here, others are made while one is."""
    looked: list[str] = []
    plain = operators.is_password

    def during(password: str, stored: str) -> bool:
        looked.append(password)
        fail(Browser(house), 1)
        return plain(password, stored)

    monkeypatch.setattr(operators, "is_password", during)
    assert Browser(house).log_in("root", "wrong horse battery")[0] == 401
    assert len(looked) == 5


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def test_a_session_goes_on_while_it_is_used_and_a_week_at_most(house: House, admin: Browser) -> None:
    began = house.clock.at
    while admin.ask("me")[0] == 200:
        house.clock.at += 7 * HOUR
    assert house.clock.at - began == 168 * HOUR
    assert admin.cookies.keys() == {"kkbida_device"}, "the cookie is taken away"


def test_a_session_that_nobody_uses_is_over_after_eight_hours(house: House, admin: Browser) -> None:
    house.clock.at += 8 * HOUR
    assert code(admin.ask("me")) == "session_over"


def test_using_a_session_writes_once_in_five_minutes(
    house: House, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Session] = []
    plain = house.world.store.save_session
    monkeypatch.setattr(house.world.store, "save_session", lambda it: written.append(it) or plain(it))  # type: ignore[func-returns-value]
    for _ in range(60):
        admin.ask("me")
        house.clock.at += 10
    assert len(written) == 1


def test_logout_ends_the_session_in_the_store(house: House, admin: Browser) -> None:
    kept = Browser(house, cookies={**admin.cookies}, csrf=admin.csrf)
    assert admin.ask("log_out") == (204, None)
    assert "kkbida_session" not in admin.cookies
    assert code(kept.ask("log_out")) == "session_over"


def test_what_is_stored_of_a_session_is_not_its_cookie(house: House, admin: Browser) -> None:
    [(kept,)] = house.world.store._rows("SELECT session_id || session FROM sessions")  # type: ignore[attr-defined]
    token = admin.cookies["kkbida_session"].partition(".")[2]
    assert token not in kept
    assert admin.csrf not in kept


@pytest.mark.parametrize(
    "change",
    [
        {"disabled": True},
        {"password": "another horse battery"},
    ],
)
def test_a_session_ends_when_its_operator_is_disabled_or_reset(house: House, admin: Browser, change: Any) -> None:
    other = hired(house, "li.lei", "operator")
    assert admin.ask("change_operator", change, name="li.lei")[0] == 200
    assert code(other.ask("me")) == "session_over"
    admin.ask("change_operator", {"disabled": False}, name="li.lei")
    other.cookies["kkbida_session"] = other.cookies.get("kkbida_session", "x.y")
    assert code(other.ask("me")) == "session_over", "and stays over"


def test_a_session_ends_when_its_operator_is_removed(house: House, admin: Browser) -> None:
    other = hired(house, "li.lei", "operator")
    assert admin.ask("remove_operator", name="li.lei")[0] == 204
    assert code(other.ask("me")) == "session_over"


def test_a_session_of_before_stays_over_when_the_operator_may_log_in_again(house: House, admin: Browser) -> None:
    other = hired(house, "li.lei", "operator")
    cookies = {**other.cookies}
    for disabled in (True, False):
        admin.ask("change_operator", {"disabled": disabled}, name="li.lei")
    assert code(Browser(house, cookies=cookies).ask("me")) == "session_over"


def test_another_role_holds_from_the_next_request_on(house: House, admin: Browser) -> None:
    other = hired(house, "li.lei", "operator")
    assert other.ask("submit", {"url": "https://partner.example/"})[0] == 202
    assert admin.ask("change_operator", {"role": "viewer"}, name="li.lei")[0] == 200
    assert code(other.ask("submit", {"url": "https://partner.example/"})) == "forbidden"
    assert other.ask("me")[1]["role"] == "viewer"


@pytest.mark.parametrize("cookie", ["", "x", ".", "é.é", "cm9vdA.", "cm9vdA.AAAA", "AAAA.AAAA", "%00.%00", "x" * 9000])
def test_a_cookie_that_is_none_is_over(house: House, cookie: str) -> None:
    status, problem = Browser(house, cookies={"kkbida_session": cookie}).ask("me")
    assert (status, problem["code"]) == (401, "session_over" if cookie else "unauthorized")


def test_a_session_of_another_operator_is_not_taken_under_ones_own_name(house: House, admin: Browser) -> None:
    other = hired(house, "li.lei", "viewer")
    name, token = admin.cookies["kkbida_session"].split(".")[0], other.cookies["kkbida_session"].split(".")[1]
    assert code(Browser(house, cookies={"kkbida_session": f"{name}.{token}"}).ask("me")) == "session_over"


def test_a_session_that_is_over_is_not_let_in_because_the_api_is_open() -> None:
    house = House()
    hire(house)
    browser = logged_in(house)
    assert Browser(house).ask("me")[1]["kind"] == "anyone"
    house.clock.at += 8 * HOUR
    assert code(browser.ask("me")) == "session_over"
    assert browser.ask("me")[1]["kind"] == "anyone", "its cookie is gone"


# ── one's own password ───────────────────────────────────────────────────────────────────────────

NEW = "another horse battery"


def test_changing_the_password_ends_all_sessions_and_begins_this_one_anew(house: House, admin: Browser) -> None:
    elsewhere, before = logged_in(house), Browser(house, cookies={**admin.cookies}, csrf=admin.csrf)
    assert admin.ask("change_password", {"current": PASSWORD, "new": NEW}) == (204, None)
    assert code(elsewhere.ask("me")) == code(before.ask("me")) == "session_over"
    admin.read_csrf()
    assert admin.ask("log_out")[0] == 204
    assert code(Browser(house).log_in()) == "login_failed"
    assert Browser(house).log_in(password=NEW)[0] == 200


def test_a_wrong_current_password_counts_as_a_failed_try(house: House, admin: Browser) -> None:
    answers = [admin.ask("change_password", {"current": "wrong", "new": NEW}) for _ in range(6)]
    assert [code(it) for it in answers] == ["login_failed"] * 5 + ["locked_out"]
    assert admin.log_in()[0] == 429
    house.clock.at += 1
    assert admin.log_in()[0] == 200, "the password is as it was"


def test_a_reset_meanwhile_is_not_undone_by_who_has_stolen_the_session(
    house: House, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief, reset = hired(house, "li.lei", "admin"), "a reset horse battery"
    plain = house.world.store.roster

    def after_the_reset() -> Roster:
        monkeypatch.undo()
        assert admin.ask("change_operator", {"password": reset}, name="li.lei")[0] == 200
        return plain()

    monkeypatch.setattr(house.world.store, "roster", after_the_reset)
    assert code(thief.ask("change_password", {"current": PASSWORD, "new": NEW})) == "session_over"
    assert Browser(house).log_in("li.lei", reset)[0] == 200


@pytest.mark.parametrize(
    ("password", "detail"),
    [
        ("", "must have 10 characters at least"),
        ("short one", "must have 10 characters at least"),
        ("必达" * 200, "must have 1024 bytes at most"),
        ("1234567890", "is the name, or one of the first that anybody would try"),
        ("PassWord123", "is the name, or one of the first that anybody would try"),
        ("1111111111", "is the name, or one of the first that anybody would try"),
        ("Li.Lei.Han.Mei", "is the name, or one of the first that anybody would try"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(house: House, admin: Browser, password: str, detail: str) -> None:
    mine = hired(house, "li.lei.han.mei", "viewer")
    for answer, pointer in (
        (mine.ask("change_password", {"current": PASSWORD, "new": password}), "/new"),
        (admin.ask("change_operator", {"password": password}, name="li.lei.han.mei"), "/password"),
        (
            admin.ask("create_operator", {"name": "li.lei.han.mei", "role": "viewer", "password": password}),
            "/password",
        ),
    ):
        assert (answer[0], answer[1]["errors"]) == (400, [{"pointer": pointer, "detail": detail}])
    assert mine.ask("me")[0] == 200


@pytest.mark.parametrize("password", ["ten of one", "必达必达必达必达必达", "    x     ", "必达" * 170])
def test_any_other_password_is_taken(house: House, admin: Browser, password: str) -> None:
    assert admin.ask("change_password", {"current": PASSWORD, "new": password})[0] == 204
    assert Browser(house).log_in(password=password)[0] == 200


def test_who_has_no_password_cannot_change_it_nor_log_out() -> None:
    here = Here()
    for number, (view, body) in enumerate((("change_password", {"current": "a", "new": "b"}), ("log_out", None))):
        assert code(here.ask(view, body, nonce=f"n-{number}")) == code(House().call(view, body)) == "forbidden"


# ── requests of other sites ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 43])
def test_a_change_without_the_token_of_the_session_is_refused(house: House, admin: Browser, token: str) -> None:
    right = admin.csrf
    for admin.csrf in (token, logged_in(house).csrf):
        answer = admin.ask("create_caller", {"source_app": "orders"})
        assert (answer[0], code(answer)) == (403, "csrf")
    assert house.world.store.callers() == []
    admin.csrf = right
    assert admin.ask("create_caller", {"source_app": "orders"})[0] == 201


def test_every_route_that_changes_anything_asks_for_the_token(admin: Browser) -> None:
    admin.csrf = ""
    for view, route in ROUTES.items():
        if route.method != "GET" and not route.is_open:
            refused = admin.ask(view, {}, **dict.fromkeys(route.ids, "x"))
            assert refused == (403, None) if route.as_before else code(refused) == "csrf", view


def test_looking_needs_no_token(admin: Browser) -> None:
    admin.csrf = ""
    assert admin.ask("list_tasks")[0] == 200


def test_a_signature_beside_a_cookie_decides() -> None:
    here = Here()
    hire(here.house)
    browser = logged_in(here.house)
    cookie = f"kkbida_session={browser.cookies['kkbida_session']}"
    path = "/prod/v1/me"
    headers = here.me.sign("GET", path, created=here.house.clock.at)
    status, me = here.house.call("me", headers={**headers, "cookie": cookie}, url_path=path)
    assert (status, me["kind"], me["name"]) == (200, "caller", f"caller:{here.me.key_id}")
    assert (me["source_app"], me["rights"], me["csrf_token"]) == ("orders", ["submit", "read", "resend"], None)
    here.house.clock.at += FRESH
    wrong = {**headers, "signature": "sig1=:AAAA:", "cookie": cookie}
    assert here.house.call("me", headers=wrong, url_path=path)[1]["code"] == "signature_wrong"


# ── what an operator may ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", Role)
def test_an_operator_may_what_the_role_says_and_nothing_else(house: House, role: Role) -> None:
    browser = hired(house, "li.lei", role)
    for view, route in ROUTES.items():
        if route.right is not None:
            status, answer = browser.ask(view, **dict.fromkeys(route.ids, "x"))
            assert (status == 403) == (route.right not in RIGHTS[role]), (view, answer)


def test_the_roles_may_ever_more() -> None:
    assert RIGHTS[Role.VIEWER] == {Right.READ, Right.WATCH}
    assert RIGHTS[Role.OPERATOR] == {*RIGHTS[Role.VIEWER], Right.SUBMIT, Right.RESEND, Right.OPERATE}
    assert RIGHTS[Role.ADMIN] == {*Right}


# ── operators are made, changed and removed ──────────────────────────────────────────────────────


def test_an_admin_makes_operators_and_their_passwords_are_shown_nowhere(house: House, admin: Browser) -> None:
    status, made = admin.ask("create_operator", {"name": "小王", "role": "operator", "password": NEW})
    assert (status, made) == (
        201,
        {
            "name": "小王",
            "role": "operator",
            "disabled": False,
            "created_at": "2025-12-01T12:00:00.000Z",
            "created_by": "operator:root",
            "password_at": "2025-12-01T12:00:00.000Z",
        },
    )
    assert [it["name"] for it in admin.ask("list_operators")[1]["operators"]] == ["root", "小王"]
    assert NEW not in repr(house.world.store.roster())
    assert Browser(house).log_in("小王", NEW)[0] == 200


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", ".a", "-a", "a\n", "a" * 41, "a:b", "é\u0301"])
def test_a_name_is_one_word(admin: Browser, name: str) -> None:
    status, problem = admin.ask("create_operator", {"name": name, "role": "viewer", "password": NEW})
    assert (status, [it["pointer"] for it in problem["errors"]]) == (400, ["/name"])


def test_a_name_is_taken_once(admin: Browser) -> None:
    assert code(admin.ask("create_operator", {"name": "root", "role": "viewer", "password": NEW})) == "name_taken"


def test_there_are_no_more_than_can_be_looked_at_at_once(admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.admin.MOST_OPERATORS", 1)
    assert code(admin.ask("create_operator", {"name": "a", "role": "viewer", "password": NEW})) == "too_many"


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "operator"}, None])
def test_the_last_admin_who_may_log_in_stays_one(house: House, admin: Browser, change: Any) -> None:
    hire(house, "gone", "admin")
    hire(house, "li.lei", "operator")
    assert admin.ask("change_operator", {"disabled": True}, name="gone")[0] == 200
    view = "change_operator" if change else "remove_operator"
    status, problem = admin.ask(view, change, name="root")
    assert (status, problem["code"]) == (409, "last_admin")
    assert admin.ask("change_operator", {"role": "admin"}, name="li.lei")[0] == 200
    assert admin.ask(view, change, name="root")[0] in (200, 204)


def test_what_is_not_there_can_be_neither_changed_nor_removed(admin: Browser) -> None:
    assert admin.ask("change_operator", {"role": "viewer"}, name="x")[0] == 404
    assert admin.ask("remove_operator", name="x")[0] == 404


def test_who_changes_the_roster_meanwhile_is_not_overwritten(
    house: House, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = house.world.store.save_operator
    meanwhile = [lambda: hire(house, "li.lei", "viewer")]

    def beaten(*given: Any) -> bool:
        if meanwhile:
            meanwhile.pop()()
        return plain(*given)

    monkeypatch.setattr(house.world.store, "save_operator", beaten)
    assert admin.ask("create_operator", {"name": "a", "role": "viewer", "password": NEW})[0] == 201
    assert [it.name for it in house.world.store.roster().operators] == ["a", "li.lei", "root"]


# ── the audit trail ──────────────────────────────────────────────────────────────────────────────


def test_the_trail_says_who_did_what_to_what_from_where_when_and_with_what_result(house: House, admin: Browser) -> None:
    house.clock.at += 1
    admin.ask("create_operator", {"name": "li.lei", "role": "viewer", "password": NEW})
    newest = admin.ask("list_audits")[1]["audits"][0]
    assert newest == {
        "at": "2025-12-01T12:00:01.000Z",
        "actor": "operator:root",
        "action": "create-operator",
        "subject": "operator:li.lei",
        "address": "192.0.2.7",
        "detail": {"role": "viewer"},
        "result": "done",
    }


def test_the_trail_says_why_something_was_refused(house: House, admin: Browser) -> None:
    house.clock.at += 1
    admin.ask("remove_operator", name="root")
    fail(Browser(house), 5)
    newest = admin.ask("list_audits")[1]["audits"][:2]
    assert {(it["result"], it["detail"]["why"]) for it in newest} == {
        ("last_admin", "root is the last admin who may log in; make another one first."),
        ("login_failed", "The name or the password is wrong."),
    }


def test_all_that_happens_to_operators_is_in_the_trail(house: House, admin: Browser) -> None:
    def step(browser: Browser, view: str, body: Any = None, **path: str) -> None:
        house.clock.at += 61
        browser.ask(view, body, **path)

    other = Browser(house)
    step(admin, "create_operator", {"name": "a", "role": "admin", "password": NEW})
    step(other, "log_in", {"name": "a", "password": NEW})
    step(admin, "change_operator", {"role": "viewer", "password": PASSWORD}, name="a")
    step(other, "log_in", {"name": "a", "password": NEW})
    step(other, "log_in", {"name": PASSWORD, "password": "a"})
    other.log_in("a")
    step(other, "change_operator", {"role": "admin"}, name="a")
    step(other, "change_password", {"current": PASSWORD, "new": NEW})
    other.read_csrf()
    step(other, "log_out")
    step(admin, "remove_operator", name="root")
    step(admin, "remove_operator", name="a")
    step(admin, "create_operator", {"name": "b", "role": "viewer", "password": "b"})
    assert audits(admin) == [
        ("operator:root", "create-operator", "", "invalid_request"),
        ("operator:root", "remove-operator", "operator:a", "done"),
        ("operator:root", "remove-operator", "root", "last_admin"),
        ("operator:a", "logout", "operator:a", "done"),
        ("operator:a", "change-password", "operator:a", "done"),
        ("operator:a", "change-operator", "a", "forbidden"),
        ("operator:a", "login", "operator:a", "done"),
        ("nobody", "login", "login", "login_failed"),
        ("operator:a", "login", "operator:a", "login_failed"),
        ("operator:root", "change-operator", "operator:a", "done"),
        ("operator:a", "login", "operator:a", "done"),
        ("operator:root", "create-operator", "operator:a", "done"),
        ("operator:root", "login", "operator:root", "done"),
        ("command", "create-operator", "operator:root", "done"),
    ]


def test_every_action_of_an_admin_is_in_the_trail(admin: Browser) -> None:
    task_id = admin.ask("submit", {"url": "https://partner.example/"})[1]["task_id"]
    channel = {"kind": "webhook", "url": "https://robot.example/"}
    channel_id = admin.ask("create_channel", channel)[1]["channel_id"]
    secret_id = admin.ask("create_signing_secret", {"source_app": "orders"})[1]["secret_id"]
    key_id = admin.ask("create_caller", {"source_app": "orders"})[1]["key_id"]
    admin.ask("cancel", task_id=task_id)
    admin.ask("resend", task_id=task_id)
    admin.ask("deliver_now", task_id=task_id)
    admin.ask("change_target", {"paused": True})
    admin.ask("change_channel", channel, channel_id=channel_id)
    admin.ask("test_channel", channel_id=channel_id)
    admin.ask("import_tasks", {"tasks": [{}]})
    resend_id = admin.ask("start_resend", {"filter": {}})[1]["resend_id"]
    for view, path in (
        ("stop_resend", {"resend_id": resend_id}),
        ("remove_channel", {"channel_id": channel_id}),
        ("remove_signing_secret", {"secret_id": secret_id}),
        ("remove_caller", {"key_id": key_id}),
    ):
        admin.ask(view, **path)
    done = {action for actor, action, _, result in audits(admin) if (actor, result) == ("operator:root", "done")}
    acting = {view.replace("_", "-") for view, route in ROUTES.items() if route.method != "GET"}
    never = {"submit", "submit-batch", "add-task", "log-in", "log-out", "change-password", "preview-channel"}
    never |= {"create-operator", "change-operator", "remove-operator", "stop-resend"}
    assert acting - never <= done, "stop-resend: it was over by then"


def test_refusals_fill_no_store(house: House, admin: Browser) -> None:
    viewer = hired(house, "li.lei", "viewer")
    for number in range(50):
        viewer.ask("remove_channel", channel_id=f"channel-{number}")
        fail(Browser(house, address=f"198.51.100.{number}"), 1, f"name-{number}")
        fail(Browser(house, address=f"203.0.113.{number}"), 1)
    refused = [it for it in audits(admin) if it[3] != "done"]
    assert sorted(refused) == [
        ("nobody", "login", "login", "login_failed"),
        ("operator:li.lei", "remove-channel", "channel-0", "forbidden"),
        ("operator:root", "login", "operator:root", "login_failed"),
    ]
    house.clock.at += MINUTE
    viewer.ask("remove_channel", channel_id="later")
    assert ("operator:li.lei", "remove-channel", "later", "forbidden") in audits(admin)


def test_the_trail_is_searched_and_comes_in_pages(house: House, admin: Browser) -> None:
    for number in range(5):
        house.clock.at += MINUTE
        admin.ask("create_operator", {"name": f"op-{number}", "role": "viewer", "password": NEW})
    cookie = {"cookie": f"kkbida_session={admin.cookies['kkbida_session']}"}

    def look(**query: str) -> Any:
        asked = {name: [value] for name, value in query.items()}
        status, page = house.call("list_audits", headers=cookie, query=asked)
        assert status == 200, page
        return page

    first = look(limit="2", actor="operator:root")
    second = look(limit="2", actor="operator:root", cursor=first["cursor"])
    subjects = [it["subject"] for it in (*first["audits"], *second["audits"])]
    assert subjects == [f"operator:op-{number}" for number in (4, 3, 2, 1)]
    assert [it["subject"] for it in look(subject="operator:op-2")["audits"]] == ["operator:op-2"]
    found = look(since="2025-12-01T12:02:00Z", until="2025-12-01T12:04:00Z")["audits"]
    assert [it["subject"] for it in found] == ["operator:op-2", "operator:op-1"]
    assert house.call("list_audits", headers=cookie, query={"cursor": ["x"]})[0] == 400


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────


def test_no_log_line_and_no_audit_holds_a_secret(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A whole day of an admin, and of somebody who types a password where the name belongs."""
    admin, clumsy = logged_in(house), Browser(house)
    secrets = {PASSWORD, NEW, admin.csrf, *admin.cookies.values()}
    clumsy.log_in(NEW, "root")
    clumsy.log_in("root", NEW + "x")
    admin.ask("create_operator", {"name": "li.lei", "role": "viewer", "password": NEW})
    admin.ask("create_operator", {"name": "li.lei", "role": "viewer", "password": NEW})
    admin.ask("create_operator", {"name": "x", "role": NEW, "password": NEW})
    admin.ask("change_operator", {"password": PASSWORD}, name="li.lei")
    admin.ask("change_password", {"current": NEW, "new": PASSWORD})
    admin.ask("change_password", {"current": PASSWORD, "new": NEW})
    admin.read_csrf()
    secrets |= {admin.csrf, *admin.cookies.values()}
    admin.ask("remove_operator", name="li.lei")
    admin.ask("log_out")
    admin.log_in(password=NEW)
    told = "".join(repr(vars(record)) for record in caplog.records)
    told += json.dumps([admin.ask("list_audits")[1], admin.ask("list_operators")[1]])
    told += repr(house.world.store._rows("SELECT * FROM tries"))  # type: ignore[attr-defined]
    assert "login.failed" in told
    assert "operator.created" in told
    assert [secret for secret in secrets if secret in told] == []
