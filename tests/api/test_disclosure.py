"""No action shows a role what the API hides from it: headers of a task, secrets of a channel, users from programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib import show
from tests.api.test_callers import Here
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"
HEADERS = {"Authorization": "Bearer t0ken", "X-Order": "42"}


@pytest.fixture
def house() -> House:
    house = House()
    house.outside.answers["https://partner.example"] = in_turn(reply(200, "ok"))
    return house


def delivered(house: House, **members: Any) -> str:
    task_id = house.submit(PARTNER, headers=HEADERS, body={"n": 1}, **members)
    house.work()
    return task_id


def resend(house: House, task_id: str, **changes: Any) -> tuple[int, Any]:
    house.outside.sent.clear()
    answer = house.call("resend", changes, path={"task_id": task_id})
    house.work()
    return answer


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/callback",
        "http://partner.example/callback",
        "https://partner.example:8443/callback",
        "https://partner.example.evil.example/",
        "https://partner.example./callback",
    ],
)
def test_hidden_headers_do_not_go_to_another_origin(house: House, url: str) -> None:
    task_id = delivered(house)
    status, problem = resend(house, task_id, url=url)
    assert (status, [it["pointer"] for it in problem["errors"]]) == (400, ["/headers"])
    assert "Authorization" in problem["errors"][0]["detail"]
    assert house.outside.sent == []


@pytest.mark.parametrize(
    "headers", [{"Authorization": "***"}, {"authorization": "***", "X-Order": "42"}, {"Cookie": "***"}]
)
def test_their_mask_stands_for_nothing_at_another_origin(house: House, headers: dict[str, str]) -> None:
    task_id = delivered(house)
    status, problem = resend(house, task_id, url="https://evil.example/", headers=headers)
    assert (status, problem["errors"][0]["pointer"]) == (400, f"/headers/{next(iter(headers))}")


def test_what_is_given_anew_or_left_out_goes_to_another_origin(house: House) -> None:
    task_id = delivered(house)
    assert resend(house, task_id, url="https://other.example/", headers={"Authorization": "mine"})[0] == 202
    assert house.outside.sent[0].headers["Authorization"] == "mine"
    assert resend(house, delivered(house), url="https://other.example/", headers={})[0] == 202
    assert "t0ken" not in repr(house.outside.sent)


def test_a_task_without_hidden_headers_goes_anywhere(house: House) -> None:
    task_id = house.submit(PARTNER, headers={"X-Order": "42"})
    house.work()
    assert resend(house, task_id, url="https://other.example/")[0] == 202


@pytest.mark.parametrize("url", ["https://partner.example/other", "https://PARTNER.example:443/callback?x=1"])
def test_at_the_same_origin_they_stay(house: House, url: str) -> None:
    task_id = delivered(house)
    assert resend(house, task_id, url=url, headers={"authorization": "***", "X-Order": "43"})[0] == 202
    [sent] = house.outside.sent
    assert (sent.headers["authorization"], sent.headers["X-Order"]) == ("Bearer t0ken", "43")


def test_a_key_that_may_not_read_sends_no_task_elsewhere() -> None:
    here = Here()
    here.house.outside.answers["https://"] = in_turn(reply(200, "ok"))
    task_id = here.ask("submit", {"url": PARTNER, "body": {"card": "4111"}})[1]["task_id"]
    here.house.work()
    blind = here.caller("orders", scopes=["resend"])
    path = {"task_id": task_id}
    moved = {"url": "https://evil.example/"}
    assert here.ask("resend", moved, by=blind, path=path, nonce="1")[1]["code"] == "forbidden"
    assert here.ask("resend", {}, by=blind, path=path, nonce="2")[0] == 202
    here.house.work()
    assert here.ask("resend", moved, path=path, nonce="3")[0] == 202


ROBOT = "https://oapi.dingtalk.com/robot/send?access_token=a"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"url": "https://evil.example/robot"}, 400),
        ({"url": "https://evil.example/robot", "secret": "new"}, 200),
        ({"url": "https://evil.example/robot", "secret": ""}, 200),
        ({"url": ROBOT + "b"}, 200),
        ({"memo": "x"}, 200),
    ],
)
def test_the_secret_of_a_channel_signs_nothing_for_another_host(
    house: House, changes: dict[str, str], status: int
) -> None:
    channel = house.call("create_channel", {"kind": "dingtalk", "url": ROBOT, "secret": "SEC"})[1]
    path = {"channel_id": channel["channel_id"]}
    got, answer = house.call("change_channel", {"kind": "dingtalk", **changes}, path=path)
    assert got == status
    assert status == 200 or [it["pointer"] for it in answer["errors"]] == ["/secret"]


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def here() -> Here:
    return Here()


def test_a_program_sees_neither_users_nor_addresses_nor_channels(here: Here) -> None:
    here.house.outside.answers["https://partner.example"] = in_turn(reply(500, "no"))
    channel = here.as_admin("create_channel", {"kind": "dingtalk", "url": ROBOT, "gather": 0})[1]
    task_id = here.ask("submit", {"url": PARTNER, "retry": {"max_attempts": 1}})[1]["task_id"]
    here.house.pass_time(5)
    root = here.house.world
    store = root.store
    task = store.get(task_id)
    assert task is not None
    from chalicelib import admin  # noqa: PLC0415
    from chalicelib.auth import Identity  # noqa: PLC0415

    admin.resend(root, Identity("operator:li.lei", "203.0.113.77"), task_id, {})
    whole = here.ask("look", path={"task_id": task_id})[1]
    text = json.dumps(whole)
    assert whole["notices"], "somebody was told"
    for hidden in ("li.lei", "203.0.113.77", "192.0.2.7", channel["channel_id"]):
        assert hidden not in text
    assert [(it["actor"], it["action"]) for it in whole["audit"]] == [("operator", "resend")]
    assert {(it["channel_id"], it["notice_id"]) for it in whole["notices"]} == {(None, None)}
    seen = here.as_admin("look", path={"task_id": task_id})[1]
    assert seen["audit"][0]["actor"] == "operator:li.lei"
    assert seen["notices"][0]["channel_id"] == channel["channel_id"]


@pytest.mark.parametrize(("kind", "reason"), [("email", None), ("feishu", "code 9499: too many request")])
def test_a_program_sees_why_a_notification_was_not_taken_unless_that_may_name_people(
    kind: str, reason: str | None
) -> None:
    notice = {"kind": kind, "reason": "code 9499: too many request", "refused": {"ops@example.com": "550"}}
    whole = {"submitted_by": "caller:key_1", "notices": [notice], "audit": []}
    [seen] = show.for_program(whole)["notices"]
    assert (seen["reason"], seen["refused"]) == (reason, {})
