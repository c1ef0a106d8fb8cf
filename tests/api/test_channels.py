"""The channel routes, and what becomes of notices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.announce import announce
from chalicelib.errors import Kind, SendFailed
from chalicelib.notify import notify
from chalicelib.ports import Letter, News, Outgoing, RefusedRecipient, Reply
from chalicelib.task import Event, Mention
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
    assert house.call("list_channels")[1] == {"channels": [], "cursor": None}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"kind": "pigeon"}, "/kind"),
        ({"url": "nope"}, "/url"),
        ({"url": None}, "/url"),
        ({"template": "${nope}"}, "/template"),
        ({"template": "{not json ${taskId}"}, "/template"),
        ({"kind": "wecom", "secret": "x"}, "/secret"),
        ({"kind": "email", "url": "https://x.example"}, "/url"),
        ({"url": "mailto:ops@example.com"}, "/url"),
        ({"events": ["lunch"]}, "/events/0"),
        ({"gather": 3601}, "/gather"),
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
    assert house.call("list_channels")[1] == {"channels": [], "cursor": None}


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


def test_a_notification_of_an_earlier_round_settles_nothing_that_the_next_round_owes() -> None:
    house, _ = with_channel(in_turn(reply(500, "no")))
    first = exhausted(house)["task_id"]
    earlier = house.world.store.get(first)
    assert earlier is not None
    house.call("resend", path={"task_id": first})
    while house.work():
        continue
    notify._mark_told(house.world, earlier)
    later = house.world.store.get(first)
    assert later is not None
    assert (later.round, later.status, later.wake_at is None) == (2, "exhausted", False)


def test_a_robot_that_is_throttled_uses_up_no_try() -> None:
    house, _ = with_channel(in_turn(reply(200, '{"errcode":130101,"errmsg":"send too fast"}'), reply(200, OK)))
    [met] = exhausted(house)["notices"]
    assert (met["status"], met["tries"]) == ("pending", 0)
    house.pass_time(600)
    [task] = house.call("list_tasks")[1]["tasks"]
    [taken] = house.look(task["task_id"])["notices"]
    assert (taken["status"], taken["tries"]) == ("delivered", 1)


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


# ── many at a time ───────────────────────────────────────────────────────────────────────────────


def failing(house: House, count: int, **members: Any) -> list[str]:
    return [house.submit(PARTNER, retry={"max_attempts": 1}, **members) for _ in range(count)]


def texts(house: House, robot: str = ROBOT) -> list[str]:
    return [json.loads(it.body or b"")["text"]["content"] for it in house.outside.sent_to(robot)]


def test_the_first_failure_is_told_at_once_and_what_follows_within_a_minute_in_one_digest() -> None:
    house, _ = with_channel()
    first = exhausted(house)
    assert first["notices"][0]["status"] == "delivered"
    house.pass_time(5)
    others = failing(house, 300)
    house.pass_time(30)
    [waiting] = house.look(others[0])["notices"]
    assert (waiting["status"], waiting["tasks"]) == ("pending", None)
    house.pass_time(60)
    alone, digest = texts(house)
    assert first["task_id"] in alone
    assert digest.startswith("回调异常汇总：300 个任务")
    notices = [house.look(task_id)["notices"] for task_id in others]
    assert {(it["status"], it["tasks"], it["tries"]) for [it] in notices} == {("delivered", 300, 1)}
    assert len({it["notice_id"] for [it] in notices}) == 1
    assert owed(house) == 0


def owed(house: House) -> int:
    return len(house.world.store.due(house.clock.at + 1e9, 1000))


def test_after_a_quiet_while_a_failure_is_told_at_once_again() -> None:
    house, _ = with_channel()
    exhausted(house)
    house.pass_time(3600, step=60)
    assert exhausted(house)["notices"][0]["status"] == "delivered"
    assert len(texts(house)) == 2


def test_a_channel_that_gathers_nothing_tells_of_each_alone() -> None:
    house, _ = with_channel(gather=0)
    failing(house, 12)
    house.pass_time(60)
    assert len(texts(house)) == 12
    assert all("taskId" in text for text in texts(house))


def test_who_was_too_late_for_a_notice_is_told_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    house, _ = with_channel()
    exhausted(house)
    first, late = failing(house, 2)
    gathered = house.world.store.gathered

    def before(*asked: Any) -> list[Mention]:
        """As somebody read it before the late one had joined."""
        return [it for it in gathered(*asked) if it.subject != late]

    with monkeypatch.context() as patch:
        patch.setattr(house.world.store, "gathered", before)
        house.pass_time(70)
    house.pass_time(180)
    assert [[task_id in text for task_id in (first, late)] for text in texts(house)[1:]] == [
        [True, False],
        [False, True],
    ]
    assert [it["status"] for task_id in (first, late) for it in house.look(task_id)["notices"]] == ["delivered"] * 2
    assert owed(house) == 0


def test_a_robot_that_two_channels_share_is_told_no_more_than_it_takes() -> None:
    house, _ = with_channel(gather=0)
    house.call("create_channel", {"kind": "dingtalk", "url": ROBOT, "gather": 0})
    at: list[float] = []

    def robot(_: Outgoing) -> Reply:
        at.append(house.clock.at)
        return reply(200, OK)

    house.outside.answers[ROBOT] = robot
    failing(house, 40)
    house.pass_time(600)
    assert len(at) == 80
    assert all(late - early >= 60 for early, late in zip(at, at[20:], strict=False))


def test_a_robot_that_has_no_time_is_left_alone_by_every_notice_for_as_long_as_the_one_that_met_it_waits() -> None:
    house, _ = with_channel(in_turn(reply(200, '{"errcode":130101}'), reply(200, OK)), gather=0)
    exhausted(house)
    [met] = house.look(house.call("list_tasks")[1]["tasks"][0]["task_id"])["notices"]
    failing(house, 3)
    house.pass_time(29)
    assert len(house.outside.sent_to(ROBOT)) == 1
    house.pass_time(600)
    assert met["status"] == "pending"
    assert len(house.outside.sent_to(ROBOT)) == 5
    assert owed(house) == 0


def test_while_a_robot_has_no_time_failures_gather_and_nobody_is_forgotten() -> None:
    house, _ = with_channel(in_turn(reply(200, '{"errcode":130101}'), reply(200, OK)))
    first = exhausted(house)
    for _ in range(3):
        failing(house, 5)
        house.pass_time(20)
    house.pass_time(600)
    assert house.look(first["task_id"])["notices"][0]["status"] == "delivered"
    assert sum(int(text.split("：")[1].split(" ")[0]) for text in texts(house)[1:] if "汇总" in text) == 15
    assert len(texts(house)) <= 4
    assert owed(house) == 0


def test_a_channel_that_is_removed_while_failures_gather_ends_their_notice() -> None:
    house, channel_id = with_channel()
    exhausted(house)
    others = failing(house, 3)
    house.pass_time(10)
    house.call("remove_channel", path={"channel_id": channel_id})
    house.pass_time(120)
    [notice] = house.look(others[2])["notices"]
    assert (notice["status"], notice["tasks"], notice["reason"]) == ("failed", 3, "the channel was removed")
    assert owed(house) == 0


def test_a_digest_leads_to_the_console() -> None:
    house = House(KKBIDA_CONSOLE_URL="https://console.example/")
    house.outside.answers = {PARTNER: in_turn(reply(500, "no")), ROBOT: in_turn(reply(200, OK))}
    house.call("create_channel", {"kind": "dingtalk", "url": ROBOT, "source_apps": ["orders & co"]})
    exhausted(house, source_app="orders & co")
    failing(house, 2, source_app="orders & co")
    house.pass_time(70)
    link = "查看：https://console.example/#/tasks?status=exhausted&source_app=orders%20%26%20co"
    assert link in texts(house)[1].split("\n")


# ── targets ──────────────────────────────────────────────────────────────────────────────────────


def news(event: Event, at: float) -> News:
    return News(target="https://partner.example:443", event=event, at=at, because="9 of 10 attempts failed")


def test_who_wants_to_hear_of_breakers_hears_when_one_opens_and_when_it_recovers() -> None:
    house, _ = with_channel(events=["breaker_opened", "breaker_closed"], gather=10)
    other = "https://ops.example/hook"
    house.outside.answers[other] = in_turn(reply(204, ""))
    house.call("create_channel", {"kind": "webhook", "url": other})
    opened = news(Event.BREAKER_OPENED, house.clock.at)
    for _ in range(2):  # delivery may well say it twice
        assert announce(house.world, opened)
    house.pass_time(1)
    announce(house.world, news(Event.BREAKER_CLOSED, house.clock.at))
    assert exhausted(house)["notices"][0]["kind"] == "webhook"
    house.pass_time(60)
    assert texts(house) == [
        "回调异常，目标已熔断，暂停投递：https://partner.example:443 (9 of 10 attempts failed)",
        "回调异常已解除，目标已恢复，继续投递：https://partner.example:443 (9 of 10 attempts failed)",
    ]
    assert len(house.outside.sent_to(other)) == 1


# ── every kind ───────────────────────────────────────────────────────────────────────────────────


class Post:
    """Takes every letter."""

    def __init__(self, *answers: Mapping[str, RefusedRecipient] | SendFailed) -> None:
        self.letters: list[Letter] = []
        self.answers = list(answers)

    def send(self, letter: Letter) -> Mapping[str, RefusedRecipient]:
        self.letters.append(letter)
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, SendFailed):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("kind", "answer", "wire"),
    [
        ("wecom", OK, '{"msgtype":"text","text":{"content":"'),
        ("feishu", '{"code":0}', '{"msg_type":"text","content":{"text":"'),
        ("lark", '{"code":0}', '{"msg_type":"text","content":{"text":"'),
        ("slack", "ok", '{"text":"'),
        ("webhook", "", '{"msgtype":"text","text":{"content":"'),
    ],
)
def test_every_kind_is_told_and_can_be_tested(kind: str, answer: str, wire: str) -> None:
    house, channel_id = with_channel(in_turn(reply(200, answer)), kind=kind)
    assert exhausted(house)["notices"][0]["status"] == "delivered"
    house.pass_time(1)
    assert house.call("test_channel", path={"channel_id": channel_id})[1] == {"delivered": True, "reason": None}
    alone, tested = (it.body.decode() for it in house.outside.sent_to(ROBOT) if it.body)
    assert alone.startswith(wire)
    assert "测试" in tested


def test_e_mail_is_told_and_can_be_tested() -> None:
    house, post = House(), Post()
    house.world = replace(house.world, mail=post)
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    made = house.call("create_channel", {"kind": "email", "url": "mailto:ops@example.com"})[1]
    assert made["url"] == "mailto:ops@example.com"
    task = exhausted(house)
    assert task["notices"][0]["status"] == "delivered"
    failing(house, 3)
    house.pass_time(90)
    assert house.call("test_channel", path={"channel_id": made["channel_id"]})[1]["delivered"]
    alone, digest, test = post.letters
    assert (alone.to, alone.subject) == (("ops@example.com",), f"kkbida: task {task['task_id']} could not be delivered")
    assert (digest.subject, digest.text.split("\n")[0]) == (
        "kkbida: 3 tasks could not be delivered",
        "kkbida: 3 tasks could not be delivered and are not tried again",
    )
    assert "测试" in test.text


def test_where_no_e_mail_can_be_sent_a_test_says_so() -> None:
    house = House()
    made = house.call("create_channel", {"kind": "email", "url": "mailto:ops@example.com", "template": "${taskId}"})[1]
    tested = house.call("test_channel", path={"channel_id": made["channel_id"]})[1]
    assert tested["delivered"] is False
    assert "set KKBIDA_MAIL_FROM" in tested["reason"]


def test_a_test_takes_its_turn_like_any_notice() -> None:
    house, channel_id = with_channel(in_turn(reply(200, "ok")), kind="slack")
    tests = [house.call("test_channel", path={"channel_id": channel_id})[1] for _ in range(2)]
    assert tests[0]["delivered"]
    assert tests[1]["reason"] == "the robot was told as much as it takes; there is room in 1 s"


BOTH = "ops@example.com,gone@example.com"


def mailing(*answers: Mapping[str, RefusedRecipient] | SendFailed) -> tuple[House, Post, str]:
    house, post = House(), Post(*answers)
    house.world = replace(house.world, mail=post)
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    made = house.call("create_channel", {"kind": "email", "url": f"mailto:{BOTH}", "gather": 0})
    return house, post, made[1]["channel_id"]


GONE = {"gone@example.com": RefusedRecipient("550 5.1.1 no such user", permanent=True)}
LATER = {"gone@example.com": RefusedRecipient("450 4.2.1 later", permanent=False)}


def test_a_refused_recipient_is_shown_and_tried_again_and_the_others_get_no_second_letter() -> None:
    house, post, _ = mailing(LATER)
    [notice] = exhausted(house)["notices"]
    assert (notice["status"], notice["tries"], notice["refused"]) == (
        "pending",
        1,
        {"gone@example.com": "450 4.2.1 later"},
    )
    assert notice["reason"] == "1 of 2 recipients were refused: gone@example.com (450 4.2.1 later)"
    house.pass_time(60)
    [notice] = house.look(house.call("list_tasks")[1]["tasks"][0]["task_id"])["notices"]
    assert (notice["status"], notice["tries"], notice["refused"], notice["reason"]) == ("delivered", 2, {}, None)
    assert [it.to for it in post.letters] == [("ops@example.com", "gone@example.com"), ("gone@example.com",)]


def test_a_recipient_that_is_refused_for_good_is_given_up_after_three_tries() -> None:
    house, post, _ = mailing(GONE, GONE, GONE, GONE)
    task = exhausted(house)
    house.pass_time(600)
    [notice] = house.look(task["task_id"])["notices"]
    assert (notice["status"], notice["tries"]) == ("failed", 3)
    assert notice["refused"] == {"gone@example.com": "550 5.1.1 no such user"}
    assert [it.to for it in post.letters][1:] == [("gone@example.com",)] * 2


def test_a_recipient_that_is_refused_for_now_is_tried_as_often_as_any_channel() -> None:
    house, post, _ = mailing(*[LATER] * 20)
    task = exhausted(house)
    house.pass_time(6 * 3600)
    assert house.look(task["task_id"])["notices"][0]["status"] == "failed"
    assert len(post.letters) == len(notify.WAITS) + 1


def test_a_recipient_that_was_taken_out_of_the_channel_is_owed_nothing() -> None:
    house, post, channel_id = mailing(LATER)
    task = exhausted(house)
    changed = {"kind": "email", "url": "mailto:ops@example.com", "gather": 0}
    assert house.call("change_channel", changed, path={"channel_id": channel_id})[0] == 200
    house.pass_time(60)
    assert house.look(task["task_id"])["notices"][0]["status"] == "delivered"
    assert len(post.letters) == 1


def test_a_test_letter_names_who_was_refused() -> None:
    house, _, channel_id = mailing(GONE)
    assert house.call("test_channel", path={"channel_id": channel_id})[1] == {
        "delivered": False,
        "reason": "1 of 2 recipients were refused: gone@example.com (550 5.1.1 no such user)",
    }


def test_a_mail_server_that_throttles_costs_no_try() -> None:
    house, _, _ = mailing(SendFailed(Kind.REPLY, "SES says Throttling: Maximum sending rate exceeded."))
    [notice] = exhausted(house)["notices"]
    assert (notice["status"], notice["tries"]) == ("pending", 0)
