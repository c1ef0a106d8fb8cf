"""Whatever a user changes is in the audit trail, with what changed from what to what; secrets are masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import api, operators
from chalicelib.api import ROUTES
from chalicelib.call import Call
from tests.api.test_operators import hired, logged_in
from tests.api.test_predecessor import bean
from tests.browser import PASSWORD, Browser, hire
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"
ROBOT = "https://oapi.dingtalk.com/robot/send?access_token=t0ken"
NEW = "correct horse battery, another"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "COST", (4, 8, 1))


@pytest.fixture
def house() -> House:
    house = House(KKBIDA_OPEN_API="0")
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    house.outside.answers["https://oapi.dingtalk.com"] = in_turn(reply(200, '{"errcode":0}'))
    hire(house)
    return house


@pytest.fixture
def admin(house: House) -> Browser:
    return logged_in(house)


def submitted(browser: Browser, **members: Any) -> str:
    status, task = browser.ask("submit", {"url": PARTNER, "retry": {"max_attempts": 1}, **members})
    assert status == 202, task
    return str(task["task_id"])


def exhausted(browser: Browser, **members: Any) -> str:
    task_id = submitted(browser, **members)
    browser.house.work()
    return task_id


def made(browser: Browser, view: str, body: Any, name: str) -> str:
    status, answer = browser.ask(view, body)
    assert status == 201, answer
    return str(answer[name])


def channel(browser: Browser, **members: Any) -> str:
    return made(browser, "create_channel", {"kind": "dingtalk", "url": ROBOT, **members}, "channel_id")


def with_resend(browser: Browser) -> str:
    """One that has more to do than it has done."""
    for _ in range(3):
        exhausted(browser)
    return str(browser.ask("start_resend", {"filter": {}, "rate": 0.01})[1]["resend_id"])


TEMPLATE = json.dumps({"msgtype": "text", "text": {"content": "t" * 600}})
LI_LEI = {"name": "li.lei", "role": "viewer", "password": PASSWORD}

ACTIONS: dict[str, Callable[[Browser], tuple[int, Any]]] = {
    "submit": lambda it: it.ask("submit", {"url": PARTNER}),
    "submit_batch": lambda it: it.ask("submit_batch", {"tasks": [{"url": PARTNER}]}),
    "add_task": lambda it: it.ask("add_task", bean()),
    "resend": lambda it: it.ask("resend", {}, task_id=exhausted(it)),
    "cancel": lambda it: it.ask("cancel", task_id=submitted(it)),
    "deliver_now": lambda it: it.ask("deliver_now", task_id=submitted(it, delay=60)),
    "start_resend": lambda it: it.ask("start_resend", {"filter": {}}),
    "stop_resend": lambda it: it.ask("stop_resend", resend_id=with_resend(it)),
    "change_target": lambda it: it.ask("change_target", {"paused": True}),
    "create_channel": lambda it: it.ask("create_channel", {"kind": "dingtalk", "url": ROBOT}),
    "change_channel": lambda it: it.ask("change_channel", {"kind": "dingtalk", "memo": "x"}, channel_id=channel(it)),
    "remove_channel": lambda it: it.ask("remove_channel", channel_id=channel(it)),
    "test_channel": lambda it: it.ask("test_channel", channel_id=channel(it)),
    "create_signing_secret": lambda it: it.ask("create_signing_secret", {"source_app": "orders"}),
    "remove_signing_secret": lambda it: it.ask(
        "remove_signing_secret", secret_id=made(it, "create_signing_secret", {"source_app": "orders"}, "secret_id")
    ),
    "import_tasks": lambda it: it.ask("import_tasks", {"tasks": [{}]}),
    "create_caller": lambda it: it.ask("create_caller", {"source_app": "orders"}),
    "remove_caller": lambda it: it.ask(
        "remove_caller", key_id=made(it, "create_caller", {"source_app": "orders"}, "key_id")
    ),
    "log_in": lambda it: Browser(it.house).log_in(),
    "log_out": lambda it: it.ask("log_out"),
    "change_password": lambda it: it.ask("change_password", {"current": PASSWORD, "new": NEW}),
    "create_operator": lambda it: it.ask("create_operator", LI_LEI),
    "change_operator": lambda it: it.ask(
        "change_operator", {"role": "operator"}, name=made(it, "create_operator", LI_LEI, "name")
    ),
    "remove_operator": lambda it: it.ask("remove_operator", name=made(it, "create_operator", LI_LEI, "name")),
}

CHANGES_NOTHING = {"preview_channel": "it renders a text, and stores and sends nothing"}


def test_every_route_that_changes_something_is_listed_here() -> None:
    changing = {name for name, route in ROUTES.items() if route.method != "GET"}
    assert changing == ACTIONS.keys() | CHANGES_NOTHING.keys()


@pytest.mark.parametrize("view", ACTIONS)
def test_every_action_of_a_user_is_in_the_trail(house: House, admin: Browser, view: str) -> None:
    other = hired(house, "another", "admin")
    status, answer = ACTIONS[view](admin)
    assert status < 300, answer
    newest = other.ask("list_audits")[1]["audits"]
    action = {"log_in": "login", "log_out": "logout", "submit_batch": "submit", "add_task": "submit"}.get(
        view, view.replace("_", "-")
    )
    assert any((it["actor"], it["action"], it["result"]) == ("operator:root", action, "done") for it in newest)


@pytest.mark.parametrize("view", [it for it in ACTIONS if ROUTES[it].right is not None])
def test_every_action_that_a_viewer_is_refused_is_in_the_trail(house: House, admin: Browser, view: str) -> None:
    viewer = hired(house, "only.looks", "viewer")
    ids = dict.fromkeys(ROUTES[view].ids, "there-is-none")
    assert viewer.ask(view, {}, **ids)[0] == 403
    newest = admin.ask("list_audits")[1]["audits"]
    assert ("operator:only.looks", "forbidden") in {(it["actor"], it["result"]) for it in newest}


# ── submissions ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("members", [{}, {"ordering_key": "k"}])
def test_a_task_says_which_user_submitted_it(admin: Browser, members: dict[str, str]) -> None:
    task_id = submitted(admin, source_app="payments", **members)
    task = admin.ask("look", task_id=task_id)[1]
    assert task["submitted_by"] == "operator:root"
    assert [(it["action"], it["actor"], it["address"]) for it in task["audit"]] == [
        ("submit", "operator:root", "192.0.2.7")
    ]
    [listed] = [it for it in admin.ask("list_audits")[1]["audits"] if it["subject"] == task_id]
    assert listed["detail"] == {"url": PARTNER, "source_app": "payments", "target_app": "default"}


def test_the_same_submission_again_is_no_other_action(house: House, admin: Browser) -> None:
    for _ in range(2):
        raw, headers = json.dumps({"url": PARTNER}).encode(), {"idempotency-key": "once", "x-csrf-token": admin.csrf}
        cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
        api.answer(house.world, "submit", Call(body=raw, headers={**headers, "cookie": cookie}))
    audits = admin.ask("list_audits")[1]["audits"]
    assert [it["action"] for it in audits if it["action"] == "submit"] == ["submit"]


def test_a_submission_that_is_not_stored_is_not_in_the_trail(admin: Browser) -> None:
    assert admin.ask("submit_batch", {"tasks": [{"url": "x"}, {"url": PARTNER}]})[0] == 207
    audits = admin.ask("list_audits")[1]["audits"]
    assert len([it for it in audits if it["action"] == "submit"]) == 1


# ── what changed ─────────────────────────────────────────────────────────────────────────────────


def newest(browser: Browser) -> Any:
    browser.house.clock.at += 1
    return browser.ask("list_audits")[1]["audits"][0]["detail"]


def test_a_change_of_a_channel_says_from_what_to_what_without_its_secrets(admin: Browser) -> None:
    channel_id = channel(admin, secret="SEC-old", template=TEMPLATE)
    shown = newest(admin)
    assert (shown["url"], shown["secret"]) == ("https://oapi.dingtalk.com/***", "***")
    assert shown["template"] == TEMPLATE[:500] + "…"
    moved = {"kind": "dingtalk", "url": ROBOT + "2", "secret": "SEC-new", "source_apps": ["x"], "enabled": False}
    assert admin.ask("change_channel", moved, channel_id=channel_id)[0] == 200
    assert newest(admin) == {
        "changes": {
            "url": {"from": "https://oapi.dingtalk.com/***", "to": "https://oapi.dingtalk.com/***"},
            "secret": {"from": "***", "to": "***"},
            "template": {"from": TEMPLATE[:500] + "…", "to": ""},
            "source_apps": {"from": [], "to": ["x"]},
            "enabled": {"from": True, "to": False},
        }
    }
    assert admin.ask("remove_channel", channel_id=channel_id)[0] == 204
    assert newest(admin)["source_apps"] == ["x"]
    assert "t0ken" not in json.dumps(admin.ask("list_audits")[1])


def test_a_change_of_a_user_says_from_what_to_what_without_the_password(admin: Browser) -> None:
    admin.ask("create_operator", LI_LEI)
    admin.ask("change_operator", {"role": "operator", "password": NEW}, name="li.lei")
    assert newest(admin) == {
        "changes": {"role": {"from": "viewer", "to": "operator"}, "password": {"from": "***", "to": "***"}}
    }


def test_a_resend_says_from_what_to_what_without_hidden_headers(admin: Browser) -> None:
    task_id = exhausted(admin, headers={"Authorization": "Bearer old", "X-A": "1"}, body={"n": 1})
    changes = {"headers": {"Authorization": "Bearer new", "X-A": "2"}, "body": {"n": 2}}
    assert admin.ask("resend", changes, task_id=task_id)[0] == 202
    assert newest(admin) == {
        "round": 2,
        "changes": {
            "headers": {
                "from": {"Authorization": "***", "X-A": "1"},
                "to": {"Authorization": "***", "X-A": "2"},
            },
            "body": {"from": {"n": 1}, "to": {"n": 2}},
        },
    }


def test_a_change_of_a_target_says_from_what_to_what(admin: Browser) -> None:
    admin.ask("change_target", {"paused": True, "max_concurrency": 4})
    admin.ask("change_target", {"paused": False, "max_concurrency": 4})
    assert newest(admin) == {"changes": {"paused": {"from": True, "to": False}}}
