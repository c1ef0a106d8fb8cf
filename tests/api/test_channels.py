"""The channel routes, and what becomes of notices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.ports import Outgoing, Reply
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"
ROBOT = "https://oapi.dingtalk.com/robot/send?access_token=hush"
OK = '{"errcode":0,"errmsg":"ok"}'


def with_channel(answer: Any = None, **members: Any) -> tuple[House, str]:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    house.outside.answers[ROBOT] = answer or in_turn(reply(200, OK))
    status, body = house.call("create_channel", {"kind": "dingtalk", "url": ROBOT, **members})
    assert status == 201, body
    return house, body["channel_id"]


def exhausted(house: House, **members: Any) -> dict[str, Any]:
    task_id = house.submit(PARTNER, retry={"max_attempts": 1}, **members)
    while house.work():
        continue
    return house.look(task_id)


def test_a_channel_is_shown_without_its_secrets() -> None:
    house, channel_id = with_channel(secret="SECRETSECRET")
    shown = house.call("list_channels")[1]["channels"]
    assert [it["channel_id"] for it in shown] == [channel_id]
    assert (shown[0]["url"], shown[0]["has_secret"]) == ("https://oapi.dingtalk.com/***", True)
    assert "hush" not in json.dumps(shown)
    assert "SECRETSECRET" not in json.dumps(shown)


def test_a_change_keeps_url_and_secret_that_are_not_given() -> None:
    house, channel_id = with_channel(secret="SEC")
    status, body = house.call(
        "change_channel", {"kind": "dingtalk", "memo": "night shift"}, path={"channel_id": channel_id}
    )
    assert (status, body["memo"], body["has_secret"]) == (200, "night shift", True)
    assert house.call("test_channel", path={"channel_id": channel_id})[1]["delivered"]
    assert "access_token=hush" in house.outside.sent_to(ROBOT)[0].url


def test_a_test_message_says_what_the_robot_answered() -> None:
    house, channel_id = with_channel(in_turn(reply(200, '{"errcode":310000,"errmsg":"keywords not in content"}')))
    status, body = house.call("test_channel", path={"channel_id": channel_id})
    assert status == 200
    assert body == {"delivered": False, "reason": "errcode 310000: keywords not in content"}
    assert "taskId：测试" in json.loads(house.outside.sent[0].body or b"")["text"]["content"]


def test_a_removed_channel_is_gone() -> None:
    house, channel_id = with_channel()
    assert house.call("remove_channel", path={"channel_id": channel_id}) == (204, None)
    assert house.call("remove_channel", path={"channel_id": channel_id})[0] == 404
    assert house.call("list_channels")[1] == {"channels": []}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"kind": "pigeon"}, "/kind"),
        ({"url": "nope"}, "/url"),
        ({"url": None}, "/url"),
        ({"template": "${nope}"}, "/template"),
        ({"template": "{not json ${taskId}"}, "/template"),
        ({"kind": "wecom", "secret": "x"}, "/secret"),
        ({"colour": "red"}, "/colour"),
        ({"content_type": "text/plain\r\nX-Evil: 1"}, "/content_type"),
        ({"source_apps": "orders"}, "/source_apps"),
    ],
)
def test_a_bad_channel_is_refused_by_pointer(members: dict[str, Any], pointer: str) -> None:
    house = House()
    status, problem = house.call("create_channel", {"kind": "webhook", "url": "https://x.example", **members})
    assert status == 400
    assert pointer in [fault["pointer"] for fault in problem["errors"]]
    assert house.call("list_channels")[1] == {"channels": []}


def test_a_channel_hears_only_of_the_apps_it_is_for() -> None:
    house, _ = with_channel(source_apps=["orders"])
    assert exhausted(house, source_app="parcels")["notices"] == []
    assert len(exhausted(house, source_app="orders")["notices"]) == 1
    assert len(house.outside.sent_to(ROBOT)) == 1


def test_a_notice_that_a_robot_refuses_is_tried_again_and_told_once() -> None:
    no = reply(200, '{"errcode":310000,"errmsg":"keywords not in content"}')
    house, _ = with_channel(in_turn(no, no, reply(200, OK)))
    [notice] = exhausted(house)["notices"]
    why = "errcode 310000: keywords not in content"
    assert (notice["status"], notice["tries"], notice["reason"]) == ("pending", 1, why)
    house.pass_time(3600, step=5)
    assert len(house.outside.sent_to(ROBOT)) == 3
    [task] = house.call("list_tasks")[1]["tasks"]
    [notice] = house.look(task["task_id"])["notices"]
    assert (notice["status"], notice["tries"], notice["reason"]) == ("delivered", 3, None)


def test_a_robot_that_takes_twenty_messages_a_minute_hears_of_two_hundred_tasks_in_the_end() -> None:
    minute: dict[int, int] = {}
    house, _ = with_channel()

    def robot(_: Outgoing) -> Reply:
        now = int(house.clock.at // 60)
        minute[now] = minute.get(now, 0) + 1
        return reply(200, OK if minute[now] <= 20 else '{"errcode":130101,"errmsg":"send too fast"}')

    house.outside.answers[ROBOT] = robot
    task_ids = [house.submit(PARTNER, retry={"max_attempts": 1}) for _ in range(200)]
    house.pass_time(6 * 3600, step=10)
    notices = [house.look(task_id)["notices"][0] for task_id in task_ids]
    assert {(notice["status"], notice["tries"]) for notice in notices} == {("delivered", 1)}


def test_a_channel_that_is_removed_or_disabled_is_not_called_again() -> None:
    for view, body in (("remove_channel", None), ("change_channel", {"kind": "dingtalk", "enabled": False})):
        house, channel_id = with_channel(in_turn(reply(500, "no")))
        task_id = exhausted(house)["task_id"]
        house.call(view, body, path={"channel_id": channel_id})
        house.pass_time(60)
        [notice] = house.look(task_id)["notices"]
        assert notice["status"] == "failed"
        assert notice["reason"] in ("the channel was removed", "the channel is disabled")
        assert len(house.outside.sent_to(ROBOT)) == 1


def test_a_notice_that_a_resend_has_overtaken_says_so() -> None:
    house, _ = with_channel(in_turn(reply(500, "no")))
    task_id = exhausted(house)["task_id"]
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    house.call("resend", path={"task_id": task_id})
    house.pass_time(3600, step=10)
    [notice] = house.look(task_id)["notices"]
    assert (notice["reason"], notice["next_try_at"]) == ("the task was resent before this was told", None)
    assert len(house.outside.sent_to(ROBOT)) == 1


def test_a_change_of_kind_drops_a_secret_that_the_new_kind_has_no_use_for() -> None:
    house, channel_id = with_channel(secret="SEC")
    status, body = house.call("change_channel", {"kind": "wecom"}, path={"channel_id": channel_id})
    assert (status, body["has_secret"]) == (200, False)


def test_a_notice_that_is_refused_to_the_end_is_shown_as_failed() -> None:
    house, _ = with_channel(in_turn(reply(500, "no")))
    task = exhausted(house)
    house.pass_time(6 * 3600, step=10)
    [notice] = house.look(task["task_id"])["notices"]
    assert (notice["status"], notice["tries"], notice["reason"]) == ("failed", 11, "status 500 not in 2xx")
    assert len(house.outside.sent_to(ROBOT)) == 11
    stored = house.world.store.get(task["task_id"])
    assert stored is not None
    assert stored.wake_at is None, "nothing is owed any more"


def test_two_channels_are_told_each_once_although_one_is_down() -> None:
    house, _ = with_channel(in_turn(reply(500, "no"), reply(500, "no"), reply(200, OK)))
    other = "https://ops.example/hook"
    house.outside.answers[other] = in_turn(reply(204, ""))
    house.call(
        "create_channel",
        {"kind": "webhook", "url": other, "template": "${taskId} ${url}", "content_type": "text/plain"},
    )
    task = exhausted(house)
    house.pass_time(600)
    assert {it["kind"]: it["status"] for it in house.look(task["task_id"])["notices"]} == {
        "dingtalk": "delivered",
        "webhook": "delivered",
    }
    [told] = house.outside.sent_to(other)
    assert told.body == f"{task['task_id']} {PARTNER}".encode()
